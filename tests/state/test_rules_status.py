"""Changes of status: every move by everybody in every role, against a table written down here on its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ledger.state.reasons import Reason
from ledger.state.records import (
    AccreditationRecord,
    ActorRecord,
    CredentialRecord,
    DelegationRecord,
    IdentifierRecord,
)
from ledger.statements import subjects
from ledger.statements.types import STATES
from tests.world import DAY, ITEM, PREFIX, YEAR, Consortium, Party, accepts, credential, must_refuse

ROLES = ("issuer", "regulator", "accreditor", "delegator", "root", "delegation-holder", "holder", "owner")

# DESIGN section 4: the moves, and who makes them.
MOVES = {
    "credential": {
        "active": {"suspended", "revoked"},
        "suspended": {"active", "revoked"},
        "revoked": set[str](),
    },
    "accreditation": {
        "active": {"suspended", "revoked"},
        "suspended": {"active", "revoked"},
        "revoked": set[str](),
    },
    "delegation": {"live": {"revoked"}, "revoked": set[str]()},
    "identifier": {"live": {"blocked", "retired"}, "blocked": {"live"}, "retired": set[str]()},
}
WHO = {
    ("credential", "suspended"): {"issuer", "regulator", "accreditor"},
    ("credential", "active"): {"issuer", "regulator", "accreditor"},
    ("credential", "revoked"): {"issuer", "regulator", "accreditor"},
    ("accreditation", "suspended"): {"accreditor", "regulator"},
    ("accreditation", "active"): {"accreditor", "regulator"},
    ("accreditation", "revoked"): {"accreditor", "regulator"},
    ("delegation", "revoked"): {"delegator", "root"},
    ("identifier", "blocked"): {"regulator", "delegation-holder"},
    ("identifier", "live"): {"regulator", "delegation-holder"},
    ("identifier", "retired"): {"holder"},
}
LIFTS = {("suspended", "active"), ("blocked", "live")}


ENTITLED = {
    "credential": {"issuer": "certifier", "regulator": "regulator"},
    "accreditation": {"accreditor": "accreditor", "regulator": "regulator"},
    "delegation": {"delegator": "registrar", "root": "root"},
    "delegation by root": {"root": "root"},
    "identifier": {"regulator": "regulator", "delegation-holder": "registrar", "holder": "holder"},
}
# kind, state, the role that put the record there, and what differs from ENTITLED
CASES = [
    ("credential", "active", "", {}),
    ("credential", "suspended", "issuer", {}),
    ("credential", "suspended", "regulator", {}),
    ("credential", "revoked", "issuer", {}),
    ("credential", "revoked", "regulator", {}),
    ("credential", "active", "", {"accreditor": "accreditor"}),  # the accreditation is withdrawn
    ("credential", "suspended", "accreditor", {"accreditor": "accreditor"}),
    ("credential", "suspended", "issuer", {"accreditor": "accreditor"}),
    ("accreditation", "active", "", {}),
    ("accreditation", "suspended", "accreditor", {}),
    ("accreditation", "suspended", "regulator", {}),
    ("accreditation", "revoked", "accreditor", {}),
    ("delegation", "live", "", {}),
    ("delegation", "revoked", "delegator", {}),
    ("delegation by root", "live", "", {}),
    ("delegation by root", "revoked", "root", {}),
    ("identifier", "live", "", {}),
    ("identifier", "blocked", "regulator", {}),
    ("identifier", "blocked", "delegation-holder", {}),
    ("identifier", "retired", "holder", {}),
]


def parties(c: Consortium) -> dict[str, Party]:
    names = ("certifier", "regulator", "accreditor", "registrar", "holder", "stranger", "enroller")
    return {name: getattr(c, name) for name in names} | {"root": c.roots[0]}


def subject_of(c: Consortium, kind: str) -> tuple[str, tuple[Any, ...]]:
    if kind == "credential":
        return credential(1), (CredentialRecord, credential(1))
    if kind == "accreditation":
        return subjects.accreditation(c.certifier.did, 1), (AccreditationRecord, c.certifier.did, 1)
    if kind == "delegation":
        return subjects.delegation("vaa", "88.118.9"), (DelegationRecord, "vaa", "88.118.9")
    if kind == "delegation by root":
        return subjects.delegation("vaa", "88.118"), (DelegationRecord, "vaa", "88.118")
    return ITEM, (IdentifierRecord, ITEM)


def prepared(kind: str, state: str, put_by: str, more: dict[str, str]) -> tuple[Consortium, str, tuple[Any, ...]]:
    """A consortium whose record of `kind` was brought to `state` in the role `put_by`."""
    c = Consortium()
    c.delegate(c.stranger, "vaa/88.118.9", by=c.registrar, parent=PREFIX)
    if "accreditor" in more:
        sub, place = subject_of(c, "accreditation")
        c.put(c.status(c.regulator, sub, "revoked", "regulator", c.touches(*place)))
    sub, place = subject_of(c, kind)
    if put_by:
        party = parties(c)[(ENTITLED[kind] | more)[put_by]]
        c.put(c.status(party, sub, state, put_by, c.touches(*place)))
    return c, sub, place


def attempts(c: Consortium) -> Iterator[tuple[str, str, str]]:
    """(target state, party, role it claims), all of them."""
    for target in STATES:
        for name in parties(c):
            for role in ROLES:
                if (name == "root") == (role == "root"):  # the root acts by its threshold and in no other way
                    yield target, name, role


@accepts("status")
@pytest.mark.parametrize(("kind", "state", "put_by", "more"), CASES)
def test_every_move_by_everybody_in_every_role(kind: str, state: str, put_by: str, more: dict[str, str]):
    c, sub, place = prepared(kind, state, put_by, more)
    base = kind.removesuffix(" by root")
    entitled = ENTITLED[kind] | more
    allowed: set[tuple[str, str]] = set()
    for target, name, role in attempts(c):
        raw = c.status(parties(c)[name], sub, target, role, c.touches(*place))
        if name == "root" and base != "delegation":
            must_refuse(Reason.UNKNOWN_ACTOR, c, raw)
        elif target not in MOVES[base][state]:
            must_refuse(Reason.MOVE_NOT_ALLOWED, c, raw)
        elif (
            role not in WHO[base, target] or entitled.get(role) != name or ((state, target) in LIFTS and role != put_by)
        ):
            must_refuse(Reason.ROLE_NOT_ALLOWED, c, raw)
        elif (base, target, role) == ("credential", "active", "issuer") and "accreditor" in more:
            must_refuse(Reason.ACCREDITATION_NOT_ACTIVE, c, raw)
            allowed.add((target, role))  # by the table; the next test has what stands against it
        else:
            twin = c.fork()
            twin.put(raw)
            record = twin.state.read(*place)
            assert (record.state, record.effective, record.logged) == (target, c.now, c.now)
            assert record.reason == "unspecified"
            allowed.add((target, role))
    expected = {(t, r) for t in MOVES[base][state] for r in WHO[base, t] if r in entitled}
    assert allowed == {(t, r) for t, r in expected if (state, t) not in LIFTS or r == put_by}


def test_an_accreditor_without_its_role_has_no_say(c: Consortium):
    sub, place = subject_of(c, "accreditation")
    c.put(c.log_change(roles={c.accreditor.did: ["auditor"]}))
    must_refuse(Reason.ROLE_NOT_ALLOWED, c, c.status(c.accreditor, sub, "suspended", "accreditor", c.touches(*place)))
    c.put(c.status(c.regulator, sub, "revoked", "regulator", c.touches(*place)))
    must_refuse(Reason.ROLE_NOT_ALLOWED, c, c.status(c.accreditor, credential(1), "revoked", "accreditor", 1))


def test_an_issuer_lifts_its_suspension_only_while_it_could_issue_the_credential(c: Consortium):
    c.put(c.status(c.certifier, credential(1), "suspended", "issuer", 1))
    sub, place = subject_of(c, "accreditation")

    def lift(world: Consortium) -> bytes:
        return world.status(world.certifier, credential(1), "active", "issuer", 2)

    suspended, late, blocked, withdrawn = (c.fork() for _ in range(4))
    suspended.put(c.status(c.regulator, sub, "suspended", "regulator", c.touches(*place)))
    must_refuse(Reason.ACCREDITATION_NOT_ACTIVE, suspended, lift(suspended))
    must_refuse(Reason.MOVE_NOT_ALLOWED, suspended, c.status(c.certifier, credential(1), "suspended", "issuer", 2))
    suspended.put(c.status(c.regulator, sub, "active", "regulator", suspended.touches(*place)))
    suspended.put(lift(suspended))
    late.later(YEAR)
    must_refuse(Reason.ACCREDITATION_NOT_ACTIVE, late, lift(late))
    blocked.put(c.status(c.regulator, ITEM, "blocked", "regulator", blocked.touches(IdentifierRecord, ITEM)))
    must_refuse(Reason.IDENTIFIER_NOT_LIVE, blocked, lift(blocked))
    withdrawn.put(c.template(c.authority, state="withdrawn", seq=1))
    must_refuse(Reason.TEMPLATE_NOT_APPROVED, withdrawn, lift(withdrawn))
    withdrawn.put(c.status(c.certifier, credential(1), "revoked", "issuer", 2))  # towards less it always may
    c.put(lift(c))


def test_a_regulator_lifts_its_own_suspension_whatever_became_of_the_accreditation(c: Consortium):
    c.put(c.status(c.regulator, credential(1), "suspended", "regulator", 1))
    sub, place = subject_of(c, "accreditation")
    c.put(c.status(c.accreditor, sub, "suspended", "accreditor", c.touches(*place)))
    must_refuse(Reason.ROLE_NOT_ALLOWED, c, c.status(c.certifier, credential(1), "active", "issuer", 2))
    c.put(c.status(c.regulator, credential(1), "active", "regulator", 2))


def test_a_regulator_without_its_role_has_no_say(c: Consortium):
    c.put(c.log_change(roles={c.regulator.did: ["auditor"]}))
    must_refuse(Reason.ROLE_NOT_ALLOWED, c, c.status(c.regulator, ITEM, "blocked", "regulator", 2))


def test_the_delegation_holder_is_the_one_of_now(c: Consortium):
    """A revoked delegation gives no say; after a reclaim it is the new holder's."""
    c.put(c.status(c.roots[0], subjects.delegation("vaa", "88.118"), "revoked", "root", 1))
    must_refuse(Reason.ROLE_NOT_ALLOWED, c, c.status(c.registrar, ITEM, "blocked", "delegation-holder", 2))
    c.put(c.delegation(c.stranger, PREFIX, claims={"seq": 2, "reclaim": True}))
    must_refuse(Reason.ROLE_NOT_ALLOWED, c, c.status(c.registrar, ITEM, "blocked", "delegation-holder", 2))
    c.put(c.status(c.stranger, ITEM, "blocked", "delegation-holder", 2))


def test_a_revocation_by_root_needs_the_threshold(c: Consortium):
    claims = {"state": "revoked", "reason": "unspecified", "role": "root", "effective": c.now, "seq": 1}
    raw = c.act("status", c.roots[0], subjects.delegation("vaa", "88.118"), claims)
    must_refuse(Reason.THRESHOLD_NOT_MET, c, raw)


def test_there_must_be_a_record(c: Consortium):
    for sub in (
        "vaa:88.118.8/none", credential(9), subjects.accreditation(c.certifier.did, 9),
        subjects.delegation("vaa", "88.999"), "did:web:example.org",
    ):  # fmt: skip
        must_refuse(Reason.UNKNOWN_RECORD, c, c.status(c.regulator, sub, "revoked", "regulator", 1))


@accepts("status")
def test_a_status_touches_what_it_is_about(c: Consortium):
    item, certifier = c.touches(IdentifierRecord, ITEM), c.touches(ActorRecord, c.certifier.did)
    c.put(c.status(c.certifier, credential(1), "suspended", "issuer", 1))
    assert c.touches(IdentifierRecord, ITEM) == item + 1
    sub, place = subject_of(c, "accreditation")
    c.put(c.status(c.accreditor, sub, "suspended", "accreditor", c.touches(*place)))
    assert c.touches(ActorRecord, c.certifier.did) == certifier + 1
    c.put(c.status(c.roots[0], subjects.delegation("vaa", "88.118"), "revoked", "root", 1))
    assert c.touches(IdentifierRecord, ITEM) == item + 1


def test_a_stale_status_is_refused(c: Consortium):
    raw = c.status(c.certifier, credential(1), "suspended", "issuer", 1)
    c.put(raw)
    c.put(c.status(c.certifier, credential(1), "active", "issuer", 2))
    must_refuse(Reason.STALE_SEQUENCE, c, raw)


# -- when it takes effect ----------------------------------------------------------------------------------------------

BOUNDED = [
    ("credential", "active", "", {}, "suspended", "issuer", True),
    ("credential", "active", "", {}, "revoked", "issuer", True),
    ("credential", "suspended", "issuer", {}, "active", "issuer", False),
    ("credential", "suspended", "issuer", {}, "revoked", "issuer", True),
    ("accreditation", "active", "", {}, "suspended", "accreditor", True),
    ("accreditation", "active", "", {}, "revoked", "regulator", True),
    ("accreditation", "suspended", "accreditor", {}, "active", "accreditor", False),
    ("delegation", "live", "", {}, "revoked", "delegator", True),
    ("delegation by root", "live", "", {}, "revoked", "root", True),
    ("identifier", "live", "", {}, "blocked", "regulator", False),
    ("identifier", "blocked", "regulator", {}, "live", "regulator", False),
    ("identifier", "live", "", {}, "retired", "holder", False),
]


@accepts("status")
@pytest.mark.parametrize(("kind", "state", "put_by", "more", "target", "role", "retroactive"), BOUNDED)
def test_only_suspending_and_revoking_reach_back_and_never_before_the_record(
    kind: str, state: str, put_by: str, more: dict[str, str], target: str, role: str, *, retroactive: bool
):
    c, sub, place = prepared(kind, state, put_by, more)
    since = c.state.read(*place).since
    c.later(DAY)
    party = parties(c)[ENTITLED[kind][role]]

    def raw(effective: int) -> bytes:
        return c.status(party, sub, target, role, c.touches(*place), claims={"effective": effective})

    earliest = since if retroactive else c.now - c.log.skew
    must_refuse(Reason.EFFECTIVE_IN_FUTURE, c, raw(c.now + 1))
    must_refuse(Reason.EFFECTIVE_TOO_EARLY, c, raw(earliest - 1))
    must_refuse(Reason.EFFECTIVE_TOO_EARLY, c, raw(0))
    for effective in (earliest, c.now):
        twin = c.fork()
        twin.put(raw(effective))
        record = twin.state.read(*place)
        assert (record.effective, record.logged) == (effective, c.now)


def test_a_young_record_takes_no_status_from_before_it(c: Consortium):
    c.later(10)
    c.put(c.registration(c.registrar, "vaa:88.118.8/B2", PREFIX))
    before = {"effective": c.now - 1}
    must_refuse(Reason.EFFECTIVE_TOO_EARLY, c, c.status(
        c.regulator, "vaa:88.118.8/B2", "blocked", "regulator", 1, claims=before,
    ))  # fmt: skip
