"""Bundles that a real node makes, verified as a stranger would."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ledger.crypto.canonical import canonical_json
from ledger.errors import MalformedError
from ledger.evidence.bundle import Bundle, Document
from ledger.evidence.policy import LogTrust, Policy
from ledger.evidence.report import ABSENCE, Report, Verdict
from ledger.evidence.verifier import verify
from ledger.statements import decode_statement
from node.evidence import Stand, evidence, make
from node.node import Node
from node.queries import NotFoundError
from tests.node.made_log import ITEM, PRIVATE, Made
from tests.nodes import admitted
from tests.world import credential

SUITES = frozenset({-8, -7})


def policy(log_id: bytes) -> Policy:
    """A verifier that takes the operator's word for state and time: what the node alone can give."""
    return Policy((LogTrust(log_id, None, SUITES),), trust_operator_state=True)


def ask(made: Made, *questions: tuple[str | None, int | None], before: Any = None) -> list[bytes]:
    async def story() -> list[bytes]:
        async with Node(made.config) as node:
            if before is not None:
                await before(node)
            return [await evidence(node, *question) for question in questions]

    return asyncio.run(story())


def judged(made: Made, raw: bytes) -> Report:
    return verify(raw, policy(made.world.log_id), made.world.now + 60).report


def test_a_nodes_bundle_about_anything_in_its_log_verifies(made: Made):
    async def every(node: Node) -> None:
        questions.extend((None, index) for index in range(12))
        questions.extend(
            (None, index) for index in range(node.publisher.published.size - 6, node.publisher.published.size)
        )

    questions: list[tuple[str | None, int | None]] = [
        (ITEM, None), (made.certification.sub, None), (made.parties["certifier"].did, None), ("batch:2", None),
        (f"log:{made.world.log_id.hex()}", None),
    ]  # fmt: skip

    async def story() -> list[bytes]:
        async with Node(made.config) as node:
            await every(node)
            return [await evidence(node, *question) for question in questions]

    for question, raw in zip(questions, asyncio.run(story()), strict=True):
        report = judged(made, raw)
        private = Bundle.decode(raw).about == made.private.sub
        assert report.overall is (Verdict.CANNOT_TELL if private else Verdict.VALID), f"{question}: {report.as_text()}"


def test_a_private_document_is_for_its_holder_to_add(made: Made):
    (raw,) = ask(made, (made.private.sub, None))
    bundle = Bundle.decode(raw)
    assert not bundle.documents
    added = Bundle(**{name: getattr(bundle, name) for name in bundle.__dataclass_fields__} | {
        "documents": (Document(canonical_json(PRIVATE)),)
    })  # fmt: skip
    assert judged(made, added.encode()).overall is Verdict.VALID


def test_what_is_not_in_the_log_is_proven_absent(made: Made):
    for about in ("vaa:88.118.8/NEVER", credential(99)):
        (raw,) = ask(made, (about, None))
        report = judged(made, raw)
        assert (report.overall, report.claim) == (Verdict.VALID, ABSENCE)


def test_a_bundle_is_as_of_its_checkpoint_whatever_came_since(made: Made):
    """Records that changed after the checkpoint are shown as they were at it."""

    async def story() -> tuple[Bundle, Bundle]:
        async with Node(made.config) as node:
            published = node.publisher.published
            stand = Stand(
                node.log_id, node.index, node.documents, node.served, published.size, published.checkpoint
            )  # fmt: skip
            first = make(stand, credential(1), None)
            suspended = made.world.status(made.parties["certifier"], credential(1), "suspended", "issuer", 1)
            admitted(await node.sequencer.submit([suspended]))
            await node.publisher.publish_now(node.sequencer)
            return first, make(stand, credential(1), None)

    first, later = asyncio.run(story())
    assert first.encode() == later.encode()
    report = judged(made, later.encode())
    assert report.overall is Verdict.VALID, report.as_text()


def test_questions_that_have_no_answer_are_refused(made: Made):
    for question, error in (
        ((None, None), MalformedError),
        ((ITEM, 1), MalformedError),
        (("no subject", None), MalformedError),
        ((None, 10**9), NotFoundError),
        (("batch:99999", None), NotFoundError),
    ):
        with pytest.raises(error):
            ask(made, question)


def test_the_bundle_of_a_long_log_stays_small(made: Made):
    (raw,) = ask(made, (ITEM, None))
    bundle = Bundle.decode(raw)
    assert len(raw) < 30_000
    assert decode_statement(bundle.by_index[bundle.index or 0]).sub == ITEM
