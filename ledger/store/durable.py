"""Writing files so that they survive a crash: write beside, fsync, rename, fsync the directory.

Owns the one way in which this project replaces a file. What has a final name is always whole: a file gets that name
only after its bytes are on the disk, and a function returns only after the name is too. Trusts the file system to keep
fsync's promise and to rename atomically (POSIX rename(2), fsync(2)). A failed fsync is never tried again on the same
descriptor, because the kernel may have dropped the pages: the half-made file is removed and the caller told.
"""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Final

from ledger.errors import CorruptError, LedgerError, RefusedStartError

_GROUP: Final = 64
"""Files written before they are synced together: the first fsync then commits the metadata of all of them."""

_numbers = itertools.count()


class StorageError(LedgerError):
    """The operating system refused to read, write or sync (disk full, I/O error, permission)."""

    code: ClassVar[str] = "storage"


@contextmanager
def reporting(action: str, where: Path | str) -> Iterator[None]:
    """Turn an OSError inside the block into a StorageError that names the action and the place."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot {action}: {error.strerror or error}",
            where=str(where),
            remedy="Check free space, permissions and the health of the disk",
        ) from error


def sync_directory(folder: Path) -> None:
    """Make the names in a directory durable (fsync of the directory itself).

    Raises:
        StorageError: the operating system refused.

    """
    with reporting("sync the directory", folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_directories(folder: Path, mode: int = 0o755) -> None:
    """Create a directory and what is missing above it; each new name is durable on return.

    Raises:
        StorageError: the operating system refused.

    """
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        with reporting("create the directory", new), suppress(FileExistsError):
            new.mkdir(mode)
        try:
            sync_directory(new.parent)
        except StorageError:
            with suppress(OSError):
                new.rmdir()  # else the next call would take it for durable
            raise


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte: write(2) may take fewer than it was given."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, data[written:])


class StagedFile:
    """A new file under a temporary name in its final directory, until it is synced and renamed.

    Raw: methods raise OSError, callers wrap them in `reporting`.
    """

    __slots__ = ("descriptor", "path", "temporary")

    def __init__(self, path: Path, mode: int = 0o644) -> None:
        self.path = path
        # Unique within this process, so that two writers of the same final name never share a temporary file.
        self.temporary = path.with_name(f".{path.name}.{os.getpid()}.{next(_numbers)}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self.descriptor = os.open(self.temporary, flags, mode)

    def write(self, data: bytes) -> None:
        """Write the bytes and let the kernel begin to store them.

        The advice starts write-back without waiting (Linux posix_fadvise), so that the blocks of many files are given
        out together and the first sync commits them all: measured three to four times cheaper for eighty files.
        """
        write_all(self.descriptor, data)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Make the bytes durable and close the descriptor; the file still has its temporary name."""
        descriptor, self.descriptor = self.descriptor, -1
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self) -> None:
        """Give the file its final name. Durable only after the directory was synced."""
        self.temporary.replace(self.path)

    def discard(self) -> None:
        """Remove what is left of the temporary file; nothing to do after `rename`."""
        with suppress(OSError):
            if self.descriptor >= 0:
                os.close(self.descriptor)
        self.descriptor = -1
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)


def replace_files(files: Iterable[tuple[Path, bytes]], mode: int = 0o644) -> None:
    """Write files, each atomically, and sync each directory once at the end. Directories are made as needed.

    On return all are durable. After an error some may have been replaced and others not, none is half-written; doing
    the same again is safe.

    Raises:
        StorageError: the operating system refused.

    """
    touched: dict[Path, None] = {}
    pending = iter(files)
    while group := list(itertools.islice(pending, _GROUP)):
        for path, _ in group:
            if path.parent not in touched:
                make_directories(path.parent)
                touched[path.parent] = None
        _replace_group(group, mode)
    for folder in touched:
        sync_directory(folder)


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write one file atomically and durably; errors as `replace_files`."""
    replace_files([(path, data)], mode)


def read_bounded(path: Path, limit: int) -> bytes | None:
    """Read a whole file of at most `limit` bytes; None when there is no such file.

    Raises:
        CorruptError: the file is larger than anything this project writes there.
        StorageError: the operating system refused.

    """
    with reporting("read", path):
        try:
            with path.open("rb", buffering=0) as file:
                data = file.read() if os.fstat(file.fileno()).st_size <= limit else None
        except (FileNotFoundError, NotADirectoryError):
            return None
    if data is None or len(data) > limit:
        raise CorruptError(
            f"the file is larger than {limit} bytes", where=str(path), remedy="Restore it from a backup or a mirror"
        )
    return data


def remove_leftovers(folder: Path, name: str = "*") -> int:
    """Remove temporary files that a crash left beside a file of this name (or any); return how many.

    Only for a folder in which nobody writes at the moment. A folder that is not there has none.

    Raises:
        StorageError: the operating system refused.

    """
    with reporting("list", folder):
        leftovers = list(folder.glob(f".{name}.*.tmp"))
    for leftover in leftovers:
        remove_file(leftover)
    return len(leftovers)


def remove_file(path: Path) -> bool:
    """Remove a file if it is there; tells whether it was. Durable only after its directory was synced.

    Raises:
        StorageError: the operating system refused.

    """
    with reporting("remove", path):
        try:
            path.unlink()
        except FileNotFoundError:
            return False
    return True


def hold(path: Path, refusal: str) -> int:
    """Open a file and take its advisory lock (flock) without waiting; closing the descriptor returned gives it up.

    Raises:
        RefusedStartError: somebody has it, in this process or another.
        StorageError: the operating system refused.

    """
    with reporting("open", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).strip().decode("ascii", "replace")
        os.close(descriptor)
        named = f" (process {holder})" if holder.isdigit() else ""
        raise RefusedStartError(
            f"{refusal}{named}", where=str(path), remedy="Stop it first: two writers would fork the log"
        ) from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _replace_group(group: list[tuple[Path, bytes]], mode: int) -> None:
    staged: list[StagedFile] = []
    try:
        with reporting("write", group[0][0].parent):
            for path, data in group:
                file = StagedFile(path, mode)
                staged.append(file)
                file.write(data)
            for file in staged:
                file.sync()
            for file in staged:
                file.rename()
    finally:
        for file in staged:
            file.discard()
