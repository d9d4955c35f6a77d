"""The stored state tree: the same root and proofs as a naive tree over the same records, for all batches kept."""

from __future__ import annotations

import hashlib
import itertools
import random
import signal
import subprocess
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

import plyvel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.errors import CorruptError, MalformedError
from ledger.state.proofs import root_from_state_proof
from ledger.state.tree import EMPTY
from ledger.store import state_tree as module
from ledger.store.index import Index, IndexUpdate
from ledger.store.state_pages import FULL
from ledger.store.state_tree import NotRetainedError, Retention
from tests.state.naive_tree import NaiveTree

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = itertools.count()
BASE = hashlib.sha256(b"base").digest()


def key_of(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def near(shared: int, seed: int) -> bytes:
    """A key that has the first `shared` bits of BASE, and others of its own."""
    low = 256 - shared
    tail = int.from_bytes(key_of(seed), "big") & ((1 << low) - 1)
    return (int.from_bytes(BASE, "big") >> low << low | tail).to_bytes(32, "big")


class Log:
    """Feeds an index batch by batch, and remembers what the state was at each close."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.records: dict[bytes, bytes] = {}
        self.closed: dict[int, dict[bytes, bytes]] = {}
        self.number = 0

    def batch(self, *groups: dict[bytes, bytes]) -> None:
        """Entries in groups; the manifest of the batch before comes first."""
        closing = []
        if self.number:
            closing = [(self.number, self.index.covers)]
            self.closed[self.number] = dict(self.records)
        self.number += 1
        for group in groups:
            covers = self.index.covers + len(group) + 1
            self.index.apply(IndexUpdate(covers, list(group.items()), (), closing))
            self.records.update(group)
            closing = []

    def check(self, batch: int, names: Iterable[bytes]) -> None:
        """Root and proof of a closed batch must be those of the naive tree."""
        records = self.closed[batch]
        naive = NaiveTree(records)
        keys = sorted(set(names))
        proof, root = self.index.tree.prove(keys, batch)
        assert root == naive.hash() == self.index.tree.root(batch)
        assert (list(proof.depths), list(proof.others), list(proof.siblings)) == naive.multiproof(keys)
        assert root_from_state_proof({key: records.get(key) for key in keys}, proof) == root


keys = st.one_of(st.integers(0, 60).map(key_of), st.builds(near, st.integers(0, 255), st.integers(0, 3)))
groups = st.dictionaries(keys, st.binary(max_size=3), max_size=30)
batches = st.lists(st.lists(groups, min_size=1, max_size=3), min_size=1, max_size=6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches, st.lists(keys, min_size=1, max_size=4))
def test_every_closed_batch_is_proven_as_the_naive_tree_would(
    tmp_path: Path, history: list[list[dict[bytes, bytes]]], asked: list[bytes]
):
    with Index.open(tmp_path / str(next(FOLDERS))) as index:
        log = Log(index)
        for parts in history:
            log.batch(*parts)
        log.batch({})
        assert index.tree.current == NaiveTree(log.records).hash()
        for batch in log.closed:
            log.check(batch, [*asked, *list(log.records)[:3]])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups, st.randoms(use_true_random=False), st.integers(1, 40))
def test_the_order_of_records_makes_no_difference(
    tmp_path: Path, records: dict[bytes, bytes], chance: random.Random, size: int
):
    rows = list(records.items())
    chance.shuffle(rows)
    with Index.open(tmp_path / str(next(FOLDERS))) as index:
        for start in range(0, len(rows), size):
            index.apply(IndexUpdate(start + size, rows[start : start + size]))
        assert index.tree.current == NaiveTree(records).hash()


def test_a_group_may_be_far_larger_than_what_was_there(tmp_path: Path):
    with Index.open(tmp_path) as index:
        log = Log(index)
        log.batch({key_of(n): b"r" for n in range(FULL)})
        log.batch({key_of(n): b"s" for n in range(FULL // 2, 3_000)})
        log.batch({})
        for batch in (1, 2):
            log.check(batch, [key_of(0), key_of(FULL - 1), key_of(2_999), BASE])


def test_the_empty_tree_is_empty_and_proves_absence(tmp_path: Path):
    with Index.open(tmp_path) as index:
        index.apply(IndexUpdate(1, batches=[(1, 0)]))
        proof, root = index.tree.prove([BASE], 1)
        assert root == EMPTY == root_from_state_proof({BASE: None}, proof)


def test_there_is_no_proof_before_a_batch_is_closed(tmp_path: Path):
    with Index.open(tmp_path) as index:
        Log(index).batch({BASE: b"r"})
        for batch in (None, 0, 1, 2, -1, 2**64):
            with pytest.raises(NotRetainedError):
                index.tree.prove([BASE], batch)


def test_keys_with_long_common_prefixes_work_and_stay_cheap(tmp_path: Path):
    """Nobody can find such keys by hashing; even then a record costs at most one page for every four levels."""
    crowd = {near(shared, seed): b"r" for shared in (200, 247, 251, 252, 255) for seed in range(40)}
    with Index.open(tmp_path) as index:
        log = Log(index)
        log.batch(crowd)
        log.batch({BASE: b"base"})
        log.batch({near(255, 9): b"other"})
        log.batch({})
        for batch in (1, 2, 3):
            log.check(batch, [BASE, near(255, 9), near(0, 1), near(100, 1)])
        third = (3).to_bytes(8, "big")
        assert sum(name.startswith(third) for name in stored(index)) <= 64


def pages(path: Path, index: Index) -> int:
    """How many pages are stored."""
    del path
    with index._database.iterator(prefix=module.PAGES, include_value=False) as rows:
        return sum(1 for _ in rows)


def grown(log: Log, batches: int, chance: random.Random) -> None:
    for _ in range(batches):
        log.batch({key_of(chance.randrange(400)): chance.randbytes(4) for _ in range(12)})


def test_the_last_batches_stay_provable_and_older_ones_refuse_clearly(tmp_path: Path):
    chance = random.Random(1)
    with Index.open(tmp_path, Retention(batches=20)) as index:
        log = Log(index)
        grown(log, 90, chance)
        tree = index.tree
        assert (tree.oldest, tree.newest) == (70, 89)
        for batch in range(70, 90):
            log.check(batch, [key_of(chance.randrange(500)) for _ in range(3)])
        for batch in (1, 50, 69):
            with pytest.raises(NotRetainedError, match="70 to 89"):
                tree.prove([BASE], batch)
            with pytest.raises(NotRetainedError):
                tree.root(batch)


def test_pruning_leaves_only_pages_that_a_kept_batch_needs(tmp_path: Path):
    chance = random.Random(2)
    with Index.open(tmp_path, Retention(batches=16)) as index:
        log = Log(index)
        log.batch({key_of(n): b"r" for n in range(400)})
        grown(log, 300, chance)
        needed = sum(len(reachable(index, batch)) for batch in [log.number - 1])
        assert pages(tmp_path, index) <= needed + 16 * 12 * 3 + 3 * 12
        assert reachable_all(index, range(index.tree.oldest, log.number)) <= stored(index)


def stored(index: Index) -> set[bytes]:
    with index._database.iterator(prefix=module.PAGES, include_value=False) as rows:
        return {key[1:] for key in rows}


def reachable(index: Index, batch: int) -> set[bytes]:
    """Names of all pages below the root of a closed batch."""
    version, _ = index.tree._root_of(batch)
    found: set[bytes] = set()
    waiting: list[tuple[int, str]] = [(version, "")]
    while waiting:
        version, path = waiting.pop()
        place = bytes([len(path)]) + bytes.fromhex(path + "0" * (len(path) % 2))
        page = index.tree._page(version, place)
        found.add(version.to_bytes(8, "big") + place)
        if isinstance(page, module.InnerPage):
            waiting += [(v, f"{path}{child:x}") for child, v in enumerate(page.versions) if v]
    return found


def reachable_all(index: Index, numbers: Iterable[int]) -> set[bytes]:
    return set().union(*(reachable(index, batch) for batch in numbers))


def test_pinned_batches_outlive_the_others_until_they_are_let_go(tmp_path: Path):
    pins: set[int] = set()

    def pinned() -> Collection[int]:
        return pins

    chance = random.Random(3)
    with Index.open(tmp_path, Retention(batches=16)) as index:
        index.tree.pins = pinned
        log = Log(index)
        grown(log, 10, chance)
        pins |= {4, 8, 9}
        grown(log, 60, chance)
        for batch in (4, 8, 9):
            log.check(batch, [key_of(n) for n in range(0, 400, 40)])
        with pytest.raises(NotRetainedError):
            index.tree.root(5)
        pins -= {8}
        grown(log, 3, chance)
        with pytest.raises(NotRetainedError):
            index.tree.root(8)
        for batch in (4, 9):
            log.check(batch, [key_of(n) for n in range(0, 400, 40)])
    with Index.open(tmp_path, Retention(batches=16)) as index:
        index.tree.pins = pinned
        log.index = index
        grown(log, 3, chance)
        for batch in (4, 9):
            log.check(batch, [key_of(n) for n in range(0, 400, 40)])
        pins.clear()
        pins |= {2, 9}  # 2 is gone: it cannot be pinned any more
        grown(log, 40, chance)
        log.check(9, [key_of(n) for n in range(0, 400, 40)])
        pins.clear()
        grown(log, 40, chance)
        kept = reachable_all(index, range(index.tree.oldest, log.number))
        with index._database.iterator(prefix=module.PINNED) as rows:
            assert not list(rows)
        with index._database.iterator(prefix=module.STALE, include_value=False) as rows:
            assert all(int.from_bytes(key[1:9], "big") > index.tree.oldest for key in rows)
        last = stored(index) - kept
        open_version = log.number.to_bytes(8, "big")
        assert all(name[:8] == open_version for name in last)


def test_fewer_batches_are_kept_where_their_pages_are_too_large(tmp_path: Path):
    chance = random.Random(4)
    with Index.open(tmp_path, Retention(batches=1000, size=20_000)) as index:
        log = Log(index)
        grown(log, 100, chance)
        assert index.tree.oldest > 40
        assert index.tree.newest - index.tree.oldest >= module.LEAST - 1
        for batch in range(index.tree.oldest, 100):
            log.check(batch, [key_of(7)])


def test_reopening_goes_on_with_the_same_tree(tmp_path: Path):
    chance = random.Random(5)
    with Index.open(tmp_path / "one", Retention(batches=16)) as index:
        log = Log(index)
        grown(log, 30, chance)
        root = index.tree.current
    for _ in range(20):
        with Index.open(tmp_path / "one", Retention(batches=16)) as index:
            assert index.tree.current == root
            log.index = index
            grown(log, 2, chance)
            root = index.tree.current
            log.check(log.number - 1, [key_of(1)])
            log.check(index.tree.oldest, [key_of(1)])


@pytest.mark.parametrize("size", [3, 30, 700])
def test_reopening_inside_a_batch_goes_on_with_the_same_tree(tmp_path: Path, size: int):
    """The upper pages of the open batch are not stored yet: pages below them, some of them parted since, give them."""
    chance = random.Random(size)
    model: dict[bytes, bytes] = {}
    covers = 0
    for batch in range(1, 5):
        for part in range(4):
            with Index.open(tmp_path) as index:
                group = {key_of(chance.randrange(8 * size)): chance.randbytes(3) for _ in range(size)}
                closing = [(batch - 1, covers)] if batch > 1 and not part else []
                covers += size
                index.apply(IndexUpdate(covers, list(group.items()), (), closing))
                model.update(group)
                assert index.tree.current == NaiveTree(model).hash()
    with Index.open(tmp_path) as index:
        index.apply(IndexUpdate(covers + 1, (), (), [(4, covers)]))
        asked = [key_of(number) for number in range(0, 8 * size, size)]
        proof, root = index.tree.prove(asked)
        assert root == NaiveTree(model).hash()
        assert root_from_state_proof({key: model.get(key) for key in asked}, proof) == root


def test_open_pages_that_give_another_root_are_corruption(tmp_path: Path):
    with Index.open(tmp_path) as index:
        log = Log(index)
        log.batch({key_of(n): b"r" for n in range(FULL * 20)})
        log.batch({key_of(n): b"s" for n in range(FULL)})
    database = plyvel.DB(str(tmp_path))
    lost = [key for key, _ in database.iterator(prefix=module.PAGES + (2).to_bytes(8, "big"))]
    database.delete(lost[-1])
    database.close()
    with Index.open(tmp_path) as index, pytest.raises(CorruptError, match="another root"):
        index.apply(IndexUpdate(index.covers + 1, [(key_of(1), b"t")]))


def test_a_write_that_fails_leaves_the_tree_as_it_was(tmp_path: Path):
    with Index.open(tmp_path) as index:
        log = Log(index)
        log.batch({key_of(n): b"r" for n in range(FULL * 20)})
        before = index.tree.current
        bad = IndexUpdate(index.covers + 1, [(key_of(n), b"x") for n in range(40)], (), [(0, 1), (2, 2), (1, 3)])
        with pytest.raises(MalformedError, match="closes after"):
            index.apply(bad)
        assert index.tree.current == before
        log.batch({key_of(1): b"s"})
        log.batch({})
        log.check(1, [key_of(1)])
        log.check(2, [key_of(1)])


@pytest.mark.parametrize("damage", [b"", b"\x01", b"\x02" + bytes(700), b"\x03", None])
def test_a_damaged_or_missing_page_is_corruption(tmp_path: Path, damage: bytes | None):
    with Index.open(tmp_path) as index:
        log = Log(index)
        log.batch({key_of(n): b"r" for n in range(FULL * 20)})
        log.batch({key_of(1): b"s"})
    database = plyvel.DB(str(tmp_path))
    for name in [key for key, _ in database.iterator(prefix=module.PAGES)]:
        if damage is None:
            database.delete(name)
        else:
            database.put(name, damage)
    database.close()
    with Index.open(tmp_path) as index:
        with pytest.raises(CorruptError, match="tial index rebuild"):
            index.tree.prove([key_of(1)], 1)
        with pytest.raises(CorruptError):
            index.apply(IndexUpdate(index.covers + 1, [(key_of(1), b"t")]))


CRASHING = """
import sys, itertools
from pathlib import Path
from ledger.store.index import Index, IndexUpdate
from tests.store.test_state_tree import row
with Index.open(Path(sys.argv[1])) as index:
    for number in itertools.count(index.covers):
        closing = [(number // 5, number)] if number % 5 == 0 and number else []
        index.apply(IndexUpdate(number + 1, [row(number)], (), closing))
        print(number, flush=True)
"""


def row(number: int) -> tuple[bytes, bytes]:
    return key_of(number % 97), b"%d" % number


def test_a_killed_writer_leaves_tree_and_marker_together(tmp_path: Path):
    for rounds in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", CRASHING, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(40 + 60 * rounds):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        with Index.open(tmp_path) as index:
            records = dict(row(number) for number in range(index.covers))
            assert index.tree.current == NaiveTree(records).hash()
            closed = (index.covers - 1) // 5
            assert index.tree.newest == closed
            at_close = dict(row(number) for number in range(5 * closed))
            assert index.tree.root(closed) == NaiveTree(at_close).hash()
