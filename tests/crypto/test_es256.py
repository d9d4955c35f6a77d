"""ES256: the published vectors under our low-s rule, and the one accepted form of keys, signatures and DER."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto import es256
from ledger.crypto.es256 import CURVE, SUITE, der_to_p1363, low_s, p1363_to_der
from ledger.errors import MalformedError

WORD = st.integers(0, 2**256 - 1)


def compressed(uncompressed: str) -> bytes:
    point = bytes.fromhex(uncompressed)
    assert len(point) == 65
    return bytes([2 + point[64] % 2]) + point[1:33]


def outcome(key: bytes, message: bytes, signature: bytes) -> str:
    """Name how a signature fares: as it is, only once its s is made low, or not at all."""
    if SUITE.verify(key, message, signature):
        assert low_s(signature) == signature
        return "accepted"
    if len(signature) != 64 or low_s(signature) == signature:
        return "refused"
    return "high s" if SUITE.verify(key, message, low_s(signature)) else "refused"


def run(path, to_signature) -> Counter[tuple[str, str]]:
    """Count (published result, our outcome) over a set."""
    published = json.loads(path.read_bytes())
    tally: Counter[tuple[str, str]] = Counter()
    for group in published["testGroups"]:
        key = compressed(group["publicKey"]["uncompressed"])
        for case in group["tests"]:
            signature = to_signature(bytes.fromhex(case["sig"]))
            found = "refused" if signature is None else outcome(key, bytes.fromhex(case["msg"]), signature)
            assert (found == "refused") == (case["result"] == "invalid"), case
            tally[case["result"], found] += 1
    assert tally.total() == published["numberOfTests"]
    return tally


def strict_der(der: bytes) -> bytes | None:
    try:
        signature = der_to_p1363(der)
    except MalformedError:
        return None
    assert p1363_to_der(signature) == der
    return signature


def test_all_wycheproof_p1363_vectors_pass_and_valid_ones_refused_are_exactly_those_of_high_s(vectors):
    tally = run(vectors("wycheproof") / "ecdsa_secp256r1_sha256_p1363_test.json", lambda signature: signature)
    assert tally == {("valid", "accepted"): 103, ("valid", "high s"): 70, ("invalid", "refused"): 89}


def test_all_wycheproof_der_vectors_pass_and_valid_ones_refused_are_exactly_those_of_high_s(vectors):
    tally = run(vectors("wycheproof") / "ecdsa_secp256r1_sha256_test.json", strict_der)
    assert tally == {("valid", "accepted"): 103, ("valid", "high s"): 71, ("invalid", "refused"): 310}


def test_the_vector_of_rfc_6979_is_reproduced_with_the_lower_s():
    signer = SUITE.from_secret(bytes.fromhex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"))
    assert signer.public_key.hex() == "0360fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    plain = bytes.fromhex(
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
    )
    assert signer.sign(b"sample") == low_s(plain) != plain


@given(st.binary(max_size=100))
def test_the_twin_of_a_signature_is_refused_and_low_s_brings_it_back(message):
    signer = SUITE.from_secret(b"\x11" * 32)
    signature = signer.sign(message)
    twin = signature[:32] + (CURVE.order - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
    assert not SUITE.verify(signer.public_key, message, twin)
    assert low_s(twin) == signature


@pytest.mark.parametrize(
    ("r", "s"), [(0, 1), (1, 0), (0, 0), (CURVE.order, 1), (1, CURVE.order), (CURVE.order + 1, 1), (2**256 - 1, 1)]
)
def test_halves_out_of_range_are_refused(r, s):
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert low_s(signature) == signature
    assert not SUITE.verify(SUITE.from_secret(b"\1" * 32).public_key, b"", signature)


@given(r=WORD, s=WORD)
def test_der_and_p1363_convert_without_loss(r, s):
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert der_to_p1363(p1363_to_der(signature)) == signature


@given(st.binary(max_size=80))
def test_bytes_that_are_not_strict_der_are_refused(data):
    assert strict_der(data) is None


@pytest.mark.parametrize(
    "der",
    [
        "",
        "3006020101020101ff",  # trailing byte
        "308106020101020101",  # long form of a short length
        "30800201010201010000",  # indefinite length
        "300702020001020101",  # padded integer
        "3006020181020101",  # negative integer
        "30050200020101",  # empty integer
        "3106020101020101",  # SET
        "3009020101020101020101",  # three integers
        "3026" + "022101" + "00" * 32 + "020101",  # 2^256
        "30" + "ff" * 500,
    ],
)
def test_each_way_to_bend_der_is_refused(der):
    with pytest.raises(MalformedError):
        der_to_p1363(bytes.fromhex(der))


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_p1363_signature_of_another_length_is_refused(size):
    for convert in (p1363_to_der, low_s):
        with pytest.raises(MalformedError):
            convert(bytes(size))


def test_only_the_compressed_form_of_a_key_is_taken():
    key = SUITE.from_secret(b"\1" * 32).public_key
    numbers = CURVE.point(key).public_numbers()
    x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
    for other in (b"\4" + x + y, bytes([6 + y[-1] % 2]) + x + y, x + y, x, b"\0", b"\4" + x, b"\0" + x, b"\1" + x):
        with pytest.raises(MalformedError):
            es256.SUITE.check_public_key(other)


def test_a_key_with_x_not_below_the_field_prime_or_off_the_curve_is_refused():
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    for x in range(1, 40):
        is_on_curve = pow(x**3 - 3 * x + b, (prime - 1) // 2, prime) == 1
        with nullcontext() if is_on_curve else pytest.raises(MalformedError):
            SUITE.check_public_key(b"\2" + x.to_bytes(32, "big"))
        with pytest.raises(MalformedError):
            SUITE.check_public_key(b"\2" + (prime + x).to_bytes(32, "big"))


@pytest.mark.parametrize("secret", [0, CURVE.order, CURVE.order + 1, 2**256 - 1])
def test_a_secret_out_of_range_is_refused(secret):
    with pytest.raises(MalformedError):
        SUITE.from_secret(secret.to_bytes(32, "big"))
