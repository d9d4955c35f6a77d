"""Inclusion, consistency and range proofs of the log's tree: making and checking them.

Inclusion follows RFC 9162 section 2.1.3, consistency section 2.1.4, both to the letter of their verification
algorithms (2.1.3.2, 2.1.4.2): a proof is wholly consumed and its shape comes from index and size alone, never from the
proof. Size 0 has no inclusion proof; the empty proof leads from size 0 to any tree and from a tree to itself.

Provers trust `get_node(level, index)`, the root of the perfect subtree over the leaves from index * 2**level to
(index + 1) * 2**level; it is asked only for subtrees wholly inside the tree. Checkers trust nothing: sizes, indexes and
hashes may come from a stranger, and the verify functions answer False for whatever does not prove the claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ledger.errors import MalformedError
from ledger.log.tree import EMPTY_ROOT, HASH_SIZE, MAX_SIZE, check_hashes, fold_right, node_hash, root_of

GetNode = Callable[[int, int], bytes]

MAX_PROOF = 64
"""A tree of at most 2**64 - 1 leaves is at most 64 levels high: no honest inclusion proof is longer."""

MAX_CONSISTENCY_PROOF = MAX_PROOF + 1
"""The path up from a node, and the node itself before it."""

MAX_RANGE_PROOF = 2 * MAX_PROOF
"""A run has a left and a right side, each with at most one hash per level."""


def inclusion_proof(index: int, size: int, get_node: GetNode) -> list[bytes]:
    """Siblings on the path from leaf `index` to the root at `size`, leaf first: PATH of RFC 9162 section 2.1.3.1.

    Raises:
        MalformedError: the tree of that size has no such leaf.

    """
    _check_index(index, size)
    return _siblings(0, index, size, get_node)


def consistency_proof(old: int, new: int, get_node: GetNode) -> list[bytes]:
    """Proof that the tree at size `new` begins with the tree at size `old`: PROOF of RFC 9162 section 2.1.4.1.

    Empty where `old` is 0 or equals `new`: nothing is left to prove.

    Raises:
        MalformedError: `old` is larger than `new`, or a size is not a uint64.

    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise MalformedError(
            f"no consistency proof leads from size {old} to size {new}",
            where="old, new",
            remedy="Ask from the smaller to the larger size",
        )
    if old in (0, new):
        return []
    level = (old & -old).bit_length() - 1
    index = (old >> level) - 1
    seed = [get_node(level, index)] if index else []  # the verifier of a power of two starts from the old root itself
    return seed + _siblings(level, index, new, get_node)


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Root that an inclusion proof leads to (RFC 9162 section 2.1.3.2, all steps but the last comparison).

    Raises:
        MalformedError: no such leaf at that size, a hash of another length, or a proof too short or too long for them.

    """
    _check_index(index, size)
    if len(proof) > MAX_PROOF:
        raise MalformedError(f"an inclusion proof has at most {MAX_PROOF} hashes", where="proof")
    check_hashes((leaf,), "leaf")
    check_hashes(proof, "proof")
    position, last = index, size - 1
    root = leaf
    for sibling in proof:
        if last == 0:
            raise MalformedError("the proof is longer than the path from this leaf to the root", where="proof")
        if position & 1 or position == last:
            root = node_hash(sibling, root)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            root = node_hash(root, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise MalformedError("the proof is shorter than the path from this leaf to the root", where="proof")
    return root


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether `proof` shows that leaf hash `leaf` stands at `index` in the tree of `size` with `root`."""
    try:
        return root_from_inclusion(leaf, index, size, proof) == root
    except MalformedError:
        return False


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether `proof` shows that the tree (`new`, `new_root`) only appends to (`old`, `old_root`).

    RFC 9162 section 2.1.4.2. A tree of size 0 must have the empty root; every tree follows from it by the empty proof.
    """
    roots_stand = _root_stands(old, old_root) and _root_stands(new, new_root)
    if not roots_stand or old > new or len(proof) > MAX_CONSISTENCY_PROOF:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof
    try:
        return root_from_consistency(old, new, old_root, proof) == new_root
    except MalformedError:
        return False


def root_from_consistency(old: int, new: int, old_root: bytes, proof: Sequence[bytes]) -> bytes:
    """Root at size `new` that a consistency proof leads to from the tree (`old`, `old_root`), for 0 < old < new.

    RFC 9162 section 2.1.4.2, all steps but the comparison with the new root. What it gives is worth no more than the
    signature on it: the proof's right side is taken as it comes.

    Raises:
        MalformedError: sizes out of order, a hash of another length, a proof too short or too long for the sizes, or
            one that does not start from the old root.

    """
    if not 0 < old < new <= MAX_SIZE:
        raise MalformedError(f"no consistency proof leads from size {old} to size {new}", where="old, new")
    if not 0 < len(proof) <= MAX_CONSISTENCY_PROOF:
        raise MalformedError(f"a consistency proof has 1 to {MAX_CONSISTENCY_PROOF} hashes", where="proof")
    check_hashes((old_root,), "old root")
    check_hashes(proof, "proof")
    from_old, from_new = _walk_consistency(old, new, old_root, proof)
    if from_old != old_root:
        raise MalformedError("the consistency proof does not start from the old root", where="proof")
    return from_new


def range_proof(first: int, count: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """Prove that the leaves from `first` to `first + count` are a contiguous run of the tree over `leaf_hashes`.

    Splits as RFC 9162 section 2.1.1 does: a part outside the run gives its hash, a part inside gives nothing, any
    other is split at the largest power of two below its size, left before right. At most 2 hashes per level. Made for
    small trees whose leaves are at hand (a group's acknowledgement).

    Raises:
        MalformedError: an empty run, or one that leaves the tree.

    """
    size = len(leaf_hashes)
    _check_run(first, count, size)
    proof: list[bytes] = []

    def visit(low: int, high: int) -> None:
        if high <= first or low >= first + count:
            proof.append(root_of(leaf_hashes[low:high]))
        elif low < first or high > first + count:
            middle = low + _split(high - low)
            visit(low, middle)
            visit(middle, high)

    visit(0, size)
    return proof


def root_from_range(first: int, run: Sequence[bytes], size: int, proof: Sequence[bytes]) -> bytes:
    """Root of the tree of `size` leaves in which the leaf hashes `run` begin at index `first`; undoes `range_proof`.

    Raises:
        MalformedError: the run is empty or leaves the tree, a hash has another length, or the proof is not used up.

    """
    _check_run(first, len(run), size)
    if len(proof) > MAX_RANGE_PROOF:
        raise MalformedError(f"a range proof has at most {MAX_RANGE_PROOF} hashes", where="proof")
    check_hashes(run, "run")
    check_hashes(proof, "proof")
    supply = iter(proof)
    end = first + len(run)

    def visit(low: int, high: int) -> bytes:
        if high <= first or low >= end:
            return _take(supply)
        if low >= first and high <= end:
            return root_of(run[low - first : high - first])
        middle = low + _split(high - low)
        left = visit(low, middle)
        return node_hash(left, visit(middle, high))

    root = visit(0, size)
    if next(supply, None) is not None:
        raise MalformedError("the range proof holds more hashes than the run needs", where="proof")
    return root


def _siblings(level: int, index: int, size: int, get_node: GetNode) -> list[bytes]:
    """Siblings met when climbing from node (level, index) to the root of the tree of `size` leaves."""
    proof = []
    last = (size - 1) >> level  # index of the rightmost node of this level, perfect or not
    while last:
        sibling = index ^ 1
        if sibling < last or (sibling == last and size == (last + 1) << level):
            proof.append(get_node(level, sibling))
        elif sibling == last:
            proof.append(ragged_root(sibling << level, size, get_node))
        index >>= 1
        last >>= 1
        level += 1
    return proof


def ragged_root(start: int, end: int, get_node: GetNode) -> bytes:
    """Root over the leaves from `start` to `end`, a subtree or the tree's ragged right part, from perfect subtrees."""
    hashes = []
    while start < end:
        level = (end - start).bit_length() - 1
        hashes.append(get_node(level, start >> level))
        start += 1 << level
    return fold_right(hashes)


def _walk_consistency(old: int, new: int, old_root: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Take steps 2 to 6 of RFC 9162 section 2.1.4.2, for 0 < old < new: the roots at `old` and at `new`."""
    path = iter(proof)
    position, last = old - 1, new - 1
    while position & 1:
        position >>= 1
        last >>= 1
    # Only for a power of two is the old root itself a node of the new tree: the proof then leaves it out.
    seed = old_root if old & (old - 1) == 0 else next(path)
    from_old = from_new = seed
    for sibling in path:
        if last == 0:
            raise MalformedError("the consistency proof is longer than the path to the root", where="proof")
        if position & 1 or position == last:
            from_old = node_hash(sibling, from_old)
            from_new = node_hash(sibling, from_new)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            from_new = node_hash(from_new, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise MalformedError("the consistency proof is shorter than the path to the root", where="proof")
    return from_old, from_new


def _root_stands(size: int, root: bytes) -> bool:
    if not 0 <= size <= MAX_SIZE or len(root) != HASH_SIZE:
        return False
    return size > 0 or root == EMPTY_ROOT


def _check_index(index: int, size: int) -> None:
    if not 0 <= index < size <= MAX_SIZE:
        raise MalformedError(
            f"a tree of size {size} has no leaf {index}", where="index", remedy="Indexes run from 0 to size - 1"
        )


def _check_run(first: int, count: int, size: int) -> None:
    if first < 0 or count < 1 or first + count > size or size > MAX_SIZE:
        raise MalformedError(
            f"a tree of size {size} has no run of {count} leaves from {first}",
            where="first, count",
            remedy="A run has at least one leaf and ends inside the tree",
        )


def _split(size: int) -> int:
    """Largest power of two below `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def _take(supply: Iterator[bytes]) -> bytes:
    value = next(supply, None)
    if value is None:
        raise MalformedError("the range proof holds fewer hashes than the run needs", where="proof")
    return value
