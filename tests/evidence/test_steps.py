"""Each pure step accepts what is right and refuses each lie."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.crypto.canonical import document_digest
from ledger.evidence.report import Verdict
from ledger.evidence.steps import PublicKey, check_document, check_signatures
from ledger.statements import Statement, decode_statement, make_consent, sign
from tests.world import Party, World, key, key_entry

VALID, INVALID = Verdict.VALID, Verdict.INVALID
DOCUMENT: dict[str, Any] = {"id": "vaa:88.118.8/A1", "until": "2030-01-01T00:00:00Z"}


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def party() -> Party:
    return Party("certifier")


def certification(world: World, party: Party, **more: Any) -> Statement:
    return decode_statement(world.certification(party, "vaa:88.118.8/A1", digest=document_digest(DOCUMENT), **more))


def test_a_document_must_digest_and_agree(world: World, party: Party):
    statement = certification(world, party)
    assert check_document(statement, DOCUMENT, None).verdict is VALID
    assert check_document(statement, b' {"until":"2030-01-01T00:00:00Z","id":"vaa:88.118.8/A1"}', None).verdict is VALID
    assert check_document(statement, DOCUMENT, [("identifier", "/id")]).verdict is VALID
    assert check_document(statement, DOCUMENT | {"id": "vaa:88.118.8/A2"}, None).verdict is INVALID
    for mapping in ([("exp", "/until")], [("identifier", "/nowhere")], [("nothing", "/id")]):
        step = check_document(statement, DOCUMENT, mapping)
        assert step.verdict is INVALID
        assert "contradicts" in step.reason
    for bad in (b"", b"{", b'{"a":1.5}', b"[" * 4_000, {"a": 1.5}, "text\ud800"):
        assert check_document(statement, bad, None).verdict is INVALID


def test_a_statement_without_a_document_needs_none(world: World):
    assert check_document(decode_statement(world.entries[0]), None, None).verdict is VALID


def test_signatures_are_checked_by_the_key_that_kid_names(world: World, party: Party):
    statement = certification(world, party)
    own, other = PublicKey(-8, party.signer.public_key), PublicKey(-8, key("other").public_key)
    assert check_signatures(statement, [other, own]).verdict is VALID
    assert "nobody" in check_signatures(statement, [other]).reason
    assert check_signatures(statement, []).verdict is INVALID
    assert check_signatures(statement, [PublicKey(-7, party.signer.public_key)]).verdict is INVALID
    raw = statement.raw
    altered = decode_statement(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert "does not verify" in check_signatures(altered, [own]).reason


def test_consents_are_signatures_too(world: World, party: Party):
    root = world.roots[0]
    draft = world.draft(
        "actor", party.did, party.did, body={"keys": [key_entry(party.signer)], "roles": [], "name": "A certifier"}
    )
    keys = [PublicKey(-8, party.signer.public_key), PublicKey(-8, root.signer.public_key)]
    digest = draft.consent_digest(party.signer)
    good = decode_statement(sign(draft, party.signer, [root.consent(digest)]))
    assert check_signatures(good, keys).verdict is VALID
    moved = decode_statement(sign(draft, party.signer, [root.consent(bytes(32))]))
    assert "another act" in check_signatures(moved, keys).reason
    forged = decode_statement(sign(draft, party.signer, [make_consent(key("x"), root.did, 1 << 40, digest)]))
    assert check_signatures(forged, keys).verdict is INVALID
