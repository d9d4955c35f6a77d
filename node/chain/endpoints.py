"""Several nodes of one chain, used as one: by turns only when the one in use fails, lags or lies.

Sticky: all that one account sends goes to one node, because nodes pass on transactions that build on each other late or
never. A node that fails rests for a while, longer each time, and the next takes its place after it was looked at: chain
id, contract, and that it knows of every transaction of ours that the one before it knew to be in a block. What was
under way is sent again there by whoever sent it; the same bytes twice do no harm. Trusts no node more than the others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from ledger.errors import LedgerError, MalformedError
from node.chain.protocol import (
    ChainMismatchError,
    ChainUnavailableError,
    ContractMissingError,
    NodeBehindError,
    NodeStatus,
)
from node.chain.rpc import ANSWER_LIMIT, JsonRpc, Rpc, RpcError

log = logging.getLogger("node.chain")

MAX_NODES = 16
REST = 1.0
MAX_REST = 60.0
CONDEMNED_REST = 30.0
LAPS = 2.0
"""A call that fails at one node is tried at others until this many times the timeout have passed."""
LOOK = 30.0
"""Seconds between two looks at a node that is not in use: people should know before it is needed."""
GLANCE = 1.0
"""Seconds that such a look may take."""


@dataclass(slots=True)
class _Node:
    """One node. `until`: when its rest ends, on the monotonic clock; `failures` in a row, `failure` the newest."""

    rpc: JsonRpc
    state: str = "new"
    since: int = 0
    until: float = 0.0
    failures: int = 0
    failure: LedgerError | None = None

    @property
    def error(self) -> str:
        return "" if self.failure is None else self.failure.detail


class Endpoints:
    """The nodes at `urls`, of one chain. `timeout`: seconds that one node has for one call. For one thread at a time.

    `switches` counts how often another node took over.
    """

    def __init__(self, urls: Sequence[str], *, timeout: float = 5.0, answer_limit: int = ANSWER_LIMIT) -> None:
        if not 0 < len(urls) <= MAX_NODES:
            raise MalformedError(f"A chain has 1 to {MAX_NODES} addresses, not {len(urls)}", where="chain.url")
        self.urls = tuple(urls)
        self.timeout = timeout
        self.answer_limit = answer_limit
        self.switches = 0
        self._nodes = [_Node(JsonRpc(url, timeout=timeout, answer_limit=answer_limit)) for url in self.urls]
        self._used = 0
        self._vet: Callable[[Rpc], None] | None = None
        self._looked = time.monotonic() - LOOK
        self._looking = 0

    @property
    def place(self) -> str:
        """The address of the node in use; see Rpc.place."""
        return self._nodes[self._used].rpc.place

    def close(self) -> None:
        """Drop the connections."""
        for node in self._nodes:
            node.rpc.close()

    def apart(self) -> Endpoints:
        """Open other connections to the same nodes, the one in use first; see Rpc.apart."""
        urls = self.urls[self._used :] + self.urls[: self._used]
        return Endpoints(urls, timeout=self.timeout, answer_limit=self.answer_limit)

    def guard(self, vet: Callable[[Rpc], None]) -> None:
        """Have each node looked at before it takes over; see Rpc.guard."""
        self._vet = vet

    def nodes(self) -> tuple[NodeStatus, ...]:
        """How each node fares, in the order of the addresses."""
        return tuple(
            NodeStatus(node.rpc.place, at == self._used, node.state, node.error, node.since)
            for at, node in enumerate(self._nodes)
        )

    def call(self, method: str, *params: object) -> Any:
        """Return the result of one call; where the node gives none, that of another; see Rpc.call."""
        return self._somewhere(lambda rpc: rpc.call(method, *params))

    def check(self, vet: Callable[[Rpc], None]) -> None:
        """Look at the node in use, and where it fails take another; see Rpc.check."""
        self._somewhere(vet)
        self._look_around(vet)

    def condemn(self, reason: str) -> bool:
        """Let the node in use rest and use another; see Rpc.condemn."""
        node = self._nodes[self._used]
        if len(self._nodes) > 1 and node.state == "well":  # else it is found out already
            log.warning("a node of the chain is not believed", extra={"place": node.rpc.place, "error": reason})
            self._fail(node, ChainUnavailableError(reason), "condemned")
        return len(self._nodes) > 1

    def turn(self) -> None:
        """Use the next node that passes, without blame for the one in use; see Rpc.turn."""
        for step in range(1, len(self._nodes)):
            at = (self._used + step) % len(self._nodes)
            if self._nodes[at].until <= time.monotonic() and self._try(at, lambda _: None, self.timeout)[0]:
                self._used = at
                self._praise(self._nodes[at])
                return

    def _somewhere(self, ask: Callable[[JsonRpc], Any]) -> Any:
        """Ask the node in use, then those that are not resting, until one answers or the time is over."""
        end = time.monotonic() + LAPS * self.timeout
        for at in self._order():
            node = self._nodes[at]
            left = end - time.monotonic()
            if left <= 0:
                break
            found, answer = self._try(at, ask, min(self.timeout, left))
            if found:
                self._take(node, at)
                return answer
        raise self._verdict()

    def _try(self, at: int, ask: Callable[[JsonRpc], Any], seconds: float) -> tuple[bool, Any]:
        """Ask one node, after a look at it where it is to take over; whether it passed, and its answer."""
        node = self._nodes[at]
        node.rpc.end = time.monotonic() + seconds
        try:
            strange = at != self._used or node.state != "well"
            if strange and self._vet is not None and len(self._nodes) > 1:
                self._vet(node.rpc)
            return True, ask(node.rpc)
        except NodeBehindError as error:
            self._fail(node, error, "behind")
        except ChainUnavailableError as error:
            self._fail(node, error, "down")
        except ChainMismatchError as error:
            self._fail(node, error, "strange")
        except RpcError:
            self._take(node, at)  # an answer, if not a glad one
            raise
        finally:
            node.rpc.end = inf
        return False, None

    def _order(self) -> list[int]:
        """The node in use first, then the others in turn; without those that rest, unless all do."""
        count = len(self._nodes)
        turn = [(self._used + step) % count for step in range(count)]
        now = time.monotonic()
        awake = [at for at in turn if self._nodes[at].until <= now]
        return awake or sorted(turn, key=lambda at: self._nodes[at].until)

    def _take(self, node: _Node, at: int) -> None:
        if at != self._used:
            before = self._nodes[self._used]
            log.warning(
                "another node of the chain is used",
                extra={"place": node.rpc.place, "before": before.rpc.place, "error": before.error},
            )
            self._used = at
            self.switches += 1
        self._praise(node)

    @staticmethod
    def _praise(node: _Node) -> None:
        if node.state != "well":
            node.state, node.since = "well", int(time.time())
        node.failures, node.failure, node.until = 0, None, 0.0

    @staticmethod
    def _fail(node: _Node, error: LedgerError, state: str) -> None:
        if node.state != state:
            node.state, node.since = state, int(time.time())
        node.failure = error
        node.failures += 1
        rest = {"condemned": CONDEMNED_REST, "down": max(REST, node.rpc.timeout)}.get(state, REST)
        node.until = time.monotonic() + min(MAX_REST, rest * 2 ** min(node.failures - 1, 10))

    def _look_around(self, vet: Callable[[Rpc], None]) -> None:
        """Now and then look at one of the nodes that are not in use; for people only, nothing follows from it."""
        if len(self._nodes) == 1 or time.monotonic() < self._looked + LOOK / (len(self._nodes) - 1):
            return
        self._looked = time.monotonic()
        self._looking = (self._looking + 1) % len(self._nodes)
        if self._looking == self._used:
            self._looking = (self._looking + 1) % len(self._nodes)
        node = self._nodes[self._looking]
        if node.state == "condemned" and node.until > self._looked:
            return  # it would look well
        node.rpc.end = self._looked + min(GLANCE, self.timeout)
        try:
            vet(node.rpc)
        except (ChainUnavailableError, RpcError) as error:
            self._fail(node, error, "down")
        except ChainMismatchError as error:
            self._fail(node, error, "strange")
        else:
            self._praise(node)
        finally:
            node.rpc.end = inf

    def _verdict(self) -> LedgerError:
        """One error for all: a mismatch where every node that answers is of another chain, else no answer."""
        failures = [node.failure for node in self._nodes if node.failure is not None]
        if len(self._nodes) == 1:
            return failures[0]
        said = "; ".join(f"{node.rpc.place}: {node.error or node.state}" for node in self._nodes)
        answering = [node for node in self._nodes if node.state not in {"down", "new"}]
        if not answering or any(node.state != "strange" for node in answering):
            return ChainUnavailableError(f"no node of the chain can be used: {said}", where=self.place)
        # A contract may be put anew where it is missing: not while a node that could know it is silent.
        missing = all(isinstance(node.failure, ContractMissingError) for node in self._nodes)
        return (ContractMissingError if missing else ChainMismatchError)(
            f"every node that answers is of another chain or contract: {said}",
            where=self.place,
            remedy="Correct the addresses, the chain id or the contract in the configuration, or restore the chain",
        )


def connect(urls: str, *, timeout: float = 5.0) -> Endpoints:
    """Open the nodes at one or several addresses, separated by spaces; MalformedError for none, or too many."""
    return Endpoints(urls.split(), timeout=timeout)
