"""Ethereum block headers, and the seals of validators in them.

Owns the reading of a header as the chain hashes it, and of the extra data of the two Byzantine fault tolerant engines
that permissioned chains run, QBFT and IBFT 2.0: which bytes the validators sealed, and who they were. Trusts nothing: a
seal says only that somebody sealed. Follows the Ethereum yellow paper, section 4.3, with the fields that later forks
append; the Enterprise Ethereum Alliance's QBFT specification and Besu for the extra data.

The extra data is the RLP list [vanity, validators, vote, round, seals]. What validators sign leaves the seals out, the
block's hash leaves the round out too, since the same block may be sealed by different validators in different rounds:

| engine | round | signed | hashed |
|---|---|---|---|
| QBFT | a scalar | [vanity, validators, vote, round, []] | [vanity, validators, vote, 0, []] |
| IBFT 2.0 | four bytes | [vanity, validators, vote, round] | [vanity, validators, vote] |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.crypto.keccak import keccak256
from ledger.crypto.recovery import recover_point
from ledger.errors import MalformedError
from ledger.evidence.chain import rlp
from ledger.evidence.chain.facts import MAX_VALIDATORS

MAX_HEADER: Final = 64 * 1024
"""Bytes; the extra data of 256 validators with their seals takes 23 KB."""
_MAX_NUMBER: Final = (1 << 63) - 1

# Sizes of the fields in their order; None: a number of at most 32 bytes, -1: anything.
_FIELDS: Final[tuple[tuple[str, int | None], ...]] = (
    ("parent hash", 32),
    ("ommers hash", 32),
    ("beneficiary", 20),
    ("state root", 32),
    ("transactions root", 32),
    ("receipts root", 32),
    ("logs bloom", 256),
    ("difficulty", None),
    ("number", None),
    ("gas limit", None),
    ("gas used", None),
    ("timestamp", None),
    ("extra data", -1),
    ("mix hash", 32),
    ("nonce", 8),
    ("base fee", None),
    ("withdrawals root", 32),
    ("blob gas used", None),
    ("excess blob gas", None),
    ("parent beacon block root", 32),
    ("requests hash", 32),
)
FIELD_NAMES: Final = tuple(name for name, _ in _FIELDS)
MIN_FIELDS: Final = 15
"""Fields before the first fork that appended one (London)."""
_STATE_ROOT, _NUMBER, _TIMESTAMP, _EXTRA = 3, 8, 11, 12


@dataclass(frozen=True, slots=True)
class Seals:
    """What the extra data of a sealed block says. `signed`: the digest that validators sign, `seals` 65 bytes each.

    `engine` is "qbft" or "ibft2"; `block_hash` the hash by which such a chain knows the block; `validators` those that
    the header itself names, 20 bytes each, none where a contract names them.
    """

    engine: str
    signed: bytes
    block_hash: bytes
    validators: tuple[bytes, ...]
    round: int
    seals: tuple[bytes, ...]

    def signers(self) -> list[bytes]:
        """Addresses (20 bytes) of whoever made the seals, each once; seals that nobody made are left out."""
        found: dict[bytes, None] = {}
        for seal in self.seals:
            r, s = int.from_bytes(seal[:32], "big"), int.from_bytes(seal[32:64], "big")
            point = recover_point(self.signed, r, s, seal[64])
            if point is not None:
                found[keccak256(point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big"))[12:]] = None
        return list(found)


@dataclass(frozen=True, slots=True)
class Header:
    """A block header. `time` is Unix seconds; `plain_hash` is the Keccak-256 of all its bytes."""

    number: int
    time: int
    state_root: bytes
    plain_hash: bytes
    sealed: Seals | None

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The hashes by which a chain may know the block: each commits to number, time and state root."""
        if self.sealed is None or self.sealed.block_hash == self.plain_hash:
            return (self.plain_hash,)
        return (self.plain_hash, self.sealed.block_hash)

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """Read a header of 15 to 21 fields; MalformedError for anything else."""
        fields = rlp.decode_list(data, max_size=MAX_HEADER)
        if not MIN_FIELDS <= len(fields) <= len(_FIELDS):
            raise MalformedError(f"a header of {len(fields)} fields", where="header")
        for (name, size), field in zip(_FIELDS, fields, strict=False):
            if size is None:
                rlp.number(field, where=f"header, {name}")
            elif size >= 0:
                rlp.fixed(field, size, where=f"header, {name}")
        extra, state_root = fields[_EXTRA], fields[_STATE_ROOT]
        if not isinstance(extra, bytes) or not isinstance(state_root, bytes):
            raise MalformedError("a byte string belongs here", where="header, extra data")
        number, time = _small(fields[_NUMBER], "number"), _small(fields[_TIMESTAMP], "timestamp")
        # The seals of a genesis block are part of what is hashed, and nobody made them.
        sealed = _read_seals(fields, extra) if number else None
        return cls(number, time, state_root, keccak256(data), sealed)


def _small(field: rlp.Item, name: str) -> int:
    number = rlp.number(field, where=f"header, {name}", size=8)
    if number > _MAX_NUMBER:
        raise MalformedError("a number below 2^63 belongs here", where=f"header, {name}")
    return number


def _read_seals(fields: Sequence[rlp.Item], extra: bytes) -> Seals | None:
    """Read the extra data of a sealed block; None where it is something else, as on other chains."""
    try:
        items = rlp.decode_list(extra, max_size=MAX_HEADER)
        if len(items) != 5:
            return None
        vanity, listed, vote, turn, made = items
        validators, seals = _all(listed, 20), _all(made, 65)
    except MalformedError:
        return None
    if not isinstance(turn, bytes) or len(turn) > 4 or not isinstance(vanity, bytes):
        return None
    if len(turn) == 4:
        engine, signed, hashed = "ibft2", [vanity, listed, vote, turn], [vanity, listed, vote]
    else:
        engine, signed, hashed = "qbft", [vanity, listed, vote, turn, []], [vanity, listed, vote, b"", []]
    return Seals(
        engine=engine,
        signed=_hash_with(fields, signed),
        block_hash=_hash_with(fields, hashed),
        validators=validators,
        round=int.from_bytes(turn, "big"),
        seals=seals,
    )


def _all(items: rlp.Item, size: int) -> tuple[bytes, ...]:
    if isinstance(items, bytes) or len(items) > MAX_VALIDATORS:
        raise MalformedError("a list belongs here", where="extra data")
    return tuple(rlp.fixed(item, size, where="extra data") for item in items)


def _hash_with(fields: Sequence[rlp.Item], extra: list[rlp.Item]) -> bytes:
    """Hash a header with other extra data."""
    return keccak256(rlp.encode([*fields[:_EXTRA], rlp.encode(extra), *fields[_EXTRA + 1 :]]))
