"""Statements: every type reads back as signed, and nothing that differs from the one form is read."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto.suites import suite_by_name
from ledger.errors import MalformedError
from ledger.statements import (
    MAX_STATEMENT_SIZE,
    TYPES,
    Draft,
    decode_statement,
    expected_consent_digest,
    sig_structure,
    sign,
    verify_consent_signature,
    verify_statement_signature,
)
from ledger.statements.cbor import decode, encode, encode_bytes
from ledger.statements.cose import join
from tests.statements.statement_drafts import (
    ACTOR,
    AUD,
    CREDENTIAL,
    DID,
    DIGEST,
    DRAFTS,
    IAT,
    IDENTIFIER,
    LATER,
    MAY_CONSENT,
    OTHER,
    assemble,
    header_of,
    signed,
    without,
)

REGISTRATION = DRAFTS["registration"]
STATUS = DRAFTS["status"]
SIGNED = {name: signed(name) for name in DRAFTS}


def must_refuse(raw: bytes, where: str, why: str | None = None) -> None:
    with pytest.raises(MalformedError, match=why) as caught:
        decode_statement(raw)
    assert caught.value.where == where


def test_there_is_a_draft_of_every_type():
    assert set(DRAFTS) == set(TYPES)


@pytest.mark.parametrize("signer", [ACTOR, OTHER], ids=["ed25519", "es256"])
@pytest.mark.parametrize("name", DRAFTS)
def test_each_type_reads_back_as_it_was_signed(name, signer):
    draft, raw = DRAFTS[name], signed(name, signer)
    statement = decode_statement(raw)
    assert statement.raw == raw
    assert (statement.type, statement.iss, statement.sub, statement.aud) == (name, DID, draft.sub, draft.aud)
    assert (statement.iat, statement.nbf, statement.exp) == (IAT, draft.nbf, draft.exp)
    assert {key: value for key, value in statement.claims.items() if isinstance(key, str)} == draft.claims
    assert statement.seq == draft.claims.get("seq")
    assert (statement.alg, statement.kid) == (signer.suite.alg, signer.kid)
    assert statement.digest == draft.digest
    assert {key: value for key, value in statement.body.items() if key != "consents"} == (draft.body or {})
    assert statement.signed == sig_structure(statement.protected, statement.payload)
    assert statement.act == hashlib.sha256(statement.signed).digest()
    assert statement.leaf == hashlib.sha256(b"\x00" + raw).digest()
    assert verify_statement_signature(statement, signer.public_key)
    assert len(statement.consents) == (2 if name in MAY_CONSENT else 0)
    for consent, key in zip(statement.consents, (OTHER, ACTOR), strict=False):
        assert consent.digest == expected_consent_digest(statement)
        assert verify_consent_signature(consent, key.public_key)


def test_a_signature_is_good_for_its_own_key_only():
    statement = decode_statement(SIGNED["registration"])
    stranger = ACTOR.suite.from_secret(bytes(32))
    assert not verify_statement_signature(statement, stranger.public_key)
    assert not verify_statement_signature(statement, OTHER.public_key)
    assert not verify_statement_signature(statement, b"")
    moved = decode_statement(join(statement.protected, DIGEST[::-1], statement.signature))
    assert not verify_statement_signature(moved, ACTOR.public_key)


@pytest.mark.parametrize("name", DRAFTS)
def test_a_statement_is_the_deterministic_encoding_of_its_parts(name):
    statement = decode_statement(SIGNED[name])
    parts = decode(statement.raw, tag=18)
    assert parts == [statement.protected, {}, statement.payload, statement.signature]
    assert encode(parts, tag=18) == statement.raw
    assert encode(decode(statement.protected)) == statement.protected
    if statement.digest is None:
        assert encode(statement.body) == statement.payload


@pytest.mark.parametrize("name", ["registration", "status"])
def test_every_changed_bit_is_refused_or_changes_what_is_signed(name):
    raw = SIGNED[name]
    original = decode_statement(raw)
    for place in range(len(raw)):
        for bit in range(8):
            spoilt = bytearray(raw)
            spoilt[place] ^= 1 << bit
            try:
                statement = decode_statement(bytes(spoilt))
            except MalformedError:
                continue
            assert statement.leaf != original.leaf
            assert (statement.act == original.act) == (statement.signature != original.signature)


@pytest.mark.parametrize("name", ["registration", "genesis", "manifest"])
def test_every_truncation_is_refused(name):
    raw = SIGNED[name]
    for size in range(len(raw)):
        with pytest.raises(MalformedError):
            decode_statement(raw[:size])


@settings(max_examples=400)
@given(st.sampled_from(sorted(SIGNED)), st.data())
def test_a_mutated_statement_never_passes_as_the_signed_one(name, data):
    raw = SIGNED[name]
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 8)))
    mutated = raw[:start] + data.draw(st.binary(max_size=8)) + raw[end:]
    try:
        statement = decode_statement(mutated)
    except MalformedError:
        return
    if mutated != raw:
        assert not verify_statement_signature(statement, ACTOR.public_key)
        assert encode(decode(mutated, tag=18), tag=18) == mutated


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data):
    with pytest.raises(MalformedError):
        decode_statement(data)
    with pytest.raises(MalformedError):
        decode_statement(b"\xd2\x84" + data)


# -- the outer form ---------------------------------------------------------------------------------------------------

HEADER = header_of(REGISTRATION)
LONG_BSTR = {
    "length in too many bytes": lambda part: b"\x59" + len(part).to_bytes(2, "big") + part,
    "length in four bytes": lambda part: b"\x5a" + len(part).to_bytes(4, "big") + part,
    "indefinite length": lambda part: b"\x5f\x58" + bytes([len(part) & 0xFF]) + part + b"\xff",
}


def test_the_untouched_assembly_is_accepted():
    assert decode_statement(assemble(HEADER)).sub == IDENTIFIER


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"tag": b""}, "byte 0"),
        ({"tag": b"\xd1"}, "byte 0"),
        ({"tag": b"\xd8\x12"}, "byte 0"),
        ({"tag": b"\xd2\xd2"}, "byte 0"),
        ({"tag": b"\xd9\xd9\xf7\xd2"}, "byte 0"),
        ({"unprotected": b"\xa1\x04\x41\x31"}, "unprotected"),
        ({"unprotected": b"\xb8\x00"}, "unprotected"),
        ({"unprotected": b"\xbf\xff"}, "unprotected"),
        ({"unprotected": b"\x80"}, "unprotected"),
        ({"unprotected": b""}, "unprotected"),
        ({"payload": b""}, "payload"),
        ({"payload": bytes(31)}, "payload"),
        ({"payload": bytes(33)}, "payload"),
        ({"payload": {}}, "payload"),
        ({"signature": b""}, "signature"),
        ({"signature": bytes(63)}, "signature"),
        ({"signature": bytes(65)}, "signature"),
    ],
)
def test_another_outer_form_is_refused(changes, where):
    must_refuse(assemble(HEADER, **changes), where)


@pytest.mark.parametrize("bstr", LONG_BSTR.values(), ids=LONG_BSTR)
def test_other_lengths_of_the_outer_strings_are_refused(bstr):
    with pytest.raises(MalformedError):
        decode_statement(assemble(HEADER, bstr=bstr))


def test_parts_that_are_not_byte_strings_are_refused():
    protected = encode(encode(HEADER))
    tail = encode(bytes(64))
    must_refuse(b"\xd2\x84" + encode(HEADER) + b"\xa0" + encode(DIGEST) + tail, "protected")
    must_refuse(b"\xd2\x84" + protected + b"\xa0\xf6" + tail, "payload", "byte string")
    must_refuse(b"\xd2\x84" + protected + b"\xa0" + encode("x" * 32) + tail, "payload", "byte string")
    must_refuse(b"\xd2\x84" + protected + b"\xa0" + encode(DIGEST) + b"\x00", "signature", "byte string")


def test_bytes_after_the_statement_are_refused():
    raw = SIGNED["registration"]
    must_refuse(raw + b"\x00", f"byte {len(raw)}", "follow")
    must_refuse(raw + raw, f"byte {len(raw)}", "follow")
    with pytest.raises(MalformedError):
        decode_statement(raw.replace(b"\xd2\x84", b"\xd2\x85", 1) + b"\x00")


def test_the_largest_statement_is_accepted_and_one_byte_more_is_refused():
    filler = MAX_STATEMENT_SIZE - len(assemble(HEADER, bytes(60_000))) + 60_000
    must_refuse(assemble(HEADER, bytes(filler)), "payload")
    must_refuse(assemble(HEADER, bytes(filler + 1)), "", "at most 65535")
    with pytest.raises(MalformedError, match="at most 65535"):
        join(b"", bytes(65_535), b"")


@pytest.mark.parametrize("raw", [None, "", bytearray(SIGNED["registration"]), memoryview(SIGNED["registration"])])
def test_only_bytes_are_a_statement(raw):
    with pytest.raises(MalformedError):
        decode_statement(raw)


# -- the protected header ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [1, 4, 15, 16, 258, 259])
def test_a_missing_header_member_is_refused(key):
    must_refuse(assemble(without(HEADER, key)), f"protected.{key}")


@pytest.mark.parametrize("key", [1, 3, 4, 15, 16])
def test_a_missing_header_member_of_a_type_with_a_body_is_refused(key):
    must_refuse(assemble(without(header_of(STATUS), key), {}), f"protected.{key}")


@pytest.mark.parametrize(("key", "value"), [(2, [1]), (3, "application/cbor"), (260, "x"), (-1, 1), ("x", 1), (5, b"")])
def test_a_further_header_member_is_refused(key, value):
    must_refuse(assemble(HEADER | {key: value}), f"protected.{key}", "no such header member")


def test_the_hash_envelope_does_not_stand_before_a_map():
    for key in (258, 259):
        must_refuse(assemble(header_of(STATUS) | {key: HEADER[key]}, {}), f"protected.{key}")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (1, -9), (1, -35), (1, 8), (1, "EdDSA"), (1, True), (1, -999), (4, b""), (4, bytes(31)), (4, bytes(33)),
        (4, "x" * 32), (16, "application/cose"), (16, "application/vnd.tial.consent"), (16, 17), (16, None),
        (16, "application/vnd.tial.Registration+cose"), (16, "application/vnd.tial.event+cose"), (258, -15), (258, -43),
        (258, "SHA-256"), (259, "application/cbor"), (259, "application/json; charset=utf-8"), (259, 50),
    ],
)  # fmt: skip
def test_another_value_of_a_header_member_is_refused(key, value):
    must_refuse(assemble(HEADER | {key: value}), f"protected.{key}")


@pytest.mark.parametrize("value", [60, "application/json", None])
def test_another_content_type_of_a_map_is_refused(value):
    must_refuse(assemble(header_of(STATUS) | {3: value}, {}), "protected.3")


@pytest.mark.parametrize("value", [[], None, b"", 5, "claims"])
def test_claims_that_are_no_map_are_refused(value):
    must_refuse(assemble(HEADER | {15: value}), "protected.15", "expected a map")


@pytest.mark.parametrize("protected", [b"", b"\xa0", b"\x80", b"\xf6", b"\xa1\x01\x27", b"\xa6\x01\x27\x04\x58\x20"])
def test_a_header_that_is_no_such_map_is_refused(protected):
    with pytest.raises(MalformedError) as caught:
        decode_statement(assemble(protected))
    assert caught.value.where.startswith("protected")


def test_a_header_in_another_order_is_refused():
    members = [encode(key) + encode(value) for key, value in HEADER.items()]
    assert decode_statement(assemble(b"\xa6" + b"".join(members)))
    for left in range(5):
        swapped = members.copy()
        swapped[left], swapped[left + 1] = swapped[left + 1], swapped[left]
        with pytest.raises(MalformedError, match="order"):
            decode_statement(assemble(b"\xa6" + b"".join(swapped)))
    with pytest.raises(MalformedError, match="order"):
        decode_statement(assemble(b"\xa7" + members[0] + b"".join(members)))


def test_claims_that_are_not_deterministic_are_refused():
    raw = encode(HEADER)
    for good, bad in (
        (encode(IAT), b"\x1b\0\0\0\0" + IAT.to_bytes(4, "big")),
        (b"\x03\x78\x40", b"\x03\x79\x00\x40"),
        (encode("holder"), b"\x78\x06holder"),
        (encode("seq") + b"\x09", encode("seq") + b"\x18\x09"),
        (encode("seq") + b"\x09", encode("seq") + b"\xf9\x48\x80"),
        (encode("seq") + b"\x09", encode("seq") + b"\xc1\x09"),
    ):
        assert raw.count(good) == 1
        with pytest.raises(MalformedError) as caught:
            decode_statement(assemble(raw.replace(good, bad)))
        assert caught.value.where.startswith("protected.byte ")


# -- claims -----------------------------------------------------------------------------------------------------------

BAD_UINTS = (-1, 1 << 64, "1", True, None, b"\x01", [1])
BAD_TIMES = (-1, 1 << 53, "1", False, None)
BAD_DIDS = ("did:web", "vaa:1", "", 7, None, "did:key:z6Mk h", b"did:web:a", "did:web:e\u0301")


def spoilt(draft: Draft, changes: dict, payload: dict | None = None) -> bytes:
    header = header_of(draft)
    header[15] |= changes
    cbor = b"".join([b"\xa6" if 258 in header else b"\xa5", *[encode(k) + _loose(v) for k, v in header.items()]])
    return assemble(cbor, DIGEST if payload is None else payload)


def _loose(value) -> bytes:
    """Encode like `encode`, but also what it refuses."""
    if isinstance(value, dict):
        pairs = sorted((_loose(key), _loose(item)) for key, item in value.items())
        return bytes([0xA0 + len(value)]) + b"".join(key + item for key, item in pairs)
    if isinstance(value, str):
        raw = value.encode()
        head = encode_bytes(raw)[: -len(raw)] if raw else b"\x40"
        return bytes([head[0] + 0x20]) + head[1:] + raw
    if isinstance(value, int) and value == 1 << 64:
        return b"\xc2\x49\x01" + bytes(8)
    return encode(value)


@pytest.mark.parametrize(
    ("draft", "claim", "values"),
    [
        (REGISTRATION, 1, BAD_DIDS),
        (REGISTRATION, "holder", BAD_DIDS),
        (REGISTRATION, 2, ("", "vaa", 5, "log:x", CREDENTIAL, "batch:1", "vaa:a b", "vaa:%41%2f", "delegation:vaa/8")),
        (REGISTRATION, 3, ("", AUD.upper(), AUD[:-1], AUD + "0", bytes.fromhex(AUD), AUD[:-1] + "\u0660", [AUD])),
        (REGISTRATION, 6, BAD_TIMES),
        (REGISTRATION, "seq", BAD_UINTS),
        (REGISTRATION, "generation", (*BAD_UINTS, 0, 1)),
        (REGISTRATION, "delegation", ("vaa", "/88", "VAA/88", "vaa/ 8", "log/8", 8, "vaa/%38")),
        (DRAFTS["certification"], 4, BAD_TIMES),
        (DRAFTS["certification"], 5, BAD_TIMES),
        (DRAFTS["certification"], 2, (IDENTIFIER, DID, "urn:uuid:1")),
        (DRAFTS["certification"], "identifier", (CREDENTIAL, "batch:1", 1, "vaa:")),
        (DRAFTS["certification"], "template", ("a", "a/b/c", 1, "/1")),
        (DRAFTS["certification"], "class", ("", " a", "a ", "x" * 129, 1, "a\u202eb", "a\nb")),
        (DRAFTS["certification"], "accreditation", BAD_UINTS),
        (DRAFTS["manifest"], 2, ("batch:01", "batch:-1", f"log:{AUD}")),
        (DRAFTS["genesis"], 2, (f"log:{AUD}", "log:", "batch:1")),
        (DRAFTS["log"], 2, ("log:node.example/log", DID)),
        (STATUS, 2, (f"log:{AUD}", "batch:1", "template:a/1")),
        (STATUS, "state", ("gone", "", 1, "Active")),
        (STATUS, "reason", ("", "Recall", "a b", 1)),
        (STATUS, "effective", BAD_TIMES),
        (DRAFTS["delegation"], "rights", ([], ["own"], ["register", "register"], "register", [1])),
        (DRAFTS["delegation"], "reclaim", (False, 1, None, "true")),
        (DRAFTS["template"], "schema", (b"", bytes(31), "x" * 32)),
        (DRAFTS["template"], "state", ("active", 1)),
        (DRAFTS["accreditation"], "certifier", BAD_DIDS),
    ],
    ids=lambda value: getattr(value, "type", value) if not isinstance(value, tuple) else "",
)
def test_a_claim_of_another_shape_is_refused_with_its_path(draft, claim, values):
    payload = None if draft.body is None else {**draft.body}
    for value in values:
        with pytest.raises(MalformedError) as caught:
            decode_statement(spoilt(draft, {claim: value}, payload))
        assert caught.value.where.startswith((f"protected.15.{claim}", "protected.byte "))


@pytest.mark.parametrize("name", DRAFTS)
def test_a_missing_claim_is_refused_and_an_optional_one_is_not(name):
    draft = DRAFTS[name]
    payload = DIGEST if draft.body is None else decode_statement(SIGNED[name]).payload
    header = header_of(draft)
    for claim in header[15]:
        raw = assemble(header | {15: without(header[15], claim)}, payload)
        if claim in TYPES[name].claims.required:
            must_refuse(raw, f"protected.15.{claim}", "missing")
        else:
            assert claim not in decode_statement(raw).claims


@pytest.mark.parametrize("name", DRAFTS)
def test_an_unknown_claim_is_refused(name):
    draft = DRAFTS[name]
    payload = DIGEST if draft.body is None else decode_statement(SIGNED[name]).payload
    for claim, value in ((7, b"id"), ("color", "red"), ("a" * 300, 1), (-1, 0), (b"x", 1), (0, 0)):
        with pytest.raises(MalformedError, match="unknown") as caught:
            decode_statement(assemble(header_of(draft) | {15: header_of(draft)[15] | {claim: value}}, payload))
        assert caught.value.where.startswith("protected.15.")


def test_only_a_genesis_has_no_audience():
    must_refuse(assemble(header_of(REGISTRATION) | {15: without(HEADER[15], 3)}), "protected.15.3", "missing")
    header = header_of(DRAFTS["genesis"])
    payload = decode_statement(SIGNED["genesis"]).payload
    must_refuse(assemble(header | {15: header[15] | {3: AUD}}, payload), "protected.15.3", "unknown")


def test_only_types_with_a_validity_take_one():
    for claim in (4, 5):
        must_refuse(assemble(HEADER | {15: HEADER[15] | {claim: LATER}}), f"protected.15.{claim}", "unknown")


def test_a_type_does_not_pass_as_another():
    for name in DRAFTS:
        for other in DRAFTS:
            if name != other:
                header = header_of(DRAFTS[name]) | {16: TYPES[other].typ}
                with pytest.raises(MalformedError):
                    decode_statement(assemble(header, decode_statement(SIGNED[name]).payload))


# -- bodies -----------------------------------------------------------------------------------------------------------

BODIES = [name for name in DRAFTS if TYPES[name].body is not None]
BAD_KEYS = (
    {"alg": -8}, {"key": ACTOR.public_key}, {"alg": -8, "key": bytes(32)}, {"alg": -8, "key": OTHER.public_key},
    {"alg": -9, "key": ACTOR.public_key}, {"alg": -8, "key": ACTOR.public_key, "use": 1}, [], None,
)  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_missing_member_of_the_body_is_refused_and_an_optional_one_is_not(name):
    statement = decode_statement(SIGNED[name])
    for member in statement.body:
        raw = assemble(statement.protected, without(statement.body, member))
        if member in TYPES[name].body.required:
            must_refuse(raw, f"payload.{member}", "missing")
        else:
            assert member not in decode_statement(raw).body


@pytest.mark.parametrize("name", BODIES)
def test_an_unknown_member_of_the_body_is_refused(name):
    statement = decode_statement(SIGNED[name])
    for member in ("color", 1, b"x"):
        with pytest.raises(MalformedError, match="unknown") as caught:
            decode_statement(assemble(statement.protected, statement.body | {member: 1}))
        assert caught.value.where.startswith("payload.")


@pytest.mark.parametrize("payload", [b"", b"\xf6", b"\x80", b"\xa0\x00", b"\xbf\xff", b"\xb8\x00", b"\xd9\xd9\xf7\xa0"])
def test_a_payload_that_is_no_deterministic_map_is_refused(payload):
    with pytest.raises(MalformedError) as caught:
        decode_statement(assemble(header_of(STATUS), payload))
    assert caught.value.where.startswith("payload")


@pytest.mark.parametrize(
    ("name", "member", "values"),
    [
        ("genesis", "origin", ("", 1, "a" * 513)),
        ("genesis", "suites", ([], [-9], [-8, -8], ["EdDSA"], -8)),
        ("genesis", "rules", (-1, "1")),
        ("genesis", "policy", ({}, {"skew": 1, "max_age": 1}, {"skew": -1, "max_age": 1, "rotation_delay": 1})),
        ("genesis", "keys", ({}, {"cose": {"alg": -8, "key": ACTOR.public_key}})),
        ("genesis", "witnesses", ([""], ["a+b+c"], ["w+0123ABCD+" + "A" * 44], "w")),
        ("genesis", "root", ({"members": [], "threshold": 1}, {"members": [{}], "threshold": 1})),
        ("log", "roles", ({}, {"x": []}, {DID: ["king"]}, {DID: "owner"}, {1: []})),
        ("log", "seal", ({}, {"successor": AUD.upper()}, {"successor": AUD, "why": "x"})),
        ("actor", "keys", ([], *[[key] for key in BAD_KEYS])),
        ("actor", "roles", (["king"], "owner", [1])),
        ("actor", "name", ("", " x", 5)),
        ("actor", "uscc", ("91350100M000100Y4", "9135010OM000100Y43")),
        ("actor", "lei", ("5493000IBP32UQZ0KL2", "5493000IBP32UQZ0KL2X")),
        ("rotation", "remove", ([], [b""], [bytes(32), bytes(32)])),
        ("rotation", "cancel", (-1, "1", True)),
        ("compromise", "bad", ([], [{"kid": bytes(32)}], [{"kid": bytes(31), "from": 1}])),
        ("compromise", "reconfirmed", ([], [bytes(31)])),
        ("template", "mapping", ({"A": "/a"}, {"a": "a"}, {"a": "/~2"}, {"a": ""}, [])),
        ("accreditation", "sites", ([], [""], "*")),
        ("status", "note", ("", 1, "a\u200fb")),
        ("manifest", "counts", ({"": 1}, {"log": -1}, [])),
        ("manifest", "first", (-1, "0")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_member_of_another_shape_is_refused_with_its_path(name, member, values):
    statement = decode_statement(SIGNED[name])
    for value in values:
        raw = assemble(statement.protected, _loose(statement.body | {member: value}))
        with pytest.raises(MalformedError) as caught:
            decode_statement(raw)
        assert caught.value.where.startswith((f"payload.{member}", "payload.byte "))


def test_a_fault_deep_inside_is_named_by_its_path():
    statement = decode_statement(SIGNED["actor"])
    key = statement.body["keys"][0]
    raw = assemble(statement.protected, statement.body | {"keys": [key, key | {"purposes": ["statement", "party"]}]})
    must_refuse(raw, "payload.keys.1.purposes.1", "one of")


@pytest.mark.parametrize("name", ["log", "rotation"])
def test_an_act_that_changes_nothing_is_refused(name):
    statement = decode_statement(SIGNED[name])
    must_refuse(assemble(statement.protected, {"consents": statement.body["consents"]}), "payload", "at least one")


# -- drafts -----------------------------------------------------------------------------------------------------------


def test_the_same_draft_gives_the_same_bytes():
    assert signed("registration") == SIGNED["registration"]
    assert decode_statement(sign(REGISTRATION, OTHER)).act == decode_statement(sign(REGISTRATION, OTHER)).act


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "event"}, {"type": "consent"}, {"iss": "x"}, {"sub": "x"}, {"sub": CREDENTIAL}, {"aud": None},
        {"aud": "0"}, {"iat": -1}, {"nbf": 1}, {"claims": {}}, {"claims": {"holder": DID}}, {"digest": None},
        {"digest": b"short"}, {"body": {}}, {"body": {}, "digest": None},
        {"claims": {"holder": DID, "delegation": "vaa/8", "color": "red"}},
    ],
    ids=str,
)  # fmt: skip
def test_a_draft_that_could_not_be_read_is_not_signed(changes):
    fields = {name: getattr(REGISTRATION, name) for name in REGISTRATION.__slots__}
    with pytest.raises(MalformedError):
        sign(Draft(**(fields | changes)), ACTOR)


def test_consents_are_not_put_into_types_that_take_none():
    consent = decode_statement(SIGNED["status"]).consents[0].raw
    for name in ("registration", "certification", "manifest"):
        with pytest.raises(MalformedError):
            sign(DRAFTS[name], ACTOR, [consent])
    with pytest.raises(MalformedError, match="given apart"):
        sign(Draft("status", DID, CREDENTIAL, AUD, IAT, claims=STATUS.claims, body={"consents": [consent]}), ACTOR)


def test_a_suite_that_does_not_sign_statements_is_refused():
    with pytest.raises(MalformedError):
        sign(REGISTRATION, suite_by_name("secp256k1").from_secret(bytes(range(1, 33))))
