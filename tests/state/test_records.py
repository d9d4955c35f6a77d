"""Records: their keys and their bytes are those of the strict encoder."""

from __future__ import annotations

import hashlib
from typing import Any, get_type_hints

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.state.records import (
    KIND_OF,
    KINDS,
    ZERO_HEAD,
    ActorKey,
    ActorRecord,
    KeyRef,
    LogRecord,
    Member,
    Pending,
    decode_record,
    encode_record,
    next_head,
    record_key,
)
from ledger.statements import cbor
from tests.world import Consortium, key

UINT = st.integers(0, 2**64 - 1)
TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.sampled_from("é中文零"), max_size=300)
BYTES = st.binary(max_size=300)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of one field by its annotation."""
    known: dict[Any, st.SearchStrategy[Any]] = {
        int: UINT,
        str: TEXT,
        bytes: BYTES,
        int | None: st.none() | UINT,
        bytes | None: st.none() | BYTES,
        tuple[str, ...]: TEXTS,
        tuple[int, ...]: st.lists(UINT, max_size=3).map(tuple),
        tuple[bytes, ...]: st.lists(BYTES, max_size=3).map(tuple),
        tuple[tuple[str, str], ...]: st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    }
    if hint in known:
        return known[hint]
    if hint == Pending | None:
        return st.none() | named(Pending)
    for record in (KeyRef, Member, ActorKey):
        if hint is record:
            return named(record)
        if hint == tuple[record, ...]:
            return st.lists(named(record), max_size=2).map(tuple)
    raise AssertionError(hint)


def named(kind: Any) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{name: values(hint) for name, hint in get_type_hints(kind).items()})


PARTS = st.lists(TEXT | BYTES | UINT, max_size=2)


@given(st.sampled_from(sorted(KINDS)), PARTS)
def test_a_record_key_is_the_digest_of_the_encoded_kind_and_parts(kind: str, parts: list[Any]):
    assert record_key(kind, *parts) == hashlib.sha256(cbor.encode([kind, *parts])).digest()


@pytest.mark.parametrize("size", [0, 23, 24, 255, 256, 65535, 65536])
def test_a_record_key_has_the_shortest_head_for_every_length(size: int):
    for part in ("x" * size, b"x" * size, size):
        assert record_key("identifier", part) == hashlib.sha256(cbor.encode(["identifier", part])).digest()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_records_encode_as_the_strict_encoder_does_and_read_back_equal(kind: str):
    @settings(max_examples=40, deadline=None)
    @given(named(KINDS[kind]))
    def check(record: Any) -> None:
        raw = encode_record(record)
        assert raw == cbor.encode(record)
        again = decode_record(kind, raw)
        assert again == record
        assert type(again) is KINDS[kind]
        assert KIND_OF[type(again)] == kind

    check()


def test_nested_parts_come_back_as_what_they_were(c: Consortium):
    c.put(c.rotation(c.stranger, add=[key("second")]))
    record = c.state.read(ActorRecord, c.stranger.did)
    assert record is not None
    again = decode_record("actor", encode_record(record))
    assert type(again.keys[0]) is ActorKey
    assert type(again.pending) is Pending
    assert type(again.pending.add[0]) is ActorKey
    log = decode_record("log", encode_record(c.log))
    assert log == c.log
    assert (type(log.cose), type(log.note), type(log.members[0])) == (KeyRef, KeyRef, Member)


@pytest.mark.parametrize(
    "raw", [b"", b"\x80", cbor.encode([1, ZERO_HEAD]), cbor.encode([1] * 40), b"\x83\x01\x02\x03\x04", b"\x9f\xff"]
)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_no_record_is_refused(kind: str, raw: bytes):
    with pytest.raises(MalformedError):
        decode_record(kind, raw)


@pytest.mark.parametrize("raw", [cbor.encode(5), cbor.encode({1: 2}), cbor.encode(None), cbor.encode("text")])
def test_what_is_no_array_is_refused(raw: bytes):
    with pytest.raises(MalformedError):
        decode_record("batch", raw)


@pytest.mark.parametrize(
    ("kind", "place"), [("log", "cose"), ("log", "members"), ("actor", "keys"), ("actor", "pending")]
)
def test_a_record_whose_inner_arrays_are_wrong_is_refused(c: Consortium, kind: str, place: str):
    record: Any = c.log if kind == "log" else c.state.read(ActorRecord, c.stranger.did)
    for wrong in (5, ((1,),), (1, 2, 3), ((1, 2, 3, 4, 5, 6, 7, 8, 9),)):
        with pytest.raises(MalformedError):
            decode_record(kind, cbor2.dumps(record._replace(**{place: wrong}), canonical=True))


def test_the_head_is_the_chain_of_the_formats_document():
    leaf = bytes(range(32))
    expected = hashlib.sha256(b"\x12" + bytes(32) + (258).to_bytes(8, "big") + leaf).digest()
    assert next_head(ZERO_HEAD, 258, leaf) == expected
    assert LogRecord._fields[:3] == ("touches", "head", "last")
    assert all(kind._fields[:3] == ("touches", "head", "last") for kind in KINDS.values())
