"""Transparent statements: receipts go into the unprotected header and come out of it; the statement stays as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.log.receipts import decode_receipt
from ledger.statements import MAX_STATEMENT_SIZE
from ledger.statements.cbor import decode, encode, encode_bytes
from ledger.statements.cose import join
from ledger.statements.transparent import (
    MAX_RECEIPT,
    MAX_RECEIPTS,
    MAX_TRANSPARENT,
    MAX_UNPROTECTED,
    attach,
    split_transparent,
    take_apart,
)

STATEMENT = join(encode({1: -8}), b"payload", bytes(64))
BEGIN = 2 + len(encode_bytes(encode({1: -8})))


def with_header(header: bytes) -> bytes:
    return STATEMENT[:BEGIN] + header + STATEMENT[BEGIN + 1 :]


@given(
    st.binary(max_size=400),
    st.binary(max_size=400),
    st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=MAX_RECEIPTS),
)
def test_receipts_go_in_and_come_out(protected: bytes, payload: bytes, receipts: list[bytes]) -> None:
    statement = join(protected, payload, bytes(64))
    whole = attach(statement, receipts)
    assert split_transparent(whole) == (statement, tuple(receipts))
    tagged, header, _, _ = decode(whole, tag=18)
    assert (tagged, header) == (protected, {394: receipts})
    assert attach(*split_transparent(whole)) == whole


@given(st.dictionaries(st.integers(-70_000, 70_000) | st.text(max_size=8), st.binary(max_size=40), max_size=6))
def test_any_unprotected_header_is_taken_off(header: dict) -> None:
    try:
        encoded = encode(header)
    except MalformedError:
        return
    assert take_apart(with_header(encoded)) == (STATEMENT, header)


def test_a_statement_without_receipts_is_no_transparent_statement() -> None:
    assert take_apart(STATEMENT) == (STATEMENT, {})
    for header in ({}, {394: []}, {394: b"x"}, {394: [b""]}, {394: ["x"]}, {394: [b"x"], 4: b"kid"}, {395: [b"x"]}):
        with pytest.raises(MalformedError, match=r"receipt"):
            split_transparent(with_header(encode(header)))


def test_receipts_are_bounded_in_number_and_size() -> None:
    most = attach(STATEMENT, [bytes([1]) * MAX_RECEIPT] * MAX_RECEIPTS)
    assert len(split_transparent(most)[1]) == MAX_RECEIPTS
    for receipts in ([], [b"x"] * (MAX_RECEIPTS + 1), [bytes(MAX_RECEIPT + 1)]):
        with pytest.raises(MalformedError):
            attach(STATEMENT, receipts)
    with pytest.raises(MalformedError, match="at most"):
        take_apart(with_header(encode({1: bytes(MAX_UNPROTECTED)})))
    with pytest.raises(MalformedError, match="at most"):
        take_apart(bytes(MAX_TRANSPARENT + 1))
    big = join(b"", bytes(MAX_STATEMENT_SIZE - 80), bytes(64))
    assert take_apart(attach(big, [b"x"]))[0] == big
    larger = b"\xd2\x84\x40\xa0" + encode_bytes(bytes(MAX_STATEMENT_SIZE)) + encode_bytes(bytes(64))
    with pytest.raises(MalformedError, match="at most"):
        take_apart(larger)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "COSE_Sign1"),
        (STATEMENT[1:], "COSE_Sign1"),
        (b"\xd2\x84", "ends inside"),
        (STATEMENT[:BEGIN], "ends inside"),
        (STATEMENT + b"\x00", "bytes follow"),
        (STATEMENT[:-1], "ends inside"),
        (with_header(b"\xa2\x01\x01\x01\x02"), "ascending"),
        (with_header(b"\xa1\x01"), "map|byte string|inside|bytes follow"),
        (with_header(b"\xbf\xff"), "indefinite"),
        (with_header(b"\xa1\x18\x01\x01"), "longer than needed"),
        (with_header(b"\x80"), "must be a map"),
        (with_header(b"\xf6"), "must be a map"),
        (b"\xd2\x84\xa0\xa0\x41\x00\x41\x00", "byte string"),
        (STATEMENT[:BEGIN] + b"\xa0\xf6" + STATEMENT[-66:], "payload is missing"),
        (STATEMENT[:BEGIN] + b"\xa0\xf7" + STATEMENT[-66:], "profile"),
    ],
)
def test_another_form_is_refused(raw: bytes, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        take_apart(raw)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_otherwise_than_by_refusing(data: bytes) -> None:
    for raw in (data, b"\xd2\x84" + data, with_header(data)):
        try:
            emptied, header = take_apart(raw)
        except MalformedError:
            continue
        assert take_apart(emptied) == (emptied, {})
        assert isinstance(header, dict)


def test_only_byte_strings_are_taken() -> None:
    with pytest.raises(MalformedError):
        take_apart(bytearray(STATEMENT))  # type: ignore[arg-type]
    with pytest.raises(MalformedError):
        attach(with_header(encode({394: [b"x"]})), [b"y"])


def test_a_published_transparent_statement_comes_apart_and_its_receipt_is_of_another_profile(vectors) -> None:
    """The header of that receipt holds maps in an order of their own, before it comes to its data structure."""
    raw = (vectors("cose-receipts") / "ccf/transparent_statements/uvm_0.2.10.cose").read_bytes()
    statement, (receipt,) = split_transparent(raw)
    assert attach(statement, [receipt]) == raw
    with pytest.raises(MalformedError, match="ascending"):
        decode_receipt(receipt)


@pytest.mark.parametrize("name", ["cts-hashv-cwtclaims-b64url.cose", "manifest.spdx.json.sha384.digest.cose"])
def test_published_signed_statements_of_others_come_apart(vectors, name: str) -> None:
    raw = (vectors("cose-receipts") / "ccf/payloads" / name).read_bytes()
    emptied, header = take_apart(raw)
    assert take_apart(emptied) == (emptied, {})
    assert len(emptied) <= len(raw) + (not header)
