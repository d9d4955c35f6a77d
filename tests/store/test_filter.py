"""The key filter never denies a key that the index holds."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from ledger.store.filter import KeyFilter
from ledger.store.index import Index, IndexUpdate

KEYS = [sha256(b"%d" % n).digest() for n in range(2000)]


def test_every_added_key_may_be_held_and_almost_no_other():
    keys = KeyFilter()
    keys.add(KEYS)
    assert all(keys.may_hold(key) for key in KEYS)
    assert sum(keys.may_hold(sha256(b"other %d" % n).digest()) for n in range(2000)) < 5


def test_a_saved_filter_is_taken_once_and_only_for_its_size(tmp_path: Path):
    keys = KeyFilter()
    keys.add(KEYS)
    path = tmp_path / "filter"
    keys.save(path, 7)
    taken = KeyFilter.take(path, 7)
    assert taken is not None
    assert taken.may_hold(KEYS[0])
    assert KeyFilter.take(path, 7) is None, "the file is gone once it was taken"
    keys.save(path, 7)
    assert KeyFilter.take(path, 8) is None


@pytest.mark.parametrize("damage", ["lost", "stale", "truncated"])
def test_an_index_answers_for_its_keys_whatever_became_of_the_filter(tmp_path: Path, damage: str):
    with Index.open(tmp_path) as index:
        index.apply(IndexUpdate(200_000, [(key, b"x") for key in KEYS]))
    path = tmp_path / "keys.filter"
    if damage == "lost":
        path.unlink()
    elif damage == "stale":
        path.write_bytes(path.read_bytes()[:15] + b"\x09" + bytes(len(path.read_bytes()) - 16))
    else:
        path.write_bytes(path.read_bytes()[:1000])
    with Index.open(tmp_path) as index:
        assert all(index.record(key) == b"x" for key in KEYS)
