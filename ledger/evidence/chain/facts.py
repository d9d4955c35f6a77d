"""What a verifier demands of a chain, what chain evidence proves to it, and the three ways in which it may not.

Owns the values that pass between the verifier and the checkers of the kinds of chain; no checking of proofs here.
Trusts nothing. Follows DESIGN section 8, step 10, and rule 8: contradiction and ignorance are different answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.errors import LedgerError, MalformedError
from ledger.evidence.chain.comet.header import check_chain_name
from ledger.evidence.chain.comet.validators import ValidatorSet
from ledger.evidence.chain.comet.values import MAX_HEIGHT, MAX_SECONDS, check_number

COMETBFT: Final = "cometbft"
"""The kind whose trust begins with a set of validators at a height."""
MAX_EVIDENCE: Final = 128 * 1024
"""Most bytes of one piece of chain evidence; a chain with 2^40 accounts needs a tenth of it."""
MAX_HEADERS: Final = 4096
MAX_VALIDATORS: Final = 256
MAX_CHAIN_ID: Final = (1 << 63) - 1


class ChainInvalidError(LedgerError):
    """The evidence contradicts itself, the policy or the log: the verdict is "invalid"."""

    code = "chain-invalid"


class ChainUntrustedError(LedgerError):
    """The evidence hangs together, but nothing in the policy vouches for it: the verdict is "cannot tell"."""

    code = "chain-untrusted"


def default_quorum(validators: int) -> int:
    """Seals that make a block of QBFT or IBFT 2.0 final: two thirds of the validators, rounded up.

    Two such quorums share at least a third of the validators, more than the fewer than a third that may lie.
    """
    return -(-2 * validators // 3)


@dataclass(frozen=True, slots=True)
class CometTrust:
    """Where trust in a CometBFT chain begins: its name, and the validators in force at a height.

    `time` is the Unix time of that height's header, from which the trusting period counts; 0: nobody said. Raises
    MalformedError for a name, height or time out of bounds.
    """

    chain_name: str
    height: int
    time: int
    validators: ValidatorSet

    def __post_init__(self) -> None:
        check_chain_name(self.chain_name)
        check_number("height", self.height, 1, MAX_HEIGHT)
        check_number("time", self.time, 0, MAX_SECONDS)


@dataclass(frozen=True, slots=True)
class ChainPolicy:
    """The chain that a verifier trusts, and through what.

    `kind` names the form of evidence ("ethereum", "cometbft"). `contract` is the 20-byte address, `code_hash`
    Keccak-256 of the runtime code, 32 bytes. A header is trusted when its block hash (32 bytes) is among `headers`. Of
    the kind "ethereum" also when `quorum` of `validators` (20-byte addresses) sealed it; None means `default_quorum`.
    Of the kind "cometbft" also when the validators of `comet`, or those whom they announced, signed it. How old a
    header may be, and how long validators are trusted, the verifier judges by `ChainFacts.time` and `trusted_since`.

    Raises MalformedError for values of another size or number, for a quorum of half of the validators or less, and for
    the trust of another kind.
    """

    kind: str
    chain_id: int
    contract: bytes
    code_hash: bytes
    headers: tuple[bytes, ...] = ()
    validators: tuple[bytes, ...] = ()
    quorum: int | None = None
    comet: CometTrust | None = None

    def __post_init__(self) -> None:
        if not 0 < self.chain_id <= MAX_CHAIN_ID:
            raise MalformedError(f"{self.chain_id} is no chain id", where="chain_id")
        _sized("contract", (self.contract,), 20, 1)
        _sized("code_hash", (self.code_hash,), 32, 1)
        _sized("headers", self.headers, 32, MAX_HEADERS)
        _sized("validators", self.validators, 20, MAX_VALIDATORS)
        if self.kind == COMETBFT and (self.validators or self.quorum is not None):
            raise MalformedError("a CometBFT chain is trusted through keys with power at a height", where="validators")
        if self.kind != COMETBFT and self.comet is not None:
            raise MalformedError(f"keys with power at a height are not for the kind {self.kind!r}", where="chain_name")
        count = len(self.validators)
        if self.quorum is not None and not count < 2 * self.quorum <= 2 * count:
            raise MalformedError(
                f"a quorum of {self.quorum} of {count} validators proves nothing",
                where="quorum",
                remedy="Name more than half of the validators, at most all of them, or leave it out",
            )

    @property
    def needed(self) -> int:
        """Distinct validators whose seals make a header trusted."""
        return default_quorum(len(self.validators)) if self.quorum is None else self.quorum


def _sized(name: str, values: tuple[bytes, ...], size: int, most: int) -> None:
    if len(values) > most:
        raise MalformedError(f"{len(values)} values; at most {most} are accepted", where=name)
    if any(type(value) is not bytes or len(value) != size for value in values):
        raise MalformedError(f"a value must have {size} bytes", where=name)
    if len(set(values)) != len(values):
        raise MalformedError("a value stands twice", where=name)


@dataclass(frozen=True, slots=True)
class ChainRequest:
    """Whether the admission of a leaf was requested on the chain.

    `leaf_hash` is 32 bytes. `block`, `time` (Unix seconds) and `sender` (20 bytes) are of the first request; 0, 0 and
    empty where the chain proves that there was none up to the header.
    """

    leaf_hash: bytes
    block: int
    time: int
    sender: bytes

    @property
    def made(self) -> bool:
        """Whether there was a request."""
        return self.block > 0


@dataclass(frozen=True, slots=True)
class ChainSeal:
    """The end of a log on the chain: last size that counts, its root, the log that follows (None: none), when."""

    size: int
    root: bytes
    successor: bytes | None
    block: int
    time: int


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What the contract's storage holds under one trusted header. Times are block times, Unix seconds.

    `block`, `block_hash`, `time`: the header. `size`, `root`: the anchor, with `anchored_block`, `anchored_time` and
    `anchored_by` (20 bytes) of its transaction. `head_size`, `head_time`: the newest anchor under the header.
    `requested`: those that the evidence asks about, in ascending order. `rests_on`: who vouches, in words.
    `trusted_since`: time from which the validators who vouch are trusted, where the policy says so; 0: it does not, or
    the policy pins the header itself.
    """

    kind: str
    block: int
    block_hash: bytes
    time: int
    size: int
    root: bytes
    anchored_block: int
    anchored_time: int
    anchored_by: bytes
    head_size: int
    head_time: int
    seal: ChainSeal | None
    requested: tuple[ChainRequest, ...]
    rests_on: tuple[str, ...]
    trusted_since: int = 0

    @property
    def sealed(self) -> bool:
        """Whether the log is closed on the chain for ever."""
        return self.seal is not None

    @property
    def disputed(self) -> bool:
        """Whether the log was sealed below this anchor, so that it does not count."""
        return self.seal is not None and self.size > self.seal.size

    @property
    def newest(self) -> bool:
        """Whether nothing later is anchored under the header: then the header's time speaks for the anchor."""
        return self.head_size == self.size

    def expired(self, now: int, period: int) -> bool:
        """Whether the validators who vouch have been trusted for more than `period` seconds at `now`, Unix seconds."""
        return self.trusted_since > 0 and now - self.trusted_since > period

    def request(self, leaf_hash: bytes) -> ChainRequest | None:
        """What the evidence proves about the request for a leaf; None where it does not ask about it."""
        return next((request for request in self.requested if request.leaf_hash == leaf_hash), None)
