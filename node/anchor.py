"""The anchor worker: brings the newest published checkpoint to the chain, in a thread of its own.

It takes what the node has published and only that (DESIGN rule 5), asks the chain for its newest anchor, proves that
ours extends it, has the authoriser sign, keeps the signed transaction in the outbox, sends it, and calls it done when
the contract's storage shows it in a final block. It judges by storage alone, never by its own memory of having sent
something, so a restart, a replaced transaction, or somebody else's anchor of the same checkpoint all end the same way.

The chain may be down, reset, reorganised or lying. Each is a state that `status()` shows; none stops admission, none
ends the thread. Where the chain has several nodes, one that gives no sense twice, or tells of a block for our
transaction that its storage does not bear out, is left for another, and what was under way is sent again there. A chain
that contradicts the log is `disputed`: evidence is kept, anchoring stops until a person resolves it. Follows DESIGN
sections 6, 7 and 9.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ledger.errors import LedgerError, UnavailableError
from ledger.evidence.chain import ChainPolicy
from ledger.log.proofs import verify_consistency
from node import anchor_records
from node.anchor_evidence import AnchorEvidence, EvidenceStatus
from node.anchor_records import MAX_ATTEMPTS
from node.anchor_status import HOPELESS, AnchorStatus, DisputedError, WorkerState
from node.chain.protocol import (
    Chain,
    ChainIdentity,
    ChainMismatchError,
    ChainSigner,
    ChainUnavailableError,
    ContractMissingError,
    Head,
    ProvenAnchor,
    SignerUnavailableError,
    TransactionRefusedError,
    TxState,
    TxStatus,
)
from node.outbox import AnchorRecord, AnchorState, Attempt, Outbox
from node.publisher import Published

log = logging.getLogger("node.anchor")


RESENDS = 5
"""A node that has dropped a transaction so many times is left for another one."""


class AnchorWorker:
    """Anchors one log on one chain.

    Args:
        chain: the backend; used by the worker's thread only.
        outbox: where signed transactions and anchors are kept.
        log_id: 32 bytes.
        newest: the newest published checkpoint, None before the first. Called from the worker's thread.
        consistency: proof from an older to a newer size of our own tree, as ledger.log.proofs makes it.
        authoriser: the key whose signature the contract demands beside the sender's.
        interval: seconds between looks while nothing is under way; `poll` while something is.
        patience: seconds after which a transaction that no block takes is replaced by a dearer one, or sent again where
            none dearer is offered, and one in a block that storage does not show counts as vanished.
        first_block: where a search for anchors begins when the outbox was lost.
        redeploy: called once when the contract is gone: deploys, registers, returns the new backend. None: refused.
        on_final: called after each anchor became final (the embedded chain saves its state then).
        clock: Unix time.

    """

    def __init__(
        self,
        chain: Chain,
        outbox: Outbox,
        *,
        log_id: bytes,
        newest: Callable[[], Published | None],
        consistency: Callable[[int, int], Sequence[bytes]],
        authoriser: ChainSigner,
        interval: float = 10.0,
        poll: float = 0.2,
        patience: float = 60.0,
        first_block: int = 0,
        redeploy: Callable[[], Chain] | None = None,
        on_final: Callable[[AnchorRecord], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._chain = chain
        self._outbox = outbox
        self._evidence = AnchorEvidence(outbox, log_id, refresh=interval)
        self._log = log_id
        self._newest = newest
        self._consistency = consistency
        self._authoriser = authoriser
        self._interval = interval
        self._poll = poll
        self._patience = patience
        self._first_block = first_block
        self._redeploy = redeploy
        self._on_final = on_final
        self._clock = clock
        self._consistent: tuple[int, bytes, int, bytes] | None = None
        self._claimed: tuple[bytes, float] | None = None
        self._resends = 0
        self._given_up = 0
        self._begin_again = 0.0
        self._doubted = 0
        self._pushed = 0.0
        self._turns = 0
        self._failures = 0
        self._asked = False
        self._stopping = False
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._status = AnchorStatus(WorkerState.STARTING, int(clock()))
        self._show_kept()

    # --- for other threads ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="anchor", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Ask the thread to end and wait for it; what is under way is in the outbox."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
        self._show(WorkerState.STOPPED)

    def status(self) -> AnchorStatus:
        """Return how things stand; cheap, never waits for the chain."""
        return self._status

    def anchors(self, *, limit: int = 100, before: int | None = None) -> list[AnchorRecord]:
        """List anchors, newest first, from the outbox: also while the chain is down. See Outbox.anchors."""
        return self._outbox.anchors(limit=limit, before=before)

    def covering(self, size: int) -> AnchorRecord | None:
        """Return the smallest final anchor whose log holds the first `size` entries. See Outbox.covering."""
        return self._outbox.covering(size)

    def evidence_for(self, size: int) -> tuple[int, bytes] | None:
        """Return the largest anchored size at or below `size` that has chain evidence, and the newest evidence for it.

        From the outbox: also while the chain is down. See ledger.evidence.chain for what it proves.
        """
        return self._evidence.best(size)

    def prove(self, size: int, *, block: int | None = None, requested: Sequence[bytes] = ()) -> ProvenAnchor:
        """Ask the chain now for evidence under a block that the asker trusts; see AnchorEvidence.prove."""
        return self._evidence.prove(self._chain, size, block=block, requested=requested)

    @property
    def identity(self) -> ChainIdentity:
        """The chain and contract that are anchored to."""
        return self._chain.identity

    def trusted(self) -> tuple[ChainPolicy, ...]:
        """What the node itself trusts of the chain; see Chain.trusted."""
        return self._chain.trusted()

    def final_blocks(self) -> tuple[bytes, ...]:
        """Hashes of blocks under which evidence was kept lately; see AnchorEvidence.blocks."""
        return self._evidence.blocks()

    def evidence_status(self) -> EvidenceStatus:
        """Return what was last proven, and why not more; cheap."""
        return self._evidence.status

    def wake(self) -> None:
        """Look now rather than at the next interval."""
        with self._condition:
            self._asked = True
            self._condition.notify_all()

    def anchor_now(self, timeout: float = 30.0) -> AnchorRecord:
        """Anchor what is published now and wait until that is final; its record, which may be of a later checkpoint.

        Raises:
            UnavailableError: nothing is published yet, or it is not final in time; the anchor may still come.
            LedgerError: the worker is in a state that waiting does not mend; `where` names it.

        """
        target = self._newest()
        if target is None:
            raise UnavailableError("no checkpoint is published yet", remedy="Submit a statement first")
        end = time.monotonic() + timeout
        next_ask = 0.0
        with self._condition:
            # A turn may be under way that looked before this call: judge by one that begins after it.
            seen = self._turns + 2
            while True:
                status = self._status
                well = status.state in {WorkerState.IDLE, WorkerState.ANCHORING}
                if well and status.anchored_size >= target.size and self._turns >= seen - 1:
                    record = self._outbox.get(status.anchored_size)
                    if record is not None:
                        return record
                if status.state in HOPELESS and (self._turns >= seen or status.state is WorkerState.STOPPED):
                    raise LedgerError(
                        f"size {target.size} cannot be anchored: {status.last_error or status.state.value}",
                        where=status.state.value,
                    )
                left = end - time.monotonic()
                if left <= 0:
                    raise UnavailableError(
                        f"size {target.size} was not anchored within {timeout:.0f} s: "
                        f"{status.last_error or status.state.value}",
                        where=status.state.value,
                        remedy="It is tried again by itself; ask later",
                    )
                if time.monotonic() >= next_ask:
                    self._asked = True
                    self._condition.notify_all()
                    next_ask = time.monotonic() + 0.5
                self._condition.wait(min(left, 0.5))

    def resolve_dispute(self) -> int:
        """Take up anchoring again after a person judged the evidence, which stays; how many were open."""
        resolved = self._outbox.resolve()
        self._consistent = None
        self.wake()
        return resolved

    # --- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            pause = self.turn()
            self._show(cpu_seconds=time.thread_time())
            with self._condition:
                self._turns += 1
                self._condition.notify_all()
                if not self._asked and not self._stopping:
                    self._condition.wait(pause)
                self._asked = False

    def turn(self) -> float:
        """Do one look and at most one act; the seconds to wait until the next. Never raises. For the thread."""
        try:
            pause = self._step()
        except ChainUnavailableError as error:
            again = self._failures > 0  # once may be a moment between two blocks
            if again:
                self._chain.condemn(str(error))
            return self._fail(WorkerState.CHAIN_DOWN, error)
        except SignerUnavailableError as error:
            return self._fail(WorkerState.SIGNER_DOWN, error)
        except ContractMissingError as error:
            return self._lost(error)
        except ChainMismatchError as error:
            return self._fail(WorkerState.CHAIN_MISMATCH, error)
        except DisputedError as error:
            log.critical("the chain contradicts the log", extra={"error": str(error), "evidence": error.where})
            return self._fail(WorkerState.DISPUTED, error)
        except TransactionRefusedError as error:
            if self._failures > 0:
                self._chain.turn()  # that it refuses is one node's word: the next one may know better
            return self._fail(WorkerState.REFUSED, error)
        except Exception as error:
            # The last barrier: a fault here must not end anchoring for good, nor reach admission.
            log.exception("a fault in the anchor worker")
            return self._fail(WorkerState.FAILED, error)
        finally:
            self._show(nodes=self._chain.nodes(), switches_total=self._chain.switches)
        self._failures = self._doubted = 0
        return pause

    def _step(self) -> float:
        open_disputes = self._outbox.disputes()
        if open_disputes:
            raise DisputedError(
                self._status.last_error or "a contradiction between chain and log is not resolved",
                where=str(open_disputes[0]),
            )
        self._chain.check()
        head = self._chain.head(self._log)
        self._show(
            chain_size=head.size,
            chain_block=head.block,
            chain_time=head.chain_time,
            chain_halted=head.halted,
            chain_id=self._chain.identity.chain_id,
            contract=self._chain.identity.contract,
            last_answer=int(self._clock()),
        )
        if head.size == 0:
            missing = "the log is not registered in the contract"
            self._hear_others(head, missing)
            raise ContractMissingError(missing, where=str(self._chain.identity))
        self._forget_lost(head)
        self._rebuild(head)
        # Read after the head: whatever the chain can rightly have was published before.
        published = self._newest()
        if published is None:
            if head.size > 1:
                raise self._disputed(head, None, "the chain has an anchor, but nothing was ever published here")
            return self._rest()
        self._show(published_size=published.size)
        proof = self._compare(head, published)
        pending = self._outbox.pending()
        if pending is not None and not self._here(pending):
            self._drop()
            pending = None
        if pending is not None:
            return self._follow(pending, head, published)
        if head.size == published.size:
            return self._settle(published)
        if head.sealed:
            self._show(WorkerState.SEALED, last_error=f"the log is sealed on the chain at size {head.sealed_size}")
            self._evidence.rest(self._chain)  # so that the evidence tells of the seal
            return self._interval
        wait = self._begin_again - time.monotonic()
        return wait if wait > 0 else self._send(head, published, proof)

    def _compare(self, head: Head, published: Published) -> Sequence[bytes] | None:
        """Check that our tree extends what the chain has; the proof, or None where it was checked before."""
        if head.size > published.size:
            raise self._disputed(head, published, "the chain has an anchor larger than anything published here")
        known = (head.size, head.root, published.size, published.root)
        if known == self._consistent and self._outbox.pending() is not None:
            return None
        proof = list(self._consistency(head.size, published.size))
        if not verify_consistency(head.size, published.size, head.root, published.root, proof):
            raise self._disputed(head, published, f"the chain has another root at size {head.size} than this log")
        self._consistent = known
        return proof

    def _send(self, head: Head, published: Published, proof: Sequence[bytes] | None, floor: int = 0) -> float:
        """Sign an anchor from the chain's newest to ours, keep it, send it."""
        if head.authoriser.lower() != self._authoriser.address.lower():
            raise TransactionRefusedError(
                "authoriser",
                f"the contract wants the authorisation of {head.authoriser}, not of {self._authoriser.address}",
                remedy="Use that key, or let the contract's admin name this one",
            )
        if proof is None:
            proof = list(self._consistency(head.size, published.size))
        payload = self._chain.authorisation_payload(self._log, published.size, published.root)
        authorisation = self._authoriser.sign_keccak(payload)
        transaction = self._chain.prepare(self._log, published.size, published.root, proof, authorisation, floor=floor)
        if transaction.price < floor:
            raise TransactionRefusedError(
                "underpriced",
                f"{transaction.price} wei are offered for a unit of gas, and it takes {floor} to replace what waits",
                remedy="Wait until a block takes what waits, or raise chain.gas_price or chain.max_gas_price",
            )
        now = int(self._clock())
        attempt = Attempt(transaction.raw, transaction.hash, transaction.nonce, transaction.price, now)
        record = anchor_records.begun(
            self._outbox.pending(), attempt,
            log_id=self._log, published=published, previous=head.size, identity=self._chain.identity,
        )  # fmt: skip
        self._outbox.begin(record)
        self._resends = 0
        self._show(sent_total=self._status.sent_total + 1)
        return self._submit(record, head, published)

    def _submit(self, record: AnchorRecord, head: Head, published: Published) -> float:
        """Send the newest transaction of an anchor; a refusal that a new one mends leads to a new one."""
        attempt = record.attempts[-1]
        self._show(
            WorkerState.ANCHORING, pending_size=record.size, pending_tx=attempt.hash, pending_since=record.created
        )
        log.info("anchor sent", extra={"size": record.size, "tx": attempt.hash.hex(), "nonce": attempt.nonce})
        try:
            self._chain.submit(attempt.raw)
        except TransactionRefusedError as error:
            if error.reason == "underpriced" and (pause := self._outbid(record, head, published)) is not None:
                return pause
            if error.reason == "nonce-too-low":
                return self._give_up()
            if error.reason != "insufficient-funds":
                self._drop()
            raise
        return self._poll

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
        return self._poll if self._clock() - record.created <= self._patience else None

    def _follow(self, pending: AnchorRecord, head: Head, published: Published) -> float:
        """See what became of the anchor under way."""
        if head.size >= pending.size:
            return self._settle(Published(pending.size, pending.root, pending.checkpoint), pending)
        attempt = pending.attempts[-1]
        status = self._chain.status(attempt.hash)
        if status.state is TxState.INCLUDED:
            return self._await_storage(pending, head, published)
        self._claimed = None
        if status.state is TxState.FAILED or pending.previous != head.size or not self._fits(pending, published):
            # It failed, or can only fail now: the next turn builds another one from what the chain has.
            log.warning("anchor given up", extra={"size": pending.size, "tx": attempt.hash.hex()})
            return self._give_up()
        self._show(WorkerState.ANCHORING, pending_size=pending.size, pending_tx=attempt.hash)
        if status.state is TxState.VANISHED:
            if status.nonce == attempt.nonce:
                return self._resend(pending, head, published)
            if status.nonce > attempt.nonce or self._ahead(attempt, status):
                # Another transaction took the nonce, perhaps an earlier attempt: storage will tell.
                return self._give_up()
            return self._poll
        self._resends = 0
        if self._ahead(attempt, status):
            return self._give_up()
        waited = self._clock() - max(attempt.created, self._pushed) > self._patience
        if waited and not head.halted:  # while no block comes, no price brings one
            self._chain.condemn(f"no block has taken {attempt.hash.hex()}, which it says it holds")
            if len(pending.attempts) < MAX_ATTEMPTS:
                return self._push(pending, head, Published(pending.size, pending.root, pending.checkpoint))
            self._pushed = self._clock()
        return self._poll

    def _ahead(self, attempt: Attempt, status: TxStatus) -> bool:
        """Tell whether a transaction waits in vain for others of the account before it: there are none but ours.

        A node that lagged or lied named its nonce; it is given up, the next one gets the nonce of then.
        """
        ahead = status.nonce < attempt.nonce and self._clock() - attempt.created > self._patience
        if ahead:
            log.warning("anchor given up: its nonce is ahead", extra={"tx": attempt.hash.hex(), "nonce": attempt.nonce})
        return ahead

    def _push(self, pending: AnchorRecord, head: Head, published: Published) -> float:
        """Replace a transaction that no block takes by a dearer one, or send it again where none is offered."""
        self._pushed = self._clock()
        try:
            return self._send(head, published, None, _dearer(pending.attempts[-1].price))
        except TransactionRefusedError as error:
            if error.reason != "underpriced":
                raise
            return self._resend(pending, head, published)

    def _await_storage(self, pending: AnchorRecord, head: Head, published: Published) -> float:
        """Bear with a block that came after the head was read; storage that never shows it makes it a lie."""
        attempt, now = pending.attempts[-1], self._clock()
        if self._claimed is None or self._claimed[0] != attempt.hash:
            self._claimed = (attempt.hash, now)
        if now - self._claimed[1] <= self._patience:
            return self._poll
        self._claimed = None
        log.error("a block is told of that storage does not show", extra={"size": pending.size})
        if self._chain.condemn(f"it tells of a block for {attempt.hash.hex()}, which its storage does not show"):
            return 0.0  # the next turn asks another node, and sends again what that one does not know
        return self._resend(pending, head, published)

    def _resend(self, pending: AnchorRecord, head: Head, published: Published) -> float:
        """Send the same bytes again, less and less often: a node may drop them each time without a word."""
        self._chain.entitled()
        self._show(resent_total=self._status.resent_total + 1)
        self._resends += 1
        if self._resends % RESENDS == 0 and not head.halted:
            self._chain.condemn(f"it takes {pending.attempts[-1].hash.hex()} and does not know it a moment later")
        pause = self._submit(pending, head, published)
        return max(pause, self._slower(self._resends - 1))

    def _settle(self, published: Published, pending: AnchorRecord | None = None) -> float:
        """Look for (size, root) in the contract's storage; done when it is there, in a final block."""
        evidence = self._chain.evidence(self._log, published.size)
        if evidence is None:
            if pending is not None:  # a larger size was anchored in its place
                self._drop()
            return self._poll
        if evidence.root != published.root:
            head = Head(evidence.size, evidence.root, evidence.time, 0, 0, evidence.head_block, "")
            raise self._disputed(head, published, f"the chain has another root at size {evidence.size} than this log")
        if not evidence.final:
            self._show(WorkerState.ANCHORING, pending_size=published.size, pending_tx=evidence.tx)
            return self._poll
        known = self._outbox.get(published.size)
        same = known is not None and self._here(known) and known.state is AnchorState.DONE
        if known and same and known.checkpoint and (known.block, known.tx) == (evidence.block, evidence.tx):
            if pending is not None:
                self._drop()
            return self._rest()
        self._given_up = 0
        record = anchor_records.done(pending or known, published, evidence, int(self._clock()))
        self._outbox.keep(record)
        self._show(anchors_total=self._status.anchors_total + 1, last_error="")
        log.info(
            "anchored",
            extra={"size": record.size, "tx": record.tx.hex(), "block": record.block, "gas": record.gas},
        )
        self._tell_final(record)
        self._evidence.take(self._chain, record)
        # Here too: a log that grows all the time never rests.
        self._show_kept(WorkerState.IDLE if record.size >= self._status.published_size else None)
        return self._rest() if pending is None else 0.0

    def _tell_final(self, record: AnchorRecord) -> None:
        if self._on_final is None:
            return
        try:
            self._on_final(record)
        except LedgerError as error:
            log.warning("what follows an anchor failed", extra={"size": record.size, "error": str(error)})

    def _drop(self) -> None:
        self._outbox.drop()
        self._show(pending_size=0, pending_tx=b"", pending_since=0)

    def _give_up(self) -> float:
        """Drop the anchor under way; the next is made later each time, until one is final.

        Else a node that tells of failures, while it passes on what it gets, could have us pay for one after the other.
        """
        self._drop()
        self._begin_again = time.monotonic() + self._slower(self._given_up)
        self._given_up += 1
        return self._poll

    def _rest(self) -> float:
        self._show_kept(WorkerState.IDLE)
        self._evidence.rest(self._chain)
        self._show(last_error="")
        return self._interval

    def _forget_lost(self, head: Head) -> None:
        """Mark anchors that the chain had and has no more: it was restored, or reorganised beyond its finality."""
        if self._status.anchored_size > head.size:
            lost = self._outbox.lose_above(head.size)
            log.error("the chain has lost anchors", extra={"lost": lost, "chain_size": head.size})
            self._show(lost_total=self._status.lost_total + lost)
            self._show_kept()

    def _rebuild(self, head: Head) -> None:
        """List the chain's anchors again when the outbox lacks some that the chain has."""
        newest = self._outbox.newest()
        known = newest is not None and self._here(newest)
        if not self._outbox.incomplete and (known or head.size == 1 or self._outbox.pending() is not None):
            return
        identity = self._chain.identity
        for anchored in self._chain.scan(self._log, self._first_block):
            kept = self._outbox.get(anchored.size)
            if kept is not None and self._here(kept) and kept.state is AnchorState.DONE:
                continue
            if anchored.size > head.size:
                break
            self._outbox.keep(anchor_records.listed(anchored, self._log, identity, int(self._clock())))
        self._outbox.incomplete = False
        self._evidence.look_again()
        self._show_kept()
        log.info("anchors listed from the chain", extra={"anchored_size": self._status.anchored_size})

    def _lost(self, error: ContractMissingError) -> float:
        """Deploy again where that was asked for, once; otherwise wait for a person."""
        if self._redeploy is None:
            return self._fail(WorkerState.CHAIN_LOST, error)
        log.warning("the contract is deployed again", extra={"reason": error.detail})
        try:
            chain = self._redeploy()
        except LedgerError as failure:
            return self._fail(WorkerState.CHAIN_LOST, failure)
        # Once only: a node that lies about its chain must not make us pay for a contract every few seconds.
        self._redeploy = None
        self._chain = chain
        self._first_block = 0
        self._drop()
        self._show(lost_total=self._status.lost_total + self._outbox.lose_above(1))
        self._show_kept()
        return 0.0

    def _hear_others(self, head: Head, reason: str) -> None:
        """Before a person is called on the mere word of one node, leave it for the others; proven is proven."""
        if head.chain_time or self._doubted >= len(self._chain.nodes()) - 1:
            return
        self._doubted += 1
        if self._chain.condemn(reason):
            raise ChainUnavailableError(f"a node is not believed before another one says the same: {reason}")

    def _disputed(self, head: Head, published: Published | None, detail: str) -> DisputedError:
        self._hear_others(head, detail)
        evidence = anchor_records.dispute(detail, self._log, self._chain.identity, head, published)
        path = self._outbox.dispute(int(self._clock()), evidence)
        return DisputedError(detail, where=str(path), remedy="Judge the evidence, then resolve the dispute by hand")

    def _here(self, record: AnchorRecord) -> bool:
        identity = self._chain.identity
        return (record.chain_id, record.contract) == (identity.chain_id, identity.contract)

    def _fits(self, pending: AnchorRecord, published: Published) -> bool:
        """Tell whether the anchor under way is still of our log as published."""
        return pending.size < published.size or (pending.size, pending.root) == (published.size, published.root)

    def _fail(self, state: WorkerState, error: Exception) -> float:
        """Show a failure; wait longer each time, up to the interval."""
        self._failures += 1
        if self._status.state is not state:
            log.warning("anchoring is held up", extra={"state": state.value, "error": str(error)})
        self._show(
            state,
            last_error=str(error),
            last_error_time=int(self._clock()),
            failures_total=self._status.failures_total + 1,
        )
        return self._slower(self._failures)

    def _slower(self, times: int) -> float:
        return min(self._interval, self._poll * float(1 << min(times, 10)))

    def _show_kept(self, state: WorkerState | None = None) -> None:
        """Show the newest final anchor; nothing is under way where the outbox has nothing."""
        newest, pending = self._outbox.newest(), self._outbox.pending()
        self._show(
            state,
            anchored_size=newest.size if newest else 0,
            anchored_root=newest.root if newest else b"",
            anchored_time=newest.time if newest else 0,
            anchored_tx=newest.tx if newest else b"",
            pending_size=pending.size if pending else 0,
            pending_tx=pending.attempts[-1].hash if pending and pending.attempts else b"",
            pending_since=pending.created if pending else 0,
        )

    def _show(self, state: WorkerState | None = None, **changes: Any) -> None:
        with self._condition:
            if state is not None and state is not self._status.state:
                changes |= {"state": state, "since": int(self._clock())}
            self._status = replace(self._status, **changes)
            self._condition.notify_all()


def _dearer(price: int) -> int:
    """The least that nodes take in the place of a transaction at `price`, with room to spare."""
    return price + price // 4 + 1
