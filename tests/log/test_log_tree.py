"""Tree hashing and the compact range, against published roots and the recursive definition."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.log.tree import EMPTY_ROOT, CompactRange, leaf_hash, node_hash, root_of
from tests.log import rfc9162_oracle as oracle

# The eight reference leaves and roots of transparency-dev/merkle (testonly/constants.go, Apache-2.0).
REFERENCE_LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
REFERENCE_ROOTS = [
    bytes.fromhex(text)
    for text in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]


@pytest.mark.parametrize("size", range(9))
def test_the_reference_tree_has_the_published_root_at_every_size(size):
    leaves = [leaf_hash(entry) for entry in REFERENCE_LEAVES[:size]]
    grown = CompactRange()
    for leaf in leaves:
        grown.append(leaf)
    assert root_of(leaves) == grown.root() == REFERENCE_ROOTS[size]


def test_the_empty_tree_has_the_hash_of_nothing_as_root():
    assert CompactRange().root() == root_of([]) == EMPTY_ROOT == hashlib.sha256(b"").digest()


def test_leaves_and_nodes_are_hashed_apart():
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(b"a") == hashlib.sha256(b"\x00a").digest()
    assert node_hash(left, right) == hashlib.sha256(b"\x01" + left + right).digest()
    assert node_hash(left, right) != leaf_hash(left + right)
    assert node_hash(left, right) != node_hash(right, left)


@pytest.mark.parametrize("size", range(71))
def test_every_small_tree_has_the_root_that_the_definition_gives(size):
    leaves = oracle.made_up_leaves(size)
    assert root_of(leaves) == oracle.mth(leaves)


@given(st.lists(st.integers(0, 70), max_size=8))
def test_any_mixture_of_appends_and_extensions_grows_the_same_tree(groups):
    leaves = oracle.made_up_leaves(sum(groups))
    grown = CompactRange()
    start = 0
    for count in groups:
        group = leaves[start : start + count]
        if count == 1:
            grown.append(group[0])
        else:
            grown.extend(group)
        start += count
        assert grown.size == start
        assert grown.root() == oracle.mth(leaves[:start])
    again = CompactRange.from_hashes(grown.size, grown.hashes)
    assert (again.size, again.hashes, again.root()) == (grown.size, grown.hashes, grown.root())


def test_extending_returns_the_completed_nodes_of_every_eighth_level():
    leaves = oracle.made_up_leaves(700)
    grown = CompactRange()
    assert grown.extend(leaves[:200]) == [leaves[:200]]
    assert grown.extend(leaves[200:]) == [leaves[200:], [oracle.mth(leaves[:256]), oracle.mth(leaves[256:512])]]
    assert grown.extend([]) == []
    assert grown.size == 700


def test_extending_a_copy_leaves_the_original_as_it_was():
    leaves = oracle.made_up_leaves(9)
    kept = CompactRange()
    kept.extend(leaves[:5])
    tried = kept.copy()
    tried.extend(leaves[5:])
    assert kept.root() == oracle.mth(leaves[:5])
    assert tried.root() == oracle.mth(leaves)


@pytest.mark.parametrize(
    ("size", "hashes"),
    [
        (3, [bytes(32)]),
        (4, [bytes(32)] * 2),
        (0, [bytes(32)]),
        (1, [bytes(31)]),
        (-1, []),
        (2**64, [bytes(32)]),
    ],
)
def test_a_range_with_hashes_that_do_not_fit_its_size_is_refused(size, hashes):
    with pytest.raises(MalformedError):
        CompactRange.from_hashes(size, hashes)
