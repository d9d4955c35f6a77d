"""Building the index anew from the log (DESIGN rule 7 and section 9): `tial index rebuild`.

The new index grows beside the old one. Entries come from tiles as far as a checkpoint was signed, from the journal
beyond. Signatures are not checked again, because admission did and `tial log fsck --deep` can; the rules run in full,
and the root over all leaf hashes must be the signed one. Only then does the new index take the old one's place, by
renames: a crash between them leaves no index, which the node builds at its next start. Never runs beside the node.
"""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.errors import CorruptError, RefusedStartError
from ledger.log.tree import EMPTY_ROOT, CompactRange
from ledger.store.durable import reporting, sync_directory
from ledger.store.index import Index
from ledger.store.journal import JournalCopy, look_at
from ledger.store.lock import CheckpointLock, LockStatus
from ledger.store.replay import replay
from ledger.store.state_tree import Retention
from ledger.store.tiles import TileReader
from node.config import Config
from node.recovery import DataFolder, served_checkpoint
from node.retention import anchored, pins_of, retention_of

NEW: Final = "index.new"
OLD: Final = "index.old"
Progress = Callable[[int, int], None]
"""Hears (entries done, entries in all) every few thousand entries."""


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What was built: entries covered, seconds taken; root over all of them, checksum of the index, state root.

    The state root, of the tree over all records, was equal to that in every manifest. 32 bytes each.
    """

    entries: int
    seconds: float
    root: bytes
    checksum: bytes
    state: bytes

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "entries": self.entries,
            "seconds": round(self.seconds, 3),
            "per_second": round(self.entries / self.seconds) if self.seconds else 0,
            "root": self.root.hex(),
            "checksum": self.checksum.hex(),
            "state": self.state.hex(),
        }


def rebuild(config: Config, progress: Progress | None = None) -> RebuildReport:
    """Build the index anew and put it in place.

    Raises:
        RefusedStartError: the node is running, or there is no log here.
        CorruptError: the log contradicts its signed root, its rules or its journal; the old index stays.
        StorageError: the operating system refused; the old index stays.

    """
    folder = DataFolder(config.data_path)
    if not folder.instance.exists():
        raise RefusedStartError("There is no log here", where=str(folder.path), remedy="Run `tial init` first")
    with CheckpointLock.open(config.path(config.lock), folder.path) as lock:
        return _rebuild(folder, _signed(folder, lock), retention_of(config.state), progress)


def _signed(folder: DataFolder, lock: CheckpointLock) -> tuple[int, bytes]:
    """The newest signed (size, root): from the lock, or from the published checkpoint where the lock is in doubt."""
    reading = lock.read()
    if reading.status is LockStatus.INTACT and reading.state is not None:
        return reading.state.size, reading.state.root
    served = served_checkpoint(folder)
    return (0, EMPTY_ROOT) if served is None else (served[0].size, served[0].root)


def _rebuild(
    folder: DataFolder, signed: tuple[int, bytes], retention: Retention, progress: Progress | None
) -> RebuildReport:
    begun = time.perf_counter()
    size, root = signed
    journal = look_at(folder.journal)
    if not journal.first_index <= size <= journal.next_index:
        raise CorruptError(
            f"the journal holds entries {journal.first_index} to {journal.next_index}, signed are {size}",
            where=str(folder.journal),
            remedy="Restore the journal and tiles from a mirror, then run tial log fsck",
        )
    new = folder.path / NEW
    _remove(new)
    try:
        with Index.open(new, retention) as index, rarely_collecting():
            served = served_checkpoint(folder)
            sizes = (size, *(() if served is None else (served[0].size,)))
            index.tree.pins = pins_of(index, anchored(folder.outbox, index), lambda: sizes)
            tree = CompactRange()
            step = None if progress is None else _telling(progress, journal.next_index)
            replay(index, TileReader(folder.served).iter_entries(0, size), tree=tree, progress=step)
            _require_root(folder, size, tree.root(), root)
            replay(index, _tail(journal, size), tree=tree, progress=step)
            seconds = time.perf_counter() - begun
            report = RebuildReport(index.covers, seconds, tree.root(), index.checksum(), index.tree.current)
    except BaseException:
        _remove(new)
        raise
    _swap(folder, new)
    return report


@contextmanager
def rarely_collecting() -> Iterator[None]:
    """A replay makes no reference cycles: looking for them at the usual pace takes a thirtieth of the time."""
    usual = gc.get_threshold()
    gc.set_threshold(100_000, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _require_root(folder: DataFolder, size: int, found: bytes, signed: bytes) -> None:
    if found != signed:
        raise CorruptError(
            f"the entries give root {found.hex()} at size {size}, signed was {signed.hex()}",
            where=str(folder.served),
            remedy="Run tial log fsck to find which entry; restore the log from a mirror",
        )


def _telling(progress: Progress, total: int) -> Callable[[int], None]:
    return lambda done: progress(done, total)


def _tail(journal: JournalCopy, size: int) -> Iterator[bytes]:
    for _, entry in journal.entries(size):
        yield entry


def _swap(folder: DataFolder, new: Path) -> None:
    """Put the new index in the old one's place."""
    old = folder.path / OLD
    _remove(old)
    with reporting("put the new index in place", folder.index):
        if folder.index.exists():
            folder.index.rename(old)
        new.rename(folder.index)
    sync_directory(folder.path)
    _remove(old)


def _remove(path: Path) -> None:
    with reporting("remove", path):
        if path.exists():
            shutil.rmtree(path)
