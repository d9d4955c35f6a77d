"""Tile paths, entry bundles, the writer's edge, and nodes resolved from tiles."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import CorruptError, MalformedError
from ledger.log.proofs import consistency_proof, inclusion_proof, verify_consistency, verify_inclusion
from ledger.log.tiles import (
    MAX_TILE_INDEX,
    TileCache,
    TileEdge,
    TileNodes,
    TileRef,
    bundles_between,
    decode_entry_bundle,
    encode_entry_bundle,
    entries_path,
    parse_path,
    partial_tiles,
    tile_path,
    tile_width,
    tiles_between,
)
from ledger.log.tree import root_of
from tests.log import rfc9162_oracle as oracle

LEAVES = oracle.made_up_leaves(70_000)


@functools.cache
def root(size: int) -> bytes:
    return root_of(LEAVES[:size])  # compared with the recursive definition in test_log_tree


@functools.cache
def tile_of_definition(level: int, index: int, width: int) -> bytes:
    """Hashes of a tile by the formula of tlog-tiles, from the leaves."""
    span = 256**level
    starts = [(index * 256 + position) * span for position in range(width)]
    return b"".join(root_of(LEAVES[start : start + span]) for start in starts)


PATHS = [
    (TileRef(0, 0), "tile/0/000"),
    (TileRef(0, 999), "tile/0/999"),
    (TileRef(0, 1000), "tile/0/x001/000"),
    (TileRef(1, 1234067), "tile/1/x001/x234/067"),
    (TileRef(63, 5, 255), "tile/63/005.p/255"),
    (TileRef(0, 1234067, 1), "tile/0/x001/x234/067.p/1"),
    (TileRef(None, 1, 44), "tile/entries/001.p/44"),
    (TileRef(None, 273), "tile/entries/273"),
    (TileRef(0, MAX_TILE_INDEX), "tile/0/x072/x057/x594/x037/x927/935"),
]


@pytest.mark.parametrize(("ref", "path"), PATHS)
def test_a_tile_has_one_path_and_the_path_one_tile(ref, path):
    assert ref.path == path
    assert parse_path(path) == ref


@given(st.one_of(st.none(), st.integers(0, 63)), st.integers(0, MAX_TILE_INDEX), st.integers(1, 256))
def test_every_path_reads_back(level, index, width):
    ref = TileRef(level, index, width)
    assert parse_path(ref.path) == ref


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/067",
        "tile/0/001/067",
        "tile/0/x001",
        "tile/0/x001/x067",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/044",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "tile/\u0661/000",
        "tile/data/000",
        "tile/entries/x000/001",
        "tile/0/x072/x057/x594/x037/x927/936",
        "tile/0/x999/x999/x999/x999/x999/999",
        "tile/0/x001/x001/x001/x001/x001/x001/001",
        "tile/0/../000",
        "x" * 10_000,
    ],
)
def test_any_other_spelling_of_a_path_is_refused(path):
    with pytest.raises(MalformedError):
        parse_path(path)


@pytest.mark.parametrize(
    ("level", "index", "width"),
    [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, MAX_TILE_INDEX + 1, 1), (0, 0, 0), (0, 0, 257)],
)
def test_a_tile_that_cannot_exist_has_no_path(level, index, width):
    with pytest.raises(MalformedError):
        tile_path(level, index, width)
    if level == 0:
        with pytest.raises(MalformedError):
            entries_path(index, width)


def test_the_worked_example_of_the_specification_needs_the_tiles_it_says():
    refs = list(tiles_between(0, 70_000))
    assert [ref for ref in refs if ref.level == 0] == [*(TileRef(0, i) for i in range(273)), TileRef(0, 273, 112)]
    assert [ref for ref in refs if ref.level] == [TileRef(1, 0), TileRef(1, 1, 17), TileRef(2, 0, 1)]
    assert list(tiles_between(0, 256)) == [TileRef(0, 0), TileRef(1, 0, 1)]
    assert partial_tiles(70_000) == [TileRef(0, 273, 112), TileRef(1, 1, 17), TileRef(2, 0, 1)]
    assert partial_tiles(0) == []


@given(st.integers(0, 2**18), st.integers(0, 2**18))
def test_the_tiles_between_two_sizes_are_those_of_the_second_that_the_first_lacks(first, second):
    old, new = sorted((first, second))
    grown = set(tiles_between(0, new)) - set(tiles_between(0, old))
    assert set(tiles_between(old, new)) == grown
    assert {(None, ref.index, ref.width) for ref in grown if ref.level == 0} == {
        (ref.level, ref.index, ref.width) for ref in bundles_between(old, new)
    }
    assert all(tile_width(ref.level, ref.index, new) == ref.width for ref in grown)


@pytest.mark.parametrize(("old", "new"), [(2, 1), (-1, 1), (0, 2**64)])
def test_no_tiles_lie_between_sizes_that_do_not_grow(old, new):
    with pytest.raises(MalformedError):
        list(tiles_between(old, new))


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_an_entry_bundle_reads_back(entries):
    assert decode_entry_bundle(encode_entry_bundle(entries), len(entries)) == entries


def test_an_entry_bundle_has_the_layout_of_the_specification():
    assert encode_entry_bundle([b"", b"ab", b"x" * 65_535])[:8] == b"\x00\x00\x00\x02ab\xff\xff"


@pytest.mark.parametrize("entries", [[], [b""] * 257, [b"x" * 65_536]])
def test_a_bundle_of_too_many_or_too_long_entries_is_not_written(entries):
    with pytest.raises(MalformedError):
        encode_entry_bundle(entries)


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=9), st.data())
def test_a_truncated_or_padded_bundle_is_refused(entries, data):
    bundle = encode_entry_bundle(entries)
    cut = data.draw(st.integers(0, len(bundle) - 1))
    for wrong, width in ((bundle[:cut], len(entries)), (bundle + b"\0", len(entries)), (bundle, len(entries) + 1)):
        with pytest.raises(MalformedError):
            decode_entry_bundle(wrong, width)


@pytest.mark.parametrize("width", [0, -1, 257])
def test_a_bundle_of_an_impossible_width_is_refused(width):
    with pytest.raises(MalformedError):
        decode_entry_bundle(b"", width)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 700), max_size=6), st.booleans())
def test_a_writer_makes_exactly_the_tiles_of_the_definition(groups, stops_between):
    disk: dict[TileRef, bytes] = {}

    def read_tile(level: int, index: int, width: int) -> bytes:
        return disk[TileRef(level, index, width)]

    edge = TileEdge()
    for count in groups:
        old = edge.size
        finished = edge.extend(LEAVES[old : old + count])
        written = dict(finished + edge.partials())
        assert set(tiles_between(old, edge.size)) <= set(written) <= set(tiles_between(0, edge.size))
        disk.update(written)
        assert edge.root() == root(edge.size)
        if stops_between:
            edge = TileEdge.resume(edge.size, read_tile)
    for ref, data in disk.items():
        assert data == tile_of_definition(ref.level, ref.index, ref.width)


def test_a_writer_fills_tiles_of_higher_levels():
    edge = TileEdge()
    written = dict(edge.extend(LEAVES) + edge.partials())
    assert set(written) == set(tiles_between(0, 70_000))
    for ref in (TileRef(1, 0), TileRef(1, 1, 17), TileRef(2, 0, 1)):
        assert written[ref] == tile_of_definition(ref.level, ref.index, ref.width)
    assert edge.root() == root(70_000)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 70_000), st.data())
def test_proofs_made_from_tiles_are_those_made_from_leaves(size, data):
    nodes = TileNodes(size, tile_of_definition)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, nodes.get_node)
    assert verify_inclusion(LEAVES[index], index, size, proof, root(size))
    old = data.draw(st.integers(1, size))
    assert verify_consistency(old, size, root(old), root(size), consistency_proof(old, size, nodes.get_node))


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 300, 511, 513, 1000])
def test_every_perfect_subtree_is_found_in_the_tiles_and_no_other(size):
    nodes = TileNodes(size, tile_of_definition, TileCache(2))
    for level in range(11):
        for index in range(size >> level):
            assert nodes.get_node(level, index) == root_of(LEAVES[index << level : (index + 1) << level])
        with pytest.raises(MalformedError):
            nodes.get_node(level, size >> level)
    for level, index in ((-1, 0), (0, -1), (64, 0), (1000, 0)):
        with pytest.raises(MalformedError):
            nodes.get_node(level, index)


def test_a_proof_from_ten_million_entries_reads_few_tiles_and_a_hot_cache_none():
    reads = []

    def read_tile(level: int, index: int, width: int) -> bytes:
        reads.append((level, index, width))
        return bytes(32 * width)

    cache = TileCache()
    inclusion_proof(4_321_987, 10_000_000, TileNodes(10_000_000, read_tile, cache).get_node)
    assert len(reads) == len(set(reads)) <= 5
    inclusion_proof(4_321_986, 10_000_000, TileNodes(10_000_000, read_tile, cache).get_node)
    assert len(reads) <= 5
    assert (0, 4_321_987 // 256, 256) in reads


def test_a_cache_keeps_what_was_used_last_within_its_bound():
    reads = []

    def read_tile(level: int, index: int, width: int) -> bytes:
        reads.append(index)
        return bytes(32 * width)

    cache = TileCache(2)
    for index in (0, 1, 0, 2, 0, 1):
        cache.rows(0, index, 256, read_tile)
        assert len(cache) <= 2
    assert reads == [0, 1, 2, 1]
    with pytest.raises(ValueError, match="at least one"):
        TileCache(0)


@pytest.mark.parametrize("wrong", [b"", bytes(31), bytes(32 * 43), bytes(32 * 44 + 1), bytes(32 * 256)])
def test_a_tile_of_the_wrong_length_is_never_used(wrong):
    with pytest.raises(CorruptError):
        TileNodes(44, lambda _level, _index, _width: wrong).get_node(0, 0)
    with pytest.raises(CorruptError):
        TileEdge.resume(44, lambda _level, _index, _width: wrong)


@pytest.mark.parametrize("size", [-1, 2**64])
def test_nodes_of_a_tree_of_impossible_size_are_refused(size):
    with pytest.raises(MalformedError):
        TileNodes(size, tile_of_definition)
