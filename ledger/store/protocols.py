"""The seams between the ledger and its stores, and the values that cross them.

Owns no bytes. Each store behind these protocols may be replaced (files here, a database cluster for a node that
outgrows one machine: DESIGN section 11) as long as it keeps the promises in the docstrings. No store reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class IndexUpdate:
    """What one or more groups of entries change in the index; applied as a whole or not at all.

    `covers`: number of entries covered afterwards. `records`: (key, 32 bytes; encoded record). `history`: (record key,
    count, entry index): the count-th statement that touched the record, once a newer one has. `batches`: (batch number,
    index of its manifest); such a manifest is the first of the entries, because the state tree as of then is the one
    that it commits to.
    """

    covers: int
    records: Sequence[tuple[bytes, bytes]] = field(default=())
    history: Sequence[tuple[bytes, int, int]] = field(default=())
    batches: Sequence[tuple[int, int]] = field(default=())


class EntryJournal(Protocol):
    """Append-only record of entries, durable before they are acknowledged."""

    @property
    def first_index(self) -> int:
        """Index of the oldest entry still held (equal to `next_index` when it holds none)."""
        ...

    @property
    def next_index(self) -> int:
        """Index that the next entry gets."""
        ...

    def append(self, entries: Sequence[bytes]) -> int:
        """Make a group durable, all or nothing known; returns the index of its first entry."""
        ...

    def replay(self, from_index: int) -> Iterator[tuple[int, bytes]]:
        """Entries from an index on, in order, in bounded memory."""
        ...

    def drop_before(self, index: int) -> int:
        """Forget entries that are durable elsewhere; keeps whatever cannot be dropped apart."""
        ...


class TreeWriter(Protocol):
    """Durable tiles and entry bundles of the growing log."""

    @property
    def size(self) -> int:
        """Entries taken, durable or not."""
        ...

    @property
    def durable_size(self) -> int:
        """Size at the last flush."""
        ...

    def root(self) -> bytes:
        """Root of the tree over the entries taken."""
        ...

    def extend(self, entries: Sequence[bytes], leaf_hashes: Sequence[bytes]) -> None:
        """Take entries with their leaf hashes, in memory."""
        ...

    def flush(self) -> int:
        """Make everything taken durable, for exactly the present size."""
        ...


class RecordIndex(Protocol):
    """What can be rebuilt from the log: current records, histories, batches (DESIGN rule 7)."""

    @property
    def covers(self) -> int:
        """How many entries of the log the index accounts for."""
        ...

    def record(self, key: bytes) -> bytes | None:
        """Return the encoded record under a 32-byte key."""
        ...

    def history(self, key: bytes, start: int, limit: int) -> list[int]:
        """Entry indexes of the statements that touched a record, from count `start` on, at most `limit`."""
        ...

    def manifest_of_batch(self, number: int) -> int | None:
        """Entry index of the manifest that closed a batch."""
        ...

    def batch_of_entry(self, index: int) -> tuple[int, int] | None:
        """(batch number, manifest index) of the batch that holds an entry; None while it is open."""
        ...

    def apply(self, update: IndexUpdate) -> None:
        """Apply an update as a whole, marker included."""
        ...


class DocumentStore(Protocol):
    """Documents by the SHA-256 of their bytes; they can be erased, the log cannot."""

    def put(self, data: bytes, grade: str) -> bytes:
        """Store a document durably; returns its digest (32 bytes)."""
        ...

    def get(self, digest: bytes) -> bytes:
        """Bytes of a document, checked against the digest."""
        ...

    def grade(self, digest: bytes) -> str:
        """Access grade: public or private."""
        ...

    def erase(self, digest: bytes, at: int, reason: str) -> None:
        """Remove a document for good, leaving when (Unix seconds) and why."""
        ...
