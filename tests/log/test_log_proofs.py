"""Inclusion, consistency and range proofs: equal to the definition, and refused when anything is changed."""

from __future__ import annotations

import contextlib
import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.log.proofs import (
    consistency_proof,
    inclusion_proof,
    range_proof,
    root_from_inclusion,
    root_from_range,
    verify_consistency,
    verify_inclusion,
)
from ledger.log.tree import EMPTY_ROOT
from tests.log import rfc9162_oracle as oracle

LEAVES = oracle.made_up_leaves(70)


@functools.cache
def root(size: int) -> bytes:
    return oracle.mth(LEAVES[:size])


def get_node_at(size: int):
    """Answer for a tree of exactly `size` leaves: asking past its end fails the test."""
    return functools.partial(oracle.node, LEAVES[:size])


def flipped(value: bytes) -> bytes:
    return value[:-1] + bytes((value[-1] ^ 1,))


def mutations(proof):
    """Every way of changing one thing in a proof."""
    for position, value in enumerate(proof):
        yield [*proof[:position], flipped(value), *proof[position + 1 :]]
        yield [*proof[:position], *proof[position + 1 :]]
        yield [*proof[:position], value, *proof[position:]]
        yield [*proof[:position], value[:-1], *proof[position + 1 :]]
        if position and value != proof[position - 1]:
            yield [*proof[: position - 1], value, proof[position - 1], *proof[position + 1 :]]
    yield [*proof, bytes(32)]
    yield [bytes(32), *proof]
    yield [bytes(32)] * 66


@pytest.mark.parametrize("size", range(1, 71))
def test_every_leaf_has_the_inclusion_proof_that_the_definition_gives(size):
    for index in range(size):
        proof = inclusion_proof(index, size, get_node_at(size))
        assert proof == oracle.path(index, LEAVES[:size])
        assert root_from_inclusion(LEAVES[index], index, size, proof) == root(size)
        assert verify_inclusion(LEAVES[index], index, size, proof, root(size))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 70])
def test_a_changed_inclusion_proof_is_refused(size):
    for index in range(size):
        proof = oracle.path(index, LEAVES[:size])
        leaf = LEAVES[index]
        for wrong in mutations(proof):
            assert not verify_inclusion(leaf, index, size, wrong, root(size))
        assert not verify_inclusion(flipped(leaf), index, size, proof, root(size))
        assert not verify_inclusion(leaf[:-1], index, size, proof, root(size))
        assert not verify_inclusion(leaf, index, size, proof, flipped(root(size)))
        for other in range(-1, size + 2):
            if other != index:
                assert not verify_inclusion(leaf, other, size, proof, root(size))


@pytest.mark.parametrize("size", range(1, 34))
def test_an_inclusion_proof_does_not_hold_under_the_root_of_another_size(size):
    for index in range(size):
        proof = oracle.path(index, LEAVES[:size])
        for other in range(1, 40):
            if other != size:
                assert not verify_inclusion(LEAVES[index], index, other, proof, root(other))


def test_a_proof_longer_than_the_claimed_size_allows_is_refused_even_where_its_hashes_lead_to_the_root():
    assert not verify_inclusion(LEAVES[1], 0, 1, [LEAVES[0]], root(2))
    assert not verify_inclusion(LEAVES[4], 0, 1, [root(4)], root(5))
    assert not verify_inclusion(LEAVES[5], 1, 2, [LEAVES[4], root(4)], root(6))


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 5), (5, 5), (0, 2**64), (0, -1)])
def test_no_inclusion_proof_exists_for_a_leaf_outside_the_tree(index, size):
    with pytest.raises(MalformedError):
        inclusion_proof(index, size, get_node_at(70))
    with pytest.raises(MalformedError):
        root_from_inclusion(LEAVES[0], index, size, [])
    assert not verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])


def test_the_only_leaf_of_a_tree_is_its_root_and_needs_no_proof():
    assert inclusion_proof(0, 1, get_node_at(1)) == []
    assert verify_inclusion(LEAVES[0], 0, 1, [], LEAVES[0])


@pytest.mark.parametrize("new", range(71))
def test_every_pair_of_sizes_has_the_consistency_proof_that_the_definition_gives(new):
    for old in range(new + 1):
        proof = consistency_proof(old, new, get_node_at(new))
        if old:
            assert proof == oracle.proof(old, LEAVES[:new])
        assert verify_consistency(old, new, root(old), root(new), proof)


@pytest.mark.parametrize("new", [1, 2, 3, 4, 6, 7, 8, 13, 16, 17, 33])
def test_a_changed_consistency_proof_is_refused(new):
    for old in range(new + 1):
        proof = consistency_proof(old, new, get_node_at(new))
        for wrong in mutations(proof):
            assert not verify_consistency(old, new, root(old), root(new), wrong)
        assert not verify_consistency(old, new, flipped(root(old)), root(new), proof)
        assert not verify_consistency(old, new, root(old)[:-1], root(new), proof)
        if old:  # from nothing every tree follows, so that any new root stands there
            assert not verify_consistency(old, new, root(old), flipped(root(new)), proof)
        for other in range(new + 3):
            if other != old:
                assert not verify_consistency(other, new, root(old), root(new), proof)


def test_every_tree_follows_from_the_empty_one_by_the_empty_proof_only():
    assert consistency_proof(0, 5, get_node_at(5)) == []
    assert verify_consistency(0, 5, EMPTY_ROOT, root(5), [])
    assert verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])
    assert not verify_consistency(0, 5, bytes(32), root(5), [])
    assert not verify_consistency(0, 0, bytes(32), bytes(32), [])
    assert not verify_consistency(0, 0, EMPTY_ROOT, bytes(32), [])
    assert not verify_consistency(0, 5, EMPTY_ROOT, root(5), [bytes(32)])


def test_two_roots_at_one_size_are_never_consistent():
    assert verify_consistency(5, 5, root(5), root(5), [])
    assert not verify_consistency(5, 5, root(5), root(6), [])
    assert not verify_consistency(5, 5, root(5), root(5), [root(5)])


@pytest.mark.parametrize(("old", "new"), [(6, 5), (-1, 5), (0, 2**64)])
def test_no_consistency_proof_leads_backwards_or_outside_the_integers(old, new):
    with pytest.raises(MalformedError):
        consistency_proof(old, new, get_node_at(70))
    assert not verify_consistency(old, new, root(6), root(5), [])


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=66))
def test_made_up_proofs_of_any_size_are_refused_without_raising(first, second, proof):
    assert not verify_inclusion(bytes(32), first, second, proof, b"\x01" * 32)
    assert not verify_consistency(max(first, 1), max(second, 2), bytes(32), b"\x01" * 32, proof)


def test_the_largest_tree_stays_within_the_bounds_of_proofs():
    def get_node(level: int, index: int) -> bytes:
        assert (index + 1) << level <= 2**64 - 1
        return bytes(32)

    proof = inclusion_proof(2**63 + 5, 2**64 - 1, get_node)
    assert len(proof) == 64
    assert len(root_from_inclusion(bytes(32), 2**63 + 5, 2**64 - 1, proof)) == 32
    assert len(consistency_proof(2**63 + 5, 2**64 - 1, get_node)) == 65


@pytest.mark.parametrize("size", range(1, 21))
def test_every_run_of_a_small_tree_is_proven_by_its_range_proof(size):
    leaves = LEAVES[:size]
    for first in range(size):
        for count in range(1, size - first + 1):
            proof = range_proof(first, count, leaves)
            run = leaves[first : first + count]
            assert root_from_range(first, run, size, proof) == root(size)
            if count == 1:
                assert sorted(proof) == sorted(oracle.path(first, leaves))
            if count == size:
                assert proof == []


@pytest.mark.parametrize("size", [1, 2, 5, 8, 13])
def test_a_changed_range_proof_or_run_gives_no_root_or_another(size):
    leaves = LEAVES[:size]

    def refused(first, run, claimed, proof):
        try:
            return root_from_range(first, run, claimed, proof) != root(size)
        except MalformedError:
            return True

    for first in range(size):
        for count in range(1, size - first + 1):
            proof = range_proof(first, count, leaves)
            run = leaves[first : first + count]
            assert all(refused(first, run, size, wrong) for wrong in mutations(proof))
            assert all(refused(other, run, size, proof) for other in range(-1, size + 1) if other != first)
            assert refused(first, [*run[:-1], flipped(run[-1])], size, proof)
            assert refused(first, run[:-1], size, proof)
            assert refused(first, [*run, bytes(32)], size, proof)
            assert refused(first, [*run[:-1], run[-1][:-1]], size, proof)


@pytest.mark.parametrize(("first", "count"), [(0, 0), (-1, 2), (5, 1), (3, 3)])
def test_an_empty_run_or_one_outside_the_tree_has_no_range_proof(first, count):
    with pytest.raises(MalformedError):
        range_proof(first, count, LEAVES[:5])
    with pytest.raises(MalformedError):
        root_from_range(first, LEAVES[:count], 5, [])


@given(st.data())
def test_a_range_proof_holds_for_any_run_of_any_group(data):
    size = data.draw(st.integers(1, 300))
    first = data.draw(st.integers(0, size - 1))
    count = data.draw(st.integers(1, size - first))
    leaves = oracle.made_up_leaves(size)
    proof = range_proof(first, count, leaves)
    assert len(proof) <= 2 * size.bit_length()
    assert root_from_range(first, leaves[first : first + count], size, proof) == oracle.mth(leaves)


@given(
    st.integers(-2, 2**64),
    st.lists(st.binary(min_size=32, max_size=32), max_size=4),
    st.integers(-2, 2**64),
    st.lists(st.binary(min_size=32, max_size=32), max_size=130),
)
def test_a_made_up_range_proof_is_refused_or_gives_a_root_but_raises_nothing_else(first, run, size, proof):
    with contextlib.suppress(MalformedError):
        assert len(root_from_range(first, run, size, proof)) == 32
