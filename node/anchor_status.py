"""How the anchor worker stands, for health checks, metrics and people.

Owns the names of its states, which are stable: `/healthz`, metrics and tests match on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ledger.errors import LedgerError
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
