"""The publisher: from durable entries to tiles, a signed checkpoint, and its publication (DESIGN section 6, rule 5).

Takes groups after they are durable, in order. About every second, when there is something, it asks the sequencer to
close the open batch, then: tiles durable -> checkpoint signed -> lock swapped -> checkpoint file replaced. A checkpoint
is signed only at a size whose last leaf is a manifest. A full disk delays publication and shows in health; a file that
contradicts what is written, or a lock that moved, stops the node.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ledger.crypto.suites import Signer
from ledger.errors import LedgerError
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.store.durable import StorageError
from ledger.store.lock import CheckpointLock, LockState, LockStatus
from ledger.store.tiles import TileReader, TileWriter, write_checkpoint
from node.admission import Group
from node.sequencer import Sequencer, StoppedError

log = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds before a publication that failed for want of disk is tried again."""


@dataclass(frozen=True, slots=True)
class Published:
    """The newest published checkpoint: tree size, root (32 bytes) and the signed note."""

    size: int
    root: bytes
    checkpoint: bytes


class Publisher:
    """Publishes one log. Methods belong to the event loop; files are written in a thread, one publication at a time."""

    def __init__(
        self,
        folder: Path,
        writer: TileWriter,
        lock: CheckpointLock,
        state: LockState,
        signer: Signer,
        origin: str,
        *,
        interval: float,
    ) -> None:
        """`folder` is the served log directory, `state` what the lock says, `signer` the note key in force."""
        self._folder = folder
        self._writer = writer
        self._reader = TileReader(folder)
        self._lock = lock
        self._state = state
        self._signer = signer
        self._origin = origin
        self._interval = interval
        self._entries: list[bytes] = []
        self._leaves: list[bytes] = []
        self._base = writer.durable_size
        self._boundary = state.size
        self._disk = ThreadPoolExecutor(1, "publisher")
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._stopping = False
        self.published = Published(state.size, state.root, state.checkpoint)
        self.error: LedgerError | None = None
        self.seconds = 0.0

    def take(self, group: Group) -> None:
        """Take a durable group; publishes nothing yet."""
        self._entries += group.entries
        self._leaves += group.leaves
        if group.manifests:
            self._boundary = group.manifests[-1][1] + 1

    @property
    def size(self) -> int:
        """Durable entries known here, published or not: `entry_at` answers below it."""
        return self._base + len(self._entries)

    def entry_at(self, index: int) -> bytes:
        """The bytes of a durable entry, published or not."""
        return self._entries[index - self._base] if index >= self._base else self._reader.entry(index)

    def finish(self) -> None:
        """Publish what was signed last, where a crash came between its signing and its publication."""
        if self.published.size and self._reader.checkpoint() != self.published.checkpoint:
            log.warning("the checkpoint signed last is published now", extra={"size": self.published.size})
            write_checkpoint(self._folder, self.published.checkpoint)

    async def run(self, sequencer: Sequencer) -> None:
        """Publish about every `interval` seconds what there is, until `stop`; then once more."""
        while not self._stopping:
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), self._interval)
            except TimeoutError:
                log.debug("publication due")
            if self._stopping:
                break
            try:
                await self.publish_now(sequencer)
            except StorageError as error:
                log.error("publication failed, will be tried again", extra={"error": error.explain()})  # noqa: TRY400
                await asyncio.sleep(RETRY)
            except StoppedError:
                return

    async def publish_now(self, sequencer: Sequencer) -> Published:
        """Close the open batch if it has entries, and publish up to the newest manifest."""
        if sequencer.admission.open_entries:
            await sequencer.close_batch()
        async with self._turn:
            size = self._boundary
            if size == self.published.size:
                return self.published
            begun = time.perf_counter()
            count = size - self._base
            try:
                published = await asyncio.get_running_loop().run_in_executor(self._disk, self._write, size)
            except LedgerError as error:
                self.error = sequencer.held_back = error
                raise
            del self._entries[:count]
            del self._leaves[:count]
            self._base = size
            self.published = published
            self.error = sequencer.held_back = None
            self.seconds = time.perf_counter() - begun
            sequencer.retire(size)
            log.info("published", extra={"size": size, "entries": count, "seconds": round(self.seconds, 4)})
            return published

    def _write(self, size: int) -> Published:
        """Tiles, checkpoint, lock, publication: each durable before the next."""
        writer = self._writer
        taken = writer.size - self._base  # more than none when an earlier try met a full disk
        wanted = size - self._base
        writer.extend(self._entries[taken:wanted], self._leaves[taken:wanted])
        root = writer.root()
        writer.flush()
        note = sign_checkpoint(self._signer, Checkpoint(self._origin, size, root))
        state = LockState(self._state.log, self._state.instance, size, root, note)
        try:
            self._lock.compare_and_swap((self._state.size, self._state.root), state)
        except StorageError:
            reading = self._lock.read()
            if reading.status is LockStatus.INTACT and reading.state == state:
                self._state = state  # it got there before the disk failed: the next try goes on from it
            raise
        self._state = state
        write_checkpoint(self._folder, note)
        return Published(size, root, note)

    def close(self) -> None:
        """Let go of the thread that writes."""
        self._disk.shutdown(wait=True)

    def stop(self) -> None:
        """Let `run` return; the caller publishes what is left."""
        self._stopping = True
        self._wake.set()
