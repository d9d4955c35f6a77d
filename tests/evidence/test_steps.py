"""Each pure step accepts what is right and refuses each lie."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto.canonical import document_digest
from ledger.evidence.report import Verdict
from ledger.evidence.steps import (
    PublicKey,
    check_checkpoint,
    check_document,
    check_inclusion,
    check_signatures,
    check_suites,
)
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.notes import ED25519, Vkey
from ledger.log.proofs import inclusion_proof
from ledger.log.tree import root_of
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


def test_suites_must_be_admitted_and_bytes_a_statement(world: World, party: Party):
    raw = certification(world, party).raw
    assert check_suites(raw, [-8])[1].verdict is VALID
    assert check_suites(raw, [-7])[1].verdict is INVALID
    assert check_suites(raw[:-1], [-8])[0] is None
    assert check_suites(raw + b"\x00", [-8])[1].verdict is INVALID


@given(st.binary(max_size=200))
def test_no_bytes_make_the_suite_step_fail_in_another_way(raw: bytes):
    assert check_suites(raw, [-8])[1].verdict is INVALID


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


@given(size=st.integers(1, 40), data=st.data())
def test_inclusion_holds_for_the_leaf_and_for_no_other_claim(size: int, data: st.DataObject):
    leaves = [bytes([n + 1]) * 32 for n in range(size)]
    index = data.draw(st.integers(0, size - 1))
    root = root_of(leaves)
    proof = inclusion_proof(index, size, lambda level, i: root_of(leaves[i << level : (i + 1) << level]))
    assert check_inclusion(leaves[index], index, size, proof, root).verdict is VALID
    assert check_inclusion(b"\xff" * 32, index, size, proof, root).verdict is INVALID
    assert check_inclusion(leaves[index], index, size, proof, bytes(32)).verdict is INVALID
    assert check_inclusion(leaves[index], size, size, proof, root).verdict is INVALID
    assert check_inclusion(leaves[index], index, size, [*proof, bytes(32)], root).verdict is INVALID
    if proof:
        assert check_inclusion(leaves[index], index, size, proof[:-1], root).verdict is INVALID
        assert check_inclusion(leaves[index], index, size, [b"short", *proof[1:]], root).verdict is INVALID


def test_a_checkpoint_is_signed_by_the_logs_key_and_of_its_origin():
    vkey = Vkey("example.org/log", ED25519, key("note").public_key)
    good = sign_checkpoint(key("note"), Checkpoint("example.org/log", 5, bytes(32)))
    opened, step = check_checkpoint(good, vkey)
    assert step.verdict is VALID
    assert opened is not None
    assert (opened.size, step.size) == (5, 5)
    for bad in (
        sign_checkpoint(key("other"), Checkpoint("example.org/log", 5, bytes(32))),
        sign_checkpoint(key("note"), Checkpoint("example.org/other", 5, bytes(32))),
        good.replace(b"\n5\n", b"\n6\n"),
        good[:-2],
        b"",
    ):
        assert check_checkpoint(bad, vkey)[1].verdict is INVALID
