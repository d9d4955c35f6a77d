"""The journal: every entry is durable here before anybody is told its index (DESIGN rule 5, section 6).

Owns a folder of segments named `<index of the first entry, 20 digits>.journal`. A segment is a sequence of records:
length of the entry (uint32, big-endian), CRC32C over length and entry (uint32, big-endian), entry. A group is appended
by one write and made durable by one fdatasync. Trusts that only one process writes (`ledger.store.lock`).

Reading stops rather than guesses. Only the tail of the last segment may be torn, by a crash before the group was
acknowledged: it is cut, and its length reported. A bad record with any valid one after it, a bad record in an earlier
segment, or a gap between segments is damage to acknowledged entries: CorruptError.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Final, Self

import google_crc32c

from ledger.errors import CorruptError, MalformedError
from ledger.store.durable import StorageError, make_directories, reporting, sync_directory, write_all

MAX_ENTRY: Final = 0xFFFF
SEGMENT_SIZE: Final = 64 * 1024 * 1024
"""A segment that has reached this many bytes takes no further group."""

_HEADER = struct.Struct(">II")
_LENGTH = struct.Struct(">I")
_NAME = re.compile(r"([0-9]{20})\.journal", re.ASCII)
_READ: Final = 1 << 20
_MAX_INDEX: Final = 2**64 - 1
# Where a record could begin: a length from 1 to 65,535. Zero-width, so that overlapping places are all found.
_CANDIDATE = re.compile(rb"(?=\x00\x00(?:[^\x00].|\x00[^\x00]))", re.DOTALL)
_REMEDY_LAST: Final = (
    "Do not start the node on it. Either acknowledged entries are damaged, or a crash stored a group of several records"
    " out of order before it was acknowledged; nothing on this disk can tell which. Compare with a mirror and with the"
    " acknowledgements that submitters hold; restore from the newest backup or mirror"
)
_REMEDY: Final = "Do not start the node on it; restore the journal and tiles from a mirror, then run tial log fsck"


@dataclass(slots=True)
class _Segment:
    """One file: index of its first entry, number of entries, bytes."""

    first: int
    count: int
    size: int
    path: Path


class Journal:
    """The open journal of one log. Not for use by several threads at once, save `replay` of what is already there."""

    __slots__ = ("_descriptor", "_failure", "_folder", "_segment_size", "_segments", "torn_bytes")

    def __init__(self, folder: Path, segments: list[_Segment], segment_size: int, torn_bytes: int) -> None:
        self._folder = folder
        self._segments = segments
        self._segment_size = segment_size
        self._failure: str | None = None
        self.torn_bytes = torn_bytes
        """Bytes of an unacknowledged, torn tail that opening cut off."""
        with reporting("open the journal", segments[-1].path):
            self._descriptor = os.open(segments[-1].path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                # What a killed process wrote is readable now but perhaps not on the disk: it is shown only once it is.
                os.fsync(self._descriptor)
            except OSError:
                os.close(self._descriptor)
                raise
        sync_directory(folder)

    @classmethod
    def open(cls, folder: Path, *, start: int = 0, segment_size: int = SEGMENT_SIZE) -> Journal:
        """Open a journal, checking every record; an empty folder becomes a journal that begins at index `start`.

        Raises:
            CorruptError: damage that is not a torn tail of the last segment.
            StorageError: the operating system refused.

        """
        make_directories(folder)
        segments = _find_segments(folder)
        if not segments:
            segments = [_create_segment(folder, start)]
        return cls(folder, segments, segment_size, _measure_all(segments, cut=True))

    @property
    def first_index(self) -> int:
        """Index of the oldest entry still held; equal to `next_index` when there is none."""
        return self._segments[0].first

    @property
    def next_index(self) -> int:
        """Index that the next appended entry gets."""
        return self._segments[-1].first + self._segments[-1].count

    @property
    def failed(self) -> bool:
        """Whether an append failed, after which this object takes no more."""
        return self._failure is not None

    def append(self, entries: Sequence[bytes]) -> int:
        """Make a group durable with one write and one fdatasync; return the index of its first entry.

        An empty group changes nothing. After any StorageError the journal is unusable: whether the disk holds the group
        is unknown, so it must be opened again, which tells.

        Raises:
            MalformedError: an entry is empty or longer than 65,535 bytes; nothing was written.
            StorageError: the write or the sync failed, now or earlier.

        """
        if self._failure is not None:
            raise StorageError(
                f"the journal is unusable since an earlier failure: {self._failure}",
                where=str(self._folder),
                remedy="Stop the node, mend the disk, start it again",
            )
        first = self.next_index
        if not entries:
            return first
        data = encode_records(entries)
        try:
            if self._segments[-1].size >= self._segment_size:
                self._rotate()
            segment = self._segments[-1]
            with reporting("append to the journal", segment.path):
                write_all(self._descriptor, data)
                os.fdatasync(self._descriptor)
        except BaseException as error:  # an interrupt in the middle of a write leaves the same doubt as an I/O error
            self._failure = str(error) or type(error).__name__
            self._cut_back()
            raise
        segment.size += len(data)
        segment.count += len(entries)
        return first

    def replay(self, from_index: int) -> Iterator[tuple[int, bytes]]:
        """Yield (index, entry) from an index on, up to what the journal holds now, one MiB in memory at a time.

        Raises:
            CorruptError: the journal does not reach that index, on either side, or a record went bad since opening.
            StorageError: the operating system refused.

        """
        if not self.first_index <= from_index <= self.next_index:
            raise CorruptError(
                f"entry {from_index} is outside the journal, which holds {self.first_index} to {self.next_index - 1}",
                where=str(self._folder),
                remedy=_REMEDY,
            )
        held = [_Segment(s.first, s.count, s.size, s.path) for s in self._segments if s.first + s.count > from_index]
        return _replay(held, from_index)

    def drop_before(self, index: int) -> int:
        """Delete the segments that hold only entries below `index`, oldest first; return how many.

        The segment being written is always kept.

        Raises:
            StorageError: the operating system refused; what was deleted leaves no gap.

        """
        dropped = 0
        while len(self._segments) > 1 and self._segments[1].first <= index:
            with reporting("delete the segment", self._segments[0].path):
                self._segments[0].path.unlink(missing_ok=True)
            del self._segments[0]
            dropped += 1
        if dropped:
            sync_directory(self._folder)
        return dropped

    def close(self) -> None:
        """Close the file; everything appended is already durable."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._failure = self._failure or "it was closed"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _rotate(self) -> None:
        segment = _create_segment(self._folder, self.next_index)
        with reporting("open the journal", segment.path):
            descriptor = os.open(segment.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._segments.append(segment)

    def _cut_back(self) -> None:
        """Remove what a failed append may have left. If this fails too, opening again finds and cuts a torn tail."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, self._segments[-1].size)
            os.fsync(self._descriptor)


@dataclass(frozen=True, slots=True)
class JournalCopy:
    """A journal that is only looked at: what it holds, and the length of a torn tail that opening it would cut."""

    first_index: int
    next_index: int
    torn_bytes: int
    segments: tuple[_Segment, ...]

    def entries(self, from_index: int) -> Iterator[tuple[int, bytes]]:
        """Yield (index, entry) from an index on, one MiB in memory at a time; CorruptError as `Journal.replay`."""
        return _replay([s for s in self.segments if s.first + s.count > from_index], from_index)


def look_at(folder: Path) -> JournalCopy:
    """Check every record of a journal without changing anything; one that is absent or empty holds nothing.

    Raises:
        CorruptError: damage that is not a torn tail of the last segment.
        StorageError: the operating system refused.

    """
    segments = _find_segments(folder)
    if not segments:
        return JournalCopy(0, 0, 0, ())
    torn = _measure_all(segments, cut=False)
    last = segments[-1]
    return JournalCopy(segments[0].first, last.first + last.count, torn, tuple(segments))


class _Records:
    """Reads the records of one segment in order, in batches of about a MiB, and stops at the first bad byte."""

    __slots__ = ("_file", "_limit", "offset")

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._limit = limit
        self.offset = 0
        """End of the last good record: equal to the limit once all was read and good."""

    def batches(self) -> Iterator[list[bytes]]:
        buffer = b""
        read = 0
        while read < self._limit:
            chunk = self._file.read(min(_READ, self._limit - read))
            if not chunk:
                return
            read += len(chunk)
            buffer += chunk
            entries, used, good = _split(buffer)
            self.offset += used
            if entries:
                yield entries
            if not good:
                return
            buffer = buffer[used:]


def segment_name(first: int) -> str:
    """File name of the segment whose first entry is `first`."""
    return f"{first:020d}.journal"


def encode_records(entries: Sequence[bytes]) -> bytes:
    """Join the records of a group (hot path: about half a microsecond an entry); MalformedError as `append`."""
    pack, extend, seed = _HEADER.pack, google_crc32c.extend, _length_crc
    parts = []
    for position, entry in enumerate(entries):
        length = len(entry)
        if not 0 < length <= MAX_ENTRY:
            raise MalformedError(f"an entry has 1 to {MAX_ENTRY} bytes, not {length}", where=f"entry {position}")
        parts.append(pack(length, extend(seed(length), entry)))
        parts.append(entry)
    return b"".join(parts)


@lru_cache(maxsize=4096)
def _length_crc(length: int) -> int:
    """CRC32C of the four length bytes, with which the checksum of a record begins."""
    return int(google_crc32c.value(_LENGTH.pack(length)))


def _split(buffer: bytes) -> tuple[list[bytes], int, bool]:
    """Split whole records off a buffer: (entries, bytes used, False if the next record is certainly bad)."""
    unpack, extend, seed = _HEADER.unpack_from, google_crc32c.extend, _length_crc
    entries: list[bytes] = []
    at, end = 0, len(buffer)
    while at + _HEADER.size <= end:
        length, checksum = unpack(buffer, at)
        start = at + _HEADER.size
        if not 0 < length <= MAX_ENTRY:
            return entries, at, False
        if start + length > end:
            break
        entry = buffer[start : start + length]
        if extend(seed(length), entry) != checksum:
            return entries, at, False
        entries.append(entry)
        at = start + length
    return entries, at, True


def _find_segments(folder: Path) -> list[_Segment]:
    segments = []
    with reporting("list the journal", folder):
        paths = sorted(folder.glob("*.journal"))
    for path in paths:
        match = _NAME.fullmatch(path.name)
        if match is None or int(match[1]) > _MAX_INDEX:
            raise CorruptError("not the name of a journal segment", where=str(path), remedy="Move the file elsewhere")
        segments.append(_Segment(int(match[1]), 0, 0, path))
    return segments


def _create_segment(folder: Path, first: int) -> _Segment:
    path = folder / segment_name(first)
    with reporting("create a journal segment", path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
    sync_directory(folder)
    return _Segment(first, 0, 0, path)


def _measure_all(segments: list[_Segment], *, cut: bool) -> int:
    """Measure every segment and check that they join; return the length of the torn tail."""
    torn = 0
    for segment, following in zip(segments, [*segments[1:], None], strict=True):
        torn = _measure(segment, last=following is None, cut=cut)
        if following is not None and segment.first + segment.count != following.first:
            raise CorruptError(
                f"the journal has entries {segment.first} to {segment.first + segment.count - 1}, then goes on"
                f" at {following.first}",
                where=str(following.path),
                remedy=_REMEDY,
            )
    return torn


def _measure(segment: _Segment, *, last: bool, cut: bool = True) -> int:
    """Check every record of a segment and note count and size; return the length of a torn tail, of the last one only.

    With `cut` the torn tail is removed.
    """
    with reporting("read the journal", segment.path), segment.path.open("rb") as file:
        limit = os.fstat(file.fileno()).st_size
        records = _Records(file, limit)
        for entries in records.batches():
            segment.count += len(entries)
        segment.size = records.offset
        torn = limit - records.offset
        if torn and not (last and not _holds_record(file, records.offset + 1, limit)):
            raise CorruptError(
                f"record of entry {segment.first + segment.count} is damaged, and it is not a torn tail: whole records"
                " follow it",
                where=f"{segment.path} at byte {records.offset}",
                remedy=_REMEDY if not last else _REMEDY_LAST,
            )
    if torn and cut:
        with reporting("cut the torn tail", segment.path), segment.path.open("r+b") as file:
            file.truncate(segment.size)
            os.fsync(file.fileno())
    return torn


def _holds_record(file: BinaryIO, start: int, limit: int) -> bool:
    """Whether a valid record begins anywhere from `start` on.

    By chance one does at one place in 2**48. A submitter can put one inside a statement; if a crash tears exactly that
    record the node stops and asks for an operator, which is the safe side: the other would drop acknowledged entries.
    """
    if start >= limit:
        return False
    with mmap.mmap(file.fileno(), limit, access=mmap.ACCESS_READ) as view:
        for match in _CANDIDATE.finditer(view, start):
            at = match.start()
            length = _LENGTH.unpack_from(view, at)[0]
            if at + _HEADER.size + length <= limit and _split(view[at : at + _HEADER.size + length])[0]:
                return True
    return False


def _replay(segments: list[_Segment], from_index: int) -> Iterator[tuple[int, bytes]]:
    for segment in segments:
        index = segment.first
        with reporting("read the journal", segment.path), segment.path.open("rb") as file:
            records = _Records(file, segment.size)
            for entries in records.batches():
                skipped = max(from_index - index, 0)
                if skipped < len(entries):
                    yield from enumerate(entries[skipped:], index + skipped)
                index += len(entries)
        if index != segment.first + segment.count:
            raise CorruptError(
                f"record of entry {index} went bad since the journal was opened",
                where=f"{segment.path} at byte {records.offset}",
                remedy=_REMEDY,
            )
