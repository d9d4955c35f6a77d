"""Bundles made by somebody who wants a false thing called valid, each as a whole file through the verifier."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.credentials.disclosure import DIGESTS, digest_of
from ledger.crypto.canonical import canonical_json
from ledger.errors import MalformedError
from ledger.evidence import chain
from ledger.evidence.bundle import MAX_ITEMS, Bundle, ChainPart, Claim, Document
from ledger.evidence.chain import ChainFacts, ChainPolicy, ChainRequest, ChainSeal
from ledger.evidence.container import MAX_CONTENT, pack
from ledger.evidence.ignored import Ignored, NotIgnoredError, check_ignored
from ledger.evidence.policy import parse_policy
from ledger.evidence.report import Verdict
from ledger.evidence.verifier import verify
from ledger.log.proofs import consistency_proof
from ledger.state.places import place_of_subject
from ledger.state.records import (
    KIND_OF,
    ZERO_HEAD,
    ActorRecord,
    CredentialRecord,
    DelegationRecord,
    IdentifierRecord,
    LogRecord,
    encode_record,
    next_head,
)
from ledger.statements import Statement, decode_statement, subjects
from ledger.statements.cbor import MAX_SIZE, check_count, decode, encode
from tests.evidence.bundles import (
    DOCUMENT,
    ITEM,
    PLAIN_WITNESSES,
    LogSource,
    Scene,
    cosigned,
    signed_note,
    step,
    verdict,
)
from tests.world import DAY, Party, key

VALID, INVALID, CANNOT_TELL = Verdict.VALID, Verdict.INVALID, Verdict.CANNOT_TELL


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@pytest.fixture(scope="module")
def bundle(scene: Scene) -> Bundle:
    return scene.bundle()


def absent_of(about: str) -> tuple[Claim, ...]:
    """The claim that there is no record of a subject."""
    kind, *name = place_of_subject(subjects.parse(about), about)
    return (Claim(KIND_OF[kind], tuple(name), None),)


# -- absence -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "about",
    [
        "vaa:88.118.8/a1%20",
        "gs1:01/6901234567892",
        "vin:1hgcm82633a004352",
        "nosuchscheme:A1",
        "delegation:vaa/88.118.",
        "did:web:EXAMPLE.com",
    ],
)
def test_what_cannot_be_registered_in_that_spelling_is_not_proven_absent(scene: Scene, about: str):
    other = scene.absence("vaa:88.118.8/NEVER")
    with pytest.raises(MalformedError):
        scene.absence(about)
    report = scene.verify(
        replace(
            other,
            about=about,
            claims=absent_of(about),
            state=scene.source().prove([absent_of(about)[0].key]).to_cbor_object(),
        )
    )
    assert verdict(report, 1) is INVALID, report.as_text()


# -- status of what was superseded -------------------------------------------------------------------------------


def test_a_delegation_given_to_another_since_does_not_stand():
    scene = Scene()
    world, first, second = scene.world, scene.parties["enterprise"], Party("second")
    world.enrol(second, "registrar")
    given = world.delegate(first, "vaa/88.200")
    world.later(10)
    seq = world.touches(DelegationRecord, "vaa", "88.200")
    world.put(world.status(world.roots[0], given.sub, "revoked", "root", seq))
    world.later(10)
    seq = world.touches(DelegationRecord, "vaa", "88.200")
    world.delegate(second, "vaa/88.200", claims={"reclaim": True, "seq": seq})
    world.later(10)
    report = scene.verify(scene.bundle(given))
    assert report.overall is INVALID, report.as_text()


def test_a_transfer_does_not_stand_after_the_next_one():
    scene = Scene()
    world, owner, buyer, last = scene.world, scene.parties["enterprise"], Party("buyer"), Party("last")
    world.enrol(buyer, "owner")
    world.enrol(last, "owner")
    world.later(10)
    sold = world.put(world.transfer(owner, ITEM, buyer, seq=world.touches(IdentifierRecord, ITEM)))
    world.later(10)
    assert scene.verify(scene.bundle(sold)).overall is VALID
    world.put(world.transfer(buyer, ITEM, last, seq=world.touches(IdentifierRecord, ITEM)))
    world.later(10)
    report = scene.verify(scene.bundle(sold))
    assert verdict(report, 13) is INVALID, report.as_text()


def test_a_transfer_does_not_stand_in_the_next_generation():
    scene = Scene()
    world, owner, buyer = scene.world, scene.parties["enterprise"], Party("buyer")
    world.enrol(buyer, "owner")
    world.later(10)
    sold = world.put(world.transfer(owner, ITEM, buyer, seq=world.touches(IdentifierRecord, ITEM)))
    world.put(world.status(buyer, ITEM, "retired", "holder", world.touches(IdentifierRecord, ITEM)))
    world.later(10)
    again = {"generation": 2, "seq": world.touches(IdentifierRecord, ITEM)}
    world.put(world.registration(owner, ITEM, "vaa/88.118.8", buyer, claims=again))
    world.later(10)
    report = scene.verify(scene.bundle(sold))
    assert verdict(report, 13) is INVALID, report.as_text()


def test_a_change_of_status_stands_until_the_next_one():
    scene = Scene()
    world, certifier, sub = scene.world, scene.parties["certifier"], scene.certification.sub
    told = []
    for state in ("suspended", "active", "revoked"):
        count = world.touches(CredentialRecord, sub)
        told.append(world.put(world.status(certifier, sub, state, "issuer", count)))
        world.later(10)
        assert scene.verify(scene.bundle(told[-1])).overall is VALID
    for found in told[:-1]:  # whoever shows that it was made active again must not be believed
        report = scene.verify(scene.bundle(found))
        assert verdict(report, 13) is INVALID, report.as_text()
        assert "revoked" in step(report, 13).reason
    assert scene.verify(scene.bundle(told[-1])).overall is VALID


# -- the end of a log on the chain -------------------------------------------------------------------------------


def test_a_checkpoint_beyond_the_end_of_the_log_on_the_chain_does_not_count(
    scene: Scene, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
):
    source = scene.source()
    size, index = source.size, bundle.index or 0
    first = LogSource(source.entries[: index + 1])
    part = ChainPart(encode(["made"]), index + 1, tuple(consistency_proof(index + 1, size, source.node)))
    policy = scene.policy(chains=(ChainPolicy("made", 1, bytes(20), bytes(32)),))
    for seal, wanted in (
        (ChainSeal(size - 1, bytes(32), None, 1, 1), INVALID),
        (ChainSeal(size, bytes(32), None, 1, 1), INVALID),
        (ChainSeal(size, source.root, None, 1, 1), VALID),
        (ChainSeal(size + 9, bytes(32), None, 1, 1), VALID),
    ):
        facts = ChainFacts(
            "made", 7, bytes(32), scene.clock - 30, index + 1, first.root, 5, 0, bytes(20), size, 0, seal, (), ("them",)
        )
        monkeypatch.setitem(chain.KINDS, "made", lambda *_, facts=facts: facts)
        report = scene.verify(replace(bundle, chain=part), policy)
        assert (verdict(report, 10), report.overall) == (wanted, wanted), report.as_text()


def test_a_log_is_not_accused_of_ignoring_what_its_rules_refused_when_it_was_asked(monkeypatch: pytest.MonkeyPatch):
    scene = Scene()
    world, certifier, sub = scene.world, scene.parties["certifier"], scene.certification.sub
    asked = world.now
    policy = scene.policy(chains=(ChainPolicy("made", 1, bytes(20), bytes(32)),))

    def judged(raw: bytes) -> Ignored:
        request = ChainRequest(decode_statement(raw).leaf, 6, asked, bytes(20))
        facts = ChainFacts(
            "made", 7, bytes(32), asked, 2, bytes(32), 5, 0, bytes(20), 2, 0, None, (request,), ("them",)
        )
        monkeypatch.setitem(chain.KINDS, "made", lambda *_: facts)
        return check_ignored(raw, encode(["made"]), scene.bundle(whole=True).encode(), policy, scene.clock, 600)

    ignored = world.status(certifier, sub, "revoked", "issuer", world.touches(CredentialRecord, sub))
    world.later(3_600)
    assert judged(ignored).request.time == asked
    world.put(world.status(certifier, sub, "suspended", "issuer", world.touches(CredentialRecord, sub)))
    world.later(10)
    fits_now = {"iat": asked, "claims": {"effective": asked}}
    made = world.status(certifier, sub, "revoked", "issuer", world.touches(CredentialRecord, sub), **fits_now)
    with pytest.raises(NotIgnoredError, match="at the time of the request"):
        judged(made)


# -- compromise --------------------------------------------------------------------------------------------------


def report_bad(scene: Scene, party: Party, since: int, *reconfirmed: Statement) -> None:
    """A party gets a new key; the old one is reported as bad from `since` on, but for these acts."""
    world, spare = scene.world, key(f"spare of {party.name}")
    world.put(world.rotation(party, add=[spare]))
    world.later(2 * DAY)
    body: dict[str, Any] = {"bad": [{"kid": party.signer.kid, "from": since}], "confirmed": [spare.kid]}
    if reconfirmed:
        body["reconfirmed"] = [found.leaf for found in reconfirmed]
    claims = {"seq": world.touches(ActorRecord, party.did)}
    world.put(world.act("compromise", world.roots[0], party.did, claims, body, consents=[world.roots[1]]))
    world.later(10)


def test_a_consent_by_a_key_that_was_reported_as_bad_is_told_in_step_four():
    scene = Scene()
    world, enroller, rogue = scene.world, Party("enroller"), Party("rogue")
    world.enrol(enroller, "enroller")
    world.later(10)
    enrolled = world.enrol(rogue, "certifier", by=enroller)
    world.later(10)
    assert scene.verify(scene.bundle(enrolled)).overall is VALID
    report_bad(scene, enroller, world.now - 15)
    report = scene.verify(scene.bundle(enrolled))
    assert verdict(report, 4) is INVALID, report.as_text()


def test_a_certificate_that_rests_on_an_accreditation_by_a_stolen_key_is_not_valid():
    scene = Scene()
    accreditation = next(found for found in scene.source().statements if found.type == "accreditation")
    report_bad(scene, scene.parties["accreditor"], scene.world.now - DAY)
    report = scene.verify(scene.bundle())
    assert (verdict(report, 11), report.overall) == (CANNOT_TELL, CANNOT_TELL), report.as_text()
    assert "reported as compromised" in step(report, 11).reason
    assert scene.verify(scene.bundle(scene.registration)).overall is VALID  # which rests on nobody's accreditation
    scene = Scene()
    report_bad(scene, scene.parties["accreditor"], scene.world.now - DAY, accreditation)
    assert scene.verify(scene.bundle()).overall is VALID


def test_acts_by_a_stolen_key_that_a_certificate_does_not_rest_on_do_not_matter():
    scene = Scene()
    world, accreditor, certifier = scene.world, scene.parties["accreditor"], scene.parties["certifier"]
    world.later(10)
    since = world.now
    world.put(world.accreditation(accreditor, certifier, 2))  # touches the certifier's record, gives nothing here
    world.later(10)
    made = world.put(world.certification(certifier, ITEM, 5, digest=scene.certification.digest))
    world.later(10)
    report_bad(scene, accreditor, since)
    report = scene.verify(scene.bundle(made))
    assert report.overall is VALID, report.as_text()


def test_a_party_whose_first_key_was_bad_all_along_is_settled_by_the_keys_that_were_confirmed():
    scene = Scene()
    world, certifier = scene.world, scene.parties["certifier"]
    report_bad(scene, certifier, 0)
    certifier.signer = key(f"spare of {certifier.name}")
    made = world.put(world.certification(certifier, ITEM, 5, digest=scene.certification.digest))
    world.later(10)
    report = scene.verify(scene.bundle(made))
    assert report.overall is VALID, report.as_text()


# -- documents ---------------------------------------------------------------------------------------------------


def test_a_document_of_another_entry_does_not_ride_along():
    scene = Scene()
    world = scene.world
    raw = canonical_json(DOCUMENT | {"credentialSubject": {"id": "vaa:88.118.8/OTHER"}})
    digest = hashlib.sha256(raw).digest()
    world.put(world.certification(scene.parties["certifier"], ITEM, 7, digest=digest))
    world.later(10)
    accreditation = next(s for s in scene.source().statements if s.type == "accreditation")
    whole = scene.bundle(whole=True)
    for lie in (
        replace(scene.bundle(accreditation, whole=True), documents=(Document(raw),)),
        replace(whole, documents=(*whole.documents, Document(raw))),
    ):
        report = scene.verify(lie)
        assert verdict(report, 3) is INVALID, report.as_text()


def test_disclosures_inside_disclosures_end():
    scene = Scene()
    inner: Any = {"end": 1}
    disclosures: list[str] = []
    for number in range(900):
        name = "a" if number % 2 else "b"
        text = base64.urlsafe_b64encode(canonical_json(["salt", name, inner])).rstrip(b"=").decode()
        disclosures.append(text)
        inner = {DIGESTS: [digest_of(text)]}
        for _ in range(20):
            inner = {"c": inner}
    raw = canonical_json(DOCUMENT | {"d": inner})
    digest = hashlib.sha256(raw).digest()
    made = scene.world.put(scene.world.certification(scene.parties["certifier"], ITEM, 9, digest=digest))
    scene.world.later(10)
    source = scene.source()
    source.documents[digest] = Document(raw)
    whole = replace(scene.bundle(made, source), documents=(Document(raw, tuple(disclosures)),))
    report = scene.verify(whole)
    assert verdict(report, 3) is INVALID


# -- words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["\x1b[2J", "\nVALID: all of it", "\x7f", "\r"])
def test_what_a_bundle_holds_cannot_forge_the_lines_of_a_report(scene: Scene, bundle: Bundle, name: str):
    raw = b'{"' + canonical_json(name)[1:-1] + b'":1.5}'
    raw2 = b'{"' + canonical_json(name)[1:-1] + b'":"\\ud800"}'
    for document in (raw, raw2):
        text = scene.verify(replace(bundle, documents=(Document(document),))).as_text()
        assert all(sign.isprintable() for line in text.split("\n") for sign in line), repr(text)
        assert "\nVALID" not in text


# -- what is remembered ------------------------------------------------------------------------------------------


def test_a_checkpoint_under_a_forged_list_of_keys_is_not_remembered():
    scene = Scene()
    world = scene.world
    old = world.note
    world.put(world.new_log_keys(key("cose 2"), key("note 2")))
    world.later(10)
    source = scene.source()
    made = scene.bundle(source=source)
    genesis = source.statements[0]
    now = source.state.records[(LogRecord,)]
    forged = now._replace(touches=1, last=0, head=next_head(ZERO_HEAD, 0, genesis.leaf))
    claims = tuple(Claim("log", (), encode_record(forged)) if claim.kind == "log" else claim for claim in made.claims)
    number = next(n for n, claim in enumerate(made.claims) if claim.kind == "log")
    touches = tuple((n, ((0, None),) if n == number else listed) for n, listed in made.touches)
    note = signed_note(source, old, root=b"\x07" * 32)
    lie = replace(made, claims=claims, touches=touches, checkpoint=note)
    found = verify(lie.encode(), scene.policy(), scene.clock)
    assert found.report.overall is INVALID
    assert found.checkpoint is None, found.report.as_text()


def test_a_checkpoint_is_remembered_where_the_witnesses_of_the_policy_saw_it(scene: Scene, bundle: Bundle):
    assert verify(bundle.encode(), scene.policy(), scene.clock).checkpoint is not None
    source = scene.source()
    source.note = cosigned(signed_note(source, scene.world.note), PLAIN_WITNESSES[:1], scene.clock)
    assert verify(scene.bundle(source=source).encode(), scene.policy(), scene.clock).checkpoint is None


# -- bounds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("item", [b"\x80", b"\xa0", b"\x81\x00"])
def test_a_small_file_cannot_take_much_memory(scene: Scene, item: bytes):
    count = (MAX_CONTENT - 100) // len(item)
    raw = b"\x9a" + count.to_bytes(4, "big") + item * count
    report = verify(pack(raw), scene.policy(), scene.clock).report
    assert f"more than {MAX_ITEMS} items" in step(report, 1).reason


@given(st.binary(max_size=40))
def test_items_are_counted_as_they_are_decoded(raw: bytes):
    try:
        value = decode(raw)
    except MalformedError:
        check_count(raw, MAX_SIZE)  # ends, whatever it is
        return
    check_count(raw, items(value))
    with pytest.raises(MalformedError):
        check_count(raw, items(value) - 1)


@given(
    st.recursive(
        st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=300) | st.booleans(),
        lambda inner: st.lists(inner, max_size=30),
    )
)
def test_items_of_all_sizes_are_counted(value: Any):
    raw = encode(value)
    check_count(raw, items(value))
    with pytest.raises(MalformedError):
        check_count(raw, items(value) - 1)


def items(value: Any) -> int:
    if isinstance(value, list):
        return 1 + sum(map(items, value))
    if isinstance(value, dict):
        return 1 + sum(items(name) + items(item) for name, item in value.items())
    return 1


def test_a_policy_names_auditors_by_sound_keys():
    text = f'format = "tial-policy-v1"\n[[log]]\nid = "{bytes(32).hex()}"\n[[auditor]]\nname = "a"\nsuite = "ed25519"\n'
    parse_policy(f'{text}key = "{key("auditor").public_key.hex()}"\n')
    for wrong in (b"\x01", bytes(31), bytes(33), b"\xff" * 32):
        with pytest.raises(MalformedError):
            parse_policy(f'{text}key = "{wrong.hex()}"\n')
