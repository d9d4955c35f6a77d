"""Pages of the state tree: four levels of it each, as bytes and as values.

Owns the layout of a page; knows no store. A page is named by its version, the number of the batch that was open when it
was written, and by its place: how many nibbles of the key lead to it, and these nibbles.

| leaf page | inner page |
|---|---|
| `01` | `02` |
| leaves in each quarter (4 bytes) | leaves below each child: 0, 1, or 2 for more (16 bytes) |
| hash of each quarter (4 x 32) | hash of each quarter (4 x 32) |
| leaves: key, record hash (64 each) | hash of each child (16 x 32) |
| | version of each child's page (16 x 8) |

A quarter is the subtree two levels down. Its hash is there so that one changed leaf costs a quarter of the hashing.
A leaf page holds at most `FULL` leaves; one more makes it an inner page. Nothing ever leaves the state, so pages are
never merged, and which pages there are follows from the keys alone.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from typing import Final

from ledger.errors import CorruptError
from ledger.state.tree import EMPTY, fold

FULL: Final = 24
"""Leaves that a leaf page holds at most. At least 16, so that a page 252 bits down never overflows."""
Leaf = tuple[bytes, bytes]
"""A leaf: key and record hash, 32 bytes each."""
Sum = tuple[bytes, int]
"""A subtree: its hash, and its number of leaves, 2 for any more."""

_sha256 = hashlib.sha256
_integer = int.from_bytes
_INNER_PAGE: Final = 2
_LEAF_SIZE: Final = 64
_MANY: Final = (2, 2, 2, 2)
_LEAF_HEAD: Final = 1 + 4 + 4 * 32
_INNER: Final = struct.Struct(">B16s" + "32s" * 4 + "32s" * 16 + "16Q")
INNER_SIZE: Final = _INNER.size
"""Bytes of an inner page."""


class LeafPage:
    """A subtree of at most `FULL` leaves, in its four quarters."""

    __slots__ = ("counts", "depth", "hashes", "quarters")

    def __init__(self, depth: int, counts: bytearray, hashes: list[bytes], quarters: list[bytes]) -> None:
        """`depth` nibbles lead here; `quarters` are the packed leaves, `counts` and `hashes` what they hold."""
        self.depth = depth
        self.counts = counts
        self.hashes = hashes
        self.quarters = quarters

    @classmethod
    def empty(cls, depth: int) -> LeafPage:
        """A page without leaves."""
        return cls(depth, bytearray(4), [EMPTY] * 4, [b""] * 4)

    @property
    def count(self) -> int:
        """Number of leaves."""
        return sum(self.counts)

    def put(self, leaves: Sequence[Leaf]) -> None:
        """Take at most `FULL` leaves, in order of their keys, in place of those with the same keys.

        The page may then hold more than `FULL`: it must be parted.
        """
        byte, shift = self.depth >> 1, 2 if self.depth & 1 else 6
        quarters, last = self.quarters, -1
        for key, content in leaves:
            quarter = key[byte] >> shift & 3
            if quarter != last:
                if last >= 0:
                    self._settle(last)
                last = quarter
            quarters[quarter] = _with_leaf(quarters[quarter], key, content)
        self._settle(last)

    def _settle(self, quarter: int) -> None:
        """Hash a quarter anew."""
        packed = self.quarters[quarter]
        self.counts[quarter] = len(packed) >> 6
        self.hashes[quarter] = hash_packed(packed, 4 * self.depth + 2)

    @property
    def size(self) -> int:
        """Bytes of the page."""
        return _LEAF_HEAD + _LEAF_SIZE * sum(self.counts)

    def leaves(self) -> list[Leaf]:
        """All leaves, by key."""
        return unpack(b"".join(self.quarters))

    def sum(self) -> Sum:
        """The whole subtree."""
        return four(self.hashes, self.counts)

    def pack(self) -> bytes:
        """The page's bytes."""
        return b"".join((b"\x01", self.counts, *self.hashes, *self.quarters))


class InnerPage:
    """A subtree of more leaves: sixteen children, each with a page of its own unless it is empty."""

    __slots__ = ("counts", "hashes", "quarters", "versions")

    def __init__(self, counts: list[int], quarters: list[bytes], hashes: list[bytes], versions: list[int]) -> None:
        self.counts = counts
        self.quarters = quarters
        self.hashes = hashes
        self.versions = versions

    @classmethod
    def empty(cls) -> InnerPage:
        """A page without children."""
        return cls([0] * 16, [EMPTY] * 4, [EMPTY] * 16, [0] * 16)

    def put(self, child: int, found: Sum, version: int) -> None:
        """Set a child; `settle` follows."""
        self.hashes[child], self.counts[child] = found
        self.versions[child] = version

    def settle(self, children: Iterable[int]) -> None:
        """Hash the quarters anew in which these children are."""
        for quarter in {child >> 2 for child in children}:
            low = 4 * quarter
            self.quarters[quarter] = four(self.hashes[low : low + 4], self.counts[low : low + 4])[0]

    def sum(self) -> Sum:
        """The whole subtree."""
        counts = self.counts
        if all(counts):
            return four(self.quarters, _MANY)
        return four(self.quarters, [sum(counts[low : low + 4]) for low in (0, 4, 8, 12)])

    def pack(self) -> bytes:
        """The page's bytes."""
        return _INNER.pack(_INNER_PAGE, bytes(self.counts), *self.quarters, *self.hashes, *self.versions)


Page = LeafPage | InnerPage


def unpack_page(raw: bytes, depth: int) -> Page:
    """Read a page back; CorruptError where it is none."""
    if raw[:1] == b"\x02" and len(raw) == _INNER.size:
        _, counts, *rest = _INNER.unpack(raw)
        return InnerPage(list(counts), rest[:4], rest[4:20], rest[20:])
    if raw[:1] == b"\x01" and len(raw) >= _LEAF_HEAD:
        counts = bytearray(raw[1:5])
        one, two, three, last = counts
        first = _LEAF_HEAD + _LEAF_SIZE * one
        second = first + _LEAF_SIZE * two
        third = second + _LEAF_SIZE * three
        if len(raw) == third + _LEAF_SIZE * last:
            hashes = [raw[5:37], raw[37:69], raw[69:101], raw[101:133]]
            quarters = [raw[_LEAF_HEAD:first], raw[first:second], raw[second:third], raw[third:]]
            return LeafPage(depth, counts, hashes, quarters)
    raise CorruptError("a page of the state tree cannot be read", where="index", remedy="Run tial index rebuild")


def unpack(packed: bytes) -> list[Leaf]:
    """The leaves in a packed run of them."""
    return [(packed[at : at + 32], packed[at + 32 : at + 64]) for at in range(0, len(packed), _LEAF_SIZE)]


def _with_leaf(packed: bytes, key: bytes, content: bytes) -> bytes:
    """A packed run of leaves with one more, or with another content under its key."""
    at = packed.find(key)
    if at >= 0 and not at & 63:
        return b"%b%b%b" % (packed[: at + 32], content, packed[at + 64 :])
    for at in range(0, len(packed), _LEAF_SIZE):
        held = packed[at : at + 32]
        if held >= key:  # its own place, where a find came upon the same bytes between two leaves
            return b"%b%b%b%b" % (packed[:at], key, content, packed[at + 64 * (held == key) :])
    return packed + key + content


def hash_packed(packed: bytes, level: int) -> bytes:
    """Hash of the subtree at `level` that holds exactly these packed leaves, which are in order of their keys."""
    if len(packed) <= _LEAF_SIZE:
        return _sha256(b"\x10" + packed).digest() if packed else EMPTY
    places = range(0, len(packed), _LEAF_SIZE)
    return fold(
        [_integer(packed[at : at + 32], "big") for at in places],
        [_sha256(b"\x10" + packed[at : at + 64]).digest() for at in places],
        level,
    )


def hash_leaves(leaves: Sequence[Leaf], level: int) -> bytes:
    """Hash of the subtree at `level` that holds exactly these leaves, which are in order of their keys."""
    return hash_packed(b"".join([part for leaf in leaves for part in leaf]), level)


def join(left: bytes, left_count: int, right: bytes, right_count: int) -> Sum:
    """Two halves: the hash over both, unless there is but one leaf in them, or none."""
    if left_count + right_count < 2:
        return (left, 1) if left_count else (right, right_count)
    return _sha256(b"\x11" + left + right).digest(), 2


def four(hashes: Sequence[bytes], counts: Sequence[int]) -> Sum:
    """Four quarters; of their numbers of leaves 0, 1 and any more are told apart."""
    one, two, three, last = hashes
    if all(counts):  # nearly always: written out, because every level of pages needs several
        left = _sha256(b"\x11" + one + two).digest()
        right = _sha256(b"\x11" + three + last).digest()
        return _sha256(b"\x11" + left + right).digest(), 2
    return join(*join(one, counts[0], two, counts[1]), *join(three, counts[2], last, counts[3]))


def nibble(key: bytes, depth: int) -> int:
    """The nibble of a key that chooses the child of a page."""
    byte = key[depth >> 1]
    return byte & 15 if depth & 1 else byte >> 4


def place(key: bytes, depth: int) -> bytes:
    """The place of the page on the way to `key` that `depth` nibbles lead to: one byte of depth, then the nibbles."""
    if depth & 1:
        half = depth >> 1
        return b"%c%b%c" % (depth, key[:half], key[half] & 0xF0)
    return b"%c%b" % (depth, key[: depth >> 1])


def above(where: bytes) -> tuple[bytes, int]:
    """The place of the page above, and which of its children the page at `where` is."""
    depth, way = where[0] - 1, where[1:]
    return place(way, depth), nibble(way, depth)


def place_size(depth: int) -> int:
    """Bytes of a place."""
    return 1 + (depth + 1 >> 1)
