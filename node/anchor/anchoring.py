"""One look at the chain and at most one act: compare, keep up with what the chain has, send, or settle.

It takes what the node has published and only that (DESIGN rule 5) and judges by the contract's storage alone, never by
its own memory of having sent something: so a restart, a replaced transaction, or somebody else's anchor of the same
checkpoint all end the same way. Follows DESIGN sections 6, 7 and 9.
"""

from __future__ import annotations

import logging

from node.anchor import records
from node.anchor.evidence import EvidenceKeeper
from node.anchor.job import Job
from node.anchor.judge import Judge
from node.anchor.records import AnchorRecord
from node.anchor.sending import Sending
from node.anchor.status import WorkerState
from node.chain.protocol import ContractMissingError, Head
from node.publisher import Published

log = logging.getLogger("node.anchor")


class Anchoring:
    """Anchors one log on one chain, a step at a time; for the worker's thread.

    `first_block` is where a search for anchors begins when the outbox was lost.
    """

    def __init__(self, job: Job, evidence: EvidenceKeeper, first_block: int = 0) -> None:
        self.job = job
        self.judge = Judge(job)
        self.sending = Sending(job)
        self._evidence = evidence
        self._first_block = first_block

    def step(self) -> float:
        """Look once; the seconds until the next look.

        Any error ends it: those of node.chain.protocol and DisputedError are states that the worker shows.
        """
        self.judge.require_no_dispute()
        head = self._head()
        self._forget_lost(head)
        self._rebuild(head)
        # Read after the head: whatever the chain can rightly have was published before.
        published = self.job.newest()
        self.job.board.show(published_size=published.size if published else 0)
        proof = self.judge.compare(head, published)
        if published is None:
            return self._rest()
        pending = self.job.outbox.pending()
        if pending is not None and not pending.on(self.job.chain.identity):
            self.sending.drop()
            pending = None
        if pending is not None and head.size >= pending.size:
            return self._settle(Published(pending.size, pending.root, pending.checkpoint), pending)
        if pending is not None:
            return self.sending.follow(pending, head, published)
        if head.size == published.size:
            return self._settle(published)
        if head.sealed:
            self.job.board.show(
                WorkerState.SEALED, last_error=f"the log is sealed on the chain at size {head.sealed_size}"
            )
            self._evidence.rest(self.job.chain)  # so that the evidence tells of the seal
            return self.job.pace.interval
        return self.sending.begin(head, published, proof)

    def _head(self) -> Head:
        chain = self.job.chain
        chain.check()
        head = chain.head(self.job.log_id)
        self.job.board.show(
            chain_size=head.size,
            chain_block=head.block,
            chain_time=head.chain_time,
            chain_halted=head.halted,
            chain_id=chain.identity.chain_id,
            contract=chain.identity.contract,
            last_answer=self.job.now(),
        )
        if head.size == 0:
            missing = "the log is not registered in the contract"
            self.judge.hear_others(head, missing)
            raise ContractMissingError(missing, where=str(chain.identity))
        return head

    def _settle(self, published: Published, pending: AnchorRecord | None = None) -> float:
        """Look for (size, root) in the contract's storage; done when it is there, in a final block."""
        chain, board, outbox = self.job.chain, self.job.board, self.job.outbox
        found = chain.evidence(self.job.log_id, published.size)
        if found is None:
            if pending is not None:  # a larger size was anchored in its place
                self.sending.drop()
            return self.job.pace.poll
        if found.root != published.root:
            head = Head(found.size, found.root, found.time, 0, 0, found.head_block, "")
            raise self.judge.dispute(head, published, f"the chain has another root at size {found.size} than this log")
        if not found.final:
            board.show(WorkerState.ANCHORING, pending_size=published.size, pending_tx=found.tx)
            return self.job.pace.poll
        known = outbox.done(published.size, chain.identity)
        if known is not None and known.checkpoint and (known.block, known.tx) == (found.block, found.tx):
            if pending is not None:
                self.sending.drop()
            return self._rest()
        self.sending.settled()
        record = records.done(pending or outbox.get(published.size), published, found, self.job.now())
        outbox.keep(record)
        board.count("anchors_total")
        board.show(last_error="")
        log.info(
            "anchored",
            extra={"size": record.size, "tx": record.tx.hex(), "block": record.block, "gas": record.gas},
        )
        self._evidence.take(chain, record)
        # Here too: a log that grows all the time never rests.
        self.show_kept(WorkerState.IDLE if record.size >= board.status.published_size else None)
        return self._rest() if pending is None else 0.0

    def _rest(self) -> float:
        self.show_kept(WorkerState.IDLE)
        self._evidence.rest(self.job.chain)
        self.job.board.show(last_error="")
        return self.job.pace.interval

    def _forget_lost(self, head: Head) -> None:
        """Mark anchors that the chain had and has no more: it was restored, or reorganised beyond its finality."""
        if self.job.board.status.anchored_size > head.size:
            lost = self.lose_above(head.size)
            log.error("the chain has lost anchors", extra={"lost": lost, "chain_size": head.size})

    def lose_above(self, size: int) -> int:
        """Mark as lost what the outbox has of this chain above a size; how many anchors that were."""
        lost = self.job.outbox.lose_above(size, self.job.chain.identity)
        self.job.board.count("lost_total", lost)
        self.show_kept()
        return lost

    def _rebuild(self, head: Head) -> None:
        """List the chain's anchors again when the outbox lacks some that the chain has."""
        job, outbox, identity = self.job, self.job.outbox, self.job.chain.identity
        known = head.size == 1 or outbox.pending() is not None or outbox.newest(identity) is not None
        if known and not outbox.incomplete:
            return
        for anchored in job.chain.scan(job.log_id, self._first_block):
            if anchored.size > head.size:
                break
            if outbox.done(anchored.size, identity) is None:
                outbox.keep(records.listed(anchored, job.log_id, identity, job.now()))
        outbox.incomplete = False
        self._evidence.look_again()
        self.show_kept()
        log.info("anchors listed from the chain", extra={"anchored_size": job.board.status.anchored_size})

    def show_kept(self, state: WorkerState | None = None) -> None:
        """Show the newest final anchor of this chain; nothing is under way where the outbox has nothing."""
        outbox = self.job.outbox
        self.job.board.show_kept(outbox.newest(self.job.chain.identity), outbox.pending(), state)
