"""The bundle's bytes: one form, and every other refused."""

from __future__ import annotations

import copy
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.evidence.bundle import Bundle
from ledger.evidence.container import BEGINNING, FORMAT, MAX_CONTENT, pack, unpack
from ledger.evidence.typed import read_record
from ledger.state.records import KIND_OF, BatchRecord, IdentifierRecord, encode_record
from ledger.statements.cbor import decode, encode
from tests.evidence.bundles import ITEM, Scene


@pytest.fixture(scope="module")
def whole() -> bytes:
    return Scene().bundle(audits=(b"a report",)).encode()


def test_a_bundle_is_read_back(whole: bytes):
    bundle = Bundle.decode(whole)
    assert bundle.encode() == whole
    assert bundle.by_index[0] == bundle.entries[0][1]
    assert bundle.audits == (b"a report",)
    assert whole.startswith(BEGINNING)
    assert Bundle.read(bundle.content()) == bundle
    assert len(whole) < 0.6 * len(bundle.content())


def changed(whole: bytes, change: Any) -> bytes:
    value = copy.deepcopy(decode(unpack(whole), max_size=MAX_CONTENT))
    change(value)
    return pack(encode(value))


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("chain"),
        lambda v: v.__setitem__("more", 1),
        lambda v: v.__setitem__("log", bytes(31)),
        lambda v: v.__setitem__("about", "a" * 3_000),
        lambda v: v.__setitem__("index", -1),
        lambda v: v.__setitem__("entries", []),
        lambda v: v["entries"].reverse(),
        lambda v: v["entries"].append(v["entries"][-1]),
        lambda v: v["entries"][0].append(1),
        lambda v: v["claims"].reverse(),
        lambda v: v["claims"][0].__setitem__(0, "nothing"),
        lambda v: v["claims"][0].__setitem__(1, ["a", "b", "c"]),
        lambda v: v["claims"][0].__setitem__(1, [True]),
        lambda v: v["claims"][0].__setitem__(1, [-1]),
        lambda v: v["touches"].reverse(),
        lambda v: v["touches"][0].__setitem__(0, 99),
        lambda v: v["touches"][0][1][0].__setitem__(1, bytes(32)),
        lambda v: v["touches"][0][1][0].__setitem__(0, 10_000),
        lambda v: v["inclusion"].append(b""),
        lambda v: v["documents"].append(v["documents"][0]),
        lambda v: v["documents"][0].__setitem__(1, [1]),
        lambda v: v.__setitem__("chain", [b"", 1]),
        lambda v: v.__setitem__("audits", [b""] * 17),
        lambda v: v.__setitem__("checkpoint", "text"),
    ],
)
def test_every_other_form_is_refused(whole: bytes, change: Any):
    with pytest.raises(MalformedError):
        Bundle.decode(changed(whole, change))


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(raw: bytes):
    with pytest.raises(MalformedError):
        Bundle.decode(raw)


@given(st.data())
def test_a_bundle_cut_or_changed_anywhere_is_refused_or_another(whole: bytes, data: st.DataObject):
    at = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(MalformedError):
        Bundle.decode(whole[:at])
    flipped = whole[:at] + bytes([whole[at] ^ (1 << data.draw(st.integers(0, 7)))]) + whole[at + 1 :]
    with pytest.raises(MalformedError):
        Bundle.decode(flipped)  # the content carries a checksum of its own


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v[:2],
        lambda v: [*v, 1],
        lambda v: ["tial-evidence-v2", *v[1:]],
        lambda v: [v[0], v[1] + 1, v[2]],
        lambda v: [v[0], v[1] - 1, v[2]],
        lambda v: [v[0], 0, v[2]],
        lambda v: [v[0], True, v[2]],
        lambda v: [v[0], MAX_CONTENT + 1, v[2]],
        lambda v: [*v[:2], v[2][:-1]],
        lambda v: [*v[:2], v[2] + b"\0"],
        lambda v: [*v[:2], v[2][:-4] + bytes(4)],
        lambda v: [*v[:2], zlib.decompress(v[2])],
    ],
)
def test_every_other_file_is_refused(whole: bytes, change: Any):
    with pytest.raises(MalformedError):
        unpack(encode(change(decode(whole))))


def test_a_file_that_would_grow_without_end_is_refused_early(whole: bytes):
    bomb = zlib.compress(bytes(64 << 20), 9)
    for size in (1_000, MAX_CONTENT):
        with pytest.raises(MalformedError):
            unpack(encode([FORMAT, size, bomb]))
    with pytest.raises(MalformedError):
        unpack(encode([FORMAT, 8 << 20, zlib.compress(bytes(8 << 20), 9)]))
    assert unpack(pack(bytes(8 << 20))) == bytes(8 << 20)  # packed as it is
    with pytest.raises(MalformedError):
        pack(bytes(MAX_CONTENT + 1))


@given(st.binary(min_size=1, max_size=2_000))
def test_content_comes_back_as_it_was_packed(content: bytes):
    assert unpack(pack(content)) == content


def test_records_from_outside_have_their_types():
    record = IdentifierRecord(1, bytes(32), 0, "live", "", 1, "h", "d", bytes(32), 3, 4, 5, 6, "")
    assert read_record("identifier", encode_record(record)) == record
    for wrong in (record._replace(state=7), record._replace(entry="x"), record._replace(touches=True)):
        with pytest.raises(MalformedError):
            read_record("identifier", encode_record(wrong))
    with pytest.raises(MalformedError):
        read_record("batch", encode_record(record))
    assert read_record("batch", encode_record(BatchRecord(1, bytes(32), 0, 0, -5, 0))).time == -5


def test_every_record_of_a_log_is_read_back_as_it_is():
    scene = Scene()
    for (kind, *_), record in scene.world.state.records.items():
        assert read_record(KIND_OF[kind], encode_record(record)) == record
    assert scene.world.state.records[IdentifierRecord, ITEM]
