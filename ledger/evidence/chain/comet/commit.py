"""Commits of CometBFT: the signatures by which validators made a block final, and links from one set to the next.

Owns what is signed and how much is enough: more than two thirds of the power of the set that the header itself commits
to. Every signature that is given must verify; none is skipped. Trusts the set that it is handed, nothing else, and
`ledger.crypto.ed25519`, whose rule is a little narrower than the one of CometBFT (ZIP-215): what honest validators sign
passes both. A validator that lies can get a vote into the chain that passes the wider rule alone, so whoever makes
evidence leaves such votes out by `genuine`. Follows the CometBFT specification, "Data structures", Commit and
CanonicalVote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from ledger.crypto import ed25519
from ledger.errors import MalformedError
from ledger.evidence.chain.comet import wire
from ledger.evidence.chain.comet.header import Header
from ledger.evidence.chain.comet.validators import MAX_VALIDATORS, Validator, ValidatorSet
from ledger.evidence.chain.comet.values import MAX_PARTS, check_bytes, check_number, check_time, items_of
from ledger.evidence.chain.facts import ChainInvalidError

MAX_ROUND: Final = (1 << 31) - 1
MAX_LINKS: Final = 16
_PRECOMMIT: Final = 2


class Signature(NamedTuple):
    """A validator's vote for the block: the time that it names, Unix, and 64 bytes."""

    seconds: int
    nanos: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """The votes for one block, in the order of the validators; None for who was absent or voted for nothing.

    `parts_total` and `parts_hash` (32 bytes) name the parts in which the block was passed on: votes are about them too.
    Raises MalformedError for a value out of its bounds.
    """

    round: int
    parts_total: int
    parts_hash: bytes
    signatures: tuple[Signature | None, ...]

    def __post_init__(self) -> None:
        check_number("round", self.round, 0, MAX_ROUND)
        check_number("parts", self.parts_total, 1, MAX_PARTS)
        check_bytes("parts hash", self.parts_hash, 32)
        if not 0 < len(self.signatures) <= MAX_VALIDATORS:
            raise MalformedError(f"1 to {MAX_VALIDATORS} signatures belong here", where="commit")
        for signature in self.signatures:
            if signature is not None:
                check_time("vote", signature.seconds, signature.nanos)
                check_bytes("signature", signature.signature, ed25519.SIGNATURE_SIZE)

    def to_items(self) -> list[Any]:
        """The fields in their order, for CBOR; a signature is null or an array."""
        given = [None if signature is None else list(signature) for signature in self.signatures]
        return [self.round, self.parts_total, self.parts_hash, given]

    @classmethod
    def from_items(cls, items: object) -> Commit:
        """Read `to_items` back; MalformedError for anything else."""
        round_, total, parts_hash, given = items_of("commit", items, 4, 4)
        signatures = [
            None if one is None else Signature(*items_of("signature", one, 3, 3))
            for one in items_of("signatures", given, MAX_VALIDATORS, 1)
        ]
        return cls(round_, total, parts_hash, tuple(signatures))


class Link(NamedTuple):
    """A header, the votes for it, and the set that cast them. The header announces the set of the next height."""

    header: Header
    commit: Commit
    validators: ValidatorSet

    def to_items(self) -> list[Any]:
        """The three, for CBOR."""
        return [self.header.to_items(), self.commit.to_items(), self.validators.to_items()]

    @classmethod
    def from_items(cls, items: object) -> Link:
        """Read `to_items` back; MalformedError for anything else."""
        header, commit, validators = items_of("link", items, 3, 3)
        return cls(Header.from_items(header), Commit.from_items(commit), ValidatorSet.from_items(validators))


def signed_bytes(header: Header, block_hash: bytes, commit: Commit, signature: Signature) -> bytes:
    """What a validator signs: its vote for the block with this hash, prefixed with its length."""
    vote = (
        wire.number(1, _PRECOMMIT)
        + wire.fixed(2, header.height)
        + wire.fixed(3, commit.round)
        + wire.message(4, wire.block_id(block_hash, commit.parts_total, commit.parts_hash))
        + wire.message(5, wire.timestamp(signature.seconds, signature.nanos))
        + wire.data(6, header.chain_id.encode())
    )
    return wire.varint(len(vote)) + vote


def verify_commit(header: Header, commit: Commit, validators: ValidatorSet) -> tuple[int, ...]:
    """Places of the validators whose votes made `header` final.

    Raises ChainInvalidError unless the header names this very set, every vote given is genuine, and the votes have
    more than two thirds of the set's power.
    """
    where = f"block {header.height}"
    if validators.hash() != header.validators_hash:
        raise ChainInvalidError("the header names other validators than those given", where=where)
    if len(commit.signatures) != len(validators.members):
        raise ChainInvalidError(
            f"{len(commit.signatures)} places for votes of {len(validators.members)} validators", where=where
        )
    block_hash = header.hash()
    signed, power = [], 0
    for place, (validator, vote) in enumerate(zip(validators.members, commit.signatures, strict=True)):
        if vote is None:
            continue
        if not _holds(header, block_hash, commit, vote, validator):
            raise ChainInvalidError(f"the vote of validator {validator.key.hex()} does not verify", where=where)
        signed.append(place)
        power += validator.power
    if not 3 * power > 2 * validators.total:
        raise ChainInvalidError(
            f"votes with {power} of {validators.total} power; more than two thirds are needed", where=where
        )
    return tuple(signed)


def genuine(header: Header, commit: Commit, validators: ValidatorSet) -> Commit:
    """The commit with no vote that `verify_commit` would refuse; as it is where it has not one place a validator."""
    if len(commit.signatures) != len(validators.members):
        return commit
    block_hash = header.hash()
    kept = [
        vote if vote is not None and _holds(header, block_hash, commit, vote, validator) else None
        for validator, vote in zip(validators.members, commit.signatures, strict=True)
    ]
    return replace(commit, signatures=tuple(kept))


def _holds(header: Header, block_hash: bytes, commit: Commit, vote: Signature, validator: Validator) -> bool:
    return ed25519.SUITE.verify(validator.key, signed_bytes(header, block_hash, commit, vote), vote.signature)


def verify_links(links: Sequence[Link]) -> tuple[int, ...]:
    """Check that each link is signed by its own set and announces the set of the next; the last one's signers.

    Raises ChainInvalidError for a commit that does not hold, a set that nobody announced, and for heights or times that
    do not rise or another chain's header.
    """
    signers: tuple[int, ...] = ()
    for place, link in enumerate(links):
        signers = verify_commit(*link)
        if not place:
            continue
        header, before = link.header, links[place - 1].header
        where = f"block {header.height}"
        if header.chain_id != before.chain_id:
            raise ChainInvalidError("a link is of another chain than the next", where=where)
        if header.height <= before.height or header.time <= before.time:
            raise ChainInvalidError("the links do not rise in height and time", where=where)
        # The set's hash is the header's: the commit was verified against it.
        if header.validators_hash != before.next_validators_hash:
            raise ChainInvalidError(
                f"the validators are not those that block {before.height} announced",
                where=where,
                remedy="Links must show every change of the validators, in order",
            )
    return signers
