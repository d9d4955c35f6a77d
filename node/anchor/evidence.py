"""Chain evidence beside the anchors: taken when an anchor is final, renewed while it is the newest, served from disk.

Owns when evidence is asked for and which is kept; the outbox keeps it. A bundle then needs no chain. The evidence is
checked before it is kept, against the block that the chain's node named: whoever gets it decides whether to trust that
block. A chain that gives none never holds up anchoring: it is asked again whenever the worker rests. Follows DESIGN
section 8, steps 10 and 14: a newer header under which the head is still this anchor says that it is fresh.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.errors import LedgerError, UnavailableError
from node.anchor.outbox import Outbox
from node.anchor.records import AnchorRecord
from node.chain.protocol import Chain, ChainUnavailableError, ProvenAnchor

log = logging.getLogger("node.anchor")

CATCH_UP = 16
"""Anchors without evidence that are asked for at a time: each takes two questions to the chain."""
CATCH_UP_SECONDS = 10.0
"""How long they may take: a slow chain must not keep the worker from the next checkpoint."""
PATIENCE = 5.0
"""Seconds for which a proof on demand waits for the ones before it."""
BLOCKS = 1024
"""Blocks that are remembered as named final by the chain's node."""
MAX_WAITING = 3
"""Proofs on demand at once: each holds a thread while a slow chain answers."""


@dataclass(frozen=True, slots=True)
class EvidenceStatus:
    """What was last proven: size, block and its time (Unix seconds), 0 before; `error`: why the last try failed."""

    size: int = 0
    block: int = 0
    time: int = 0
    error: str = ""


class EvidenceKeeper:
    """Evidence for the anchors of one outbox. `take` and `rest` are for the worker's thread, the others for any.

    `refresh` is how many seconds old the newest evidence may get before a newer header is asked for.
    """

    def __init__(
        self, outbox: Outbox, log_id: bytes, *, refresh: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._outbox = outbox
        self._log = log_id
        self._refresh = refresh
        self._clock = clock
        self._renewed = float("-inf")
        self._missing = set(outbox.unproven())
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_WAITING)
        self._reader: tuple[Chain, Chain] | None = None
        self._blocks: deque[bytes] = deque(maxlen=BLOCKS)
        self.status = EvidenceStatus()

    def take(self, chain: Chain, record: AnchorRecord) -> None:
        """Take evidence for an anchor that has just become final, and some of what is missing."""
        if self._prove(chain, record):
            self._catch_up(chain)
        else:
            # What may lie there is of an anchor that the chain lost, or of another contract.
            self._outbox.drop_evidence(record.size)
            self._missing.add(record.size)

    def look_again(self) -> None:
        """See which anchors lack evidence: the outbox has got others than those that were taken here."""
        self._missing = set(self._outbox.unproven())

    def rest(self, chain: Chain) -> None:
        """Renew the evidence of the newest anchor where it is old, then catch up with what is missing."""
        newest = self._outbox.newest(chain.identity)
        if newest is None:
            return
        due = self._clock() - self._renewed >= self._refresh
        if (due or newest.size in self._missing) and not self._prove(chain, newest, renew=True):
            return
        self._catch_up(chain)

    def _catch_up(self, chain: Chain) -> None:
        end = self._clock() + CATCH_UP_SECONDS
        for size in sorted(self._missing, reverse=True)[:CATCH_UP]:
            if self._clock() >= end:
                return
            record = self._outbox.done(size, chain.identity)
            if record is None:
                self._missing.discard(size)
            elif not self._prove(chain, record):
                return

    def blocks(self) -> tuple[bytes, ...]:
        """Hashes of the blocks under which this process kept evidence, the last few: its chain's node's word."""
        return tuple(self._blocks.copy())

    def prove(
        self, chain: Chain, size: int, *, block: int | None = None, requested: Sequence[bytes] = ()
    ) -> ProvenAnchor:
        """Ask for evidence under a block, over a connection of its own; nothing is kept.

        Raises UnavailableError where the chain gives none, or too many ask at once.
        """
        busy = UnavailableError("the chain is being asked for other proofs", remedy="Ask again in some seconds")
        if not self._places.acquire(blocking=False):
            raise busy
        try:
            if not self._lock.acquire(timeout=PATIENCE):
                raise busy
            try:
                if self._reader is None or self._reader[0] is not chain:
                    self._reader = (chain, chain.apart())
                try:
                    return self._reader[1].prove(self._log, size, block=block, requested=requested)
                except ChainUnavailableError as error:
                    self._reader[1].condemn(str(error))  # the next question goes to another node, where there is one
                    raise
            finally:
                self._lock.release()
        finally:
            self._places.release()

    def _prove(self, chain: Chain, record: AnchorRecord, *, renew: bool = False) -> bool:
        """Prove under the newest final block; to renew is not worth it where that is the one of last time."""
        try:
            block = chain.final_block()
            if renew and (record.size, block) == (self.status.size, self.status.block):
                self._renewed = self._clock()
                return True
            proven = chain.prove(self._log, record.size, block=block)
            if proven.facts.root != record.root:
                raise ChainUnavailableError("the chain proves another root than it told", where=f"size {record.size}")
        except LedgerError as error:
            if not self.status.error:
                log.warning("no chain evidence", extra={"size": record.size, "error": str(error)})
            self.status = EvidenceStatus(self.status.size, self.status.block, self.status.time, str(error))
            return False
        self._outbox.keep_evidence(record.size, proven.evidence)
        self._blocks.append(proven.facts.block_hash)
        self._missing.discard(record.size)
        if record.size >= self.status.size:
            self._renewed = self._clock()
            self.status = EvidenceStatus(record.size, proven.facts.block, proven.facts.time)
        return True
