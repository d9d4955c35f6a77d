"""The chain backend for EVM chains that speak the Ethereum JSON-RPC.

Reads the contract's views at one block, signs with the sender's key. Trusts nothing that the node says beyond "it said
so"; answers are checked for shape and bound. Follows DESIGN section 7, EIP-1474 for the calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import sleep
from typing import Any, Concatenate, ParamSpec, TypeVar

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from ledger.evidence.chain import ChainPolicy, ethereum
from node.chain import transactions
from node.chain.artifact import CONSORTIUM, Artifact, load_artifact, role
from node.chain.authorisation import authorisation_payload
from node.chain.consortium import MAY_SEND, Consortium
from node.chain.events import AnchoredEvent, anchored_events
from node.chain.logs import steps
from node.chain.proofs import gather
from node.chain.protocol import (
    Anchored,
    AnchorEvidence,
    ChainIdentity,
    ChainMismatchError,
    ChainSigner,
    ChainUnavailableError,
    ContractMissingError,
    Finality,
    FinalityKind,
    Head,
    NodeBehindError,
    NodeStatus,
    ProvenAnchor,
    SignedTransaction,
    TransactionRefusedError,
    TxState,
    TxStatus,
)
from node.chain.rehearsal import refused, rehearse
from node.chain.rpc import Rpc, RpcError, guarded, quantity, require_chain, unhex
from node.chain.standing import Standing

P = ParamSpec("P")
T = TypeVar("T")

REQUEST_SECONDS = 60.0
TORN_PAUSES = (0.02, 0.1, 0.3)
ZERO_ADDRESS = "0x" + "00" * 20


class TornReadError(ChainUnavailableError):
    """Words of an anchor that the contract writes in one step, not all there: no contradiction, but a bad read.

    A node may answer for its newest block while it already carries out the next one.
    """

    def __init__(self, block: int, place: str) -> None:
        super().__init__(f"the node answered out of two states for block {block}", where=place)


class EvmChain:
    """The anchor contract at one address of one EVM chain.

    `sender` may be left out where nothing is sent. `gas_price` in wei fixes the price of transactions; None follows
    what the chain asks, up to `max_gas_price` where that is not 0. `consortium` is the address of the contract that
    says who may send, empty for a chain without. `code_hash` defaults to that of the artifact. Used by one thread at a
    time.
    """

    def __init__(
        self,
        rpc: Rpc,
        *,
        chain_id: int,
        contract: str,
        finality: Finality,
        sender: ChainSigner | None = None,
        artifact: Artifact | None = None,
        code_hash: bytes | None = None,
        gas_price: int | None = None,
        max_gas_price: int = 0,
        consortium: str = "",
    ) -> None:
        self.rpc = rpc
        self.finality = finality
        self.sender = sender
        self.artifact = artifact or load_artifact()
        self.gas_price = gas_price
        self.max_gas_price = max_gas_price
        self.consortium = consortium
        self.identity = ChainIdentity(chain_id, to_checksum_address(contract), code_hash or self.artifact.code_hash)
        self._standing = Standing(sender.address if sender else "")
        self._rules = load_artifact(name=CONSORTIUM) if consortium else None
        rpc.guard(self._vet)

    def trusted(self) -> tuple[ChainPolicy, ...]:
        """Name chain and contract, and nobody who vouches for a header; see Chain.trusted."""
        identity = self.identity
        contract = bytes.fromhex(identity.contract.removeprefix("0x"))
        return (ChainPolicy(ethereum.KIND, identity.chain_id, contract, identity.code_hash),)

    def check(self) -> None:
        """Ask for chain id and code; see Chain.check."""
        self.rpc.check(self._identify)
        if self.sender is not None and len(self.rpc.nodes()) > 1:
            self._standing.note(self._guard(transactions.next_nonce, self.sender.address))

    def condemn(self, reason: str) -> bool:
        """Ask another node from now on; see Chain.condemn."""
        return self.rpc.condemn(reason)

    def turn(self) -> None:
        """Ask the next node from now on; see Chain.turn."""
        self.rpc.turn()

    def nodes(self) -> tuple[NodeStatus, ...]:
        """How each node fares; see Chain.nodes."""
        return self.rpc.nodes()

    @property
    def switches(self) -> int:
        """How often another node took over; see Chain.switches."""
        return self.rpc.switches

    def _vet(self, rpc: Rpc) -> None:
        """Look at a node that is to take over: chain, contract, and that it knows of all that was sent."""
        self._identify(rpc)
        if self.sender is not None:
            guarded(rpc, self._standing.require)

    def _identify(self, rpc: Rpc) -> None:
        """Ask one node for chain id and code."""
        require_chain(rpc, self.identity.chain_id)
        code = unhex(guarded(rpc, lambda node: node.call("eth_getCode", self.identity.contract, "latest")))
        if not code:
            raise ContractMissingError(
                f"no contract at {self.identity.contract}: the chain was reset",
                where=rpc.place,
                remedy="Restore the chain, or deploy and register again with the flag made for it",
            )
        self._require_code(keccak(code), rpc.place)

    def _require_code(self, code_hash: bytes, place: str) -> None:
        if code_hash != self.identity.code_hash:
            raise ChainMismatchError(
                f"the code at {self.identity.contract} is not that of the anchor contract",
                where=place,
                remedy="Correct the address of the contract in the configuration",
            )

    def head(self, log: bytes) -> Head:
        """Read the newest anchor and the authoriser of a log at the latest block; see Chain.head."""
        return self._whole(lambda: self._head_at(self._latest(), log))

    def final_head(self, log: bytes) -> Head | None:
        """Read the newest anchor of a log in a final block; see Chain.final_head."""

        def read() -> Head | None:
            block = self._final(self._latest())
            return self._head_at(block, log) if block >= 0 else None

        return self._whole(read)

    def _head_at(self, block: int, log: bytes) -> Head:
        size, time, sealed, flags = self._view(block, "head", ("uint64", "uint40", "uint64", "uint8"), log)
        (root,) = self._view(block, "root", ("bytes32",), log, size)
        if size and root == bytes(32):
            raise TornReadError(block, self.rpc.place)
        _, authoriser = self._view(block, "logs", ("bytes32", "address"), log)
        return Head(size, root, time, sealed, flags, block, to_checksum_address(authoriser))

    def _whole(self, read: Callable[[], T]) -> T:
        """Read words that the contract writes in one step; again after a moment where they are of two states."""
        for pause in TORN_PAUSES:
            try:
                return read()
            except TornReadError:
                sleep(pause)
        return read()

    def authorisation_payload(self, log: bytes, size: int, root: bytes) -> bytes:
        """EIP-712 encoding for this chain and contract; see Chain.authorisation_payload."""
        return authorisation_payload(self.identity.chain_id, self.identity.contract, log, size, root)

    def prepare(
        self, log: bytes, previous: int, size: int, root: bytes, proof: Sequence[bytes], authorisation: bytes,
        *, floor: int = 0,
    ) -> SignedTransaction:  # fmt: skip
        """Try the anchor on the latest state, then sign it; see Chain.prepare."""
        sender = self._require_sender("this node has no key to send anchors with")
        self.entitled()
        data = self.artifact.encode("anchor", log, size, root, list(proof), authorisation)
        try:
            gas = transactions.estimate(self.rpc, sender.address, self.identity.contract, data)
        except RpcError as error:
            self._require_newest(log, previous)
            raise refused(error, self.artifact, sender.address, self.rpc.place) from error
        return transactions.sign(
            sender,
            chain_id=self.identity.chain_id,
            nonce=self._standing.note(self._guard(transactions.next_nonce, sender.address)),
            gas=gas,
            offer=self._guard(transactions.fees, self.gas_price, floor, self.max_gas_price),
            to=self.identity.contract,
            data=data,
        )

    def _require_newest(self, log: bytes, size: int) -> None:
        """A call is tried on the node's newest state: that may be older or newer than the head that was read."""
        (shown, *_) = self._view(self._latest(), "head", ("uint64", "uint40", "uint64", "uint8"), log)
        if shown != size:
            raise NodeBehindError(
                f"the node shows size {shown} as the newest anchor, not {size}: it lags, or another one has just come",
                where=self.rpc.place,
            )

    def entitled(self) -> None:
        """Ask the consortium, then the contract, whether the sender may anchor; see Chain.entitled."""
        sender = self._require_sender("this node has no key to send anchors with")
        self._require_right(sender)
        (granted,) = self._view(self._latest(), "hasRole", ("bool",), role("ANCHORER_ROLE"), sender.address)
        if not granted:
            raise TransactionRefusedError(
                "no-role",
                f"{sender.address} does not have the contract's ANCHORER_ROLE (AccessControlUnauthorizedAccount)",
                where=self.rpc.place,
                remedy="Let the contract's admin grant it: tial anchor register; anchoring then goes on by itself",
            )

    def _require_right(self, sender: ChainSigner) -> None:
        """On a permissioned chain a transaction without the right to send simply vanishes: so ask before."""
        if self._rules is None:
            return
        consortium = Consortium(self.rpc, self.identity.chain_id, address=self.consortium, artifact=self._rules)
        if not consortium.rights(sender.address) & MAY_SEND:
            raise TransactionRefusedError(
                "no-right",
                f"the consortium does not let {sender.address} send transactions",
                where=self.rpc.place,
                remedy="Let the consortium's administrators give it the right; anchoring then goes on by itself",
            )

    def _require_sender(self, otherwise: str) -> ChainSigner:
        if self.sender is None:
            raise TransactionRefusedError("other", otherwise)
        return self.sender

    def submit(self, raw: bytes) -> None:
        """Send the bytes; see Chain.submit."""
        transactions.send(self.rpc, raw)

    def status(self, tx: bytes) -> TxStatus:
        """Ask for block, receipt and nonce; see Chain.status."""
        found = self._guard(transactions.status, tx, self.sender.address if self.sender else ZERO_ADDRESS)
        if found.state in {TxState.VANISHED, TxState.PENDING}:  # the others are not asked for the nonce
            self._standing.note(found.nonce)
        return found

    def _anchor_at(self, block: int, log: bytes, size: int) -> tuple[int, bytes, tuple[int, int, str]]:
        """The block that was read, root and meta of the anchor at a size, zeros where there is none."""
        (root,) = self._view(block, "root", ("bytes32",), log, size)
        anchored_in, time, sender = self._meta_at(block, log, size)
        # A log's root at size 1 is written by its registration, not by an anchor.
        if size > 1 and root != bytes(32) and not anchored_in:
            raise TornReadError(block, self.rpc.place)
        return block, root, (anchored_in, time, sender)

    def _meta_at(self, block: int, log: bytes, size: int) -> tuple[int, int, str]:
        """Block, time and sender of the anchor at a size as of `block`, zeros where there is none."""
        anchored_in, time, sender = self._view(block, "meta", ("uint56", "uint40", "address"), log, size)
        return anchored_in, time, sender

    def evidence(self, log: bytes, size: int) -> AnchorEvidence | None:
        """Read root and meta at one block, and the event's transaction; see Chain.evidence."""
        latest, root, (block, time, sender) = self._whole(lambda: self._anchor_at(self._latest(), log, size))
        if root == bytes(32):
            return None
        block_hash, tx, gas, fee = self._origin(log, size, root, block) if block else (bytes(32), b"", 0, 0)
        return AnchorEvidence(
            identity=self.identity,
            log=log,
            size=size,
            root=root,
            block=block,
            block_hash=block_hash,
            time=time,
            sender=to_checksum_address(sender),
            tx=tx,
            gas=gas,
            fee=fee,
            head_block=latest,
            final=block <= self._final(latest),
        )

    def prove(
        self, log: bytes, size: int, *, block: int | None = None, requested: Sequence[bytes] = ()
    ) -> ProvenAnchor:
        """Gather storage proofs under one header; see Chain.prove."""
        return gather(
            self._ask,
            identity=self.identity,
            log_id=log,
            size=size,
            block=self.final_block() if block is None else block,
            requested=requested,
        )

    def prove_request(self, log: bytes, leaf_hash: bytes, *, block: int | None = None) -> ProvenAnchor:
        """Gather the proof of a request beside that of the newest anchor; see Chain.prove_request."""
        chosen = self.final_block() if block is None else block
        return self.prove(log, self._head_at(chosen, log).size, block=chosen, requested=(leaf_hash,))

    def requested(self, log: bytes, leaf_hash: bytes) -> tuple[int, int]:
        """Block and time of the first request for a leaf at the latest block, zeros where nobody asked."""
        block, time, _ = self._view(self._latest(), "requests", ("uint56", "uint40", "address"), log, leaf_hash)
        return block, time

    def request(self, log: bytes, leaf_hash: bytes, *, seconds: float = REQUEST_SECONDS) -> bytes:
        """Ask in public for the admission of a leaf, by the sender's key; the transaction's hash once it is included.

        The contract keeps the first request for a leaf. Raises TransactionRefusedError, ChainUnavailableError.
        """
        sender = self._require_sender("there is no key to send a request with")
        self._require_right(sender)
        data = self.artifact.encode("request", log, leaf_hash)
        rehearse(self.rpc, self.artifact, sender.address, self.identity.contract, data)
        return self._guard(
            transactions.transact, sender, chain_id=self.identity.chain_id, to=self.identity.contract, data=data,
            price=self.gas_price, seconds=seconds,
        )[0]  # fmt: skip

    def final_block(self) -> int:
        """Number of the newest final block; see Chain.final_block."""
        block = self._final(self._latest())
        if block < 0:
            raise ChainUnavailableError("the chain has no final block yet", where=self.rpc.place)
        return block

    def apart(self) -> EvmChain:
        """Open another connection to the same contract; see Chain.apart."""
        return EvmChain(
            self.rpc.apart(),
            chain_id=self.identity.chain_id,
            contract=self.identity.contract,
            finality=self.finality,
            artifact=self.artifact,
            code_hash=self.identity.code_hash,
        )

    def at(self, contract: str) -> EvmChain:
        """Open another connection, with the same sender and prices, to a contract of the same code elsewhere."""
        return EvmChain(
            self.rpc.apart(),
            chain_id=self.identity.chain_id,
            contract=contract,
            finality=self.finality,
            sender=self.sender,
            artifact=self.artifact,
            code_hash=self.identity.code_hash,
            gas_price=self.gas_price,
            max_gas_price=self.max_gas_price,
            consortium=self.consortium,
        )

    def scan(self, log: bytes, first_block: int = 0) -> Iterator[Anchored]:
        """List the anchors of a log from raw logs, some thousand blocks at a time; see Chain.scan."""
        for blocks in steps(first_block, self._scannable()):
            for event in self._events(blocks, log):
                yield event.anchored

    def _scannable(self) -> int:
        """The newest block in which anchors are looked for."""
        return self._latest()

    def _origin(self, log: bytes, size: int, root: bytes, block: int) -> tuple[bytes, bytes, int, int]:
        """Block hash, transaction, gas and fee of the event that tells of this very anchor."""
        for event in self._events((block, block), log, size):
            if event.anchored.root == root:
                receipt = self._guard(transactions.receipt_of, event.anchored.tx)
                if receipt is None:
                    break
                gas = quantity(receipt.get("gasUsed"))
                price = quantity(receipt.get("effectiveGasPrice") or "0x0", bits=128)
                return event.block_hash, event.anchored.tx, gas, gas * price
        return bytes(32), b"", 0, 0

    def _events(self, blocks: tuple[int, int], log: bytes, size: int | None = None) -> list[AnchoredEvent]:
        return anchored_events(
            self.rpc, self.artifact, self.identity.contract, log, blocks, size=size,
            time_of=lambda each: self._meta_at(self._latest(), log, each)[1],
        )  # fmt: skip

    def _latest(self) -> int:
        return quantity(self._ask("eth_blockNumber"))

    def _final(self, latest: int) -> int:
        """Return the newest block that is final by the policy."""
        if self.finality.kind is FinalityKind.INCLUDED:
            return latest
        if self.finality.kind is FinalityKind.DEPTH:
            return latest - self.finality.depth
        block = self._ask("eth_getBlockByNumber", "finalized", False)  # noqa: FBT003 - JSON-RPC is positional
        return quantity(block.get("number")) if isinstance(block, dict) else -1

    def _view(self, block: int, function: str, types: Sequence[str], *arguments: object) -> tuple[Any, ...]:
        call = {"to": self.identity.contract, "data": "0x" + self.artifact.encode(function, *arguments).hex()}
        answer = unhex(self._ask("eth_call", call, hex(block)))
        try:
            return decode(types, answer)
        except (DecodingError, OverflowError) as error:
            raise ChainUnavailableError(f"the chain gave no answer to {function}()", where=self.rpc.place) from error

    def _ask(self, method: str, *params: object) -> Any:
        return guarded(self.rpc, lambda rpc: rpc.call(method, *params))

    def _guard(self, function: Callable[Concatenate[Rpc, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return guarded(self.rpc, lambda rpc: function(rpc, *args, **kwargs))
