"""The witness itself: one request in, one answer out, and never a cosignature on two trees that contradict each other.

Owns the order of the checks and the statuses (C2SP tlog-witness, head of the specification). For each log one request
at a time is judged, persisted and only then answered, so two requests cannot step over each other. Trusts the log keys
of its folder for who signed, a consistency proof for what may follow, and its own lock for what it cosigned last. What
a *replaying* witness asks beyond that is `Examiner`'s matter.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Protocol

from ledger.crypto.suites import Signer
from ledger.errors import LedgerError, MalformedError, RefusedStartError
from ledger.evidence.split_view import split_checkpoints
from ledger.log.checkpoint import Checkpoint, make_cosignature
from ledger.log.notes import COSIGNATURE, Note, NoteSignatureError, Vkey, verify_note
from ledger.log.proofs import verify_consistency
from ledger.log.tree import EMPTY_ROOT
from ledger.store.durable import StorageError, make_directories, replace_file
from ledger.store.lock import LockState
from node.clock import Clock, ClockError, ClockGuard
from node.follower import HttpLog
from node.witness.folder import KnownLog, origin_hash
from node.witness.request import SIZE_TYPE, AddCheckpoint, write_size

log = logging.getLogger(__name__)

TEXT: Final = "text/plain; charset=utf-8"
PATIENCE: Final = 5.0
"""Seconds that a request waits for its turn; a replaying witness may be catching up for longer."""
MAX_ASKING: Final = 3
"""Requests about one log at a time: a log that is slow to be examined must not take the turns of all others."""
MAX_EVIDENCE: Final = 100
"""Evidence files a log; the first ones are kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over HTTP."""

    status: int
    body: bytes
    type: str = TEXT


class ViolationError(LedgerError):
    """The log signed what its own rules forbid. `name` and `evidence` are the file that shows it, if any."""

    code: ClassVar[str] = "violation"

    def __init__(self, detail: str, *, where: str = "", name: str = "", evidence: bytes = b"") -> None:
        super().__init__(detail, where=where, remedy="The witness keeps the evidence; an auditor should look at it")
        self.name = name
        self.evidence = evidence


class Examiner(Protocol):
    """What is asked of a checkpoint after signature and consistency, before it is cosigned."""

    def examine(self, known: KnownLog, checkpoint: Checkpoint, note: bytes, now: Callable[[], int]) -> None:
        """Return if it may be cosigned; ViolationError, or UnavailableError where that cannot be told now."""

    def close(self) -> None:
        """Let go of what is open."""


class Witness:
    """Cosigns for the logs in `logs`. `add_checkpoint` blocks and may be called from several threads."""

    def __init__(
        self,
        signer: Signer,
        name: str,
        logs: Mapping[str, KnownLog],
        clock: Clock,
        examiner: Examiner | None = None,
    ) -> None:
        """RefusedStartError where the clock stands before the newest cosignature."""
        self.vkey = Vkey(name, COSIGNATURE, signer.public_key)
        self._signer = signer
        self._logs = dict(logs)
        self._turns = {origin: threading.Lock() for origin in self._logs}
        self._places = {origin: threading.BoundedSemaphore(MAX_ASKING) for origin in self._logs}
        self._examiner = examiner
        self._guard = ClockGuard(clock)
        self._clock_lock = threading.Lock()
        self._newest = max((self._cosigned_at(known) for known in self._logs.values()), default=0)
        self._lost: dict[str, str] = {}
        try:
            self._guard.now(self._newest)
        except ClockError as error:
            raise RefusedStartError(error.detail, where="clock", remedy=error.remedy) from error

    # -- questions --------------------------------------------------------------------------------------------------

    def add_checkpoint(self, body: bytes) -> Answer:
        """Judge one request: 200 with the cosignature line, or the status that says why not."""
        try:
            request = AddCheckpoint.parse(body)
        except MalformedError as error:
            return _refuse(400, error.explain())
        known = self._logs.get(request.checkpoint.origin)
        if known is None:
            return _refuse(404, "this witness does not know a log of that origin")
        try:
            seen = self._check_signatures(request.note, known)
        except (MalformedError, NoteSignatureError) as error:
            return _refuse(403, error.explain())
        busy = _refuse(503, "an earlier checkpoint of this log is still being examined")
        turn, places = self._turns[request.checkpoint.origin], self._places[request.checkpoint.origin]
        if not places.acquire(blocking=False):
            return busy
        try:
            if not turn.acquire(timeout=PATIENCE):
                return busy
            try:
                return self._judge(request, known, seen)
            finally:
                turn.release()
        finally:
            places.release()

    def _judge(self, request: AddCheckpoint, known: KnownLog, seen: int | None) -> Answer:
        origin = request.checkpoint.origin
        try:
            return self._decide(request, known, seen)
        except ViolationError as error:
            self._keep(known, error.name, error.evidence)
            log.critical("the log is refused", extra={"origin": origin, "error": error.explain()})
            return _refuse(422, error.explain())
        except LedgerError as error:  # the clock, the disk, a log that does not answer: nothing is said about the log
            log.error("no cosignature", extra={"origin": origin, "error": error.explain()})  # noqa: TRY400
            return _refuse(503, error.explain())

    def checkpoint_of(self, name: str) -> bytes | None:
        """The newest cosigned checkpoint of the log whose origin hashes to `name` (hex), None before the first."""
        for origin, known in self._logs.items():
            if origin_hash(origin) == name:
                return known.state.checkpoint or None
        return None

    def not_well(self) -> str | None:
        """Why the witness cosigns for some log no more, or None."""
        return next(iter(self._lost.values()), None)

    def close(self) -> None:
        """Let go of what the examiner has open; the folder's locks are their opener's."""
        if self._examiner is not None:
            self._examiner.close()

    # -- before the first answer --------------------------------------------------------------------------------------

    def compare_with_logs(self, timeout: float = 5.0) -> None:
        """Ask the logs for their checkpoints: a cosignature of ours beyond our state is proof that the state was lost.

        RefusedStartError says which; a log that has no URL or does not answer is passed over.
        """
        for origin, known in self._logs.items():
            if not known.url:
                continue
            try:
                with HttpLog(known.url, timeout=timeout) as source:
                    note = Note.parse(source.checkpoint())
                seen = self._check_signatures(note, known)
            except LedgerError as error:
                log.warning("the log was not asked at start", extra={"origin": origin, "error": error.explain()})
                continue
            lost = self._is_lost(known, Checkpoint.parse(note.text), seen)
            if lost:
                raise RefusedStartError(lost, where=origin, remedy="Run `tial witness recover` with that checkpoint")

    # -- one decision -------------------------------------------------------------------------------------------------

    def _check_signatures(self, note: Note, known: KnownLog) -> int | None:
        """Require the log's signature; return the time of a cosignature of our own that came with it."""
        verified = verify_note(note, (*known.vkeys, self.vkey))
        if all(signature.vkey == self.vkey for signature in verified):
            raise NoteSignatureError("the log itself did not sign this checkpoint", where=known.vkeys[0].name)
        return max((one.time for one in verified if one.time is not None), default=None)

    def _is_lost(self, known: KnownLog, checkpoint: Checkpoint, seen: int | None) -> str:
        """Why a cosignature of ours at `seen` shows that our state was rolled back; "" where it does not."""
        state = known.state
        behind = checkpoint.size > state.size or (checkpoint.size == state.size and checkpoint.root != state.root)
        if seen is None or not (behind or seen > self._cosigned_at(known)):
            return ""
        return (
            f"There is a cosignature of this witness on size {checkpoint.size}, made at {seen}, but its state ends at "
            f"size {state.size}: the state was lost or rolled back"
        )

    def _decide(self, request: AddCheckpoint, known: KnownLog, seen: int | None) -> Answer:
        checkpoint, state = request.checkpoint, known.state
        lost = self._lost.get(checkpoint.origin) or self._is_lost(known, checkpoint, seen)
        if lost:
            self._lost[checkpoint.origin] = lost
            log.critical("the witness's state is behind", extra={"origin": checkpoint.origin, "error": lost})
            return _refuse(503, lost)
        if request.old != state.size:
            return Answer(409, write_size(state.size), SIZE_TYPE)
        if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
            return _refuse(422, "the tree of size 0 has the empty root")
        note = self._log_note(request.note, known)
        if checkpoint.size == state.size and checkpoint.root != state.root:
            if state.checkpoint:
                self._keep(known, f"split-view-{checkpoint.size}", split_of_one_size(state.checkpoint, note))
            log.critical("the log signed two roots of one size", extra={"origin": checkpoint.origin})
            return _refuse(422, f"size {state.size} was cosigned with another root")
        if not verify_consistency(state.size, checkpoint.size, state.root, checkpoint.root, request.proof):
            return _refuse(422, f"the consistency proof does not lead from size {state.size} to this checkpoint")
        if self._examiner is not None:
            self._examiner.examine(known, checkpoint, note, self._now)
        return self._cosign(Note.parse(note), checkpoint, known)

    def _cosign(self, note: Note, checkpoint: Checkpoint, known: KnownLog) -> Answer:
        """Persist, then answer: the order that everything here is about."""
        with self._clock_lock:
            now = self._now()
            self._newest = now
        line = make_cosignature(self._signer, self.vkey.name, note.text, now)
        held = known.state
        signed = note.with_signatures((line,)).serialise()
        state = LockState(held.log, held.instance, checkpoint.size, checkpoint.root, signed)
        try:
            known.lock.compare_and_swap((held.size, held.root), state)
        except StorageError:
            reading = known.lock.read().state
            if reading is not None:
                known.state = reading  # it may have got there before the disk failed
            raise
        known.state = state
        log.info("cosigned", extra={"origin": checkpoint.origin, "size": checkpoint.size})
        return Answer(200, line.line())

    def _now(self) -> int:
        return self._guard.now(self._newest)

    def _cosigned_at(self, known: KnownLog) -> int:
        """When we cosigned this log last, from the cosignature that is kept; 0 before the first."""
        if not known.state.checkpoint:
            return 0
        verified = verify_note(Note.parse(known.state.checkpoint), (self.vkey,))
        return max(one.time or 0 for one in verified)

    @staticmethod
    def _log_note(note: Note, known: KnownLog) -> bytes:
        """The note with the log's own signatures alone: nobody else's lines are kept or handed on."""
        ours = {(vkey.name, vkey.key_id) for vkey in known.vkeys}
        return Note(note.text, tuple(one for one in note.signatures if (one.name, one.key_id) in ours)).serialise()

    @staticmethod
    def _keep(known: KnownLog, name: str, evidence: bytes) -> None:
        """Keep an evidence file, the first of its name; best effort, because the refusal stands without it."""
        folder: Path = known.folder / "evidence"
        path = folder / f"{name}.tial-evidence"
        try:
            make_directories(folder)
            room = name.startswith("violation") or sum(1 for _ in folder.iterdir()) < MAX_EVIDENCE
            if evidence and room and not path.exists():
                replace_file(path, evidence)
        except (OSError, StorageError) as error:
            log.error("evidence could not be kept", extra={"path": str(path), "error": str(error)})  # noqa: TRY400


def split_of_one_size(first: bytes, second: bytes) -> bytes:
    """The split-view proof of two checkpoint notes of one size with different roots."""
    smaller, larger = sorted((first, second), key=lambda note: Checkpoint.parse(Note.parse(note).text).root)
    return split_checkpoints(smaller, larger)


def _refuse(status: int, reason: str) -> Answer:
    return Answer(status, " ".join(reason.split()).encode("utf-8", "replace") + b"\n")
