"""Proofs in tries: the published roots, tries of an independent builder, and every way to cheat with a node."""

from __future__ import annotations

import contextlib
import json
from itertools import pairwise

import pytest
import rlp as oracle
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.evidence.chain import ChainInvalidError
from ledger.evidence.chain.trie import EMPTY_ROOT, Nodes, lookup
from tests.evidence.trie_builder import Trie

KEYS = st.binary(min_size=0, max_size=4)
ENTRIES = st.dictionaries(KEYS, st.binary(min_size=1, max_size=40), max_size=24)


def as_bytes(text):
    return bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode()


def prove(trie, key):
    """The value, and exactly the nodes that its proof needs."""
    nodes = Nodes(trie.nodes)
    value = lookup(trie.root, key, nodes)
    return value, nodes.used


def checked(root, key, proof):
    nodes = Nodes(proof)
    value = lookup(root, key, nodes)
    nodes.finish()
    return value


@pytest.mark.parametrize(
    "name",
    ["trietest", "trieanyorder", "trietest_secureTrie", "trieanyorder_secureTrie", "hex_encoded_securetrie_test"],
)
def test_every_entry_of_the_published_tries_is_proven_under_its_published_root(vectors, name):
    secure = "secure" in name
    for case in json.loads((vectors("eth-trie") / "TrieTests" / f"{name}.json").read_bytes()).values():
        given_entries = case["in"].items() if isinstance(case["in"], dict) else case["in"]
        entries: dict[bytes, bytes] = {}
        seen = set()
        for key, value in given_entries:
            raw = keccak(as_bytes(key)) if secure else as_bytes(key)
            seen.add(raw)
            entries.pop(raw, None)
            if value is not None:
                entries[raw] = as_bytes(value)
        trie = Trie(entries)
        assert trie.root == as_bytes(case["root"])
        for key in seen:
            value, proof = prove(trie, key)
            assert value == entries.get(key)
            assert checked(as_bytes(case["root"]), key, proof) == value


@given(ENTRIES, KEYS)
def test_what_is_there_and_what_is_not_is_proven(entries, other):
    trie = Trie(entries)
    for key in [*entries, other]:
        value, proof = prove(trie, key)
        assert value == entries.get(key)
        assert checked(trie.root, key, proof) == value
        assert len(proof) <= 2 * len(key) + 2


@settings(max_examples=60)
@given(st.dictionaries(KEYS, st.binary(min_size=1, max_size=40), min_size=1, max_size=12), KEYS, st.data())
def test_a_proof_without_one_node_or_with_an_altered_one_proves_nothing(entries, key, data):
    trie = Trie(entries)
    _, proof = prove(trie, key)
    place = data.draw(st.integers(0, len(proof) - 1))
    with pytest.raises(ChainInvalidError):
        checked(trie.root, key, proof[:place] + proof[place + 1 :])
    altered = bytearray(proof[place])
    altered[data.draw(st.integers(0, len(altered) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((ChainInvalidError, MalformedError)):
        checked(trie.root, key, [*proof[:place], bytes(altered), *proof[place + 1 :]])


def test_nodes_left_over_twice_or_in_another_order_are_refused():
    trie = Trie({bytes([i, j]): bytes(40) for i in range(4) for j in range(4)})
    _, proof = prove(trie, b"\1\1")
    assert len(proof) > 2
    foreign = Trie({b"x": bytes(60)}).nodes
    for wrong in ([*proof, *foreign], [*proof, proof[0]], proof[::-1]):
        with pytest.raises(MalformedError):
            checked(trie.root, b"\1\1", wrong)


def test_the_empty_trie_proves_absence_and_takes_no_nodes():
    assert checked(EMPTY_ROOT, b"key", []) is None
    with pytest.raises(MalformedError):
        checked(EMPTY_ROOT, b"key", [bytes(40)])
    assert Trie({}).root == EMPTY_ROOT


LEAF = [b"\x20" + b"\x11" * 3, bytes(40)]
DIGEST = keccak(oracle.encode(LEAF))
BRANCH = [DIGEST, DIGEST, *[b""] * 15]


@pytest.mark.parametrize(
    ("node", "more"),
    [
        ([b"\x20", b"value" * 9, b""], []),  # three items
        ([b"\x20"] * 16, []),
        ([], []),
        ([b"", bytes(40)], []),  # no path
        ([b"\x40\x11\x11", bytes(40)], []),  # a flag that does not exist
        ([b"\x51\x11\x11", bytes(40)], []),
        ([b"\x2f" + b"\x11" * 3, bytes(40)], []),  # padding that is not zero
        ([b"\x0f" + b"\x11" * 3, DIGEST], [LEAF]),
        ([[b"\x20"], bytes(40)], []),  # a path that is a list
        ([b"\x20" + b"\x11" * 3, b""], []),  # a leaf without value
        ([b"\x20" + b"\x11" * 3, [bytes(40)]], []),  # a leaf with a list
        ([b"\x00", keccak(oracle.encode(BRANCH))], [BRANCH, LEAF]),  # an extension without path
        ([b"\x11", b""], []),  # an extension to nothing
        ([b"\x11", bytes(31)], []),  # a reference that is none
        ([b"\x11", DIGEST], [LEAF]),  # an extension to a leaf
        ([b"\x11", [b"\x31", b"v"]], []),  # the same, inline
        ([b"\x11", [b"\x20" + b"\x11" * 3, bytes(40)]], []),  # 32 bytes or more inline
        ([b"\x11", *[b""] * 15, b"v"], []),  # a reference of one byte
        ([DIGEST, *[b""] * 16], []),  # a branch with one way
        ([b""] * 17, []),
        ([*[DIGEST] * 16, [b"v"]], [LEAF]),  # a value that is a list
        ([*[[b"\x20" + b"\x11" * 3, bytes(40)]] * 16, b""], []),  # long nodes inline
        ([[b"\x31"]] * 16 + [b"v"], []),  # an inline node of one item
    ],
)
def test_a_node_that_no_trie_has_is_refused_although_it_hashes_right(node, more):
    raw = oracle.encode(node)
    with pytest.raises(MalformedError):
        lookup(keccak(raw), b"\x11" * 4, Nodes([raw, *(oracle.encode(other) for other in more)]))


def test_a_short_node_that_is_referred_to_by_digest_is_refused():
    short = oracle.encode([b"\x31", b"v"])
    branch = oracle.encode([b"", keccak(short), keccak(short), *[b""] * 14])
    with pytest.raises(MalformedError, match="parent"):
        lookup(keccak(branch), b"\x11", Nodes([branch, short]))


def test_a_root_that_is_a_byte_string_is_refused():
    raw = oracle.encode(bytes(40))
    with pytest.raises(MalformedError):
        lookup(keccak(raw), b"\x11", Nodes([raw]))


@given(st.lists(st.binary(max_size=120), max_size=5, unique=True), st.binary(max_size=5))
def test_any_nodes_end_in_an_answer_or_a_refusal(nodes, key):
    root = keccak(nodes[0]) if nodes else bytes(32)
    with contextlib.suppress(MalformedError, ChainInvalidError):
        lookup(root, key, Nodes(nodes))


@given(st.lists(st.recursive(st.binary(max_size=34), lambda i: st.lists(i, max_size=17), max_leaves=40), max_size=17))
def test_any_well_formed_list_as_root_ends_in_an_answer_or_a_refusal(items):
    raw = oracle.encode(items)
    with contextlib.suppress(MalformedError, ChainInvalidError):
        lookup(keccak(raw), b"\x11\x22", Nodes([raw]))


def test_the_builder_stores_each_node_under_its_digest():
    trie = Trie({b"do": b"verb", b"dog": b"puppy", b"doge": b"coin", b"horse": b"stallion"})
    assert all(keccak(raw) == digest for digest, raw in trie.stored.items())
    assert all(a != b for a, b in pairwise(trie.nodes))
