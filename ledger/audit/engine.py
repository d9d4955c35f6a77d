"""The audit of a whole log: every entry through the transition function again, every signature checked.

Owns the auditor's work folder: an index of its own, made from the entries alone, and `progress.json`. Uses the node's
replay, rules and state tree, because the rules are one function for everybody (DESIGN rule 3); shares none of the
node's data. Trusts nothing that the log says: entries come from a mirror, whose root is compared with the checkpoint at
the end, and the rules say at which entry a log breaks them. What is found is reported, never repaired; the replay stops
at the first entry that the rules refuse, because no state after it means anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from ledger.audit import progress as progress_file
from ledger.audit.ahead import Ahead, Verifier, VerifyHere
from ledger.audit.progress import Anchor, AnchoredRange
from ledger.errors import CorruptError, LedgerError, MalformedError, Rejection
from ledger.evidence.audit_report import Failure
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.notes import ED25519, Note, Vkey
from ledger.log.tree import leaf_hash
from ledger.state.records import BatchRecord, LogRecord
from ledger.state.view import Overlay
from ledger.statements import decode_statement
from ledger.store.durable import remove_file

if TYPE_CHECKING:
    from ledger.store.index import Index

SAVE_EVERY: Final = 50_000
"""Entries between two writings of the progress: what is read again after a crash costs a second."""

Progress = Callable[[int, int], None]
"""Hears (entries done, entries in all) every few thousand entries."""


class EntrySource(Protocol):
    """Where the entries are: `ledger.store.tiles.TileReader` over a mirror."""

    def iter_bundles(self, start: int, stop: int) -> Iterator[list[bytes]]:
        """Yield the entries from `start` to `stop` in lists of at most 256."""
        ...

    def iter_entries(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield them one by one."""
        ...

    def leaf_hashes(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield leaf hashes from the tiles."""
        ...


@dataclass(slots=True)
class Audit:
    """What a replay found. `checked`: entries that the rules admit, `counts` the same by type."""

    log_id: bytes
    size: int
    root: bytes
    state: bytes | None = None
    checked: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    anchors: int = 0
    newest: Anchor | None = None
    beyond: int = 0
    """Anchors at sizes beyond the checkpoint: nothing here can be said about them."""
    lag: int | None = None
    """Most seconds by which log time was behind the block of an anchor; None where no block's time is known."""

    def fail(self, code: str, detail: str, index: int | None = None) -> None:
        """Note a finding."""
        self.failures.append(Failure(code, " ".join(detail.split())[:300].strip(), index))


def audit_log(
    source: EntrySource,
    note: bytes,
    work: Path,
    *,
    anchors: Sequence[Anchor] = (),
    verifier: Verifier | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Replay the log up to the checkpoint `note`, whose signature is judged by the key that the log itself names.

    So the log id, which is the genesis, is all that the auditor needs to know. Works in the folder `work`, and goes on
    from where an earlier run stopped there.

    Raises:
        MalformedError: the note is no checkpoint, or of an empty log.
        CorruptError: the source lacks entries, or the work folder is damaged.
        UnknownRulesError: the log runs under rules that this program does not know.
        RefusedStartError: another audit is at work in that folder.
        StorageError: the operating system refused.

    """
    checkpoint = Checkpoint.parse(Note.parse(note).text)
    if checkpoint.size == 0:
        raise MalformedError("an empty log has nothing to audit", where="checkpoint")
    genesis = next(source.iter_entries(0, 1))
    log_id = leaf_hash(genesis)
    run = _Run(source, checkpoint, work, log_id, anchors)
    found = Audit(log_id, checkpoint.size, checkpoint.root)
    index = run.open()
    try:
        _replay(run, index, found, verifier or VerifyHere(), progress)
        _conclude(run, index, found, note)
    finally:
        index.close()
    return found


class _Run:
    """One run over one work folder: the tree and counts so far."""

    def __init__(
        self, source: EntrySource, checkpoint: Checkpoint, work: Path, log_id: bytes, anchors: Sequence[Anchor]
    ) -> None:
        self.source = source
        self.size = checkpoint.size
        self.log_id = log_id
        self.path = work / "progress.json"
        self._index_path = work / "index"
        self._anchors = anchors
        self.tree = AnchoredRange(anchors)
        self.counts: Counter[str] = Counter()
        self.open_batch: Counter[str] | None = None

    def open(self) -> Index:
        """Open the index of an earlier run and catch up with it, or begin anew where it does not fit."""
        from ledger.store.index import Index  # noqa: PLC0415 - the light verifier imports this module without LevelDB

        index = Index.open(self._index_path)
        try:
            if index.covers and not self._catch_up(index):
                index.close()
                Index.destroy(self._index_path)
                remove_file(self.path)
                self.tree, self.counts, self.open_batch = AnchoredRange(self._anchors), Counter(), None
                index = Index.open(self._index_path)
        except BaseException:
            index.close()
            raise
        return index

    def _catch_up(self, index: Index) -> bool:
        """Bring tree and counts to the size that the index covers; False where the earlier run does not fit."""
        log = Overlay(index.record).read(LogRecord)
        covers = index.covers
        if log is None or log.log_id != self.log_id or covers > self.size:
            return False
        saved = progress_file.load(self.path, self.log_id, self._anchors)
        if saved is not None and saved[0].size <= covers:
            self.tree, self.counts = saved
        batch = Overlay(index.record).read(BatchRecord)
        first = 0 if batch is None else batch.first
        self.open_batch = Counter()
        leaves: list[bytes] = []
        done = self.tree.size
        at = min(first, done)
        for raw in self.source.iter_entries(at, covers):
            kind = decode_statement(raw).type
            if at >= first:
                self.open_batch[kind] += 1
            if at >= done:
                self.counts[kind] += 1
                leaves.append(leaf_hash(raw))
            at += 1
        self.tree.extend(leaves)
        return True

    def save(self) -> None:
        """Write the progress."""
        progress_file.save(self.path, self.log_id, self.tree, self.counts)


def _replay(run: _Run, index: Index, found: Audit, verifier: Verifier, progress: Progress | None) -> None:
    from ledger.store.replay import replay  # noqa: PLC0415 - as the index

    first = index.covers
    if first >= run.size:
        return
    ahead = Ahead(run.source.iter_bundles(first, run.size), first, verifier)
    earlier = run.counts
    saved = first

    def heard(size: int) -> None:
        nonlocal saved
        run.counts = earlier + ahead.counts
        if size - saved >= SAVE_EVERY or size == run.size:
            run.save()
            saved = size
        if progress is not None:
            progress(size, run.size)

    try:
        replay(index, ahead.statements(), verify=ahead.verify, tree=run.tree, progress=heard, counts=run.open_batch)
    except CorruptError as error:
        if error is ahead.broken or error.where != f"entry {ahead.index}":
            raise
        found.fail(_code(error), error.detail, ahead.index)
        run.counts = earlier + ahead.counts
        run.counts["" if ahead.statement is None else ahead.statement.type] -= 1
        run.counts = +run.counts


def _code(error: CorruptError) -> str:
    """A stable code for what the replay refused."""
    cause = error.__cause__
    if isinstance(cause, Rejection):
        return cause.reason.replace(".", "-")
    return "malformed" if isinstance(cause, LedgerError) else "manifest"


def _conclude(run: _Run, index: Index, found: Audit, note: bytes) -> None:
    """Compare what was replayed with what was signed and anchored."""
    found.counts = run.counts
    found.checked = run.counts.total()
    tree = run.tree
    found.anchors, found.newest, found.beyond = tree.compared, tree.newest, tree.ahead
    for anchor, root in tree.wrong:
        found.fail("anchor", f"anchored at size {anchor.size} is root {anchor.root.hex()}, the log has {root.hex()}")
    if found.checked < run.size:
        return
    if tree.root() != found.root:
        place = _altered(run)
        where = "" if place is None else ": the entry does not hash to the leaf in its tile"
        found.fail("root", f"the entries give root {tree.root().hex()}, signed was {found.root.hex()}{where}", place)
    log = Overlay(index.record).read(LogRecord)
    assert log is not None, "the whole log was replayed"
    try:
        open_checkpoint(note, Vkey(log.origin, ED25519, log.note.key))
    except LedgerError as error:
        found.fail("checkpoint", f"the note key of {log.origin} did not sign the checkpoint: {error.detail}")
    _compare_times(run, found, log.skew)
    last = decode_statement(next(run.source.iter_entries(run.size - 1, run.size)))
    if last.type != "manifest":
        found.fail("checkpoint", "the last entry below the checkpoint is no manifest", run.size - 1)
    else:
        found.state = last.body.get("state")


def _compare_times(run: _Run, found: Audit, skew: int) -> None:
    """Compare the log time that an anchored tree states with the time of the anchor's block.

    A tree cannot state a time after the block that holds its root, so that is a finding. How far it may be behind is
    nobody's rule, because an anchor may come late; the largest lag is told, for a clock that stands still shows in it.
    """
    for anchor in run.tree.anchors_passed():
        if not anchor.time or anchor.size < 2:
            continue
        manifest = decode_statement(next(run.source.iter_entries(anchor.size - 1, anchor.size)))
        if manifest.type != "manifest":
            continue
        if manifest.iat > anchor.time + skew:
            detail = f"log time {manifest.iat} is after {anchor.time}, the time of the block with the anchor"
            found.fail("time", detail, anchor.size - 1)
        found.lag = max(found.lag or 0, anchor.time - manifest.iat)


def _altered(run: _Run) -> int | None:
    """The first entry that is not the one in the tiles."""
    try:
        pairs = zip(run.source.iter_entries(0, run.size), run.source.leaf_hashes(0, run.size), strict=True)
        return next((index for index, (raw, leaf) in enumerate(pairs) if leaf_hash(raw) != leaf), None)
    except LedgerError:
        return None
