"""Checking a log directory as a whole: `tial log fsck`. Finds and explains, never repairs.

Reads every entry once: entry bundles against tiles, tiles against each other, the root against checkpoint and lock, the
journal against the bundles, no act twice. Deep, it also runs every entry through the rules, all signatures checked,
into a temporary index, and compares that with the node's own, key by key; digests every document; and compares every
kept anchor with the log's roots. Memory stays flat whatever the log's size. Runs only while the node does not, so that
nothing moves under it; trusts nothing but the log keys of the genesis.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ledger.errors import LedgerError, MalformedError, RefusedStartError
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import Note
from ledger.log.tiles import TILE_WIDTH, TileEdge, TileRef
from ledger.log.tree import HASH_SIZE, CompactRange, leaf_hash
from ledger.state.log_keys import LogKeys
from ledger.state.transition import verify_signature
from ledger.statements import Statement, cose, decode_statement
from ledger.store.filter import KeyFilter
from ledger.store.index import Index
from ledger.store.journal import JournalCopy, look_at
from ledger.store.lock import CheckpointLock, LockState, LockStatus
from ledger.store.replay import replay
from ledger.store.tiles import TileReader
from node.config import Config
from node.fsck_stores import DocumentCheck, check_anchors
from node.recovery import DataFolder

MAX_FINDINGS: Final = 100
"""After so many the rest is not listed: one damaged file can show in many places."""
_FROM_MIRROR: Final = "Keep this copy as evidence; restore the log from a mirror or backup that agrees with the chain"
REMEDIES: Final = {
    "lock": "Find out what happened to the lock; then tial serve --recover-lock, while the chain answers",
    "checkpoint": "Start the node, which writes it anew from the lock; else take it from a mirror",
    "checkpoint-signature": "Whoever put it there is not this log: " + _FROM_MIRROR,
    "root": _FROM_MIRROR,
    "bundle": _FROM_MIRROR,
    "leaf": _FROM_MIRROR,
    "tile": "Take the file from a mirror; it can be made again from the entries",
    "entry": _FROM_MIRROR,
    "duplicate": "The log broke its rules: " + _FROM_MIRROR,
    "journal": "Acknowledged entries may be damaged: do not start the node; restore the journal from a backup",
    "rules": "The log broke its rules: " + _FROM_MIRROR,
    "index": "Run tial index rebuild",
    "state-tree": "Run tial index rebuild",
    "document": "Put the document again from its holder's copy",
    "anchor": "Keep the file as evidence and move it away: the node asks the chain again",
    "dispute": "Settle it, then rename the file from .json to .resolved",
}
"""What to do about a finding, by its code."""
_LOG_TYPE: Final = b"application/vnd.tial.log+cose"
Progress = Callable[[str, int, int], None]
"""Hears (what is being checked, entries done, entries in all) every few thousand entries."""


@dataclass(frozen=True, slots=True)
class LogPaths:
    """Where a log is: its data directory, and the signed-checkpoint lock outside it."""

    data: Path
    lock: Path


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: a stable code, where, and what it means."""

    code: str
    where: str
    detail: str

    def __str__(self) -> str:
        return f"{self.code}: {self.detail} (at {self.where})"

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return REMEDIES[self.code]


@dataclass(slots=True)
class FsckReport:
    """What was looked at, and all that was found. `size` is signed, `entries` durable; `notes` are no faults."""

    deep: bool
    size: int = 0
    entries: int = 0
    root: bytes = b""
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    unlisted: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def add(self, code: str, where: object, detail: str) -> None:
        """Note a finding."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(code, str(where), detail))
        else:
            self.unlisted += 1

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "ok": self.ok,
            "deep": self.deep,
            "size": self.size,
            "entries": self.entries,
            "root": self.root.hex(),
            "seconds": round(self.seconds, 3),
            "findings": [
                {"code": f.code, "where": f.where, "detail": f.detail, "remedy": f.remedy} for f in self.findings
            ],
            "unlisted": self.unlisted,
            "notes": self.notes,
        }

    def as_text(self) -> str:
        """The report for people."""
        deep = "every signature, every rule, index, documents and anchors"
        what = deep if self.deep else "hashes, journal and duplicates"
        lines = [f"{'OK' if self.ok else 'NOT OK'}: {self.entries} entries, {self.size} signed; checked {what}"]
        lines += [f"  {finding}" for finding in self.findings]
        if self.unlisted:
            lines.append(f"  and {self.unlisted} more")
        lines += [f"  {code}: {REMEDIES[code]}" for code in dict.fromkeys(f.code for f in self.findings)]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines) + "\n"


def check(where: Config | LogPaths, deep: bool = False, progress: Progress | None = None) -> FsckReport:
    """Check a log.

    Raises:
        RefusedStartError: the node is running, or there is no log here.
        StorageError: the operating system refused.

    """
    paths = where if isinstance(where, LogPaths) else LogPaths(where.data_path, where.path(where.lock))
    folder = DataFolder(paths.data)
    if not folder.path.is_dir():
        raise RefusedStartError("There is no log here", where=str(folder.path), remedy="Name the data directory")
    begun = time.perf_counter()
    report = FsckReport(deep)
    with CheckpointLock.open(paths.lock, folder.path) as lock:
        _Check(folder, report, progress).run(lock)
    report.seconds = time.perf_counter() - begun
    return report


class _Check:
    """One run over one log."""

    def __init__(self, folder: DataFolder, report: FsckReport, progress: Progress | None) -> None:
        self._folder = folder
        self._report = report
        self._progress = progress
        self._reader = TileReader(folder.served)
        self._seen = KeyFilter()
        self._again: set[bytes] = set()
        self._key_changes: list[tuple[int, Statement]] = []
        self._roots: dict[int, bytes] = {}

    def run(self, lock: CheckpointLock) -> None:
        """All checks, in the order in which later ones rest on earlier ones."""
        report = self._report
        state = self._lock_state(lock)
        note, checkpoint = self._checkpoint()
        report.size = max(0 if state is None else state.size, 0 if checkpoint is None else checkpoint.size)
        journal = self._journal()
        wanted = {0 if state is None else state.size, 0 if checkpoint is None else checkpoint.size}
        whole = self._tiles(wanted)
        report.entries = max(report.size, 0 if journal is None else journal.next_index)
        if journal is not None:
            self._compare_journal(journal)
        if whole:
            self._compare_roots(state, note, checkpoint)
        self._duplicates(journal)
        if self._report.deep and journal is not None and whole:
            documents = DocumentCheck(self._folder.documents, self._report.add, self._tell)
            self._replay(journal, documents)
            self._beside(documents)

    # -- what was signed ------------------------------------------------------------------------------------------

    def _lock_state(self, lock: CheckpointLock) -> LockState | None:
        reading = lock.read()
        if reading.status is not LockStatus.INTACT or reading.state is None:
            self._report.add("lock", "lock", f"the signed-checkpoint lock is {reading.status.value}: {reading.detail}")
            return reading.state
        instance = self._folder.instance
        if not instance.is_file() or instance.read_bytes() != reading.state.instance:
            self._report.add("lock", instance, "the lock belongs to another data directory")
        return reading.state

    def _checkpoint(self) -> tuple[bytes, Checkpoint | None]:
        where = self._folder.served / "checkpoint"
        try:
            note = self._reader.checkpoint()
            if note is None:
                return b"", None
            return note, Checkpoint.parse(Note.parse(note).text)
        except LedgerError as error:
            self._report.add("checkpoint", where, f"the published checkpoint cannot be read: {error.detail}")
            return b"", None

    def _compare_roots(self, state: LockState | None, note: bytes, checkpoint: Checkpoint | None) -> None:
        """The root over the entries must be that of lock and checkpoint, and the log's key must have signed."""
        if state is not None:
            self._compare_root("lock", state.size, state.root)
            if self._roots.get(1, state.log) != state.log:
                self._report.add("lock", "lock", "the lock belongs to another log: the genesis is not the one it names")
        if checkpoint is None:
            if state is not None and state.size:
                self._report.add("checkpoint", self._folder.served / "checkpoint", "no checkpoint is published")
            return
        self._compare_root("checkpoint", checkpoint.size, checkpoint.root)
        if state is not None and checkpoint.size > state.size:
            detail = f"published is size {checkpoint.size}, the lock knows only of size {state.size}"
            self._report.add("lock", "lock", detail)
        try:
            LogKeys.of(self._key_changes).open_checkpoint(note)
        except LedgerError as error:
            self._report.add("checkpoint-signature", self._folder.served / "checkpoint", error.detail)

    def _compare_root(self, what: str, size: int, root: bytes) -> None:
        found = self._roots.get(size)
        if size and found != root:
            given = "none" if found is None else found.hex()
            self._report.add("root", what, f"the entries give root {given} at size {size}, signed was {root.hex()}")

    # -- tiles and bundles ----------------------------------------------------------------------------------------

    def _tiles(self, wanted: set[int]) -> bool:
        """Read every bundle, hash it, compare with all tiles; False when one is missing, so that no root is known."""
        edge, tree, size = TileEdge(), CompactRange(), self._report.size
        marks = {*wanted, 1}
        for start in range(0, size, TILE_WIDTH):
            index, width = start // TILE_WIDTH, min(TILE_WIDTH, size - start)
            leaves = self._bundle(index, width)
            if leaves is None:
                self._report.notes.append(f"tiles were not checked from entry {start} on")
                return False
            for ref, data in edge.extend(leaves):
                self._compare_tile(ref, data)
            for mark in sorted(at for at in marks if start < at <= start + width):
                part = tree.copy()
                part.extend(leaves[: mark - start])
                self._roots[mark] = part.root()
            tree.extend(leaves)
            if index % 32 == 0:
                self._tell("tiles", start + width, size)
        for ref, data in edge.partials():
            self._compare_tile(ref, data)
        self._report.root = tree.root()
        return True

    def _bundle(self, index: int, width: int) -> list[bytes] | None:
        """Leaf hashes of a bundle's entries, compared with the tile beside it."""
        try:
            entries = self._reader.entries(index, width)
        except LedgerError as error:
            self._report.add("bundle", error.where, error.detail)
            return None
        leaves = [leaf_hash(entry) for entry in entries]
        try:
            tile = self._reader.tile(0, index, width)
        except LedgerError:
            tile = b""  # reported when the whole tile is compared
        for within, leaf in enumerate(leaves if tile else ()):
            if tile[within * HASH_SIZE : (within + 1) * HASH_SIZE] != leaf:
                where = f"entry {index * TILE_WIDTH + within} in {TileRef(None, index, width).path}"
                self._report.add("leaf", where, "the entry does not hash to the leaf in its tile")
        self._look(entries, index * TILE_WIDTH)
        return leaves

    def _compare_tile(self, ref: TileRef, data: bytes) -> None:
        try:
            found = self._reader.tile(ref.level or 0, ref.index, ref.width)
        except LedgerError as error:
            self._report.add("tile", error.where, error.detail)
            return
        if found != data:
            self._report.add("tile", ref.path, "the tile does not hold the hashes of what lies below it")

    # -- entries --------------------------------------------------------------------------------------------------

    def _look(self, entries: Sequence[bytes], first: int) -> None:
        """Note the log's keys, and acts that may have been there before."""
        for index, raw in enumerate(entries, first):
            if index == 0 or _LOG_TYPE in raw:
                self._note_key(raw, index)
            act = self._act(raw, index)
            if act is not None:
                if self._seen.may_hold(act):
                    self._again.add(act)
                self._seen.add((act,))

    def _act(self, raw: bytes, index: int) -> bytes | None:
        try:
            return hashlib.sha256(cose.split(raw).signed).digest()
        except MalformedError as error:
            self._report.add("entry", f"entry {index}", f"not a statement: {error.detail}")
            return None

    def _note_key(self, raw: bytes, index: int) -> None:
        try:
            st = decode_statement(raw)
        except MalformedError:
            return  # reported as no statement, or by the replay
        if st.type in {"genesis", "log"} and "keys" in st.body:
            self._key_changes.append((index, st))

    def _duplicates(self, journal: JournalCopy | None) -> None:
        """Find acts that are in the log twice: those that the filter suspects, counted exactly in a second pass."""
        if not self._again:
            return
        first: dict[bytes, int] = {}
        for index, raw in enumerate(self._entries(journal)):
            act = self._act(raw, index)
            if act is None or act not in self._again:
                continue
            if act in first:
                self._report.add("duplicate", f"entry {index}", f"the same act as entry {first[act]}")
            first.setdefault(act, index)

    def _entries(self, journal: JournalCopy | None) -> Iterator[bytes]:
        size = self._report.size
        try:
            yield from self._reader.iter_entries(0, size)
        except LedgerError:
            return  # a missing bundle is a finding already
        if journal is not None and journal.first_index <= size:
            for _, entry in journal.entries(size):
                yield entry

    # -- the journal ----------------------------------------------------------------------------------------------

    def _journal(self) -> JournalCopy | None:
        try:
            journal = look_at(self._folder.journal)
        except LedgerError as error:
            self._report.add("journal", error.where, error.detail)
            return None
        if journal.torn_bytes:
            self._report.notes.append(f"the journal ends in {journal.torn_bytes} bytes of a group never acknowledged")
        held = f"the journal holds entries {journal.first_index} to {journal.next_index - 1}"
        if journal.next_index < self._report.size:
            detail = f"{held}, but {self._report.size} are signed: entries after the checkpoint may be gone"
            self._report.add("journal", self._folder.journal, detail)
        elif journal.first_index > self._report.size:
            detail = f"{held}, but only {self._report.size} are signed: the entries between are gone"
            self._report.add("journal", self._folder.journal, detail)
        return journal

    def _compare_journal(self, journal: JournalCopy) -> None:
        """Where journal and bundles overlap they must hold the same bytes; beyond, entries must be statements."""
        size = self._report.size
        bundles = self._reader.iter_entries(journal.first_index, size)
        for index, entry in journal.entries(journal.first_index):
            if index >= size:
                self._look([entry], index)
                continue
            try:
                published = next(bundles)
            except LedgerError:
                return  # a missing bundle is a finding already
            if published != entry:
                self._report.add("journal", f"entry {index}", "journal and entry bundle hold different bytes")
            if index % 8192 == 0:
                self._tell("journal", index, journal.next_index)

    # -- the rules ------------------------------------------------------------------------------------------------

    def _beside(self, documents: DocumentCheck) -> None:
        """Documents against their digests, anchors against the log's roots."""
        report = self._report
        stored = documents.stored()
        if documents.missing:
            report.notes.append(f"{documents.missing} documents that the log names are not here; {stored} are")
        try:
            keys = LogKeys.of(self._key_changes)
        except MalformedError:
            return  # without a genesis there is no log to compare with: reported by then
        log_id = self._roots.get(1) or self._key_changes[0][1].leaf
        check_anchors(self._folder.outbox, log_id, report.size, self._reader, keys, report.add)

    def _replay(self, journal: JournalCopy, documents: DocumentCheck) -> None:
        """Run every entry through the rules with every signature checked, and compare with the node's index."""
        total = self._report.entries
        with tempfile.TemporaryDirectory(prefix="tial-fsck-") as temporary:
            try:
                with Index.open(Path(temporary) / "index") as fresh:
                    entries = documents.mentioned(self._entries(journal))
                    covers = self._index_covers()
                    for stop in sorted({covers, total} if 0 < covers < total else {total}):
                        wanted = _take(entries, stop - fresh.covers)
                        replay(fresh, wanted, verify=verify_signature, progress=lambda n: self._tell("rules", n, total))
                        if stop == covers:
                            self._compare_index(fresh)
            except LedgerError as error:
                self._report.add("rules", error.where, error.detail)

    def _index_covers(self) -> int:
        """How many entries the node's index covers; -1 where it is absent or cannot be read."""
        if not self._folder.index.is_dir():
            self._report.notes.append("there is no index; the node builds it at its next start")
            return -1
        try:
            with Index.open(self._folder.index) as own:
                covers = own.covers
        except LedgerError as error:
            self._report.add("index", error.where, error.detail)
            return -1
        if covers > self._report.entries:
            detail = f"the index covers {covers} entries, the log has {self._report.entries}"
            self._report.add("index", self._folder.index, detail)
        return covers

    def _compare_index(self, fresh: Index) -> None:
        with Index.open(self._folder.index) as own:
            if fresh.tree.current != own.tree.current:
                detail = f"the state tree has root {own.tree.current.hex()}, the log gives {fresh.tree.current.hex()}"
                self._report.add("state-tree", self._folder.index, detail)
            for mine, theirs in _joined(fresh.dump(), own.dump()):
                key = (mine or theirs or (b"", b""))[0]
                where = f"index key {key.hex()}"
                if theirs is None:
                    self._report.add("index", where, "the index lacks what the log gives")
                elif mine is None:
                    self._report.add("index", where, "the index holds what the log does not give")
                else:
                    self._report.add("index", where, "the index holds another value than the log gives")

    def _tell(self, what: str, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(what, done, total)


def _take(entries: Iterator[bytes], count: int) -> Iterator[bytes]:
    for _ in range(count):
        entry = next(entries, None)
        if entry is None:
            return
        yield entry


Row = tuple[bytes, bytes]


def _joined(mine: Iterator[Row], theirs: Iterator[Row]) -> Iterator[tuple[Row | None, Row | None]]:
    """Walk two dumps in key order and yield where they differ."""
    left, right = next(mine, None), next(theirs, None)
    while left is not None or right is not None:
        if left == right:
            left, right = next(mine, None), next(theirs, None)
        elif right is None or (left is not None and left[0] < right[0]):
            yield left, None
            left = next(mine, None)
        elif left is None or right[0] < left[0]:
            yield None, right
            right = next(theirs, None)
        else:
            yield left, right
            left, right = next(mine, None), next(theirs, None)
