"""Signature checks beside the main thread: worker processes that verify batches.

An Ed25519 check costs more than everything else that happens to a statement, and threads do not help beside a busy
interpreter: processes do (measured in docs/performance.md). A few checks are done on the spot: asking another process
costs more than they do, and a submitter of single statements would wait for somebody's batch.

A check depends on nothing but its four arguments, so it may run before the statement's turn in the log, and again: when
a worker dies (killed, out of memory) its batches are asked once more from new workers. A batch that takes its worker
down twice is given up with `UnavailableError`, never done on the spot: whatever it is must not take the node down.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

from ledger.crypto.suites import suite_by_alg
from ledger.errors import UnavailableError
from ledger.state.transition import verify_signature

log = logging.getLogger(__name__)

Check = tuple[int, bytes, bytes, bytes]
"""(COSE algorithm, public key, message, signature)."""

BATCH = 192
"""Checks a worker gets at once: about 8 ms, so that small submissions do not wait long behind large ones."""
INLINE = 4
"""So few checks are done on the spot."""
TRIES = 2
"""How often a batch is asked when workers die under it."""


def check_batch(checks: Sequence[Check]) -> bytes:
    """Answer each check with one byte, 1 for a good signature."""
    return bytes(suite_by_alg(alg).verify(key, message, signature) for alg, key, message, signature in checks)


def start_worker() -> None:
    """Set up a verify process: it ends with its parent, and not by the terminal's signals."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the node decides when its workers stop
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """End with the node: one that was killed closes no queue, and its workers would wait at it for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


class VerifierPool:
    """Verify processes behind one coroutine. Belongs to the event loop that first awaits it."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool = self._make()
        self._free = asyncio.Semaphore(processes * 2)

    def _make(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("forkserver")
        return ProcessPoolExecutor(self._processes, mp_context=context, initializer=start_worker)

    async def warm(self) -> None:
        """Start the workers, so that the first submission does not wait for them."""
        await asyncio.gather(*(self._ask(()) for _ in range(self._processes)))

    async def check(self, checks: Sequence[Check]) -> list[bool]:
        """Answer all checks, in order; UnavailableError where the workers died under them again and again."""
        if len(checks) <= INLINE:
            return [verify_signature(*check) for check in checks]
        parts = [checks[start : start + BATCH] for start in range(0, len(checks), BATCH)]
        answers = await asyncio.gather(*(self._ask(part) for part in parts))
        return [bool(answer) for part in answers for answer in part]

    async def _ask(self, checks: Sequence[Check]) -> bytes:
        async with self._free:
            return await self._ask_workers(checks)

    async def _ask_workers(self, checks: Sequence[Check]) -> bytes:
        for _ in range(TRIES):
            pool = self._pool
            try:
                return await asyncio.get_running_loop().run_in_executor(pool, check_batch, checks)
            except BrokenProcessPool:
                self._replace(pool)
        raise UnavailableError("The processes that check signatures keep dying", remedy="Submit again in a second")

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        """Put new workers in the place of those of a broken pool, once: every batch under way hears of the break."""
        if self._pool is broken:
            log.error("a verify process died: all are started anew")
            self._pool = self._make()
            broken.shutdown(wait=False)

    def close(self) -> None:
        """Stop the workers."""
        self._pool.shutdown(wait=True, cancel_futures=True)
