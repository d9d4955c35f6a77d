"""The offline verifier: each step valid, invalid and not to be told, and nothing valid that was not checked."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ledger.credentials.disclosure import conceal
from ledger.crypto.canonical import canonical_json
from ledger.evidence import chain
from ledger.evidence.audit_report import FULL, REPLAYED, AuditReport, sign_audit_report
from ledger.evidence.bundle import Bundle, ChainPart, Document
from ledger.evidence.chain import ChainFacts, ChainInvalidError, ChainPolicy, ChainSeal, ChainUntrustedError
from ledger.evidence.committed import Seen, out_of_order
from ledger.evidence.messages import CHINESE, LANGUAGES, TEXTS
from ledger.evidence.policy import PLAIN, REPLAYING, Auditor, LogTrust, Witnesses
from ledger.evidence.report import ABSENCE, STEPS, STEPS_ZH, Report, Verdict
from ledger.evidence.verifier import verify
from ledger.log.notes import ED25519, Vkey
from ledger.log.proofs import consistency_proof
from ledger.state.records import AccreditationRecord, ActorRecord
from ledger.state.transition import transition
from ledger.state.view import Changes, MemoryState
from ledger.statements import Statement, decode_statement, subjects
from ledger.statements.cbor import encode
from tests.evidence.bundles import (
    DIGEST,
    DOCUMENT,
    ITEM,
    ORIGIN,
    PLAIN_WITNESSES,
    RAW_DOCUMENT,
    REPLAYERS,
    SUITES,
    LogSource,
    Scene,
    cosigned,
    signed_note,
    step,
    verdict,
)
from tests.world import DAY, YEAR, Party, credential, key

VALID, INVALID, CANNOT_TELL = Verdict.VALID, Verdict.INVALID, Verdict.CANNOT_TELL
NOBODY = {"plain": Witnesses(PLAIN), "replaying": Witnesses(REPLAYING), "max_age": None}


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@pytest.fixture(scope="module")
def bundle(scene: Scene) -> Bundle:
    return scene.bundle()


def resigned(scene: Scene, note: bytes) -> Bundle:
    """The story under another checkpoint note."""
    source = scene.source()
    source.note = note
    return scene.bundle(source=source)


def plain_note(scene: Scene) -> bytes:
    return signed_note(scene.source(), scene.world.note)


# -- the whole ---------------------------------------------------------------------------------------------------


def test_a_certificate_is_valid_offline(scene: Scene, bundle: Bundle):
    report = scene.verify(bundle)
    assert report.overall is VALID, report.as_text()
    assert [found.number for found in report.steps] == list(range(1, 15))
    assert report.required == {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14}
    assert {found.number for found in report.steps if found.verdict is not VALID} == {10}
    assert "replay0.example" in " ".join(report.rests_on)


def test_every_kind_of_statement_is_valid_offline(scene: Scene):
    world = scene.world
    for index, raw in enumerate(world.entries):
        statement = decode_statement(raw)
        report = scene.verify(scene.bundle(statement))
        wanted = CANNOT_TELL if statement.type == "certification" and statement.digest != DIGEST else VALID
        assert report.overall is wanted, f"{index}: {report.as_text()}"


def test_it_needs_neither_the_log_nor_much_room(scene: Scene, bundle: Bundle):
    assert len(bundle.encode()) < 20_000
    assert len(bundle.entries) < len(scene.world.entries) / 2


# -- 1 container, 2 suites ---------------------------------------------------------------------------------------


def test_bytes_that_are_no_bundle_are_invalid(scene: Scene):
    report = verify(b"\x82", scene.policy(), scene.clock).report
    assert (report.overall, verdict(report, 1)) == (INVALID, INVALID)


def test_a_log_that_the_policy_does_not_name_cannot_be_told(scene: Scene, bundle: Bundle):
    other = scene.policy(logs=(LogTrust(bytes(32), None, SUITES),))
    assert scene.verify(bundle, other).overall is CANNOT_TELL


def test_a_bundle_must_be_what_it_says(scene: Scene, bundle: Bundle):
    pinned = scene.policy(logs=(LogTrust(scene.world.log_id, "other.example/log", SUITES),))
    lies = [
        replace(bundle, about="vaa:88.118.8/OTHER"),
        replace(bundle, index=10**6),
        replace(bundle, entries=bundle.entries[1:], touches=()),
        replace(bundle, entries=((0, bundle.entries[1][1]), *bundle.entries[1:])),
        replace(bundle, index=None, about=f"log:{scene.world.log_id.hex()}"),
        replace(bundle, index=None, about="no subject at all"),
        replace(scene.absence("vaa:88.118.8/NEVER"), documents=bundle.documents),
    ]
    for lie in lies:
        assert verdict(scene.verify(lie), 1) is INVALID, lie.about
    assert verdict(scene.verify(bundle, pinned), 1) is INVALID


def test_what_is_no_statement_or_of_a_suite_not_taken_is_invalid(scene: Scene, bundle: Bundle):
    broken = replace(bundle, entries=(*bundle.entries[:-1], (bundle.entries[-1][0], b"\xd2\x84\x00")))
    assert verdict(scene.verify(broken), 2) is INVALID
    only_p256 = scene.policy(logs=(LogTrust(scene.world.log_id, None, frozenset({-7})),))
    assert verdict(scene.verify(bundle, only_p256), 2) is INVALID


# -- 3 documents, 4 signatures -----------------------------------------------------------------------------------


def test_the_document_must_be_the_one_that_was_signed(scene: Scene, bundle: Bundle):
    altered = canonical_json(DOCUMENT | {"rating": 9})
    for documents, wanted in (
        ((), CANNOT_TELL),
        ((Document(altered),), INVALID),
        ((Document(RAW_DOCUMENT), Document(altered)), INVALID),
        ((Document(b'{"a":1,"a":2}'),), INVALID),
        ((Document(RAW_DOCUMENT, ("made-up",)),), INVALID),
    ):
        report = scene.verify(replace(bundle, documents=documents))
        assert verdict(report, 3) is wanted
        assert report.overall is wanted
    assert DIGEST.hex() in step(scene.verify(replace(bundle, documents=())), 3).reason


def test_a_document_may_be_shown_in_part():
    scene = Scene()
    concealed, disclosures = conceal(DOCUMENT | {"power": 5, "secret": 6}, ["/power", "/secret"])
    raw = canonical_json(concealed)
    digest = hashlib.sha256(raw).digest()
    made = scene.world.put(scene.world.certification(scene.parties["certifier"], ITEM, 9, digest=digest))
    scene.world.later(10)
    source = scene.source()
    source.documents[digest] = Document(raw, (disclosures[0],))
    assert scene.verify(scene.bundle(made, source)).overall is VALID
    source.documents[digest] = Document(raw, (disclosures[0], disclosures[0]))
    assert verdict(scene.verify(scene.bundle(made, source)), 3) is INVALID


def test_a_document_that_contradicts_is_invalid():
    scene = Scene()
    raw = canonical_json(DOCUMENT | {"credentialSubject": {"id": "vaa:88.118.8/OTHER"}})
    digest = hashlib.sha256(raw).digest()
    made = scene.world.put(scene.world.certification(scene.parties["certifier"], ITEM, 9, digest=digest))
    scene.world.later(10)
    source = scene.source()
    source.documents[digest] = Document(raw)
    report = scene.verify(scene.bundle(made, source))
    assert verdict(report, 3) is INVALID
    assert "contradicts" in step(report, 3).reason


def test_a_key_that_was_reported_as_bad_is_told_in_step_four():
    scene = Scene()
    world, certifier = scene.world, scene.parties["certifier"]
    spare = key("spare")
    world.put(world.rotation(certifier, add=[spare]))
    world.later(2 * DAY)
    world.put(
        world.act(
            "compromise", world.roots[0], certifier.did, {"seq": world.touches(ActorRecord, certifier.did)},
            {"bad": [{"kid": certifier.signer.kid, "from": world.now - 3 * DAY}], "confirmed": [spare.kid]},
            consents=[world.roots[1]],
        )
    )  # fmt: skip
    world.later(10)
    report = scene.verify(scene.bundle())
    assert verdict(report, 4) is INVALID
    assert "compromised" in step(report, 4).reason
    assert verdict(report, 11) is VALID


# -- 5 inclusion, 8 checkpoint -----------------------------------------------------------------------------------


def test_an_entry_that_is_not_in_the_tree_is_invalid(scene: Scene, bundle: Bundle):
    cut = replace(bundle, inclusion=bundle.inclusion[:-1])
    other = replace(bundle, inclusion=(bytes(32), *bundle.inclusion[1:]))
    forged = scene.world.certification(scene.parties["certifier"], ITEM, 1, digest=DIGEST, claims={"class": "*"})
    entries = tuple((i, forged if i == bundle.index else raw) for i, raw in bundle.entries)
    for lie in (cut, other, replace(bundle, entries=entries)):
        report = scene.verify(lie)
        assert verdict(report, 5) is INVALID
        assert all(verdict(report, number) is CANNOT_TELL for number in (6, 7, 11, 13))


def test_a_checkpoint_of_another_key_or_root_does_not_count(scene: Scene):
    world, source = scene.world, scene.source()
    stranger = resigned(scene, signed_note(source, key("stranger")))
    report = scene.verify(stranger)
    assert verdict(report, 8) is INVALID
    assert all(verdict(report, n) is CANNOT_TELL for n in (5, 6, 7, 9, 10, 14))
    other_root = scene.verify(resigned(scene, signed_note(source, world.note, root=bytes(32))))
    assert (verdict(other_root, 8), verdict(other_root, 5)) == (VALID, INVALID)
    assert verdict(scene.verify(resigned(scene, b"no note\n")), 8) is INVALID


def test_a_pinned_checkpoint_key_must_be_the_one(scene: Scene, bundle: Bundle):
    own = Vkey(ORIGIN, ED25519, scene.world.note.public_key)
    other = Vkey(ORIGIN, ED25519, key("other").public_key)
    for pins, wanted in (((own,), VALID), ((other, own), VALID), ((other,), CANNOT_TELL)):
        policy = scene.policy(logs=(LogTrust(scene.world.log_id, ORIGIN, SUITES, pins),))
        assert verdict(scene.verify(bundle, policy), 8) is wanted


def test_the_checkpoint_must_be_signed_by_the_key_that_the_log_changed_to():
    scene = Scene()
    world, old = scene.world, scene.world.note
    new = key("new note")
    world.put(world.new_log_keys(key("new cose"), new))
    world.cose, world.note = key("new cose"), new
    world.later(10)
    assert scene.verify(scene.bundle()).overall is VALID
    stale = resigned(scene, cosigned(signed_note(scene.source(), old), PLAIN_WITNESSES + REPLAYERS, world.now))
    assert verdict(scene.verify(stale), 8) is INVALID
    hidden = scene.bundle()
    change = next(i for i, raw in hidden.entries if decode_statement(raw).type == "log")
    without = replace(hidden, entries=tuple(entry for entry in hidden.entries if entry[0] != change), touches=())
    assert verdict(scene.verify(without), 8) is CANNOT_TELL


def test_a_remembered_checkpoint_of_the_same_size_shows_a_split_view(scene: Scene, bundle: Bundle):
    policy, log_id = scene.policy(), scene.world.log_id
    size = len(scene.world.entries)
    first = verify(bundle.encode(), policy, scene.clock)
    assert first.checkpoint == Seen(log_id, size, scene.source().root, bundle.checkpoint)
    assert first.conflict is None
    again = verify(bundle.encode(), policy, scene.clock, {log_id: first.checkpoint})
    assert again.report.overall is VALID
    other = Seen(log_id, size, b"\x01" * 32, b"the other note")
    split = verify(bundle.encode(), policy, scene.clock, {log_id: other})
    assert verdict(split.report, 8) is INVALID
    assert split.conflict == (b"the other note", bundle.checkpoint)
    assert split.checkpoint is None
    earlier = Seen(log_id, size - 1, b"\x01" * 32, b"an earlier note")
    assert verify(bundle.encode(), policy, scene.clock, {log_id: earlier}).report.overall is VALID


# -- 6 manifest --------------------------------------------------------------------------------------------------


def test_the_manifest_must_end_the_log(scene: Scene, bundle: Bundle):
    without = replace(bundle, entries=bundle.entries[:-1])
    assert verdict(scene.verify(without), 5) is INVALID  # the proof is for other entries: it cannot be left out
    source = LogSource(scene.world.entries[:-1])
    source.note = signed_note(source, scene.world.note)
    source.documents[DIGEST] = Document(RAW_DOCUMENT)
    assert verdict(scene.verify(scene.bundle(source=source)), 6) is INVALID


def test_a_manifest_that_the_log_did_not_sign_is_invalid():
    scene = Scene()
    world = scene.world
    genuine = world.entries[-1]
    forged = world.entries[-1] = genuine[:-1] + bytes([genuine[-1] ^ 1])
    assert decode_statement(forged).type == "manifest"
    report = scene.verify(scene.bundle())
    assert verdict(report, 6) is INVALID
    assert verdict(report, 7) is CANNOT_TELL


@pytest.mark.parametrize(
    ("ahead", "wanted"), [(0, VALID), (-300, VALID), (-301, INVALID), (3_600, VALID), (3_601, CANNOT_TELL)]
)
def test_the_manifests_time_must_be_near_the_quorums(scene: Scene, ahead: int, wanted: Verdict):
    now = scene.world.now
    note = cosigned(plain_note(scene), PLAIN_WITNESSES + REPLAYERS, now + ahead)
    report = scene.verify(resigned(scene, note), now=now + ahead)
    assert verdict(report, 6) is wanted
    assert report.overall is wanted


def test_without_a_quorum_nobody_vouches_for_the_manifests_time(scene: Scene, bundle: Bundle):
    assert verdict(scene.verify(bundle, scene.policy(**NOBODY)), 6) is CANNOT_TELL
    trusting = scene.policy(**NOBODY, trust_operator_state=True)
    found = step(scene.verify(bundle, trusting), 6)
    assert found.verdict is VALID
    assert "trust_operator_state" in str(found.as_json()["rests_on"])


# -- 7 state proofs ----------------------------------------------------------------------------------------------


def test_without_anybody_else_the_state_rests_on_the_operator(scene: Scene, bundle: Bundle):
    for policy in (scene.policy(replaying=Witnesses(REPLAYING)), scene.policy(**NOBODY)):
        report = scene.verify(bundle, policy)
        for number in (3, 4, 7, 11, 12, 13):
            assert verdict(report, number) is CANNOT_TELL, number
            assert "operator alone" in step(report, number).reason
        assert report.overall is CANNOT_TELL


def test_the_operators_word_counts_where_the_policy_says_so_and_is_printed(scene: Scene, bundle: Bundle):
    report = scene.verify(bundle, scene.policy(**NOBODY, trust_operator_state=True))
    assert report.overall is VALID, report.as_text()
    assert "trust_operator_state" in report.as_text()
    assert "trust_operator_state" in report.as_text("zh")


def test_too_few_replaying_witnesses_do_not_vouch(scene: Scene):
    few = resigned(scene, cosigned(plain_note(scene), [*PLAIN_WITNESSES, REPLAYERS[0]], scene.world.now))
    report = scene.verify(few)
    assert (verdict(report, 9), verdict(report, 7), report.overall) == (VALID, CANNOT_TELL, CANNOT_TELL)


def audit(scene: Scene, **changes: Any) -> bytes:
    source = scene.source()
    last = decode_statement(source.entries[-1])
    report = AuditReport(
        log_id=source.log_id, size=source.size, root=source.root, state=last.body["state"], mode=FULL,
        checked=source.size, counts={"statements": source.size}, checks=REPLAYED, time=scene.clock, software="test",
    )  # fmt: skip
    return sign_audit_report(key("auditor"), replace(report, **changes))


def test_an_auditors_report_about_this_very_tree_vouches_for_the_state(scene: Scene, bundle: Bundle):
    auditors = (Auditor("the auditor", -8, key("auditor").public_key),)
    policy = scene.policy(replaying=Witnesses(REPLAYING), auditors=auditors)
    report = scene.verify(replace(bundle, audits=(b"garbage", audit(scene))), policy)
    assert report.overall is VALID, report.as_text()
    assert "the auditor" in " ".join(report.rests_on)
    stranger = scene.policy(replaying=Witnesses(REPLAYING), auditors=(replace(auditors[0], key=key("x").public_key),))
    partial = {"checks": REPLAYED - {"state"}}
    for raw, chosen in (
        (audit(scene), stranger),
        (audit(scene, root=bytes(32)), policy),
        (audit(scene, state=bytes(32)), policy),
        (audit(scene, log_id=bytes(32)), policy),
        (audit(scene, **partial), policy),
    ):
        assert verdict(scene.verify(replace(bundle, audits=(raw,)), chosen), 7) is CANNOT_TELL


def test_a_state_claim_that_is_not_in_the_state_is_invalid(scene: Scene, bundle: Bundle):
    place = next(n for n, claim in enumerate(bundle.claims) if claim.kind == "credential")
    raw = bundle.claims[place].record or b""
    for record in (raw.replace(b"active", b"sctive"), None, raw + b"\x00", encode([1, 2, 3])):
        lie = bundle.claims[place]._replace(record=record)
        claims = (*bundle.claims[:place], lie, *bundle.claims[place + 1 :])
        report = scene.verify(replace(bundle, claims=claims))
        assert verdict(report, 7) is INVALID
        assert report.overall is INVALID
        assert all(verdict(report, number) is CANNOT_TELL for number in (4, 11, 12, 13))
    for state in (None, [], [[0], [b""], b""], [bundle.state[0], bundle.state[1], bundle.state[2] + bytes(32)]):
        assert verdict(scene.verify(replace(bundle, state=state)), 7) is INVALID


# -- 9 witnesses, 14 freshness -----------------------------------------------------------------------------------


def test_witnesses_are_counted_by_the_policy(scene: Scene, bundle: Bundle):
    now = scene.world.now
    cases = [
        (plain_note(scene), CANNOT_TELL),
        (cosigned(plain_note(scene), PLAIN_WITNESSES[:1], now), CANNOT_TELL),
        (cosigned(plain_note(scene), [PLAIN_WITNESSES[0]] * 3, now), CANNOT_TELL),
        (cosigned(plain_note(scene), ["x.example", "y.example"], now), CANNOT_TELL),
        (cosigned(plain_note(scene), PLAIN_WITNESSES[1:], now), VALID),
    ]
    for note, wanted in cases:
        assert verdict(scene.verify(resigned(scene, note)), 9) is wanted
    assert verdict(scene.verify(bundle, scene.policy(**NOBODY)), 9) is CANNOT_TELL
    only_replaying = scene.policy(plain=Witnesses(PLAIN))
    assert verdict(scene.verify(bundle, only_replaying), 9) is VALID


def test_a_cosignature_that_fails_is_invalid(scene: Scene):
    good = cosigned(plain_note(scene), PLAIN_WITNESSES, scene.world.now)
    other = cosigned(signed_note(scene.source(), scene.world.note, root=bytes(32)), PLAIN_WITNESSES, scene.world.now)
    lines = [*good.splitlines(keepends=True)[:-1], other.splitlines(keepends=True)[-1]]
    report = scene.verify(resigned(scene, b"".join(lines)))
    assert verdict(report, 9) is INVALID
    assert verdict(report, 14) is CANNOT_TELL


def test_freshness_is_the_age_of_the_newest_quorum(scene: Scene, bundle: Bundle):
    time = scene.world.now + 5
    for now, wanted in (
        (time, VALID),
        (time + DAY, VALID),
        (time + DAY + 1, CANNOT_TELL),
        (time - 300, VALID),
        (time - 301, CANNOT_TELL),
    ):
        assert verdict(scene.verify(bundle, now=now), 14) is wanted
    unasked = scene.verify(bundle, scene.policy(max_age=None))
    assert verdict(unasked, 14) is CANNOT_TELL
    assert unasked.overall is VALID
    note = plain_note(scene)
    for name, later in zip(PLAIN_WITNESSES, (0, 1_000, 2_000), strict=True):
        note = cosigned(note, [name], scene.world.now + later)
    report = scene.verify(resigned(scene, note), now=scene.world.now + 2_000)
    assert step(report, 14).time == scene.world.now + 1_000  # two of three had vouched then or later


# -- 10 chain ----------------------------------------------------------------------------------------------------

CHAIN = ChainPolicy("made", 1, bytes(20), bytes(32))


@pytest.fixture
def made_kind(scene: Scene) -> Iterator[None]:
    """A kind of chain evidence whose facts are what it says: the step's own judgement is what is tested."""

    def check(items: list[Any], _policy: ChainPolicy, _log_id: bytes) -> ChainFacts:
        _, word, size, root, time, head, sealed, since = items
        if word == "untrusted":
            raise ChainUntrustedError("nobody sealed it")
        if word == "false":
            raise ChainInvalidError("it contradicts itself")
        seal = None if sealed is None else ChainSeal(sealed, bytes(32), None, 1, 1)
        return ChainFacts(
            "made", 7, bytes(32), time, size, root, 5, time, bytes(20), head, time, seal, (), ("the validators",), since
        )

    chain.KINDS["made"] = check
    yield
    del chain.KINDS["made"]


def anchored(scene: Scene, size: int, **changes: Any) -> ChainPart:
    source = scene.source()
    facts = {"word": "", "size": size, "root": LogSource(source.entries[:size]).root if size <= source.size else b"",
             "time": scene.clock - 30, "head": size, "sealed": None, "since": 0} | changes  # fmt: skip
    proof = consistency_proof(size, source.size, source.node) if size <= source.size else []
    return ChainPart(encode(["made", *facts.values()]), changes.get("stated", size), tuple(proof))


def test_what_the_chain_says_is_judged(scene: Scene, bundle: Bundle, made_kind: None):
    size, index = len(scene.world.entries), bundle.index or 0
    policy = scene.policy(chains=(CHAIN,))
    cases = [
        (None, CANNOT_TELL, "no chain evidence"),
        (anchored(scene, size), VALID, "anchor"),
        (anchored(scene, index + 1), VALID, "extends"),
        (anchored(scene, index), CANNOT_TELL, "waits"),
        (anchored(scene, size, word="untrusted"), CANNOT_TELL, "trusts"),
        (anchored(scene, size, word="false"), INVALID, "contradicts"),
        (anchored(scene, size, root=bytes(32)), INVALID, "not consistent"),
        (anchored(scene, index + 1)._replace(consistency=()), INVALID, "not consistent"),
        (anchored(scene, size)._replace(size=size - 1), INVALID, "proves size"),
        (anchored(scene, size + 1), CANNOT_TELL, "newer"),
        (anchored(scene, size, sealed=size - 1), INVALID, "sealed"),
        (anchored(scene, size, time=scene.clock - 15 * DAY), CANNOT_TELL, "trusting period"),
        (anchored(scene, size, time=scene.clock + 301), CANNOT_TELL, "ahead"),
        (anchored(scene, size, since=scene.clock - 15 * DAY), CANNOT_TELL, "pin newer"),
        (anchored(scene, size, since=scene.clock - 13 * DAY), VALID, "anchor"),
        (anchored(scene, size, since=scene.clock + 13 * DAY), VALID, "anchor"),
        (ChainPart(b"\x00", 1, ()), INVALID, "contradicts"),
    ]
    for part, wanted, why in cases:
        report = scene.verify(replace(bundle, chain=part), policy)
        assert verdict(report, 10) is wanted, f"{why}: {report.as_text()}"
        assert why in step(report, 10).reason
        assert report.overall is wanted
    assert verdict(scene.verify(replace(bundle, chain=anchored(scene, size))), 10) is CANNOT_TELL  # none in the policy


def test_a_header_under_which_nothing_is_newer_shows_freshness(scene: Scene, bundle: Bundle, made_kind: None):
    policy = scene.policy(**NOBODY | {"max_age": 60}, trust_operator_state=True, chains=(CHAIN,))
    size = len(scene.world.entries)
    for part, wanted in (
        (anchored(scene, size), VALID),
        (anchored(scene, size, head=size + 10), CANNOT_TELL),
        (anchored(scene, size, time=scene.clock - 61), CANNOT_TELL),
    ):
        assert verdict(scene.verify(replace(bundle, chain=part), policy), 14) is wanted


def test_an_absence_is_anchored_only_where_the_anchor_is_the_checkpoint(scene: Scene, made_kind: None):
    policy, absent = scene.policy(chains=(CHAIN,)), scene.absence("vaa:88.118.8/NEVER")
    size = len(scene.world.entries)
    assert scene.verify(replace(absent, chain=anchored(scene, size)), policy).overall is VALID
    assert verdict(scene.verify(replace(absent, chain=anchored(scene, size - 5)), policy), 10) is CANNOT_TELL


# -- 11 entitled then, 12 entitled now, 13 status ----------------------------------------------------------------


def test_a_history_that_leaves_something_out_is_not_believed(scene: Scene, bundle: Bundle):
    for place, (claim, touches) in enumerate(bundle.touches):
        if bundle.claims[claim].kind in {"log", "template"}:
            continue
        for lie in ((), touches[:-1], touches[1:], (*touches, (5, bytes(32)))):
            lists = (*bundle.touches[:place], (claim, lie), *bundle.touches[place + 1 :])
            if any((leaf is None) is not (index in bundle.by_index) for index, leaf in lie):
                continue  # such a list cannot even be written
            report = scene.verify(replace(bundle, touches=lists))
            assert verdict(report, 11) is CANNOT_TELL, bundle.claims[claim].label
        without = (*bundle.touches[:place], *bundle.touches[place + 1 :])
        assert verdict(scene.verify(replace(bundle, touches=without)), 11) is CANNOT_TELL


def test_an_accreditation_withdrawn_later_does_not_undo_the_certificate():
    scene = Scene()
    world = scene.world
    subject = subjects.accreditation(scene.parties["certifier"].did, 1)
    world.put(world.status(scene.parties["accreditor"], subject, "revoked", "accreditor", 1))
    world.later(10)
    report = scene.verify(scene.bundle())
    assert (verdict(report, 11), verdict(report, 12), verdict(report, 13)) == (VALID, INVALID, VALID)
    assert report.overall is VALID
    assert "accreditation_not_active" in step(report, 12).reason


def test_a_suspended_certificate_is_invalid_and_old_evidence_does_not_hide_it():
    scene = Scene()
    world = scene.world
    before = scene.bundle()
    world.put(world.status(scene.parties["certifier"], credential(1), "suspended", "issuer", 1))
    world.later(2 * DAY)
    report = scene.verify(scene.bundle())
    assert verdict(report, 13) is INVALID
    assert "suspended" in step(report, 13).reason
    assert verdict(report, 11) is VALID
    stale = scene.verify(before)
    assert (verdict(stale, 13), verdict(stale, 14), stale.overall) == (VALID, CANNOT_TELL, CANNOT_TELL)


def test_a_certificate_expires_by_the_verifiers_clock_while_the_log_stands_still(scene: Scene, bundle: Bundle):
    policy = scene.policy(max_age=None)
    late = scene.verify(bundle, policy, scene.clock + 2 * YEAR)
    assert verdict(late, 13) is INVALID
    assert "clock" in step(late, 13).reason
    assert verdict(scene.verify(bundle, policy, 0), 13) is VALID  # a clock that is behind does not make it too early


class Lawless(LogSource):
    """A log whose operator admits a certification beyond its accreditation, and commits to what comes of it."""

    def admit(self, statement: Statement, index: int) -> Changes:
        if statement.claims.get("class") != "crane":
            return super().admit(statement, index)
        return beyond_scope(self.state, statement, index)


def beyond_scope(state: MemoryState, statement: Statement, index: int) -> Changes:
    """What the rules would do if the certifier's scope were wider than it is."""
    wider = MemoryState()
    place = (AccreditationRecord, statement.iss, 1)
    wider.records = state.records | {place: state.records[place]._replace(classes=("*",))}
    return transition(wider, statement, index)


def test_an_act_beyond_the_rules_is_invalid_whoever_vouches_for_the_state():
    scene = Scene()
    world = scene.world
    raw = world.certification(scene.parties["certifier"], ITEM, 9, claims={"class": "crane"}, digest=DIGEST)
    statement = decode_statement(raw)
    world.state.apply(beyond_scope(world.state, statement, len(world.entries)))
    world.entries.append(raw)
    world.counts["certification"] += 1
    world.later(10)
    report = scene.verify(scene.bundle(statement, scene.source(Lawless)))
    assert (verdict(report, 7), verdict(report, 11), report.overall) == (VALID, INVALID, INVALID)
    assert "out_of_scope" in step(report, 11).reason


# -- absence -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "about", ["vaa:88.118.8/NEVER", credential(77), Party("nobody").did, "delegation:vaa/88.777", "template:no/1"]
)
def test_what_does_not_exist_is_proven_absent(scene: Scene, about: str):
    report = scene.verify(scene.absence(about))
    assert report.overall is VALID, report.as_text()
    assert report.claim == ABSENCE
    assert report.as_json()["claim"] == "absence"
    assert report.as_text().startswith(f"VALID: absence: there is no registration of {about} at size")
    assert [found.number for found in report.steps] == [1, 2, 5, 6, 7, 8, 9, 10, 13, 14]
    assert f"no registration of {about} at size {len(scene.world.entries)}" in step(report, 13).reason


def test_what_exists_is_not_proven_absent(scene: Scene):
    for about in (ITEM, credential(1), scene.parties["certifier"].did):
        report = scene.verify(scene.absence(about))
        assert verdict(report, 13) is INVALID
        assert report.overall is INVALID


def test_an_absence_without_its_claim_cannot_be_told(scene: Scene):
    absent = replace(scene.absence("vaa:88.118.8/NEVER"), about="vaa:88.118.8/OTHER")
    assert verdict(scene.verify(absent), 13) is CANNOT_TELL
    untrusted = scene.policy(replaying=Witnesses(REPLAYING))
    assert verdict(scene.verify(scene.absence("vaa:88.118.8/NEVER"), untrusted), 13) is CANNOT_TELL


# -- the report in two languages ---------------------------------------------------------------------------------


def every_report(scene: Scene, bundle: Bundle) -> list[Report]:
    return [
        scene.verify(bundle),
        scene.verify(bundle, scene.policy(**NOBODY)),
        scene.verify(replace(bundle, inclusion=())),
        scene.verify(scene.absence("vaa:88.118.8/NEVER")),
        verify(b"", scene.policy(), 0).report,
    ]


def test_a_report_says_the_same_in_english_and_chinese(scene: Scene, bundle: Bundle):
    assert STEPS.keys() == STEPS_ZH.keys()
    for report in every_report(scene, bundle):
        english, chinese = (report.as_text(lang) for lang in LANGUAGES)
        assert len(english.splitlines()) == len(chinese.splitlines())
        assert all(STEPS_ZH[found.number] in chinese for found in report.steps)
        for shown in report.as_json()["steps"]:
            assert {"name", "name_zh", "reason", "reason_zh"} <= shown.keys()
            assert not shown["reason_zh"].isascii()


def test_every_message_takes_the_same_values_in_both_languages():
    for name, texts in TEXTS.items():
        fields = [{field for _, field, _, _ in string.Formatter().parse(text) if field} for text in texts]
        assert fields[0] - {"what"} == fields[1] - {"what"}, name
        assert not texts[LANGUAGES.index(CHINESE)].isascii(), name


@pytest.mark.parametrize(
    "change",
    [{"first": 0}, {"count": 99}, {"began": 0}, {"began": 2**40}],
    ids=lambda change: next(iter(change.items())),
)
def test_manifests_that_leave_no_room_for_one_another_are_invalid(change: dict[str, int]):
    """Each tells log time for a whole batch: one that contradicts another would let somebody date back."""
    statements = dict(enumerate(Scene().source().statements))
    assert out_of_order(statements) is None
    places = [index for index, statement in statements.items() if statement.type == "manifest"]
    for place in places[1:]:
        altered = statements[place]._replace(body=statements[place].body | change)
        assert out_of_order(statements | {place: altered}) in {place, *[later for later in places if later > place]}
