"""Starting on an existing log: compare everything that could tell of a fork, then catch up (DESIGN rule 6, section 9).

Nothing here signs or acknowledges. Each doubt ends in `RefusedStartError` with what was found and what to do. The lock
says which checkpoint was signed last; data behind it was rolled back, data ahead of it means that the lock was. The
chain, where it answers, must not know more than the log. Every checkpoint that is there must be signed by the note key
that was in force at its size. Only an operator's explicit word recovers a lock, and only while the chain's *final* head
agrees with the log: a newer one may still be undone.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ledger.errors import CorruptError, LedgerError, MalformedError, RefusedStartError, UnavailableError
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import Note, NoteSignatureError
from ledger.state.log_keys import LogKeys
from ledger.state.records import BatchRecord, LogRecord
from ledger.state.view import Overlay
from ledger.statements import Statement, decode_statement
from ledger.store.index import Index
from ledger.store.journal import Journal
from ledger.store.lock import CheckpointLock, LockState, LockStatus
from ledger.store.replay import replay
from ledger.store.state_tree import Retention
from ledger.store.tiles import TileReader, TileWriter
from node.keyring import read_log_keys
from node.retention import anchored, pins_of

log = logging.getLogger(__name__)


class ChainHeads(NamedTuple):
    """What the chain holds of a log, each as (size, root): newest at all, and newest in a final block, if any."""

    newest: tuple[int, bytes]
    final: tuple[int, bytes] | None


ChainHead = Callable[[bytes], ChainHeads | None]
"""Asks the chain for its heads of the log with this id, None where it knows none; UnavailableError."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Where things are in a data directory."""

    path: Path

    @property
    def served(self) -> Path:
        """Tiles, entry bundles and checkpoint, served as they are."""
        return self.path / "log"

    @property
    def journal(self) -> Path:
        """Journal segments."""
        return self.path / "journal"

    @property
    def index(self) -> Path:
        """The LevelDB index."""
        return self.path / "index"

    @property
    def documents(self) -> Path:
        """Documents by digest."""
        return self.path / "documents"

    @property
    def outbox(self) -> Path:
        """The anchor worker's outbox."""
        return self.path / "outbox"

    @property
    def followed(self) -> Path:
        """What the node verified of its chain's validators, where it verifies them."""
        return self.path / "chain-followed"

    @property
    def instance(self) -> Path:
        """16 random bytes that tie this directory to its lock."""
        return self.path / "instance"


@dataclass(slots=True)
class Recovered:
    """An opened log: every store at the same size, `tail` the durable entries above the last signed checkpoint."""

    folder: DataFolder
    genesis: Statement
    lock: CheckpointLock
    state: LockState
    journal: Journal
    writer: TileWriter
    index: Index
    tail: list[bytes]
    counts: Counter[str]
    keys: LogKeys

    def close(self) -> None:
        """Release files and locks, the lock last, each even where another one fails."""
        with ExitStack() as stack:
            for store in (self.lock, self.index, self.journal):
                stack.callback(store.close)


def open_log(
    folder: DataFolder,
    lock_path: Path,
    chain_head: ChainHead | None,
    *,
    recover_lock: bool,
    retention: Retention | None = None,
) -> Recovered:
    """Open the log, or refuse. `recover_lock` is the operator's explicit word that a lock may be written anew."""
    if not folder.instance.exists():
        raise RefusedStartError("There is no log here", where=str(folder.path), remedy="Run `tial init` first")
    lock = CheckpointLock.open(lock_path, folder.path)
    opened: list[Journal | Index] = []
    try:
        journal = Journal.open(folder.journal)
        opened.append(journal)
        genesis = _genesis(folder, journal)
        anchored = _ask_chain(chain_head, genesis.leaf)
        state, doubt = _signed_state(folder, lock, genesis, anchored, chain_head is not None, recover_lock)
        writer = _writer(folder, state, journal)
        _compare_with_chain(folder, state, None if anchored is None else anchored.newest)
        index = _caught_up_index(folder, state, journal, retention)
        opened.append(index)
        tail = [entry for _, entry in journal.replay(state.size)]
        counts = _open_batch(folder, index, state, tail)
        keys = _keys(folder, index, state, tail)
        _check_signatures(folder, keys, state)
        if doubt:  # last: nothing that is checked above may speak against it
            log.warning("lock recovered on the operator's word", extra={"doubt": doubt, "size": state.size})
            lock.recover(state)
    except BaseException:
        for store in opened:
            store.close()
        lock.close()
        raise
    return Recovered(folder, genesis, lock, state, journal, writer, index, tail, counts, keys)


def _genesis(folder: DataFolder, journal: Journal) -> Statement:
    first = next(journal.replay(0), None) if journal.first_index == 0 else (0, TileReader(folder.served).entry(0))
    if first is None:
        raise RefusedStartError(
            "The journal is empty and acknowledged entries may be gone",
            where=str(folder.journal),
            remedy="Restore the data directory from a mirror or backup",
        )
    return decode_statement(first[1])


def _ask_chain(chain_head: ChainHead | None, log_id: bytes) -> ChainHeads | None:
    if chain_head is None:
        return None
    try:
        return chain_head(log_id)
    except UnavailableError as error:
        log.warning("the chain does not answer at start", extra={"error": error.explain()})
        return None


def _signed_state(
    folder: DataFolder,
    lock: CheckpointLock,
    genesis: Statement,
    anchored: ChainHeads | None,
    chain_configured: bool,
    recover_lock: bool,
) -> tuple[LockState, str]:
    """What was signed last, from an intact lock, or from the data where an operator and the chain stand behind it.

    Returns it with the doubt that the operator's word overcame, "" for none: the lock is then to be recovered.
    """
    reading = lock.read()
    newest, published = served_checkpoint(folder) or (None, None)
    doubt = ""
    if reading.status is not LockStatus.INTACT or reading.state is None:
        doubt = f"The signed-checkpoint lock is {reading.status.value}: {reading.detail}"
    elif reading.state.log != genesis.leaf or reading.state.instance != folder.instance.read_bytes():
        raise RefusedStartError("The lock belongs to another log or another data directory", where=str(folder.path))
    elif newest is not None and newest.size > reading.state.size:
        doubt = f"The lock (size {reading.state.size}) is older than the data (published size {newest.size})"
    if not doubt and reading.state is not None:
        return reading.state, ""
    remedy = "Start with --recover-lock once the chain answers, and its final head agrees with this log"
    if not recover_lock or newest is None or published is None:
        raise RefusedStartError(doubt, where="lock", remedy=remedy)
    if not chain_configured or anchored is None:
        raise RefusedStartError(f"{doubt}; the chain does not answer for it", where="lock", remedy=remedy)
    if anchored.final is None or anchored.final[0] <= 1 < newest.size:
        raise RefusedStartError(
            f"{doubt}; the chain knows of no final anchor of this log that could stand for it",
            where="lock",
            remedy=remedy,
        )
    state = LockState(genesis.leaf, folder.instance.read_bytes(), newest.size, newest.root, published)
    for head in anchored:
        _compare_with_chain(folder, state, head)
    return state, doubt


def served_checkpoint(folder: DataFolder) -> tuple[Checkpoint, bytes] | None:
    """The checkpoint that readers get, unverified, and its note; None before the first."""
    note = TileReader(folder.served).checkpoint()
    return None if note is None else (Checkpoint.parse(Note.parse(note).text), note)


def _keys(folder: DataFolder, index: Index, state: LockState, tail: list[bytes]) -> LogKeys:
    """The log's keys by now, from the statements that changed them."""
    reader = TileReader(folder.served)
    return read_log_keys(index, lambda at: reader.entry(at) if at < state.size else tail[at - state.size])


def _check_signatures(folder: DataFolder, keys: LogKeys, state: LockState) -> None:
    """The checkpoint in the lock and the one that is served must be signed by the note key of their size."""
    for where, note in (
        ("lock", state.checkpoint),
        (folder.served / "checkpoint", TileReader(folder.served).checkpoint()),
    ):
        if not note:
            continue
        try:
            checkpoint = keys.open_checkpoint(note)
        except (MalformedError, NoteSignatureError) as error:
            raise RefusedStartError(
                f"The checkpoint that is kept is not this log's: {error.detail}",
                where=str(where),
                remedy="Somebody put it there: keep it as evidence, restore the newest copy or a mirror",
            ) from error
        if checkpoint.size == state.size and checkpoint.root != state.root:
            raise RefusedStartError(
                f"Two checkpoints of size {state.size} are signed, with different roots",
                where=str(where),
                remedy="The note key signed a fork: keep both as evidence, seal the log, name a successor",
            )


def _writer(folder: DataFolder, state: LockState, journal: Journal) -> TileWriter:
    try:
        writer = TileWriter.open(folder.served, state.size, state.root)
    except (CorruptError, MalformedError) as error:
        raise RefusedStartError(
            f"The data directory does not hold what was signed last (size {state.size}): {error.detail}",
            where=error.where,
            remedy="It was rolled back or damaged: restore the newest copy or a mirror; never sign from an older one",
        ) from error
    if not journal.first_index <= state.size <= journal.next_index:
        raise RefusedStartError(
            f"The journal holds entries {journal.first_index} to {journal.next_index}, signed are {state.size}",
            where=str(folder.journal),
            remedy="Acknowledged entries may be gone: restore the journal or a mirror",
        )
    return writer


def _compare_with_chain(folder: DataFolder, state: LockState, anchored: tuple[int, bytes] | None) -> None:
    """The chain must not know a larger log, nor another one."""
    if anchored is None:
        return
    size, root = anchored
    if size > max(state.size, 1):  # a registered log stands at size 1 before anything is signed
        raise RefusedStartError(
            f"The chain holds an anchor of size {size}, this log was signed up to {state.size}",
            where="chain",
            remedy="The data and its lock were rolled back together: restore the newest copy or a mirror",
        )
    ours = TileReader(folder.served).root(size) if size > 1 else state.log
    if ours != root:
        raise RefusedStartError(
            f"The chain's root at size {size} is {root.hex()}, this log's is {ours.hex()}",
            where="chain",
            remedy="This log forked from what was anchored: keep both as evidence, restore from a mirror",
        )


def entries_from(folder: DataFolder, state: LockState, journal: Journal, start: int) -> Iterator[bytes]:
    """All durable entries from `start` on: from tiles as far as they go, then from the journal."""
    if start < state.size:
        yield from TileReader(folder.served).iter_entries(start, state.size)
    for _, entry in journal.replay(max(start, state.size)):
        yield entry


def _caught_up_index(folder: DataFolder, state: LockState, journal: Journal, retention: Retention | None) -> Index:
    """Open the index and bring it to the journal's end; one that is ahead or unreadable is built anew."""
    try:
        index = Index.open(folder.index, retention)
        if index.covers > journal.next_index:
            index.close()
            raise CorruptError(f"The index covers {index.covers} entries, the log has {journal.next_index}")
    except CorruptError as error:
        log.warning("index is built anew", extra={"error": error.explain()})
        Index.destroy(folder.index)
        index = Index.open(folder.index, retention)
    try:
        served = served_checkpoint(folder)
        sizes = (state.size, *(() if served is None else (served[0].size,)))
        index.tree.pins = pins_of(index, anchored(folder.outbox, index), lambda: sizes)
        behind = journal.next_index - index.covers
        if behind:
            log.info("index catches up", extra={"entries": behind})
            replay(index, entries_from(folder, state, journal, index.covers))
    except BaseException:
        index.close()
        raise
    return index


def _open_batch(folder: DataFolder, index: Index, state: LockState, tail: list[bytes]) -> Counter[str]:
    """Counts by type of the entries after the last manifest."""
    view = Overlay(index.record)
    batch, record = view.read(BatchRecord), view.read(LogRecord)
    if batch is None or record is None:
        raise LedgerError("The index holds no log record after catching up", where=str(folder.index))
    first = batch.first
    below = TileReader(folder.served).iter_entries(first, state.size) if first < state.size else iter(())
    return Counter(decode_statement(raw).type for raw in [*below, *tail[max(0, first - state.size) :]])
