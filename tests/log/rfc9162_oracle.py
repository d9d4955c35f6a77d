"""The tree of RFC 9162 section 2.1 as its text defines it: recursive, slow, sharing nothing with the product."""

from __future__ import annotations

import hashlib


def largest_power_below(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(leaves: list[bytes]) -> bytes:
    """MTH over leaf hashes (the leaf prefix is applied already)."""
    n = len(leaves)
    if n == 0:
        return hashlib.sha256().digest()
    if n == 1:
        return leaves[0]
    k = largest_power_below(n)
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    n = len(leaves)
    if n == 1:
        return []
    k = largest_power_below(n)
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def proof(m: int, leaves: list[bytes]) -> list[bytes]:
    return subproof(m, leaves, complete=True)


def subproof(m: int, leaves: list[bytes], *, complete: bool) -> list[bytes]:
    n = len(leaves)
    if m == n:
        return [] if complete else [mth(leaves)]
    k = largest_power_below(n)
    if m <= k:
        return [*subproof(m, leaves[:k], complete=complete), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], complete=False), mth(leaves[:k])]


def node(leaves: list[bytes], level: int, index: int) -> bytes:
    """Root of a perfect subtree; asking outside the tree is the caller's error and fails."""
    start, end = index << level, (index + 1) << level
    assert 0 <= start < end <= len(leaves), "asked for a subtree that is not wholly inside the tree"
    return mth(leaves[start:end])


def made_up_leaves(count: int) -> list[bytes]:
    return [hashlib.sha256(b"\x00entry %d" % number).digest() for number in range(count)]
