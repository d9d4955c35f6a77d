"""The sequencer: from submitted bytes to durable, acknowledged entries (DESIGN section 6).

Statements are decoded, their signatures checked beside the main thread, decided one by one, and collected into a group:
consecutive indexes, one append to the journal, one fdatasync. Only then does anybody get an answer. While one group is
being made durable the next one is decided, so load makes groups larger instead of slower.

Interface contracts: `submit` returns after durability or not at all; a failed append stops the sequencer for good,
every waiting submitter gets the error, and nothing after it is ever acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from ledger.crypto.digests import kid as kid_of
from ledger.errors import LedgerError, UnavailableError
from ledger.log.group import GroupTree
from ledger.state.records import ActorRecord
from ledger.statements import Statement, decode_statement
from ledger.statements.acknowledgement import Acknowledgement, Refusal, sign_acknowledgement, sign_refusal
from ledger.store.index import Index
from ledger.store.journal import Journal
from node.admission import Admission, Group
from node.clock import ClockGuard
from node.document_check import Fitness, Mapping
from node.keyring import KeyRing
from node.submission import Admitted, Answer, Outcome, Refused, Run
from node.verifiers import Check, VerifierPool

log = logging.getLogger(__name__)

MAX_LAG = 2
"""Seconds that log time may be behind the clock when a group is formed (DESIGN rule 4)."""
MAX_GROUP = 1024
"""Statements decided in one go: about 30 ms of work, so that small submissions are not held up longer."""
MAX_TURN = 0.05
"""Seconds of deciding in one go: statements with many consents take longer, and others wait meanwhile."""
MAX_WAITING = 32_768
"""Statements that may wait for their turn; beyond it submitters are asked to come back."""
KEY_CACHE = 10_000


class OverloadedError(UnavailableError):
    """More is waiting than the node can hold; nothing of this submission was taken."""

    code = "overloaded"


class StoppedError(UnavailableError):
    """The node stopped admitting; what was not acknowledged may or may not be in the log."""

    code = "stopped"


class HeldBackError(UnavailableError):
    """Nothing can be published at the moment, so nothing is promised; nothing of this submission was taken."""

    code = "held-back"


class Decoded(NamedTuple):
    """A statement, the key that it was checked with (b"" where none was known), the verdict, and of its document."""

    statement: Statement
    key: bytes
    good: bool
    fitness: Fitness | None = None


@dataclass(slots=True)
class _Submission:
    items: list[Decoded | LedgerError]
    sign_refusals: bool
    done: asyncio.Future[Answer]
    outcomes: list[Outcome] = field(default_factory=list)


class Sequencer:
    """One writer, one log. All methods belong to one event loop."""

    def __init__(
        self,
        admission: Admission,
        journal: Journal,
        index: Index,
        pool: VerifierPool,
        ring: KeyRing,
        guard: ClockGuard,
        *,
        publish_within: int,
        on_durable: Callable[[Group], None],
        observe: Callable[[int, float], None] = lambda _entries, _seconds: None,
    ) -> None:
        """`on_durable` learns of every group in order, after it is durable and before it is acknowledged.

        `observe` hears of its entries and of the seconds that making them durable took.
        """
        self.admission = admission
        self._journal = journal
        self._index = index
        self._pool = pool
        self._ring = ring
        self._guard = guard
        self._documents = admission.documents
        self._publish_within = publish_within
        self._on_durable = on_durable
        self._observe = observe
        self._disk = ThreadPoolExecutor(1, "journal")
        """A thread of its own: nobody else's work on disks or chains may stand before an acknowledgement."""
        self._readers = ThreadPoolExecutor(1, "documents")
        self._queue: deque[_Submission] = deque()
        self._waiting = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._close_asked: list[asyncio.Future[int]] = []
        self._stopping = False
        self._refusing = False
        self._retired = 0
        self.failure: LedgerError | None = None
        self.held_back: LedgerError | None = None
        """Why nothing can be published, as the publisher says: an acknowledgement promises publication."""
        self._keys: dict[bytes, tuple[int, bytes]] = {}

    # -- the submitter's side -----------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Statements taken and not answered yet."""
        return self._waiting

    async def submit(
        self,
        raws: Sequence[bytes],
        *,
        sign_refusals: bool = False,
        after: asyncio.Event | None = None,
        queued: asyncio.Event | None = None,
    ) -> Answer:
        """Take statements in their order; answer after those admitted are durable.

        Several submissions may be under way. A sender that needs its own kept in order gives each an event `queued`,
        set once its turn is fixed, and the event of the one before it as `after`.

        Raises `OverloadedError` or `HeldBackError` (nothing was taken) or `StoppedError` (submit again later: an act
        that did get in answers with its place).
        """
        self._refuse_if_stopped()
        if self._refusing:
            raise _shutting_down()
        if self.held_back is not None:
            raise HeldBackError(
                f"Publication is held up: {self.held_back.detail}",
                remedy="Submit again later: it is tried again by itself",
            ) from self.held_back
        if self._waiting + len(raws) > MAX_WAITING:
            raise OverloadedError("Too much is waiting for admission", remedy="Submit again in a second")
        self._waiting += len(raws)
        self._idle.clear()
        try:
            items = await self._decode_and_check(raws)
            if after is not None:
                await after.wait()
            self._refuse_if_stopped()
            submission = _Submission(items, sign_refusals, asyncio.get_running_loop().create_future())
            self._queue.append(submission)
            self._wake.set()
            if queued is not None:
                queued.set()
            return await submission.done
        finally:
            self._waiting -= len(raws)
            if not self._waiting:
                self._idle.set()

    async def _decode_and_check(self, raws: Sequence[bytes]) -> list[Decoded | LedgerError]:
        items: list[Decoded | LedgerError] = []
        checks: list[Check] = []
        places: list[int] = []
        for raw in raws:
            try:
                st = decode_statement(raw)
            except LedgerError as error:
                items.append(error)
                continue
            key = self._key_of(st)
            if key is not None:
                places.append(len(items))
                checks.append((st.alg, key[1], st.signed, st.signature))
            items.append(Decoded(st, b"" if key is None else key[1], good=False))
        if checks:
            for place, check, good in zip(places, checks, await self._pool.check(checks), strict=True):
                item = items[place]
                assert isinstance(item, Decoded)
                items[place] = item._replace(key=check[1], good=good)
        await self._examine_documents(items)
        return items

    async def _examine_documents(self, items: list[Decoded | LedgerError]) -> None:
        """Look at the documents ahead, in a thread: of well-signed statements only, so that no stranger can ask."""
        wanted: list[tuple[int, Decoded, Mapping]] = []
        for place, item in enumerate(items):
            if isinstance(item, Decoded) and item.good:
                mapping = self._documents.mapping(item.statement, self.admission.view)
                if mapping is not None:
                    wanted.append((place, item, mapping))
        if wanted:
            found = await asyncio.get_running_loop().run_in_executor(
                self._readers, lambda: [self._documents.examine(item.statement, mapping) for _, item, mapping in wanted]
            )
            for (place, item, _), fitness in zip(wanted, found, strict=True):
                items[place] = item._replace(fitness=fitness)

    def _key_of(self, st: Statement) -> tuple[int, bytes] | None:
        """The public key behind a kid, if its issuer is known. A kid is the key's hash, so this can never go stale."""
        key = self._keys.get(st.kid)
        if key is None:
            actor = self.admission.view.read(ActorRecord, st.iss)
            if actor is None:
                return None
            added = () if actor.pending is None else actor.pending.add
            for candidate in (*actor.keys, *added):
                if candidate.kid == st.kid and kid_of(candidate.key) == st.kid:
                    if len(self._keys) >= KEY_CACHE:
                        self._keys.clear()
                    key = self._keys[st.kid] = (candidate.alg, candidate.key)
                    break
        return key if key is not None and key[0] == st.alg else None

    async def close_batch(self) -> int:
        """Close the open batch with a manifest; returns the log size at it, once that is durable."""
        self._refuse_if_stopped()
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._close_asked.append(future)
        self._wake.set()
        return await future

    def _refuse_if_stopped(self) -> None:
        if self.failure is not None:
            raise StoppedError(f"The node stopped: {self.failure.detail}", remedy=self.failure.remedy) from self.failure
        if self._stopping:
            raise _shutting_down()

    # -- the writer's side --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Form groups and make them durable until `stop`; returns when all that was taken is answered."""
        committing: asyncio.Task[None] | None = None
        taken: list[_Submission] = []
        closers: list[asyncio.Future[int]] = []
        try:
            while self._queue or self._close_asked or committing is not None or not self._stopping:
                if self._queue or self._close_asked:
                    now = self._guard.now(self.admission.log_time)
                    closing = self._must_close(now)
                    if closing and committing is not None:  # the manifest needs the state after what is being written
                        await committing
                        committing = None
                        now = self._guard.now(self.admission.log_time)
                    taken, closers, size = self._decide(now, closing=closing)
                    group = self.admission.take_group()
                    if committing is not None:
                        await committing
                    committing = asyncio.create_task(self._commit(group, taken, closers, size))
                    await asyncio.sleep(0)
                elif committing is not None:
                    await committing
                    committing = None
                else:
                    self._wake.clear()
                    await self._wake.wait()
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may be left waiting
            failure = _as_failure(error)
            self._fail(failure)
            if committing is not None:  # what is being written ends first: the stores may be closed after this
                await asyncio.wait([committing])
            _give_up_all(taken, closers, failure)  # decided, but never to be written
            raise failure from failure.__cause__

    def retire(self, size: int) -> None:
        """Entries below `size` are durable as tiles: the journal may drop them when it is next written."""
        self._retired = size

    async def refuse_submissions(self) -> None:
        """Take no more submissions, and wait until those that were taken are answered."""
        self._refusing = True
        if self._waiting:
            await self._idle.wait()

    def close(self) -> None:
        """Let go of the thread that writes."""
        self._readers.shutdown(wait=True)
        self._disk.shutdown(wait=True)

    def stop(self) -> None:
        """Take no more submissions; `run` returns when all that was taken is durable and answered."""
        self._stopping = True
        self._wake.set()

    def _must_close(self, now: int) -> bool:
        """Whether the open batch is closed before anything else is admitted."""
        return bool(self._close_asked) or (self._is_due(now) and self._may_admit(now))

    def _is_due(self, now: int) -> bool:
        return now > self.admission.log_time + MAX_LAG or not self.admission.begun

    def _decide(self, now: int, *, closing: bool) -> tuple[list[_Submission], list[asyncio.Future[int]], int]:
        """Decide about what waits; returns the submissions decided, who asked for a manifest, and the size at it."""
        admission = self.admission
        size = admission.close_batch(now, self._index.tree.current) if closing else 0
        admission.lagging_at = None if closing or not self._is_due(now) else now
        closers, self._close_asked = self._close_asked, []
        taken: list[_Submission] = []
        count = 0
        loop = asyncio.get_running_loop()
        until = loop.time() + MAX_TURN
        while self._queue and count < MAX_GROUP and (not taken or loop.time() < until):
            submission = self._queue.popleft()
            taken.append(submission)
            count += len(submission.items)
            try:
                for item in submission.items:
                    outcome = Refused(item) if isinstance(item, LedgerError) else admission.admit(*item)
                    submission.outcomes.append(outcome)
            except Exception as error:
                _give_up_all(taken, closers, _as_failure(error))
                raise
        return taken, closers, size

    def _may_admit(self, now: int) -> bool:
        """Whether anything that waits could enter the log: what cannot must not make it grow by a manifest.

        A good signature is the word of an enrolled party. Of anything else the function is asked, so that strangers
        cannot keep an idle log growing, and being anchored; where they send a great deal, for a turn only.
        """
        if self.admission.sealed:
            return False
        loop = asyncio.get_running_loop()
        until = loop.time() + MAX_TURN
        waiting = (item for submission in self._queue for item in submission.items if isinstance(item, Decoded))
        return any(
            item.good or loop.time() > until or not self.admission.hopeless(item.statement, item.key, item.good, now)
            for item in waiting
        )

    async def _commit(
        self, group: Group, taken: list[_Submission], closers: list[asyncio.Future[int]], size: int
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            if group.entries:
                begun = loop.time()
                await loop.run_in_executor(self._disk, self._make_durable, group)
                self._observe(len(group.entries), loop.time() - begun)
                self.admission.stored(group)
                self._on_durable(group)
            self._answer(group, taken)
            for closer in closers:
                if not closer.done():
                    closer.set_result(size)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may be left waiting
            failure = _as_failure(error)
            _give_up_all(taken, closers, failure)
            self._fail(failure)
            raise failure from failure.__cause__

    def _make_durable(self, group: Group) -> None:
        self._journal.append(group.entries)
        self._journal.drop_before(self._retired)
        self._index.apply(group.index_update())

    def _fail(self, error: LedgerError) -> None:
        if self.failure is None:
            log.critical("sequencer stopped", extra={"error": error.explain()})
            self.failure = error
        for submission in self._queue:
            _give_up(submission.done, error)
        self._queue.clear()
        for closer in self._close_asked:
            _give_up(closer, error)
        self._close_asked.clear()

    # -- answers ------------------------------------------------------------------------------------------------------

    def _answer(self, group: Group, taken: list[_Submission]) -> None:
        """Sign one acknowledgement for the group, and give each submission its runs in it."""
        first = group.manifests[0][1] + 1 if group.manifests and group.manifests[0][1] == group.first else group.first
        leaves = group.leaves[first - group.first :]
        tree = GroupTree(leaves) if leaves else None
        signed = b"" if tree is None else self._acknowledge(first, tree, group)
        for submission in taken:
            runs: list[Run] = []
            for start, run in _runs(submission.outcomes):
                if tree is not None and not run[0].duplicate:
                    proof = tree.range_proof(start - first, len(run))
                    runs.append(Run(start, len(run), signed, proof))
                else:
                    signed_again = self._acknowledge(start, GroupTree([item.leaf for item in run]), group)
                    runs.append(Run(start, len(run), signed_again, []))
            if submission.sign_refusals:
                self._sign_refusals(submission, group)
            if not submission.done.done():
                submission.done.set_result(Answer(submission.outcomes, runs))

    def _acknowledge(self, first: int, tree: GroupTree, group: Group) -> bytes:
        """Sign with the key in force after the group: once a change of keys is durable the old one signs no more."""
        publish_by = group.log_time + self._publish_within
        ack = Acknowledgement(self.admission.log_id, first, tree.size, tree.root, group.log_time, publish_by)
        return sign_acknowledgement(self._ring.cose_signer(group.cose), ack)

    def _sign_refusals(self, submission: _Submission, group: Group) -> None:
        for number, (item, outcome) in enumerate(zip(submission.items, submission.outcomes, strict=True)):
            if isinstance(outcome, Refused) and isinstance(item, Decoded):
                refusal = Refusal(self.admission.log_id, item.statement.act, outcome.reason, group.end, group.log_time)
                signer = self._ring.cose_signer(group.cose)
                submission.outcomes[number] = Refused(outcome.error, sign_refusal(signer, refusal))


def _runs(outcomes: Sequence[Outcome]) -> list[tuple[int, list[Admitted]]]:
    """Split the admitted outcomes into runs of consecutive indexes, new and known ones apart."""
    runs: list[tuple[int, list[Admitted]]] = []
    for outcome in outcomes:
        if isinstance(outcome, Refused):
            continue
        if runs:
            start, run = runs[-1]
            if outcome.index == start + len(run) and outcome.duplicate == run[0].duplicate:
                run.append(outcome)
                continue
        runs.append((outcome.index, [outcome]))
    return runs


def _as_failure(error: Exception) -> LedgerError:
    """What stops the sequencer, as an error that explains itself: also a fault of its own must leave nobody waiting."""
    if isinstance(error, LedgerError):
        return error
    failure = LedgerError(f"A fault in the node: {type(error).__name__}: {error}", where="sequencer")
    failure.__cause__ = error
    return failure


def _shutting_down() -> StoppedError:
    return StoppedError("The node is shutting down", remedy="Submit again when it is back")


def _give_up_all(taken: list[_Submission], closers: list[asyncio.Future[int]], error: LedgerError) -> None:
    for submission in taken:
        _give_up(submission.done, error)
    for closer in closers:
        _give_up(closer, error)


def _give_up(future: asyncio.Future[Answer] | asyncio.Future[int], error: LedgerError) -> None:
    if not future.done():
        future.set_exception(StoppedError(f"The node stopped: {error.detail}", remedy=error.remedy))
