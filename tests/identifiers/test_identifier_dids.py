"""DIDs: keys, domains and the identifiers of the Starfire chain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.identifiers import SCHEMES, IdentifierError, parse, parse_subject, subject
from ledger.identifiers.base58 import BITCOIN, STARFIRE, decode, encode
from ledger.identifiers.did_bid import did_bid
from ledger.identifiers.did_key import did_key, did_key_public

ED25519 = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
P256 = "did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169"
BID_KEYS = [
    ("f76733ae048fda721d47afe8780b572636496c93253db86dc8d5427fc54e9a06", "did:bid:ef18F9AVK4SQLZPRrPkrVWwp9kbpdXHx"),
    ("da9b97a860598e14469cb1dd3af1bf6c5cb88d549379d49d83b5b0bb23d63bff", "did:bid:efdPP4ympm36RxTYQJPber1PRKmLWZE"),
]
DID = SCHEMES["did"]


@pytest.mark.parametrize(
    ("text", "prefixes"),
    [
        (ED25519, (ED25519[4:], "key")),
        (P256, (P256[4:], "key")),
        ("did:bid:efnVUgqQFfYeu97ABf6sGm3WFtVXHZB2", ("bid",)),
        ("did:bid:zf2AoXhJsmr1aaUMxhnKeMAX42G9Ck526", ("bid",)),
        ("did:bid:byo1:efspy6btdcuzP5BH2N899Ycti5Sd7n3z", ("bid:byo1", "bid")),
        ("did:bid:byo1", ("bid:byo1", "bid")),
        ("did:web:example.com", ("web:example.com", "web")),
        ("did:web:localhost%3A8443", ("web:localhost%3A8443", "web")),
        ("did:web:example.com:plant:7", ("web:example.com:plant:7", "web:example.com:plant", "web:example.com", "web")),
        ("did:web:example.com:%E7%94%B5", ("web:example.com:%E7%94%B5", "web:example.com", "web")),
    ],
)
def test_the_subject_of_a_did_is_the_did(text, prefixes):
    identifier = parse("did", text)
    assert subject(identifier) == text
    assert parse_subject(text) == identifier
    assert DID.prefixes(identifier.normal) == prefixes
    assert all(map(DID.is_prefix, prefixes))
    if len(prefixes) > 1:
        assert DID.parent_prefixes(prefixes[0]) == prefixes[1:]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("did:bid:EFnVUgqQFfYeu97ABf6sGm3WFtVXHZB2", "key type"),
        ("did:bid:ef0VUgqQFfYeu97ABf6sGm3WFtVXHZB2", "'0'"),
        ("did:bid:by1:efspy6btdcuzP5BH2N899Ycti5Sd7n3z", "expected 4"),
        ("did:bid:BYO1:efspy6btdcuzP5BH2N899Ycti5Sd7n3z", "sub-chain"),
        ("did:bid:exspy6btdcuzP5BH2N899Ycti5Sd7n3z", "encoding"),
        ("did:bid:efnVUg", "expected 32"),
        ("did:bid:efnVUgqQFfYeu97ABf6sGm3WFtVXHZB2zzz", "22"),
        ("did:bid:es" + "A" * 25 + "-", "letter or a digit"),
        ("did:web:192.0.2.1", "IP address"),
        ("did:web:", "label"),
        ("did:web:-a.example", "label"),
        ("did:web:a..example", "label"),
        ("did:web:a_b.example", "'_'"),
        ("did:web:example.com%3A0", "port"),
        ("did:web:example.com%3A65536", "port"),
        ("did:web:example.com:..:x", "segment"),
        ("did:web:example.com:", "segment"),
        ("did:web:example.com:%41", "stands for itself"),
        ("did:web:example.com:a%2Fb", "escapes '/'"),
        ("did:web:example.com:%FF", "UTF-8"),
        ("did:web:example.com:%0A", "control"),
        ("did:web:example.com" + ":a" * 17, "more than 16"),
        ("did:web:example.com#key", "URL"),
        ("did:key:x", "base58btc"),
        ("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2do0", "'0'"),
        ("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2do", "no Ed25519"),
        ("did:key:z" + "1" * 100, "longer than any key"),
        ("did:ethr:0x1", "not known here"),
        ("key:z6Mk", "did: in front"),
        ("did:key", "not known here"),
    ],
)
def test_a_wrong_did_is_explained(text, words):
    with pytest.raises(IdentifierError) as caught:
        parse("did", text)
    assert words in caught.value.explain()


def test_the_domain_of_a_did_web_is_folded_on_input_only():
    assert parse("did", "did:web:Example.COM%3a8443:Path").normal == "web:example.com%3A8443:Path"
    with pytest.raises(IdentifierError):
        parse_subject("did:web:Example.com")


@pytest.mark.parametrize(("did", "suite", "size"), [(ED25519, "ed25519", 32), (P256, "es256", 33)])
def test_a_did_key_gives_back_its_key(did, suite, size):
    name, key = did_key_public(did)
    assert (name, len(key)) == (suite, size)
    assert did_key(key, name) == did


@given(st.binary(min_size=32, max_size=32), st.sampled_from([b"", b"\x02", b"\x03"]))
def test_any_key_reads_back_from_its_did(raw, parity):
    suite = "es256" if parity else "ed25519"
    assert did_key_public(did_key(parity + raw, suite)) == (suite, parity + raw)
    assert parse("did", did_key(parity + raw, suite)).scheme == "did"


@pytest.mark.parametrize(
    ("key", "suite"), [(b"", "ed25519"), (bytes(33), "es256"), (bytes(32), "rsa"), (bytes(31), "ed25519")]
)
def test_a_did_is_not_made_from_what_is_no_key(key, suite):
    with pytest.raises(IdentifierError):
        did_key(key, suite)


def test_a_did_key_of_another_method_is_refused():
    with pytest.raises(IdentifierError, match="did:key"):
        did_key_public("did:web:example.com")


@pytest.mark.parametrize(("key", "did"), BID_KEYS)
def test_a_did_bid_is_computed_from_its_key_with_the_known_answer(key, did):
    assert did_bid(bytes.fromhex(key), "ed25519") == did
    assert did_bid(bytes.fromhex(key), "ed25519", "byo1") == did.replace("bid:", "bid:byo1:")
    assert parse("did", did).notes


def test_a_did_bid_in_the_alphabet_of_bitcoin_is_found_out_by_its_key_only():
    """It decodes to 22 bytes too: no look at the text can refuse it."""
    key, did = BID_KEYS[0]
    foreign = "did:bid:ef18F9AVK4SQLZPRrPkrVWwp9kBpdXHx"
    assert parse("did", foreign)
    assert did_bid(bytes.fromhex(key), "ed25519") == did != foreign


@pytest.mark.parametrize(
    ("key", "suite", "acsn"), [(bytes(33), "ed25519", ""), (bytes(32), "es256", ""), (bytes(32), "ed25519", "by1")]
)
def test_a_did_bid_is_not_computed_from_anything_else(key, suite, acsn):
    with pytest.raises(IdentifierError):
        did_bid(key, suite, acsn)


@given(st.binary(max_size=40), st.sampled_from([BITCOIN, STARFIRE]))
def test_base58_reads_back(raw, alphabet):
    assert decode(encode(raw, alphabet), alphabet) == raw


def test_base58_names_the_wrong_character():
    with pytest.raises(ValueError) as caught:
        decode("11l", BITCOIN)
    assert caught.value.args == (2,)
