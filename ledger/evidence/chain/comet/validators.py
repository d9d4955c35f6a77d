"""Validator sets of CometBFT: keys with voting power, in the one order that a header's hash commits to.

Owns order, bounds and hash. Trusts nothing. Follows the CometBFT specification, "Data structures", ValidatorSet:
members by falling power, then by address; the hash is the Merkle root (RFC 6962) over keys and powers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ledger.crypto.digests import sha256
from ledger.errors import MalformedError
from ledger.evidence.chain.comet import wire
from ledger.evidence.chain.comet.values import check_bytes, check_number, items_of
from ledger.log.tree import leaf_hash, root_of

MAX_VALIDATORS: Final = 256
MAX_POWER: Final = ((1 << 63) - 1) // 8
"""Most power of a set in all: CometBFT halts beyond it. 3 times of it fits 64 bits."""
KEY_SIZE: Final = 32


class Validator(NamedTuple):
    """An Ed25519 key of 32 bytes, and its voting power."""

    key: bytes
    power: int

    @property
    def address(self) -> bytes:
        """The first 20 bytes of the key's SHA-256: what a header names its proposer by."""
        return sha256(self.key)[:20]


def _rank(validator: Validator) -> tuple[int, bytes]:
    return -validator.power, validator.address


@dataclass(frozen=True, slots=True)
class ValidatorSet:
    """The validators of some heights, 1 to 256 of them.

    Raises MalformedError for a key twice, a power below 1, more than `MAX_POWER` in all, or another order.
    """

    members: tuple[Validator, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.members) <= MAX_VALIDATORS:
            raise MalformedError(f"1 to {MAX_VALIDATORS} validators belong here", where="validators")
        for validator in self.members:
            check_bytes("validator key", validator.key, KEY_SIZE)
            check_number("validator power", validator.power, 1, MAX_POWER)
        if self.total > MAX_POWER:
            raise MalformedError(f"the validators' power is above {MAX_POWER} in all", where="validators")
        if len({validator.key for validator in self.members}) != len(self.members):
            raise MalformedError("a validator stands twice", where="validators")
        ranks = [_rank(validator) for validator in self.members]
        if ranks != sorted(ranks):
            raise MalformedError("validators stand by falling power, then by address", where="validators")

    @classmethod
    def of(cls, validators: list[Validator] | tuple[Validator, ...]) -> ValidatorSet:
        """The set of these validators, given in any order."""
        for validator in validators:  # before they are compared
            check_bytes("validator key", validator.key, KEY_SIZE)
            check_number("validator power", validator.power, 1, MAX_POWER)
        return cls(tuple(sorted(validators, key=_rank)))

    @property
    def total(self) -> int:
        """Power of all."""
        return sum(validator.power for validator in self.members)

    def hash(self) -> bytes:
        """The set's hash, 32 bytes: what a header has as `validators_hash`."""
        return root_of(
            [leaf_hash(wire.message(1, wire.data(1, key)) + wire.number(2, power)) for key, power in self.members]
        )

    def to_items(self) -> list[Any]:
        """Pairs of key and power in their order, for CBOR."""
        return [list(validator) for validator in self.members]

    @classmethod
    def from_items(cls, items: object) -> ValidatorSet:
        """Read `to_items` back; MalformedError for anything else."""
        pairs = items_of("validators", items, MAX_VALIDATORS, 1)
        return cls(tuple(Validator(*items_of("validator", pair, 2, 2)) for pair in pairs))
