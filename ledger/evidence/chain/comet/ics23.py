"""Proofs of a Cosmos SDK state: that a key has a value, or that it has none.

Owns two shapes of Merkle tree, and the walk from a leaf to its root: the IAVL tree that holds one store, and the simple
tree over the roots of all stores, whose root is the header's `app_hash`. A proof gives for each node on the path the
bytes before and after the child's hash. What makes it sound are the shapes: a leaf must not pass for an inner node, nor
bytes of one field for those of the next. Trusts the root alone. Follows ICS-23 with its specifications of IAVL and of
the simple tree, and refuses more: numbers must be written shortest, heights and sizes must rise.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeAlias

from ledger.errors import MalformedError
from ledger.evidence.chain.comet import wire
from ledger.evidence.chain.comet.values import items_of
from ledger.evidence.chain.facts import ChainInvalidError

MAX_DEPTH: Final = 96
"""Most nodes above a leaf: an IAVL tree of 2^64 leaves is less deep."""
MAX_KEY: Final = 256
MAX_VALUE: Final = 1 << 16
"""Most bytes of a value; a neighbour of an absent key may be a contract's code."""
MAX_PREFIX: Final = 80
_HASH: Final = 32

Step: TypeAlias = tuple[bytes, bytes]
"""A node on the path: the bytes before the child's hash, and those after."""


class Existence(NamedTuple):
    """That `key` has `value`. `leaf_prefix` begins the leaf; `path` leads from it to the root, lowest node first."""

    key: bytes
    value: bytes
    leaf_prefix: bytes
    path: tuple[Step, ...]

    def to_items(self) -> list[Any]:
        """The fields in their order, for CBOR."""
        return [self.key, self.value, self.leaf_prefix, [list(step) for step in self.path]]

    @classmethod
    def from_items(cls, items: object) -> Existence:
        """Read `to_items` back; MalformedError for anything else."""
        key, value, leaf_prefix, path = items_of("proof", items, 4, 4)
        steps = [items_of("step", step, 2, 2) for step in items_of("path", path, MAX_DEPTH)]
        return cls(key, value, leaf_prefix, tuple((prefix, suffix) for prefix, suffix in steps))


class Absence(NamedTuple):
    """That `key` has no value: the next keys on both sides; None where there is none on that side."""

    key: bytes
    left: Existence | None
    right: Existence | None

    def to_items(self) -> list[Any]:
        """The key, and for each side null or the items of its proof, for CBOR."""
        return [self.key, *(None if side is None else side.to_items() for side in (self.left, self.right))]

    @classmethod
    def from_items(cls, items: object) -> Absence:
        """Read `to_items` back; MalformedError for anything else."""
        key, *sides = items_of("proof", items, 3, 3)
        left, right = (None if side is None else Existence.from_items(side) for side in sides)
        return cls(key, left, right)


Proof: TypeAlias = "Existence | Absence"


def proof_from_items(items: object) -> Proof:
    """Read the items of either kind of proof: four are an existence, three an absence."""
    return (Absence if type(items) is list and len(items) == 3 else Existence).from_items(items)


def iavl_root(proof: Proof) -> bytes:
    """Root, 32 bytes, of the IAVL tree in which this is proven.

    Raises:
        MalformedError: a part has a form that no such tree has.
        ChainInvalidError: the neighbours of an absence are none, or are of different trees.

    """
    if isinstance(proof, Existence):
        return _root(proof, _iavl_leaf, _iavl_path)
    key, left, right = proof
    _check_key(key)
    roots = {_root(side, _iavl_leaf, _iavl_path) for side in (left, right) if side is not None}
    if len(roots) != 1:
        raise ChainInvalidError("the neighbours of an absent key are missing, or of different trees", where="proof")
    if (left is not None and left.key >= key) or (right is not None and right.key <= key):
        raise ChainInvalidError("an absent key does not lie between its neighbours", where="proof")
    if not _adjacent(None if left is None else left.path, None if right is None else right.path):
        raise ChainInvalidError("between the neighbours of an absent key there are others", where="proof")
    return roots.pop()


def store_root(proof: Existence) -> bytes:
    """Root, 32 bytes, of the simple tree over all stores, in which a store has a root; errors as of `iavl_root`."""
    return _root(proof, _simple_leaf, _simple_path)


def _root(proof: Existence, check_leaf: Callable[[bytes], None], check_path: Callable[[Any], None]) -> bytes:
    key, value, prefix, path = proof
    _check_key(key)
    if type(value) is not bytes or not 0 < len(value) <= MAX_VALUE:
        raise MalformedError(f"a value of 1 to {MAX_VALUE} bytes belongs here", where="proof")
    if type(prefix) is not bytes:
        raise _refuse("a leaf's prefix is no byte string")
    if len(path) > MAX_DEPTH:
        raise _refuse(f"more than {MAX_DEPTH} nodes above a leaf")
    for before, after in path:
        if type(before) is not bytes or type(after) is not bytes or len(before) > MAX_PREFIX:
            raise _refuse("a step is not of short byte strings")
    check_leaf(prefix)
    check_path(path)
    found = sha256(b"".join((prefix, wire.varint(len(key)), key, b"\x20", sha256(value).digest()))).digest()
    for before, after in path:
        found = sha256(before + found + after).digest()
    return found


def _check_key(key: object) -> None:
    if type(key) is not bytes or not 0 < len(key) <= MAX_KEY:
        raise MalformedError(f"a key of 1 to {MAX_KEY} bytes belongs here", where="proof")


def _refuse(detail: str) -> MalformedError:
    return MalformedError(detail, where="proof")


def _simple_leaf(prefix: bytes) -> None:
    if prefix != b"\0":
        raise _refuse("a leaf of the simple tree begins with 00")


def _simple_path(path: tuple[Step, ...]) -> None:
    """Each node is 01, the left child, the right child."""
    for before, after in path:
        if before[:1] != b"\1" or (len(before), len(after)) not in {(1, _HASH), (1 + _HASH, 0)}:
            raise _refuse("a node of the simple tree is 01 and two hashes")


def _iavl_leaf(prefix: bytes) -> None:
    height, size, _, at = _triple(prefix)
    if height or size != 1 or at != len(prefix):
        raise _refuse("a leaf of the IAVL tree has height 0, size 1 and a version")


def _iavl_path(path: tuple[Step, ...]) -> None:
    """Each node is height, size, version, and both children with a length byte before each."""
    height_below, size_below = 0, 1
    for before, after in path:
        height, size, _, at = _triple(before)
        if height <= height_below or size <= size_below:
            raise _refuse("a node of the IAVL tree is not above and larger than its child")
        height_below, size_below = height, size
        rest = len(before) - at
        if after:
            fits = rest == 1 and before[at] == _HASH and len(after) == 1 + _HASH and after[0] == _HASH
        else:
            fits = rest == 2 + _HASH and before[at] == _HASH and before[-1] == _HASH
        if not fits:
            raise _refuse("a node of the IAVL tree ends in two hashes of 32 bytes")


def _triple(prefix: bytes) -> tuple[int, int, int, int]:
    """Height, size and version at the head of an IAVL node, and where they end: zigzag numbers, written shortest."""
    found, at = [], 0
    for _ in range(3):
        value = shift = 0
        while True:
            if at >= len(prefix) or shift > 63:
                raise _refuse("a number of an IAVL node is cut short or too large")
            group = prefix[at]
            at += 1
            value |= (group & 127) << shift
            if group < 128:
                break
            shift += 7
        if (shift and not group) or value & 1 or value >> 64:
            raise _refuse("a number of an IAVL node is negative, too large or written longer than needed")
        found.append(value >> 1)
    height, size, version = found
    if height > 127:
        raise _refuse("an IAVL node is too high")
    return height, size, version, at


def _is_left(step: Step) -> bool:
    """Whether the path comes from the left child: then the right one stands after it."""
    return bool(step[1])


def _adjacent(left: tuple[Step, ...] | None, right: tuple[Step, ...] | None) -> bool:
    """Whether no leaf lies between two paths of one tree; None stands for the tree's end on that side."""
    if left is not None and right is not None:
        left_at, right_at = len(left), len(right)
        while left_at and right_at and left[left_at - 1] == right[right_at - 1]:
            left_at, right_at = left_at - 1, right_at - 1
        if not left_at or not right_at:
            return False  # one leaf twice, or a leaf above another
        if not _is_left(left[left_at - 1]) or _is_left(right[right_at - 1]):
            return False
        left, right = left[: left_at - 1], right[: right_at - 1]
    return not any(map(_is_left, left or ())) and all(map(_is_left, right or ()))
