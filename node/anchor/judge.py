"""Whether the chain contradicts the log: every anchor there must be a prefix of what was published here.

A contradiction is kept as evidence and stops anchoring until a person resolves it; neither side is believed over the
other by itself (DESIGN section 9). What is only one node's word is asked of the chain's other nodes first.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.log.proofs import verify_consistency
from node.anchor import records
from node.anchor.job import Job
from node.anchor.status import DisputedError
from node.chain.protocol import ChainUnavailableError, Head
from node.publisher import Published


class Judge:
    """Compares one chain's newest anchor with one log; for the worker's thread, but `forget`."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._consistent: tuple[int, bytes, int, bytes] | None = None
        self._doubted = 0

    def require_no_dispute(self) -> None:
        """Raise DisputedError while a contradiction found earlier is not resolved."""
        open_disputes = self._job.outbox.disputes()
        if open_disputes:
            raise DisputedError(
                self._job.board.status.last_error or "a contradiction between chain and log is not resolved",
                where=str(open_disputes[0]),
            )

    def compare(self, head: Head, published: Published | None) -> Sequence[bytes] | None:
        """Check that our tree extends what the chain has; the proof, or None where it was checked before.

        DisputedError where the two contradict each other.
        """
        if published is None:
            if head.size > 1:
                raise self.dispute(head, None, "the chain has an anchor, but nothing was ever published here")
            return None
        if head.size > published.size:
            raise self.dispute(head, published, "the chain has an anchor larger than anything published here")
        known = (head.size, head.root, published.size, published.root)
        if known == self._consistent and self._job.outbox.pending() is not None:
            return None
        proof = list(self._job.consistency(head.size, published.size))
        if not verify_consistency(head.size, published.size, head.root, published.root, proof):
            raise self.dispute(head, published, f"the chain has another root at size {head.size} than this log")
        self._consistent = known
        return proof

    def dispute(self, head: Head, published: Published | None, detail: str) -> DisputedError:
        """Keep the evidence of a contradiction, and make the error that says so."""
        self.hear_others(head, detail)
        job = self._job
        evidence = records.dispute(detail, job.log_id, job.chain.identity, head, published)
        path = job.outbox.dispute(job.now(), evidence)
        return DisputedError(detail, where=str(path), remedy="Judge the evidence, then resolve the dispute by hand")

    def hear_others(self, head: Head, reason: str) -> None:
        """Before a person is called on the mere word of one node, leave it for the others; proven is proven.

        ChainUnavailableError while there is another one to ask.
        """
        if head.chain_time or self._doubted >= len(self._job.chain.nodes()) - 1:
            return
        self._doubted += 1
        if self._job.chain.condemn(reason):
            raise ChainUnavailableError(f"a node is not believed before another one says the same: {reason}")

    def believe(self) -> None:
        """Note that a look ended well: what nodes were doubted for before counts no more."""
        self._doubted = 0

    def forget(self) -> None:
        """Compare anew at the next look."""
        self._consistent = None
