"""Consents: bound to one act in one log, and never taken for a statement."""

from __future__ import annotations

import hashlib

import pytest

from ledger.errors import MalformedError
from ledger.statements import (
    consent_digest,
    decode_consent,
    decode_statement,
    expected_consent_digest,
    make_consent,
    sign,
    verify_consent_signature,
)
from ledger.statements.cbor import decode, encode
from tests.statements.statement_drafts import (
    ACTOR,
    AUD,
    DID,
    DRAFTS,
    LATER,
    LOG_ID,
    NEED_CONSENTS,
    OTHER,
    OTHER_DID,
    assemble,
    header_of,
    signed,
    without,
)

DIGEST = bytes(range(32))
CONSENT = make_consent(ACTOR, DID, LATER, DIGEST)
HEADER = decode(decode(CONSENT, tag=18)[0])


@pytest.mark.parametrize("signer", [ACTOR, OTHER], ids=["ed25519", "es256"])
def test_a_consent_reads_back_as_it_was_made(signer):
    raw = make_consent(signer, OTHER_DID, LATER, DIGEST)
    consent = decode_consent(raw)
    assert (consent.raw, consent.iss, consent.exp, consent.digest) == (raw, OTHER_DID, LATER, DIGEST)
    assert (consent.kid, consent.alg) == (signer.kid, signer.suite.alg)
    assert verify_consent_signature(consent, signer.public_key)
    assert not verify_consent_signature(consent, ACTOR.suite.from_secret(bytes(32)).public_key)
    assert not verify_consent_signature(consent._replace(digest=bytes(32), signed=b""), signer.public_key)


def test_the_digest_is_that_of_the_documented_array():
    expected = hashlib.sha256(b"\x84\x6ftial-consent-v1\x58\x20" + LOG_ID + b"\x41p\x41b").digest()
    assert consent_digest(LOG_ID, b"p", b"b") == expected


def test_log_header_and_body_each_change_the_digest():
    digests = {consent_digest(*parts) for parts in ((LOG_ID, b"p", b"b"), (b"", b"p", b"b"), (LOG_ID, b"", b"b"))}
    assert len(digests | {consent_digest(LOG_ID, b"p", b"")}) == 4


def test_draft_and_statement_agree_on_the_digest():
    for name in NEED_CONSENTS:
        statement = decode_statement(signed(name))
        log_id = b"" if name == "genesis" else bytes.fromhex(AUD)
        body = encode(without(statement.body, "consents"))
        expected = consent_digest(log_id, statement.protected, body)
        assert expected == expected_consent_digest(statement) == DRAFTS[name].consent_digest(ACTOR)


def test_a_consent_is_no_statement_and_a_statement_no_consent():
    with pytest.raises(MalformedError, match="no statement"):
        decode_statement(CONSENT)
    for name in DRAFTS:
        with pytest.raises(MalformedError, match="no consent"):
            decode_consent(signed(name))


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (assemble(HEADER, DIGEST[1:]), "payload"),
        (assemble(HEADER, DIGEST, bytes(63)), "signature"),
        (assemble(HEADER, DIGEST, unprotected=b"\xa1\x00\x00"), "unprotected"),
        (assemble(HEADER, DIGEST, tag=b""), "byte 0"),
        (assemble(HEADER | {3: "application/cbor"}, DIGEST), "protected.3"),
        (assemble(HEADER | {258: -16}, DIGEST), "protected.258"),
        (assemble(without(HEADER, 4), DIGEST), "protected.4"),
        (assemble(HEADER | {1: -9}, DIGEST), "protected.1"),
        (assemble(HEADER | {15: {1: DID}}, DIGEST), "protected.15.4"),
        (assemble(HEADER | {15: {4: LATER}}, DIGEST), "protected.15.1"),
        (assemble(HEADER | {15: {1: "x", 4: LATER}}, DIGEST), "protected.15.1"),
        (assemble(HEADER | {15: {1: DID, 4: 1 << 53}}, DIGEST), "protected.15.4"),
        (assemble(HEADER | {15: {1: DID, 4: LATER, 6: LATER}}, DIGEST), "protected.15.6"),
    ],
)
def test_anything_but_the_one_form_is_refused(raw, where):
    with pytest.raises(MalformedError) as caught:
        decode_consent(raw)
    assert caught.value.where == where


def test_every_truncation_and_every_changed_byte_is_refused_or_another_consent():
    original = decode_consent(CONSENT)
    for place in range(len(CONSENT)):
        with pytest.raises(MalformedError):
            decode_consent(CONSENT[:place])
        try:
            changed = decode_consent(CONSENT[:place] + bytes([CONSENT[place] ^ 1]) + CONSENT[place + 1 :])
        except MalformedError:
            continue
        assert (changed.signed, changed.signature) != (original.signed, original.signature)


def test_a_bad_consent_inside_a_statement_is_refused_with_its_place():
    header = header_of(DRAFTS["transfer"])
    with pytest.raises(MalformedError) as caught:
        decode_statement(assemble(header, {"consents": [CONSENT, CONSENT[:-1]]}))
    assert caught.value.where.startswith("payload.consents.1.byte ")
    with pytest.raises(MalformedError) as caught:
        decode_statement(assemble(header, {"consents": [signed("registration")]}))
    assert caught.value.where == "payload.consents.0.protected.16"


@pytest.mark.parametrize(
    "consents",
    [[], None, CONSENT, [1], [b""], [CONSENT, CONSENT], [make_consent(ACTOR, DID, n, DIGEST) for n in range(33)]],
)
def test_a_list_of_consents_is_not_empty_not_long_and_has_each_once(consents):
    with pytest.raises(MalformedError) as caught:
        decode_statement(assemble(header_of(DRAFTS["transfer"]), {"consents": consents}))
    assert caught.value.where.startswith("payload.consents")


def test_what_could_not_be_read_is_not_signed():
    for iss, exp, digest in (("x", LATER, DIGEST), (DID, -1, DIGEST), (DID, LATER, b"short")):
        with pytest.raises(MalformedError):
            make_consent(ACTOR, iss, exp, digest)
    with pytest.raises(MalformedError):
        sign(DRAFTS["transfer"], ACTOR, [b"no consent"])
    with pytest.raises(MalformedError, match="missing"):
        sign(DRAFTS["transfer"], ACTOR)
