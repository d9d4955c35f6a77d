"""Documents beside the log, by the SHA-256 of their bytes (DESIGN rule 9, sections 4 and 9).

Owns a folder with 256 folders in it: `ab/<digest>` holds one line of JSON with the access grade, then the bytes. Trusts
nothing read back: bytes are digested again on every read. Erasing puts a tombstone, the line alone with when and why,
in the file's place, so a tombstone means that the bytes are gone; the digest in the log remains, and replaying the log
never needs a document (DESIGN rule 3).
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Final, Literal

from ledger.errors import CorruptError, LedgerError, MalformedError
from ledger.store.durable import (
    StorageError,
    make_directories,
    read_bounded,
    remove_leftovers,
    replace_file,
    replace_files,
    reporting,
    sync_directory,
)

MAX_DOCUMENT: Final = 1 << 20
MAX_REASON: Final = 200
GRADES: Final = ("public", "private")
_MAX_NOTE: Final = 4096
_DIGEST_SIZE: Final = 32

State = Literal["present", "missing", "erased", "altered"]


class DocumentMissingError(LedgerError):
    """The store does not have the document."""

    code: ClassVar[str] = "document-missing"


class DocumentErasedError(LedgerError):
    """The document was erased; `at` (Unix seconds) and `reason` say when and why."""

    code: ClassVar[str] = "document-erased"

    def __init__(self, digest: bytes, at: int, reason: str) -> None:
        super().__init__(
            f"the document was erased at {at}: {reason}",
            where=digest.hex(),
            remedy="Ask the document's holder for a copy; its digest in the log still proves it",
        )
        self.at = at
        self.reason = reason


class DocumentAlteredError(CorruptError):
    """The stored bytes are not those that the digest names."""

    code: ClassVar[str] = "document-altered"


class DocumentsFullError(StorageError):
    """What is left of the disk is kept for the log: nobody's documents may stop the journal."""

    code: ClassVar[str] = "documents-full"


class DocumentGradeError(LedgerError):
    """The document is already stored under another access grade, which a second upload does not change."""

    code: ClassVar[str] = "document-grade"


@dataclass(frozen=True, slots=True)
class _Note:
    """The line before the bytes. `erased` is (Unix seconds, reason), None while the document lives."""

    grade: str
    erased: tuple[int, str] | None = None

    def encode(self) -> bytes:
        value: dict[str, object] = {"grade": self.grade}
        if self.erased is not None:
            value["erased"] = list(self.erased)
        return json.dumps(value, sort_keys=True).encode()


class DocumentFolder:
    """Content-addressed documents in a folder; safe from several threads and processes at once."""

    __slots__ = ("_folder", "_reserve")

    def __init__(self, folder: Path, reserve: int = 0) -> None:
        """`reserve` bytes of the disk stay free: documents that would go into them are refused."""
        make_directories(folder, 0o700)
        self._folder = folder
        self._reserve = reserve

    def put(self, data: bytes, grade: str) -> bytes:
        """Store a document durably and return its digest (32 bytes).

        The same bytes again are no error, and mend a copy that was lost or altered.

        Raises:
            MalformedError: empty, over 1 MiB, or an unknown grade.
            DocumentErasedError: it was erased; it does not come back.
            DocumentGradeError: it is stored under another grade.
            DocumentsFullError: what is left of the disk is kept for the log.
            StorageError: the operating system refused.

        """
        (stored,) = self.put_many([data], grade)
        if isinstance(stored, LedgerError):
            raise stored
        return stored

    def put_many(self, documents: Sequence[bytes], grade: str) -> list[bytes | LedgerError]:
        """Store documents durably, synced together; for each its digest, or the error that `put` would raise.

        Raises:
            MalformedError: an unknown grade; nothing was stored.
            DocumentsFullError: what is left of the disk is kept for the log; nothing was stored.
            StorageError: the operating system refused; some may be stored, and putting them again is safe.

        """
        if grade not in GRADES:
            raise MalformedError(f"the access grade is one of {', '.join(GRADES)}", where="grade")
        answers: list[bytes | LedgerError] = []
        files: list[tuple[Path, bytes]] = []
        with self._writing():
            for data in documents:
                try:
                    answers.append(self._stage(data, grade, files))
                except LedgerError as error:
                    answers.append(error)
            self._keep_reserve(sum(len(data) for _, data in files))
            for folder in {path.parent for path, _ in files}:
                make_directories(folder, 0o700)
            replace_files(files, 0o600)
        return answers

    def _keep_reserve(self, wanted: int) -> None:
        if not wanted or not self._reserve:
            return
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize
        if free - wanted < self._reserve:
            raise DocumentsFullError(
                f"no room for documents: {free} bytes of the disk are free, {self._reserve} are kept for the log",
                where="documents",
                remedy="Put it later; the operator adds disk or lowers log.reserve",
            )

    def _stage(self, data: bytes, grade: str, files: list[tuple[Path, bytes]]) -> bytes:
        """Check one document, and add what must be written for it to `files`."""
        if not 0 < len(data) <= MAX_DOCUMENT:
            raise MalformedError(
                f"a document has 1 to {MAX_DOCUMENT} bytes, not {len(data)}", where="document", remedy="Split it"
            )
        digest = sha256(data).digest()
        path = self._path(digest)
        note, stored = _read(path)
        if note is not None and note.erased is not None:
            raise DocumentErasedError(digest, *note.erased)
        if note is not None and note.grade != grade:
            raise DocumentGradeError(
                f"the document is stored as {note.grade}", where=digest.hex(), remedy=f"Put it as {note.grade}"
            )
        if stored != data:
            files.append((path, _Note(grade).encode() + b"\n" + data))
        return digest

    def get(self, digest: bytes) -> bytes:
        """Return a document's bytes, checked against the digest.

        Raises:
            DocumentMissingError, DocumentErasedError, DocumentAlteredError: why there are none.
            MalformedError: not a digest. CorruptError: an unreadable note. StorageError: the system refused.

        """
        path = self._path(digest)
        note, data = _read(path)
        if note is None:
            raise _missing(digest)
        if note.erased is not None:
            raise DocumentErasedError(digest, *note.erased)
        if sha256(data).digest() != digest:
            raise DocumentAlteredError(
                "the stored bytes are not those that the digest names",
                where=str(path),
                remedy="Put the document again from its holder's copy",
            )
        return data

    def grade(self, digest: bytes) -> str:
        """Return the access grade, also of an erased document.

        Raises:
            DocumentMissingError: never stored. Else as `get`.

        """
        note, _ = _read(self._path(digest))
        if note is None:
            raise _missing(digest)
        return note.grade

    def state(self, digest: bytes) -> State:
        """Tell what `get` would answer, as a word; errors as `get` for what is neither."""
        try:
            self.get(digest)
        except DocumentMissingError:
            return "missing"
        except DocumentErasedError:
            return "erased"
        except DocumentAlteredError:
            return "altered"
        return "present"

    def erase(self, digest: bytes, at: int, reason: str) -> None:
        """Remove a document's bytes for good and leave a tombstone. Again: nothing changes, the first one stands.

        The bytes are unlinked, not overwritten: what the disk or its backups keep below the file system is not ours
        to reach.

        Raises:
            DocumentMissingError: never stored.
            MalformedError: not a digest, a negative time, an empty reason or one over 200 characters.
            StorageError: the operating system refused; to be called again.

        """
        if not 0 < len(reason) <= MAX_REASON or not reason.isprintable():
            raise MalformedError(f"a reason has 1 to {MAX_REASON} printable characters", where="reason")
        if at < 0:
            raise MalformedError("a time is a count of Unix seconds", where="at")
        path = self._path(digest)
        with self._writing():
            note, _ = _read(path)
            if note is None:
                raise _missing(digest)
            if remove_leftovers(path.parent, path.name):  # of a put cut short by a crash
                sync_directory(path.parent)
            if note.erased is None:
                replace_file(path, _Note(note.grade, (at, reason)).encode() + b"\n", 0o600)

    def _path(self, digest: bytes) -> Path:
        if len(digest) != _DIGEST_SIZE:
            raise MalformedError(f"a digest has {_DIGEST_SIZE} bytes, not {len(digest)}", where="digest")
        name = digest.hex()
        return self._folder / name[:2] / name

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time, threads and processes alike: a put must not overtake an erase of the same bytes."""
        path = self._folder / "writing"
        with reporting("lock the document store", path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with reporting("lock the document store", path):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            with suppress(OSError):
                os.close(descriptor)


def _missing(digest: bytes) -> DocumentMissingError:
    return DocumentMissingError(
        "the document is not in this store", where=digest.hex(), remedy="Put it, or ask its holder for a copy"
    )


def _read(path: Path) -> tuple[_Note | None, bytes]:
    """Read note and bytes, accepting only a note that we write; (None, b"") where there is no file."""
    content = read_bounded(path, _MAX_NOTE + MAX_DOCUMENT)
    if content is None:
        return None, b""
    line, _, data = content.partition(b"\n")
    note = None
    with suppress(ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        value = json.loads(line[:_MAX_NOTE])
        grade, erased = str(value["grade"]), value.get("erased")
        note = _Note(grade, None if erased is None else (int(erased[0]), str(erased[1])))
    if note is None or note.grade not in GRADES or note.encode() != line or (note.erased and data):
        raise CorruptError(
            "the note before a document is unreadable", where=str(path), remedy="Restore it from a backup"
        )
    return note, data
