"""The published log, read back from the node's own stores: tree, proofs, records as they were, and their history.

Owns how the questions of `ledger.evidence` are answered from tiles and index. Blocking: used in threads, with a tile
reader of its own. Trusts the stores; whoever checks the result against a signed root need not.
"""

from __future__ import annotations

from pathlib import Path

from ledger.errors import LedgerError, UnavailableError
from ledger.evidence.past import Past, batch_after, first_batch
from ledger.log.proofs import consistency_proof, inclusion_proof
from ledger.state.records import KIND_OF, BatchRecord, CredentialRecord, encode_record, record_key
from ledger.state.view import Overlay, Place
from ledger.statements import Statement, decode_statement
from ledger.statements.cbor import decode
from ledger.store.index import Index
from ledger.store.tiles import TileReader


class LogTree:
    """The published tree, read from its tiles."""

    def __init__(self, served: Path, size: int) -> None:
        self.reader = TileReader(served)
        self.size = size

    def root(self, size: int) -> bytes:
        """Root at a size from 1 to the published one."""
        return self.reader.root(size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Consistency proof between two published sizes."""
        return consistency_proof(old, new, self.reader.nodes(new).get_node)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Inclusion proof at a published size."""
        return inclusion_proof(index, size, self.reader.nodes(size).get_node)


class NamelessRecordError(LedgerError):
    """A record changed since, and only its key is known: a key does not tell which entries to run again."""

    code = "record-without-name"


class PastRecords:
    """Encoded records as entry `before` found them: the stored one, or run again where it changed since."""

    def __init__(self, index: Index, tree: LogTree, before: int) -> None:
        self._index = index
        self._past = Past(LogHistory(index, tree))
        self._before = before

    def record(self, key: bytes, place: Place | None) -> bytes | None:
        """The record under `key`, None where it was absent; `place` is its name, where that is known.

        Raises:
            NamelessRecordError: it would have to be run again, and has no name.
            LedgerError: as `Past.record`.

        """
        raw = self._index.record(key)
        if raw is None or decode(raw)[2] < self._before:  # the third member is the newest entry that touched it
            return raw
        first = self._index.history(key, 1, 1)
        if not first or first[0] >= self._before:
            return None
        if place is None:
            raise NamelessRecordError(
                "A record changed since, and only its key is known", remedy="Ask for it by its subject"
            )
        record = self._past.record(place, self._before)
        return None if record is None else encode_record(record)


class LogHistory:
    """What `ledger.evidence.past` asks: answered by the index and the published entries."""

    def __init__(self, index: Index, tree: LogTree) -> None:
        self._index = index
        self._tree = tree

    def touches(self, place: Place, start: int, limit: int) -> list[int]:
        """Entries that touched a record."""
        return self._index.history(record_key(KIND_OF[place[0]], *place[1:]), start, limit)

    def statement(self, index: int) -> Statement:
        """A published entry, decoded."""
        if index >= self._tree.size:
            raise UnavailableError(f"Entry {index} is not published yet", remedy="Ask again in a second")
        return decode_statement(self._tree.reader.entry(index))

    def batch_before(self, index: int) -> BatchRecord | None:
        """From the last manifest below an entry: the one of the batch before the entry's own."""
        own = self._index.batch_of_entry(index)
        if own is None:
            batch = Overlay(self._index.record).read(BatchRecord)
            closed = 0 if batch is None else batch.number
        else:
            closed = own[0] - 1
        found = self._index.manifest_of_batch(closed) if closed else None
        if found is None or found >= index:
            return first_batch(self.statement(0)) if index else None
        return batch_after(self.statement(found), found)

    def status_index(self, index: int) -> int:
        """From the record of the credential, which says it for ever."""
        statement = self.statement(index) if index < self._tree.size else None
        if statement is None or statement.type != "certification":
            return 0
        record = Overlay(self._index.record).read(CredentialRecord, statement.sub)
        return 0 if record is None else record.status_index
