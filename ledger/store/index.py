"""The rebuildable index of one log in LevelDB (DESIGN rule 7 and section 9): everything here follows from the log.

Owns the LevelDB folder and its key layout. Trusts nothing it could not rebuild: whatever is wrong here is answered by
`tial index rebuild`, never by a repair. The number of entries covered is written in the same atomic batch as the data,
so after a crash the index is whole at some earlier size and goes on from there; writes are therefore not synced.

Keys begin with one byte for the keyspace; integers are uint64, big-endian, so that LevelDB's order is theirs.

| key | value |
|---|---|
| `00` "covers" | number of entries covered |
| `00` "format" | version of this layout |
| `62` batch number (8) | index of its manifest |
| `68` record key (32), count (8) | index of the count-th entry that touched it, for all but the newest |
| `6d` manifest index (8) | batch number |
| `72` record key (32) | encoded record, which names the newest entry that touched it |
| `73`, `74`, `78`, `79` ..., `00` "tree" | the state tree: `ledger.store.state_tree` |

So an identifier that was registered and left alone costs one key. An act needs none: a statement names its record and,
by `seq`, its place in that record's history.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import plyvel

from ledger.errors import CorruptError, MalformedError
from ledger.statements.cbor import decode
from ledger.store.durable import StorageError, hold, make_directories
from ledger.store.filter import MAX_KEYS, KeyFilter
from ledger.store.state_tree import META, PAGES, Retention, StateTree

FORMAT: Final = 2
_COVERS: Final = b"\x00covers"
_FORMAT: Final = b"\x00format"
_BATCH: Final = b"b"
_FILTER_FILE: Final = "keys.filter"
_WORTH_SAVING: Final = 100_000  # entries: below, making the filter anew is quicker than reading it
_HISTORY: Final = b"h"
_MANIFEST: Final = b"m"
_RECORD: Final = b"r"
_KEY_SIZE: Final = 32
_MAX_UINT64: Final = 2**64 - 1
_U64 = struct.Struct(">Q")
_REMEDY: Final = "Run tial index rebuild: the index holds nothing that the log does not"

# LevelDB maps every open table into memory, so open tables times their size bounds what reads can make resident: 256 of
# 2 MiB are 512 MiB however large the index grows. Reads of a larger index open tables again, and that costs as much as
# the index of a table is long: 80 us with tables of 8 MiB, a quarter of it with these, 5 us where the table is open.
# Filters of 10 bits a key (1 % false positives) answer for keys never seen; digests do not compress.
_TUNING: Final[dict[str, Any]] = {
    "write_buffer_size": 16 * 1024 * 1024,
    "lru_cache_size": 32 * 1024 * 1024,
    "max_file_size": 2 * 1024 * 1024,
    "max_open_files": 256,
    "bloom_filter_bits": 10,
    "compression": None,
    "paranoid_checks": True,
}


@dataclass(frozen=True, slots=True)
class IndexUpdate:
    """What one or more groups of entries change in the index; applied as a whole or not at all.

    `covers`: number of entries covered afterwards. `records`: (key, 32 bytes; encoded record). `history`: (record key,
    count, entry index): the count-th statement that touched the record, once a newer one has. `batches`: (batch number,
    index of its manifest).
    """

    covers: int
    records: Sequence[tuple[bytes, bytes]] = ()
    history: Sequence[tuple[bytes, int, int]] = ()
    batches: Sequence[tuple[int, int]] = ()


class Index:
    """The open index. One process at a time; reads may come from any thread."""

    __slots__ = ("_covers", "_database", "_filter", "_holding", "_path", "tree")

    def __init__(self, path: Path, database: Any, covers: int, holding: int, retention: Retention) -> None:
        self._path = path
        self._database = database
        self._covers = covers
        self._holding = holding
        self._filter = self._open_filter()
        self.tree = StateTree(database, self._get, path, retention)
        """The state tree over the records, as far as the index covers the log."""

    @classmethod
    def open(cls, path: Path, retention: Retention | None = None) -> Index:
        """Open the index, or create an empty one that covers no entry; `retention` is what its state tree keeps.

        Raises:
            CorruptError: LevelDB finds it damaged, or it has another layout; the remedy is to rebuild it.
            RefusedStartError: another process, or this one, has it open.
            StorageError: the operating system refused.

        """
        make_directories(path)
        holding = _hold(path)
        try:
            with _explaining(path):
                database = plyvel.DB(str(path), create_if_missing=True, **_TUNING)
                try:
                    return cls(path, database, _check_format(path, database), holding, retention or Retention())
                except BaseException:
                    database.close()
                    raise
        except BaseException:
            os.close(holding)
            raise

    @staticmethod
    def destroy(path: Path) -> None:
        """Delete the whole index, so that it can be rebuilt; nothing happens where there is none.

        Raises:
            RefusedStartError: it is open somewhere.
            StorageError: the operating system refused.

        """
        if path.is_dir():
            holding = _hold(path)
            try:
                with _explaining(path):
                    plyvel.destroy_db(str(path))
            finally:
                os.close(holding)

    @property
    def covers(self) -> int:
        """How many entries of the log are accounted for."""
        return self._covers

    def record(self, key: bytes) -> bytes | None:
        """Return the encoded record under a 32-byte key, None where there is none; CorruptError as `open`."""
        if self._filter is not None and not self._filter.may_hold(key):
            return None
        return self._get(_RECORD + key)

    def history(self, key: bytes, start: int, limit: int) -> list[int]:
        """Return the entry indexes of the statements that touched a record.

        From the `start`-th on (the first is 1), in order, at most `limit`. CorruptError as `open`.
        """
        record = self.record(key)
        if record is None or limit <= 0 or not 0 <= start <= _MAX_UINT64:
            return []
        touches, _, last, *_ = decode(record)
        prefix = _HISTORY + key
        found: list[int] = []
        with _explaining(self._path):
            rows = self._database.iterator(
                start=prefix + _U64.pack(start),
                stop=prefix + _U64.pack(touches),  # the newest is in the record, whatever is applied meanwhile
                include_key=False,
                verify_checksums=True,
            )
            with rows:
                for value in rows:
                    found.append(_index_of(value))
                    if len(found) == limit:
                        return found
        return [*found, last] if start <= touches else []

    def manifest_of_batch(self, number: int) -> int | None:
        """Return the entry index of the manifest that closed a batch, None if there is no such batch."""
        if not 0 <= number <= _MAX_UINT64:
            return None
        return _as_index(self._get(_BATCH + _U64.pack(number)))

    def batch_of_entry(self, index: int) -> tuple[int, int] | None:
        """Return (batch number, manifest index) for the smallest manifest index >= `index`; None while it is open."""
        if not 0 <= index <= _MAX_UINT64:
            return None
        with _explaining(self._path):
            rows = self._database.iterator(
                start=_MANIFEST + _U64.pack(index),
                stop=_MANIFEST + b"\xff" * _U64.size,
                include_stop=True,
                verify_checksums=True,
            )
            with rows:
                for key, value in rows:
                    return _index_of(value), _index_of(key[1:])
        return None

    def apply(self, update: IndexUpdate) -> None:
        """Apply an update and its marker in one atomic batch.

        Raises:
            CorruptError: the update ends before what is covered already, or LevelDB found damage.
            MalformedError: a key has not 32 bytes, a number is no uint64, a batch closes out of order; nothing was
                applied.
            StorageError: the operating system refused.

        """
        if update.covers < self._covers:
            raise CorruptError(
                f"the index covers {self._covers} entries, the update only {update.covers}",
                where=str(self._path),
                remedy=_REMEDY,
            )
        with _explaining(self._path):
            batch = self._database.write_batch()
            try:
                _fill(batch.put, update)
            except struct.error as error:
                raise MalformedError(f"not an unsigned 64-bit integer: {error}", where="index update") from error
            if self._filter is not None:  # before the write: a reader may look as soon as it is done
                self._filter.add(key for key, _ in update.records)
            try:
                self.tree.stage(batch, update.covers, update.records, [number for number, _ in update.batches])
                batch.write()
            except BaseException:
                self.tree.forget()
                raise
        self.tree.settle()
        self._covers = update.covers

    def dump(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield every (key, value) in key order: two indexes of the same log give the same sequence.

        Without the state tree: which of its older pages are left depends on how the log was fed, its root does not.
        """
        with (
            _explaining(self._path),
            self._database.iterator(stop=PAGES, verify_checksums=True, fill_cache=False) as rows,
        ):
            for key, value in rows:
                if key != META:
                    yield key, value

    def checksum(self) -> bytes:
        """SHA-256 over the dump, each key and value with its length (uint32, big-endian) in front."""
        digest = hashlib.sha256()
        for key, value in self.dump():
            digest.update(b"%b%b%b%b" % (len(key).to_bytes(4, "big"), key, len(value).to_bytes(4, "big"), value))
        return digest.digest()

    def close(self) -> None:
        """Close the database; what was applied has been handed to the operating system."""
        if self._filter is not None and self._covers >= _WORTH_SAVING and not self._database.closed:
            with suppress(StorageError):  # on a full disk it is made again from the keys at the next opening
                self._filter.save(self._path / _FILTER_FILE, self._covers)
        self._filter = None
        self._database.close()
        if self._holding >= 0:
            os.close(self._holding)
            self._holding = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _open_filter(self) -> KeyFilter | None:
        """The saved filter where it fits, else one made from the keys; none for an index too large for it."""
        if self._covers > MAX_KEYS:
            return None
        saved = KeyFilter.take(self._path / _FILTER_FILE, self._covers)
        if saved is not None:
            return saved
        made = KeyFilter()
        rows = self._database.iterator(prefix=_RECORD, include_value=False, fill_cache=False)
        with _explaining(self._path), rows as keys:
            made.add(key[1:] for key in keys)
        return made

    def _get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._database.get(key, verify_checksums=True)
        except (plyvel.Error, RuntimeError) as error:
            raise _explained(error, self._path) from error
        return value


def _hold(path: Path) -> int:
    """Take our own advisory lock: LevelDB's is lost when the same process merely tries to open the index again."""
    return hold(path / "writer.lock", "the index is in use")


def _fill(put: Any, update: IndexUpdate) -> None:
    """Put an update into a write batch (hot path: one key for most entries)."""
    pack = _U64.pack
    for key, record in update.records:
        if len(key) != _KEY_SIZE:
            raise _wrong_key("records", key)
        put(_RECORD + key, record)
    for key, count, index in update.history:
        if len(key) != _KEY_SIZE:
            raise _wrong_key("history", key)
        put(_HISTORY + key + pack(count), pack(index))
    for number, manifest in update.batches:
        put(_BATCH + pack(number), pack(manifest))
        put(_MANIFEST + pack(manifest), pack(number))
    put(_COVERS, pack(update.covers))


def _wrong_key(where: str, key: bytes) -> MalformedError:
    return MalformedError(f"a key of the index has {_KEY_SIZE} bytes, not {len(key)}", where=f"index update, {where}")


def _check_format(path: Path, database: Any) -> int:
    """Return the number of entries covered, after marking a new index or checking the mark of an old one."""
    found = database.get(_FORMAT)
    if found is None:
        with database.iterator(include_value=False) as keys:
            if next(keys, None) is None:
                with database.write_batch(sync=True) as batch:
                    batch.put(_FORMAT, _U64.pack(FORMAT))
                    batch.put(_COVERS, _U64.pack(0))
                return 0
    if found != _U64.pack(FORMAT):
        raise CorruptError(f"the index is not of layout version {FORMAT}", where=str(path), remedy=_REMEDY)
    covers = _as_index(database.get(_COVERS))
    if covers is None:
        raise CorruptError("the index does not say how many entries it covers", where=str(path), remedy=_REMEDY)
    return covers


def _as_index(value: bytes | None) -> int | None:
    return None if value is None else _index_of(value)


def _index_of(value: bytes) -> int:
    if len(value) != _U64.size:
        raise CorruptError(f"an entry index in the index has {len(value)} bytes", where="index", remedy=_REMEDY)
    return int.from_bytes(value, "big")


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """Turn LevelDB's errors into ours."""
    try:
        yield
    except (plyvel.Error, RuntimeError) as error:
        raise _explained(error, path) from error


def _explained(error: Exception, path: Path) -> CorruptError | StorageError:
    text = str(error)
    if isinstance(error, RuntimeError):  # plyvel's word for a closed database
        return StorageError("the index is closed", where=str(path), remedy="Open it again")
    if isinstance(error, plyvel.CorruptionError):
        return CorruptError(f"the index is damaged: {text}", where=str(path), remedy=_REMEDY)
    return StorageError(
        f"the index cannot be read or written: {text}",
        where=str(path),
        remedy="Check free space and permissions; if files are missing, run tial index rebuild",
    )
