"""Subtrees inside stored pages, as the maker of state proofs wants them (`ledger.state.proofs.Node`).

Reads a page only when a proof's path, or the one leaf of a subtree, leads into it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ledger.state.proofs import Node
from ledger.state.tree import EMPTY, bit
from ledger.store.state_pages import InnerPage, Leaf, LeafPage, Page, Sum, four, hash_leaves, join

Fetch = Callable[[int, bytes], Page]
"""Reads the page of a version at a place; CorruptError where there is none."""


class LeavesNode:
    """A subtree inside a leaf page: all its leaves are at hand."""

    __slots__ = ("_hash", "_leaves", "_level")

    def __init__(self, leaves: Sequence[Leaf], level: int) -> None:
        self._leaves = leaves
        self._level = level
        self._hash: bytes | None = None

    @property
    def leaves(self) -> int:
        """0, 1, or 2 for more."""
        return min(2, len(self._leaves))

    @property
    def hash(self) -> bytes:
        """Its hash, made when it is asked for: of the subtrees on a path none is."""
        if self._hash is None:
            self._hash = hash_leaves(self._leaves, self._level)
        return self._hash

    @property
    def only(self) -> Leaf:
        """The one leaf."""
        return self._leaves[0]

    def halves(self) -> tuple[Node, Node]:
        """One level down."""
        middle = sum(not bit(int.from_bytes(key, "big"), self._level) for key, _ in self._leaves)
        below = self._level + 1
        return LeavesNode(self._leaves[:middle], below), LeavesNode(self._leaves[middle:], below)


class PageNode:
    """The subtree of a page, or nothing; the page is read when it is looked into."""

    __slots__ = ("_fetch", "_node", "_path", "_version", "hash", "leaves")

    def __init__(self, fetch: Fetch, version: int, path: tuple[int, ...], known: Sum) -> None:
        """`path`: the nibbles that lead here; `known`: hash and count that the parent says."""
        self._fetch = fetch
        self._version = version
        self._path = path
        self._node: Node | None = None
        self.hash, self.leaves = known

    @classmethod
    def top(cls, fetch: Fetch, version: int) -> Node:
        """The root of the tree whose root page has this version; 0: a tree without leaves."""
        if not version:
            return LeavesNode((), 0)
        node = cls(fetch, version, (), (EMPTY, 0))
        return node._inside()

    @property
    def only(self) -> Leaf:
        """The one leaf."""
        return self._inside().only

    def halves(self) -> tuple[Node, Node]:
        """One level down."""
        return self._inside().halves()

    def _inside(self) -> Node:
        if self._node is None:
            depth = len(self._path)
            page = self._fetch(self._version, _place(self._path))
            if isinstance(page, LeafPage):
                self._node = LeavesNode(page.leaves(), 4 * depth)
            else:
                self._node = _Children(self._fetch, page, self._path, 0, 16)
        return self._node


class _Children:
    """The subtree over the children from `low` to `high` of an inner page; more than one of them."""

    __slots__ = ("_fetch", "_high", "_low", "_page", "_path", "hash", "leaves")

    def __init__(self, fetch: Fetch, page: InnerPage, path: tuple[int, ...], low: int, high: int) -> None:
        self._fetch, self._page, self._path, self._low, self._high = fetch, page, path, low, high
        self.hash, self.leaves = _sum(page, low, high)

    @property
    def only(self) -> Leaf:
        """The one leaf."""
        children = range(self._low, self._high)
        return self._child(next(child for child in children if self._page.counts[child])).only

    def halves(self) -> tuple[Node, Node]:
        """One level down."""
        low, high = self._low, self._high
        middle = (low + high) // 2
        if high - low == 2:
            return self._child(low), self._child(middle)
        return (
            _Children(self._fetch, self._page, self._path, low, middle),
            _Children(self._fetch, self._page, self._path, middle, high),
        )

    def _child(self, child: int) -> PageNode:
        page = self._page
        known = page.hashes[child], page.counts[child]
        return PageNode(self._fetch, page.versions[child], (*self._path, child), known)


def _sum(page: InnerPage, low: int, high: int) -> Sum:
    """The subtree over a whole page, a half, a quarter or a pair of its children."""
    hashes, counts = page.hashes[low:high], page.counts[low:high]
    if high - low == 2:
        return join(hashes[0], counts[0], hashes[1], counts[1])
    if high - low == 4:
        return four(hashes, counts)
    middle = (low + high) // 2
    return join(*_sum(page, low, middle), *_sum(page, middle, high))


def _place(path: tuple[int, ...]) -> bytes:
    """One byte of depth, then the nibbles, two in a byte."""
    padded = (*path, 0) if len(path) & 1 else path
    return bytes((len(path), *(padded[at] << 4 | padded[at + 1] for at in range(0, len(padded), 2))))
