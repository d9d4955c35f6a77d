"""The bundle's bytes: one form, and every other refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.evidence.bundle import FORMAT, MAX_BUNDLE, Bundle
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
    assert FORMAT.encode() in whole[:20]


def changed(whole: bytes, change: Any) -> bytes:
    value = copy.deepcopy(decode(whole, max_size=MAX_BUNDLE))
    change(value)
    return encode(value)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.append(1),
        lambda v: v.__setitem__(0, "tial-evidence-v2"),
        lambda v: v[1].pop("chain"),
        lambda v: v[1].__setitem__("more", 1),
        lambda v: v[1].__setitem__("log", bytes(31)),
        lambda v: v[1].__setitem__("about", "a" * 3_000),
        lambda v: v[1].__setitem__("index", -1),
        lambda v: v[1].__setitem__("entries", []),
        lambda v: v[1]["entries"].reverse(),
        lambda v: v[1]["entries"].append(v[1]["entries"][-1]),
        lambda v: v[1]["entries"][0].append(1),
        lambda v: v[1]["claims"].reverse(),
        lambda v: v[1]["claims"][0].__setitem__(0, "nothing"),
        lambda v: v[1]["claims"][0].__setitem__(1, ["a", "b", "c"]),
        lambda v: v[1]["claims"][0].__setitem__(1, [True]),
        lambda v: v[1]["claims"][0].__setitem__(1, [-1]),
        lambda v: v[1]["touches"].reverse(),
        lambda v: v[1]["touches"][0].__setitem__(0, 99),
        lambda v: v[1]["touches"][0][1][0].__setitem__(1, bytes(32)),
        lambda v: v[1]["touches"][0][1][0].__setitem__(0, 10_000),
        lambda v: v[1]["inclusion"].append(b""),
        lambda v: v[1]["documents"].append(v[1]["documents"][0]),
        lambda v: v[1]["documents"][0].__setitem__(1, [1]),
        lambda v: v[1].__setitem__("chain", [b"", 1]),
        lambda v: v[1].__setitem__("audits", [b""] * 17),
        lambda v: v[1].__setitem__("checkpoint", "text"),
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
    try:
        assert Bundle.decode(flipped).encode() == flipped
    except MalformedError:
        return


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
