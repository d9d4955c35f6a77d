"""The state as of an earlier entry, from the complete history of the records that matter (DESIGN sections 5 and 8).

No old state is kept anywhere. What a record held before entry i follows from the statements that touched it before i,
each put through the transition function again, signature included, on top of the state that it found. So the question
"was the issuer entitled then" is answered by the very function that admitted the statement, run over the few records
that it reads, however long the log is.

Trusts that `History` leaves no touch out; every record's `touches` and `head` make an omission visible against a record
that is proven or current. Two kinds of record are not run again, because one statement alone gives them: the open batch
(from the manifest before the entry, or the one that closes its batch) and the counter of an issuer's status indexes,
which no rule looks at (the credential's own record says which index it took; the history would be as long as the
issuer's work). Records of keys are not looked at: that no key belongs to two parties is a matter of the whole log,
which auditors and witnesses that replay it check, and no question of who was entitled to an act.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import Any, Final, Protocol, TypeVar

from ledger.errors import LedgerError, MalformedError, Rejection
from ledger.state.records import (
    KIND_OF,
    ZERO_HEAD,
    BatchRecord,
    KeyRecord,
    Part,
    Record,
    StatusIndexRecord,
)
from ledger.state.transition import transition, verify_signature
from ledger.state.view import Changes, Place, Verify
from ledger.statements import Statement

R = TypeVar("R")

BUDGET: Final = 4_096
"""Statements run again for one question; a longer history is not judged here."""
MAX_DEPTH: Final = 48
"""How many statements may rest on one another: enrollers, parents of delegations. Bounds the stack."""
_PAGE: Final = 1_000
_COUNTERS: Final = 3
"""Members that every record begins with: touches, head, last."""


class History(Protocol):
    """What is asked of a log: entries, and which of them touched a record."""

    def touches(self, place: Place, start: int, limit: int) -> list[int]:
        """Indexes of the entries that touched the record at `place`, from the `start`-th (the first is 1) on."""
        ...

    def statement(self, index: int) -> Statement:
        """An entry, decoded."""
        ...

    def batch_before(self, index: int) -> BatchRecord | None:
        """The open batch and log time that entry `index` found, None for entry 0; heads are not asked for."""
        ...

    def status_index(self, index: int) -> int:
        """The status index that the certification at entry `index` took; 0 where that is not known."""
        ...


class TooLongError(LedgerError):
    """The history is too long, or too deep, to be judged within the bounds of one question."""

    code = "history-too-long"


class BrokenHistoryError(LedgerError):
    """An admitted entry is refused when it is run again: the log broke its rules, or the history lacks a touch."""

    code = "history-broken"


class Past:
    """Answers what a record held before an entry. One object a question: what it ran again, it remembers."""

    def __init__(self, history: History, *, verify: Verify = verify_signature, budget: int = BUDGET) -> None:
        self._history = history
        self._verify = verify
        self._left = budget
        self._depth = 0
        self._decided: dict[int, Changes] = {}
        self._touches: dict[Place, tuple[list[int], bool]] = {}
        self._run_so_far: dict[Place, int] = {}
        self._reads: dict[int, set[Place]] = {}

    def statement(self, index: int) -> Statement:
        """An entry, decoded; errors as the history's."""
        return self._history.statement(index)

    def before(self, index: int) -> PastView:
        """The state that entry `index` found."""
        return PastView(self, index)

    def decide(self, statement: Statement, index: int) -> Changes:
        """Run the transition function for a statement as entry `index`; raises its Rejection."""
        return transition(self.before(index), statement, index, self._verify)

    def record(self, place: Place, before: int) -> Record | None:
        """What the record at `place` held when entry `before` was decided, None where it did not exist.

        Raises:
            TooLongError: more than the budget would have to be run again.
            BrokenHistoryError: an entry on the way is refused.

        """
        kind = place[0]
        if kind is BatchRecord:
            return self._history.batch_before(before)
        if kind is KeyRecord:
            return None
        if kind is StatusIndexRecord:
            taken = self._history.status_index(before)
            return StatusIndexRecord(taken, ZERO_HEAD, 0, taken) if taken else None
        self._reads.setdefault(before, set()).add(place)
        touches = self._run_all(place, before)
        return self._after(touches[-1], place) if touches else None

    def states(self, place: Place, before: int) -> list[tuple[int, Record]]:
        """Every entry below `before` that touched the record, with what the record held after it.

        Not for the kinds that one statement alone gives (see the module). Errors as `record`.
        """
        return [(index, self._after(index, place)) for index in self._run_all(place, before)]

    def supports(self, index: int) -> list[int]:
        """Entries that gave the records that entry `index` read what they held, and what those rest on; ascending.

        Only what was read until now is known. An entry that touched a record and changed nothing but its counters gave
        it nothing.
        """
        found: set[int] = set()
        changed: dict[Place, list[int]] = {}
        waiting = [index]
        while waiting:
            at = waiting.pop()
            for place in self._reads.get(at, ()):
                if place not in changed:
                    changed[place] = self._changed(place)
                known = changed[place]
                given = {earlier for earlier in known[: bisect_left(known, at)] if earlier not in found}
                found |= given
                waiting += given
        return sorted(found)

    def _changed(self, place: Place) -> list[int]:
        """Of the entries run again those that changed what the record holds, its counters aside."""
        changed: list[int] = []
        content: tuple[Any, ...] | None = None
        for index in self._touches.get(place, ([], True))[0]:
            if index not in self._decided:
                break
            following = tuple(self._after(index, place))[_COUNTERS:]
            if following != content:
                changed.append(index)
            content = following
        return changed

    def _run_all(self, place: Place, before: int) -> list[int]:
        touches = self._touches_before(place, before)
        for number in range(self._run_so_far.get(place, 0), len(touches)):
            # In order, so that each finds the one before it decided and the stack stays flat.
            self._run(touches[number])
            self._run_so_far[place] = number + 1
        return touches

    def _after(self, index: int, place: Place) -> Record:
        record = self._decided[index].get(place)
        if record is None:
            where = f"entry {index}"
            raise BrokenHistoryError("The history names an entry that does not touch the record", where=where)
        return record

    def _run(self, index: int) -> None:
        if index in self._decided:
            return
        if self._left <= 0 or self._depth >= MAX_DEPTH:
            raise TooLongError("The history of what this rests on is too long to be judged in one request")
        self._left -= 1
        self._depth += 1
        try:
            self._decided[index] = self.decide(self._history.statement(index), index)
        except (Rejection, MalformedError) as error:
            raise BrokenHistoryError(
                f"The log holds an entry that its rules refuse: {error.detail}", where=f"entry {index}"
            ) from error
        finally:
            self._depth -= 1

    def _touches_before(self, place: Place, before: int) -> list[int]:
        held, complete = self._touches.get(place, ([], False))
        while not complete and (not held or held[-1] < before):
            if len(held) > self._left + len(self._decided):
                raise TooLongError("The history of what this rests on is too long to be judged in one request")
            page = self._history.touches(place, len(held) + 1, _PAGE)
            if any(later <= earlier for earlier, later in pairwise([*held[-1:], *page])):
                raise BrokenHistoryError("The history of a record is not in order", where=KIND_OF[place[0]])
            held, complete = held + page, len(page) < _PAGE
            self._touches[place] = held, complete
        return held[: bisect_left(held, before)]


def batch_after(manifest: Statement, index: int) -> BatchRecord:
    """The batch that is open, and log time, after the manifest at entry `index`; heads left out.

    Raises:
        BrokenHistoryError: the statement is no manifest.

    """
    if manifest.type != "manifest":
        raise BrokenHistoryError("The history names a manifest that is none", where=f"entry {index}")
    number = manifest.subject[1]
    return BatchRecord(number + 1, ZERO_HEAD, index, number, manifest.iat, index + 1)


def first_batch(genesis: Statement) -> BatchRecord:
    """The batch that is open, and log time, after the genesis; heads left out."""
    return BatchRecord(1, ZERO_HEAD, 0, 0, genesis.iat, 0)


class PastView:
    """The state that one entry found: a `View` for the transition function."""

    __slots__ = ("_before", "_past")

    def __init__(self, past: Past, before: int) -> None:
        self._past = past
        self._before = before

    def read(self, kind: type[R], *parts: Part) -> R | None:
        """What the record held; errors as `Past.record`."""
        return self._past.record((kind, *parts), self._before)  # type: ignore[return-value]
