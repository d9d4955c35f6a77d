"""The whole history of a thing: steps 4, 11 and 13 where the question is what was ever said of it.

Owns which records such a question is about, and what shows that no statement is missing: the record that the state
proof proves (step 7) counts its touches and chains their leaf hashes, so a list that leaves one out does not fit. Every
statement of the list is run through the rules again, and what comes of the last must be the proven record. As with
`ledger.evidence.story`, the verifier asks a bundle, and the maker of bundles asks the log and puts in what was read.

Step 13 is the list's completeness and the state that it leads to, which may be "revoked" and still be valid: what is
claimed is the history. Step 4 tells of signatures by keys that were reported as compromised and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from ledger.errors import LedgerError, MalformedError
from ledger.evidence.messages import Said, say
from ledger.evidence.past import BUDGET, BrokenHistoryError, History, Past, TooLongError
from ledger.evidence.report import Step, Verdict
from ledger.evidence.standing import BY_HISTORY, compromised
from ledger.evidence.story import capped, places_of
from ledger.evidence.timeline import Change, Timeline, read_timeline, state_of
from ledger.state.records import KIND_OF, CredentialRecord, IdentifierRecord, LogRecord
from ledger.state.view import Place, View
from ledger.statements import subjects

REMEDY: Final = "Mirror the log and audit it (tial mirror, tial audit): there the whole history is, however long"


@dataclass(frozen=True)
class Whole:
    """What was ever said of `about`: the thing's own timeline first, then those of what it stands on."""

    about: str
    size: int
    log_time: int
    timelines: tuple[Timeline, ...]

    def as_json(self) -> dict[str, Any]:
        """The history as a JSON object."""
        shown = [timeline.as_json() for timeline in self.timelines]
        return {"subject": self.about, "size": self.size, "log_time": self.log_time, "timelines": shown}


class WholeStory(NamedTuple):
    """What the question is asked through. `backing` says who vouches for the state."""

    view: View
    past: Past
    history: History
    backing: tuple[Said, ...] = ()

    def read(self, about: str, index: int, size: int) -> Whole:
        """The whole history of `about`, the subject of entry `index`, in the log of `size`, which ends in a manifest.

        Raises:
            MalformedError: nothing is kept of such a subject: a batch.
            TooLongError: more statements than are run again for one question; the remedy says how else.
            BrokenHistoryError: a list is not the whole of it, or the rules refuse one of its statements.
            MissingEvidenceError: something needed is not there.

        """
        places = self._places(about)
        for place in places:
            self._complete(place)
        try:
            timelines = tuple(self._timeline(place, size) for place in places)
        except TooLongError as error:
            raise TooLongError(error.detail, where=about, remedy=REMEDY) from error
        if not any(change.index == index for timeline in timelines for change in timeline.changes):
            raise BrokenHistoryError("The history lacks an entry about the subject", where=f"entry {index}")
        return Whole(about, size, self.history.statement(size - 1).iat, timelines)

    def steps(self, about: str, index: int, size: int) -> tuple[list[Step], Whole | None]:
        """Steps 4, 11 and 13, and the history where 11 and 13 found no fault in it."""
        try:
            for place in self._places(about):
                self._complete(place)
        except BrokenHistoryError as error:
            return [Step(13, Verdict.INVALID, say("history_lacks", why=error.explain()), self.backing, size)], None
        except LedgerError as error:
            return [Step(13, Verdict.CANNOT_TELL, say("missing", why=error.explain()))], None
        try:
            whole = self.read(about, index, size)
        except BrokenHistoryError as error:
            return [Step(11, Verdict.INVALID, say("then_broken", why=error.explain()), (BY_HISTORY,), size)], None
        except LedgerError as error:
            return [Step(11, Verdict.CANNOT_TELL, say("missing", why=error.explain()))], None
        found = self._told(whole)
        return (found if self.backing else [capped(step) for step in found]), whole

    def _places(self, about: str) -> list[Place]:
        """The records that are there of a subject, and for a credential that of its identifier."""
        kind = subjects.parse(about)[0]
        if kind == "batch":
            raise MalformedError("A batch is one entry, its manifest: it has no history", where=about[:80])
        places = places_of(about) or [(LogRecord,)]
        there = [place for place in places if self.view.read(*place) is not None]
        if not there:
            raise BrokenHistoryError("There is no record of it", where=about[:80])
        credential = self.view.read(CredentialRecord, about) if kind == "credential" else None
        return there if credential is None else [*there, (IdentifierRecord, credential.identifier)]

    def _complete(self, place: Place) -> None:
        """Read the list of a record's touches, which the history holds against the record's count and head."""
        record: Any = self.view.read(*place)
        if record is None:
            raise BrokenHistoryError("There is no record of what it stands on", where=KIND_OF[place[0]])
        if record.touches > BUDGET:
            detail = f"There are {record.touches} statements; a bundle shows at most {BUDGET}"
            raise TooLongError(detail, where=KIND_OF[place[0]], remedy=REMEDY)
        self.history.touches(place, 1, BUDGET)

    def _timeline(self, place: Place, size: int) -> Timeline:
        timeline = read_timeline(self.past, self.history, place, size)
        if not timeline.changes or timeline.record != self.view.read(*place):
            where = f"entry {timeline.changes[-1].index}" if timeline.changes else KIND_OF[place[0]]
            raise BrokenHistoryError("The statements do not lead to the record that is proven", where=where)
        return replace(timeline, changes=tuple(self._doubted(change) for change in timeline.changes))

    def _doubted(self, change: Change) -> Change:
        doubt = compromised(self.view, change.statement, change.logged)
        return change if doubt is None else replace(change, doubt=doubt)

    def _told(self, whole: Whole) -> list[Step]:
        changes = [change for timeline in whole.timelines for change in timeline.changes]
        doubts = [change for change in changes if change.doubt is not None]
        count, size = len({change.index for change in changes}), whole.size
        own = whole.timelines[0]
        rests = (BY_HISTORY, *self.backing)
        signed = Step(4, Verdict.VALID, say("history_signed", count=count), rests, size)
        if doubts:
            why = doubts[0].doubt
            signed = Step(4, Verdict.INVALID, say("history_doubt", index=doubts[0].index, why=why), self.backing, size)
        admitted = Step(11, Verdict.VALID, say("history_admitted", count=count), rests, size)
        state = state_of(own.record, whole.log_time)
        complete = say("history_complete", count=len(own.changes), about=whole.about, state=state)
        return [signed, admitted, Step(13, Verdict.VALID, complete, self.backing, size, whole.log_time)]
