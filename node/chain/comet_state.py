"""Reading a CometBFT chain's state so that a lie is noticed: values proven under headers that validators signed.

Owns the nodes that are asked, one or several, and the walk from an answer to the header's `app_hash`. All that leaves
this module is proven, so which node answers does not matter: the one paired with the JSON-RPC node in use comes first,
then whoever answers. Trusts `ChainTrust` alone. State after block H is proven under the header of H + 1.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeVar

from ledger.errors import MalformedError
from ledger.evidence.chain import ChainInvalidError
from ledger.evidence.chain.comet.commit import Link
from ledger.evidence.chain.comet.ics23 import Absence, Existence, Proof, iavl_root, store_root
from ledger.evidence.chain.cometbft import STORE, code_key, storage_key
from node.chain.comet_rpc import CometRpc
from node.chain.comet_trust import ChainTrust, ChainUnprovenError
from node.chain.protocol import ChainMismatchError, ChainUnavailableError

T = TypeVar("T")

log = logging.getLogger("node.chain")

LAPS: Final = 2.0
"""A question that fails at one node is put to others until this many times the timeout have passed."""
REST: Final = 5.0
CONDEMNED_REST: Final = 60.0
"""Seconds for which a node that failed, or lied, is asked after all others."""
_WORD: Final = 32


class ProvenState:
    """What a contract's account held under one verified header: each value is asked for once, and proven.

    `known` is of the same header and contract: what was proven there is taken from it. `proofs` holds what was read
    here, in its order.
    """

    def __init__(self, rpc: CometRpc, link: Link, contract: bytes, known: ProvenState | None = None) -> None:
        self.rpc = rpc
        self.link = link
        self.contract = contract
        self.proofs: dict[bytes, Proof] = {}
        self._known = known
        self.store: Existence | None = None
        """Leads from the header's `app_hash` to the root of the store; None before the first value."""

    @property
    def block(self) -> int:
        """The block after which the state was so: the one before the header's."""
        return self.link.header.height - 1

    def code_hash(self) -> bytes:
        """Keccak-256 of the contract's code; empty where there is no contract."""
        return self._value(code_key(self.contract)) or b""

    def word(self, slot: bytes) -> bytes:
        """The word in a slot (32 bytes) of the contract's storage."""
        return self._value(storage_key(self.contract, slot)) or bytes(_WORD)

    def _value(self, key: bytes) -> bytes | None:
        proof = self.proofs.get(key)
        if proof is None:
            proof = self.proofs[key] = self._prove(key)
        return None if isinstance(proof, Absence) else proof.value

    def _prove(self, key: bytes) -> Proof:
        header, known = self.link.header, self._known
        if known is not None and key in known.proofs:
            self.store = known.store
            return known.proofs[key]
        entry, store = self.rpc.prove(key, self.block)
        try:
            if store.key != STORE or store_root(store) != header.app_hash:
                problem = "its proof of the store does not lead to the signed state"
            elif entry.key != key or iavl_root(entry) != store.value:
                problem = f"its proof for the key {key.hex()} does not lead to the signed state"
            elif isinstance(entry, Existence) and len(entry.value) != _WORD:
                problem = f"the value under the key {key.hex()} has not {_WORD} bytes"
            else:
                self.store = store
                return entry
        except (MalformedError, ChainInvalidError) as error:
            problem = f"its proof is none: {error}"
        raise ChainUnprovenError(f"block {header.height}: {problem}", where=self.rpc.place)


class Newest(NamedTuple):
    """The newest verified header and the node that has it; `complaint`: what is wrong with the node that came first."""

    link: Link
    rpc: CometRpc
    complaint: str


class CometNodes:
    """The CometBFT nodes at `urls`, one chain's. For one thread at a time; `trust` is shared with others.

    `still`: seconds after which a chain without a new block counts as standing still; `timeout` is for one question.
    """

    def __init__(
        self,
        urls: Sequence[str],
        trust: ChainTrust,
        *,
        timeout: float = 5.0,
        still: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.urls = tuple(urls)
        self.trust = trust
        self.timeout = timeout
        self.still = still
        self.clock = clock
        self._rpcs = [CometRpc(url, timeout=timeout) for url in self.urls]
        self._until = [0.0] * len(self._rpcs)
        self._failed = [0.0] * len(self._rpcs)

    def apart(self) -> CometNodes:
        """Open other connections to the same nodes, with the same trust, for another thread."""
        return CometNodes(self.urls, self.trust, timeout=self.timeout, still=self.still, clock=self.clock)

    def close(self) -> None:
        """Drop the connections."""
        for rpc in self._rpcs:
            rpc.close()

    def halted(self, link: Link) -> bool:
        """Whether a newest header is so old that the chain stands still."""
        return self.clock() - link.header.seconds > self.still

    def newest(self, first: int = 0) -> Newest:
        """Find the newest header that can be verified, at node `first`; where it fails or stands still, at the others.

        Raises:
            ChainMismatchError: every node that answers serves another chain.
            ChainUnavailableError: none has a header that can be verified; ChainUnprovenError where one lied.

        """
        found: dict[int, Link] = {}
        failures: dict[int, Exception] = {}
        with self.bounded():
            for at in self._turn(first):
                try:
                    found[at] = self.trust.advance(self._rpcs[at], self._rpcs[at].commit())
                except (ChainUnavailableError, ChainMismatchError) as error:
                    failures[at] = error
                    self._rest(at, error)
                    continue
                if not self.halted(found[at]):
                    break
        if not found:
            raise self._verdict(failures)
        best = max(found, key=lambda at: (found[at].header.height, at == first))
        complaint = ""
        if isinstance(failures.get(first), (ChainUnprovenError, ChainMismatchError)):
            complaint = str(failures[first])
        elif first in found and first != best:
            late = found[best].header.seconds - found[first].header.seconds
            if late > self.still / 2:  # less may come from a clock that is wrong, or blocks that are far apart
                complaint = f"it stands still; block {found[best].header.height} is known elsewhere"
        return Newest(found[best], self._rpcs[best], complaint)

    def at(self, height: int, first: int = 0) -> tuple[Link, CometRpc]:
        """The verified header of a height up to the newest known, and a node that has it; errors as `newest`."""
        failures: dict[int, Exception] = {}
        with self.bounded():
            for at in self._turn(first):
                rpc = self._rpcs[at]
                try:
                    return self.trust.verify(rpc, rpc.commit(height)), rpc
                except (ChainUnavailableError, ChainMismatchError) as error:
                    failures[at] = error
                    if isinstance(error, ChainUnprovenError):
                        self._rest(at, error)
        raise self._verdict(failures)

    def doubt(self, rpc: CometRpc, error: ChainUnavailableError) -> None:
        """Ask this node after all others for a while: it failed, or lied."""
        self._rest(self._rpcs.index(rpc), error)

    def _turn(self, first: int) -> list[int]:
        """All nodes: `first` and those after it, then those that rest, the one whose failure is longest ago first."""
        count, now = len(self._rpcs), time.monotonic()
        return sorted(
            ((first + step) % count for step in range(count)),
            key=lambda at: self._failed[at] if self._until[at] > now else 0.0,
        )

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Keep all that is asked within some time, however many nodes there are; inside another, within its time."""
        before = self._rpcs[0].end
        self._let_end(min(before, time.monotonic() + LAPS * self.timeout))
        try:
            yield
        finally:
            self._let_end(before)

    def _let_end(self, end: float) -> None:
        for rpc in self._rpcs:
            rpc.end = end

    def _rest(self, at: int, error: Exception) -> None:
        lied, now = isinstance(error, (ChainUnprovenError, ChainMismatchError)), time.monotonic()
        if lied and self._until[at] < now:
            place = self._rpcs[at].place
            log.warning("a node of the chain is not believed", extra={"place": place, "error": str(error)})
        self._failed[at] = now
        self._until[at] = now + (CONDEMNED_REST if lied else REST)

    def _verdict(self, failures: dict[int, Exception]) -> Exception:
        """One error for all of them."""
        if len(failures) == 1:
            return next(iter(failures.values()))
        said = "; ".join(str(error) for error in failures.values())
        strange = [error for error in failures.values() if isinstance(error, ChainMismatchError)]
        silent = [error for error in failures.values() if type(error) is ChainUnavailableError]
        if len(strange) + len(silent) == len(failures) and strange:
            return ChainMismatchError(said, remedy=strange[0].remedy)
        lied = any(isinstance(error, ChainUnprovenError) for error in failures.values())
        return (ChainUnprovenError if lied else ChainUnavailableError)(f"no node of the chain can be used: {said}")
