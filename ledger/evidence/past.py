"""The state as of an earlier entry, from the complete history of the records that matter (DESIGN sections 5 and 8).

No old state is kept anywhere. What a record held before entry i follows from the statements that touched it before i,
each put through the transition function again, signature included, on top of the state that it found. So the question
"was the issuer entitled then" is answered by the very function that admitted the statement, run over the few records
that it reads, however long the log is.

Trusts that `History` leaves no touch out; every record's `touches` and `head` make an omission visible against a record
that is proven or current. Two kinds of record are not run again, because one statement alone gives them: the open batch
(from the manifest before the entry) and the counter of an issuer's status indexes (each touch adds one).
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import Final, Protocol, TypeVar

from ledger.errors import LedgerError, MalformedError, Rejection
from ledger.state.records import (
    KIND_OF,
    ZERO_HEAD,
    BatchRecord,
    Part,
    Record,
    StatusIndexRecord,
    record_key,
)
from ledger.state.transition import transition, verify_signature
from ledger.state.view import Changes, Place, Verify
from ledger.statements import Statement, decode_statement

R = TypeVar("R")

BUDGET: Final = 4_096
"""Statements run again for one question; a longer history is not judged here."""
MAX_DEPTH: Final = 48
"""How many statements may rest on one another: enrollers, parents of delegations. Bounds the stack."""
_PAGE: Final = 1_000


class History(Protocol):
    """What is asked of a log: entries, and which of them touched a record."""

    def touches(self, key: bytes, start: int, limit: int) -> list[int]:
        """Indexes of the entries that touched the record under `key`, from the `start`-th (the first is 1) on."""
        ...

    def entry(self, index: int) -> bytes:
        """Bytes of an entry."""
        ...

    def manifest_before(self, index: int) -> tuple[int, int] | None:
        """(batch number, entry index) of the last manifest below entry `index`, None where there is none."""
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
        self._touches: dict[bytes, tuple[list[int], bool]] = {}

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
        kind, *parts = place
        if kind is BatchRecord:
            return self._batch(before)
        key = record_key(KIND_OF[kind], *parts)
        touches = self._touches_before(key, before)
        if not touches:
            return None
        if kind is StatusIndexRecord:
            return StatusIndexRecord(len(touches), ZERO_HEAD, touches[-1], len(touches))
        for index in touches:  # in order, so that each finds the one before it decided and the stack stays flat
            self._run(index)
        record = self._decided[touches[-1]].get(place)
        if record is None:
            where = f"entry {touches[-1]}"
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
            self._decided[index] = self.decide(decode_statement(self._history.entry(index)), index)
        except (Rejection, MalformedError) as error:
            raise BrokenHistoryError(
                f"The log holds an entry that its rules refuse: {error.detail}", where=f"entry {index}"
            ) from error
        finally:
            self._depth -= 1

    def _batch(self, before: int) -> BatchRecord | None:
        found = self._history.manifest_before(before)
        if found is None:
            if before == 0:
                return None
            genesis = decode_statement(self._history.entry(0))
            return BatchRecord(1, ZERO_HEAD, 0, 0, genesis.iat, 0)
        number, index = found
        manifest = decode_statement(self._history.entry(index))
        if manifest.type != "manifest" or manifest.subject[1] != number or index >= before:
            raise BrokenHistoryError("The history names a manifest that is none", where=f"entry {index}")
        return BatchRecord(number + 1, ZERO_HEAD, index, number, manifest.iat, index + 1)

    def _touches_before(self, key: bytes, before: int) -> list[int]:
        held, complete = self._touches.get(key, ([], False))
        while not complete and (not held or held[-1] < before):
            if len(held) > self._left + len(self._decided):
                raise TooLongError("The history of what this rests on is too long to be judged in one request")
            page = self._history.touches(key, len(held) + 1, _PAGE)
            if any(later <= earlier for earlier, later in pairwise([*held[-1:], *page])):
                raise BrokenHistoryError("The history of a record is not in order", where=key.hex())
            held, complete = held + page, len(page) < _PAGE
            self._touches[key] = held, complete
        return held[: bisect_left(held, before)]


class PastView:
    """The state that one entry found: a `View` for the transition function."""

    __slots__ = ("_before", "_past")

    def __init__(self, past: Past, before: int) -> None:
        self._past = past
        self._before = before

    def read(self, kind: type[R], *parts: Part) -> R | None:
        """What the record held; errors as `Past.record`."""
        return self._past.record((kind, *parts), self._before)  # type: ignore[return-value]
