"""What was ever said of one thing, and what held at a time as far as it was known at another (DESIGN sections 4, 5).

Owns the meaning of "as of T, known at K". Both are Unix seconds of log time. An entry's *log time* is the time in the
last manifest before it; an entry is known at K when its log time is not after K. Two kinds of change are told apart:

* A *status* (state, reason, who set it) carries the time from which it holds, its `effective`, which may lie before its
  log time: a revocation may reach back to the day the thing came to be. At T holds the status of the newest entry known
  at K whose effective time is not after T. So what is logged later overrides what was logged before, from its own
  effective time on, and leaves what lies before that as it was. A thing did not exist before the log time of its first
  entry.
* Everything else (holder, generation, scope, roles) holds from the log time of the entry that changed it.

Keys of an actor carry their own times; at T they are those known at K, a rotation whose delay ended by T carried out.
Expiry is computed, by `state_of`. With T after K the answer is a forecast: what the log knew at K, looked at with T on
the clock. A record's own status says nothing of what it stands on: a credential's identifier has a timeline of its own.

Nothing of the rules is written again here: what a record held after each entry comes from `ledger.evidence.past`, which
runs the transition function. Pure. Trusts the list of entries; `ledger.evidence.whole` shows that it is complete.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ledger.evidence.messages import Said, told
from ledger.evidence.past import BrokenHistoryError, History, Past
from ledger.evidence.standing import log_time
from ledger.state.records import KIND_OF, ActorRecord, LogRecord, Record
from ledger.state.rendering import jsonable
from ledger.state.rules1.context import put_in_force
from ledger.state.view import Place
from ledger.statements import Statement

NONE: Final = "none"
"""The state of what did not exist, or was not known."""
_ENDED: Final = frozenset({"revoked", "retired", "withdrawn"})
_STATUS: Final = ("state", "role", "effective", "logged", "reason")
_COUNTERS: Final = frozenset({"touches", "head", "last"})


@dataclass(frozen=True, slots=True)
class Change:
    """One entry about a thing: its index, its log time, the statement, and the record before and after it.

    `doubt` says why not to believe its signature, where its key was reported as compromised.
    """

    index: int
    logged: int
    statement: Statement
    before: Any
    after: Any
    doubt: Said | None = None

    @property
    def sets_status(self) -> bool:
        """Whether it set the record's status, or made the record anew."""
        return self.before is None or _status(self.before) != _status(self.after)

    @property
    def effective(self) -> int:
        """From when what it did holds: a status may reach back, all else holds from log time."""
        return int(getattr(self.after, "effective", self.logged)) if self.sets_status else self.logged

    @property
    def role(self) -> str:
        """The role that the statement says its issuer acted in; empty where its type names none."""
        return str(self.statement.claims.get("role", ""))

    @property
    def changed(self) -> dict[str, tuple[Any, Any]]:
        """Members of the record with their values before (None: there was no record) and after; counters left out."""
        old = {} if self.before is None else self.before._asdict()
        new = self.after._asdict()
        return {
            name: (old.get(name), value)
            for name, value in new.items()
            if name not in _COUNTERS and (self.before is None or old[name] != value)
        }

    def as_json(self) -> dict[str, Any]:
        """The change as a JSON object."""
        st = self.statement
        return {
            "index": self.index,
            "type": st.type,
            "sub": st.sub,
            "iss": st.iss,
            "role": self.role,
            "log_time": self.logged,
            "effective": self.effective,
            "state": stored_state(self.after),
            "reason": getattr(self.after, "reason", "") if self.sets_status else "",
            "changed": {name: [jsonable(old), jsonable(new)] for name, (old, new) in self.changed.items()},
            "leaf": st.leaf.hex(),
            "doubt": None if self.doubt is None else told(self.doubt),
        }


class AsOf(NamedTuple):
    """What held at `at`, as known at `known`; `by` set the status. It and `record` are None where `state` is none."""

    at: int
    known: int
    state: str
    record: Any = None
    by: Change | None = None

    def as_json(self) -> dict[str, Any]:
        """The answer as a JSON object; what plays no part is left out."""
        shown: dict[str, Any] = {"at": self.at, "known": self.known, "state": self.state}
        if self.by is not None:
            shown |= {"since": self.since, "known_since": self.by.logged, "entry": self.by.index}
            shown |= {"iss": self.by.statement.iss, "record": jsonable(self.record._asdict())}
        return shown

    @property
    def since(self) -> int:
        """From when this state holds: for one that is computed, from when the period began or ended it."""
        if self.state == "expired":
            return int(self.record.exp)
        return 0 if self.by is None else self.by.effective


@dataclass(frozen=True)
class Timeline:
    """All changes of one record in the log's order, up to the checkpoint of `size`, and its log time."""

    place: Place
    changes: tuple[Change, ...]
    size: int
    log_time: int

    @property
    def kind(self) -> str:
        """Kind of the record."""
        return KIND_OF[self.place[0]]

    @property
    def record(self) -> Any:
        """The record at the checkpoint."""
        return self.changes[-1].after

    def as_json(self) -> dict[str, Any]:
        """The timeline as a JSON object; `head` and `count` are those of the record at the checkpoint."""
        return {
            "kind": self.kind,
            "name": [jsonable(part) for part in self.place[1:]],
            "count": len(self.changes),
            "head": self.record.head.hex(),
            "state": state_of(self.record, self.log_time),
            "entries": [change.as_json() for change in self.changes],
        }


def read_timeline(past: Past, history: History, place: Place, size: int) -> Timeline:
    """Put together what happened to the record at `place` in the entries below the manifest at `size` - 1.

    Raises:
        TooLongError, BrokenHistoryError, MissingEvidenceError: as `Past.record` and the history.

    """
    changes: list[Change] = []
    before: Record | None = None
    for index, after in past.states(place, size - 1):
        statement = history.statement(index)
        logged = log_time(past.before(index)) if index else statement.iat
        if changes and logged < changes[-1].logged:
            raise BrokenHistoryError("Log time goes backwards", where=f"entry {index}")
        changes.append(Change(index, logged, statement, before, after))
        before = after
    return Timeline(place, tuple(changes), size, history.statement(size - 1).iat)


def as_of(timeline: Timeline, at: int, known: int | None = None) -> AsOf:
    """Answer what held at `at`, as far as the log knew at `known` (default: at the checkpoint).

    Entries' log times never fall, so what is known at a time is a beginning of the list.
    """
    until = timeline.log_time if known is None else known
    changes = timeline.changes
    told_by_then = changes[: bisect_right(changes, until, key=lambda change: change.logged)]
    there = told_by_then[: bisect_right(told_by_then, at, key=lambda change: change.logged)]
    if not there:
        return AsOf(at, until, NONE)
    by = next(change for change in reversed(told_by_then) if change.sets_status and change.effective <= at)
    record = _with_status(there[-1].after, by.after)
    if isinstance(record, ActorRecord):
        newest: ActorRecord = told_by_then[-1].after
        record = record._replace(keys=newest.keys, pending=newest.pending)
        if record.pending is not None and record.pending.effective <= at:
            record = put_in_force(record, record.pending)
    return AsOf(at, until, state_of(record, at), record, by)


def state_of(record: Any, time: int) -> str:
    """The state of a record at log time `time`: what was decided once for all, then its period, then what is stored."""
    state = stored_state(record)
    exp, nbf = getattr(record, "exp", None), getattr(record, "nbf", None)
    if state in _ENDED:
        return state
    if exp is not None and time >= exp:
        return "expired"
    if nbf is not None and time < nbf:
        return "not-yet-valid"
    return state


def stored_state(record: Any) -> str:
    """The state that a record itself says, whatever its period."""
    if isinstance(record, LogRecord):
        return "open" if record.successor is None else "sealed"
    return str(getattr(record, "state", "enrolled"))


def _status(record: Any) -> tuple[Any, ...]:
    """What makes a record's status, and the generation: a thing that is registered anew has a status of its own."""
    return (stored_state(record), *(getattr(record, name, None) for name in (*_STATUS[1:], "generation")))


def _with_status(record: Any, status: Any) -> Any:
    """The record with the status of another."""
    names = [name for name in _STATUS if name in record._fields]
    return record._replace(**{name: getattr(status, name) for name in names})
