"""Step 10: what the chain says about a checkpoint of this log (DESIGN sections 7 and 8).

Asks a chain's node, which may be down, reset, behind or lying: no answer is "cannot tell", only a root that contradicts
the log is "invalid". The step never speaks for entries beyond the anchored size. Without validator-signed evidence the
answer rests on the word of the node asked, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from ledger.errors import LedgerError
from ledger.evidence.report import Step, Verdict
from ledger.log.checkpoint import Checkpoint
from ledger.log.proofs import verify_consistency
from node.chain.protocol import Chain, Head

BY_NODE: Final = "the word of the chain's node that was asked"


class Tree(Protocol):
    """The log's own tree, as its tiles have it."""

    @property
    def size(self) -> int:
        """Published size."""
        ...

    def root(self, size: int) -> bytes:
        """Root at a size from 1 to the published one."""
        ...

    def consistency(self, old: int, new: int) -> Sequence[bytes]:
        """Consistency proof between two published sizes."""
        ...


def check_chain(
    chain: Chain, log_id: bytes, tree: Callable[[], Tree], checkpoint: Checkpoint | None, index: int | None
) -> Step:
    """Step 10 for `checkpoint` (None: the published one), and for entry `index` where it is known.

    `tree` is called after the chain answered, so that a publication in between does not look like a contradiction.
    """
    try:
        chain.check()
        head = chain.head(log_id)
        final = head.size <= 1 or _final(chain, log_id, head)
        return _judge(head, final, tree(), checkpoint, index)
    except LedgerError as error:  # unavailable, another chain, a contract that is gone, tiles that cannot be read
        return Step(10, Verdict.CANNOT_TELL, f"The chain could not be asked: {error.detail}", (BY_NODE,))


def _final(chain: Chain, log_id: bytes, head: Head) -> bool:
    evidence = chain.evidence(log_id, head.size)
    return evidence is not None and evidence.root == head.root and evidence.final


def _judge(head: Head, final: bool, tree: Tree, checkpoint: Checkpoint | None, index: int | None) -> Step:
    size, root = head.size, head.root

    def answer(verdict: Verdict, reason: str) -> Step:
        return Step(10, verdict, reason, (BY_NODE,), size, head.time or None)

    if size == 0:
        return answer(Verdict.CANNOT_TELL, "The contract does not know this log: it was not registered, or was reset")
    if size > tree.size:
        reason = f"The chain holds an anchor of size {size}, this log shows only {tree.size}: it was rolled back"
        return answer(Verdict.INVALID, reason)
    if tree.root(size) != root:
        reason = f"The chain's root at size {size} is {root.hex()}, this log's is {tree.root(size).hex()}: it forked"
        return answer(Verdict.INVALID, reason)
    if checkpoint is not None and not _consistent(tree, checkpoint, size, root):
        reason = f"The checkpoint of size {checkpoint.size} is not consistent with the anchor of size {size}"
        return answer(Verdict.INVALID, reason)
    if not final:
        return answer(Verdict.CANNOT_TELL, f"The anchor of size {size} is not final yet; ask again in a moment")
    if index is None:
        return answer(Verdict.CANNOT_TELL, f"Anchored up to size {size}; where the statement stands is not known")
    if index >= size:
        return answer(Verdict.CANNOT_TELL, f"Anchored up to size {size}: entry {index} waits for the next anchor")
    reason = f"Entry {index} lies under the anchor of size {size} (seen at block {head.block}); its root is this log's"
    return answer(Verdict.VALID, reason)


def _consistent(tree: Tree, checkpoint: Checkpoint, size: int, root: bytes) -> bool:
    """Whether checkpoint and anchor extend one another, by a proof from the log's tiles."""
    if not 0 < checkpoint.size <= tree.size:
        return False
    (old, old_root), (new, new_root) = sorted([(checkpoint.size, checkpoint.root), (size, root)])
    return verify_consistency(old, new, old_root, new_root, tree.consistency(old, new))
