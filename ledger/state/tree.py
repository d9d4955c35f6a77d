"""Hashing of the state tree: a sparse Merkle tree over the records of the state (DESIGN section 5).

Owns the three hashes and the one rule of shape: a subtree without leaves is `EMPTY`, a subtree with one leaf is that
leaf, any other is the hash of its two halves. A leaf's place is its key, most significant bit first. So the root
depends on the records alone, never on the order in which they came. Pure; trusts its caller for lengths.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

EMPTY: Final = bytes(32)
"""Hash of a subtree without leaves."""
KEY_BITS: Final = 256
KEY_SIZE: Final = 32

_sha256 = hashlib.sha256


def record_hash(record: bytes) -> bytes:
    """SHA-256 of an encoded record: what a leaf says of its content."""
    return _sha256(record).digest()


def leaf_hash(key: bytes, content: bytes) -> bytes:
    """SHA-256(0x10 || key || record hash), both of 32 bytes."""
    return _sha256(b"\x10" + key + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x11 || left || right), both of 32 bytes."""
    return _sha256(b"\x11" + left + right).digest()


def bit(key: int, level: int) -> int:
    """The bit of a key (as a big-endian integer) that chooses the half below `level`; level 0 is the root."""
    return key >> (KEY_BITS - 1 - level) & 1


def fold(keys: Sequence[int], leaves: Sequence[bytes], level: int) -> bytes:
    """Hash of the subtree at `level` that holds exactly these leaves.

    `keys` are big-endian integers in ascending order, distinct, and agree in their first `level` bits; `leaves` are
    their leaf hashes. The recursion is as deep as there are leaves, at most: chains of halves with one empty side are
    walked in a loop.
    """
    count = len(keys)
    if count < 2:
        return leaves[0] if count else EMPTY
    first = keys[0]
    fork = KEY_BITS - (first ^ keys[-1]).bit_length()  # the level whose two halves both hold leaves
    if count == 2:
        found = _sha256(b"\x11" + leaves[0] + leaves[1]).digest()
    else:
        low = KEY_BITS - 1 - fork
        middle = bisect_left(keys, keys[-1] >> low << low)
        found = node_hash(
            fold(keys[:middle], leaves[:middle], fork + 1), fold(keys[middle:], leaves[middle:], fork + 1)
        )
    for above in range(fork - 1, level - 1, -1):
        pair = EMPTY + found if first >> (KEY_BITS - 1 - above) & 1 else found + EMPTY
        found = _sha256(b"\x11" + pair).digest()
    return found
