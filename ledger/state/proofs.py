"""Proofs of what the state holds and of what it does not: made and checked (DESIGN section 5).

One proof speaks of any number of keys. Each key's path goes down from the root and ends in its own leaf, in an empty
subtree, or in another leaf that agrees with the key on all bits down to there. The proof gives the depth of each end,
the foreign leaf where there is one, and the hashes of the subtrees beside the paths: by level, the ones nearest to the
root first, and from left to right within a level. With one key that is its list of siblings, root first.

Checking trusts nothing but the root that the caller compares with. Its work is bounded by the size of the proof: every
step down either takes a sibling or parts the keys. One set of claims has one proof under one root: what could be left
out is refused. In particular an empty sibling beside a leaf or an empty end is, because the subtree above it would have
been that leaf, or empty, itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ledger.errors import MalformedError
from ledger.state.tree import EMPTY, KEY_BITS, KEY_SIZE, leaf_hash, node_hash, record_hash

MAX_CLAIMS: Final = 4_096
"""Keys that one proof may speak of."""
MAX_SIBLINGS: Final = KEY_BITS
"""Siblings for each key, at most: one for every level."""
_HASH: Final = 32
_LEAF: Final = KEY_SIZE + _HASH


@dataclass(frozen=True, slots=True)
class StateProof:
    """A proof for keys in ascending order; it does not name them.

    `depths`: number of levels between the root and the end of each key's path (0 to 256). `others`: (key, record hash)
    of the foreign leaf in which the path of an absent key ends, None where it ends in its own leaf or in nothing.
    `siblings`: 32-byte hashes of the subtrees beside the paths, by level, then from left to right.
    """

    depths: tuple[int, ...]
    others: tuple[tuple[bytes, bytes] | None, ...]
    siblings: tuple[bytes, ...]

    def to_cbor_object(self) -> list[Any]:
        """[depths, others, siblings]: integers; byte strings of 0 or 64 bytes (key and record hash); one string."""
        others = [b"" if other is None else other[0] + other[1] for other in self.others]
        return [list(self.depths), others, b"".join(self.siblings)]

    @classmethod
    def from_cbor_object(cls, obj: object) -> StateProof:
        """Read back what `to_cbor_object` gave; MalformedError for anything else."""
        if not isinstance(obj, (list, tuple)) or len(obj) != 3:
            raise _malformed("it is no array of depths, foreign leaves and siblings")
        depths, others, siblings = obj
        if not isinstance(depths, (list, tuple)) or not isinstance(others, (list, tuple)):
            raise _malformed("depths and foreign leaves are arrays")
        if not isinstance(siblings, bytes) or len(siblings) % _HASH:
            raise _malformed(f"siblings are one byte string of {_HASH} bytes each")
        if any(not isinstance(other, bytes) or len(other) not in (0, _LEAF) for other in others):
            raise _malformed(f"a foreign leaf has {_LEAF} bytes, or none where there is none")
        proof = cls(
            tuple(depths),
            tuple((other[:KEY_SIZE], other[KEY_SIZE:]) if other else None for other in others),
            tuple(siblings[start : start + _HASH] for start in range(0, len(siblings), _HASH)),
        )
        _check_shape(proof)
        return proof


class Node(Protocol):
    """A subtree, as the maker of proofs sees it."""

    @property
    def leaves(self) -> int:
        """How many leaves it has: 0, 1, or 2 for more than one."""
        ...

    @property
    def hash(self) -> bytes:
        """Its hash."""
        ...

    @property
    def only(self) -> tuple[bytes, bytes]:
        """(key, record hash) of the one leaf; asked only where there is one."""
        ...

    def halves(self) -> tuple[Node, Node]:
        """The two subtrees one level down; asked only where there are at least two leaves."""
        ...


def make_state_proof(root: Node, keys: Iterable[bytes]) -> StateProof:
    """Make the proof for these keys (32 bytes each, any order) in the tree under `root`.

    Raises:
        MalformedError: no key, too many, or one of another length.

    """
    names = sorted(set(keys))
    _check_keys(names)
    numbers = [int.from_bytes(name, "big") for name in names]
    depths = [0] * len(names)
    others: list[tuple[bytes, bytes] | None] = [None] * len(names)
    siblings: list[bytes] = []
    groups: list[tuple[Node, int, int]] = [(root, 0, len(names))]
    level = 0
    while groups:
        below: list[tuple[Node, int, int]] = []
        for node, low, high in groups:
            if node.leaves < 2:
                found = node.only if node.leaves else None
                for at in range(low, high):
                    depths[at] = level
                    others[at] = None if found is None or found[0] == names[at] else found
                continue
            middle = _parting(numbers, low, high, level)
            left, right = node.halves()
            for half, start, end in ((left, low, middle), (right, middle, high)):
                if start == end:
                    siblings.append(half.hash)
                else:
                    below.append((half, start, end))
        groups = below
        level += 1
    return StateProof(tuple(depths), tuple(others), tuple(siblings))


def root_from_state_proof(claims: Mapping[bytes, bytes | None], proof: StateProof) -> bytes:
    """Return the root of the tree in which all claims hold: a key's encoded record, or None where it is absent.

    The caller compares the root with one that it trusts; only then do the claims hold.

    Raises:
        MalformedError: no claim or too many, a key of another length, or a proof of another shape than these claims
            have, or one that says what could be left out.

    """
    names = sorted(claims)
    _check_keys(names)
    _check_shape(proof)
    if len(proof.depths) != len(names):
        raise _malformed(f"it speaks of {len(proof.depths)} keys, claimed are {len(names)}")
    numbers = [int.from_bytes(name, "big") for name in names]
    ends = [
        _end(name, claims[name], depth, other)
        for name, depth, other in zip(names, proof.depths, proof.others, strict=True)
    ]
    return _fold_up(_walk_down(numbers, proof.depths, ends, proof.siblings))


# A half of a subtree that the proof goes through: a number is a subtree one level down, by its place there; bytes are
# a hash. `True` says that the hash is known to stand for one leaf at most.
_Half = tuple[int | bytes, bool]


def _walk_down(
    numbers: Sequence[int], depths: Sequence[int], ends: Sequence[bytes], siblings: Sequence[bytes]
) -> list[list[tuple[_Half, _Half]]] | bytes:
    """Lay out the subtrees on the paths, level by level; just a hash where the root itself is an end."""
    taken = 0
    if _is_end(depths, ends, 0, len(numbers), 0):
        if siblings:
            raise _malformed("it has more siblings than its paths")
        return ends[0]
    levels: list[list[tuple[_Half, _Half]]] = []
    groups = [(0, len(numbers))]
    while groups:
        level = len(levels)
        below: list[tuple[int, int]] = []
        pairs: list[tuple[_Half, _Half]] = []
        for low, high in groups:
            middle = _parting(numbers, low, high, level)
            halves: list[_Half] = []
            for start, end in ((low, middle), (middle, high)):
                if start == end:
                    if taken == len(siblings):
                        raise _malformed("it has fewer siblings than its paths")
                    halves.append((siblings[taken], siblings[taken] == EMPTY))
                    taken += 1
                elif _is_end(depths, ends, start, end, level + 1):
                    halves.append((ends[start], True))
                else:
                    halves.append((len(below), False))
                    below.append((start, end))
            left, right = halves
            if left[1] and right[1] and EMPTY in (left[0], right[0]):
                raise _malformed("an empty subtree stands beside a leaf or another empty one: the path ends higher up")
            pairs.append((left, right))
        levels.append(pairs)
        groups = below
    if taken != len(siblings):
        raise _malformed("it has more siblings than its paths")
    return levels


def _fold_up(levels: list[list[tuple[_Half, _Half]]] | bytes) -> bytes:
    """Hash the subtrees from the deepest level up."""
    if isinstance(levels, bytes):
        return levels
    below: list[bytes] = []
    for pairs in reversed(levels):
        below = [
            node_hash(
                left if isinstance(left, bytes) else below[left], right if isinstance(right, bytes) else below[right]
            )
            for (left, _), (right, _) in pairs
        ]
    return below[0]


def _is_end(depths: Sequence[int], ends: Sequence[bytes], low: int, high: int, level: int) -> bool:
    """Whether the paths of these keys, which agree down to `level`, end here; all of them do, in the same, or none."""
    if depths[low] > level:
        return False
    if any(depths[at] != level or ends[at] != ends[low] for at in range(low, high)):
        raise _malformed("paths that lead to the same subtree end in different ones")
    return True


def _end(key: bytes, record: bytes | None, depth: int, other: tuple[bytes, bytes] | None) -> bytes:
    """Hash of what the path of a claim ends in."""
    if record is not None:
        if other is not None:
            raise _malformed("a key that is present ends in its own leaf")
        return leaf_hash(key, record_hash(record))
    if other is None:
        return EMPTY
    foreign, content = other
    shared = KEY_BITS - (int.from_bytes(key, "big") ^ int.from_bytes(foreign, "big")).bit_length()
    if foreign == key or shared < depth:
        raise _malformed("the leaf in which an absent key's path ends does not lie on that path, or is the key's own")
    return leaf_hash(foreign, content)


def _parting(numbers: Sequence[int], low: int, high: int, level: int) -> int:
    """Where, among keys that agree down to `level`, those of the right half begin."""
    shift = KEY_BITS - 1 - level
    return bisect_left(numbers, (numbers[low] >> shift | 1) << shift, low, high)


def _check_keys(names: Sequence[bytes]) -> None:
    if not 1 <= len(names) <= MAX_CLAIMS:
        raise MalformedError(f"a state proof speaks of 1 to {MAX_CLAIMS} keys, not {len(names)}", where="state proof")
    if any(len(name) != KEY_SIZE for name in names):
        raise MalformedError(f"a key of the state has {KEY_SIZE} bytes", where="state proof")


def _check_shape(proof: StateProof) -> None:
    """Types and bounds, so that whatever follows can rely on them."""
    count = len(proof.depths)
    if not 1 <= count <= MAX_CLAIMS or len(proof.others) != count:
        raise _malformed(f"it speaks of 1 to {MAX_CLAIMS} keys, each with its depth and its foreign leaf or none")
    if any(type(depth) is not int or not 0 <= depth <= KEY_BITS for depth in proof.depths):
        raise _malformed(f"a depth is an integer from 0 to {KEY_BITS}")
    for other in proof.others:
        if other is not None and (len(other[0]) != KEY_SIZE or len(other[1]) != _HASH):
            raise _malformed(f"a foreign leaf is a key of {KEY_SIZE} bytes and a hash of {_HASH}")
    if len(proof.siblings) > MAX_SIBLINGS * count:
        raise _malformed(f"it has more than {MAX_SIBLINGS} siblings for each key")
    if any(len(sibling) != _HASH for sibling in proof.siblings):
        raise _malformed(f"a sibling has {_HASH} bytes")


def _malformed(detail: str) -> MalformedError:
    return MalformedError(f"the state proof cannot be read: {detail}", where="state proof")
