"""Views of one log compared: where two of them contradict each other, the proof of it.

A view is a signed checkpoint, and where somebody serves the tree under it, its nodes. Of two views the larger must
begin with the tree of the smaller (RFC 9162 section 2.1.4). Trusts neither: checkpoints are verified by the caller,
tree nodes come from readers that check every tile against the root.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from ledger.errors import LedgerError
from ledger.evidence.split_view import Prefix, prefix_of, split_checkpoints
from ledger.log.checkpoint import Checkpoint
from ledger.log.proofs import GetNode, verify_consistency
from node.follower import UnverifiedError


class SplitViewError(LedgerError):
    """Two views of a log contradict each other; `proof` is the split-view proof."""

    code: ClassVar[str] = "split-view"

    def __init__(self, detail: str, proof: bytes, *, where: str = "", remedy: str = "") -> None:
        super().__init__(detail, where=where, remedy=remedy)
        self.proof = proof


@dataclass(frozen=True, slots=True)
class View:
    """What somebody shows of the log: who, the note, its verified content, and the nodes of its tree where served."""

    name: str
    note: bytes
    checkpoint: Checkpoint
    nodes: Callable[[], GetNode] | None = None

    @property
    def size(self) -> int:
        """Entries in the log as this view has it."""
        return self.checkpoint.size

    def prefix(self, size: int) -> Prefix:
        """The tree that this view's tree begins with at `size` (1 to its own), with the proof.

        Raises:
            UnverifiedError: what is served is not the tree under the checkpoint.
            UnavailableError: nobody serves it.

        """
        assert self.nodes is not None, "the caller asks a view that has nodes"
        prefix = prefix_of(size, self.size, self.nodes())
        if not verify_consistency(size, self.size, prefix.root, self.checkpoint.root, prefix.proof):
            raise UnverifiedError("the tiles are not those under the checkpoint", where=self.name)
        return prefix


def contradiction(one: View, other: View) -> bytes | None:
    """Return the split-view proof where two views of one log contradict each other, None where they agree.

    Raises:
        CannotCompareError: the larger view comes without a tree.
        UnverifiedError, UnavailableError: as `View.prefix`.

    """
    old, new = sorted((one, other), key=lambda view: (view.size, view.checkpoint.root))
    if old.size == new.size:
        return None if old.checkpoint.root == new.checkpoint.root else split_checkpoints(old.note, new.note)
    if old.size == 0:
        return None
    if new.nodes is None:
        raise CannotCompareError(f"nobody serves the tree of size {new.size}", where=new.name)
    prefix = new.prefix(old.size)
    return None if prefix.root == old.checkpoint.root else split_checkpoints(old.note, new.note, prefix)


class CannotCompareError(LedgerError):
    """There is a checkpoint larger than every tree that is served: nothing can be said until somebody catches up."""

    code: ClassVar[str] = "cannot-compare"
