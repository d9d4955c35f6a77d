"""Steps 11, 12 and 13: was the issuer entitled, is it now, and what is the state of the thing (DESIGN section 8).

Step 11 runs the transition function again over the history of the records involved (`ledger.evidence.past`). Steps 12
and 13 read current records through a view; where these come from an operator without a state proof, the caller says so
in `rests_on`. Expiry is computed against log time, never stated.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, Final, NamedTuple

from ledger.errors import LedgerError, Rejection
from ledger.evidence.messages import Message, Said, say
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
from ledger.state.rules1.context import ROOT
from ledger.state.rules1.rights import links
from ledger.state.rules1.standing import JUDGED, check_standing
from ledger.state.transition import verify_signature
from ledger.state.view import View
from ledger.statements import Statement

STANDING: Final = {1: check_standing}
"""The check of step 12 for each version of the rules."""
BY_HISTORY: Final = say("on_history")
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
        reason = say("then_refused", index=index, why=error.explain(), reason=error.reason)
        return Step(11, Verdict.INVALID, reason, (BY_HISTORY,), index, time)
    except BrokenHistoryError as error:  # log or index is at fault, which says nothing about this statement
        return Step(11, Verdict.CANNOT_TELL, say("then_broken", why=error.explain()), (), index)
    except TooLongError as error:
        return Step(11, Verdict.CANNOT_TELL, error.explain(), (), index)
    except LedgerError as error:  # an entry cannot be read, or rules that this program does not know
        return Step(11, Verdict.CANNOT_TELL, say("then_unread", why=error.explain()), (), index)
    reason = say("then_ok", iss=statement.iss, index=index)
    return Step(11, Verdict.VALID, reason, (BY_HISTORY,), index, time)


def entitled_now(view: View, statement: Statement, rests_on: tuple[Said, ...]) -> Step | None:
    """Step 12: the issuer could do the like at log time; None for types that rest on no right that may end."""
    log = view.read(LogRecord)
    if statement.type not in JUDGED or log is None:
        return None
    time = log_time(view)
    check = STANDING.get(log.rules)
    if check is None:
        return Step(12, Verdict.CANNOT_TELL, say("now_unknown_rules", rules=log.rules), (), None, time)
    try:
        check(view, statement, log, verify_signature)
    except Rejection as error:
        return Step(12, Verdict.INVALID, f"{error.explain()} [{error.reason}]", rests_on, None, time)
    return Step(12, Verdict.VALID, say("now_ok", iss=statement.iss), rests_on, None, time)


def compromised(view: View, statement: Statement, time: int, *, settled: str = "") -> Message | None:
    """Why not to believe an act of log time `time`: a key of it was reported as bad from then or earlier.

    Its keys are those of the statement and of its consents. Who reconfirmed the act stands by its own signature alone.
    `settled` is a party whose keys are not asked about.
    """
    signers = [(statement.iss, statement.kid), *((consent.iss, consent.kid) for consent in statement.consents)]
    for did, kid in dict.fromkeys(signers):
        actor = None if did == settled else view.read(ActorRecord, did)
        for key in () if actor is None else actor.keys:
            if key.kid != kid or key.bad is None or key.bad > time:
                continue
            if view.read(ReconfirmedRecord, did, statement.leaf) is None:
                return say("compromised", kid=kid.hex(), time=key.bad)
    return None


class Moment(NamedTuple):
    """When a status is judged: log time, and the verifier's clock where one is trusted. Unix seconds."""

    log_time: int
    clock: int | None = None


def status_now(
    view: View, statement: Statement, index: int | None, rests_on: tuple[Said, ...], *, clock: int | None = None
) -> Step | None:
    """Step 13: the state at log time of what the statement made; None for types that make nothing that has a state.

    `index` is the statement's entry, where known: what it made may have been superseded since. `clock` is the
    verifier's, where it has one: an idle log's time stands still, and what expired meanwhile has expired.
    """
    judge = _JUDGES.get(statement.type)
    if judge is None:
        return None
    at = Moment(log_time(view), clock)
    record: Any = view.read(*place_of_statement(statement))
    if record is None:
        return Step(13, Verdict.INVALID, say("no_record", sub=statement.sub), rests_on, None, at.log_time)
    wrong, reason = judge(_Asked(view, statement, index, at), record)
    return Step(13, Verdict.INVALID if wrong else Verdict.VALID, reason, rests_on, None, at.log_time)


Judged = tuple[bool, Message]
"""(Whether the state stands against relying on it, the state in words.)"""


class _Asked(NamedTuple):
    """What a status is judged with: the state, the statement and its entry, where known, and when."""

    view: View
    statement: Statement
    entry: int | None
    at: Moment


def _credential(asked: _Asked, record: CredentialRecord) -> Judged:
    if asked.entry is not None and record.entry != asked.entry:
        return True, say("credential_other", entry=record.entry)
    identifier = asked.view.read(IdentifierRecord, record.identifier)
    if identifier is None or identifier.generation != record.generation or identifier.state != "live":
        state = "superseded" if identifier is None or identifier.state == "live" else identifier.state
        return True, say("credential_identifier", state=record.state, identifier=state)
    return _dated(record, asked.at, say("thing_credential"))


def _accreditation(asked: _Asked, record: AccreditationRecord) -> Judged:
    return _dated(record, asked.at, say("thing_accreditation"))


def _delegation(asked: _Asked, record: DelegationRecord) -> Judged:
    """A delegation is worth what it and all above it are, up to the root, as the rules see it."""
    if not _gives_the_same(asked.statement, record):
        return True, say("delegation_anew", holder=record.holder)
    thing = say("thing_delegation", holder=record.holder)
    wrong, reason = _dated(record, asked.at, thing)
    _, scheme, _ = asked.statement.subject
    for link in () if wrong else islice(links(asked.view, scheme, record), 1, None):
        if link is None:
            return True, say("delegation_orphaned", thing=thing)
        ended, why = _dated(link, asked.at, say("thing_delegation_above", holder=link.holder))
        if ended:
            return True, why
    return wrong, reason


def _gives_the_same(statement: Statement, record: DelegationRecord) -> bool:
    """Whether the right in force is the one that the statement gave: a prefix may have been given anew since."""
    claims = statement.claims
    delegator = statement.iss if "delegation" in claims else ROOT
    given = (claims["holder"], delegator, tuple(sorted(set(claims["rights"]))), statement.nbf, statement.exp)
    return given == (record.holder, record.delegator, record.rights, record.nbf, record.exp)


def _dated(record: CredentialRecord | AccreditationRecord | DelegationRecord, at: Moment, thing: Message) -> Judged:
    if record.state not in LIVE_STATES:
        why = say("because", reason=record.reason) if record.reason else ""
        return True, say(
            "state_since", thing=thing, state=record.state, effective=record.effective, why=why, logged=record.logged
        )
    by_clock = at.clock is not None and at.clock > at.log_time
    time, suffix = (at.clock, "_clock") if at.clock is not None and by_clock else (at.log_time, "")
    if time < record.nbf:
        return True, say(f"not_yet_valid{suffix}", thing=thing, nbf=record.nbf, time=time)
    if time >= record.exp:
        return True, say(f"expired{suffix}", thing=thing, exp=record.exp, time=time)
    return False, say("in_force", thing=thing, state=record.state, nbf=record.nbf, exp=record.exp)


def _registration(asked: _Asked, record: IdentifierRecord) -> Judged:
    if asked.entry is not None and record.entry != asked.entry:
        return True, say("registered_again", generation=record.generation, entry=record.entry)
    return _identifier(asked, record)


def _transfer(asked: _Asked, record: IdentifierRecord) -> Judged:
    """A transfer stands while the one whom it names holds the identifier that it was about, in that generation."""
    claims = asked.statement.claims
    if (record.generation, record.holder) != (claims.get("generation", 1), claims["holder"]):
        return True, say("transferred_again", generation=record.generation, holder=record.holder)
    return _identifier(asked, record)


def _identifier(_: _Asked, record: IdentifierRecord) -> Judged:
    reason = say("identifier_is", state=record.state, generation=record.generation, holder=record.holder)
    return record.state not in LIVE_STATES, reason


def _status(
    asked: _Asked, record: CredentialRecord | AccreditationRecord | DelegationRecord | IdentifierRecord
) -> Judged:
    """A change of status stands while the record says what it said: none came after it that says otherwise."""
    claims = asked.statement.claims
    said = (claims["state"], claims["effective"], claims["reason"])
    if said != (record.state, record.effective, record.reason):
        return True, say("status_changed", state=record.state, effective=record.effective, logged=record.logged)
    return False, say("status_stands", state=record.state, effective=record.effective)


def _template(_: _Asked, record: TemplateRecord) -> Judged:
    return record.state not in LIVE_STATES, say("template_is", state=record.state)


def _actor(asked: _Asked, record: ActorRecord) -> Judged:
    time = max(asked.at.log_time, asked.at.clock or 0)

    def in_force(nbf: int, ends: tuple[int | None, ...]) -> bool:
        return nbf <= time and all(end is None or time < end for end in ends)

    usable = [k for k in record.keys if k.bad is None and in_force(k.nbf, (k.exp, k.off))]
    return not usable, say("actor_keys", name=record.name, usable=len(usable), count=len(record.keys))


_JUDGES: Final[dict[str, Callable[..., Judged]]] = {
    "certification": _credential,
    "accreditation": _accreditation,
    "delegation": _delegation,
    "registration": _registration,
    "transfer": _transfer,
    "status": _status,
    "template": _template,
    "actor": _actor,
}
