"""Assets: registration, transfer, certification."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.state.reasons import Reason
from ledger.state.records import CredentialRecord, IdentifierRecord, StatusIndexRecord
from ledger.statements import subjects
from tests.world import DAY, ITEM, PREFIX, YEAR, Consortium, Party, accepts, credential, must_refuse


def item(c: Consortium, sub: str = ITEM) -> IdentifierRecord:
    record = c.state.read(IdentifierRecord, sub)
    assert record is not None
    return record


def retire(c: Consortium, sub: str = ITEM) -> None:
    holder = next(p for p in (c.holder, c.registrar) if p.did == item(c, sub).holder)
    c.put(c.status(holder, sub, "retired", "holder", item(c, sub).touches))


# -- registration ------------------------------------------------------------------------------------------------------


@accepts("registration")
def test_a_registration_names_its_holder_and_its_document(c: Consortium):
    sub = "vaa:88.118.8/B2"
    c.put(c.registration(c.registrar, sub, PREFIX, c.stranger, digest=b"\x07" * 32))
    record = item(c, sub)
    assert (record.state, record.generation, record.holder, record.digest) == ("live", 1, c.stranger.did, b"\x07" * 32)
    assert (record.entry, record.since, record.touches) == (len(c.entries) - 1, c.now, 1)


def test_the_same_identifier_twice_is_a_named_conflict(c: Consortium):
    error = must_refuse(Reason.ALREADY_REGISTERED, c, c.registration(c.registrar, ITEM, PREFIX, digest=bytes(32)))
    assert c.holder.did in error.detail
    c.put(c.status(c.regulator, ITEM, "blocked", "regulator", 2))
    must_refuse(
        Reason.ALREADY_REGISTERED, c, c.registration(c.registrar, ITEM, PREFIX, claims={"seq": 3, "generation": 2})
    )


def test_the_holder_must_be_enrolled(c: Consortium):
    must_refuse(Reason.UNKNOWN_HOLDER, c, c.registration(c.registrar, "vaa:88.118.8/B2", PREFIX, Party("nobody")))


@accepts("registration")
def test_a_retired_identifier_is_registered_again_in_the_next_generation(c: Consortium):
    retire(c)

    def again(**claims: Any) -> bytes:
        return c.registration(c.registrar, ITEM, PREFIX, claims=claims)

    must_refuse(Reason.WRONG_GENERATION, c, again(seq=3))
    must_refuse(Reason.WRONG_GENERATION, c, again(seq=3, generation=3))
    must_refuse(Reason.STALE_SEQUENCE, c, again(seq=2, generation=2))
    must_refuse(Reason.STALE_SEQUENCE, c, again(generation=2))
    c.put(again(seq=3, generation=2))
    assert (item(c).generation, item(c).touches, item(c).holder) == (2, 4, c.registrar.did)
    retire(c)
    must_refuse(Reason.WRONG_GENERATION, c, again(seq=5, generation=2))
    c.put(again(seq=5, generation=3))


def test_a_first_registration_has_no_generation(c: Consortium):
    raw = c.registration(c.registrar, "vaa:88.118.8/B2", PREFIX, claims={"generation": 2})
    must_refuse(Reason.WRONG_GENERATION, c, raw)


def test_an_identifier_is_registered_again_by_the_same_delegation_only(c: Consortium):
    retire(c)
    c.delegate(c.registrar, "vaa/88.118.8", by=c.registrar, parent=PREFIX)
    raw = c.registration(c.registrar, ITEM, "vaa/88.118.8", claims={"seq": 3, "generation": 2})
    must_refuse(Reason.NOT_COVERED, c, raw)


@pytest.mark.parametrize(
    ("sub", "prefix"),
    [
        ("gs1:01/06901234567892/21/A1", "gs1/690"),
        ("vin:LSVAA49J132047371", "vin/LSV"),
        ("battery:ABCPE123456789012345678Z", "battery/ABC"),
    ],
)
def test_gs1_keys_vins_and_battery_codes_are_never_registered_again(c: Consortium, sub: str, prefix: str):
    c.delegate(c.registrar, prefix)
    c.put(c.registration(c.registrar, sub, prefix))
    retire(c, sub)
    raw = c.registration(c.registrar, sub, prefix, claims={"seq": 2, "generation": 2})
    must_refuse(Reason.NOT_REUSABLE, c, raw)


# -- transfer ----------------------------------------------------------------------------------------------------------


@accepts("transfer")
def test_a_transfer_passes_every_right_of_the_holder(c: Consortium):
    c.put(c.transfer(c.holder, ITEM, c.stranger, seq=2))
    must_refuse(Reason.WRONG_SIGNER, c, c.transfer(c.holder, ITEM, c.stranger, seq=3))
    c.put(c.transfer(c.stranger, ITEM, c.registrar, seq=3))


def test_only_the_holder_transfers(c: Consortium):
    for party in (c.registrar, c.stranger, c.certifier, c.regulator):
        must_refuse(Reason.WRONG_SIGNER, c, c.transfer(party, ITEM, c.stranger, seq=2))


def test_the_new_holder_is_another_enrolled_actor_who_consents(c: Consortium):
    must_refuse(Reason.NO_CHANGE, c, c.transfer(c.holder, ITEM, c.holder, seq=2))
    must_refuse(Reason.UNKNOWN_HOLDER, c, c.transfer(c.holder, ITEM, Party("nobody"), seq=2))
    must_refuse(Reason.CONSENT_MISSING, c, c.transfer(c.holder, ITEM, c.stranger, seq=2, consents=[c.registrar]))
    both = [c.stranger, c.registrar]
    must_refuse(Reason.CONSENT_UNKNOWN_PARTY, c, c.transfer(c.holder, ITEM, c.stranger, seq=2, consents=both))


def test_only_a_live_registered_identifier_is_transferred(c: Consortium):
    must_refuse(Reason.NOT_REGISTERED, c, c.transfer(c.holder, "vaa:88.118.8/B2", c.stranger, seq=1))
    c.put(c.status(c.regulator, ITEM, "blocked", "regulator", 2))
    must_refuse(Reason.IDENTIFIER_NOT_LIVE, c, c.transfer(c.holder, ITEM, c.stranger, seq=3))
    c.put(c.status(c.regulator, ITEM, "live", "regulator", 3))
    c.put(c.transfer(c.holder, ITEM, c.stranger, seq=4))


@accepts("transfer")
def test_a_transfer_names_the_generation_from_the_second_on(c: Consortium):
    must_refuse(Reason.WRONG_GENERATION, c, c.transfer(c.holder, ITEM, c.stranger, seq=2, claims={"generation": 2}))
    retire(c)
    c.put(c.registration(c.registrar, ITEM, PREFIX, c.holder, claims={"seq": 3, "generation": 2}))
    must_refuse(Reason.WRONG_GENERATION, c, c.transfer(c.holder, ITEM, c.stranger, seq=4))
    c.put(c.transfer(c.holder, ITEM, c.stranger, seq=4, claims={"generation": 2}))


# -- certification -----------------------------------------------------------------------------------------------------


@accepts("certification")
def test_a_certification_touches_credential_identifier_and_the_issuers_list(c: Consortium):
    before = item(c)
    c.put(c.certification(c.certifier, ITEM, 2))
    record = c.state.read(CredentialRecord, credential(2))
    assert record is not None
    assert (record.state, record.issuer, record.identifier) == ("active", c.certifier.did, ITEM)
    assert record.status_index == 1
    assert c.touches(StatusIndexRecord, c.certifier.did) == 2
    after = item(c)
    assert after.touches == before.touches + 1
    assert after._replace(touches=before.touches, head=before.head, last=before.last) == before


@pytest.mark.parametrize(
    "claims",
    [
        {"template": "emc/1"},
        {"standard": "GB 17625.1"},
        {"class": "lamp"},
        {"class": "power-supply-2"},
        {"site": "S2"},
    ],
)
def test_a_certification_out_of_scope_is_refused(c: Consortium, claims: dict[str, Any]):
    c.put(c.template(c.authority, "emc/1", body={"standards": ["*"]}))
    must_refuse(Reason.OUT_OF_SCOPE, c, c.certification(c.certifier, ITEM, 2, claims=claims))


@accepts("certification")
@pytest.mark.parametrize(
    ("dimension", "claims"),
    [("templates", {"template": "emc/1"}), ("classes", {"class": "lamp"}), ("sites", {"site": "S2"})],
)
def test_a_star_covers_one_dimension_and_no_other(c: Consortium, dimension: str, claims: dict[str, Any]):
    c.put(c.template(c.authority, "emc/1"))
    c.accredit(c.accreditor, c.certifier, 2, scope={dimension: ["*"]})
    c.put(c.certification(c.certifier, ITEM, 2, claims={"accreditation": 2, **claims}))
    others = {"template": "emc/1", "class": "lamp", "site": "S2"}
    for claim, value in others.items():
        if claim not in claims:
            raw = c.certification(c.certifier, ITEM, 3, claims={"accreditation": 2, **claims, claim: value})
            must_refuse(Reason.OUT_OF_SCOPE, c, raw)


def test_a_template_bounds_standard_and_class_whatever_the_accreditation(c: Consortium):
    c.put(c.template(c.authority, "emc/1", body={"classes": ["lamp"]}))
    every = {name: ["*"] for name in ("templates", "standards", "classes", "sites")}
    c.accredit(c.accreditor, c.certifier, 2, scope=every)

    def raw(**claims: Any) -> bytes:
        return c.certification(c.certifier, ITEM, 2, claims={"accreditation": 2, "template": "emc/1", **claims})

    must_refuse(Reason.OUT_OF_SCOPE, c, raw())
    must_refuse(Reason.OUT_OF_SCOPE, c, raw(**{"class": "lamp", "standard": "GB 17625.1"}))
    c.put(raw(**{"class": "lamp"}))


def test_a_certifier_needs_an_accreditation_of_its_own(c: Consortium):
    must_refuse(Reason.NOT_ACCREDITED, c, c.certification(c.stranger, ITEM, 2))
    must_refuse(Reason.NOT_ACCREDITED, c, c.certification(c.certifier, ITEM, 2, claims={"accreditation": 2}))


def test_an_accreditation_covers_its_dates_by_log_time(c: Consortium):
    c.accredit(c.accreditor, c.certifier, 2, nbf=c.now + 10, exp=c.now + 20)

    def raw(n: int) -> bytes:
        return c.certification(c.certifier, ITEM, n, claims={"accreditation": 2})

    must_refuse(Reason.ACCREDITATION_NOT_ACTIVE, c, raw(2))
    c.later(10)
    c.put(raw(2))
    c.later(10)
    must_refuse(Reason.ACCREDITATION_NOT_ACTIVE, c, raw(3))


def test_a_suspended_or_revoked_accreditation_covers_nothing(c: Consortium):
    sub = subjects.accreditation(c.certifier.did, 1)
    c.put(c.status(c.accreditor, sub, "suspended", "accreditor", 1))
    must_refuse(Reason.ACCREDITATION_NOT_ACTIVE, c, c.certification(c.certifier, ITEM, 2))
    c.put(c.status(c.accreditor, sub, "active", "accreditor", 2))
    c.put(c.certification(c.certifier, ITEM, 2))
    c.put(c.status(c.accreditor, sub, "revoked", "accreditor", 3))
    must_refuse(Reason.ACCREDITATION_NOT_ACTIVE, c, c.certification(c.certifier, ITEM, 3))


def test_a_certification_needs_an_approved_template(c: Consortium):
    c.accredit(c.accreditor, c.certifier, 2, scope={"templates": ["*"]})
    claims = {"accreditation": 2, "template": "emc/1"}
    must_refuse(Reason.TEMPLATE_NOT_APPROVED, c, c.certification(c.certifier, ITEM, 2, claims=claims))
    c.put(c.template(c.authority, state="withdrawn", seq=1))
    must_refuse(Reason.TEMPLATE_NOT_APPROVED, c, c.certification(c.certifier, ITEM, 2))


def test_a_credential_id_is_used_once(c: Consortium):
    must_refuse(Reason.CREDENTIAL_EXISTS, c, c.certification(c.certifier, ITEM, 1))
    c.put(c.status(c.certifier, credential(1), "revoked", "issuer", 1))
    must_refuse(Reason.CREDENTIAL_EXISTS, c, c.certification(c.certifier, ITEM, 1))


def test_only_a_live_identifier_in_its_generation_is_certified(c: Consortium):
    must_refuse(Reason.NOT_REGISTERED, c, c.certification(c.certifier, "vaa:88.118.8/B2", 2))
    must_refuse(Reason.WRONG_GENERATION, c, c.certification(c.certifier, ITEM, 2, claims={"generation": 2}))
    retire(c)
    must_refuse(Reason.IDENTIFIER_NOT_LIVE, c, c.certification(c.certifier, ITEM, 2))
    c.put(c.registration(c.registrar, ITEM, PREFIX, claims={"seq": 3, "generation": 2}))
    must_refuse(Reason.WRONG_GENERATION, c, c.certification(c.certifier, ITEM, 2))
    c.put(c.certification(c.certifier, ITEM, 2, claims={"generation": 2}))


def test_a_certification_that_is_over_when_it_is_logged_is_refused(c: Consortium):
    must_refuse(Reason.INVALID_PERIOD, c, c.certification(c.certifier, ITEM, 2, nbf=c.now - YEAR, exp=c.now))
    c.put(c.certification(c.certifier, ITEM, 2, nbf=c.now - DAY, exp=c.now + 1))
