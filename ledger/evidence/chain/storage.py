"""The storage of the anchor contract: where each value stands, and what its words say.

Owns the slots and words that contracts/STORAGE.md fixes, and the two lookups that lead from a state root to a word.
Trusts the state root alone. Follows Solidity's layout of storage for the slots, the Ethereum yellow paper, section 4.1,
for accounts.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.crypto.keccak import keccak256
from ledger.evidence.chain import rlp, trie
from ledger.evidence.chain.facts import ChainInvalidError

ROOT: Final = 0
META: Final = 1
HEAD: Final = 2
SEALS: Final = 4
REQUESTS: Final = 5

FLAG_SEALED: Final = 1


def word(number: int) -> bytes:
    """A number as a word of storage: 32 bytes, big-endian."""
    return number.to_bytes(32, "big")


def map_slot(slot: bytes, *keys: bytes) -> bytes:
    """Slot of the value under `keys`, each 32 bytes, of the nested mapping at `slot`."""
    for key in keys:
        slot = keccak256(key + slot)
    return slot


def root_slot(log_id: bytes, size: int) -> bytes:
    """Slot of `root[log][size]`."""
    return map_slot(word(ROOT), log_id, word(size))


def meta_slot(log_id: bytes, size: int) -> bytes:
    """Slot of `meta[log][size]`."""
    return map_slot(word(META), log_id, word(size))


def head_slot(log_id: bytes) -> bytes:
    """Slot of `head[log]`."""
    return map_slot(word(HEAD), log_id)


def seal_slots(log_id: bytes) -> tuple[bytes, bytes, bytes]:
    """Slots of the three words of `seals[log]`: root, successor, meta."""
    first = int.from_bytes(map_slot(word(SEALS), log_id), "big")
    root, successor, meta = (word((first + i) % (1 << 256)) for i in range(3))
    return root, successor, meta


def request_slot(log_id: bytes, leaf_hash: bytes) -> bytes:
    """Slot of `requests[log][leaf hash]`."""
    return map_slot(word(REQUESTS), log_id, leaf_hash)


class Meta(NamedTuple):
    """Who wrote something, and when: number and time (Unix seconds) of the block, sender (20 bytes)."""

    block: int
    time: int
    sender: bytes

    @classmethod
    def unpack(cls, value: bytes) -> Meta:
        """Read a meta word."""
        number = int.from_bytes(value, "big")
        return cls(number & (1 << 56) - 1, number >> 56 & (1 << 40) - 1, value[:20])


class HeadWord(NamedTuple):
    """Newest state of a log: size and time of the last anchor, last size that counts once sealed, flags."""

    size: int
    time: int
    sealed_size: int
    flags: int

    @classmethod
    def unpack(cls, value: bytes) -> HeadWord:
        """Read a head word."""
        number = int.from_bytes(value, "big")
        mask = (1 << 64) - 1
        return cls(number & mask, number >> 64 & (1 << 40) - 1, number >> 104 & mask, number >> 168 & 0xFF)

    @property
    def sealed(self) -> bool:
        """Whether the log is closed on the chain for ever."""
        return bool(self.flags & FLAG_SEALED)


class Account(NamedTuple):
    """What the state says about an account: root of its storage, Keccak-256 of its code."""

    storage_root: bytes
    code_hash: bytes


def account(state_root: bytes, address: bytes, nodes: trie.Nodes) -> Account:
    """Look an account up by its address (20 bytes); ChainInvalidError where the state has none."""
    value = trie.lookup(state_root, keccak256(address), nodes)
    if value is None:
        raise ChainInvalidError(f"the chain has no account 0x{address.hex()}", where="contract")
    fields = rlp.decode_list(value)
    if len(fields) != 4:
        raise ChainInvalidError("an account of this chain has not four fields", where="contract")
    rlp.number(fields[0], where="nonce", size=8)
    rlp.number(fields[1], where="balance")
    return Account(rlp.fixed(fields[2], 32, where="storage root"), rlp.fixed(fields[3], 32, where="code hash"))


def load(storage_root: bytes, slot: bytes, nodes: trie.Nodes) -> bytes:
    """Look a word up by its slot (32 bytes): 32 bytes, zero where the storage has none."""
    value = trie.lookup(storage_root, keccak256(slot), nodes)
    if value is None:
        return bytes(32)
    return word(rlp.number(rlp.decode(value), where="storage word"))
