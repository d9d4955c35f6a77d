"""Parties: enrolment, rotation with its delay, compromise."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.crypto.suites import Signer
from ledger.errors import Rejection
from ledger.state.reasons import Reason
from ledger.state.records import ActorRecord, KeyRecord, ReconfirmedRecord
from ledger.state.transition import transition, verify_signature
from ledger.statements import decode_statement, make_consent, sign
from tests.world import DAY, FOREVER, ITEM, Consortium, Party, World, accepts, key, key_entry, must_refuse


def record_of(world: World, party: Party) -> ActorRecord:
    record = world.state.read(ActorRecord, party.did)
    assert record is not None
    return record


def signs(c: Consortium, party: Party, signer: Signer, n: int = 1) -> bytes:
    """Any statement whose acceptance rests on the key alone: a block of the item by the delegation's holder."""
    claims = {"holder": party.did, "delegation": "vaa/88.118"}
    return c.act("registration", party, f"vaa:88.118.8/K{n}", claims, signer=signer, digest=bytes(32))


# -- enrolment ---------------------------------------------------------------------------------------------------------


@accepts("actor")
def test_the_root_threshold_enrols_with_any_role(world: World):
    party = Party("newcomer")
    world.enrol(party, "enroller", "auditor", uscc="91110000600037341L", lei="529900T8BM49AURSDO55")
    record = record_of(world, party)
    assert (record.roles, record.enroller, record.since) == (("auditor", "enroller"), "", world.now)
    assert (record.uscc, record.lei) == ("91110000600037341L", "529900T8BM49AURSDO55")


@accepts("actor")
@pytest.mark.parametrize("suite", ["ed25519", "es256"])
def test_an_enroller_enrols_without_privileged_roles(c: Consortium, suite: str):
    party = Party("newcomer", suite)
    c.enrol(party, "registrar", "certifier", "owner", "auditor", by=c.enroller)
    assert record_of(c, party).enroller == c.enroller.did


@pytest.mark.parametrize("role", ["enroller", "accreditor", "template-authority", "regulator"])
def test_an_enroller_grants_no_privileged_role(c: Consortium, role: str):
    must_refuse(Reason.PRIVILEGED_ROLE, c, c.enrolment(Party("newcomer"), role, consents=[c.enroller]))


def test_enrolment_needs_an_authority(c: Consortium):
    newcomer = Party("newcomer")
    must_refuse(Reason.CONSENT_UNKNOWN_PARTY, c, c.enrolment(newcomer, consents=[c.accreditor]))
    must_refuse(Reason.THRESHOLD_NOT_MET, c, c.enrolment(newcomer, consents=c.roots[:1]))
    second = key("second")
    keys = [key_entry(newcomer.signer), key_entry(second)]
    draft = c.draft("actor", newcomer.did, newcomer.did, body={"keys": keys, "roles": [], "name": "n"})
    only_own = newcomer.consent(draft.consent_digest(newcomer.signer), signer=second)
    must_refuse(Reason.CONSENT_MISSING, c, sign(draft, newcomer.signer, [only_own]))


def test_an_enroller_that_lost_its_role_enrols_no_more(c: Consortium):
    c.put(c.log_change(roles={c.enroller.did: ["auditor"]}))
    must_refuse(Reason.CONSENT_UNKNOWN_PARTY, c, c.enrolment(Party("newcomer"), consents=[c.enroller]))


def test_an_enrolled_did_is_not_enrolled_again(c: Consortium):
    must_refuse(Reason.ACTOR_EXISTS, c, c.enrolment(c.stranger, consents=[c.enroller]))


def test_nobody_enrols_somebody_else(c: Consortium):
    must_refuse(Reason.WRONG_SIGNER, c, c.enrolment(c.enroller, consents=[c.enroller], sub=Party("newcomer").did))


def test_the_signing_key_is_among_the_keys_and_signs_statements(c: Consortium):
    newcomer = Party("newcomer")
    must_refuse(Reason.UNKNOWN_KEY, c, c.enrolment(newcomer, consents=[c.enroller], signer=key("other")))
    keys = [key_entry(newcomer.signer, ["consent"])]
    must_refuse(Reason.KEY_PURPOSE, c, c.enrolment(newcomer, consents=[c.enroller], keys=keys))


def test_a_did_key_is_enrolled_with_the_key_that_it_encodes(c: Consortium):
    newcomer, other = Party("newcomer"), key("other")
    raw = c.enrolment(newcomer, consents=[c.enroller], signer=other, keys=[key_entry(other)])
    must_refuse(Reason.DID_KEY_MISMATCH, c, raw)


@accepts("actor")
def test_a_did_web_may_have_any_key(c: Consortium):
    newcomer = Party("newcomer")
    newcomer.did = "did:web:example.org"
    c.enrol(newcomer, by=c.enroller)


def test_a_key_stands_once_in_an_enrolment(c: Consortium):
    newcomer = Party("newcomer")
    keys = [key_entry(newcomer.signer), key_entry(newcomer.signer, ["statement"])]
    must_refuse(Reason.KEY_EXISTS, c, c.enrolment(newcomer, consents=[c.enroller], keys=keys))


def enrolled_with(c: Consortium, party: Party, extra: Signer) -> bytes:
    """An enrolment with a second key, which consents, and the enroller's consent."""
    body = {"keys": [key_entry(party.signer), key_entry(extra)], "roles": [], "name": party.name}
    draft = c.draft("actor", party.did, party.did, body=body)
    digest = draft.consent_digest(party.signer)
    return sign(draft, party.signer, [party.consent(digest, signer=extra), c.enroller.consent(digest)])


def test_a_key_belongs_to_one_party_and_serves_one_purpose(c: Consortium):
    newcomer = Party("newcomer")
    others = [c.cose, c.note, c.roots[0].signer, c.roots[2].signer, c.registrar.signer]
    for taken in others:
        must_refuse(Reason.KEY_TAKEN, c, enrolled_with(c, newcomer, taken))
        must_refuse(Reason.KEY_TAKEN, c, c.rotation(c.stranger, add=[taken]))
    must_refuse(Reason.KEY_TAKEN, c, c.enrolment(c.roots[0], consents=[c.enroller]))
    free = key("free")
    record = c.put(enrolled_with(c, newcomer, free))
    owner = c.state.read(KeyRecord, free.kid)
    assert owner is not None
    assert (owner.owner, owner.use, owner.touches) == (record.sub, "actor", 1)


def test_a_key_that_was_removed_or_never_came_into_force_stays_its_actors(c: Consortium):
    old, waiting = c.stranger.signer, key("waiting")
    c.put(c.rotation(c.stranger, add=[waiting], remove=[old]))
    must_refuse(Reason.KEY_TAKEN, c, c.rotation(c.holder, add=[waiting]))
    c.put(cancellation(c, c.enroller, len(c.entries) - 1))
    must_refuse(Reason.KEY_TAKEN, c, c.rotation(c.holder, add=[waiting]))
    c.put(c.rotation(c.stranger, add=[waiting], remove=[old]))  # the actor may ask for it again
    assert c.touches(KeyRecord, waiting.kid) == 2
    c.later(DAY)
    must_refuse(Reason.KEY_TAKEN, c, c.rotation(c.holder, add=[old]))
    must_refuse(Reason.KEY_EXISTS, c, c.rotation(c.stranger, add=[old], signer=waiting))


class Counting:
    """The real check of signatures, counted."""

    def __init__(self) -> None:
        self.checks = 0

    def __call__(self, alg: int, public: bytes, message: bytes, signature: bytes) -> bool:
        self.checks += 1
        return verify_signature(alg, public, message, signature)


def test_an_enrolment_without_an_authority_costs_no_check_and_a_forged_one_two(c: Consortium):
    verify = Counting()
    party, more = Party("hostile"), [key(f"hostile {n}") for n in range(31)]
    entries = [key_entry(s) for s in (party.signer, *more)]
    draft = c.draft("actor", party.did, party.did, body={"keys": entries, "roles": [], "name": "n"})
    digest = draft.consent_digest(party.signer)
    own, good = [party.consent(digest, signer=s) for s in more], c.enroller.consent(digest)
    elsewhere = make_consent(c.enroller.signer, c.enroller.did, FOREVER, bytes(32))
    forged = good[:-1] + bytes([good[-1] ^ 1])

    def refused(reason: Reason, *consents: bytes) -> int:
        verify.checks = 0
        statement = decode_statement(sign(draft, party.signer, consents))
        with pytest.raises(Rejection) as caught:
            transition(c.state, statement, len(c.entries), verify)
        assert caught.value.reason == reason
        return verify.checks

    assert refused(Reason.CONSENT_MISSING, *own) == 0
    assert refused(Reason.CONSENT_UNKNOWN_PARTY, *own, c.stranger.consent(digest)) == 0
    assert refused(Reason.CONSENT_ELSEWHERE, *own, elsewhere) == 0
    assert refused(Reason.CONSENT_MISSING, *own[1:], good) == 0
    assert refused(Reason.BAD_SIGNATURE, *own, forged) == 2
    c.put(sign(draft, party.signer, [*own, good]))


@pytest.mark.parametrize("dates", [{"nbf": 10, "exp": 10}, {"nbf": 0, "exp": 5}])
def test_a_key_that_is_never_valid_is_refused(c: Consortium, dates: dict[str, int]):
    newcomer = Party("newcomer")
    keys = [key_entry(newcomer.signer, **dates)]
    must_refuse(Reason.INVALID_PERIOD, c, c.enrolment(newcomer, consents=[c.enroller], keys=keys))


@pytest.mark.parametrize(("scheme", "text"), [("uscc", "91110000600037341K"), ("lei", "529900T8BM49AURSDO56")])
def test_a_legal_identifier_with_a_wrong_check_digit_is_refused(c: Consortium, scheme: str, text: str):
    must_refuse(Reason.BAD_PARAMETERS, c, c.enrolment(Party("newcomer"), consents=[c.enroller], **{scheme: text}))


# -- rotation ----------------------------------------------------------------------------------------------------------


@accepts("rotation")
def test_a_rotation_takes_effect_after_the_delay(c: Consortium):
    new, old = key("new"), c.registrar.signer
    c.put(c.rotation(c.registrar, add=[new], remove=[old]))
    must_refuse(Reason.UNKNOWN_KEY, c, signs(c, c.registrar, new))
    c.later(DAY - 1)
    c.put(signs(c, c.registrar, old, 1))
    must_refuse(Reason.UNKNOWN_KEY, c, signs(c, c.registrar, new, 2))
    c.later(1)
    must_refuse(Reason.KEY_NOT_VALID, c, signs(c, c.registrar, old, 2))
    c.put(signs(c, c.registrar, new, 2))


def test_a_rotation_in_force_stays_in_force_when_the_record_is_touched(c: Consortium):
    new = key("new")
    c.put(c.rotation(c.certifier, add=[new], remove=[c.certifier.signer]))
    c.later(DAY)
    c.accredit(c.accreditor, c.certifier, 2)  # touches the certifier
    record = record_of(c, c.certifier)
    assert record.pending is None
    must_refuse(Reason.KEY_NOT_VALID, c, c.certification(c.certifier, ITEM, 2))
    c.certifier.signer = new
    c.put(c.certification(c.certifier, ITEM, 2))


def test_one_rotation_waits_at_a_time(c: Consortium):
    c.put(c.rotation(c.stranger, add=[key("a")]))
    must_refuse(Reason.ROTATION_PENDING, c, c.rotation(c.stranger, add=[key("b")]))
    c.later(DAY)
    c.put(c.rotation(c.stranger, add=[key("b")]))


def test_a_rotation_is_the_actors_own_and_follows_its_count(c: Consortium):
    body = {"remove": [c.stranger.signer.kid]}
    must_refuse(Reason.WRONG_SIGNER, c, c.act("rotation", c.enroller, c.stranger.did, {"seq": 1}, body))
    must_refuse(Reason.UNKNOWN_ACTOR, c, c.act("rotation", c.stranger, Party("nobody").did, {"seq": 1}, body))
    must_refuse(Reason.STALE_SEQUENCE, c, c.rotation(c.stranger, add=[key("a")], seq=2))


def test_each_new_key_of_a_rotation_consents(c: Consortium):
    must_refuse(Reason.CONSENT_MISSING, c, c.rotation(c.stranger, add=[key("a")], consents=[]))
    must_refuse(Reason.CONSENT_MISSING, c, c.rotation(c.stranger, add=[key("a")], consents=[c.stranger.signer]))


def test_a_rotation_adds_new_keys_and_removes_known_ones(c: Consortium):
    own = c.stranger.signer
    must_refuse(Reason.KEY_EXISTS, c, c.rotation(c.stranger, add=[own]))
    twice = [key_entry(key("a")), key_entry(key("a"), ["statement"])]
    must_refuse(Reason.KEY_EXISTS, c, c.rotation(c.stranger, add=[key("a")], entries=twice))
    must_refuse(Reason.UNKNOWN_KEY, c, c.rotation(c.stranger, remove=[key("a")]))


def test_a_rotation_leaves_a_key_that_signs(c: Consortium):
    must_refuse(Reason.NO_KEY_LEFT, c, c.rotation(c.stranger, remove=[c.stranger.signer]))
    effective = c.now + DAY

    def instead(**dates: int) -> bytes:
        entry = key_entry(key("a"), ["consent"] if not dates else ["statement"], **dates)
        return c.rotation(c.stranger, add=[key("a")], entries=[entry], remove=[c.stranger.signer])

    must_refuse(Reason.NO_KEY_LEFT, c, instead())
    must_refuse(Reason.NO_KEY_LEFT, c, instead(nbf=effective + 1))
    must_refuse(Reason.INVALID_PERIOD, c, instead(exp=effective))
    for dates in ({"nbf": effective}, {"exp": effective + 1}):
        c.fork().put(instead(**dates))


def test_a_rotation_that_keeps_a_key_which_ends_before_it_takes_effect_leaves_none(c: Consortium):
    newcomer = Party("newcomer")
    c.enrol(newcomer, by=c.enroller, keys=[key_entry(newcomer.signer, exp=c.now + DAY)])
    later = key_entry(key("later"), nbf=c.now + 2 * DAY)
    must_refuse(Reason.NO_KEY_LEFT, c, c.rotation(newcomer, add=[key("later")], entries=[later]))
    c.put(c.rotation(newcomer, add=[key("now")]))


def cancellation(c: Consortium, by: Party, entry: int, signer: Signer | None = None, **more: Any) -> bytes:
    body = {"cancel": entry, **more.pop("body", {})}
    seq = c.touches(ActorRecord, c.stranger.did)
    return c.act("rotation", by, c.stranger.did, {"seq": seq, **more.pop("claims", {})}, body, signer=signer, **more)


@pytest.fixture
def pending(c: Consortium) -> tuple[Consortium, int, Signer]:
    """The stranger has two keys; its first asked for a rotation, at this entry, that removes the second."""
    second = key("second")
    c.put(c.rotation(c.stranger, add=[second]))
    c.later(DAY)
    entry = len(c.entries)
    c.put(c.rotation(c.stranger, remove=[second]))
    return c, entry, second


@accepts("rotation")
def test_another_key_or_the_enroller_cancels_a_rotation(pending: tuple[Consortium, int, Signer]):
    c, entry, second = pending
    for raw in (cancellation(c, c.stranger, entry, second), cancellation(c, c.enroller, entry)):
        twin = c.fork()
        twin.put(raw)
        assert record_of(twin, c.stranger).pending is None
        twin.later(DAY)
        twin.put(twin.rotation(c.stranger, add=[key("third")], signer=second))


def test_the_key_that_asked_cannot_cancel(pending: tuple[Consortium, int, Signer]):
    c, entry, _ = pending
    must_refuse(Reason.WRONG_SIGNER, c, cancellation(c, c.stranger, entry))


def test_third_parties_cannot_cancel(pending: tuple[Consortium, int, Signer]):
    c, entry, second = pending
    must_refuse(Reason.WRONG_SIGNER, c, cancellation(c, c.registrar, entry))
    must_refuse(Reason.WRONG_SIGNER, c, cancellation(c, c.roots[0], entry, consents=c.roots[1:2]))
    c.put(c.log_change(roles={c.enroller.did: ["auditor"]}))
    must_refuse(Reason.MISSING_ROLE, c, cancellation(c, c.enroller, entry))
    must_refuse(Reason.STALE_SEQUENCE, c, cancellation(c, c.stranger, entry, second, claims={"seq": 1}))


def test_only_what_waits_is_cancelled_and_nothing_else_is_asked(pending: tuple[Consortium, int, Signer]):
    c, entry, second = pending
    must_refuse(Reason.NOTHING_PENDING, c, cancellation(c, c.stranger, entry - 1, second))
    both = cancellation(c, c.stranger, entry, second, body={"remove": [second.kid]})
    must_refuse(Reason.BAD_PARAMETERS, c, both)
    c.later(DAY)
    must_refuse(Reason.NOTHING_PENDING, c, cancellation(c, c.enroller, entry))


@accepts("rotation")
def test_the_root_cancels_where_the_root_enrolled(c: Consortium):
    c.put(c.rotation(c.regulator, add=[key("stolen")]))
    entry = len(c.entries) - 1
    claims, body = {"seq": c.touches(ActorRecord, c.regulator.did)}, {"cancel": entry}
    must_refuse(Reason.WRONG_SIGNER, c, c.act("rotation", c.enroller, c.regulator.did, claims, body))
    must_refuse(Reason.THRESHOLD_NOT_MET, c, c.act("rotation", c.roots[0], c.regulator.did, claims, body))
    c.put(c.act("rotation", c.roots[0], c.regulator.did, claims, body, consents=c.roots[1:2]))
    assert record_of(c, c.regulator).pending is None


# -- compromise --------------------------------------------------------------------------------------------------------


def report(
    c: Consortium, by: Party, about: Party, bad: list[tuple[Signer, int]], confirmed: list[Signer], **more: Any
) -> bytes:
    body = {
        "bad": [{"kid": s.kid, "from": since} for s, since in bad],
        "confirmed": [s.kid for s in confirmed],
        **more.pop("body", {}),
    }
    seq = more.pop("seq", c.touches(ActorRecord, about.did))
    return c.act("compromise", by, about.did, {"seq": seq}, body, **more)


@pytest.fixture
def three(c: Consortium) -> tuple[Consortium, Signer, Signer]:
    """The registrar has three keys."""
    second, third = key("second"), key("third")
    c.put(c.rotation(c.registrar, add=[second, third]))
    c.later(DAY)
    return c, second, third


@accepts("compromise")
def test_a_bad_key_is_off_a_confirmed_one_on_and_the_rest_are_off(three: tuple[Consortium, Signer, Signer]):
    c, second, third = three
    first = c.registrar.signer
    c.put(report(c, c.enroller, c.registrar, [(first, c.now - 50)], [second]))
    must_refuse(Reason.KEY_COMPROMISED, c, signs(c, c.registrar, first))
    must_refuse(Reason.KEY_NOT_VALID, c, signs(c, c.registrar, third))
    c.put(signs(c, c.registrar, second))
    assert [k.bad for k in record_of(c, c.registrar).keys] == [c.now - 50, None, None]
    # a later report may reach further back, and switches nothing on again
    c.put(report(c, c.enroller, c.registrar, [(first, c.now - 90)], [second, third]))
    assert [(k.bad, k.off) for k in record_of(c, c.registrar).keys] == [(c.now - 90, None), (None, None), (None, c.now)]
    c.put(report(c, c.enroller, c.registrar, [(first, c.now)], [second]))
    assert record_of(c, c.registrar).keys[0].bad == c.now - 90


@accepts("compromise")
def test_the_root_reports_keys_of_anybody(three: tuple[Consortium, Signer, Signer]):
    c, second, _ = three
    bad = [(c.registrar.signer, c.now)]
    must_refuse(Reason.THRESHOLD_NOT_MET, c, report(c, c.roots[0], c.registrar, bad, [second]))
    c.put(report(c, c.roots[0], c.registrar, bad, [second], consents=c.roots[1:2]))


def test_nobody_else_reports_keys(three: tuple[Consortium, Signer, Signer]):
    c, second, _ = three
    bad = [(c.registrar.signer, c.now)]
    for by in (c.registrar, c.regulator, c.stranger):
        must_refuse(Reason.WRONG_SIGNER, c, report(c, by, c.registrar, bad, [second]))
    regulators = [(c.regulator.signer, c.now)]
    must_refuse(Reason.WRONG_SIGNER, c, report(c, c.enroller, c.regulator, regulators, []))  # the root enrolled it
    c.put(c.log_change(roles={c.enroller.did: ["auditor"]}))
    must_refuse(Reason.MISSING_ROLE, c, report(c, c.enroller, c.registrar, bad, [second]))


def test_a_report_names_keys_of_the_actor_once_each_and_no_future(three: tuple[Consortium, Signer, Signer]):
    c, second, _ = three
    first, now = c.registrar.signer, c.now
    must_refuse(Reason.UNKNOWN_KEY, c, report(c, c.enroller, c.registrar, [(key("other"), now)], []))
    must_refuse(Reason.UNKNOWN_KEY, c, report(c, c.enroller, c.registrar, [(first, now)], [key("other")]))
    must_refuse(Reason.UNKNOWN_KEY, c, report(c, c.enroller, c.registrar, [(first, now)], [first]))
    must_refuse(Reason.UNKNOWN_KEY, c, report(c, c.enroller, c.registrar, [(first, now), (first, now - 1)], []))
    must_refuse(Reason.EFFECTIVE_IN_FUTURE, c, report(c, c.enroller, c.registrar, [(first, now + 1)], [second]))
    must_refuse(Reason.STALE_SEQUENCE, c, report(c, c.enroller, c.registrar, [(first, now)], [second], seq=1))
    body = {"bad": [{"kid": first.kid, "from": now}], "confirmed": []}
    must_refuse(Reason.UNKNOWN_ACTOR, c, c.act("compromise", c.enroller, Party("nobody").did, {"seq": 1}, body))


@accepts("compromise")
def test_a_rotation_that_a_bad_key_asked_for_falls(three: tuple[Consortium, Signer, Signer]):
    c, second, _ = three
    c.put(c.rotation(c.registrar, add=[key("thief")], remove=[second]))
    c.put(report(c, c.enroller, c.registrar, [(c.registrar.signer, c.now)], [second]))
    c.later(DAY)
    must_refuse(Reason.UNKNOWN_KEY, c, signs(c, c.registrar, key("thief")))
    c.put(signs(c, c.registrar, second))


@accepts("compromise")
def test_a_key_that_a_thief_added_is_off_unless_confirmed(three: tuple[Consortium, Signer, Signer]):
    c, second, _ = three
    c.put(c.rotation(c.registrar, add=[key("thief")]))
    c.later(DAY)
    c.put(report(c, c.enroller, c.registrar, [(c.registrar.signer, c.now - DAY)], [second]))
    must_refuse(Reason.KEY_NOT_VALID, c, signs(c, c.registrar, key("thief")))


@accepts("compromise")
def test_genuine_statements_by_a_bad_key_are_reconfirmed(three: tuple[Consortium, Signer, Signer]):
    c, second, _ = three
    leaves = [decode_statement(c.entries[n]).leaf for n in (13, 14)]
    body = {"reconfirmed": leaves}
    c.put(report(c, c.enroller, c.registrar, [(c.registrar.signer, 0)], [second], body=body))
    for leaf in leaves:
        record = c.state.read(ReconfirmedRecord, c.registrar.did, leaf)
        assert record is not None
        assert (record.actor, record.touches) == (c.registrar.did, 1)
    body = {"reconfirmed": leaves[:1]}
    c.put(report(c, c.enroller, c.registrar, [(c.registrar.signer, 0)], [second], body=body))
    assert c.touches(ReconfirmedRecord, c.registrar.did, leaves[0]) == 2


def test_a_compromised_key_consents_to_nothing(c: Consortium):
    c.put(report(c, c.enroller, c.stranger, [(c.stranger.signer, c.now)], []))
    must_refuse(Reason.KEY_COMPROMISED, c, c.transfer(c.holder, ITEM, c.stranger, seq=2))


# -- an actor without a key --------------------------------------------------------------------------------------------


@pytest.fixture
def locked_out(c: Consortium) -> Consortium:
    """The stranger's only key is bad."""
    c.put(report(c, c.enroller, c.stranger, [(c.stranger.signer, c.now)], []))
    return c


@accepts("rotation")
def test_the_enroller_and_the_root_give_a_new_key_to_an_actor_without_one(locked_out: Consortium):
    c, new = locked_out, key("recovered")
    for by, consents in ((c.enroller, c.roots[:2]), (c.roots[0], c.roots[1:2])):
        twin = c.fork()
        twin.put(twin.recovery(c.stranger, new, by=by, consents=consents))
        must_refuse(Reason.UNKNOWN_KEY, twin, signs_transfer(twin, new))
        twin.later(DAY)
        twin.put(twin.transfer(c.holder, ITEM, c.registrar, seq=2))
        must_refuse(Reason.WRONG_SIGNER, twin, signs_transfer(twin, new))  # a key in force, no holder
        twin.put(twin.rotation(c.stranger, add=[key("own again")], signer=new))


def signs_transfer(c: Consortium, signer: Signer) -> bytes:
    """Something that the stranger signs; the holder is another."""
    return c.transfer(c.stranger, ITEM, c.registrar, seq=3, signer=signer, consents=[c.registrar])


def test_a_recovery_needs_the_threshold_and_the_new_key(locked_out: Consortium):
    c, new = locked_out, key("recovered")
    for by, consents in ((c.enroller, []), (c.enroller, c.roots[:1]), (c.roots[0], []), (c.roots[0], [c.roots[0]])):
        must_refuse(Reason.THRESHOLD_NOT_MET, c, c.recovery(c.stranger, new, by=by, consents=consents))
    must_refuse(Reason.CONSENT_MISSING, c, c.recovery(c.stranger, new, by=c.enroller, agreeing=[]))
    for by in (c.registrar, c.regulator):
        must_refuse(Reason.WRONG_SIGNER, c, c.recovery(c.stranger, new, by=by))
    must_refuse(Reason.KEY_COMPROMISED, c, c.rotation(c.stranger, add=[new]))
    remove = [c.stranger.signer.kid]
    must_refuse(Reason.BAD_PARAMETERS, c, c.recovery(c.stranger, new, by=c.enroller, remove=remove))
    c.put(c.log_change(roles={c.enroller.did: ["auditor"]}))
    must_refuse(Reason.MISSING_ROLE, c, c.recovery(c.stranger, new, by=c.enroller))
    c.put(c.recovery(c.stranger, new, by=c.roots[0], consents=c.roots[1:2]))


def test_an_actor_with_a_key_in_force_is_not_given_another(c: Consortium):
    for by, consents in ((c.enroller, c.roots[:2]), (c.roots[0], c.roots[1:2])):
        must_refuse(Reason.WRONG_SIGNER, c, c.recovery(c.stranger, key("taken over"), by=by, consents=consents))


def test_a_recovery_can_be_cancelled_and_waits_alone(locked_out: Consortium):
    c = locked_out
    entry = len(c.entries)
    c.put(c.recovery(c.stranger, key("recovered"), by=c.roots[0], consents=c.roots[1:2]))
    must_refuse(Reason.ROTATION_PENDING, c, c.recovery(c.stranger, key("other"), by=c.enroller))
    c.put(cancellation(c, c.enroller, entry))
    c.put(c.recovery(c.stranger, key("other"), by=c.enroller))


def test_an_actor_whose_keys_ran_out_is_recovered_too(c: Consortium):
    newcomer = Party("newcomer")
    c.enrol(newcomer, by=c.enroller, keys=[key_entry(newcomer.signer, exp=c.now + 10)])
    must_refuse(Reason.WRONG_SIGNER, c, c.recovery(newcomer, key("new"), by=c.enroller))
    c.later(10)
    c.put(c.recovery(newcomer, key("new"), by=c.enroller))
    c.later(DAY)
    newcomer.signer = key("new")
    c.put(c.rotation(newcomer, add=[key("next")]))
