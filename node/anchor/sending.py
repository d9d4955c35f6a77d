"""The transaction under way: signs it, keeps it in the outbox, sends it, and follows it until storage can tell.

A transaction is written durably before it is sent, so the same bytes can be sent again after any crash. What a node
says of it decides only what to do next: that an anchor is done is for the contract's storage to show (see
node.anchor.anchoring). A node may drop a transaction, hold it for ever, or tell of a block that is not there: each has
its remedy here, and none costs gas without end. Follows DESIGN sections 7 and 9.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from node.anchor import records
from node.anchor.job import Job
from node.anchor.records import MAX_ATTEMPTS, AnchorRecord, Attempt
from node.anchor.status import WorkerState
from node.chain.protocol import Head, TransactionRefusedError, TxState, TxStatus
from node.publisher import Published

RESENDS = 5
"""A node that has dropped a transaction so many times is left for another one."""

log = logging.getLogger("node.anchor")


class Sending:
    """The anchor under way on one chain; every method is for the worker's thread.

    Those that give a float give the seconds until the next look.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._claimed: tuple[bytes, float] | None = None
        """A transaction that the node says is in a block, and since when storage has not shown it."""
        self._resends = 0
        self._given_up = 0
        self._begin_again = 0.0
        self._pushed = 0.0

    def begin(self, head: Head, published: Published, proof: Sequence[bytes] | None) -> float:
        """Send an anchor where nothing is under way, but not too soon after others were given up."""
        wait = self._begin_again - time.monotonic()
        return wait if wait > 0 else self._send(head, published, proof)

    def drop(self) -> None:
        """Forget the anchor under way: it is done, or another one took its place."""
        self._job.outbox.drop()
        self._job.board.show(pending_size=0, pending_tx=b"", pending_since=0)

    def settled(self) -> None:
        """Note that an anchor became final: what was given up before it counts no more."""
        self._given_up = 0

    def follow(self, pending: AnchorRecord, head: Head, published: Published) -> float:
        """See what became of the anchor under way, which the head does not show yet."""
        chain, board = self._job.chain, self._job.board
        attempt = pending.attempts[-1]
        status = chain.status(attempt.hash)
        if status.state is TxState.INCLUDED:
            return self._await_storage(pending, head, published)
        self._claimed = None
        if status.state is TxState.FAILED or pending.previous != head.size or not _fits(pending, published):
            # It failed, or can only fail now: the next turn builds another one from what the chain has.
            log.warning("anchor given up", extra={"size": pending.size, "tx": attempt.hash.hex()})
            return self._give_up()
        board.show(WorkerState.ANCHORING, pending_size=pending.size, pending_tx=attempt.hash)
        if status.state is TxState.VANISHED:
            if status.nonce == attempt.nonce:
                return self._resend(pending, head, published)
            if status.nonce > attempt.nonce or self._ahead(attempt, status):
                # Another transaction took the nonce, perhaps an earlier attempt: storage will tell.
                return self._give_up()
            return self._job.pace.poll
        self._resends = 0
        if self._ahead(attempt, status):
            return self._give_up()
        waited = self._job.clock() - max(attempt.created, self._pushed) > self._job.pace.patience
        if waited and not head.halted:  # while no block comes, no price brings one
            chain.condemn(f"no block has taken {attempt.hash.hex()}, which it says it holds")
            if len(pending.attempts) < MAX_ATTEMPTS:
                return self._push(pending, head, Published(pending.size, pending.root, pending.checkpoint))
            self._pushed = self._job.clock()
        return self._job.pace.poll

    def _send(self, head: Head, published: Published, proof: Sequence[bytes] | None, floor: int = 0) -> float:
        """Sign an anchor from the chain's newest to ours, keep it, send it."""
        job = self._job
        if head.authoriser.lower() != job.authoriser.address.lower():
            raise TransactionRefusedError(
                "authoriser",
                f"the contract wants the authorisation of {head.authoriser}, not of {job.authoriser.address}",
                remedy="Use that key, or let the contract's admin name this one",
            )
        if proof is None:
            proof = list(job.consistency(head.size, published.size))
        payload = job.chain.authorisation_payload(job.log_id, published.size, published.root)
        authorisation = job.authoriser.sign_keccak(payload)
        transaction = job.chain.prepare(
            job.log_id, head.size, published.size, published.root, proof, authorisation, floor=floor
        )
        if transaction.price < floor:
            raise TransactionRefusedError(
                "underpriced",
                f"{transaction.price} wei are offered for a unit of gas, and it takes {floor} to replace what waits",
                remedy="Wait until a block takes what waits, or raise chain.gas_price or chain.max_gas_price",
            )
        attempt = Attempt(transaction.raw, transaction.hash, transaction.nonce, transaction.price, job.now())
        record = records.begun(
            job.outbox.pending(), attempt,
            log_id=job.log_id, published=published, previous=head.size, identity=job.chain.identity,
        )  # fmt: skip
        job.outbox.begin(record)
        self._resends = 0
        job.board.count("sent_total")
        return self._submit(record, head, published)

    def _submit(self, record: AnchorRecord, head: Head, published: Published) -> float:
        """Send the newest transaction of an anchor; a refusal that a new one mends leads to a new one."""
        attempt = record.attempts[-1]
        self._job.board.show(
            WorkerState.ANCHORING, pending_size=record.size, pending_tx=attempt.hash, pending_since=record.created
        )
        log.info("anchor sent", extra={"size": record.size, "tx": attempt.hash.hex(), "nonce": attempt.nonce})
        try:
            self._job.chain.submit(attempt.raw)
        except TransactionRefusedError as error:
            if error.reason == "underpriced" and (pause := self._outbid(record, head, published)) is not None:
                return pause
            if error.reason == "nonce-too-low":
                return self._give_up()
            if error.reason != "insufficient-funds":
                self.drop()
            raise
        return self._job.pace.poll

    def _outbid(self, record: AnchorRecord, head: Head, published: Published) -> float | None:
        """Offer more than what waits in the same place; where no more is offered, leave a block the time to take it.

        None when that time is over. What waits may be this very transaction: not every node knows its own again.
        """
        if len(record.attempts) < MAX_ATTEMPTS:
            try:
                return self._send(head, published, None, _dearer(record.attempts[-1].price))
            except TransactionRefusedError as error:
                if error.reason != "underpriced":
                    raise
        return self._job.pace.poll if self._job.clock() - record.created <= self._job.pace.patience else None

    def _push(self, pending: AnchorRecord, head: Head, published: Published) -> float:
        """Replace a transaction that no block takes by a dearer one, or send it again where none is offered."""
        self._pushed = self._job.clock()
        try:
            return self._send(head, published, None, _dearer(pending.attempts[-1].price))
        except TransactionRefusedError as error:
            if error.reason != "underpriced":
                raise
            return self._resend(pending, head, published)

    def _resend(self, pending: AnchorRecord, head: Head, published: Published) -> float:
        """Send the same bytes again, less and less often: a node may drop them each time without a word."""
        self._job.chain.entitled()
        self._job.board.count("resent_total")
        self._resends += 1
        if self._resends % RESENDS == 0 and not head.halted:
            self._job.chain.condemn(f"it takes {pending.attempts[-1].hash.hex()} and does not know it a moment later")
        pause = self._submit(pending, head, published)
        return max(pause, self._job.pace.slower(self._resends - 1))

    def _await_storage(self, pending: AnchorRecord, head: Head, published: Published) -> float:
        """Bear with a block that came after the head was read; storage that never shows it makes it a lie."""
        attempt, now = pending.attempts[-1], self._job.clock()
        if self._claimed is None or self._claimed[0] != attempt.hash:
            self._claimed = (attempt.hash, now)
        if now - self._claimed[1] <= self._job.pace.patience:
            return self._job.pace.poll
        self._claimed = None
        log.error("a block is told of that storage does not show", extra={"size": pending.size})
        if self._job.chain.condemn(f"it tells of a block for {attempt.hash.hex()}, which its storage does not show"):
            return 0.0  # the next turn asks another node, and sends again what that one does not know
        return self._resend(pending, head, published)

    def _ahead(self, attempt: Attempt, status: TxStatus) -> bool:
        """Tell whether a transaction waits in vain for others of the account before it: there are none but ours.

        A node that lagged or lied named its nonce; it is given up, the next one gets the nonce of then.
        """
        ahead = status.nonce < attempt.nonce and self._job.clock() - attempt.created > self._job.pace.patience
        if ahead:
            log.warning("anchor given up: its nonce is ahead", extra={"tx": attempt.hash.hex(), "nonce": attempt.nonce})
        return ahead

    def _give_up(self) -> float:
        """Drop the anchor under way; the next is made later each time, until one is final.

        Else a node that tells of failures, while it passes on what it gets, could have us pay for one after the other.
        """
        self.drop()
        self._begin_again = time.monotonic() + self._job.pace.slower(self._given_up)
        self._given_up += 1
        return self._job.pace.poll


def _fits(pending: AnchorRecord, published: Published) -> bool:
    """Tell whether the anchor under way is still of our log as published."""
    return pending.size < published.size or (pending.size, pending.root) == (published.size, published.root)


def _dearer(price: int) -> int:
    """The least that nodes take in the place of a transaction at `price`, with room to spare."""
    return price + price // 4 + 1
