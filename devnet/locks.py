"""Locks that tell whether a process is alive.

A lock here is an flock on a file that the process keeps open. The kernel drops it when the process dies, however it
dies, so "the lock is held" means "the process lives" without trusting a process number that may have been used again.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.errors import UnavailableError


def try_lock(path: Path) -> int | None:
    """Open `path` and take its lock; the file descriptor, or None where a living process holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def take_lock(path: Path, *, seconds: float = 1.0) -> int | None:
    """Take the lock as `try_lock`, but outwait somebody who only looks whether it is held."""
    end = time.monotonic() + seconds
    while (handle := try_lock(path)) is None:
        if time.monotonic() > end:
            return None
        time.sleep(0.005)
    return handle


def is_held(path: Path) -> bool:
    """Tell whether a living process holds the lock of `path`."""
    if not path.exists():
        return False
    handle = try_lock(path)
    if handle is None:
        return True
    os.close(handle)
    return False


@contextmanager
def held(path: Path, *, seconds: float) -> Iterator[None]:
    """Hold the lock of `path`; UnavailableError when it is not free within `seconds`."""
    handle = take_lock(path, seconds=seconds)
    if handle is None:
        raise UnavailableError(f"another process has held the lock for {seconds:.0f} s", where=str(path))
    try:
        yield
    finally:
        os.close(handle)
