"""Keys from signatures, in plain Python: an independent library as oracle, and signatures that nobody made."""

from __future__ import annotations

import pytest
from eth_keys.main import KeyAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto.recovery import recover_point

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
BASE_X = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798


def as_bytes(point):
    return None if point is None else point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


@settings(max_examples=25, deadline=None)
@given(st.integers(1, ORDER - 1), st.binary(min_size=32, max_size=32))
def test_the_signer_is_found(secret, digest):
    key = KeyAPI().PrivateKey(secret.to_bytes(32, "big"))
    made = key.sign_msg_hash(digest)
    assert as_bytes(recover_point(digest, made.r, made.s, made.v)) == key.public_key.to_bytes()
    # The twin with the higher s and the other parity is as good.
    assert as_bytes(recover_point(digest, made.r, ORDER - made.s, 1 - made.v)) == key.public_key.to_bytes()


@pytest.mark.parametrize("secret", [1, 2, 3, ORDER - 1])
@pytest.mark.parametrize("digest", [bytes(32), b"\xff" * 32, (1).to_bytes(32, "big")])
def test_keys_and_digests_at_the_edges_are_found(secret, digest):
    key = KeyAPI().PrivateKey(secret.to_bytes(32, "big"))
    made = key.sign_msg_hash(digest)
    assert as_bytes(recover_point(digest, made.r, made.s, made.v)) == key.public_key.to_bytes()


@pytest.mark.parametrize(
    ("r", "s", "parity"),
    [(0, 1, 0), (1, 0, 0), (ORDER, 1, 0), (1, ORDER, 0), (BASE_X, 1, 2), (BASE_X, 1, 27), (5, 1, 0), (2**256, 1, 0)],
)
def test_values_out_of_range_or_on_no_point_have_no_signer(r, s, parity):
    assert recover_point(bytes(32), r, s, parity) is None


def test_the_point_at_infinity_is_nobodys_key():
    assert recover_point((5).to_bytes(32, "big"), BASE_X, 5, 0) is None  # s R - z G with R = G and s = z


def test_equal_and_opposite_points_are_added_right():
    # R = G makes both points of the double sum the same one.
    key = recover_point((3).to_bytes(32, "big"), BASE_X, 7, 0)
    assert as_bytes(key) is not None
    assert as_bytes(recover_point((3).to_bytes(32, "big"), BASE_X, 7, 1)) is not None
