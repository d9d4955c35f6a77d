"""Whether an issuer could still do the like: each right that may end, live and ended."""

from __future__ import annotations

import pytest

from ledger.errors import Rejection
from ledger.state.reasons import Reason
from ledger.state.records import ActorRecord, DelegationRecord
from ledger.state.rules1.standing import check_standing
from ledger.state.transition import verify_signature
from ledger.state.view import MemoryState
from ledger.statements import Statement, decode_statement, subjects
from tests.world import DAY, ITEM, PREFIX, YEAR, Consortium, key


def statement_of(c: Consortium, kind: str) -> Statement:
    return next(s for s in map(decode_statement, c.entries) if s.type == kind)


def stands(c: Consortium, kind: str) -> None:
    check_standing(c.state, statement_of(c, kind), c.log, verify_signature)


def falls(c: Consortium, kind: str, reason: Reason) -> None:
    with pytest.raises(Rejection) as caught:
        stands(c, kind)
    assert caught.value.reason == reason


@pytest.mark.parametrize("kind", ["registration", "certification", "template", "accreditation"])
def test_an_issuer_whose_rights_are_live_stands(c: Consortium, kind: str):
    stands(c, kind)


def test_a_rotated_key_takes_nothing_from_its_actor(c: Consortium):
    c.put(c.rotation(c.registrar, add=[key("new")], remove=[c.registrar.signer]))
    c.later(DAY)
    stands(c, "registration")


def test_an_issuer_without_a_key_in_force_does_not_stand(c: Consortium):
    bad = [{"kid": c.registrar.signer.kid, "from": c.now}]
    claims = {"seq": c.touches(ActorRecord, c.registrar.did)}
    c.put(c.act("compromise", c.enroller, c.registrar.did, claims, {"bad": bad, "confirmed": []}))
    falls(c, "registration", Reason.KEY_NOT_VALID)


def test_an_issuer_unknown_to_the_state_does_not_stand(c: Consortium):
    statement, log = statement_of(c, "registration"), c.log
    with pytest.raises(Rejection) as caught:
        check_standing(MemoryState(), statement, log, verify_signature)
    assert caught.value.reason == Reason.UNKNOWN_ACTOR


def test_a_registrar_stands_with_its_delegation(c: Consortium):
    c.put(c.status(c.roots[0], subjects.delegation("vaa", "88.118"), "revoked", "root", 1))
    falls(c, "registration", Reason.DELEGATION_NOT_LIVE)
    seq = c.touches(DelegationRecord, "vaa", "88.118")
    c.put(c.delegation(c.stranger, PREFIX, claims={"seq": seq, "reclaim": True}))
    falls(c, "registration", Reason.WRONG_SIGNER)


def test_a_certifier_stands_with_its_accreditation(c: Consortium):
    c.put(c.status(c.regulator, ITEM, "blocked", "regulator", 2))
    stands(c, "certification")  # the item is another matter
    c.later(YEAR)
    falls(c, "certification", Reason.ACCREDITATION_NOT_ACTIVE)


def test_authorities_stand_with_their_roles(c: Consortium):
    c.put(c.log_change(roles={c.authority.did: ["auditor"], c.accreditor.did: ["auditor"]}))
    falls(c, "template", Reason.MISSING_ROLE)
    falls(c, "accreditation", Reason.MISSING_ROLE)
