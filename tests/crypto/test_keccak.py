"""Keccak-256: known answers, and it is not the SHA-3 of the standard."""

from __future__ import annotations

import hashlib

import pytest

from ledger.crypto.keccak import SIZE, keccak256

KNOWN = {
    b"": "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
    b"abc": "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45",
    b"\x80": "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    b"The quick brown fox jumps over the lazy dog": "4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15",
}


@pytest.mark.parametrize(("data", "digest"), KNOWN.items())
def test_known_answers_are_reproduced(data, digest):
    assert keccak256(data).hex() == digest
    assert len(keccak256(data)) == SIZE


def test_the_padding_is_the_one_from_before_the_standard():
    assert keccak256(b"abc") != hashlib.sha3_256(b"abc").digest()
