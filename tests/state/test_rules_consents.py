"""Consents: bound to one act on one log, in time, each party once; and the thresholds that they reach."""

from __future__ import annotations

from ledger.state.reasons import Reason
from ledger.state.records import ActorRecord, IdentifierRecord
from ledger.statements import Draft, make_consent, sign
from tests.world import FOREVER, ITEM, Consortium, Party, accepts, key, key_entry, member, must_refuse

SECOND = "vaa:88.118.8/B2"


def transfer_draft(c: Consortium, to: Party, seq: int = 2, sub: str = ITEM) -> Draft:
    return c.draft("transfer", c.holder.did, sub, {"holder": to.did, "seq": seq}, {})


def with_consents(c: Consortium, draft: Draft, *consents: bytes) -> bytes:
    return sign(draft, c.holder.signer, consents)


@accepts("transfer")
def test_a_consent_to_this_very_act_counts(c: Consortium):
    draft = transfer_draft(c, c.stranger)
    c.put(with_consents(c, draft, c.stranger.consent(draft.consent_digest(c.holder.signer))))
    item = c.state.read(IdentifierRecord, ITEM)
    assert item is not None
    assert item.holder == c.stranger.did


def test_a_consent_moved_to_another_act_is_refused(c: Consortium):
    c.put(c.registration(c.registrar, SECOND, "vaa/88.118", c.holder))
    given = c.stranger.consent(transfer_draft(c, c.stranger).consent_digest(c.holder.signer))
    must_refuse(Reason.CONSENT_ELSEWHERE, c, with_consents(c, transfer_draft(c, c.stranger, 1, SECOND), given))


def test_a_consent_replayed_on_the_same_item_later_is_refused(c: Consortium):
    draft = transfer_draft(c, c.stranger)
    given = c.stranger.consent(draft.consent_digest(c.holder.signer))
    c.put(with_consents(c, draft, given))
    c.put(c.transfer(c.stranger, ITEM, c.holder, seq=3))
    must_refuse(Reason.CONSENT_ELSEWHERE, c, with_consents(c, transfer_draft(c, c.stranger, 4), given))


def test_a_consent_given_on_another_log_is_refused(c: Consortium):
    other = Consortium(skew=301)
    given = other.stranger.consent(transfer_draft(other, other.stranger).consent_digest(other.holder.signer))
    must_refuse(Reason.CONSENT_ELSEWHERE, c, with_consents(c, transfer_draft(c, c.stranger), given))


def test_a_consent_of_the_root_moved_to_another_change_is_refused(c: Consortium):
    body = {"suites": [-8]}
    draft = c.draft("log", c.genesis.iss, f"log:{c.log_id.hex()}", {"seq": c.log.touches}, body)
    consents = c.root_consents(draft, c.cose)
    other = c.draft("log", c.genesis.iss, f"log:{c.log_id.hex()}", {"seq": c.log.touches}, {"suites": [-8, -7]})
    must_refuse(Reason.CONSENT_ELSEWHERE, c, sign(other, c.cose, consents))
    c.put(sign(draft, c.cose, consents))


def test_a_consent_ends_at_its_exp_by_log_time(c: Consortium):
    draft = transfer_draft(c, c.stranger)
    digest = draft.consent_digest(c.holder.signer)
    raw = with_consents(c, draft, c.stranger.consent(digest, exp=c.now + 60))
    late = c.fork()
    late.later(60)
    must_refuse(Reason.CONSENT_EXPIRED, late, raw)
    c.later(59)
    c.put(raw)


def test_two_consents_of_one_actor_are_refused(c: Consortium):
    draft = transfer_draft(c, c.stranger)
    digest = draft.consent_digest(c.holder.signer)
    twice = [c.stranger.consent(digest), c.stranger.consent(digest, exp=FOREVER - 1)]
    must_refuse(Reason.CONSENT_REPEATED, c, with_consents(c, draft, *twice))


def test_two_consents_of_one_actor_by_two_keys_are_refused(c: Consortium):
    second = key("stranger second")
    c.put(c.rotation(c.stranger, add=[second]))
    c.later(100_000)
    draft = transfer_draft(c, c.stranger)
    digest = draft.consent_digest(c.holder.signer)
    for order in ([c.stranger.signer, second], [second, c.stranger.signer]):
        consents = [c.stranger.consent(digest, signer=s) for s in order]
        must_refuse(Reason.CONSENT_REPEATED, c, with_consents(c, draft, *consents))
    c.put(with_consents(c, draft, c.stranger.consent(digest, signer=second)))


def test_one_root_authority_twice_does_not_make_a_threshold(c: Consortium):
    draft = c.draft("log", c.genesis.iss, f"log:{c.log_id.hex()}", {"seq": c.log.touches}, {"suites": [-8]})
    digest = draft.consent_digest(c.cose)
    twice = [c.roots[0].consent(digest), c.roots[0].consent(digest, exp=FOREVER - 1)]
    must_refuse(Reason.CONSENT_REPEATED, c, sign(draft, c.cose, twice))


def test_a_root_authority_that_signs_and_consents_counts_once(c: Consortium):
    draft = c.draft(
        "delegation", c.roots[0].did, "delegation:vaa/88.300", {"holder": c.registrar.did, "rights": ["register"]},
        nbf=c.now, exp=c.now + 9,
    )  # fmt: skip
    consents = c.root_consents(draft, c.roots[0].signer, [c.roots[0]])
    must_refuse(Reason.THRESHOLD_NOT_MET, c, sign(draft, c.roots[0].signer, consents))
    c.put(sign(draft, c.roots[0].signer, c.root_consents(draft, c.roots[0].signer, c.roots[1:2])))


def test_a_consent_by_a_party_without_a_say_is_refused(c: Consortium):
    draft = transfer_draft(c, c.stranger)
    digest = draft.consent_digest(c.holder.signer)
    good = c.stranger.consent(digest)
    must_refuse(Reason.CONSENT_UNKNOWN_PARTY, c, with_consents(c, draft, good, Party("nobody").consent(digest)))
    must_refuse(Reason.CONSENT_UNKNOWN_PARTY, c, with_consents(c, draft, good, c.certifier.consent(digest)))
    newcomer = Party("newcomer")
    must_refuse(Reason.CONSENT_UNKNOWN_PARTY, c, c.enrolment(newcomer, consents=[c.stranger]))


def test_a_consent_of_the_wrong_party_alone_is_not_enough(c: Consortium):
    draft = transfer_draft(c, c.stranger)
    digest = draft.consent_digest(c.holder.signer)
    must_refuse(Reason.CONSENT_MISSING, c, with_consents(c, draft, c.certifier.consent(digest)))


def test_a_forged_consent_is_refused(c: Consortium):
    draft = transfer_draft(c, c.stranger)
    given = c.stranger.consent(draft.consent_digest(c.holder.signer))
    must_refuse(Reason.BAD_SIGNATURE, c, with_consents(c, draft, given[:-1] + bytes([given[-1] ^ 1])))


def test_a_consent_by_a_key_of_another_actor_is_refused(c: Consortium):
    draft = transfer_draft(c, c.stranger)
    digest = draft.consent_digest(c.holder.signer)
    borrowed = make_consent(c.certifier.signer, c.stranger.did, FOREVER, digest)
    must_refuse(Reason.UNKNOWN_KEY, c, with_consents(c, draft, borrowed))


def test_the_threshold_counts_root_keys_not_keys_of_the_same_actor(c: Consortium):
    """A root authority may be enrolled with everyday keys of its own; they are no root keys."""
    everyday = key("everyday")
    root = Party("root with a name")
    root.did = "did:web:root.example"
    members = [member(p) for p in (c.roots[0], root)]
    c.put(c.log_change(consents=[*c.roots[:2], root], root={"members": members, "threshold": 2}))
    body = {"keys": [key_entry(everyday)], "roles": [], "name": "root"}
    draft = c.draft("actor", root.did, root.did, body=body)
    c.put(sign(draft, everyday, [c.enroller.consent(draft.consent_digest(everyday))]))
    change = c.draft("log", c.genesis.iss, f"log:{c.log_id.hex()}", {"seq": c.log.touches}, {"suites": [-8]})
    digest = change.consent_digest(c.cose)
    first = c.roots[0].consent(digest)
    must_refuse(Reason.THRESHOLD_NOT_MET, c, sign(change, c.cose, [first, root.consent(digest, signer=everyday)]))
    c.put(sign(change, c.cose, [first, root.consent(digest)]))


def test_each_new_key_consents_and_an_old_one_beside_it_in_any_order(c: Consortium):
    second, third = key("second"), key("third")
    record = c.state.read(ActorRecord, c.stranger.did)
    assert record is not None
    for order in ([second, third, c.stranger.signer], [c.stranger.signer, third, second]):
        c.fork().put(c.rotation(c.stranger, add=[second, third], consents=order))
    must_refuse(Reason.CONSENT_MISSING, c, c.rotation(c.stranger, add=[second, third], consents=[second]))
