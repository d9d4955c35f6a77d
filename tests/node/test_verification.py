"""Verifying online: each step, each lie, and nothing told that was not found out."""

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
from ledger.errors import MalformedError
from ledger.evidence.report import Report, Verdict
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.proofs import inclusion_proof
from ledger.statements import decode_statement, make_consent, sign, subjects
from node.chain.evm import EvmChain
from node.chain.protocol import Finality
from node.chain.rpc import JsonRpc
from node.node import Node
from node.queries import NotFoundError
from node.verification import verify
from node.verification_request import Request
from tests.node.made_log import DOCUMENT, ITEM, PRIVATE, Made
from tests.nodes import admitted
from tests.world import Party, credential, key

VALID, INVALID, CANNOT_TELL = Verdict.VALID, Verdict.INVALID, Verdict.CANNOT_TELL


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def ask(made: Made, *requests: dict[str, Any], before: Any = None) -> list[Report]:
    """Start the node, let `before(node)` happen, ask, stop."""

    async def story() -> list[Report]:
        async with Node(made.config) as node:
            if before is not None:
                await before(node)
            return [await verify(node, request) for request in requests]

    return asyncio.run(story())


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
    assert {2, 3, 4, 5, 8, 11, 13} <= whole.required
    assert whole.informative == {12}, "an ended accreditation is told, and does not decide"
    assert "operator" in " ".join(whole.rests_on)


def test_a_proof_taken_earlier_is_checked_against_its_checkpoint(made: Made):
    async def story() -> list[Report]:
        async with Node(made.config) as node:
            size, root = node.publisher.published.size, node.publisher.published.root
            checkpoint = node.publisher.published.checkpoint.decode()
            index = next(i for i in range(size) if node.publisher.entry_at(i) == made.registration.raw)
            proof = [h.hex() for h in inclusion_proof(index, size, node.reader.nodes(size).get_node)]
            question = {
                "statement": b64(made.registration.raw), "index": index, "size": size, "proof": proof,
                "checkpoint": checkpoint,
            }  # fmt: skip
            wrong_hash = question | {"proof": [proof[0][:-2] + "00", *proof[1:]]}
            too_short = question | {"proof": proof[:-1]}
            elsewhere = question | {"index": index + 1}
            beyond = question | {"index": size, "size": size}
            forked = question | {
                "checkpoint": sign_checkpoint(key("note"), Checkpoint(node.origin, size, bytes(32))).decode()
            }
            stranger = question | {
                "checkpoint": sign_checkpoint(key("x"), Checkpoint(node.origin, size, root)).decode()
            }
            later = question | {
                "checkpoint": sign_checkpoint(key("note"), Checkpoint(node.origin, size + 9, root)).decode()
            }
            questions = [question, wrong_hash, too_short, elsewhere, beyond, forked, stranger, later]
            return [await verify(node, one) for one in questions]

    good, wrong_hash, too_short, elsewhere, beyond, forked, stranger, later = asyncio.run(story())
    assert good.overall is VALID, good.as_text()
    assert [verdict(r, 5) for r in (wrong_hash, too_short, elsewhere, beyond)] == [INVALID] * 4
    assert verdict(forked, 8) is INVALID
    assert "evidence" in reason(forked, 8)
    assert verdict(stranger, 8) is INVALID
    assert stranger.overall is INVALID
    assert verdict(later, 8) is CANNOT_TELL
    assert later.overall is CANNOT_TELL


def test_an_altered_or_unsigned_statement_is_invalid(made: Made):
    raw = made.registration.raw
    forged = raw[:-1] + bytes([raw[-1] ^ 1])
    somebody = made.world.registration(made.parties["outsider"], "vaa:88.118.8/NEW", "vaa/88.118.8")
    altered, stranger, garbage = ask(
        made, {"statement": b64(forged)}, {"statement": b64(somebody)}, {"statement": b64(b"\xd2\x84\x00")}
    )
    assert verdict(altered, 4) is INVALID
    assert "does not verify" in reason(altered, 4)
    assert verdict(stranger, 4) is INVALID
    assert "nobody" in reason(stranger, 4)
    assert garbage.overall is INVALID
    assert [s.number for s in garbage.steps] == [2]


def test_a_statement_that_is_not_in_the_log_is_not_called_included(made: Made):
    genuine = made.world.registration(made.parties["enterprise"], "vaa:88.118.8/NEW", "vaa/88.118.8")
    (report,) = ask(made, {"statement": b64(genuine)})
    assert verdict(report, 4) is VALID
    assert verdict(report, 5) is CANNOT_TELL
    assert verdict(report, 11) is CANNOT_TELL
    assert report.overall is not VALID


def test_a_certification_beyond_its_scope_is_invalid_even_unsubmitted(made: Made):
    outside = made.world.certification(made.parties["certifier"], ITEM, 9, claims={"class": "crane"})
    (report,) = ask(made, {"statement": b64(outside)})
    assert verdict(report, 12) is INVALID
    assert "out_of_scope" in reason(report, 12)


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

    async def story() -> Report:
        async with Node(made.config) as node:
            node.publisher.stop()
            await asyncio.sleep(0.05)
            (outcome,) = admitted(await node.sequencer.submit([raw]))
            return await verify(node, {"index": outcome.index})

    report = asyncio.run(story())
    assert verdict(report, 5) is CANNOT_TELL
    assert report.overall is CANNOT_TELL


def test_what_is_not_there_is_said_so(made: Made):
    async def story() -> None:
        async with Node(made.config) as node:
            for request in ({"index": 10**9}, {"subject": "vaa:88.118.8/NONE"}, {"subject": "batch:77"}):
                with pytest.raises(NotFoundError):
                    await verify(node, request)

    asyncio.run(story())


def test_a_chain_that_does_not_answer_is_never_invalid(made: Made):
    silent = EvmChain(
        JsonRpc("http://127.0.0.1:9", timeout=1), chain_id=1, contract="0x" + "11" * 20,
        finality=Finality.parse("included"),
    )  # fmt: skip

    async def story() -> Report:
        async with Node(made.config) as node:
            return await verify(node, {"subject": ITEM}, chain=silent)

    report = asyncio.run(story())
    assert verdict(report, 10) is CANNOT_TELL
    assert 10 in report.required
    assert report.overall is CANNOT_TELL


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
        {"index": 1, "proof": []},
        {"index": 1, "size": 5, "proof": "00"},
        {"index": 1, "size": 5, "proof": ["zz" * 32]},
        {"index": 1, "size": 5, "proof": ["é" * 64]},
        {"index": 1, "size": 5, "proof": ["00" * 32] * 65},
        {"index": 1, "checkpoint": "x" * 70_000},
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
        st.sampled_from(["statement", "index", "size", "proof", "checkpoint", "document", "subject", "other"]),
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
