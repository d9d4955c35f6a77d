"""The outbox keeps what it is given, in order, and survives damage."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from node.anchor.outbox import Outbox
from node.anchor.records import AnchorRecord, AnchorState, Attempt
from node.chain.protocol import ChainIdentity

LOG = bytes(range(32))
CHAIN = ChainIdentity(5, "0x00", bytes(32))
words = st.binary(min_size=32, max_size=32)
uints = st.integers(0, 2**64 - 1)
attempts = st.builds(Attempt, raw=st.binary(max_size=50), hash=words, nonce=uints, price=uints, created=uints)
records = st.builds(
    AnchorRecord,
    log=words,
    size=uints,
    root=words,
    checkpoint=st.text(st.characters(exclude_categories=["Cs"]), max_size=50).map(str.encode),
    previous=uints,
    chain_id=uints,
    contract=st.text(max_size=42),
    state=st.sampled_from(AnchorState),
    created=uints,
    attempts=st.lists(attempts, max_size=3).map(tuple),
    tx=words,
    block=uints,
    time=uints,
    sender=st.text(max_size=42),
    gas=uints,
    fee=st.integers(0, 2**128),
    finished=uints,
)


def record(size: int, state: AnchorState = AnchorState.DONE) -> AnchorRecord:
    attempt = Attempt(b"raw", bytes(32), 1, 2, 3)
    return AnchorRecord(LOG, size, bytes(32), b"note\n", 1, 5, "0x00", state, 1000, (attempt,))


@given(records)
def test_a_record_is_read_back_as_it_was(made: AnchorRecord) -> None:
    assert AnchorRecord.from_json(json.loads(json.dumps(made.to_json()))) == made


@given(records, st.sampled_from(sorted(record(1).to_json())), st.one_of(st.none(), st.just([]), st.just({"a": 1})))
def test_a_record_with_a_member_of_another_kind_is_refused(made: AnchorRecord, name: str, value: object) -> None:
    document = made.to_json()
    if name in {"contract", "sender"} or (name == "attempts" and value == []):
        del document[name]
    else:
        document[name] = value
    with pytest.raises(MalformedError):
        AnchorRecord.from_json(document)


@given(st.recursive(st.one_of(st.none(), st.integers(), st.text()), st.lists, max_leaves=5))
def test_what_is_no_record_is_refused(value: object) -> None:
    with pytest.raises(MalformedError):
        AnchorRecord.from_json(value)


def test_what_is_under_way_is_found_again_after_a_restart(tmp_path: Path) -> None:
    box = Outbox(tmp_path, LOG)
    assert box.pending() is None
    box.begin(record(7, AnchorState.PENDING))
    again = Outbox(tmp_path, LOG)
    assert again.pending() == record(7, AnchorState.PENDING)
    again.keep(record(7))
    assert again.pending() is None
    third = Outbox(tmp_path, LOG)
    assert third.pending() is None
    assert third.newest(CHAIN) == record(7)


def test_anchors_are_listed_newest_first_in_pages(tmp_path: Path) -> None:
    box = Outbox(tmp_path, LOG)
    for size in (30, 10, 20, 5, 20):
        box.keep(record(size))
    for each in (box, Outbox(tmp_path, LOG)):
        assert [found.size for found in each.anchors()] == [30, 20, 10, 5]
        assert [found.size for found in each.anchors(limit=2)] == [30, 20]
        assert [found.size for found in each.anchors(limit=2, before=20)] == [10, 5]
        assert each.anchors(before=5) == []


def test_lost_anchors_stay_listed_as_lost(tmp_path: Path) -> None:
    box = Outbox(tmp_path, LOG)
    for size in (10, 20, 30):
        box.keep(record(size))
    assert box.lose_above(10, CHAIN) == 2
    assert box.lose_above(10, CHAIN) == 0
    assert [(found.size, found.state) for found in box.anchors()] == [
        (30, AnchorState.LOST),
        (20, AnchorState.LOST),
        (10, AnchorState.DONE),
    ]
    newest = box.newest(CHAIN)
    assert newest is not None
    assert newest.size == 10


@pytest.mark.parametrize("other", [replace(CHAIN, chain_id=6), replace(CHAIN, contract="0x01")], ids=["id", "contract"])
def test_anchors_on_another_contract_are_neither_newest_nor_lost_nor_evidence(
    tmp_path: Path, other: ChainIdentity
) -> None:
    box = Outbox(tmp_path, LOG)
    for size in (10, 20):
        box.keep(record(size))
        box.keep_evidence(size, b"evidence")
    assert box.newest(other) is None
    assert box.evidence(20, other) is None
    assert box.covering(5, other) is None
    assert box.lose_above(10, other) == 0
    box.keep(replace(record(10), chain_id=other.chain_id, contract=other.contract))
    newest = box.newest(other)
    assert newest is not None
    assert newest.size == 10
    assert box.evidence(20, other) == (10, b"evidence")
    assert box.evidence(20, CHAIN) == (20, b"evidence")
    assert [box.covering(size, other) for size in (5, 10, 11)] == [newest, newest, None]
    assert box.covering(5, CHAIN) == record(20)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"[" * 100_000, b"\xff", b"null"])
def test_a_damaged_record_is_put_aside_and_asked_for_again(tmp_path: Path, damage: bytes) -> None:
    box = Outbox(tmp_path, LOG)
    box.begin(record(9, AnchorState.PENDING))
    box.keep(record(5))
    (tmp_path / f"{5:020d}.json").write_bytes(damage)
    (tmp_path / "pending.json").write_bytes(damage)
    again = Outbox(tmp_path, LOG)
    assert again.pending() is None
    assert again.incomplete
    assert again.anchors() == []
    assert (tmp_path / "pending.damaged").exists()


def test_the_record_of_another_log_or_size_or_state_is_not_believed(tmp_path: Path) -> None:
    Outbox(tmp_path, LOG).keep(record(5))
    content = (tmp_path / f"{5:020d}.json").read_bytes()
    for name in (f"{6:020d}.json", "pending.json"):
        (tmp_path / name).write_bytes(content)
    assert Outbox(tmp_path, LOG).get(6) is None
    assert Outbox(tmp_path, LOG).pending() is None
    assert Outbox(tmp_path, bytes(32)).get(5) is None


def test_what_a_killed_writer_left_is_cleared(tmp_path: Path) -> None:
    Outbox(tmp_path, LOG).keep(record(5))
    (tmp_path / ".pending.json.1.1.tmp").write_bytes(b"{")
    assert [found.size for found in Outbox(tmp_path, LOG).anchors()] == [5]
    assert not list(tmp_path.glob(".*.tmp"))


def test_evidence_of_a_dispute_stays_after_it_is_resolved(tmp_path: Path) -> None:
    box = Outbox(tmp_path, LOG)
    path = box.dispute(1000, {"size": 4, "detail": "why"})
    assert Outbox(tmp_path, LOG).disputes() == [path]
    box.resolve()
    assert Outbox(tmp_path, LOG).disputes() == []
    assert json.loads(path.with_suffix(".resolved").read_bytes())["detail"] == "why"


def test_the_next_anchor_takes_the_place_of_the_one_under_way(tmp_path: Path) -> None:
    box = Outbox(tmp_path, LOG)
    box.begin(record(7, AnchorState.PENDING))
    box.begin(replace(record(9, AnchorState.PENDING), previous=7))
    assert Outbox(tmp_path, LOG).pending() == replace(record(9, AnchorState.PENDING), previous=7)
    box.keep(record(7))
    assert box.pending() is not None
    box.drop()
    box.drop()
    assert Outbox(tmp_path, LOG).pending() is None
