"""Verifying online: each question, each lie, and nothing told that was not found out."""

from __future__ import annotations

import asyncio
import base64
import copy
import hashlib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto.canonical import canonical_json
from ledger.errors import MalformedError, UnavailableError
from ledger.evidence.bundle import Bundle
from ledger.evidence.policy import PLAIN, LogTrust, Policy, Witnesses
from ledger.evidence.policy_text import dump_policy
from ledger.evidence.report import ABSENCE, Report, Verdict
from ledger.evidence.seal import Roster, SealMember
from ledger.log.policy import Group, PolicyWitness, TlogPolicy
from ledger.statements import decode_statement, make_consent, sign, subjects
from node import verification
from node.evidence import evidence
from node.node import Node
from node.queries import NotFoundError
from node.verification import OnlineVerifier
from node.verification_request import Request
from tests.evidence.bundles import PLAIN_WITNESSES, SUITES, witness
from tests.node.made_log import DOCUMENT, ITEM, PRIVATE, Made
from tests.nodes import admitted
from tests.world import Party, credential

VALID, INVALID, CANNOT_TELL = Verdict.VALID, Verdict.INVALID, Verdict.CANNOT_TELL


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


async def verify(node: Node, request: dict[str, Any]) -> Report:
    return await OnlineVerifier(node).verify(lambda: Request.parse(request))


def ask(made: Made, *requests: dict[str, Any], before: Any = None) -> list[Report]:
    """Start the node, let `before(node)` happen, ask, stop."""

    async def story() -> list[Report]:
        async with Node(made.config) as node:
            if before is not None:
                await before(node)
            return [await verify(node, request) for request in requests]

    return asyncio.run(story())


def carried(made: Made, subject: str) -> bytes:
    """A bundle that somebody took away."""

    async def story() -> bytes:
        async with Node(made.config) as node:
            return await evidence(node, subject, None)

    return asyncio.run(story())


def policy_of(made: Made, **more: Any) -> str:
    log = LogTrust(made.world.log_id, None, SUITES)
    return dump_policy(Policy((log,), **({"trust_operator_state": True} | more)))


def verdict(report: Report, number: int) -> Verdict:
    step = report.step(number)
    assert step is not None, report.as_text()
    return step.verdict


def reason(report: Report, number: int) -> str:
    step = report.step(number)
    assert step is not None, report.as_text()
    return step.reason


def submitting(made: Made, *raws: bytes) -> Any:
    async def act(node: Node) -> None:
        admitted(await node.sequencer.submit(raws))
        await node.publisher.publish_now(node.sequencer)

    return act


def test_everything_in_the_log_is_valid(made: Made):
    parties = made.parties
    about = [
        {"subject": ITEM},
        {"subject": made.certification.sub},
        {"subject": parties["certifier"].did},
        {"subject": subjects.delegation("vaa", "88.118.8")},
        {"subject": subjects.template("product-safety", "1")},
        {"subject": subjects.accreditation(parties["certifier"].did, 1)},
        {"subject": "batch:1"},
        {"statement": b64(made.registration.raw)},
        {"index": 0},
        {"index": 1},
    ]
    for request, report in zip(about, ask(made, *about), strict=True):
        assert report.overall is VALID, f"{request}: {report.as_text()}"
        assert verdict(report, 10) is CANNOT_TELL  # no chain: not required, and said
        assert verdict(report, 9) is CANNOT_TELL
    whole = ask(made, {"subject": made.certification.sub})[0]
    assert {1, 2, 3, 4, 5, 6, 7, 8, 11, 13} <= whole.required
    assert whole.informative == {12}, "an ended accreditation is told, and does not decide"
    assert any("trust_operator_state" in told for told in whole.rests_on), "the answer rests on this node, and says so"


def test_a_bundle_that_was_posted_is_verified_as_it_is(made: Made):
    raw = carried(made, ITEM)
    altered = raw[:-40] + bytes([raw[-40] ^ 1]) + raw[-39:]
    good, bad, garbage = ask(made, {"bundle": b64(raw)}, {"bundle": b64(altered)}, {"bundle": b64(b"no bundle")})
    assert good.overall is VALID, good.as_text()
    assert INVALID in {bad.overall, garbage.overall}
    assert garbage.overall is INVALID
    assert bad.overall is not VALID
    absent = carried(made, "vaa:88.118.8/NEVER")
    (report,) = ask(made, {"bundle": b64(absent)})
    assert (report.overall, report.claim) == (VALID, ABSENCE)


def test_a_policy_that_is_brought_along_decides(made: Made):
    raw = b64(carried(made, ITEM))
    nobody = {"policy": policy_of(made, trust_operator_state=False)}
    elsewhere = {"policy": policy_of(made).replace(made.world.log_id.hex(), "ab" * 32)}
    witnessed = {"policy": policy_of(made, plain=Witnesses(PLAIN, tuple(map(witness, PLAIN_WITNESSES)), 2))}
    for question in ({"subject": ITEM}, {"bundle": raw}):
        strict, stranger, alone = ask(made, question | nobody, question | elsewhere, question | witnessed)
        assert strict.overall is CANNOT_TELL
        assert "operator alone" in reason(strict, 7)
        assert stranger.overall is CANNOT_TELL
        assert 9 in alone.required
        assert verdict(alone, 9) is CANNOT_TELL
    roster = Roster((SealMember("did:example:a", bytes(48), bytes(96)),), 1)
    for policy in ("no policy", policy_of(made, roster=roster), policy_of(made) + "more = 1\n"):
        with pytest.raises(MalformedError) as refused:
            ask(made, {"subject": ITEM, "policy": policy})
        assert refused.value.where.startswith("policy")


def test_an_altered_or_unsigned_statement_is_invalid(made: Made):
    raw = made.registration.raw
    forged = raw[:-1] + bytes([raw[-1] ^ 1])
    somebody = made.world.registration(made.parties["outsider"], "vaa:88.118.8/NEW", "vaa/88.118.8")
    index = Bundle.decode(carried(made, ITEM)).index
    altered, other, genuine = ask(
        made, {"statement": b64(forged), "index": index}, {"statement": b64(somebody), "index": index},
        {"statement": b64(raw), "index": index},
    )  # fmt: skip
    for report in (altered, other):
        assert report.overall is INVALID
        assert verdict(report, 5) is INVALID
    assert genuine.overall is VALID


def test_a_statement_that_is_not_in_the_log_is_not_found(made: Made):
    raw = made.registration.raw
    genuine = made.world.registration(made.parties["enterprise"], "vaa:88.118.8/NEW", "vaa/88.118.8")
    for statement in (genuine, raw[:-1] + bytes([raw[-1] ^ 1])):
        with pytest.raises(NotFoundError):
            ask(made, {"statement": b64(statement)})
    with pytest.raises(MalformedError) as refused:
        ask(made, {"statement": b64(b"\xd2\x84\x00")})
    assert refused.value.where == "statement"


def test_the_document_must_be_the_one_that_was_signed(made: Made):
    altered = copy.deepcopy(DOCUMENT) | {"rating": 9}
    subject = made.certification.sub
    right, wrong, encoded, silly = ask(
        made,
        {"subject": subject, "document": DOCUMENT},
        {"subject": subject, "document": altered},
        {"subject": subject, "document": b64(canonical_json(DOCUMENT))},
        {"subject": subject, "document": b64(b'{"a":1,"a":2}')},
    )
    assert right.overall is VALID
    assert verdict(wrong, 3) is INVALID
    assert "altered" in reason(wrong, 3)
    assert encoded.overall is VALID
    assert verdict(silly, 3) is INVALID


def test_a_private_document_is_compared_only_with_the_askers_copy(made: Made):
    without, with_copy = ask(made, {"subject": made.private.sub}, {"subject": made.private.sub, "document": PRIVATE})
    assert verdict(without, 3) is CANNOT_TELL
    assert without.overall is CANNOT_TELL
    assert with_copy.overall is VALID


def test_status_is_judged_with_reason(made: Made):
    world, certifier = made.world, made.parties["certifier"]
    suspended = world.status(certifier, credential(1), "suspended", "issuer", 1)
    (report,) = ask(made, {"subject": credential(1)}, before=submitting(made, suspended))
    assert verdict(report, 13) is INVALID
    assert "suspended" in reason(report, 13)
    assert verdict(report, 11) is VALID


def test_an_accreditation_withdrawn_later_does_not_undo_that_the_issuer_was_entitled(made: Made):
    subject = subjects.accreditation(made.parties["certifier"].did, 1)
    withdrawn = made.world.status(made.parties["accreditor"], subject, "revoked", "accreditor", 1)
    certificate, accreditation = ask(
        made, {"subject": credential(1)}, {"subject": subject}, before=submitting(made, withdrawn)
    )
    assert verdict(certificate, 11) is VALID
    assert verdict(certificate, 12) is INVALID
    assert "accreditation_not_active" in reason(certificate, 12)
    assert verdict(accreditation, 13) is INVALID


def test_a_delegation_revoked_later_does_not_undo_a_registration(made: Made):
    subject = subjects.delegation("vaa", "88.118.8")
    revoked = made.world.status(made.world.roots[0], subject, "revoked", "root", 1)
    registration, delegation = ask(made, {"subject": ITEM}, {"subject": subject}, before=submitting(made, revoked))
    assert registration.overall is VALID
    assert verdict(registration, 12) is INVALID
    assert delegation.overall is INVALID


def test_an_entry_that_is_not_published_waits(made: Made):
    raw = made.world.registration(made.parties["enterprise"], "vaa:88.118.8/NEW", "vaa/88.118.8")

    async def story() -> None:
        async with Node(made.config) as node:
            node.publisher.stop()
            await asyncio.sleep(0.05)
            (outcome,) = admitted(await node.sequencer.submit([raw]))
            for request in ({"index": outcome.index}, {"subject": "vaa:88.118.8/NEW"}, {"statement": b64(raw)}):
                with pytest.raises(UnavailableError, match="not published yet"):
                    await verify(node, request)

    asyncio.run(story())


def test_what_is_not_there_is_said_so(made: Made):
    async def story() -> None:
        async with Node(made.config) as node:
            for request in ({"index": 10**9}, {"subject": "vaa:88.118.8/NONE"}, {"subject": "batch:77"}):
                with pytest.raises(NotFoundError):
                    await verify(node, request)

    asyncio.run(story())


@pytest.mark.parametrize(
    "request_",
    [
        [],
        {},
        {"index": -1},
        {"index": True},
        {"index": 1.5},
        {"index": 2**64},
        {"statement": "no base64!"},
        {"statement": 5},
        {"statement": "A" * 100_000},
        {"subject": 7},
        {"subject": "x" * 3_000},
        {"subject": "\ud800"},
        {"subject": "a:b", "index": 1},
        {"index": 1, "size": 5},
        {"index": 1, "proof": []},
        {"index": 1, "checkpoint": "x"},
        {"index": 1, "policy": 5},
        {"index": 1, "policy": "x" * 300_000},
        {"policy": "x"},
        {"document": {}},
        {"bundle": "AAAA", "index": 1},
        {"bundle": "AAAA", "document": {}},
        {"bundle": 5},
        {"bundle": "A" * (6 << 20)},
        {"index": 1, "document": [1]},
        {"index": 1, "document": {"a": 1.5}},
        {"index": 1, "documents": {}},
    ],
)
def test_a_request_out_of_form_is_refused(request_: Any):
    with pytest.raises(MalformedError):
        Request.parse(request_)


@given(
    st.dictionaries(
        st.sampled_from(["statement", "index", "document", "subject", "bundle", "policy", "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=90),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=6,
        ),
    )
)
def test_no_request_makes_the_parser_fail_in_another_way(asked: dict[str, Any]):
    with suppress(MalformedError):
        Request.parse(asked)


def test_a_key_reported_as_compromised_takes_its_later_statements_down(made: Made):
    party, other = made.parties["enterprise"], Party("another key")
    digest = hashlib.sha256(party.signer.public_key).digest()
    draft = made.world.draft(
        "rotation", party.did, party.did, {"seq": 1},
        {"add": [{"alg": -8, "key": other.signer.public_key, "purposes": ["consent", "statement"]}]},
    )  # fmt: skip
    consent = make_consent(other.signer, party.did, made.world.now + 10**6, draft.consent_digest(party.signer))
    rotation = sign(draft, party.signer, [consent])
    root = made.world.roots[0]
    report_of_loss = made.world.draft(
        "compromise", root.did, party.did, {"seq": 2},
        {"bad": [{"kid": digest, "from": made.world.now - 3_600}], "confirmed": []},
    )  # fmt: skip
    consents = made.world.root_consents(report_of_loss, root.signer, made.world.roots[1:2])
    compromise = sign(report_of_loss, root.signer, consents)
    assert decode_statement(rotation).type == "rotation"
    (report,) = ask(made, {"subject": ITEM}, before=submitting(made, rotation, compromise))
    assert verdict(report, 4) is INVALID
    assert "compromised" in reason(report, 4)
    assert verdict(report, 11) is VALID


def test_a_request_is_read_from_json_and_nothing_else():
    assert Request.read(b'{"index": 1}').index == 1
    for raw in (b"", b"{", b"\xff", b'{"index": NaN}', b"[" * 5_000):
        with pytest.raises(MalformedError):
            Request.read(raw)


def test_only_so_many_wait_for_an_answer(made: Made):
    async def story() -> None:
        async with Node(made.config) as node:
            verifier = OnlineVerifier(node)
            held = [verifier.place() for _ in range(verification.WAITING)]
            for place in held:
                place.__enter__()
            with pytest.raises(UnavailableError, match="Too many"), verifier.place():
                pass
            held.pop().__exit__(None, None, None)
            with verifier.place():
                report = await verifier.verify(lambda: Request(subject=ITEM))
            assert report.overall is VALID

    asyncio.run(story())


def test_witnesses_are_named_where_a_verifiers_policy_can_say_which_must_cosign():
    three = tuple(PolicyWitness(name, witness(name)) for name in PLAIN_WITNESSES)
    names = tuple(one.name for one in three)
    flat = TlogPolicy((), three, (Group("all", 2, names),), "all")
    one = TlogPolicy((), three[:1], (), names[0])
    nested = TlogPolicy((), three, (Group("two", 2, names[:2]), Group("all", 2, ("two", names[2]))), "all")
    assert verification._flat(PLAIN, flat) == Witnesses(PLAIN, tuple(w.vkey for w in three), 2)
    assert verification._flat(PLAIN, one).quorum == 1
    assert verification._flat(PLAIN, nested) == Witnesses(PLAIN)
