"""How the anchor worker stands, for health checks, metrics and people.

Owns the names of its states, which are stable: `/healthz`, metrics and tests match on them. The worker's thread writes
the status, any thread reads it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ledger.errors import LedgerError
from node.anchor.records import AnchorRecord
from node.chain.protocol import NodeStatus


class WorkerState(Enum):
    """What the worker is doing, or what keeps it from it.

    STARTING: nothing asked yet. IDLE: the newest published checkpoint is anchored. ANCHORING: one is under way.
    CHAIN_DOWN: no answer. SIGNER_DOWN: no good signature from the external signer. CHAIN_LOST: the contract, or the log
    in it, is gone. CHAIN_MISMATCH: another chain or contract. REFUSED: the chain refuses our transactions (right, role,
    funds, pause, authoriser) or asks more than may be paid. SEALED: the log is closed there. DISPUTED: the chain
    contradicts the log. FAILED: a fault in the node itself. STOPPED: `stop` was called.
    """

    STARTING = "starting"
    IDLE = "idle"
    ANCHORING = "anchoring"
    CHAIN_DOWN = "chain-down"
    SIGNER_DOWN = "signer-down"
    CHAIN_LOST = "chain-lost"
    CHAIN_MISMATCH = "chain-mismatch"
    REFUSED = "refused"
    SEALED = "sealed"
    DISPUTED = "disputed"
    FAILED = "failed"
    STOPPED = "stopped"


HOPELESS = frozenset(
    {
        WorkerState.CHAIN_LOST,
        WorkerState.CHAIN_MISMATCH,
        WorkerState.REFUSED,
        WorkerState.SEALED,
        WorkerState.DISPUTED,
        WorkerState.FAILED,
        WorkerState.STOPPED,
    }
)
"""States that do not pass by waiting a little: `anchor_now` gives up in them at once."""


class DisputedError(LedgerError):
    """The chain contradicts the log."""

    code = "disputed"


@dataclass(frozen=True, slots=True)
class AnchorStatus:
    """A snapshot for people and metrics. Times are Unix seconds, 0 where nothing happened yet; counters only grow.

    `cpu_seconds`: processor time that the worker's thread has used.
    """

    state: WorkerState
    since: int
    published_size: int = 0
    anchored_size: int = 0
    anchored_root: bytes = b""
    anchored_time: int = 0
    anchored_tx: bytes = b""
    pending_size: int = 0
    pending_tx: bytes = b""
    pending_since: int = 0
    chain_size: int = 0
    chain_block: int = 0
    chain_time: int = 0
    chain_halted: bool = False
    chain_id: int = 0
    contract: str = ""
    last_answer: int = 0
    last_error: str = ""
    last_error_time: int = 0
    anchors_total: int = 0
    sent_total: int = 0
    resent_total: int = 0
    lost_total: int = 0
    failures_total: int = 0
    switches_total: int = 0
    cpu_seconds: float = 0.0
    nodes: tuple[NodeStatus, ...] = ()
    """How each node of the chain fares, where it has several."""

    @property
    def backlog(self) -> int:
        """Entries that are published but not anchored."""
        return max(0, self.published_size - self.anchored_size)


class Board:
    """The status of one worker. `changed` is notified at each change: whoever waits for one waits there."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.changed = threading.Condition()
        self._clock = clock
        self._status = AnchorStatus(WorkerState.STARTING, int(clock()))

    @property
    def status(self) -> AnchorStatus:
        """How things stand; cheap, never waits."""
        return self._status

    def show(self, state: WorkerState | None = None, **changes: Any) -> None:
        """Show another state, or other values of AnchorStatus's fields."""
        with self.changed:
            if state is not None and state is not self._status.state:
                changes |= {"state": state, "since": int(self._clock())}
            self._status = replace(self._status, **changes)
            self.changed.notify_all()

    def count(self, counter: str, by: int = 1) -> None:
        """Add to one of the counters."""
        self.show(**{counter: getattr(self._status, counter) + by})

    def show_kept(
        self, newest: AnchorRecord | None, pending: AnchorRecord | None, state: WorkerState | None = None
    ) -> None:
        """Show the newest final anchor, and the one under way."""
        self.show(
            state,
            anchored_size=newest.size if newest else 0,
            anchored_root=newest.root if newest else b"",
            anchored_time=newest.time if newest else 0,
            anchored_tx=newest.tx if newest else b"",
            pending_size=pending.size if pending else 0,
            pending_tx=pending.attempts[-1].hash if pending and pending.attempts else b"",
            pending_since=pending.created if pending else 0,
        )
