"""Hashing of the log's Merkle tree, and the compact range that grows it.

Owns the four hash rules of RFC 9162 section 2.1.1 (empty tree, leaf, node, split at the largest power of two below the
size) and the smallest state from which a tree can go on growing: the roots of its perfect subtrees. Trusts its caller
that the leaf hashes handed in are hashes of the log's entries in order; it holds no entries and reads nothing.

Hashes are 32 bytes everywhere. A perfect subtree is named by (level, index): level 0 are the leaves, and node (l, i)
covers the leaves from i * 2**l up to but not including (i + 1) * 2**l.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from ledger.errors import MalformedError

HASH_SIZE = 32
MAX_SIZE = 2**64 - 1
"""Tree sizes and indexes are unsigned 64-bit integers."""

TILE_HEIGHT = 8
"""A tile spans eight levels; `CompactRange.extend` hands out the completed nodes of every eighth level."""

EMPTY_ROOT = sha256(b"").digest()
"""Root of the tree without leaves: SHA-256 of nothing (RFC 9162 section 2.1.1)."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash one entry as a leaf: SHA-256(0x00 || entry) (RFC 9162 section 2.1.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtree roots into their parent: SHA-256(0x01 || left || right) (RFC 9162 section 2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


def pair_row(row: Sequence[bytes]) -> list[bytes]:
    """Hash a row of an even number of sibling hashes into the row above it. The one hot loop of the log."""
    hashes = iter(row)
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(hashes, hashes, strict=True)]


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """Root of the whole tree over these leaf hashes: MTH of RFC 9162 section 2.1.1.

    An unpaired last hash climbs unchanged, which is the same tree as splitting at the largest power of two.
    """
    if not leaf_hashes:
        return EMPTY_ROOT
    row = list(leaf_hashes)
    while len(row) > 1:
        unpaired = [row.pop()] if len(row) % 2 else []
        row = pair_row(row) + unpaired
    return row[0]


def fold_right(hashes: Sequence[bytes]) -> bytes:
    """Root over adjacent perfect subtrees of falling height, leftmost and largest first; at least one hash."""
    root = hashes[-1]
    for left in hashes[-2::-1]:
        root = sha256(b"\x01" + left + root).digest()
    return root


def check_hashes(hashes: Iterable[bytes], where: str) -> None:
    """Refuse anything that is not a 32-byte hash.

    Raises:
        MalformedError: a hash has another length.

    """
    for position, value in enumerate(hashes):
        if len(value) != HASH_SIZE:
            raise MalformedError(
                f"a hash has {len(value)} bytes instead of {HASH_SIZE}",
                where=f"{where}[{position}]",
                remedy="Pass SHA-256 digests as 32 raw bytes",
            )


class CompactRange:
    """The growing tree's right edge: its size and the roots of its perfect subtrees, largest (leftmost) first.

    Costs 32 bytes for each bit set in `size`. Amortised one node hash per appended leaf.
    """

    __slots__ = ("_hashes", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._hashes: list[bytes] = []

    @classmethod
    def from_hashes(cls, size: int, hashes: Sequence[bytes]) -> CompactRange:
        """Resume a tree of `size` leaves from its perfect subtrees' roots, largest first.

        Raises:
            MalformedError: the size is not a uint64, or the hashes are not one for each bit set in it.

        """
        if not 0 <= size <= MAX_SIZE:
            raise MalformedError("a tree size is an unsigned 64-bit integer", where="size")
        if len(hashes) != size.bit_count():
            raise MalformedError(
                f"a tree of {size} leaves has {size.bit_count()} perfect subtrees, not {len(hashes)}", where="hashes"
            )
        check_hashes(hashes, "hashes")
        resumed = cls()
        resumed._size = size
        resumed._hashes = list(hashes)
        return resumed

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """Roots of the perfect subtrees, largest first: what `from_hashes` takes."""
        return tuple(self._hashes)

    def copy(self) -> CompactRange:
        """Return an independent range at the same size, to try an extension without keeping it."""
        twin = CompactRange()
        twin._size = self._size
        twin._hashes = self._hashes.copy()
        return twin

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        hashes = self._hashes
        size = self._size
        while size & 1:
            leaf = sha256(b"\x01" + hashes.pop() + leaf).digest()
            size >>= 1
        hashes.append(leaf)
        self._size += 1

    def extend(self, leaf_hashes: Sequence[bytes]) -> list[list[bytes]]:
        """Add many leaf hashes, row by row, and return what a tile writer needs.

        Element k of the result holds the nodes of level 8 * k that this call completed, left to right; element 0 is
        the leaf hashes themselves. Levels with nothing new at their end are left out.
        """
        row = list(leaf_hashes)
        tile_rows: list[list[bytes]] = []
        hashes = self._hashes
        edge: list[bytes] = []  # unpaired nodes of the new right edge, lowest level first
        size = self._size
        level = 0
        while row:
            if level % TILE_HEIGHT == 0:
                tile_rows.append(row.copy())
            if size & 1:
                row.insert(0, hashes.pop())
            if len(row) % 2:
                edge.append(row.pop())
            row = pair_row(row)
            size >>= 1
            level += 1
        hashes.extend(reversed(edge))
        self._size += len(tile_rows[0]) if tile_rows else 0
        return tile_rows

    def root(self) -> bytes:
        """Root of the tree at the present size (RFC 9162 section 2.1.1)."""
        return fold_right(self._hashes) if self._hashes else EMPTY_ROOT
