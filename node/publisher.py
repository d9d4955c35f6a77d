"""The publisher: from durable entries to tiles, a signed checkpoint, and its publication (DESIGN section 6, rule 5).

Takes groups after they are durable, in order. About every second, when there is something, it asks the sequencer to
close the open batch, then: tiles durable -> checkpoint signed -> lock swapped -> witnesses cosign -> checkpoint file
replaced. A checkpoint is signed only at a size whose last leaf is a manifest. A full disk delays publication and shows
in health; a file that contradicts what is written, or a lock that moved, stops the node.

Without the witnesses' quorum nothing is published, unless the configuration says otherwise: admission goes on, and the
newest checkpoint is tried again every few seconds. While there is nothing new, the published checkpoint is cosigned
again about every minute, so that a reader can tell a quiet log from a withheld one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ledger.crypto.suites import Signer
from ledger.errors import LedgerError
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.notes import Note
from ledger.log.tree import EMPTY_ROOT
from ledger.state.records import LogRecord
from ledger.store.durable import StorageError
from ledger.store.lock import CheckpointLock, LockState, LockStatus
from ledger.store.tiles import TileReader, TileWriter, write_checkpoint
from node.admission import Group
from node.cosigning import QuorumError, Witnessing
from node.sequencer import Sequencer, StoppedError

log = logging.getLogger(__name__)
_T = TypeVar("_T")

HEARTBEAT = 1_800
"""Seconds after which an idle, witnessed log closes an empty batch: half of the lag that policies allow by default."""
RETRY = 1.0
"""Seconds before a publication that failed for want of disk is tried again."""
WITNESS_RETRY = 3.0
"""Seconds before witnesses are asked again that did not make a quorum."""


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
        signer_for: Callable[[int], Signer],
        origin: str,
        *,
        interval: float,
        witnesses: Witnessing | None = None,
    ) -> None:
        """`folder` is the served log directory, `state` what the lock says.

        `signer_for` gives the note key in force at a size; asked only for sizes that were taken. Without `witnesses`
        a checkpoint is published with the log's signature alone.
        """
        self._folder = folder
        self._writer = writer
        self._reader = TileReader(folder)
        self._lock = lock
        self._state = state
        self._signer_for = signer_for
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
        self._witnesses = witnesses
        self._retry_at = 0.0
        self.published = self._served()
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

    @property
    def signed_size(self) -> int:
        """Size of the newest signed checkpoint, published or not."""
        return self._state.size

    @property
    def waiting(self) -> bool:
        """Whether a signed checkpoint waits for its witnesses."""
        return self._state.size != self.published.size

    def _served(self) -> Published:
        """What readers have: the file, where witnesses must come before it, else what was signed last."""
        state, note = self._state, self._reader.checkpoint()
        if self._witnesses is None or (note is None and not state.size):
            return Published(state.size, state.root, state.checkpoint)
        if note is None:
            return Published(0, EMPTY_ROOT, b"")
        checkpoint = Checkpoint.parse(Note.parse(note).text)
        return Published(checkpoint.size, checkpoint.root, note)

    async def finish(self) -> None:
        """Publish what was signed last, where a crash came between its signing and its publication.

        Asks the witnesses even if it is published: before anything is signed they may tell of a tree that was lost.

        Raises:
            RefusedStartError: a witness cosigned a larger or another tree.
            StorageError: the operating system refused.

        """
        if not self._state.size:
            return
        if self._witnesses is None:
            served = self._reader.checkpoint()
            if served is None or Note.parse(served).text != Note.parse(self._state.checkpoint).text:
                log.warning("the checkpoint signed last is published now", extra={"size": self._state.size})
                write_checkpoint(self._folder, self._state.checkpoint)
            else:
                self.published = Published(self._state.size, self._state.root, served)
            return
        async with self._turn:
            try:
                await self._cosign_and_serve(starting=True)
            except QuorumError as error:
                log.warning("the witnesses make no quorum at start", extra={"error": error.explain()})

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
                await self._publish_due(sequencer)
            except StorageError as error:
                log.error("publication failed, will be tried again", extra={"error": error.explain()})  # noqa: TRY400
                await asyncio.sleep(RETRY)
            except StoppedError:
                return

    async def _publish_due(self, sequencer: Sequencer) -> None:
        """One turn of `run`: what is new, or what waits for witnesses, or a fresh cosigning of what is published."""
        witnesses = self._witnesses
        if witnesses is None:
            await self.publish_now(sequencer)
            return
        if time.monotonic() < self._retry_at:
            return
        try:
            await self.publish_now(sequencer)
            if witnesses.stale():
                async with self._turn:
                    await self._cosign_and_serve()
        except QuorumError as error:
            self._retry_at = time.monotonic() + WITNESS_RETRY
            log.error("waiting for witnesses, will be tried again", extra={"error": error.explain()})  # noqa: TRY400

    async def publish_now(self, sequencer: Sequencer) -> Published:
        """Close the open batch if it has durable entries, and publish up to the newest manifest.

        What was acknowledged before the call is published by it. The batch is closed in this caller's turn: a batch
        that another caller is closing has no entries left for this one to close, and would not be waited for.

        Raises:
            QuorumError: signed, but too few witnesses cosigned; `run` goes on trying.
            StorageError: the operating system refused; `run` goes on trying.

        """
        async with self._turn:
            if self.size > self._boundary or self._too_old_for_witnesses(sequencer):
                await sequencer.close_batch()
            size = self._boundary
            if size != self._state.size or size != self._base:
                await self._sign(sequencer, size)
            if self.waiting:
                await self._cosign_and_serve()
            sequencer.retire(self.published.size)
            return self.published

    async def _sign(self, sequencer: Sequencer, size: int) -> None:
        begun = time.perf_counter()
        count = size - self._base
        try:
            await self._on_disk(self._write, size, self._signer_for(size))
            if self._witnesses is None:
                self.published = await self._on_disk(self._serve, self._state.checkpoint)
        except LedgerError as error:
            self.error = sequencer.held_back = error
            raise
        del self._entries[:count]
        del self._leaves[:count]
        self._base = size
        self.error = sequencer.held_back = None
        self.seconds = time.perf_counter() - begun
        log.info("signed", extra={"size": size, "entries": count, "seconds": round(self.seconds, 4)})

    async def _cosign_and_serve(self, *, starting: bool = False) -> None:
        """Have the newest signed checkpoint cosigned, and serve it; QuorumError if too few witnesses did."""
        witnesses, state = self._witnesses, self._state
        assert witnesses is not None  # without witnesses nothing waits
        served = self.published.checkpoint if self.published.size == state.size else b""
        try:
            note = await witnesses.cosign(state.checkpoint, state.size, served)
        finally:
            if starting:  # also where others make the quorum: one that knows more is reason to look
                witnesses.require_no_conflict()
        try:
            self.published = await self._on_disk(self._serve, note)
        except StorageError as error:
            self.error = error
            raise
        self.error = None
        log.info("published", extra={"size": state.size})

    def _too_old_for_witnesses(self, sequencer: Sequencer) -> bool:
        """Whether an empty batch is due on an idle log: its log time stands still while witnesses' time goes on.

        A replaying witness refuses a manifest that is older than the log's own skew, and verifiers can tell nothing of
        state that lies further behind the cosignatures than their `max_lag`.
        """
        if self._witnesses is None:
            return False
        idle = time.time() - sequencer.admission.log_time
        parameters = sequencer.admission.view.read(LogRecord)
        return idle > HEARTBEAT or (
            parameters is not None and idle > parameters.skew and bool(self._witnesses.refused())
        )

    async def _on_disk(self, work: Callable[..., _T], *arguments: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments)

    def _serve(self, note: bytes) -> Published:
        write_checkpoint(self._folder, note)
        return Published(self._state.size, self._state.root, note)

    def _write(self, size: int, signer: Signer) -> None:
        """Tiles, checkpoint, lock: each durable before the next."""
        writer = self._writer
        taken = writer.size - self._base  # more than none when an earlier try met a full disk
        wanted = size - self._base
        writer.extend(self._entries[taken:wanted], self._leaves[taken:wanted])
        root = writer.root()
        writer.flush()
        note = sign_checkpoint(signer, Checkpoint(self._origin, size, root))
        state = LockState(self._state.log, self._state.instance, size, root, note)
        try:
            self._lock.compare_and_swap((self._state.size, self._state.root), state)
        except StorageError:
            reading = self._lock.read()
            if reading.status is LockStatus.INTACT and reading.state == state:
                self._state = state  # it got there before the disk failed: the next try goes on from it
            raise
        self._state = state

    def close(self) -> None:
        """Let go of the thread that writes."""
        self._disk.shutdown(wait=True)

    def stop(self) -> None:
        """Let `run` return; the caller publishes what is left."""
        self._stopping = True
        self._wake.set()
