"""Deterministic CBOR: what is read back is what was written, and nothing else is read."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.statements.cbor import MAX_DEPTH, decode, encode
from ledger.statements.text import text_problem

TEXT = st.text(max_size=20).map(lambda text: unicodedata.normalize("NFC", text)).filter(lambda t: not text_problem(t))
INT = st.integers(-(1 << 64), (1 << 64) - 1)
KEY = st.one_of(INT, TEXT, st.binary(max_size=20))
VALUE = st.recursive(
    st.one_of(INT, TEXT, st.binary(max_size=300), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=30), st.dictionaries(KEY, inner, max_size=30)),
    max_leaves=40,
)


def same(left, right):
    """Equality that tells True from 1."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return left == right


@given(VALUE)
def test_what_is_encoded_is_decoded_to_the_same(value):
    raw = encode(value)
    assert same(decode(raw), value)
    assert same(cbor2.loads(raw), value)


@given(VALUE)
def test_another_encoder_writes_the_same_bytes_where_its_key_order_is_ours(value):
    raw = cbor2.dumps(value, canonical=True)
    if raw == encode(value):
        assert same(decode(raw), value)
    else:  # RFC 7049 sorts shorter keys first, RFC 8949 section 4.2.1 does not
        with pytest.raises(MalformedError, match="order"):
            decode(raw)


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=40), VALUE.map(cbor2.dumps), st.binary(max_size=12).map(lambda b: b"\xa2" + b)))
def test_any_bytes_are_refused_or_encode_to_themselves(data):
    try:
        value = decode(data)
    except MalformedError:
        return
    assert encode(value) == data
    assert same(cbor2.loads(data), value)


@given(VALUE, st.data())
def test_a_changed_encoding_is_refused_or_means_something_else(value, data):
    raw = bytearray(encode(value))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    try:
        other = decode(bytes(raw))
    except MalformedError:
        return
    assert not same(other, value)
    assert encode(other) == bytes(raw)


@given(VALUE, st.data())
def test_a_truncated_encoding_is_refused(value, data):
    raw = encode(value)
    with pytest.raises(MalformedError):
        decode(raw[: data.draw(st.integers(0, len(raw) - 1))])


# RFC 8949 appendix A, those inside the profile.
@pytest.mark.parametrize(
    ("hexed", "value"),
    [
        ("00", 0), ("17", 23), ("1818", 24), ("1903e8", 1000), ("1a000f4240", 1_000_000),
        ("1bffffffffffffffff", (1 << 64) - 1), ("3bffffffffffffffff", -(1 << 64)), ("20", -1), ("3903e7", -1000),
        ("f4", False), ("f5", True), ("f6", None), ("40", b""), ("4401020304", b"\1\2\3\4"), ("60", ""), ("6161", "a"),
        ("62c3bc", "ü"), ("63e6b0b4", "水"), ("64f0908591", "𐅑"), ("80", []), ("8301820203820405", [1, [2, 3], [4, 5]]),
        ("a0", {}), ("a201020304", {1: 2, 3: 4}), ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ],
)  # fmt: skip
def test_the_published_examples_read_and_write(hexed, value):
    assert same(decode(bytes.fromhex(hexed)), value)
    assert encode(value).hex() == hexed


@pytest.mark.parametrize(
    ("hexed", "why"),
    [
        ("1817", "longer than needed"), ("190017", "longer than needed"), ("1900ff", "longer than needed"),
        ("1a0000ffff", "longer than needed"), ("1b00000000ffffffff", "longer than needed"), ("3817", "longer"),
        ("580161", "longer than needed"), ("780161", "longer than needed"), ("980100", "longer than needed"),
        ("b8010000", "longer than needed"), ("5f4100ff", "indefinite"), ("7f6100ff", "indefinite"),
        ("9f00ff", "indefinite"), ("bf0000ff", "indefinite"), ("1c", "reserved"), ("5d", "reserved"), ("fc", "outside"),
        ("f90000", "floating"), ("fa00000000", "floating"), ("fb0000000000000000", "floating"), ("f7", "outside"),
        ("f0", "outside"), ("f818", "outside"), ("ff", "outside"), ("c100", "tag 1"), ("d818", "tag 24"),
        ("d81800", "tag 24"), ("d28440", "tag 18"),
        ("a200000000", "order"), ("a201000000", "order"), ("a2616200616100", "order"), ("a2616100616100", "order"),
        ("a26161000000", "order"), ("a2200000", "order"), ("a18000", "map key"), ("a1a000", "map key"),
        ("a1f400", "map key"), ("a1f60000", "map key"), ("61ff", "UTF-8"), ("62c080", "UTF-8"), ("63eda080", "UTF-8"),
        ("6365cc81", "normal form C"), ("6100", "U.0000"), ("610a", "U.000A"), ("617f", "U.007F"), ("62c285", "U.0085"),
        ("63e280ae", "U.202E"), ("63e281a6", "U.2066"), ("62d89c", "U.061C"), ("63efbbbf", "U.FEFF"),
        ("63e280a8", "U.2028"), ("a1610000", "U.0000"), ("", "ends inside"), ("18", "ends inside"),
        ("1aff", "longer|ends"),
        ("4201", "ends inside"), ("8201", "ends inside"), ("a101", "ends inside"), ("9b7fffffffffffffff00", "ends"),
        ("bb7fffffffffffffff", "ends inside"), ("5b7fffffffffffffff00", "ends inside"), ("0000", "follow"),
        ("a000", "follow"),
    ],
)  # fmt: skip
def test_everything_outside_the_profile_is_refused_with_its_offset(hexed, why):
    with pytest.raises(MalformedError, match=why) as caught:
        decode(bytes.fromhex(hexed))
    assert caught.value.where.startswith("byte ")


def test_the_offset_names_the_item_at_fault():
    with pytest.raises(MalformedError) as caught:
        decode(bytes.fromhex("8301821817a0"))
    assert caught.value.where == "byte 3"


def test_nesting_is_bounded_on_both_sides():
    deepest: list = []
    for _ in range(MAX_DEPTH - 1):
        deepest = [deepest]
    assert decode(encode(deepest)) == deepest
    with pytest.raises(MalformedError, match="levels"):
        encode([deepest])
    with pytest.raises(MalformedError, match="levels"):
        encode({1: deepest})
    with pytest.raises(MalformedError, match="levels"):
        decode(b"\x81" + encode(deepest))
    with pytest.raises(MalformedError, match="levels"):
        decode(b"\xa1\x01" + encode(deepest))
    with pytest.raises(MalformedError, match="levels"):
        decode(b"\x81" * 100_000 + b"\x80")


def test_a_tag_is_read_only_where_it_is_asked_for():
    raw = encode([1], tag=18)
    assert raw == b"\xd2\x81\x01"
    assert decode(raw, tag=18) == [1]
    for data, tag in ((raw, None), (raw, 17), (b"\x81\x01", 18), (b"\xd8\x12\x81\x01", 18), (b"\xd2" + raw, 18)):
        with pytest.raises(MalformedError):
            decode(data, tag=tag)


def test_the_size_is_bounded_before_anything_is_read():
    with pytest.raises(MalformedError, match="at most 4"):
        decode(b"\x44abcd", max_size=4)


class Pair(NamedTuple):
    left: int
    right: str


def test_tuples_are_arrays():
    assert encode((1, "a")) == encode(Pair(1, "a")) == encode([1, "a"])


@pytest.mark.parametrize(
    "value", [1.5, 1 << 64, -(1 << 64) - 1, {1}, bytearray(b"a"), {None: 1}, {True: 1}, {1.0: 1}, "e\u0301", "\ud800"]
)
def test_the_encoder_refuses_what_the_decoder_would(value):
    with pytest.raises(MalformedError):
        encode(value)
    with pytest.raises(MalformedError):
        encode([{1: value}])


@pytest.mark.parametrize("data", ["", None, bytearray(b"\x00"), memoryview(b"\x00")])
def test_only_bytes_are_decoded(data):
    with pytest.raises(MalformedError):
        decode(data)


@pytest.mark.parametrize("text", ["", "plain ~ text", "示范电子有限公司", "Ünïcode", "\U0002a6d6", "e\u0302\u0323"[:1]])
def test_ordinary_text_is_accepted(text):
    assert text_problem(text) == ""


@pytest.mark.parametrize(
    "text", ["\u0378", "\ufffe", "\U0010ffff", "\U00031350", "\U0001e08f", "\U0002ebf0", "\u1100\u1161", "\u212b"]
)
def test_text_whose_normal_form_could_change_or_that_is_not_normal_is_refused(text):
    assert text_problem(text)
