"""One inclusion proof for many leaves of the log's tree.

Owns the multiproof: the hashes that are missing to get from the leaves at a sorted set of indexes to the root. The tree
is split as RFC 9162 section 2.1.1 does; a part without any of the leaves gives its hash, a leaf gives nothing, another
part is split, left before right. So the proof is the shortest there is, has one form only, and its shape comes from
indexes and size alone, never from the proof.

The prover trusts `get_node` as in `ledger.log.proofs`. The checker trusts nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from ledger.errors import MalformedError
from ledger.log.proofs import GetNode, ragged_root
from ledger.log.tree import MAX_SIZE, check_hashes, node_hash

MAX_LEAVES: Final = 4_096
"""Leaves that one proof is for; more are a mirror's matter."""
MAX_MULTIPROOF: Final = MAX_LEAVES * 64
"""Hashes that such a proof can hold at the most: one a level for each leaf."""


def inclusion_multiproof(indexes: Sequence[int], size: int, get_node: GetNode) -> list[bytes]:
    """Make the proof that the leaves at `indexes` (ascending) stand in the tree of `size`.

    Raises:
        MalformedError: no indexes, too many, not ascending, or beyond the tree.

    """
    _check_indexes(indexes, size)
    proof: list[bytes] = []

    def visit(low: int, high: int, first: int, last: int) -> None:
        """Go through the part [low, high) of the tree, in which the indexes number `first` to `last` - 1 lie."""
        if first == last:
            proof.append(ragged_root(low, high, get_node))
        elif high - low > 1:
            middle = low + _split(high - low)
            cut = bisect_left(indexes, middle, first, last)
            visit(low, middle, first, cut)
            visit(middle, high, cut, last)

    visit(0, size, 0, len(indexes))
    return proof


def root_from_multiproof(leaves: Mapping[int, bytes], size: int, proof: Sequence[bytes]) -> bytes:
    """Root of the tree of `size` in which each leaf hash of `leaves` stands at its index; undoes the above.

    Raises:
        MalformedError: indexes as above, a hash of another length, or a proof that is not wholly and exactly used.

    """
    indexes = sorted(leaves)
    _check_indexes(indexes, size)
    if len(proof) > MAX_MULTIPROOF:
        raise MalformedError(f"a multiproof has at most {MAX_MULTIPROOF} hashes", where="proof")
    check_hashes(leaves.values(), "leaves")
    check_hashes(proof, "proof")
    supply = iter(proof)

    def visit(low: int, high: int, first: int, last: int) -> bytes:
        if first == last:
            return _take(supply)
        if high - low == 1:
            return leaves[low]
        middle = low + _split(high - low)
        cut = bisect_left(indexes, middle, first, last)
        left = visit(low, middle, first, cut)
        return node_hash(left, visit(middle, high, cut, last))

    root = visit(0, size, 0, len(indexes))
    if next(supply, None) is not None:
        raise MalformedError("the multiproof holds more hashes than its leaves need", where="proof")
    return root


def _check_indexes(indexes: Sequence[int], size: int) -> None:
    if not 1 <= len(indexes) <= MAX_LEAVES:
        raise MalformedError(f"a multiproof is for 1 to {MAX_LEAVES} leaves, not {len(indexes)}", where="indexes")
    if any(later <= earlier for earlier, later in pairwise(indexes)):
        raise MalformedError("the indexes of a multiproof ascend", where="indexes")
    if not 0 <= indexes[0] <= indexes[-1] < size <= MAX_SIZE:
        raise MalformedError(
            f"a tree of size {size} has no leaf {indexes[-1] if indexes[0] >= 0 else indexes[0]}",
            where="indexes",
            remedy="Indexes run from 0 to size - 1",
        )


def _split(size: int) -> int:
    """Largest power of two below `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def _take(supply: Iterator[bytes]) -> bytes:
    value = next(supply, None)
    if value is None:
        raise MalformedError("the multiproof holds fewer hashes than its leaves need", where="proof")
    return value
