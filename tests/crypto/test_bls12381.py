"""BLS12-381: the published vectors through both libraries, and what makes adding signatures up safe."""

from __future__ import annotations

import importlib.util
import json

import pytest

from ledger.crypto import bls12381
from ledger.errors import MalformedError

SUITE = bls12381.SUITE
MESSAGE = b"a checkpoint"


def signer(number: int) -> bls12381.Bls12381Signer:
    return SUITE.from_secret(number.to_bytes(32, "big"))


def libraries():
    yield bls12381._PyEcc()
    if importlib.util.find_spec("blspy") is not None:
        yield bls12381._Blspy()


@pytest.fixture(params=list(libraries()), ids=lambda library: type(library).__name__)
def library(request, monkeypatch):
    """The module with one library or the other behind it."""
    monkeypatch.setattr(bls12381, "_arithmetic", lambda: request.param)
    bls12381.possesses.cache_clear()
    yield request.param
    bls12381.possesses.cache_clear()


def test_the_published_signatures_verify_or_fail_as_they_should(library, vectors):
    published = json.loads((vectors("wycheproof") / "bls_sig_g2_pop_verify_test.json").read_text())
    seen = {"valid": 0, "invalid": 0}
    for group in published["testGroups"]:
        key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            good = SUITE.verify(key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert good is (case["result"] == "valid"), case
            seen[case["result"]] += 1
    assert seen == {"valid": 13, "invalid": 13}


def test_both_libraries_make_the_same_bytes():
    secret = bytes(31) + b"\x05"
    assert len({(each.public_key(secret), each.sign(secret, MESSAGE), each.prove(secret)) for each in libraries()}) == 1


def test_signatures_add_up_to_one_that_all_the_keys_made(library):
    members = [signer(number) for number in (5, 6, 7)]
    together = bls12381.add_up([member.sign(MESSAGE) for member in members])
    keys = [member.public_key for member in members]
    assert len(together) == 96
    assert bls12381.verify_together(keys, MESSAGE, together)
    assert bls12381.verify_together(keys[::-1], MESSAGE, together)
    assert not bls12381.verify_together(keys[:2], MESSAGE, together)
    assert not bls12381.verify_together([*keys, keys[0]], MESSAGE, together)
    assert not bls12381.verify_together([], MESSAGE, together)
    assert not bls12381.verify_together(keys, b"another", together)


def test_possession_is_proven_for_one_key_and_is_no_signature(library):
    one, other = signer(5), signer(6)
    proof = bls12381.prove_possession(one)
    assert bls12381.possesses(one.public_key, proof)
    assert not bls12381.possesses(other.public_key, proof)
    assert not bls12381.possesses(one.public_key, one.sign(one.public_key))
    assert not SUITE.verify(one.public_key, one.public_key, proof)


def test_a_key_that_cancels_out_another_has_no_proof_of_possession(library):
    """Its holder could seal alone in the name of both; the sum of two keys is the neutral element."""
    victim = signer(5)
    cancelling = SUITE.from_secret((bls12381.ORDER - 5).to_bytes(32, "big"))
    assert cancelling.public_key[1:] == victim.public_key[1:]
    neutral = b"\xc0" + bytes(95)
    assert not bls12381.verify_together([victim.public_key, cancelling.public_key], MESSAGE, neutral)


@pytest.mark.parametrize(
    "key", [b"", bytes(48), b"\xc0" + bytes(47), b"\x80" + bytes(47), b"\xff" * 48, bytes(47)], ids=range(6)
)
def test_what_is_no_key_is_refused(library, key):
    with pytest.raises(MalformedError):
        SUITE.check_public_key(key)
    assert not SUITE.verify(key, MESSAGE, signer(5).sign(MESSAGE))
    assert not bls12381.possesses(key, bytes(96))


@pytest.mark.parametrize("secret", [b"", bytes(32), bls12381.ORDER.to_bytes(32, "big"), b"\xff" * 32, bytes(31)])
def test_a_secret_out_of_range_is_refused(secret):
    with pytest.raises(MalformedError):
        SUITE.from_secret(secret)


@pytest.mark.parametrize("signatures", [[], [b""], [b"\xc0" + bytes(95)], [b"\xff" * 96], [bytes(96)]])
def test_what_is_no_signature_cannot_be_added_up(library, signatures):
    with pytest.raises(MalformedError):
        bls12381.add_up(signatures)
