"""Replay: the index follows from the log alone, however it was fed, and from an honest log only."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.errors import CorruptError
from ledger.log.tree import CompactRange, leaf_hash, root_of
from ledger.state.records import KIND_OF, IdentifierRecord, decode_record, record_key
from ledger.state.transition import UnknownRulesError, verify_signature
from ledger.store import replay as module
from ledger.store.index import Index
from ledger.store.replay import replay
from tests.golden import make
from tests.world import ITEM, PREFIX, Consortium

ENTRIES = make.build()
FOLDERS = itertools.count()


def dump_of(path: Path, *cuts: list[bytes]) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The index and the tree root after feeding these pieces one after the other."""
    tree = CompactRange()
    with Index.open(path) as index:
        for piece in cuts:
            before = index.covers
            assert replay(index, piece, tree=tree) == before + len(piece) == index.covers
        return list(index.dump()), tree.root()


def whole(path: Path) -> tuple[list[tuple[bytes, bytes]], bytes]:
    return dump_of(path, ENTRIES)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The index and root of the golden log fed at once."""
    return whole(tmp_path_factory.mktemp("whole"))


def test_the_root_by_way_of_the_compact_range_is_that_of_the_leaves(tmp_path: Path):
    assert whole(tmp_path)[1] == root_of([leaf_hash(raw) for raw in ENTRIES])


def test_the_index_holds_the_state_that_the_rules_decide(tmp_path: Path):
    state = make.MemoryState()
    make.replay(ENTRIES, state)
    with Index.open(tmp_path) as index:
        replay(index, ENTRIES, verify=verify_signature)
        for place, record in state.records.items():
            kind = KIND_OF[place[0]]
            raw = index.record(record_key(kind, *place[1:]))
            assert raw is not None
            assert decode_record(kind, raw) == record


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(1, len(ENTRIES) - 1), max_size=6), st.sampled_from([1, 2, 7, 2000]))
def test_the_index_does_not_depend_on_where_groups_were_cut(
    tmp_path: Path, expected: tuple[list[tuple[bytes, bytes]], bytes], cuts: set[int], group: int
):
    places = [0, *sorted(cuts), len(ENTRIES)]
    pieces = [ENTRIES[a:b] for a, b in itertools.pairwise(places)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "GROUP", group)
        fed = dump_of(tmp_path / str(next(FOLDERS)), *pieces)
    assert fed == expected


def test_entry_by_entry_across_restarts_is_the_same_index(
    tmp_path: Path, expected: tuple[list[tuple[bytes, bytes]], bytes]
):
    for start in range(0, len(ENTRIES), 9):
        with Index.open(tmp_path / "slow") as index:
            assert index.covers == start
            for raw in ENTRIES[start : start + 9]:
                replay(index, [raw])
    with Index.open(tmp_path / "slow") as index:
        assert list(index.dump()) == expected[0]
        with Index.open(tmp_path / "once") as once:
            replay(once, ENTRIES)
            assert index.tree.current == once.tree.current
            key = record_key("identifier", ITEM)
            for batch in range(1, once.tree.newest + 1):
                assert index.tree.prove([key], batch) == once.tree.prove([key], batch)


def test_a_rebuilt_index_is_the_identical_sequence_of_keys_and_values(tmp_path: Path):
    once = whole(tmp_path)
    Index.destroy(tmp_path)
    assert whole(tmp_path) == once


def test_histories_batches_and_progress_follow_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "GROUP", 10)
    told: list[int] = []
    with Index.open(tmp_path) as index:
        replay(index, ENTRIES, progress=told.append)
        assert told[-1] == len(ENTRIES)
        assert all(0 < after - before <= 10 for before, after in itertools.pairwise([0, *told]))
        key = record_key("identifier", ITEM)
        statements = [make.decode_statement(raw) for raw in ENTRIES]
        about = {s.sub for s in statements if s.claims.get("identifier") == ITEM} | {ITEM}
        expected = [n for n, s in enumerate(statements) if s.sub in about]
        assert index.history(key, 0, 100) == expected
        raw = index.record(key)
        assert raw is not None
        record = decode_record("identifier", raw)
        assert type(record) is IdentifierRecord
        assert (record.touches, record.last) == (len(expected), expected[-1])
        manifests = [n for n, s in enumerate(statements) if s.type == "manifest"]
        assert [index.manifest_of_batch(n + 1) for n in range(len(manifests))] == manifests
        assert set(manifests) <= set(told), "a manifest begins a group"
        assert [index.tree.root(n + 1) for n in range(len(manifests))] == [
            statements[at].body["state"] for at in manifests
        ]
        assert index.batch_of_entry(2) == (2, manifests[1])


@pytest.mark.parametrize("position", [0, 1, 5, 20, len(ENTRIES) - 1])
@pytest.mark.parametrize("group", [1, 2000])
def test_an_act_that_is_there_twice_is_corruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, position: int, group: int
):
    monkeypatch.setattr(module, "GROUP", group)
    twice = [*ENTRIES[: position + 1], ENTRIES[position], *ENTRIES[position + 1 :]]
    with Index.open(tmp_path) as index:
        with pytest.raises(CorruptError) as caught:
            replay(index, twice)
        assert caught.value.where == f"entry {position + 1}"
        assert index.covers <= position + 1


def test_an_entry_that_the_rules_refuse_is_corruption(tmp_path: Path):
    c = Consortium()
    forged = c.registration(c.stranger, "vaa:88.118.8/B2", PREFIX)
    with Index.open(tmp_path) as index:
        with pytest.raises(CorruptError, match="not the party"):
            replay(index, [*c.entries, forged])
        assert index.covers <= len(c.entries)
        assert replay(index, c.entries[index.covers :]) == len(c.entries)
        with pytest.raises(CorruptError):
            replay(index, [forged])
        assert index.covers == len(c.entries)
        replay(index, [c.registration(c.registrar, "vaa:88.118.8/B2", PREFIX)])


def test_a_manifest_with_another_state_root_is_corruption(tmp_path: Path):
    c = Consortium()
    c.close(c.now + 1, state=bytes(32))
    with Index.open(tmp_path) as index:
        with pytest.raises(CorruptError, match="the state has root") as caught:
            replay(index, c.entries)
        assert caught.value.where == f"entry {len(c.entries) - 1}"
        assert index.covers == len(c.entries) - 1


@pytest.mark.parametrize("raw", [b"", b"\x00", ENTRIES[5][:-1], ENTRIES[5] + b"\x00"])
def test_an_entry_that_is_no_statement_is_corruption(tmp_path: Path, raw: bytes):
    with Index.open(tmp_path) as index, pytest.raises(CorruptError):
        replay(index, [*ENTRIES[:5], raw])


def test_a_log_without_its_beginning_is_corruption(tmp_path: Path):
    with Index.open(tmp_path) as index, pytest.raises(CorruptError):
        replay(index, ENTRIES[1:])


def test_a_forged_signature_is_found_by_an_auditor_and_trusted_by_the_node_that_checked_it(tmp_path: Path):
    forged = [*ENTRIES[:4], ENTRIES[4][:-1] + bytes([ENTRIES[4][-1] ^ 1])]
    with Index.open(tmp_path / "auditor") as index, pytest.raises(CorruptError):
        replay(index, forged, verify=verify_signature)
    with Index.open(tmp_path / "node") as index:
        assert replay(index, forged) == 5


def test_an_unknown_rules_version_stops_the_replay(tmp_path: Path):
    c = Consortium()
    c.put(c.log_change(rules=2))
    with Index.open(tmp_path) as index:
        replay(index, c.entries)
        with pytest.raises(UnknownRulesError):
            replay(index, [ENTRIES[-1]])


def test_nothing_to_replay_is_nothing_done(tmp_path: Path):
    with Index.open(tmp_path) as index:
        before = list(index.dump())
        assert replay(index, []) == 0
        assert list(index.dump()) == before
