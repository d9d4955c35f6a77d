"""Proofs in Merkle-Patricia tries: what stands under a key, or that nothing does.

Owns the walk from a root to a key through nodes that the prover supplied. Every node is found by its Keccak-256, read
strictly, and used; none is left over. Trusts the root alone. Follows the Ethereum yellow paper, appendices C and D:
leaves and extensions of two items with a hex-prefix path, branches of 17, nodes below 32 bytes inline in their parent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.crypto.keccak import SIZE, keccak256
from ledger.errors import MalformedError
from ledger.evidence.chain import rlp
from ledger.evidence.chain.facts import ChainInvalidError

EMPTY_ROOT: Final = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
"""Root of the trie without entries: the digest of the empty byte string in RLP."""
_BRANCH: Final = 17
_SHORT: Final = 2
_MIN_HASHED: Final = 32


class Nodes:
    """The nodes of some proofs, in the order in which the walks first come to them, each once.

    Raises MalformedError for a node that stands twice.
    """

    def __init__(self, nodes: Sequence[bytes]) -> None:
        self._nodes = {keccak256(node): node for node in nodes}
        if len(self._nodes) != len(nodes):
            raise MalformedError("a node stands twice", where="nodes")
        self._used: dict[bytes, list[rlp.Item]] = {}

    def take(self, digest: bytes, *, root: bool) -> list[rlp.Item]:
        """Return the items of the node with a digest; ChainInvalidError where there is none."""
        known = self._used.get(digest)
        if known is not None:
            return known
        node = self._nodes.get(digest)
        if node is None:
            raise ChainInvalidError(f"the proof has no node {digest.hex()}: it does not lead from this root to the key")
        if len(node) < _MIN_HASHED and not root:
            raise MalformedError("a node below 32 bytes belongs into its parent", where=f"node {digest.hex()}")
        items = rlp.decode_list(node)
        self._used[digest] = items
        return items

    def finish(self) -> None:
        """Raise MalformedError unless every node was used, in the order given."""
        if list(self._used) != list(self._nodes):
            raise MalformedError("nodes are left over, or not in the order of their use", where="nodes")

    @property
    def used(self) -> list[bytes]:
        """The nodes that walks came to, in that order: what a proof needs and no more."""
        return [self._nodes[digest] for digest in self._used]


def nibbles(key: bytes) -> bytes:
    """Path of a key: its half bytes, upper first, one a byte."""
    return bytes(half for byte in key for half in (byte >> 4, byte & 15))


def _refuse(detail: str) -> MalformedError:
    return MalformedError(detail, where="trie node")


def _short_path(raw: rlp.Item) -> tuple[bool, bytes]:
    """Read a hex-prefix path: whether a leaf has it, and its nibbles."""
    if not isinstance(raw, bytes) or not raw:
        raise _refuse("a path is missing")
    flag, low = raw[0] >> 4, raw[0] & 15
    odd = flag & 1
    if flag > 3 or (not odd and low):
        raise _refuse("this is no hex-prefix path")
    return flag >= 2, nibbles(raw)[1 if odd else 2 :]


def _child(item: rlp.Item) -> rlp.Item:
    """Check the form of a reference to a node: nothing, a digest, or the node itself where that is short."""
    if isinstance(item, bytes):
        if len(item) not in {0, SIZE}:
            raise _refuse("a reference is neither empty nor a digest")
    elif len(rlp.encode(item)) >= _MIN_HASHED:
        raise _refuse("a node of 32 bytes or more stands inside its parent")
    return item


def _branch(items: list[rlp.Item]) -> bytes:
    """Check a branch and return its value."""
    children, value = [_child(item) for item in items[:16]], items[16]
    if not isinstance(value, bytes):
        raise _refuse("the value of a branch is a list")
    if sum(1 for item in (*children, value) if item) < 2:
        raise _refuse("a branch with fewer than two ways")
    return value


def lookup(root: bytes, key: bytes, nodes: Nodes) -> bytes | None:
    """Return the value under `key` in the trie with `root` (32 bytes), or None where the trie has none.

    `key` is the path itself: callers of a secure trie hash it before. Ends after at most 2 len(key) + 1 nodes.

    Raises:
        ChainInvalidError: the nodes do not lead from the root to the key.
        MalformedError: a node that no trie has.

    """
    if root == EMPTY_ROOT:
        return None
    path, at = nibbles(key), 0
    items = nodes.take(root, root=True)
    while True:
        if len(items) == _BRANCH:
            value = _branch(items)
            if at == len(path):
                return value or None
            child, branch_next = items[path[at]], False
            at += 1
        elif len(items) == _SHORT:
            is_leaf, part = _short_path(items[0])
            if is_leaf:
                if not isinstance(items[1], bytes) or not items[1]:
                    raise _refuse("a leaf without value")
                return items[1] if path[at:] == part else None
            child, branch_next = _child(items[1]), True
            if not part or not child:
                raise _refuse("an extension without path or child")
            if path[at : at + len(part)] != part:
                return None
            at += len(part)
        else:
            raise _refuse(f"a node of {len(items)} items")
        if not child:
            return None
        items = nodes.take(child, root=False) if isinstance(child, bytes) else child
        if branch_next and len(items) != _BRANCH:
            raise _refuse("an extension leads to no branch")
