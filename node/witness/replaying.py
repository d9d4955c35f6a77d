"""The replaying witness: runs the rules over every entry before it vouches for the state that a manifest claims.

Follows the log by its URL, every entry checked against the signed root, and feeds it through the one transition
function, signatures included, into an index of its own. A checkpoint is cosigned only when its last leaf is a manifest,
no entry is refused, the state root of every manifest is the one computed here, and the manifest's time lies within the
log's own skew of this machine's clock (DESIGN section 6). A checkpoint that was cosigned before is only vouched for
anew: nothing in it changed.

What was replayed was under some signed checkpoint, kept in `followed.note` before the first entry of it is read. If a
later checkpoint is not an extension of that one, the two prove that the log forked. A violation is believed only when
an index built from entry 0 in one go shows it: a damaged index must not accuse anybody. It stays: while a `violation-*`
file is in the log's evidence folder, nothing of that log is cosigned.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from ledger.errors import CorruptError, MalformedError, UnavailableError
from ledger.evidence.split_view import prefix_of, split_checkpoints
from ledger.evidence.violation import MAX_REASON, LoggedEntry, Violation
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import MAX_NOTE, Note
from ledger.state.records import BatchRecord, LogRecord
from ledger.state.transition import verify_signature
from ledger.state.view import Overlay, Verify
from ledger.statements import decode_statement
from ledger.store.durable import make_directories, read_bounded, replace_file
from ledger.store.index import Index
from ledger.store.replay import replay
from node.follower import Followed, HttpLog
from node.witness.folder import KnownLog
from node.witness.witness import ViolationError, split_of_one_size

log = logging.getLogger(__name__)

FOLLOWED: Final = "followed.note"
TIMEOUT: Final = 10.0


class Replayer:
    """The examiner of a replaying witness; for each log one index, open while the witness runs."""

    def __init__(self, *, verify: Verify = verify_signature, timeout: float = TIMEOUT) -> None:
        self._verify = verify
        self._timeout = timeout
        self._indexes: dict[str, Index] = {}

    def examine(self, known: KnownLog, checkpoint: Checkpoint, note: bytes, now: Callable[[], int]) -> None:
        """Return if the checkpoint may be cosigned.

        Raises:
            ViolationError: the log broke its rules, forked, or its manifest's time is not now.
            UnavailableError, UnverifiedError: the log does not serve what it signed; ask again.
            UnknownRulesError: this program cannot run the log's rules.

        """
        _refuse_known(known)
        state = known.state
        if state.checkpoint and (checkpoint.size, checkpoint.root) == (state.size, state.root):
            return
        if not checkpoint.size:
            raise ViolationError("a log signs nothing before its first manifest", where=checkpoint.origin)
        with HttpLog(known.url, timeout=self._timeout) as source:
            followed = Followed(source.fetch, checkpoint.size, checkpoint.root)
            case = _Case(known, checkpoint, note, followed, now)
            self._require_no_fork(case, source)
            if decode_type(followed.entry(checkpoint.size - 1)) != "manifest":
                raise case.violation(
                    f"checkpoint-{checkpoint.size}", "the last leaf under the checkpoint is no manifest"
                )
            self._replay(case)
            self._require_now(case)

    def close(self) -> None:
        """Close the indexes."""
        for index in self._indexes.values():
            index.close()
        self._indexes.clear()

    # -- the log's history --------------------------------------------------------------------------------------------

    def _require_no_fork(self, case: _Case, source: HttpLog) -> None:
        """The checkpoint that was followed last, cosigned or not, must agree with this one; then this one is noted."""
        path = case.known.folder / FOLLOWED
        held = read_bounded(path, MAX_NOTE)
        if held is None:
            self._forget(case.known)  # whatever the index holds, nobody knows under which root
        else:
            before = Checkpoint.parse(Note.parse(held).text)
            if before.size > case.checkpoint.size:
                larger = Followed(source.fetch, before.size, before.root)
                _require_prefix(case.checkpoint, case.note, larger, held)
                raise UnavailableError(
                    f"a checkpoint of size {before.size} was examined already", remedy="Submit the newest checkpoint"
                )
            _require_prefix(before, held, case.followed, case.note)
        make_directories(path.parent)
        replace_file(path, case.note)

    def _replay(self, case: _Case) -> None:
        """Bring the index to the checkpoint's size."""
        try:
            self._run(case)
        except CorruptError as error:
            log.warning("the replay is done again from entry 0", extra={"error": error.explain()})
            self._forget(case.known)
            try:
                self._run(case)
            except CorruptError as again:
                if case.reached is None or not again.where.startswith("entry "):
                    raise UnavailableError(f"the index cannot be used: {again.detail}", where=again.where) from again
                raise case.violation(f"violation-{case.reached}", again.detail, case.reached) from again

    def _run(self, case: _Case) -> None:
        index, size = self._index(case.known), case.checkpoint.size
        if index.covers > size:
            raise CorruptError(f"the index covers {index.covers} entries, more than were followed", where="index")
        batch = Overlay(index.record).read(BatchRecord)
        first = 0 if batch is None else batch.first
        counts = Counter(decode_type(entry) for entry in case.followed.entries(first, index.covers))
        replay(index, case.entries(index.covers), verify=self._verify, counts=counts)

    def _require_now(self, case: _Case) -> None:
        view = Overlay(self._index(case.known).record)
        parameters, batch = view.read(LogRecord), view.read(BatchRecord)
        assert parameters is not None  # a replayed log begins with its genesis, and ends here with a manifest
        assert batch is not None
        if parameters.origin != case.checkpoint.origin:
            raise case.violation("origin", f"the genesis names the origin {parameters.origin!r}", 0)
        apart = batch.time - case.now()
        if abs(apart) > parameters.skew:
            raise case.violation(
                f"time-{case.checkpoint.size}",
                f"the manifest's time is {apart} s from this witness's clock, the log allows {parameters.skew} s",
            )

    def _index(self, known: KnownLog) -> Index:
        key = str(known.folder)
        if key not in self._indexes:
            try:
                self._indexes[key] = Index.open(known.folder / "index")
            except CorruptError as error:
                log.warning("the index is built anew", extra={"error": error.explain()})
                Index.destroy(known.folder / "index")
                self._indexes[key] = Index.open(known.folder / "index")
        return self._indexes[key]

    def _forget(self, known: KnownLog) -> None:
        """Destroy the index: it is built anew from entry 0."""
        index = self._indexes.pop(str(known.folder), None)
        if index is not None:
            index.close()
        Index.destroy(known.folder / "index")


class _Case:
    """One checkpoint under examination."""

    def __init__(
        self, known: KnownLog, checkpoint: Checkpoint, note: bytes, followed: Followed, now: Callable[[], int]
    ) -> None:
        self.known = known
        self.checkpoint = checkpoint
        self.note = note
        self.followed = followed
        self.now = now
        self.reached: int | None = None
        """The entry that the rules were given last."""

    def entries(self, start: int) -> Iterator[bytes]:
        for index, entry in enumerate(self.followed.entries(start, self.checkpoint.size), start):
            self.reached = index
            yield entry

    def violation(self, name: str, reason: str, offending: int | None = None) -> ViolationError:
        """The error with its evidence; UnavailableError instead where the log serves no more what is needed for it."""
        last = self.checkpoint.size - 1
        shown = None if offending is None else self._logged(offending)
        sentence = "".join(sign if " " <= sign <= "~" else "?" for sign in reason)[:MAX_REASON]  # it quotes the log
        told = Violation(sentence, self.now(), self.note, self._logged(last), shown)
        where = self.checkpoint.origin if offending is None else f"{self.checkpoint.origin}, entry {offending}"
        return ViolationError(reason, where=where, name=name, evidence=told.encode())

    def _logged(self, index: int) -> LoggedEntry:
        return LoggedEntry(index, self.followed.entry(index), tuple(self.followed.inclusion(index)))


def _require_prefix(smaller: Checkpoint, note: bytes, larger: Followed, larger_note: bytes) -> None:
    """Two checkpoints that the log signed must be of one history; else both together are a split-view proof."""
    if larger.root(smaller.size) == smaller.root:
        return
    if smaller.size == larger.size:
        evidence = split_of_one_size(note, larger_note)
    else:
        evidence = split_checkpoints(note, larger_note, prefix_of(smaller.size, larger.size, larger.nodes().get_node))
    raise ViolationError(
        f"the log forked: it signed size {smaller.size} and size {larger.size} of different histories",
        where=smaller.origin,
        name=f"violation-split-view-{smaller.size}",
        evidence=evidence,
    )


def _refuse_known(known: KnownLog) -> None:
    found = sorted((known.folder / "evidence").glob("violation-*"))
    if found:
        raise ViolationError("this log broke its rules before", where=found[0].name)


def decode_type(entry: bytes) -> str:
    """The type of a logged statement; "" for bytes that are none."""
    try:
        return decode_statement(entry).type
    except MalformedError:
        return ""
