"""What the node asks of a chain that holds its anchors, whatever kind of chain it is.

Owns the values that pass between the anchor worker and a backend, and the errors that tell apart "no answer", "another
chain or contract" and "refused". A backend trusts its node only to relay: sizes, roots and times are facts about what a
node said, and become evidence only with proofs. Follows DESIGN section 7.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Protocol

from ledger.errors import LedgerError, MalformedError, UnavailableError
from ledger.evidence.chain import ChainFacts, ChainPolicy

FLAG_SEALED = 1
MAX_DEPTH = 1_000_000


class ChainUnavailableError(UnavailableError):
    """The chain's node did not answer in time, or with something that is no answer. Try again later."""

    code = "chain-unavailable"


class NodeBehindError(ChainUnavailableError):
    """The node has not caught up with the chain: what it says is old."""

    code = "chain-node-behind"


class SignerUnavailableError(UnavailableError):
    """The external signer did not answer in time, or with no good signature of the account. Try again later."""

    code = "signer-unavailable"


class ChainMismatchError(LedgerError):
    """The node answers for another chain, or the contract's code is not the one expected."""

    code = "chain-mismatch"


class ContractMissingError(ChainMismatchError):
    """The right chain id, but no contract at the address: the chain was reset."""

    code = "chain-lost"


class TransactionRefusedError(LedgerError):
    """The chain refused a transaction. `reason` is the contract's error name, or one of the REFUSALS."""

    code: ClassVar[str] = "transaction-refused"

    def __init__(self, reason: str, detail: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(detail, where=where, remedy=remedy)
        self.reason = reason


REFUSALS = (
    "nonce-too-low", "underpriced", "insufficient-funds", "already-known", "reverted",
    "no-right", "no-role", "too-dear", "other",
)  # fmt: skip


class ChainSigner(Protocol):
    """A secp256k1 key of a chain account: the sender's or the authoriser's."""

    @property
    def address(self) -> str:
        """The account, 0x and 40 hex digits."""

    def sign_keccak(self, payload: bytes) -> bytes:
        """Sign Keccak-256 of the payload; 65 bytes r, s, v with the lower s, v 27 or 28.

        Raises SignerUnavailableError where the key is held elsewhere and no good signature comes from there.
        """


class FinalityKind(Enum):
    """When a block counts as final."""

    INCLUDED = "included"
    DEPTH = "depth"
    FINALIZED = "finalized"


@dataclass(frozen=True, slots=True)
class Finality:
    """The policy of one chain: at once (BFT), under `depth` more blocks, or when the node's finalized tag says so."""

    kind: FinalityKind
    depth: int = 0

    @classmethod
    def parse(cls, text: str) -> Finality:
        """Read `included`, `depth:n` or `finalized`; MalformedError for anything else."""
        match = re.fullmatch(r"(included|finalized)|depth:([1-9][0-9]{0,6})", text)
        if match is None or int(match[2] or 0) > MAX_DEPTH:
            raise MalformedError(
                f"{text!r} is no finality policy", where="finality", remedy="Use included, depth:n or finalized"
            )
        if match[2]:
            return cls(FinalityKind.DEPTH, int(match[2]))
        return cls(FinalityKind(match[1]))

    def __str__(self) -> str:
        return f"depth:{self.depth}" if self.kind is FinalityKind.DEPTH else self.kind.value


@dataclass(frozen=True, slots=True)
class ChainIdentity:
    """Which contract on which chain. `contract` is checksummed text; `code_hash` Keccak-256 of its runtime code."""

    chain_id: int
    contract: str
    code_hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The newest anchor of a log, read at one block. `size` 0: not registered there. Times are Unix seconds.

    `chain_time` is that of the header that proves it, 0 where nothing is proven; `halted`: it is so old that the chain
    stands still.
    """

    size: int
    root: bytes
    time: int
    sealed_size: int
    flags: int
    block: int
    authoriser: str
    chain_time: int = 0
    halted: bool = False

    @property
    def sealed(self) -> bool:
        """Whether the log is closed on the chain for ever."""
        return bool(self.flags & FLAG_SEALED)


@dataclass(frozen=True, slots=True)
class Anchored:
    """One anchor as its event tells it. `time` is the block's, Unix seconds."""

    size: int
    root: bytes
    block: int
    time: int
    sender: str
    tx: bytes


@dataclass(frozen=True, slots=True)
class AnchorEvidence:
    """What the chain's node says about the anchor at one size, read from the contract's storage.

    `tx` is empty where no event was found; `gas` and `fee` (in wei) are 0 then. `head_block` is the block that was
    read, `final` whether `block` is final by the policy. It rests on the node's word alone.
    """

    identity: ChainIdentity
    log: bytes
    size: int
    root: bytes
    block: int
    block_hash: bytes
    time: int
    sender: str
    tx: bytes
    gas: int
    fee: int
    head_block: int
    final: bool


@dataclass(frozen=True, slots=True)
class ProvenAnchor:
    """Chain evidence, and what it proves to whoever trusts the block that the chain's node named."""

    evidence: bytes
    facts: ChainFacts


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction ready to be sent, as often as needed. `price` is the most it pays for a unit of gas, in wei."""

    raw: bytes
    hash: bytes
    nonce: int
    price: int


class TxState(Enum):
    """Where a transaction is. VANISHED: the node does not know it."""

    VANISHED = "vanished"
    PENDING = "pending"
    INCLUDED = "included"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TxStatus:
    """State of one transaction; `block` 0 until included. `nonce` is the sender's next one, as the node has it."""

    state: TxState
    block: int = 0
    gas: int = 0
    nonce: int = 0


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How one of several nodes of a chain fares; `place` is its address without what may be secret.

    `state`: `new` (never asked), `well`, `down` (no usable answer), `behind` (has not seen all that we sent), `strange`
    (another chain or contract), `condemned` (it contradicted itself). `error` says why, `since` is Unix seconds.
    """

    place: str
    used: bool
    state: str
    error: str = ""
    since: int = 0


class Chain(Protocol):
    """One contract on one chain. Every method may raise ChainUnavailableError; none waits longer than its timeouts."""

    @property
    def identity(self) -> ChainIdentity:
        """The chain and contract that are expected."""

    def trusted(self) -> tuple[ChainPolicy, ...]:
        """What this node trusts of the chain, the newest first, as a verifier's policy says it; cheap, for any thread.

        Headers that the chain's node calls final are not among it.
        """

    def check(self) -> None:
        """Ask whether chain and contract are the expected ones; ChainMismatchError, ContractMissingError if not."""

    def head(self, log: bytes) -> Head:
        """Read the newest anchor of a log."""

    def final_head(self, log: bytes) -> Head | None:
        """Read the newest anchor of a log in a final block; None where no block is final yet."""

    def authorisation_payload(self, log: bytes, size: int, root: bytes) -> bytes:
        """Return what the authoriser signs the Keccak-256 of."""

    def prepare(
        self, log: bytes, previous: int, size: int, root: bytes, proof: Sequence[bytes], authorisation: bytes,
        *, floor: int = 0,
    ) -> SignedTransaction:  # fmt: skip
        """Build and sign, not send, an anchor that pays `floor` or more; TransactionRefusedError if it must fail.

        `previous` is the newest anchored size, which the proof starts from. Where the node's own newest state shows
        another one, its refusal is none: NodeBehindError.

        One of a lower price where the configuration or the chain's price allows no more: it replaces nothing.
        Raises SignerUnavailableError where the sender's key is held elsewhere and does not sign.
        """

    def submit(self, raw: bytes) -> None:
        """Send a signed transaction; sending one again is no error. TransactionRefusedError when refused."""

    def status(self, tx: bytes) -> TxStatus:
        """Ask where a transaction is."""

    def evidence(self, log: bytes, size: int) -> AnchorEvidence | None:
        """Read the anchor at a size; None where nothing is anchored."""

    def prove(
        self, log: bytes, size: int, *, block: int | None = None, requested: Sequence[bytes] = ()
    ) -> ProvenAnchor:
        """Chain evidence of the anchor at a size, and of requests for leaf hashes, under the header of a block.

        The newest final block where none is given. See ledger.evidence.chain for what it proves, and to whom.
        """

    def prove_request(self, log: bytes, leaf_hash: bytes, *, block: int | None = None) -> ProvenAnchor:
        """Chain evidence of a request for the admission of a leaf, beside the newest anchor of the log."""

    def final_block(self) -> int:
        """Return the number of the newest final block."""

    def entitled(self) -> None:
        """Ask whether the sender may anchor at all; TransactionRefusedError names the right that is missing."""

    def condemn(self, reason: str) -> bool:
        """Ask another node of the chain from now on: this one lies or lags. False where there is no other."""

    def turn(self) -> None:
        """Ask the next node of the chain from now on, where there is one, without blame for the one in use."""

    def nodes(self) -> tuple[NodeStatus, ...]:
        """How each node of the chain fares, where there are several; cheap."""

    @property
    def switches(self) -> int:
        """How often another node took the place of the one in use."""

    def apart(self) -> Chain:
        """Open another connection to the same contract, without a sender, for another thread."""

    def scan(self, log: bytes, first_block: int = 0) -> Iterator[Anchored]:
        """List the anchors of a log in order of their blocks."""
