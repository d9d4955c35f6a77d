"""Steps 11, 12 and 13: was the issuer entitled, is it now, and what is the state of the thing (DESIGN section 8).

Step 11 runs the transition function again over the history of the records involved (`ledger.evidence.past`). Steps 12
and 13 read current records through a view; where these come from an operator without a state proof, the caller says so
in `rests_on`. Expiry is computed against log time, never stated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ledger.errors import LedgerError, Rejection
from ledger.evidence.past import BrokenHistoryError, Past, TooLongError
from ledger.evidence.report import Step, Verdict
from ledger.state.places import place_of_statement
from ledger.state.records import (
    AccreditationRecord,
    ActorRecord,
    BatchRecord,
    CredentialRecord,
    DelegationRecord,
    IdentifierRecord,
    LogRecord,
    ReconfirmedRecord,
    TemplateRecord,
)
from ledger.state.rules1.standing import JUDGED, check_standing
from ledger.state.transition import verify_signature
from ledger.state.view import View
from ledger.statements import Statement

STANDING: Final = {1: check_standing}
"""The check of step 12 for each version of the rules."""
BY_HISTORY: Final = "this log's entries, run through the rules again with every signature checked"
LIVE_STATES: Final = frozenset({"active", "live", "approved"})


def log_time(view: View) -> int:
    """Log time in this view: the time of the last manifest, 0 before the first."""
    batch = view.read(BatchRecord)
    return 0 if batch is None else batch.time


def entitled_then(past: Past, statement: Statement, index: int) -> Step:
    """Step 11: the rules admit the statement as entry `index`, on the state that it found."""
    try:
        time = log_time(past.before(index))
        past.decide(statement, index)
    except Rejection as error:
        reason = f"The rules refuse it as entry {index}: {error.explain()} [{error.reason}]"
        return Step(11, Verdict.INVALID, reason, (BY_HISTORY,), index, time)
    except BrokenHistoryError as error:  # log or index is at fault, which says nothing about this statement
        return Step(11, Verdict.CANNOT_TELL, f"The history does not hold together: {error.explain()}", (), index)
    except TooLongError as error:
        return Step(11, Verdict.CANNOT_TELL, error.explain(), (), index)
    except LedgerError as error:  # an entry cannot be read, or rules that this program does not know
        return Step(11, Verdict.CANNOT_TELL, f"The history cannot be read: {error.explain()}", (), index)
    reason = f"{statement.iss} was entitled to this act when it became entry {index}"
    return Step(11, Verdict.VALID, reason, (BY_HISTORY,), index, time)


def entitled_now(view: View, statement: Statement, rests_on: tuple[str, ...]) -> Step | None:
    """Step 12: the issuer could do the like at log time; None for types that rest on no right that may end."""
    log = view.read(LogRecord)
    if statement.type not in JUDGED or log is None:
        return None
    time = log_time(view)
    check = STANDING.get(log.rules)
    if check is None:
        return Step(12, Verdict.CANNOT_TELL, f"This program does not know rules version {log.rules}", (), None, time)
    try:
        check(view, statement, log, verify_signature)
    except Rejection as error:
        return Step(12, Verdict.INVALID, f"{error.explain()} [{error.reason}]", rests_on, None, time)
    return Step(12, Verdict.VALID, f"{statement.iss} is entitled to such acts", rests_on, None, time)


def compromised(view: View, statement: Statement, time: int) -> str | None:
    """Why not to believe a signature made at log time `time`: its key was reported as bad from then or earlier."""
    actor = view.read(ActorRecord, statement.iss)
    for key in () if actor is None else actor.keys:
        if key.kid == statement.kid and key.bad is not None and key.bad <= time:
            if view.read(ReconfirmedRecord, statement.iss, statement.leaf) is not None:
                return None
            return f"Key {key.kid.hex()} was reported as compromised from {key.bad} on, and this act not reconfirmed"
    return None


def status_now(view: View, statement: Statement, index: int | None, rests_on: tuple[str, ...]) -> Step | None:
    """Step 13: the state at log time of what the statement made; None for types that make nothing that has a state.

    `index` is the statement's entry, where known: what it made may have been superseded since.
    """
    judge = _JUDGES.get(statement.type)
    if judge is None:
        return None
    time = log_time(view)
    record: Any = view.read(*place_of_statement(statement))
    if record is None:
        return Step(13, Verdict.INVALID, f"There is no record of {statement.sub}", rests_on, None, time)
    wrong, reason = judge(view, record, index, time)
    return Step(13, Verdict.INVALID if wrong else Verdict.VALID, reason, rests_on, None, time)


Judged = tuple[bool, str]
"""(Whether the state stands against relying on it, the state in words.)"""


def _credential(view: View, record: CredentialRecord, index: int | None, time: int) -> Judged:
    if index is not None and record.entry != index:
        return True, f"The credential was issued by entry {record.entry}, not by this one"
    identifier = view.read(IdentifierRecord, record.identifier)
    if identifier is None or identifier.generation != record.generation or identifier.state != "live":
        state = "superseded" if identifier is None or identifier.state == "live" else identifier.state
        return True, f"The credential is {record.state}, but the identifier that it is about is {state}"
    return _dated(record, time, "The credential")


def _accreditation(_view: View, record: AccreditationRecord, _index: int | None, time: int) -> Judged:
    return _dated(record, time, "The accreditation")


def _delegation(_view: View, record: DelegationRecord, _index: int | None, time: int) -> Judged:
    return _dated(record, time, f"The delegation (held by {record.holder})")


def _dated(record: CredentialRecord | AccreditationRecord | DelegationRecord, time: int, what: str) -> Judged:
    if record.state not in LIVE_STATES:
        why = f" for {record.reason}" if record.reason else ""
        return True, f"{what} is {record.state} since {record.effective}{why}, logged at {record.logged}"
    if time < record.nbf:
        return True, f"{what} is not yet valid: it begins at {record.nbf}, log time is {time}"
    if time >= record.exp:
        return True, f"{what} expired at {record.exp}, log time is {time}"
    return False, f"{what} is {record.state}, valid from {record.nbf} to {record.exp}"


def _registration(_view: View, record: IdentifierRecord, index: int | None, _time: int) -> Judged:
    if index is not None and record.entry != index:
        return True, f"The identifier was registered again as generation {record.generation} by entry {record.entry}"
    return _identifier(_view, record, index, _time)


def _identifier(_view: View, record: IdentifierRecord, _index: int | None, _time: int) -> Judged:
    reason = f"The identifier is {record.state}, generation {record.generation}, held by {record.holder}"
    return record.state not in LIVE_STATES, reason


def _template(_view: View, record: TemplateRecord, _index: int | None, _time: int) -> Judged:
    return record.state not in LIVE_STATES, f"The template version is {record.state}"


def _actor(_view: View, record: ActorRecord, _index: int | None, time: int) -> Judged:
    def in_force(nbf: int, ends: tuple[int | None, ...]) -> bool:
        return nbf <= time and all(end is None or time < end for end in ends)

    usable = [k for k in record.keys if k.bad is None and in_force(k.nbf, (k.exp, k.off))]
    return not usable, f"The actor {record.name!r} has {len(usable)} of {len(record.keys)} keys in force"


_JUDGES: Final[dict[str, Callable[..., Judged]]] = {
    "certification": _credential,
    "accreditation": _accreditation,
    "delegation": _delegation,
    "registration": _registration,
    "transfer": _identifier,
    "template": _template,
    "actor": _actor,
}
