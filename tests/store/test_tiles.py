"""Tiles and bundles on disk are those of tlog-tiles, resume exactly and never change."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import CorruptError, MalformedError
from ledger.log.proofs import inclusion_proof, verify_inclusion
from ledger.log.tiles import TileRef
from ledger.log.tree import EMPTY_ROOT, leaf_hash, root_of
from ledger.store import tiles
from ledger.store.durable import StorageError
from ledger.store.tiles import TileReader, TileWriter, write_checkpoint

ENTRIES = [b"entry %d" % n for n in range(1400)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def grown(folder: Path, *sizes: int) -> TileWriter:
    writer = TileWriter.open(folder, 0, EMPTY_ROOT)
    for size in sizes:
        writer.extend(ENTRIES[writer.size : size], LEAVES[writer.size : size])
        writer.flush()
    return writer


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_after_a_flush_the_files_of_exactly_that_size_are_there(tmp_path: Path):
    writer = grown(tmp_path, 600)
    assert names(tmp_path) == {
        "tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2",
        "tile/entries/000", "tile/entries/001", "tile/entries/002.p/88",
    }  # fmt: skip
    assert (tmp_path / "tile/0/001").read_bytes() == b"".join(LEAVES[256:512])
    assert (tmp_path / "tile/1/000.p/2").read_bytes() == root_of(LEAVES[:256]) + root_of(LEAVES[256:512])
    assert (tmp_path / "tile/entries/002.p/88").read_bytes().startswith(b"\x00\x09entry 512")
    assert (writer.size, writer.durable_size, writer.root()) == (600, 600, root_of(LEAVES[:600]))


def test_partial_files_go_once_the_full_one_is_durable_and_not_before(tmp_path: Path):
    writer = grown(tmp_path, 3, 200)
    assert {"tile/0/000.p/3", "tile/0/000.p/200", "tile/entries/000.p/3"} <= names(tmp_path)
    writer.extend(ENTRIES[200:256], LEAVES[200:256])
    assert "tile/0/000.p/200" in names(tmp_path)
    writer.flush()
    assert names(tmp_path) == {"tile/0/000", "tile/entries/000", "tile/1/000.p/1"}


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.integers(1, 400), min_size=1, max_size=4))
def test_a_writer_resumed_at_every_flush_leaves_the_same_log(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("log")
    size = 0
    for step in steps:
        writer = TileWriter.open(folder, size, root_of(LEAVES[:size]))
        writer.extend(ENTRIES[size : size + step], LEAVES[size : size + step])
        size = writer.size
        writer.flush()
        assert writer.root() == root_of(LEAVES[:size])
    reader = TileReader(folder)
    assert list(reader.iter_entries(0, size)) == ENTRIES[:size]
    assert list(reader.leaf_hashes(0, size)) == LEAVES[:size]
    nodes = reader.nodes(size)
    index = random.Random(size).randrange(size)
    proof = inclusion_proof(index, size, nodes.get_node)
    assert verify_inclusion(LEAVES[index], index, size, proof, root_of(LEAVES[:size]))


def test_an_earlier_size_is_resumed_from_full_tiles_and_flushed_again(tmp_path: Path):
    grown(tmp_path, 300, 900)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    writer = TileWriter.open(tmp_path, 300, root_of(LEAVES[:300]))
    writer.extend(ENTRIES[300:900], LEAVES[300:900])
    writer.flush()
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


def test_other_entries_where_some_are_stored_are_a_fork_and_refused(tmp_path: Path):
    grown(tmp_path, 300, 600)
    writer = TileWriter.open(tmp_path, 300, root_of(LEAVES[:300]))
    others = [b"other %d" % n for n in range(300)]
    writer.extend(others, [leaf_hash(other) for other in others])
    before = names(tmp_path)
    with pytest.raises(CorruptError, match="fork"):
        writer.flush()
    assert names(tmp_path) == before


def test_another_root_than_expected_is_refused(tmp_path: Path):
    grown(tmp_path, 600)
    with pytest.raises(CorruptError, match="expected"):
        TileWriter.open(tmp_path, 600, root_of(LEAVES[:599]))
    with pytest.raises(CorruptError, match="lacks this file"):
        TileWriter.open(tmp_path, 601, root_of(LEAVES[:601]))


@pytest.mark.parametrize("name", ["tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/002.p/88"])
def test_an_altered_or_missing_right_edge_is_refused(tmp_path: Path, name: str):
    grown(tmp_path, 600)
    path = tmp_path / name
    whole = path.read_bytes()
    for damaged in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:-1], whole + b"x"):
        path.write_bytes(damaged)
        with pytest.raises(CorruptError):
            TileWriter.open(tmp_path, 600, root_of(LEAVES[:600]))
    path.unlink()
    with pytest.raises(CorruptError, match="lacks this file"):
        TileWriter.open(tmp_path, 600, root_of(LEAVES[:600]))


def test_a_failed_flush_can_be_repeated_without_losing_a_tile(tmp_path: Path):
    writer = grown(tmp_path, 200)
    entries = tmp_path / "tile" / "entries"
    entries.rename(tmp_path / "aside")
    entries.write_bytes(b"in the way")
    writer.extend(ENTRIES[200:700], LEAVES[200:700])
    for _ in range(2):  # two failures in a row must not be worse than one
        with pytest.raises(StorageError):
            writer.flush()
        assert writer.durable_size == 200
    entries.unlink()
    (tmp_path / "aside").rename(entries)
    writer.flush()
    assert list(TileReader(tmp_path).iter_entries(0, 700)) == ENTRIES[:700]
    TileWriter.open(tmp_path, 700, root_of(LEAVES[:700]))


def test_leftovers_of_a_killed_flush_are_swept_when_resuming(tmp_path: Path):
    grown(tmp_path, 300)
    for folder in ("tile/0", "tile/0/001.p", "tile/entries", "tile/entries/001.p", "tile/1/000.p", ""):
        (tmp_path / folder / ".x.1.1.tmp").write_bytes(b"half")
    TileWriter.open(tmp_path, 300, root_of(LEAVES[:300]))
    assert not [name for name in names(tmp_path) if name.endswith(".tmp")]


def test_an_unchanged_log_flushes_nothing(tmp_path: Path):
    writer = grown(tmp_path, 10)
    assert writer.flush() == 0
    assert TileWriter.open(tmp_path / "new", 0, EMPTY_ROOT).flush() == 0


def test_entries_and_leaf_hashes_must_pair(tmp_path: Path):
    writer = grown(tmp_path, 10)
    with pytest.raises(MalformedError):
        writer.extend([b"a"], [])
    with pytest.raises(MalformedError):
        writer.extend([b"a" * 65536], [bytes(32)])
    assert writer.root() == root_of(LEAVES[:10])


def test_the_reader_cuts_narrow_tiles_from_wider_ones(tmp_path: Path):
    grown(tmp_path, 600)
    reader = TileReader(tmp_path)
    assert reader.tile(0, 1, 7) == b"".join(LEAVES[256:263])
    assert reader.tile(0, 2, 80) == b"".join(LEAVES[512:592])
    assert reader.entries(2, 80) == ENTRIES[512:592]
    assert reader.entries(0, 3) == ENTRIES[:3]
    assert [reader.entry(n) for n in (0, 255, 256, 511, 512, 599, 0)] == [
        ENTRIES[n] for n in (0, 255, 256, 511, 512, 599, 0)
    ]
    for absent in (lambda: reader.entry(600), lambda: reader.tile(0, 2, 89), lambda: reader.tile(1, 1, 1)):
        with pytest.raises(CorruptError, match="lacks this file"):
            absent()
    with pytest.raises(MalformedError):
        reader.tile(0, 0, 257)


def test_ranges_may_begin_and_end_anywhere(tmp_path: Path):
    grown(tmp_path, 600)
    reader = TileReader(tmp_path)
    for start, stop in [(0, 0), (0, 1), (255, 257), (256, 512), (300, 301), (511, 600)]:
        assert list(reader.iter_entries(start, stop)) == ENTRIES[start:stop]
        assert list(reader.leaf_hashes(start, stop)) == LEAVES[start:stop]


def test_a_damaged_bundle_is_named(tmp_path: Path):
    grown(tmp_path, 600)
    path = tmp_path / "tile/entries/001"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptError, match="tile/entries/001"):
        TileReader(tmp_path).entry(300)


def test_the_checkpoint_is_replaced_whole(tmp_path: Path):
    reader = TileReader(tmp_path)
    assert reader.checkpoint() is None
    write_checkpoint(tmp_path, b"one")
    write_checkpoint(tmp_path, b"two")
    assert reader.checkpoint() == b"two"
    assert names(tmp_path) == {"checkpoint"}
    for bad in (b"", bytes(2**20 + 1)):
        with pytest.raises(MalformedError):
            write_checkpoint(tmp_path, bad)


def test_a_tile_that_becomes_full_while_it_is_looked_for_is_found(tmp_path: Path, monkeypatch):
    """A node reads logged entries for repeated acts while its publisher writes."""
    writer = grown(tmp_path, 200)
    list_partials, flushed = tiles._partial_widths, []

    def list_after_the_writer_was_there(folder: Path, wanted: TileRef) -> list[int]:
        if not flushed:
            more = [b"entry %d" % number for number in range(200, 300)]
            writer.extend(more, list(map(leaf_hash, more)))
            flushed.append(writer.flush())
        return list_partials(folder, wanted)

    monkeypatch.setattr(tiles, "_partial_widths", list_after_the_writer_was_there)
    assert TileReader(tmp_path).entry(100)
    assert flushed
    with pytest.raises(CorruptError):
        TileReader(tmp_path).entry(5_000)
