"""The chain backend for CometBFT chains with the EVM of the Cosmos SDK.

What is read of the contract is proven: a word of storage under a header that the validators signed, who are followed
from those that the operator pinned. A chain's node that lies can so be silent or late, never wrong. Transactions go by
the Ethereum JSON-RPC as on other chains, and what only that tells, a transaction's hash, its gas and its fee, stays its
word; where its node contradicts what is signed it is left for another. Follows DESIGN section 7.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

from eth_utils.address import to_checksum_address

from ledger.errors import MalformedError
from ledger.evidence.chain import (
    MAX_EVIDENCE,
    ChainInvalidError,
    ChainPolicy,
    CometTrust,
    check_chain_evidence,
    storage,
)
from ledger.evidence.chain import cometbft as form
from ledger.evidence.chain.anchor import Subject, walk
from node.chain.comet_state import CometNodes, ProvenState
from node.chain.comet_trust import ChainUnprovenError
from node.chain.evm import EvmChain
from node.chain.protocol import (
    Anchored,
    AnchorEvidence,
    ChainMismatchError,
    ChainUnavailableError,
    ContractMissingError,
    Finality,
    FinalityKind,
    Head,
    NodeBehindError,
    ProvenAnchor,
    SignedTransaction,
    TxState,
    TxStatus,
)
from node.chain.rpc import Rpc, guarded, place_of, require_chain, unhex

T = TypeVar("T")

LOGS: Final = 3
"""Slot of the mapping `logs`; see contracts/STORAGE.md."""
LAG: Final = 10.0
"""Seconds after a block's time within which a JSON-RPC node may not know it yet."""
EVENT_SECONDS: Final = 1.0
"""Seconds for which the event of a young anchor is waited for: a node's index follows its chain."""
_ZERO: Final = bytes(32)


class CometChain(EvmChain):
    """The anchor contract at one address of one CometBFT chain.

    `comets` are the chain's CometBFT nodes, in the order of the JSON-RPC addresses `urls`: the one that belongs to the
    JSON-RPC node in use is asked first. `settings` as of EvmChain. Used by one thread at a time.
    """

    def __init__(self, rpc: Rpc, comets: CometNodes, urls: Sequence[str], **settings: Any) -> None:
        if len(urls) != len(comets.urls):
            raise MalformedError(
                f"{len(comets.urls)} addresses for {len(urls)} nodes of the chain",
                where="chain.comet",
                remedy="Give each address in chain.url the CometBFT address of the same node, in the same order",
            )
        super().__init__(rpc, finality=Finality(FinalityKind.INCLUDED), **settings)
        self.comets = comets
        self._urls = tuple(urls)
        self._places = [place_of(url) for url in urls]
        self._contract = unhex(self.identity.contract, 20)
        self._state: ProvenState | None = None
        self._signed: SignedTransaction | None = None
        self._taken: int | None = None

    # --- whether it is the right chain --------------------------------------------------------------------------------

    def trusted(self) -> tuple[ChainPolicy, ...]:
        """The validators who signed the newest header, then those whom they were followed from; see Chain.trusted."""
        trust = self.comets.trust
        pins = [trust.base, trust.pin]
        if trust.newest is not None:
            header, _, validators = trust.newest
            pins.insert(0, CometTrust(header.chain_id, header.height, header.seconds, validators))
        identity = self.identity
        return tuple(
            ChainPolicy(form.KIND, identity.chain_id, self._contract, identity.code_hash, comet=pin)
            for pin in dict.fromkeys(pins)
        )

    def check(self) -> None:
        """Ask for the chain's name and number, and have the contract's code proven; see Chain.check."""
        try:
            self._under(self._check_code)
        except ContractMissingError:
            if unhex(self._ask("eth_getCode", self.identity.contract, "latest")):
                raise ChainUnavailableError(
                    "the block that creates the contract is not signed yet", where=self.rpc.place
                ) from None
            raise
        super().check()

    def _check_code(self, state: ProvenState) -> None:
        code_hash = state.code_hash()
        if not code_hash:
            raise ContractMissingError(
                f"no contract at {self.identity.contract}: proven under block {state.link.header.height}",
                where=state.rpc.place,
                remedy="Correct the address of the contract, or deploy and register again with the flag made for it",
            )
        self._require_code(code_hash, state.rpc.place)

    def _identify(self, rpc: Rpc) -> None:
        """Ask one JSON-RPC node for its chain id, and for a block that is known to be the chain's."""
        require_chain(rpc, self.identity.chain_id)
        known = self.comets.trust.newest
        if known is None:
            return
        height = known.header.height
        block = guarded(rpc, lambda node: node.call("eth_getBlockByNumber", hex(height), False))  # noqa: FBT003
        if not isinstance(block, dict):
            if self.comets.clock() - known.header.seconds > LAG:
                raise NodeBehindError(f"the node does not know block {height}", where=rpc.place)
        elif unhex(block.get("hash"), 32) != known.header.hash():
            raise ChainMismatchError(
                f"the node has another block {height} than the chain's validators signed",
                where=rpc.place,
                remedy="Correct the address of the chain's node: it serves another chain with the same number",
            )

    # --- transactions -------------------------------------------------------------------------------------------------

    def prepare(
        self, log: bytes, previous: int, size: int, root: bytes, proof: Sequence[bytes], authorisation: bytes,
        *, floor: int = 0,
    ) -> SignedTransaction:  # fmt: skip
        """Try the anchor on the node's latest state, then sign it; see Chain.prepare."""
        made = super().prepare(log, previous, size, root, proof, authorisation, floor=floor)
        self._signed, self._taken = made, None
        return made

    def status(self, tx: bytes) -> TxStatus:
        """Ask for block, receipt and nonce; see Chain.status.

        A transaction whose place in line a block has taken, and that the node does not show yet, counts as pending
        until storage is proven as of that block: it may well be the one that took the place.
        """
        found = super().status(tx)
        signed = self._signed
        if found.state is not TxState.VANISHED or signed is None or signed.hash != tx or found.nonce <= signed.nonce:
            return found
        if self._taken is None:
            self._taken = self._latest()
        newest = self.comets.trust.newest
        if newest is None or newest.header.height <= self._taken:
            return replace(found, state=TxState.PENDING)
        return found

    # --- what is proven -----------------------------------------------------------------------------------------------

    def head(self, log: bytes) -> Head:
        """Read the newest anchor and the authoriser of a log, proven under the newest header; see Chain.head.

        Proofs are a block late. What the node already shows of a log that is proven absent is no fact, but a reason to
        wait: nobody should deploy again because of one block.
        """
        found = self._under(lambda state: self._head_of(state, log))
        if found.size == 0:
            told = self._ask("eth_getStorageAt", self.identity.contract, "0x" + storage.head_slot(log).hex(), "latest")
            if unhex(told, 32) != _ZERO:
                raise ChainUnavailableError("the block that registers the log is not signed yet", where=self.rpc.place)
        return found

    def final_head(self, log: bytes) -> Head | None:
        """Read the same as `head`: what is proven under a signed header is final; see Chain.final_head."""
        return self.head(log)

    def _head_of(self, state: ProvenState, log: bytes) -> Head:
        self._check_code(state)
        head = storage.HeadWord.unpack(state.word(storage.head_slot(log)))
        root = state.word(storage.root_slot(log, head.size)) if head.size else _ZERO
        logs = int.from_bytes(storage.map_slot(storage.word(LOGS), log), "big")
        authoriser = state.word(storage.word((logs + 1) % (1 << 256)))
        header = state.link.header
        return Head(
            head.size, root, head.time, head.sealed_size, head.flags, state.block,
            to_checksum_address(authoriser[12:]), header.seconds, self.comets.halted(state.link),
        )  # fmt: skip

    def evidence(self, log: bytes, size: int) -> AnchorEvidence | None:
        """Read root and meta, proven; transaction, gas and fee as the node tells them; see Chain.evidence."""
        state, root, meta = self._under(partial(_anchor_of, log=log, size=size))
        if root == _ZERO:
            return None
        # A log's root at size 1 is written by its registration, not by an anchor.
        told = self._event(state, log, size, root, meta.block) if meta.block else (_ZERO, b"", 0, 0)
        block_hash, tx, gas, fee = told
        return AnchorEvidence(
            identity=self.identity,
            log=log,
            size=size,
            root=root,
            block=meta.block,
            block_hash=block_hash,
            time=meta.time,
            sender=to_checksum_address(meta.sender),
            tx=tx,
            gas=gas,
            fee=fee,
            head_block=state.block,
            final=meta.block <= state.block,
        )

    def _event(
        self, state: ProvenState, log: bytes, size: int, root: bytes, block: int
    ) -> tuple[bytes, bytes, int, int]:
        """What the JSON-RPC node tells of the event of a proven anchor: block's hash, transaction, gas, fee."""
        young = state.block - block < 2
        end = time.monotonic() + (EVENT_SECONDS if young else 0.0)
        while True:
            told = self._origin(log, size, root, block)
            if told[1] or time.monotonic() >= end:
                break
            time.sleep(0.1)
        known = state.link.header.last_block_hash if block == state.block else _ZERO
        if told[1] and known not in (_ZERO, told[0]):
            raise self._lied(
                f"its event of the anchor at size {size} is in another block {block} than the validators signed"
            )
        return told

    def requested(self, log: bytes, leaf_hash: bytes) -> tuple[int, int]:
        """Block and time of the first request for a leaf, proven, zeros where nobody asked."""
        word = self._under(lambda state: state.word(storage.request_slot(log, leaf_hash)))
        meta = storage.Meta.unpack(word)
        return meta.block, meta.time

    def final_block(self) -> int:
        """Height of the newest header under which evidence can be taken; see Chain.final_block."""
        return self._newest().link.header.height

    def prove(
        self, log: bytes, size: int, *, block: int | None = None, requested: Sequence[bytes] = ()
    ) -> ProvenAnchor:
        """Gather proofs under the header of a height: what was so after the block before it; see Chain.prove."""
        subject = Subject(self.identity.chain_id, self._contract, log, size, sorted(set(requested)))
        try:
            subject.check()
        except MalformedError as error:
            raise ChainUnavailableError(f"this cannot be proven: {error}") from error

        def load(state: ProvenState) -> ProvenState:
            walk(subject, state.code_hash(), state.word)  # asks for all that the evidence needs
            return state

        return self._assemble(self._under(load, block), subject)

    def prove_request(self, log: bytes, leaf_hash: bytes, *, block: int | None = None) -> ProvenAnchor:
        """Gather the proof of a request beside that of the newest anchor; see Chain.prove_request."""
        height, size = self._under(lambda state: (state.link.header.height, self._head_of(state, log).size), block)
        return self.prove(log, size, block=height, requested=[leaf_hash])

    def _assemble(self, state: ProvenState, subject: Subject) -> ProvenAnchor:
        """Put evidence together from what was proven under one header, with the changes that lead to its validators."""
        trust, (header, commit, validators) = self.comets.trust, state.link
        links = trust.links_before(header.height)
        assert state.store is not None, "the code's proof brought it"
        try:
            while True:
                evidence = form.make_evidence(
                    chain_id=subject.chain_id, contract=subject.contract, log_id=subject.log_id, size=subject.size,
                    requested=subject.requested, header=header, commit=commit, validators=validators, links=links,
                    store=state.store, proofs=list(state.proofs.values()),
                )  # fmt: skip
                if len(evidence) <= MAX_EVIDENCE or not links:
                    break
                links = links[1:]  # large sets of validators: whoever trusts older ones has to be told anew
            first = (*links, state.link)[0]
            height = trust.base.height if links == trust.links else first.header.height
            begin = CometTrust(header.chain_id, height, 0, first.validators)
            policy = ChainPolicy(
                form.KIND, self.identity.chain_id, self._contract, self.identity.code_hash, comet=begin
            )
            return ProvenAnchor(evidence, check_chain_evidence(evidence, policy, subject.log_id))
        except (MalformedError, ChainInvalidError) as error:
            raise ChainUnavailableError(f"block {header.height} does not prove size {subject.size}: {error}") from error

    def proven_words(self, block: int | None = None) -> tuple[int, Callable[[bytes], bytes]]:
        """The block whose state is read, the newest by default, and what gives the word of a slot (32 bytes), proven.

        The contract's code is proven before. Raises ChainMismatchError for other code, ChainUnavailableError, both
        also where a word is asked for.
        """

        def read(state: ProvenState) -> ProvenState:
            self._check_code(state)
            return state

        state = self._under(read, None if block is None else block + 1)
        return state.block, state.word

    def scan(self, log: bytes, first_block: int = 0) -> Iterator[Anchored]:
        """List the anchors of a log: where the node's events say they are, what storage proves; see Chain.scan."""
        size = 0
        for told in super().scan(log, first_block):
            if told.size <= size:
                raise self._lied(f"its event of an anchor at size {told.size} comes after that at size {size}")
            size = told.size
            _, root, meta = self._under(partial(_anchor_of, log=log, size=told.size))
            if (root, meta.block, meta.sender) != (told.root, told.block, unhex(told.sender, 20)):
                raise self._lied(f"its event of an anchor at size {told.size} is not what the contract holds")
            yield Anchored(told.size, root, meta.block, meta.time, told.sender, told.tx)

    def _scannable(self) -> int:
        """As far as blocks are signed: a made-up number would have us look for ever."""
        return min(self._latest(), self.final_block())

    def _lied(self, reason: str) -> ChainUnprovenError:
        """Leave the JSON-RPC node in use, which contradicts what is proven; the error to raise."""
        error = ChainUnprovenError(reason, where=self.rpc.place)
        self.rpc.condemn(reason)
        return error

    # --- under which header -------------------------------------------------------------------------------------------

    def _under(self, read: Callable[[ProvenState], T], height: int | None = None) -> T:
        """Read under the newest header, or that of a height; where a node fails or lies, with another."""
        with self.comets.bounded():
            return self._tried(read, height)

    def _tried(self, read: Callable[[ProvenState], T], height: int | None) -> T:
        left = len(self._urls)
        while True:
            left -= 1
            state = self._newest() if height is None else self._at(height)
            try:
                return read(state)
            except ChainUnavailableError as error:
                self._state = None
                self.comets.doubt(state.rpc, error)
                if isinstance(error, ChainUnprovenError) and state.rpc.url == self.comets.urls[self._used()]:
                    self.rpc.condemn(str(error))
                if not left:
                    raise

    def _newest(self) -> ProvenState:
        """Return the state under the newest header; what was proven of it already is not asked for again."""
        link, rpc, complaint = self.comets.newest(self._used())
        if complaint:
            self.rpc.condemn(complaint)
        state = self._state
        if state is None or state.link.header.height != link.header.height or state.rpc is not rpc:
            state = self._state = ProvenState(rpc, link, self._contract)
        return state

    def _at(self, height: int) -> ProvenState:
        newest = self.comets.trust.newest
        if newest is None or height > newest.header.height:
            self._newest()
        state = self._state
        if state is not None and state.link.header.height == height:
            return ProvenState(state.rpc, state.link, self._contract, state)
        link, rpc = self.comets.at(height, self._used())
        return ProvenState(rpc, link, self._contract)

    def _used(self) -> int:
        """Place of the JSON-RPC node in use."""
        place = next((node.place for node in self.rpc.nodes() if node.used), None)
        return 0 if place is None else self._places.index(place)

    def apart(self) -> CometChain:
        """Open another connection to the same contract; see Chain.apart."""
        return self._again(self.identity.contract)

    def at(self, contract: str) -> CometChain:
        """Open another connection to a contract of the same code elsewhere; see EvmChain.at."""
        return self._again(
            contract,
            sender=self.sender,
            gas_price=self.gas_price,
            max_gas_price=self.max_gas_price,
            consortium=self.consortium,
        )

    def _again(self, contract: str, **settings: Any) -> CometChain:
        return CometChain(
            self.rpc.apart(), self.comets.apart(), self._urls, chain_id=self.identity.chain_id, contract=contract,
            artifact=self.artifact, code_hash=self.identity.code_hash, **settings,
        )  # fmt: skip


def _anchor_of(state: ProvenState, *, log: bytes, size: int) -> tuple[ProvenState, bytes, storage.Meta]:
    """Root and meta of the anchor at a size, and the state that they are read of."""
    root = state.word(storage.root_slot(log, size))
    return state, root, storage.Meta.unpack(state.word(storage.meta_slot(log, size)))
