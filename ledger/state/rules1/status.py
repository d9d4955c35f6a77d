"""Changes of status: which moves exist for credentials, accreditations, delegations, identifiers, and who makes them.

The table of DESIGN section 4; an issuer lifts its own suspension only while it could issue the credential. Expiry is
computed, never stated. A change takes effect at or before log time, never before the record existed; only a move
towards suspended or revoked may reach further back than the log's skew.
"""

from __future__ import annotations

from typing import TypeVar

from ledger.errors import Rejection
from ledger.state.reasons import Reason, refuse
from ledger.state.records import (
    AccreditationRecord,
    ActorRecord,
    CredentialRecord,
    DelegationRecord,
    IdentifierRecord,
)
from ledger.state.rules1.assets import check_scope, live_identifier
from ledger.state.rules1.context import ROOT, Act
from ledger.state.rules1.rights import check_chain
from ledger.statements import subjects

Stateful = TypeVar(
    "Stateful", CredentialRecord, AccreditationRecord, DelegationRecord, IdentifierRecord,
)  # fmt: skip
Moves = dict[tuple[str, str], frozenset[str]]

RETROACTIVE = frozenset({"suspended", "revoked"})

CREDENTIAL_MOVES: Moves = {
    ("active", "suspended"): frozenset({"issuer", "regulator", "accreditor"}),
    ("suspended", "active"): frozenset({"issuer", "regulator", "accreditor"}),
    ("active", "revoked"): frozenset({"issuer", "regulator", "accreditor"}),
    ("suspended", "revoked"): frozenset({"issuer", "regulator", "accreditor"}),
}
ACCREDITATION_MOVES: Moves = {
    ("active", "suspended"): frozenset({"accreditor", "regulator"}),
    ("suspended", "active"): frozenset({"accreditor", "regulator"}),
    ("active", "revoked"): frozenset({"accreditor", "regulator"}),
    ("suspended", "revoked"): frozenset({"accreditor", "regulator"}),
}
DELEGATION_MOVES: Moves = {("live", "revoked"): frozenset({"delegator", "root"})}
IDENTIFIER_MOVES: Moves = {
    ("live", "blocked"): frozenset({"regulator", "delegation-holder"}),
    ("blocked", "live"): frozenset({"regulator", "delegation-holder"}),
    ("live", "retired"): frozenset({"holder"}),
}


def change(act: Act) -> None:
    """Change the status of the record that sub names."""
    kind, *parts = act.st.subject
    if kind == "credential":
        _credential(act)
    elif kind == "accreditation":
        _accreditation(act, *parts)
    elif kind == "delegation":
        _delegation(act, *parts)
    else:
        _identifier(act)


def _credential(act: Act) -> None:
    st = act.st
    record = _existing(act, act.view.read(CredentialRecord, st.sub))
    actor = _signer(act)
    accreditation = act.view.read(AccreditationRecord, record.issuer, record.accreditation)
    assert accreditation is not None
    entitled = {
        "issuer": st.iss == record.issuer,
        "regulator": _is_regulator(actor),
        "accreditor": _is_accreditor(actor, st.iss, accreditation) and accreditation.state == "revoked",
    }
    identifier = act.view.read(IdentifierRecord, record.identifier)
    assert identifier is not None
    moved = _moved(act, record, CREDENTIAL_MOVES, entitled)
    if moved.state == "active" and moved.role == "issuer":
        _could_issue(act, record)
    act.touch(moved, st.sub)
    act.touch(identifier, record.identifier)


def _could_issue(act: Act, record: CredentialRecord) -> None:
    """An issuer brings back only what it could issue now; what its authorities stopped meanwhile stays stopped."""
    live_identifier(act, record.identifier, record.generation, "claims.sub")
    wanted = {
        "template": record.template, "standard": record.standard, "class": record.product_class, "site": record.site,
    }  # fmt: skip
    check_scope(act, record.issuer, record.accreditation, wanted)


def _accreditation(act: Act, certifier: str, number: int) -> None:
    record = _existing(act, act.view.read(AccreditationRecord, certifier, number))
    actor = _signer(act)
    entitled = {"accreditor": _is_accreditor(actor, act.st.iss, record), "regulator": _is_regulator(actor)}
    holder = act.actor(certifier)
    assert holder is not None
    act.touch(_moved(act, record, ACCREDITATION_MOVES, entitled), certifier, number)
    act.touch(holder, certifier)


def _delegation(act: Act, scheme: str, prefix: str) -> None:
    record = _existing(act, act.view.read(DelegationRecord, scheme, prefix))
    member = act.root_member()
    if member is not None:
        act.signed_by_root(member)
    else:
        _signer(act)
    entitled = {
        "root": member is not None,
        "delegator": record.delegator != ROOT and act.st.iss == record.delegator and member is None,
    }
    act.touch(_moved(act, record, DELEGATION_MOVES, entitled), scheme, prefix)


def _identifier(act: Act) -> None:
    st = act.st
    record = _existing(act, act.view.read(IdentifierRecord, st.sub))
    actor = _signer(act)
    entitled = {
        "regulator": _is_regulator(actor),
        "delegation-holder": _holds_delegation(act, record.delegation),
        "holder": st.iss == record.holder,
    }
    act.touch(_moved(act, record, IDENTIFIER_MOVES, entitled), st.sub)


def _existing(act: Act, record: Stateful | None) -> Stateful:
    if record is None:
        raise refuse(Reason.UNKNOWN_RECORD, act.st.sub, where="claims.sub")
    return record


def _signer(act: Act) -> ActorRecord:
    actor = act.signed_by_actor()
    act.consents()
    return actor


def _holds_delegation(act: Act, named: str) -> bool:
    """Whether the issuer holds the delegation that an identifier was registered under, in force up to the root."""
    scheme, prefix = subjects.parse_delegation_ref(named)
    delegation = act.view.read(DelegationRecord, scheme, prefix)
    if delegation is None or delegation.holder != act.st.iss:
        return False
    try:
        check_chain(act, scheme, delegation, "register")
    except Rejection:
        return False
    return True


def _is_regulator(actor: ActorRecord) -> bool:
    return "regulator" in actor.roles


def _is_accreditor(actor: ActorRecord, did: str, accreditation: AccreditationRecord) -> bool:
    """Whether `did` gave the accreditation and still is an accreditor: root may have taken the role back."""
    return did == accreditation.accreditor and "accreditor" in actor.roles


def _moved(act: Act, record: Stateful, moves: Moves, entitled: dict[str, bool]) -> Stateful:
    """The record after the move, if the move exists, the role may make it, and it takes effect at a lawful time."""
    st, claims = act.st, act.st.claims
    act.check_sequence(record)
    target, role, effective = claims["state"], claims["role"], claims["effective"]
    roles = moves.get((record.state, target))
    if roles is None:
        raise refuse(Reason.MOVE_NOT_ALLOWED, f"{record.state} to {target}.", where="claims.state")
    if role not in roles or not entitled.get(role, False):
        raise refuse(Reason.ROLE_NOT_ALLOWED, f"{st.iss} as {role}.", where="claims.role")
    lifts = (record.state, target) in {("suspended", "active"), ("blocked", "live")}
    if lifts and not isinstance(record, DelegationRecord) and role != record.role:
        raise refuse(Reason.ROLE_NOT_ALLOWED, f"Only the {record.role} that set it may lift it.", where="claims.role")
    if effective > act.time:
        raise refuse(Reason.EFFECTIVE_IN_FUTURE, f"{effective}, log time {act.time}.", where="claims.effective")
    earliest = record.since if target in RETROACTIVE else max(record.effective, act.time - act.log.skew)
    if effective < earliest:
        raise refuse(Reason.EFFECTIVE_TOO_EARLY, f"{effective}, earliest {earliest}.", where="claims.effective")
    if isinstance(record, DelegationRecord):
        return record._replace(state=target, effective=effective, logged=act.time, reason=claims["reason"])
    return record._replace(state=target, role=role, effective=effective, logged=act.time, reason=claims["reason"])
