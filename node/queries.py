"""The read side: typed answers about records, entries, batches, anchors and proofs. No HTTP here.

Everything is answered from what is durable: the index, the tiles, the publisher's unpublished tail. Nothing pending in
admission is ever shown (DESIGN rule 5). Belongs to the event loop's thread, like the publisher. Computed states judge
validity periods by log time, the time in the last manifest (DESIGN rule 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from ledger.errors import LedgerError, MalformedError
from ledger.evidence.timeline import state_of
from ledger.identifiers import identify
from ledger.identifiers import subject as subject_of
from ledger.log import proofs
from ledger.state.records import KINDS, ZERO_HEAD, BatchRecord, LogRecord, Part, decode_record, record_key
from ledger.statements import Statement, decode_statement, subjects
from node.anchor.records import AnchorRecord
from node.node import Node
from node.state_proofs import Asked, StateAnswer, prove_state

_TIMES_KEPT = 4096


class NotFoundError(LedgerError):
    """There is no such record, entry, batch, anchor or size in what is durable."""

    code: ClassVar[str] = "not-found"


@dataclass(frozen=True, slots=True)
class RecordView:
    """The current record that a subject names.

    `state` is computed at `log_time` (Unix seconds): the stored one, or "expired" or "not-yet-valid". `covers`: the
    record accounts for at least that many entries.
    """

    subject: str
    kind: str
    state: str
    record: Any
    log_time: int
    covers: int


@dataclass(frozen=True, slots=True)
class EntryView:
    """One durable entry. `log_time` holds for it; `batch` is the number of the batch it is in, closed or open."""

    index: int
    statement: Statement
    log_time: int
    batch: int
    published: bool


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Leaf hash `leaf` stands at `index` in the tree (`size`, `root`). `checkpoint` is there for the published size."""

    index: int
    size: int
    leaf: bytes
    proof: list[bytes]
    root: bytes
    checkpoint: bytes | None


@dataclass(frozen=True, slots=True)
class Consistency:
    """The tree (`new`, `new_root`) begins with the tree (`old`, `old_root`)."""

    old: int
    new: int
    proof: list[bytes]
    old_root: bytes
    new_root: bytes


@dataclass(frozen=True, slots=True)
class BatchView:
    """A closed batch: entries `first` to `manifest`, the latter its manifest. `anchor`: the smallest that covers it."""

    number: int
    first: int
    count: int
    counts: dict[str, int]
    time: int
    manifest: int
    rules: int
    published: bool
    anchor: AnchorRecord | None

    @property
    def size(self) -> int:
        """Size of the log at the batch's end."""
        return self.manifest + 1


class Queries:
    """Answers from one node's durable state."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._index = node.index
        self._times: dict[int, int] = {}

    # -- records ---------------------------------------------------------------------------------------------------

    def log(self) -> LogRecord:
        """The log's parameters as of the last durable entry."""
        record: LogRecord = self._read("log")
        return record

    def open_batch(self) -> BatchRecord:
        """Number of closed batches, log time, first entry of the open batch."""
        record: BatchRecord | None = self._read("batch")
        if record is None:  # before the first manifest
            return BatchRecord(
                touches=0, head=ZERO_HEAD, last=0, number=0, time=self._node.genesis.iat, first=0
            )  # fmt: skip
        return record

    def record(self, subject: str, kind: str = "") -> RecordView:
        """The record that a typed subject names; `kind` "identifier" takes a DID as an identifier, not as an actor.

        Raises:
            MalformedError: no typed subject, or one of another kind than asked for.
            NotFoundError: nothing is registered under it.

        """
        found, parts = self._place(subject, kind)
        covers = self._index.covers  # read before the record: what it says is then never too much
        record = self._read(found, *parts)
        if record is None:
            raise NotFoundError(
                f"No {found} is registered under this subject",
                where=subject,
                remedy="Check the spelling; what was submitted just now is here once it is acknowledged",
            )
        time = self.open_batch().time
        return RecordView(subject, found, state_of(record, time), record, time, covers)

    def resolve(self, text: str) -> RecordView:
        """As `record`, but `text` may also be an identifier in any accepted spelling."""
        try:
            return self.record(text)
        except (MalformedError, NotFoundError) as error:
            candidates = [subject_of(identifier) for identifier in identify(text)]
            if not candidates:
                raise
            for candidate in candidates:
                with suppress(NotFoundError):  # the next thing that this spelling could mean
                    return self.record(candidate, "identifier")
            raise NotFoundError(
                "Nothing that this could be is registered",
                where=", ".join(candidates),
                remedy="Check the spelling",
            ) from error

    def history(self, subject: str, start: int, limit: int, kind: str = "") -> list[EntryView]:
        """Entries that touched the record, from its `start`-th touch on (the first is 1), at most `limit`."""
        found, parts = self._place(subject, kind)
        indexes = self._index.history(record_key(found, *parts), start, limit)
        size = self._node.publisher.size
        return [self.entry(index) for index in indexes if index < size]

    def find(self, act: bytes, subject: str, seq: int) -> EntryView:
        """The entry of an act (32 bytes: SHA-256 of its Sig_structure) by its subject and `seq` claim (0: it has none).

        NotFoundError where that place of the record's history holds another act, or nothing.
        """
        kinds = ("", "identifier") if subject.startswith("did:") else ("",)
        for kind in kinds:
            for view in self.history(subject, seq + 1, 1, kind):
                if view.statement.act == act:
                    return view
        raise NotFoundError("The log holds no such act", where=act.hex(), remedy="Submit the statement (again)")

    def _place(self, subject: str, wanted: str = "") -> tuple[str, tuple[Part, ...]]:
        """Where the record of a subject lives."""
        kind, *parts = subjects.parse(subject)
        if kind == "actor" and wanted == "identifier":
            kind = "identifier"
        if kind == "batch" or (kind == "log" and parts[0] != self._node.log_id.hex()):
            remedy = "Batches are under /v1/batches/{number}" if kind == "batch" else "Ask the node of that log"
            raise NotFoundError(f"This log keeps no record of that {kind}", where=subject, remedy=remedy)
        if kind == "origin":
            if parts[0] != self._node.origin:
                raise NotFoundError("This is another log", where=subject, remedy="Ask the node of that log")
            kind = "log"
        if wanted and kind != wanted:
            raise MalformedError(f"This is the subject of a {kind}, not of a {wanted}", where=subject)
        if kind in {"identifier", "credential"}:
            return kind, (subject,)
        return kind, () if kind == "log" else tuple(parts)

    def _read(self, kind: str, *parts: Part) -> Any:
        raw = self._index.record(record_key(kind, *parts))
        return None if raw is None else decode_record(kind, raw)

    # -- entries ---------------------------------------------------------------------------------------------------

    def raw_entry(self, index: int) -> bytes:
        """The bytes of a durable entry, or NotFoundError."""
        publisher = self._node.publisher
        if not 0 <= index < publisher.size:
            raise NotFoundError(f"The log has no entry {index}", where="index", remedy=f"It has {publisher.size} now")
        return publisher.entry_at(index)

    def entry(self, index: int) -> EntryView:
        """A durable entry, decoded, or NotFoundError."""
        statement = decode_statement(self.raw_entry(index))
        following = self.open_batch().number + 1  # asked first: the batch may be closed meanwhile
        closed = self._index.batch_of_entry(index)
        batch = following if closed is None else closed[0]
        return EntryView(index, statement, self._time_before(batch), batch, index < self._node.publisher.published.size)

    def _time_before(self, batch: int) -> int:
        """Log time inside a batch: that of the manifest which closed the one before it."""
        if batch <= 1:
            return self._node.genesis.iat
        time = self._times.get(batch)
        if time is None:
            manifest = self._index.manifest_of_batch(batch - 1)
            if manifest is None:
                raise NotFoundError(f"Batch {batch - 1} is not closed", where="batch")
            if len(self._times) >= _TIMES_KEPT:
                self._times.clear()
            time = self._times[batch] = decode_statement(self.raw_entry(manifest)).iat
        return time

    # -- proofs ----------------------------------------------------------------------------------------------------

    def inclusion(self, index: int, size: int | None = None) -> Inclusion:
        """Proof that an entry is in the tree of `size`, by default the published one. NotFoundError beyond it."""
        published = self._node.publisher.published
        wanted = self._published_size(size)
        if not 0 <= index < wanted:
            raise NotFoundError(
                f"The tree of size {wanted} has no leaf {index}",
                where="index",
                remedy="An entry can be proven once a checkpoint that covers it is published",
            )
        nodes = self._node.reader.nodes(wanted)
        proof = proofs.inclusion_proof(index, wanted, nodes.get_node)
        leaf = nodes.get_node(0, index)
        if wanted == published.size:
            return Inclusion(index, wanted, leaf, proof, published.root, published.checkpoint)
        return Inclusion(index, wanted, leaf, proof, self._root(wanted), None)

    def consistency(self, old: int, new: int | None = None) -> Consistency:
        """Proof that the tree of `new` (by default the published size) begins with that of `old`."""
        wanted = self._published_size(new)
        proof = proofs.consistency_proof(old, wanted, self._node.reader.nodes(wanted).get_node)
        return Consistency(old, wanted, proof, self._root(old), self._root(wanted))

    def state_proof(
        self, subjects: Sequence[str] = (), keys: Sequence[bytes] = (), batch: int | None = None, kind: str = ""
    ) -> StateAnswer:
        """Prove what the state held at the end of a batch (default: of the published checkpoint). For any thread.

        Asks for the records that typed `subjects` name (`kind` as for `record`), then for those under `keys` (32 bytes
        each).

        Raises:
            MalformedError: no typed subject, no key, or more than can be asked for at once.
            NotRetainedError: the state at the end of that batch cannot be proven, or not any more.

        """
        places = [self._place(subject, kind) for subject in subjects]
        asked = [Asked.at((KINDS[found], *parts)) for found, parts in places] + [Asked(key) for key in keys]
        return prove_state(self._index, self._node.served, self._node.publisher.published, asked, batch)

    def _root(self, size: int) -> bytes:
        published = self._node.publisher.published
        if size == published.size:
            return published.root
        return self._node.reader.root(size)

    def _published_size(self, size: int | None) -> int:
        published = self._node.publisher.published.size
        if size is None:
            return published
        if not 0 <= size <= published:
            raise NotFoundError(
                f"No checkpoint of size {size} is published", where="size", remedy=f"The newest has size {published}"
            )
        return size

    # -- batches and anchors -----------------------------------------------------------------------------------------

    def batch(self, number: int) -> BatchView:
        """A closed batch, or NotFoundError."""
        manifest = self._index.manifest_of_batch(number)
        if manifest is None or manifest >= self._node.publisher.size:
            raise NotFoundError(f"Batch {number} is not closed", where="number", remedy="Batches count from 1")
        statement = decode_statement(self.raw_entry(manifest))
        body = statement.body
        published = manifest < self._node.publisher.published.size
        worker = self._node.anchors
        anchor = worker.covering(manifest + 1) if worker is not None and published else None
        return BatchView(
            number, body["first"], body["count"], body["counts"], statement.iat, manifest, body["rules"], published,
            anchor,
        )  # fmt: skip

    def batches(self, before: int | None, limit: int) -> list[BatchView]:
        """Closed batches, newest first, with numbers below `before` where given, at most `limit`."""
        newest = self.open_batch().number
        end = newest if before is None else min(newest, before - 1)
        if end > 0 and (last := self._index.manifest_of_batch(end)) is not None and last >= self._node.publisher.size:
            end -= 1  # durable this very moment, not handed over yet
        return [self.batch(number) for number in range(end, max(0, end - limit), -1)]

    def anchors(self, before: int | None, limit: int) -> list[AnchorRecord]:
        """Anchors, newest first, of sizes below `before` where given, at most `limit`; none without a chain."""
        worker = self._node.anchors
        return [] if worker is None else worker.anchors(limit=limit, before=before)

    def anchor(self, size: int) -> AnchorRecord:
        """The anchor of exactly this log size, or NotFoundError."""
        found = self.anchors(size + 1, 1)
        if not found or found[0].size != size:
            raise NotFoundError(f"There is no anchor of size {size}", where="size", remedy="Sizes are in /v1/anchors")
        return found[0]

    def anchor_evidence(self, size: int) -> bytes:
        """The newest chain evidence kept for the anchor of exactly this log size, or NotFoundError."""
        self.anchor(size)
        worker = self._node.anchors
        found = worker.evidence_for(size) if worker is not None else None
        if found is None or found[0] != size:
            raise NotFoundError(
                f"There is no chain evidence for the anchor of size {size} yet",
                where="size",
                remedy="The node asks its chain again by itself; ask later, or name a block",
            )
        return found[1]

    def prove_anchor(self, size: int, block: int | None, requested: Sequence[bytes] = ()) -> bytes:
        """Chain evidence for the anchor of exactly this log size under one block, asked from the chain now.

        Without a block the newest final one. With `requested` also whether these leaves were requested.

        Waits for the chain: not for the event loop. Raises NotFoundError where there is no such anchor at that block.
        """
        anchor = self.anchor(size)
        worker = self._node.anchors
        if worker is None or (block is not None and block < anchor.block):
            raise NotFoundError(
                f"Size {size} is anchored in block {anchor.block}, not yet in block {block}",
                where="block",
                remedy="Name a later block",
            )
        return worker.prove(size, block=block, requested=requested).evidence
