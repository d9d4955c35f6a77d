"""Rights: delegations of prefixes, templates, accreditations."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.state.reasons import Reason
from ledger.state.records import AccreditationRecord, ActorRecord, DelegationRecord, LengthsRecord, TemplateRecord
from ledger.statements import subjects
from tests.world import DAY, ITEM, PREFIX, Consortium, Party, accepts, must_refuse


def delegation_of(c: Consortium, scheme: str, prefix: str) -> DelegationRecord:
    record = c.state.read(DelegationRecord, scheme, prefix)
    assert record is not None
    return record


def revoke(c: Consortium, by: Party, ref: str, role: str) -> None:
    scheme, _, prefix = ref.partition("/")
    seq = c.touches(DelegationRecord, scheme, prefix)
    c.put(c.status(by, subjects.delegation(scheme, prefix), "revoked", role, seq))


# -- delegations -------------------------------------------------------------------------------------------------------


@accepts("delegation", "registration")
def test_the_root_delegates_and_the_holder_delegates_below(c: Consortium):
    c.delegate(c.holder, "vaa/88.118.9", by=c.registrar, parent=PREFIX, rights=["register"])
    record = delegation_of(c, "vaa", "88.118.9")
    assert (record.holder, record.delegator, record.parent) == (c.holder.did, c.registrar.did, "88.118")
    assert (record.rights, record.generation, record.state) == (("register",), 1, "live")
    c.put(c.registration(c.holder, "vaa:88.118.9/A1", "vaa/88.118.9"))
    lengths = c.state.read(LengthsRecord, "vaa")
    assert lengths is not None
    assert lengths.lengths == (6, 8)


def test_a_delegation_by_the_root_needs_the_root(c: Consortium):
    must_refuse(Reason.WRONG_SIGNER, c, c.act(
        "delegation", c.registrar, "delegation:vaa/88.300", {"holder": c.registrar.did, "rights": ["register"]},
        nbf=c.now, exp=c.now + 9, consents=c.roots,
    ))  # fmt: skip
    must_refuse(Reason.THRESHOLD_NOT_MET, c, c.act(
        "delegation", c.roots[0], "delegation:vaa/88.300", {"holder": c.registrar.did, "rights": ["register"]},
        nbf=c.now, exp=c.now + 9,
    ))  # fmt: skip


def test_only_the_holder_of_the_covering_delegation_delegates_below(c: Consortium):
    must_refuse(Reason.WRONG_SIGNER, c, c.delegation(c.holder, "vaa/88.118.9", by=c.stranger, parent=PREFIX))
    must_refuse(Reason.UNKNOWN_ACTOR, c, c.delegation(c.holder, "vaa/88.118.9", by=Party("nobody"), parent=PREFIX))


@pytest.mark.parametrize(
    "prefix",
    ["vaa/8", "vaa/88.", "vaa/88.11", "vaa/88.118.", "vaa/88.118.8/A", "gs1/69", "gs1/6901234567890", "nosuch/88",
     "vin/LSVA", "battery/AB", "vaa/"],
)  # fmt: skip
def test_what_is_no_complete_component_is_no_prefix(c: Consortium, prefix: str):
    must_refuse(Reason.NOT_A_PREFIX, c, c.delegation(c.holder, prefix))


@pytest.mark.parametrize(
    ("sub", "prefix"),
    [
        ("vaa:88.1188.1/A", "vaa/88.118"),  # the same characters, another component
        ("vaa:88.118.81/A", "vaa/88.118.8"),
        ("handle:10.10001/x", "handle/10.1000"),
        ("oid:1.2.1567", "oid/1.2.156"),
        ("vin:LA9VA49J132999999", "vin/LA9/123"),
    ],
)
def test_a_prefix_that_matches_by_characters_but_not_by_component_covers_nothing(c: Consortium, sub: str, prefix: str):
    c.delegate(c.holder, "vaa/88.118.8", by=c.registrar, parent=PREFIX)
    if prefix not in {PREFIX, "vaa/88.118.8"}:
        c.delegate(c.holder, prefix)
    must_refuse(Reason.NOT_COVERED, c, c.registration(c.holder, sub, prefix))


@accepts("registration")
@pytest.mark.parametrize(
    ("sub", "prefix"),
    [
        ("vaa:88.300.1/A", "vaa/88.300"),
        ("handle:10.1000.5/x", "handle/10.1000"),
        ("oid:1.2.156.7", "oid/1.2.156"),
        ("gs1:01/06901234567892/21/A1", "gs1/690"),
        ("gs1:01/06901234567892/21/A1", "gs1/690123456789"),
        ("gs1:00/069012345678901238", "gs1/6901"),
        ("vin:LA9VA49J132123999", "vin/LA9/123"),
        ("battery:ABCPE123456789012345678Z", "battery/ABC"),
        ("did:web:example.org:device:1", "did/web:example.org"),
    ],
)
def test_a_prefix_covers_at_the_boundaries_of_its_scheme(c: Consortium, sub: str, prefix: str):
    c.delegate(c.holder, prefix)
    c.put(c.registration(c.holder, sub, prefix))


def test_gs1_prefixes_match_digits_behind_the_indicator(c: Consortium):
    c.delegate(c.holder, "gs1/06901")
    must_refuse(Reason.NOT_COVERED, c, c.registration(c.holder, "gs1:01/06901234567892/21/A1", "gs1/06901"))
    c.delegate(c.holder, "gs1/6901")
    c.put(c.registration(c.holder, "gs1:01/06901234567892/21/A1", "gs1/6901"))


def test_the_longest_delegation_decides(c: Consortium):
    c.delegate(c.holder, "vaa/88.118.9", by=c.registrar, parent=PREFIX)
    must_refuse(Reason.NOT_LONGEST_MATCH, c, c.registration(c.registrar, "vaa:88.118.9/A1", PREFIX))
    c.put(c.registration(c.registrar, "vaa:88.118.7/A1", PREFIX))
    c.delegate(c.registrar, "vaa/88")
    must_refuse(Reason.NOT_LONGEST_MATCH, c, c.delegation(c.holder, "vaa/88.118.6", by=c.registrar, parent="vaa/88"))


def test_a_delegation_that_nobody_holds_covers_nothing(c: Consortium):
    must_refuse(Reason.NOT_COVERED, c, c.registration(c.registrar, "vaa:88.300.1/A1", "vaa/88.300"))
    must_refuse(Reason.NOT_COVERED, c, c.registration(c.registrar, "vaa:88.118.8/B2", "vaa/88.300"))
    must_refuse(Reason.NOT_COVERED, c, c.registration(c.registrar, "gs1:01/06901234567892/21/A1", PREFIX))
    must_refuse(Reason.NOT_COVERED, c, c.delegation(c.holder, "vaa/88.300.1", by=c.registrar, parent="vaa/88.300"))


def test_a_prefix_that_looks_like_the_encoding_of_another_is_not_taken_for_it(c: Consortium):
    """The naming authority `%22`, literally, is not the quotation mark whose encoding that is."""
    c.delegate(c.holder, "handle/%22")
    must_refuse(Reason.NOT_COVERED, c, c.registration(c.holder, "handle:%2522/x", "handle/%22"))
    c.put(c.registration(c.holder, "handle:%2522/x", "handle/%2522"))


def test_a_registration_by_another_than_the_holder_is_refused(c: Consortium):
    must_refuse(Reason.WRONG_SIGNER, c, c.registration(c.stranger, "vaa:88.118.8/B2", PREFIX))


def test_rights_are_what_was_delegated(c: Consortium):
    c.delegate(c.holder, "vaa/88.300", rights=["delegate"])
    must_refuse(Reason.RIGHT_NOT_DELEGATED, c, c.registration(c.holder, "vaa:88.300.1/A", "vaa/88.300"))
    c.delegate(c.holder, "vaa/88.301", rights=["register"])
    below = c.delegation(c.stranger, "vaa/88.301.1", by=c.holder, parent="vaa/88.301", rights=["register"])
    must_refuse(Reason.RIGHT_NOT_DELEGATED, c, below)


def test_a_delegation_stays_within_its_parent(c: Consortium):
    c.delegate(c.holder, "vaa/88.300", rights=["delegate"], nbf=c.now, exp=c.now + DAY)
    for more in (
        {"rights": ["delegate", "register"], "nbf": c.now, "exp": c.now + DAY},
        {"rights": ["delegate"], "nbf": c.now - 1, "exp": c.now + DAY},
        {"rights": ["delegate"], "nbf": c.now, "exp": c.now + DAY + 1},
    ):
        raw = c.delegation(c.stranger, "vaa/88.300.1", by=c.holder, parent="vaa/88.300", **more)
        must_refuse(Reason.OUTSIDE_PARENT, c, raw)
    same: dict[str, Any] = {"rights": ["delegate"], "nbf": c.now, "exp": c.now + DAY}
    c.delegate(c.stranger, "vaa/88.300.1", by=c.holder, parent="vaa/88.300", **same)


@pytest.mark.parametrize(("nbf", "exp"), [(0, 0), (10, 10), (10, 9), (-2 * DAY, 0)])
def test_a_period_that_is_empty_or_over_is_refused(c: Consortium, nbf: int, exp: int):
    dates = {"nbf": c.now + nbf, "exp": c.now + exp}
    must_refuse(Reason.INVALID_PERIOD, c, c.delegation(c.holder, "vaa/88.300", **dates))
    must_refuse(Reason.INVALID_PERIOD, c, c.accreditation(c.accreditor, c.certifier, 2, **dates))
    must_refuse(Reason.INVALID_PERIOD, c, c.certification(c.certifier, ITEM, 2, **dates))


def test_a_holder_must_be_enrolled(c: Consortium):
    must_refuse(Reason.UNKNOWN_HOLDER, c, c.delegation(Party("nobody"), "vaa/88.300"))


def test_a_delegation_works_within_its_dates_by_log_time(c: Consortium):
    c.delegate(c.holder, "vaa/88.300", nbf=c.now + 10, exp=c.now + 20)

    def raw(n: int) -> bytes:
        return c.registration(c.holder, f"vaa:88.300.1/{n}", "vaa/88.300")

    must_refuse(Reason.DELEGATION_NOT_LIVE, c, raw(1))
    c.later(10)
    c.put(raw(1))
    c.later(9)
    c.put(raw(2))
    c.later(1)
    must_refuse(Reason.DELEGATION_NOT_LIVE, c, raw(3))


@pytest.fixture
def chain(c: Consortium) -> Consortium:
    """88.118 (registrar) over 88.118.9 (holder); above both 88 (certifier, as a country would be)."""
    c.delegate(c.certifier, "vaa/77", exp=c.now + 3 * DAY)
    dates = {"nbf": c.now, "exp": c.now + 2 * DAY}
    c.delegate(c.registrar, "vaa/77.118", by=c.certifier, parent="vaa/77", **dates)
    c.delegate(c.holder, "vaa/77.118.9", by=c.registrar, parent="vaa/77.118", **dates)
    return c


def test_a_chain_revoked_in_the_middle_stops_what_is_below(chain: Consortium):
    c = chain
    c.put(c.registration(c.holder, "vaa:77.118.9/A", "vaa/77.118.9"))
    before = dict(c.state.records)
    revoke(c, c.certifier, "vaa/77.118", "delegator")
    must_refuse(Reason.DELEGATION_NOT_LIVE, c, c.registration(c.holder, "vaa:77.118.9/B", "vaa/77.118.9"))
    must_refuse(Reason.DELEGATION_NOT_LIVE, c, c.registration(c.registrar, "vaa:77.118.7/B", "vaa/77.118"))
    below = c.delegation(c.stranger, "vaa/77.118.5", by=c.registrar, parent="vaa/77.118", nbf=c.now, exp=c.now + DAY)
    must_refuse(Reason.DELEGATION_NOT_LIVE, c, below)
    # what is revoked does not fall back to the delegation above
    must_refuse(Reason.NOT_LONGEST_MATCH, c, c.registration(c.certifier, "vaa:77.118.7/B", "vaa/77"))
    # and what was registered stays registered
    assert {k: v for k, v in c.state.records.items() if k[0] is not DelegationRecord} == {
        k: v for k, v in before.items() if k[0] is not DelegationRecord
    }
    c.put(c.transfer(c.holder, "vaa:77.118.9/A", c.stranger, seq=1))


def test_a_chain_revoked_at_its_top_stops_what_is_below(chain: Consortium):
    revoke(chain, chain.roots[0], "vaa/77", "root")
    must_refuse(Reason.DELEGATION_NOT_LIVE, chain, chain.registration(chain.holder, "vaa:77.118.9/B", "vaa/77.118.9"))


def test_a_chain_expired_in_the_middle_stops_what_is_below(chain: Consortium):
    c = chain
    c.later(2 * DAY)
    must_refuse(Reason.DELEGATION_NOT_LIVE, c, c.registration(c.holder, "vaa:77.118.9/B", "vaa/77.118.9"))
    c.put(c.registration(c.certifier, "vaa:77.119.9/B", "vaa/77"))
    must_refuse(Reason.NOT_LONGEST_MATCH, c, c.registration(c.certifier, "vaa:77.118.7/B", "vaa/77"))


@accepts("delegation")
def test_a_prefix_falls_back_only_by_an_explicit_reclaim(chain: Consortium):
    c = chain
    dates: dict[str, Any] = {"nbf": c.now, "exp": c.now + DAY}

    def again(to: Party, *, reclaim: bool, seq: int | None) -> bytes:
        claims: dict[str, Any] = ({"reclaim": True} if reclaim else {}) | ({} if seq is None else {"seq": seq})
        return c.delegation(to, "vaa/77.118", by=c.certifier, parent="vaa/77", claims=claims, **dates)

    must_refuse(Reason.DELEGATION_EXISTS, c, again(c.stranger, reclaim=False, seq=1))
    must_refuse(Reason.DELEGATION_EXISTS, c, again(c.stranger, reclaim=True, seq=1))
    revoke(c, c.certifier, "vaa/77.118", "delegator")
    must_refuse(Reason.RECLAIM_REQUIRED, c, again(c.stranger, reclaim=False, seq=2))
    must_refuse(Reason.STALE_SEQUENCE, c, again(c.stranger, reclaim=True, seq=1))
    must_refuse(Reason.STALE_SEQUENCE, c, again(c.stranger, reclaim=True, seq=None))
    c.put(again(c.stranger, reclaim=True, seq=2))
    record = delegation_of(c, "vaa", "77.118")
    assert (record.holder, record.generation, record.touches) == (c.stranger.did, 2, 3)
    # what the former holder gave away below does not come back to life under the new one
    must_refuse(Reason.DELEGATION_NOT_LIVE, c, c.registration(c.holder, "vaa:77.118.9/B", "vaa/77.118.9"))
    c.put(c.registration(c.stranger, "vaa:77.118.7/B", "vaa/77.118"))


def renewed(c: Consortium, to: Party) -> None:
    """77.118 is revoked and given again."""
    revoke(c, c.certifier, "vaa/77.118", "delegator")
    claims = {"seq": 2, "reclaim": True}
    dates: dict[str, Any] = {"nbf": c.now, "exp": c.now + DAY}
    c.put(c.delegation(to, "vaa/77.118", by=c.certifier, parent="vaa/77", claims=claims, **dates))


def test_what_was_given_away_below_does_not_revive_when_the_same_holder_gets_its_prefix_back(chain: Consortium):
    c = chain
    c.put(c.registration(c.holder, "vaa:77.118.9/A", "vaa/77.118.9"))
    assert delegation_of(c, "vaa", "77.118.9").parent_generation == 1
    renewed(c, c.registrar)
    must_refuse(Reason.DELEGATION_NOT_LIVE, c, c.registration(c.holder, "vaa:77.118.9/B", "vaa/77.118.9"))
    must_refuse(Reason.ROLE_NOT_ALLOWED, c, c.status(c.holder, "vaa:77.118.9/A", "blocked", "delegation-holder", 1))
    c.put(c.registration(c.registrar, "vaa:77.118.7/B", "vaa/77.118"))


@accepts("delegation")
@pytest.mark.parametrize("same", [True, False])
def test_the_covering_holder_reclaims_what_a_former_holder_gave_away(chain: Consortium, *, same: bool):
    c = chain
    by = c.registrar if same else c.stranger
    dates: dict[str, Any] = {"nbf": c.now, "exp": c.now + DAY}

    def again(*, by: Party = by, **claims: Any) -> bytes:
        more = {"seq": 1, **claims}
        return c.delegation(c.stranger, "vaa/77.118.9", by=by, parent="vaa/77.118", claims=more, **dates)

    must_refuse(Reason.DELEGATION_EXISTS, c, again(by=c.registrar, reclaim=True))
    renewed(c, by)
    must_refuse(Reason.NOT_LONGEST_MATCH, c, c.registration(by, "vaa:77.118.9/B", "vaa/77.118"))
    must_refuse(Reason.RECLAIM_REQUIRED, c, again())
    must_refuse(Reason.WRONG_SIGNER, c, again(by=c.holder, reclaim=True))
    c.put(again(reclaim=True))
    record = delegation_of(c, "vaa", "77.118.9")
    assert (record.generation, record.parent_generation, record.holder) == (2, 2, c.stranger.did)
    c.put(c.registration(c.stranger, "vaa:77.118.9/B", "vaa/77.118.9"))
    must_refuse(Reason.DELEGATION_EXISTS, c, c.delegation(
        c.stranger, "vaa/77.118.9", by=by, parent="vaa/77.118", claims={"seq": 2, "reclaim": True}, **dates,
    ))  # fmt: skip


def test_the_root_takes_back_what_lies_below_a_revoked_delegation(chain: Consortium):
    c = chain
    again = {"seq": 1, "reclaim": True}
    must_refuse(Reason.DELEGATION_EXISTS, c, c.delegation(c.stranger, "vaa/77.118.9", claims=again))
    revoke(c, c.certifier, "vaa/77.118", "delegator")
    c.put(c.delegation(c.stranger, "vaa/77.118.9", claims=again))
    c.put(c.registration(c.stranger, "vaa:77.118.9/B", "vaa/77.118.9"))


def test_a_delegation_that_is_not_yet_valid_has_not_ended(c: Consortium):
    c.delegate(c.holder, "vaa/88.300", nbf=c.now + DAY)
    must_refuse(Reason.DELEGATION_EXISTS, c, c.delegation(c.holder, "vaa/88.300", claims={"seq": 1, "reclaim": True}))


@accepts("delegation")
def test_an_expired_delegation_is_reclaimed_too(c: Consortium):
    c.delegate(c.holder, "vaa/88.300", exp=c.now + 10)
    c.later(10)
    must_refuse(Reason.RECLAIM_REQUIRED, c, c.delegation(c.holder, "vaa/88.300", claims={"seq": 1}))
    c.put(c.delegation(c.holder, "vaa/88.300", claims={"seq": 1, "reclaim": True}))
    c.put(c.registration(c.holder, "vaa:88.300.1/A", "vaa/88.300"))


def test_there_must_be_something_to_reclaim(c: Consortium):
    must_refuse(Reason.NOTHING_TO_RECLAIM, c, c.delegation(c.holder, "vaa/88.300", claims={"reclaim": True}))


# -- templates ---------------------------------------------------------------------------------------------------------


@accepts("template")
def test_an_authority_approves_and_withdraws_a_template_version(c: Consortium):
    c.put(c.template(c.authority, "emc/1"))
    c.put(c.template(c.authority, "emc/2", body={"classes": ["lamp"]}))
    c.put(c.template(c.authority, "emc/1", state="withdrawn", seq=1))
    first, second = c.state.read(TemplateRecord, "emc", "1"), c.state.read(TemplateRecord, "emc", "2")
    assert first is not None
    assert second is not None
    assert (first.state, second.state, second.classes) == ("withdrawn", "approved", ("lamp",))


def test_templates_belong_to_authorities(c: Consortium):
    for party in (c.accreditor, c.certifier, c.regulator):
        must_refuse(Reason.MISSING_ROLE, c, c.template(party, "emc/1"))


def test_a_template_version_is_made_once(c: Consortium):
    must_refuse(Reason.TEMPLATE_EXISTS, c, c.template(c.authority, seq=1))
    c.put(c.template(c.authority, state="withdrawn", seq=1))
    must_refuse(Reason.TEMPLATE_EXISTS, c, c.template(c.authority, state="withdrawn", seq=2))
    must_refuse(Reason.TEMPLATE_EXISTS, c, c.template(c.authority, seq=2))


def test_a_template_does_not_begin_withdrawn(c: Consortium):
    must_refuse(Reason.MOVE_NOT_ALLOWED, c, c.template(c.authority, "emc/1", state="withdrawn"))


# -- accreditations ----------------------------------------------------------------------------------------------------


@accepts("accreditation")
def test_an_accreditor_accredits_and_the_certifier_is_touched(c: Consortium):
    before = c.touches(ActorRecord, c.certifier.did)
    c.accredit(c.accreditor, c.certifier, 2, scope={"sites": ["*"]})
    record = c.state.read(AccreditationRecord, c.certifier.did, 2)
    assert record is not None
    assert (record.state, record.accreditor, record.sites) == ("active", c.accreditor.did, ("*",))
    assert c.touches(ActorRecord, c.certifier.did) == before + 1


def test_accreditations_belong_to_accreditors(c: Consortium):
    for party in (c.authority, c.certifier, c.regulator):
        must_refuse(Reason.MISSING_ROLE, c, c.accreditation(party, c.certifier, 2))


def test_an_accreditation_number_is_given_once(c: Consortium):
    must_refuse(Reason.ACCREDITATION_EXISTS, c, c.accreditation(c.accreditor, c.certifier))
    must_refuse(Reason.ACCREDITATION_EXISTS, c, c.accreditation(c.accreditor, c.certifier, claims={"seq": 1}))


def test_an_accreditation_is_of_the_enrolled_certifier_that_its_subject_names(c: Consortium):
    raw = c.accreditation(c.accreditor, c.certifier, 2, claims={"certifier": c.stranger.did})
    must_refuse(Reason.WRONG_SIGNER, c, raw)
    must_refuse(Reason.UNKNOWN_ACTOR, c, c.accreditation(c.accreditor, Party("nobody")))
