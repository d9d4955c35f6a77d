"""The anchor worker: brings the newest published checkpoint to the chain, in a thread of its own.

Owns the thread, what other threads ask of it, and which state each failure is. The chain may be down, reset,
reorganised or lying: none of that stops admission, none ends the thread. Where the chain has several nodes, one that
gives no sense twice, or refuses twice, is left for another. A chain that contradicts the log is `disputed`: evidence is
kept, anchoring stops until a person resolves it. What one turn does is in node.anchor.anchoring.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ledger.errors import LedgerError, UnavailableError
from ledger.evidence.chain import ChainPolicy
from node.anchor.anchoring import Anchoring
from node.anchor.evidence import EvidenceKeeper, EvidenceStatus
from node.anchor.job import Job, Pace
from node.anchor.outbox import Outbox
from node.anchor.records import AnchorRecord
from node.anchor.status import HOPELESS, AnchorStatus, Board, DisputedError, WorkerState
from node.chain.protocol import (
    Chain,
    ChainIdentity,
    ChainMismatchError,
    ChainSigner,
    ChainUnavailableError,
    ContractMissingError,
    ProvenAnchor,
    SignerUnavailableError,
    TransactionRefusedError,
)
from node.publisher import Published

log = logging.getLogger("node.anchor")


class AnchorWorker:
    """Anchors one log on one chain.

    Args:
        chain: the backend; used by the worker's thread only.
        outbox: where signed transactions and anchors are kept.
        log_id: 32 bytes.
        newest: the newest published checkpoint, None before the first. Called from the worker's thread.
        consistency: proof from an older to a newer size of our own tree, as ledger.log.proofs makes it.
        authoriser: the key whose signature the contract demands beside the sender's.
        interval, poll, patience: see node.anchor.job.Pace.
        first_block: where a search for anchors begins when the outbox was lost.
        redeploy: called once when the contract is gone: deploys, registers, returns the new backend. None: refused.
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
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._board = Board(clock)
        job = Job(
            chain=chain,
            outbox=outbox,
            board=self._board,
            log_id=log_id,
            newest=newest,
            consistency=consistency,
            authoriser=authoriser,
            pace=Pace(interval, poll, patience),
            clock=clock,
        )
        self._outbox = outbox
        self._evidence = EvidenceKeeper(outbox, log_id, refresh=interval)
        self._redeploy = redeploy
        self._anchoring = Anchoring(job, self._evidence, first_block)
        self._turns = 0
        self._failures = 0
        self._asked = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._anchoring.show_kept()

    # --- for other threads ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="anchor", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Ask the thread to end and wait for it; what is under way is in the outbox."""
        with self._board.changed:
            self._stopping = True
            self._board.changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
        self._board.show(WorkerState.STOPPED)

    def status(self) -> AnchorStatus:
        """Return how things stand; cheap, never waits for the chain."""
        return self._board.status

    def anchors(self, *, limit: int = 100, before: int | None = None) -> list[AnchorRecord]:
        """List anchors, newest first, from the outbox: also while the chain is down. See Outbox.anchors."""
        return self._outbox.anchors(limit=limit, before=before)

    def covering(self, size: int) -> AnchorRecord | None:
        """Return the smallest final anchor on this chain whose log holds the first `size` entries."""
        return self._outbox.covering(size, self.identity)

    def evidence_for(self, size: int) -> tuple[int, bytes] | None:
        """Return the largest size at most `size` that is anchored here and has chain evidence, and the newest of that.

        From the outbox: also while the chain is down. See ledger.evidence.chain for what it proves.
        """
        return self._outbox.evidence(size, self.identity)

    def prove(self, size: int, *, block: int | None = None, requested: Sequence[bytes] = ()) -> ProvenAnchor:
        """Ask the chain now for evidence under a block that the asker trusts; see EvidenceKeeper.prove."""
        return self._evidence.prove(self._job.chain, size, block=block, requested=requested)

    @property
    def identity(self) -> ChainIdentity:
        """The chain and contract that are anchored to."""
        return self._job.chain.identity

    def trusted(self) -> tuple[ChainPolicy, ...]:
        """What the node itself trusts of the chain; see Chain.trusted."""
        return self._job.chain.trusted()

    def final_blocks(self) -> tuple[bytes, ...]:
        """Hashes of blocks under which evidence was kept lately; see EvidenceKeeper.blocks."""
        return self._evidence.blocks()

    def evidence_status(self) -> EvidenceStatus:
        """Return what was last proven, and why not more; cheap."""
        return self._evidence.status

    def wake(self) -> None:
        """Look now rather than at the next interval."""
        with self._board.changed:
            self._asked = True
            self._board.changed.notify_all()

    def anchor_now(self, timeout: float = 30.0) -> AnchorRecord:
        """Anchor what is published now and wait until that is final; its record, which may be of a later checkpoint.

        Raises:
            UnavailableError: nothing is published yet, or it is not final in time; the anchor may still come.
            LedgerError: the worker is in a state that waiting does not mend; `where` names it.

        """
        target = self._job.newest()
        if target is None:
            raise UnavailableError("no checkpoint is published yet", remedy="Submit a statement first")
        end = time.monotonic() + timeout
        next_ask = 0.0
        with self._board.changed:
            # A turn may be under way that looked before this call: judge by one that begins after it.
            seen = self._turns + 2
            while True:
                status = self._board.status
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
                    self._board.changed.notify_all()
                    next_ask = time.monotonic() + 0.5
                self._board.changed.wait(min(left, 0.5))

    def resolve_dispute(self) -> int:
        """Take up anchoring again after a person judged the evidence, which stays; how many were open."""
        resolved = self._outbox.resolve()
        self._anchoring.judge.forget()
        self.wake()
        return resolved

    # --- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            pause = self.turn()
            self._board.show(cpu_seconds=time.thread_time())
            with self._board.changed:
                self._turns += 1
                self._board.changed.notify_all()
                if not self._asked and not self._stopping:
                    self._board.changed.wait(pause)
                self._asked = False

    def turn(self) -> float:
        """Do one look and at most one act; the seconds to wait until the next. Never raises. For the thread."""
        chain = self._job.chain
        try:
            pause = self._anchoring.step()
        except ChainUnavailableError as error:
            if self._failures > 0:  # once may be a moment between two blocks
                chain.condemn(str(error))
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
                chain.turn()  # that it refuses is one node's word: the next one may know better
            return self._fail(WorkerState.REFUSED, error)
        except Exception as error:
            # The last barrier: a fault here must not end anchoring for good, nor reach admission.
            log.exception("a fault in the anchor worker")
            return self._fail(WorkerState.FAILED, error)
        finally:
            chain = self._job.chain
            self._board.show(nodes=chain.nodes(), switches_total=chain.switches)
        self._failures = 0
        self._anchoring.judge.believe()
        return pause

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
        self._anchoring.sending.drop()
        self._anchoring.lose_above(1)
        self._anchoring = Anchoring(replace(self._job, chain=chain), self._evidence)
        self._anchoring.show_kept()
        return 0.0

    def _fail(self, state: WorkerState, error: Exception) -> float:
        """Show a failure; wait longer each time, up to the interval."""
        self._failures += 1
        if self._board.status.state is not state:
            log.warning("anchoring is held up", extra={"state": state.value, "error": str(error)})
        self._board.count("failures_total")
        self._board.show(state, last_error=str(error), last_error_time=self._job.now())
        return self._job.pace.slower(self._failures)

    @property
    def _job(self) -> Job:
        """What the worker works with now: another chain after the contract was deployed again."""
        return self._anchoring.job
