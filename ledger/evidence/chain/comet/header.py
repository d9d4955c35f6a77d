"""Headers of CometBFT blocks: their fields, and the hash that validators sign.

Owns the fields and their bounds. The hash is the Merkle root (RFC 6962) over 14 fields, each as Protocol Buffers write
it. A header commits to the validators who sign it, to those of the next height, and by `app_hash` to the state after
the block before it. Trusts nothing. Follows the CometBFT specification, "Data structures", Header.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import Any, Final

from ledger.errors import MalformedError
from ledger.evidence.chain.comet import wire
from ledger.evidence.chain.comet.values import (
    MAX_HEIGHT,
    MAX_PARTS,
    check_bytes,
    check_number,
    check_time,
    items_of,
)
from ledger.log.tree import leaf_hash, root_of

MAX_CHAIN_NAME: Final = 50
"""Most bytes of a chain's name in UTF-8."""
_MAYBE: Final = (
    "last_block_hash", "last_parts_hash", "last_commit_hash", "data_hash", "app_hash", "last_results_hash",
    "evidence_hash",
)  # fmt: skip
_ALWAYS: Final = ("validators_hash", "next_validators_hash", "consensus_hash")


@dataclass(frozen=True, slots=True)
class Header:
    """One header. Hashes are 32 bytes, or empty where the first block has none; `proposer` is an address of 20 bytes.

    `chain_id` is the chain's name. `seconds` and `nanos`: the block's time, Unix. `last_block_hash`, `last_parts_total`
    and `last_parts_hash`: the block before. `app_hash` and `last_results_hash`: the state after the block before, and
    what its transactions returned. Raises MalformedError for a value out of its bounds.
    """

    block_version: int
    app_version: int
    chain_id: str
    height: int
    seconds: int
    nanos: int
    last_block_hash: bytes
    last_parts_total: int
    last_parts_hash: bytes
    last_commit_hash: bytes
    data_hash: bytes
    validators_hash: bytes
    next_validators_hash: bytes
    consensus_hash: bytes
    app_hash: bytes
    last_results_hash: bytes
    evidence_hash: bytes
    proposer: bytes

    def __post_init__(self) -> None:
        check_number("block version", self.block_version, 0, MAX_HEIGHT)
        check_number("app version", self.app_version, 0, MAX_HEIGHT)
        check_chain_name(self.chain_id)
        check_number("height", self.height, 1, MAX_HEIGHT)
        check_time("header", self.seconds, self.nanos)
        check_number("parts of the last block", self.last_parts_total, 0, MAX_PARTS)
        for name in _MAYBE:
            check_bytes(name, getattr(self, name), 32, 0)
        for name in _ALWAYS:
            check_bytes(name, getattr(self, name), 32)
        check_bytes("proposer", self.proposer, 20)

    @property
    def time(self) -> tuple[int, int]:
        """Seconds and nanoseconds, for comparing."""
        return self.seconds, self.nanos

    def hash(self) -> bytes:
        """The block's hash, 32 bytes: what a commit is about, and what JSON-RPC calls the block's hash."""
        name = self.chain_id.encode()
        items = (
            wire.number(1, self.block_version) + wire.number(2, self.app_version),
            wire.data(1, name),
            wire.number(1, self.height),
            wire.timestamp(self.seconds, self.nanos),
            wire.block_id(self.last_block_hash, self.last_parts_total, self.last_parts_hash),
            wire.data(1, self.last_commit_hash),
            wire.data(1, self.data_hash),
            wire.data(1, self.validators_hash),
            wire.data(1, self.next_validators_hash),
            wire.data(1, self.consensus_hash),
            wire.data(1, self.app_hash),
            wire.data(1, self.last_results_hash),
            wire.data(1, self.evidence_hash),
            wire.data(1, self.proposer),
        )
        return root_of([leaf_hash(item) for item in items])

    def to_items(self) -> list[Any]:
        """The fields in their order, for CBOR."""
        return list(astuple(self))

    @classmethod
    def from_items(cls, items: object) -> Header:
        """Read `to_items` back; MalformedError for anything else."""
        return cls(*items_of("header", items, _COUNT, _COUNT))


_COUNT: Final = len(fields(Header))


def check_chain_name(name: object) -> None:
    """MalformedError unless this may be the name of a chain: 1 to 50 bytes of UTF-8."""
    if type(name) is str:
        try:
            if 0 < len(name.encode()) <= MAX_CHAIN_NAME:
                return
        except UnicodeEncodeError:  # half of a surrogate pair
            pass
    raise MalformedError(f"a text of 1 to {MAX_CHAIN_NAME} bytes belongs here", where="chain name")
