"""Promise files: where a submitter's acknowledgements are kept, a line for each, only ever added to.

Owns the files and what is safe about them: a line that was cut off by a crash harms no other. What a line holds is
`ledger.evidence.promise`'s; whether a promise was kept is `node.promises`'.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from ledger.errors import MalformedError, UnavailableError
from ledger.evidence.promise import MAX_LINE, Kept
from ledger.store.durable import StorageError

_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


class PromiseFile:
    """A file that lines are added to; it is made when the first one comes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: BinaryIO | None = None

    def add(self, *kept: Kept, instead: int | None = None) -> int:
        """Add lines; with `instead`, the place of the newest one, in its stead. Returns the place of the first.

        StorageError where the operating system refuses.
        """
        lines = b"".join(one.encode() for one in kept)
        try:
            if self._stream is None:
                self._stream = _opened(self._path)
            stream = self._stream
            place = stream.seek(0, os.SEEK_END) if instead is None else stream.seek(instead)
            stream.write(lines)
            stream.truncate()
            stream.flush()
            os.fsync(stream.fileno())
        except OSError as error:
            raise StorageError(f"The promise cannot be kept: {error.strerror}", where=str(self._path)) from error
        return place

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _opened(path: Path) -> BinaryIO:
    """Open for adding; a line that was cut off is ended, so that the next one stands for itself."""
    stream = os.fdopen(os.open(path, _OPEN, 0o600), "r+b")
    if stream.seek(0, os.SEEK_END):
        stream.seek(-1, os.SEEK_END)
        if stream.read(1) != b"\n":
            stream.write(b"\n")
    return stream


def read_promises(path: Path) -> Iterator[Kept | MalformedError]:
    """Read a file line by line: what each holds, or what is wrong with it.

    Raises UnavailableError where the file cannot be read.
    """
    number = 0
    try:
        with path.open("rb") as stream:
            while line := stream.readline(MAX_LINE + 2):
                number += 1
                try:
                    yield Kept.decode(line)
                except MalformedError as error:
                    yield MalformedError(error.detail, where=f"{path}, line {number}", remedy=error.remedy)
                    if not line.endswith(b"\n") and len(line) > MAX_LINE:
                        return
    except OSError as error:
        raise UnavailableError(f"The file cannot be read: {error.strerror}", where=str(path)) from error
