"""One proof for many leaves: it says what the single proofs say, in one form only."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.log.multiproof import MAX_LEAVES, inclusion_multiproof, root_from_multiproof
from ledger.log.proofs import inclusion_proof, root_from_inclusion
from tests.log import rfc9162_oracle as oracle

LEAVES = oracle.made_up_leaves(200)


def get_node_at(size: int):
    return functools.partial(oracle.node, LEAVES[:size])


@st.composite
def cases(draw):
    size = draw(st.integers(1, 200))
    return size, sorted(draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=24)))


@given(cases())
def test_it_leads_to_the_root_and_agrees_with_every_single_proof(case):
    size, indexes = case
    proof = inclusion_multiproof(indexes, size, get_node_at(size))
    leaves = {index: LEAVES[index] for index in indexes}
    root = oracle.mth(LEAVES[:size])
    assert root_from_multiproof(leaves, size, proof) == root
    singles = [inclusion_proof(index, size, get_node_at(size)) for index in indexes]
    assert all(root_from_inclusion(LEAVES[i], i, size, one) == root for i, one in zip(indexes, singles, strict=True))
    assert len(proof) <= sum(map(len, singles))
    assert set(proof) <= {sibling for one in singles for sibling in one}


@given(cases())
def test_for_one_leaf_it_holds_what_the_single_proof_holds(case):
    size, (index, *_) = case
    proof = inclusion_multiproof([index], size, get_node_at(size))
    assert sorted(proof) == sorted(inclusion_proof(index, size, get_node_at(size)))


@given(cases(), st.data())
def test_whatever_is_changed_leads_to_no_root_or_another(case, data):
    size, indexes = case
    proof = inclusion_multiproof(indexes, size, get_node_at(size))
    leaves = {index: LEAVES[index] for index in indexes}
    root = oracle.mth(LEAVES[:size])
    lies = [[*proof, bytes(32)], [bytes(32), *proof]]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        lies += [proof[:at] + proof[at + 1 :], [*proof[:at], bytes(32), *proof[at + 1 :]]]
        lies += [[*proof[:at], proof[at][:-1], *proof[at + 1 :]]]
    for lie in lies:
        try:
            assert root_from_multiproof(leaves, size, lie) != root
        except MalformedError:
            continue
    other = {indexes[0]: bytes(32)} | {index: LEAVES[index] for index in indexes[1:]}
    assert root_from_multiproof(other, size, proof) != root


@pytest.mark.parametrize(
    ("indexes", "size"),
    [([], 5), ([2, 2], 5), ([3, 1], 5), ([5], 5), ([-1, 2], 5), ([0], 0), (list(range(MAX_LEAVES + 1)), 2**20)],
)
def test_indexes_that_ask_for_nothing_lawful_are_refused(indexes, size):
    with pytest.raises(MalformedError):
        inclusion_multiproof(indexes, size, lambda _level, _index: bytes(32))


@pytest.mark.parametrize(("leaves", "size"), [({}, 5), ({5: bytes(32)}, 5), ({-1: bytes(32)}, 5), ({1: b"short"}, 5)])
def test_leaves_that_the_tree_cannot_have_are_refused(leaves, size):
    with pytest.raises(MalformedError):
        root_from_multiproof(leaves, size, [])


def test_all_leaves_need_no_proof():
    assert inclusion_multiproof(range(200), 200, get_node_at(200)) == []
    assert root_from_multiproof(dict(enumerate(LEAVES)), 200, []) == oracle.mth(LEAVES)
