"""Chain keys: known answers of Ethereum, recovery, and signatures that no key made."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto.digests import sha256
from ledger.crypto.es256 import der_to_p1363
from ledger.crypto.keccak import keccak256
from ledger.crypto.secp256k1 import CURVE, SUITE, address, recover, verify_digest
from ledger.errors import MalformedError

SIGNER = SUITE.from_secret(bytes.fromhex("4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"))
MESSAGE = b"\x19Ethereum Signed Message:\n9Some data"
DIGEST = bytes.fromhex("1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655")
SIGNATURE = bytes.fromhex(
    "b91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd"
    "6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a029"
    "1c"
)
BASE_X = bytes.fromhex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")


def test_the_known_answer_of_ethereum_wallets_is_reproduced():
    assert SIGNER.address == address(SIGNER.public_key) == "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"
    assert keccak256(MESSAGE) == DIGEST
    assert SIGNER.sign_keccak(MESSAGE) == SIGNER.sign(MESSAGE) == SIGNATURE
    assert recover(DIGEST, SIGNATURE) == SIGNER.public_key


def test_keccak256_is_not_sha3():
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


def test_a_message_is_signed_by_its_keccak_digest_as_eip_712_asks():
    assert recover(keccak256(b"\x19\x01" + bytes(64)), SIGNER.sign(b"\x19\x01" + bytes(64))) == SIGNER.public_key


@settings(max_examples=8, deadline=None)
@given(st.binary(max_size=200))
def test_signatures_have_the_lower_s_and_a_v_that_ecrecover_takes(payload):
    signature = SIGNER.sign_keccak(payload)
    assert int.from_bytes(signature[32:64], "big") <= CURVE.order // 2
    assert signature[64] in {27, 28}
    assert verify_digest(SIGNER.public_key, keccak256(payload), signature)


def test_the_twin_of_a_signature_is_refused():
    s = CURVE.order - int.from_bytes(SIGNATURE[32:64], "big")
    twin = SIGNATURE[:32] + s.to_bytes(32, "big") + bytes([55 - SIGNATURE[64]])
    assert not verify_digest(SIGNER.public_key, DIGEST, twin)
    with pytest.raises(MalformedError):
        recover(DIGEST, twin)


@pytest.mark.parametrize("v", [0, 1, 26, 29, 35, 255])
def test_any_other_v_is_refused(v):
    assert not verify_digest(SIGNER.public_key, DIGEST, SIGNATURE[:64] + bytes([v]))


@pytest.mark.parametrize("r", [0, 5, CURVE.order, 2**256 - 1])
def test_r_out_of_range_or_on_no_point_is_refused(r):
    with pytest.raises(MalformedError):
        recover(DIGEST, r.to_bytes(32, "big") + SIGNATURE[32:])


def test_a_signature_whose_recovered_key_is_the_point_at_infinity_is_refused():
    digest = (5).to_bytes(32, "big")  # R is the base point, s = z: then s*R - z*G = 0
    with pytest.raises(MalformedError):
        recover(digest, BASE_X + digest + bytes([27]))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_digest_of_another_length_is_refused(size):
    assert not verify_digest(SIGNER.public_key, bytes(size), SIGNATURE)
    with pytest.raises(MalformedError):
        recover(bytes(size), SIGNATURE)


def test_no_address_is_given_for_bytes_that_are_no_key():
    with pytest.raises(MalformedError):
        address(b"\4" + bytes(64))


def test_wycheproof_vectors_pass_but_two_that_ecrecover_cannot_express(vectors):
    published = json.loads((vectors("wycheproof") / "ecdsa_secp256k1_sha256_test.json").read_bytes())
    ran, inexpressible = 0, []
    for group in published["testGroups"]:
        point = bytes.fromhex(group["publicKey"]["uncompressed"])
        key = bytes([2 + point[64] % 2]) + point[1:33]
        for case in group["tests"]:
            signature = low_s_signature(case["sig"])
            digest = sha256(bytes.fromhex(case["msg"]))
            good = any(verify_digest(key, digest, signature + bytes([v])) for v in (27, 28))
            if not good and case["result"] == "valid":
                inexpressible.append((case["comment"], int.from_bytes(signature[:32], "big")))
            else:
                assert good == (case["result"] == "valid"), case
            ran += 1
    assert ran == published["numberOfTests"] == 476
    # Their point has x = r + order, below the field prime: that would need a v of 29 or 30.
    assert [comment for comment, _ in inexpressible] == [
        "k*G has a large x-coordinate",
        "r = 2, x = n + 2 is the smallest possible x with a reduction",
    ]
    assert all(r + CURVE.order < 2**256 - 2**32 - 977 for _, r in inexpressible)


def low_s_signature(der: str) -> bytes:
    try:
        return CURVE.low_s(der_to_p1363(bytes.fromhex(der)))
    except MalformedError:
        return b""
