"""What anchoring one log on one chain works with, in one value that its parts share.

A chain whose contract was deployed again is another chain: it gets another job, and parts that know nothing of before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from node.anchor.outbox import Outbox
from node.anchor.status import Board
from node.chain.protocol import Chain, ChainSigner
from node.publisher import Published


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. `interval`: between looks while nothing is under way; `poll`: while something is.

    `patience`: after which a transaction that no block takes is replaced by a dearer one, or sent again where none
    dearer is offered, and one in a block that storage does not show counts as vanished.
    """

    interval: float = 10.0
    poll: float = 0.2
    patience: float = 60.0

    def slower(self, times: int) -> float:
        """How long to wait before something is tried again for the so many-th time; the interval at most."""
        return min(self.interval, self.poll * float(1 << min(times, 10)))


@dataclass(frozen=True, slots=True)
class Job:
    """One log, one chain.

    `newest` gives the newest published checkpoint, None before the first; `consistency` the proof from an older to a
    newer size of our own tree, as ledger.log.proofs makes it; `authoriser` is the key whose signature the contract
    demands beside the sender's; `clock` gives Unix time.
    """

    chain: Chain
    outbox: Outbox
    board: Board
    log_id: bytes
    newest: Callable[[], Published | None]
    consistency: Callable[[int, int], Sequence[bytes]]
    authoriser: ChainSigner
    pace: Pace
    clock: Callable[[], float]

    def now(self) -> int:
        """Return Unix time in whole seconds."""
        return int(self.clock())
