"""Hashing of the state tree: a sparse Merkle tree over the records of the state (DESIGN section 5).

Owns the three hashes and the one rule of shape: a subtree without leaves is `EMPTY`, a subtree with one leaf is that
leaf, any other is the hash of its two halves. A leaf's place is its key, most significant bit first. So the root
depends on the records alone, never on the order in which they came. Pure; trusts its caller for lengths.
"""

from __future__ import annotations

import hashlib
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
    their leaf hashes. One pass: a left half waits on the stack, with the place of its fork, for its right half.
    """
    if not keys:
        return EMPTY
    waiting: list[tuple[int, bytes]] = []  # places fall: the deepest fork is on top
    found, height, key = leaves[0], 0, keys[0]  # the subtree of the leaves so far, its place (0: one leaf), a key in it
    for at in range(1, len(keys)):
        after = keys[at]
        fork = (key ^ after).bit_length()
        while waiting and waiting[-1][0] < fork:
            place, left = waiting.pop()
            if height and height + 1 != place:
                found = _lift(found, key, height, place)
            found, height = _sha256(b"\x11" + left + found).digest(), place
        if height and height + 1 != fork:
            found = _lift(found, key, height, fork)
        waiting.append((fork, found))
        found, height, key = leaves[at], 0, after
    while waiting:
        place, left = waiting.pop()
        if height and height + 1 != place:
            found = _lift(found, key, height, place)
        found, height = _sha256(b"\x11" + left + found).digest(), place
    return _lift(found, key, height, KEY_BITS + 1 - level) if height else found


def _lift(found: bytes, key: int, height: int, place: int) -> bytes:
    """Hash upwards from the fork at `height` to below the one at `place`, beside empty halves.

    A fork's place is the number of its bit, the last bit of a key being 1.
    """
    for above in range(height, place - 1):
        found = _sha256(b"\x11" + (EMPTY + found if key >> above & 1 else found + EMPTY)).digest()
    return found
