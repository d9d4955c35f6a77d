"""Acts about the log itself: genesis, changes of its parameters, manifests."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from ledger.identifiers.did_key import did_key
from ledger.state.reasons import Reason
from ledger.state.records import ActorRecord, BatchRecord, KeyRecord, KeyRef, Member
from ledger.state.rules1.log import log_did
from ledger.state.view import MemoryState
from ledger.statements import Draft, make_consent, sign
from tests.world import (
    FOREVER,
    START,
    Consortium,
    Party,
    World,
    accepts,
    genesis_draft,
    key,
    member,
    must_refuse,
    note_entry,
)

ROOTS = [Party(f"root {n}") for n in range(3)]
COSE, NOTE = key("cose"), key("note")


class Blank(World):
    """No log yet."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.entries = MemoryState(), []


def genesis(draft: Draft, consenting: list[Party] | None = None, signer: Any = COSE, exp: int = FOREVER) -> bytes:
    digest = draft.consent_digest(signer)
    return sign(draft, signer, [p.consent(digest, exp) for p in (ROOTS[:2] if consenting is None else consenting)])


@accepts("genesis")
def test_a_genesis_brings_its_parameters_into_being():
    blank = Blank()
    statement = blank.put(genesis(genesis_draft(COSE, NOTE, ROOTS, witnesses=[f"w+{'0' * 8}+{'A' * 44}"])))
    assert blank.log.log_id == statement.leaf
    assert blank.log.cose == KeyRef(-8, COSE.public_key)
    assert blank.log.members == tuple(Member(p.did, -8, p.signer.public_key) for p in ROOTS)
    assert (blank.log.threshold, blank.log.skew, blank.log.rules, blank.log.suites) == (2, 300, 1, (-8, -7))
    assert len(blank.log.witnesses) == 1
    batch = blank.state.read(BatchRecord)
    assert batch is not None
    assert (batch.number, batch.time, batch.first) == (0, START, 0)


@accepts("genesis")
def test_a_genesis_may_be_signed_in_either_suite():
    cose = key("cose", "es256")
    blank = Blank()
    blank.put(genesis(genesis_draft(cose, NOTE, ROOTS), signer=cose))
    assert log_did(blank.log) == did_key(cose.public_key, "es256")


@pytest.mark.parametrize(
    ("reason", "raw"),
    [
        (Reason.THRESHOLD_NOT_MET, genesis(genesis_draft(COSE, NOTE, ROOTS), ROOTS[:1])),
        (Reason.CONSENT_UNKNOWN_PARTY, genesis(genesis_draft(COSE, NOTE, ROOTS), [*ROOTS, Party("nobody")])),
        (Reason.CONSENT_EXPIRED, genesis(genesis_draft(COSE, NOTE, ROOTS), exp=START)),
        (Reason.WRONG_SIGNER, genesis(genesis_draft(COSE, NOTE, ROOTS), signer=key("other"))),
        (Reason.WRONG_SIGNER, genesis(replace(genesis_draft(COSE, NOTE, ROOTS), iss=ROOTS[0].did))),
        (Reason.BAD_PARAMETERS, genesis(replace(genesis_draft(COSE, NOTE, ROOTS), sub="log:example.org/other"))),
        (Reason.BAD_PARAMETERS, genesis(genesis_draft(COSE, NOTE, ROOTS, 0))),
        (Reason.BAD_PARAMETERS, genesis(genesis_draft(COSE, NOTE, ROOTS, 4), ROOTS)),
        (Reason.BAD_PARAMETERS, genesis(genesis_draft(COSE, COSE, ROOTS))),
        (Reason.BAD_PARAMETERS, genesis(genesis_draft(COSE, ROOTS[0].signer, ROOTS))),
        (Reason.BAD_PARAMETERS, genesis(genesis_draft(COSE, key("note", "es256"), ROOTS))),
        (Reason.BAD_PARAMETERS, genesis(genesis_draft(COSE, NOTE, ROOTS, suites=[-7]))),
        (Reason.BAD_PARAMETERS, genesis(genesis_draft(COSE, NOTE, [*ROOTS, Party("p", "es256")], suites=[-8]))),
    ],
)
def test_a_genesis_that_contradicts_itself_is_refused(reason: Reason, raw: bytes):
    must_refuse(reason, Blank(), raw)


def test_a_root_member_or_root_key_cannot_stand_twice_in_a_genesis():
    same_did = Party("other key")
    same_did.did = ROOTS[0].did
    must_refuse(Reason.BAD_PARAMETERS, Blank(), genesis(genesis_draft(COSE, NOTE, [*ROOTS, same_did])))
    same_key = Party("root 0")
    same_key.did = "did:web:example.org"
    must_refuse(Reason.BAD_PARAMETERS, Blank(), genesis(genesis_draft(COSE, NOTE, [*ROOTS, same_key])))


def test_a_genesis_with_a_broken_signature_or_foreign_consents_is_refused():
    draft = genesis_draft(COSE, NOTE, ROOTS)
    raw = genesis(draft)
    must_refuse(Reason.BAD_SIGNATURE, Blank(), raw[:-1] + bytes([raw[-1] ^ 1]))
    other = replace(draft, iat=START + 1).consent_digest(COSE)
    must_refuse(Reason.CONSENT_ELSEWHERE, Blank(), sign(draft, COSE, [p.consent(other) for p in ROOTS]))
    good = [p.consent(draft.consent_digest(COSE)) for p in ROOTS]
    again = ROOTS[0].consent(draft.consent_digest(COSE), FOREVER - 1)
    must_refuse(Reason.CONSENT_REPEATED, Blank(), sign(draft, COSE, [*good, again]))
    must_refuse(Reason.BAD_SIGNATURE, Blank(), sign(draft, COSE, [good[0], good[1][:-1] + bytes([good[1][-1] ^ 1])]))


def test_a_genesis_shows_that_somebody_holds_its_note_key():
    good = note_entry(NOTE, COSE)
    for wrong in (
        {**good, "proof": bytes(64)},
        {"alg": -8, "key": NOTE.public_key},
        note_entry(NOTE, key("other")),
        note_entry(NOTE, COSE, bytes(32)),
        {**good, "proof": note_entry(key("other"), COSE)["proof"]},
    ):
        keys = {"cose": {"alg": -8, "key": COSE.public_key}, "note": wrong}
        must_refuse(Reason.NOTE_KEY_UNPROVEN, Blank(), genesis(genesis_draft(COSE, NOTE, ROOTS, keys=keys)))


def test_a_genesis_gives_each_key_its_owner_and_its_use():
    blank = Blank()
    blank.put(genesis(genesis_draft(COSE, NOTE, ROOTS)))
    found = {place[1]: (r.owner, r.use) for place, r in blank.state.records.items() if place[0] is KeyRecord}
    assert found == {
        COSE.kid: ("", "cose"), NOTE.kid: ("", "note"), **{p.signer.kid: (p.did, "root") for p in ROOTS},
    }  # fmt: skip


def test_entry_one_is_the_first_manifest():
    world = Blank()
    world.put(genesis(genesis_draft(COSE, NOTE, ROOTS)))
    world.log_id = world.log.log_id
    for raw in (
        world.enrolment(Party("early"), consents=world.roots[:2]),
        world.log_change(suites=[-8]),
        world.registration(Party("early"), "vaa:88.118.8/A1", "vaa/88.118"),
    ):
        must_refuse(Reason.MANIFEST_FIRST, world, raw)
    must_refuse(Reason.GENESIS_MISPLACED, world, world.entries[0])
    world.counts = Counter({"genesis": 1})
    world.close(START)
    world.enrol(Party("early"))


# -- changes -----------------------------------------------------------------------------------------------------------


@accepts("log")
def test_the_root_threshold_changes_parameters_from_the_next_entry_on(c: Consortium):
    c.put(c.log_change(policy={"skew": 5, "max_age": 50, "rotation_delay": 7}, witnesses=[]))
    assert (c.log.skew, c.log.max_age, c.log.rotation_delay) == (5, 50, 7)
    late = c.draft("registration", c.registrar.did, "vaa:88.118.8/B2",
                   {"holder": c.holder.did, "delegation": "vaa/88.118"}, digest=bytes(32), iat=c.now + 6)  # fmt: skip
    must_refuse(Reason.IAT_AHEAD, c, sign(late, c.registrar.signer))


def test_a_change_below_the_threshold_or_by_another_signer_is_refused(c: Consortium):
    must_refuse(Reason.THRESHOLD_NOT_MET, c, c.log_change(consents=c.roots[:1], suites=[-8]))
    must_refuse(Reason.THRESHOLD_NOT_MET, c, c.log_change(consents=[c.roots[0], c.regulator], suites=[-8]))
    must_refuse(Reason.WRONG_SIGNER, c, c.log_change(signer=c.note, suites=[-8]))
    sub, claims = f"log:{c.log_id.hex()}", {"seq": c.log.touches}
    raw = c.act("log", c.roots[0], sub, claims, {"suites": [-8]}, consents=c.roots[1:])
    must_refuse(Reason.WRONG_SIGNER, c, raw)


def test_a_change_follows_the_count_of_the_log_record_only(c: Consortium):
    before = c.log.touches
    c.later(1)
    c.later(1)
    assert c.log.touches == before
    old = c.log_change(seq=before, suites=[-8])
    c.put(c.log_change(witnesses=[f"w+{'0' * 8}+{'A' * 44}"]))
    must_refuse(Reason.STALE_SEQUENCE, c, old)


def test_a_change_that_changes_nothing_is_refused(c: Consortium):
    must_refuse(Reason.NO_CHANGE, c, c.log_change(suites=[-8, -7]))


@pytest.mark.parametrize(
    "body",
    [
        {"rules": 0},
        {"suites": [-7]},
        {"root": {"members": [member(p) for p in ROOTS], "threshold": 4}},
        {"root": {"members": [member(ROOTS[0])], "threshold": 0}},
        {"root": {"members": [member(Party("x", "es256"))], "threshold": 1}, "suites": [-8]},
        {
            "keys": {
                "cose": {"alg": -8, "key": ROOTS[2].signer.public_key},
                "note": {"alg": -8, "key": NOTE.public_key},
            }
        },
        {
            "keys": {
                "cose": {"alg": -8, "key": COSE.public_key},
                "note": {"alg": -7, "key": key("x", "es256").public_key, "proof": bytes(64)},
            }
        },
    ],
)
def test_parameters_that_contradict_each_other_are_refused(c: Consortium, body: dict[str, Any]):
    must_refuse(Reason.BAD_PARAMETERS, c, c.log_change(**body))


def change_keys(c: Consortium, cose: Any, *, consents: list[bytes] | None = None) -> bytes:
    keys = {
        "cose": {"alg": cose.suite.alg, "key": cose.public_key},
        "note": {"alg": -8, "key": c.note.public_key},
    }
    sub = f"log:{c.log_id.hex()}"
    draft = c.draft("log", log_did(c.log), sub, {"seq": c.log.touches}, {"keys": keys})
    digest = draft.consent_digest(c.cose)
    new = make_consent(cose, did_key(cose.public_key, cose.suite.name), FOREVER, digest)
    return sign(draft, c.cose, [*c.root_consents(draft, c.cose), *([new] if consents is None else consents)])


@accepts("log")
def test_a_new_log_key_consents_itself_and_signs_from_then_on(c: Consortium):
    new = key("cose 2", "es256")
    must_refuse(Reason.CONSENT_MISSING, c, change_keys(c, new, consents=[]))
    c.put(change_keys(c, new))
    must_refuse(Reason.WRONG_SIGNER, c, c.manifest(c.now))  # the old key
    c.cose = new
    c.later(10)
    assert log_did(c.log) == did_key(new.public_key, "es256")


@accepts("log")
def test_a_new_note_key_shows_that_somebody_holds_it(c: Consortium):
    new = key("note 2")
    for proof in (
        {"alg": -8, "key": new.public_key},
        note_entry(new, c.cose),  # made for a genesis
        note_entry(new, c.cose, bytes(32)),  # made for another log
        note_entry(new, key("other"), c.log_id),  # made beside another cose key
        note_entry(new, c.cose, c.log_id) | {"proof": bytes(64)},
        note_entry(c.note, c.cose, c.log_id) | {"key": new.public_key},
    ):
        must_refuse(Reason.NOTE_KEY_UNPROVEN, c, c.fork().new_log_keys(c.cose, new, proof=proof))
    c.put(c.new_log_keys(c.cose, new))
    assert c.log.note == KeyRef(-8, new.public_key)
    wrong = note_entry(new, c.cose, c.log_id) | {"proof": bytes(64)}  # of the key in force: checked where it stands
    must_refuse(Reason.NOTE_KEY_UNPROVEN, c, c.fork().new_log_keys(c.cose, new, proof=wrong))


@accepts("log")
def test_both_keys_of_the_log_are_changed_by_one_statement(c: Consortium):
    c.put(c.new_log_keys(key("cose 2", "es256"), key("note 2")))
    c.later(10)
    for kid, use in ((c.cose.kid, "cose"), (c.note.kid, "note")):
        record = c.state.read(KeyRecord, kid)
        assert record is not None
        assert (record.owner, record.use) == ("", use)


def test_the_log_and_the_root_take_no_key_of_another_party_or_purpose(c: Consortium):
    must_refuse(Reason.KEY_TAKEN, c, c.fork().new_log_keys(c.registrar.signer, c.note))
    must_refuse(Reason.KEY_TAKEN, c, c.fork().new_log_keys(c.cose, c.registrar.signer))
    old_cose, old_note = c.cose, c.note
    c.put(c.new_log_keys(key("cose 2"), key("note 2")))
    must_refuse(Reason.KEY_TAKEN, c, c.fork().new_log_keys(old_note, c.note))
    must_refuse(Reason.KEY_TAKEN, c, c.fork().new_log_keys(c.cose, old_cose))
    c.put(c.fork().new_log_keys(old_cose, old_note))  # back to what they were
    c.cose, c.note = old_cose, old_note
    for party in (c.registrar, Party("cose 2")):
        root = {"members": [member(p) for p in (c.roots[0], party)], "threshold": 2}
        must_refuse(Reason.KEY_TAKEN, c, c.log_change(consents=[*c.roots[:2], party], root=root))


def test_a_root_authority_that_left_may_come_back(c: Consortium):
    two = {"members": [member(p) for p in c.roots[:2]], "threshold": 2}
    three = {"members": [member(p) for p in c.roots], "threshold": 2}
    c.put(c.log_change(root=two))
    c.put(c.log_change(consents=c.roots, root=three))
    assert c.touches(KeyRecord, c.roots[2].signer.kid) == 2


@accepts("log")
def test_a_new_root_key_consents_itself_and_counts_from_then_on(c: Consortium):
    new = Party("root 3", "es256")
    root = {"members": [member(p) for p in (c.roots[0], new)], "threshold": 2}
    must_refuse(Reason.CONSENT_MISSING, c, c.log_change(root=root))
    must_refuse(Reason.THRESHOLD_NOT_MET, c, c.log_change(consents=[c.roots[0], new], root=root))
    c.put(c.log_change(consents=[*c.roots[:2], new], root=root))
    must_refuse(Reason.CONSENT_UNKNOWN_PARTY, c, c.log_change(witnesses=[f"w+{'0' * 8}+{'A' * 44}"]))
    c.put(c.log_change(consents=[c.roots[0], new], witnesses=[f"w+{'0' * 8}+{'A' * 44}"]))


@accepts("log")
def test_a_root_authority_changes_its_key_with_the_old_one_agreeing(c: Consortium):
    new = Party("root 0 again")
    new.did = c.roots[0].did
    root = {"members": [member(p) for p in (new, c.roots[1])], "threshold": 2}
    for consents in ([new, c.roots[0], c.roots[1]], [c.roots[0], c.roots[1], new]):
        c.fork().put(c.log_change(consents=consents, root=root))


@accepts("log")
def test_only_the_root_grants_and_takes_privileged_roles(c: Consortium):
    c.put(c.log_change(roles={c.stranger.did: ["regulator", "auditor"]}))
    stranger = c.state.read(ActorRecord, c.stranger.did)
    assert stranger is not None
    assert stranger.roles == ("auditor", "regulator")
    c.put(c.status(c.stranger, "vaa:88.118.8/A1", "blocked", "regulator", 2))
    must_refuse(Reason.UNKNOWN_ACTOR, c, c.log_change(roles={Party("nobody").did: ["auditor"]}))


def test_the_rules_version_never_goes_back(c: Consortium):
    must_refuse(Reason.BAD_PARAMETERS, c, c.log_change(rules=0))


# -- manifests ---------------------------------------------------------------------------------------------------------


@accepts("manifest")
def test_a_manifest_closes_the_open_batch_and_sets_log_time(c: Consortium):
    before = c.state.read(BatchRecord)
    assert before is not None
    c.put(c.registration(c.registrar, "vaa:88.118.8/B2", "vaa/88.118"))
    c.close(c.now + 5)
    batch = c.state.read(BatchRecord)
    assert batch is not None
    assert (batch.number, batch.time, batch.first) == (before.number + 1, before.time + 5, len(c.entries))


@accepts("manifest")
def test_an_empty_batch_may_be_closed_at_the_same_second(c: Consortium):
    c.close(c.now)


@pytest.mark.parametrize(
    "changes",
    [
        {"first": 0},
        {"count": 0},
        {"count": 2},
        {"rules": 2},
        {"counts": {}},
        {"counts": {"registration": 2}},
        {"counts": {"registration": 1, "status": 0}},
        {"sub": "batch:1"},
        {"sub": "batch:4"},
    ],
)
def test_a_manifest_that_does_not_describe_the_open_batch_is_refused(c: Consortium, changes: dict[str, Any]):
    c.put(c.registration(c.registrar, "vaa:88.118.8/B2", "vaa/88.118"))
    c.fork().close(c.now)
    must_refuse(Reason.BATCH_MISMATCH, c, c.manifest(c.now, **changes))


def test_log_time_never_goes_back(c: Consortium):
    c.later(5)
    must_refuse(Reason.TIME_BACKWARDS, c, c.manifest(c.now - 1))


def test_only_the_log_key_signs_manifests(c: Consortium):
    must_refuse(Reason.WRONG_SIGNER, c, c.manifest(c.now, signer=c.note))
    must_refuse(Reason.WRONG_SIGNER, c, c.manifest(c.now, signer=c.roots[0].signer))
    raw = c.manifest(c.now)
    must_refuse(Reason.BAD_SIGNATURE, c, raw[:-1] + bytes([raw[-1] ^ 1]))


def test_a_manifest_of_another_log_is_refused(c: Consortium):
    must_refuse(Reason.WRONG_LOG, c, Consortium(skew=301).manifest(c.now))
