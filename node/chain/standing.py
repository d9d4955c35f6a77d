"""Whether a node of a chain knows of all that one account has sent: asked before the account's next words go to it.

A node that lags would take a transaction for one account's place in line that another node has given away already, and
would show anchors as lost that are only young. Trusts the node in use more than a new one, but not for ever: a chain
that went back as a whole is believed after a while.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from math import inf

from node.chain.protocol import NodeBehindError
from node.chain.rpc import Rpc, RpcError
from node.chain.transactions import next_nonce

log = logging.getLogger("node.chain")

PATIENCE = 60.0
"""Seconds for which a lower nonce is a node's lag; where all nodes tell of it for longer, the chain went back."""


class Standing:
    """What the node in use said of one account's nonce. `address` empty: nothing is sent. For one thread at a time."""

    def __init__(self, address: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.address = address
        self.nonce = 0
        self._clock = clock
        self._behind_since = inf

    def note(self, nonce: int) -> int:
        """Remember the account's next nonce as the node in use tells it, and return it."""
        self.nonce = nonce
        self._behind_since = inf
        return nonce

    def require(self, rpc: Rpc) -> None:
        """NodeBehindError where a node is catching up, or does not know of transactions that another one has."""
        try:
            syncing = rpc.call("eth_syncing")
        except RpcError:
            syncing = False  # a node that does not tell is judged by the nonce
        if isinstance(syncing, dict):
            raise NodeBehindError("the chain's node is still catching up", where=rpc.place)
        if not self.nonce:
            return
        found = next_nonce(rpc, self.address)
        if found >= self.nonce:
            self._behind_since = inf
            return
        now = self._clock()
        self._behind_since = min(self._behind_since, now)
        if now - self._behind_since < PATIENCE:
            raise NodeBehindError(
                f"the chain's node knows of {found} transactions of {self.address}, another one knew of {self.nonce}",
                where=rpc.place,
            )
        log.error("the chain went back", extra={"place": rpc.place, "nonce": found, "before": self.nonce})
        self.note(found)
