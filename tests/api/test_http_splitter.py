from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.splitter import Splitter
from ledger.statements.cbor import encode_bytes


def item(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    return b"\xd2\x84" + encode_bytes(protected) + b"\xa0" + encode_bytes(payload) + encode_bytes(signature)


PARTS = st.one_of(st.binary(max_size=30), st.integers(0, 700).map(bytes))
ITEMS = st.lists(st.builds(item, PARTS, PARTS, PARTS), max_size=8)


@given(ITEMS, st.data())
def test_any_cutting_of_the_stream_gives_the_same_items(items: list[bytes], data: st.DataObject) -> None:
    body = b"".join(items)
    splitter = Splitter()
    found: list[bytes] = []
    at = 0
    while at < len(body):
        step = data.draw(st.integers(1, 400))
        got, error = splitter.feed(body[at : at + step])
        assert error is None
        found += got
        at += step
    assert splitter.finish() is None
    assert found == items


@given(ITEMS, st.binary(min_size=1, max_size=40))
def test_bytes_outside_the_frame_end_the_sequence_after_the_good_items(items: list[bytes], junk: bytes) -> None:
    splitter = Splitter()
    found, error = splitter.feed(b"".join(items) + b"\x00" + junk)
    assert found == items
    assert error is not None
    assert f"byte {sum(map(len, items))} " in error.where


@given(st.builds(item, PARTS, PARTS, PARTS), st.data())
def test_an_item_cut_off_at_the_end_is_an_error(raw: bytes, data: st.DataObject) -> None:
    splitter = Splitter()
    found, error = splitter.feed(raw + raw[: data.draw(st.integers(1, len(raw) - 1))])
    assert found == [raw]
    assert error is None
    cut_off = splitter.finish()
    assert cut_off is not None
    assert cut_off.where == f"byte {len(raw)} of the body"


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    splitter = Splitter()
    items, error = splitter.feed(data)
    if error is None:
        assert b"".join(items) == data or splitter.finish() is not None


@pytest.mark.parametrize(
    "frame",
    [
        b"\xd2\x84\x5a\x00\x01\x00\x00",  # a byte string of 2^16 bytes
        b"\xd2\x84\x5f",  # of indefinite length
        b"\xd2\x84\x60",  # a text
        b"\xd2\x84\x41\x00\xa1",  # an unprotected header that is not empty
        b"\xd2\x84\x41\x00\xf6",
        b"\x84\x41\x00",  # no tag
    ],
)
def test_frames_of_another_shape_are_refused_at_once(frame: bytes) -> None:
    items, error = Splitter().feed(frame)
    assert items == []
    assert error is not None
    assert error.code == "sequence"
    assert error.remedy


def test_an_item_that_arrives_byte_by_byte_is_joined_once() -> None:
    raw = item(b"p" * 60_000, b"q" * 60_000, b"r" * 64)
    splitter = Splitter()
    found = [got for byte in raw for got in splitter.feed(bytes([byte]))[0]]
    assert found == [raw]
