"""A disk that is full when a test says so: a small tmpfs, where this user may mount one."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

SIZE = 96 << 20


class SmallDisk:
    """A file system of its own at `path`; `fill` leaves not one byte, `free` gives everything back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / ".ballast"

    def fill(self, leave: int = 0) -> None:
        """Take all space but `leave` bytes."""
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (1 << 20, 4096, 1):
                with suppress(OSError):
                    while True:
                        self._write(descriptor, size)
            os.ftruncate(descriptor, max(0, os.fstat(descriptor).st_size - leave))
        finally:
            os.close(descriptor)

    @staticmethod
    def _write(descriptor: int, size: int) -> None:
        if os.write(descriptor, bytes(size)) < size:
            raise OSError(errno.ENOSPC, "full")

    def free(self) -> None:
        """Give the space back."""
        self._ballast.unlink(missing_ok=True)

    def move_here(self, folder: Path) -> None:
        """Move a folder onto this disk and leave a link in its place."""
        target = self.path / folder.name
        if folder.exists():
            shutil.copytree(folder, target)
            shutil.rmtree(folder)
        else:
            target.mkdir()
        folder.symlink_to(target, target_is_directory=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A small disk, or a skip where this user may not mount one."""
    path = tmp_path / "small-disk"
    path.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(path)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("this user may not mount a small file system")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], capture_output=True, check=False)
