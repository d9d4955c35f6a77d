"""RLP: the published vectors, one form for every value, no input that does anything but decode or be refused."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
import rlp as oracle
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.evidence.chain import rlp

VALUES = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=6), max_leaves=30)


def parsed(value):
    """Read a value of the published vectors."""
    if isinstance(value, int):
        return rlp.encode_number(value)
    if isinstance(value, str):
        return rlp.encode_number(int(value[1:])) if value.startswith("#") else value.encode()
    return [parsed(item) for item in value]


def test_the_published_values_have_their_published_bytes(vectors):
    cases = json.loads((vectors("eth-trie") / "RLPTests" / "rlptest.json").read_bytes())
    for name, case in cases.items():
        raw = bytes.fromhex(case["out"].removeprefix("0x"))
        assert rlp.encode(parsed(case["in"])) == raw, name
        assert rlp.decode(raw) == parsed(case["in"]), name
    assert len(cases) > 20


def test_the_published_invalid_inputs_are_refused(vectors):
    cases = json.loads((vectors("eth-trie") / "RLPTests" / "invalidRLPTest.json").read_bytes())
    for case in cases.values():
        with pytest.raises(MalformedError):
            rlp.decode(bytes.fromhex(case["out"].removeprefix("0x")))
    assert len(cases) > 20


@given(VALUES)
def test_what_is_encoded_is_decoded_and_is_as_another_library_has_it(value):
    raw = rlp.encode(value)
    assert raw == oracle.encode(value)
    assert rlp.decode(raw) == value


@given(st.binary(max_size=200))
@example(b"\xb8")
@example(b"\xbf" + b"\xff" * 8)
@example(b"\xff" + b"\xff" * 8)
@example(b"\xc1\x81")
def test_any_bytes_are_refused_or_the_one_form_of_what_they_say(raw):
    try:
        value = rlp.decode(raw)
    except MalformedError:
        return
    assert rlp.encode(value) == raw


@given(VALUES, st.data())
def test_an_altered_byte_never_gives_the_same_value(value, data):
    raw = bytearray(rlp.encode(value))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(MalformedError):
        assert rlp.decode(bytes(raw)) != value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\x00",
        b"\x81\x7f",
        b"\xb8\x37" + bytes(55),
        b"\xb9\x00\x38" + bytes(56),
        b"\xf8\x37" + bytes(55),
        b"\xc2\x83ab",
        b"\xc1",
        b"\xc1\x82a",
        b"\xb8\x38" + bytes(55),
    ],
)
def test_other_forms_of_a_value_are_refused(raw):
    with pytest.raises(MalformedError):
        rlp.decode(raw)


def nested(levels):
    raw = b"\xc0"
    for _ in range(levels):
        raw = oracle.codec.length_prefix(len(raw), 0xC0) + raw
    return raw


def test_levels_are_bounded_without_recursion():
    assert rlp.decode(nested(15))
    with pytest.raises(MalformedError, match="16 levels"):
        rlp.decode(nested(16))
    with pytest.raises(MalformedError):
        rlp.decode(nested(30_000))
    value = b""
    for _ in range(17):
        value = [value]
    with pytest.raises(MalformedError):
        rlp.encode(value)


def test_size_and_number_of_items_are_bounded():
    start = time.perf_counter()
    for raw in (rlp.encode(bytes(rlp.MAX_SIZE)), rlp.encode([b""] * (rlp.MAX_ITEMS + 1))):
        with pytest.raises(MalformedError):
            rlp.decode(raw)
    assert rlp.decode(rlp.encode([b""] * rlp.MAX_ITEMS)) == [b""] * rlp.MAX_ITEMS
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("value", [[], b"\x00", b"\x00\x01", bytes(33), b"\x01" * 33])
def test_a_number_has_no_leading_zeros_and_a_bound(value):
    with pytest.raises(MalformedError):
        rlp.number(value, where="x")


@pytest.mark.parametrize("value", [[], bytes(31), bytes(33), b""])
def test_a_field_of_fixed_size_has_that_size(value):
    with pytest.raises(MalformedError):
        rlp.fixed(value, 32, where="x")


def test_only_byte_strings_and_lists_are_encoded():
    for value in ("text", 5, None, {1: b""}):
        with pytest.raises(MalformedError):
            rlp.encode(value)


def test_a_list_is_demanded_where_one_belongs():
    assert rlp.decode_list(b"\xc1\x05") == [b"\x05"]
    with pytest.raises(MalformedError):
        rlp.decode_list(b"\x05")
