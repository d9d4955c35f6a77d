"""Ed25519: the published vectors, and the edges where implementations differ, each made with a small curve model."""

from __future__ import annotations

import hashlib
import json

import pytest

from ledger.crypto import ed25519
from ledger.errors import MalformedError

SUITE = ed25519.SUITE
MESSAGE = b"one entry"

# The curve of RFC 8032 section 5.1 in affine coordinates, to make signatures that no honest signer makes.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
NEUTRAL = (0, 1)
Point = tuple[int, int]


def add(a: Point, b: Point) -> Point:
    k = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + k, -1, P) % P
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - k, -1, P) % P
    return x, y


def times(n: int, point: Point) -> Point:
    total = NEUTRAL
    while n:
        if n & 1:
            total = add(total, point)
        point, n = add(point, point), n >> 1
    return total


def with_y(y: int) -> Point | None:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    for root in (pow(square, (P + 3) // 8, P), pow(square, (P + 3) // 8, P) * pow(2, (P - 1) // 4, P) % P):
        if root * root % P == square:
            return (root if root % 2 == 0 else P - root), y
    return None


def encode(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def challenge(r: bytes, key: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + key + MESSAGE).digest(), "little") % ORDER


BASE = with_y(4 * pow(5, -1, P) % P)
TORSION = next(t for t in (times(ORDER, p) for p in map(with_y, range(2, 99)) if p) if times(4, t) != NEUTRAL)
SMALL = [times(i, TORSION) for i in range(8)]
SECRET = 0xA55E7
KEY = times(SECRET, BASE)


def sign(r: int, r_extra: Point = NEUTRAL, key: Point = KEY, r_bytes: bytes | None = None, s_add: int = 0) -> bytes:
    r_bytes = r_bytes or encode(add(times(r, BASE), r_extra))
    s = (r + challenge(r_bytes, encode(key)) * SECRET) % ORDER + s_add
    return r_bytes + s.to_bytes(32, "little")


def test_the_model_of_the_curve_signs_as_the_suite_expects():
    assert SUITE.verify(encode(KEY), MESSAGE, sign(7))


def test_all_wycheproof_vectors_pass(vectors):
    groups = json.loads((vectors("wycheproof") / "ed25519_test.json").read_bytes())
    ran = 0
    for group in groups["testGroups"]:
        key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            verdict = SUITE.verify(key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert verdict == (case["result"] == "valid"), case
            ran += 1
    assert ran == groups["numberOfTests"] == 151


def test_the_first_vector_of_rfc_8032_is_reproduced():
    signer = SUITE.from_secret(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert signer.public_key.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert signer.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


@pytest.mark.parametrize("multiple", range(1, 16))
def test_s_at_or_above_the_group_order_is_refused(multiple):
    if multiple * ORDER + ORDER <= 2**256:
        assert not SUITE.verify(encode(KEY), MESSAGE, sign(7, s_add=multiple * ORDER))


@pytest.mark.parametrize("r", range(1, 9))
@pytest.mark.parametrize("extra", range(1, 8))
def test_r_outside_the_prime_order_subgroup_is_refused(r, extra):
    assert not SUITE.verify(encode(KEY), MESSAGE, sign(r, SMALL[extra]))


@pytest.mark.parametrize("extra", range(8))
def test_r_of_small_order_is_refused(extra):
    assert not SUITE.verify(encode(KEY), MESSAGE, sign(0, SMALL[extra]))


def test_every_non_canonical_encoding_of_r_is_refused():
    for excess in range(19):
        for sign_bit in (0, 1 << 255):
            r_bytes = (P + excess | sign_bit).to_bytes(32, "little")
            assert not SUITE.verify(encode(KEY), MESSAGE, sign(0, r_bytes=r_bytes))


@pytest.mark.parametrize("extra", range(8))
def test_a_key_of_small_order_is_refused(extra):
    key = encode(SMALL[extra])
    with pytest.raises(MalformedError):
        SUITE.check_public_key(key)
    # With such a key h*A takes few values, so that R = S*B would often pass for any message.
    assert not any(SUITE.verify(key, MESSAGE, encode(times(s, BASE)) + s.to_bytes(32, "little")) for s in range(1, 17))


@pytest.mark.parametrize("extra", range(1, 8))
def test_a_key_with_a_small_order_part_is_refused_even_where_its_signature_holds(extra):
    key = add(KEY, SMALL[extra])
    with pytest.raises(MalformedError):
        SUITE.check_public_key(encode(key))
    assert not any(SUITE.verify(encode(key), MESSAGE, sign(r, key=key)) for r in range(1, 25))


def test_every_non_canonical_encoding_of_a_key_is_refused():
    for excess in range(19):
        for sign_bit in (0, 1 << 255):
            with pytest.raises(MalformedError):
                SUITE.check_public_key((P + excess | sign_bit).to_bytes(32, "little"))
    with pytest.raises(MalformedError):  # x = 0 with its sign bit set
        SUITE.check_public_key((1 | 1 << 255).to_bytes(32, "little"))


def test_a_known_key_is_not_checked_again_at_each_verify():
    signer = SUITE.generate()
    checks = ed25519._is_sound_key.cache_info().misses
    for _ in range(5):
        assert SUITE.verify(bytes(bytearray(signer.public_key)), MESSAGE, signer.sign(MESSAGE))
    assert ed25519._is_sound_key.cache_info().misses == checks + 1


def test_a_refused_key_stays_refused_when_asked_again():
    key = encode(SMALL[1])
    for _ in range(2):
        with pytest.raises(MalformedError):
            SUITE.check_public_key(key)
