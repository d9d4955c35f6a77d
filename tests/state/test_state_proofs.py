"""State proofs: they show what the tree holds and what it does not, in one form, and nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.state.proofs import MAX_CLAIMS, StateProof, make_state_proof, root_from_state_proof
from ledger.state.tree import EMPTY, KEY_BITS, fold, leaf_hash, node_hash, record_hash
from ledger.statements.cbor import decode, encode
from tests.state.naive_tree import NaiveTree, bits

BASE = hashlib.sha256(b"base").digest()


class Naive:
    """A subtree of the oracle, in the shape that the maker of proofs asks for."""

    def __init__(self, tree: NaiveTree, prefix: str = "") -> None:
        self.tree, self.prefix = tree, prefix
        self.items = tree.under(prefix)

    @property
    def leaves(self) -> int:
        return min(len(self.items), 2)

    @property
    def hash(self) -> bytes:
        return self.tree.hash(self.prefix)

    @property
    def only(self) -> tuple[bytes, bytes]:
        return self.items[0][1:]

    def halves(self) -> tuple[Naive, Naive]:
        return Naive(self.tree, self.prefix + "0"), Naive(self.tree, self.prefix + "1")


def with_prefix(shared: int, seed: bytes) -> bytes:
    """A key that agrees with BASE in its first `shared` bits and differs in the next."""
    tail = int.from_bytes(hashlib.sha256(seed).digest(), "big")
    low = KEY_BITS - shared
    number = int.from_bytes(BASE, "big") >> low << low | tail & ((1 << low) - 1)
    if low:
        bit = 1 << (low - 1)
        number = number & ~bit | ~int.from_bytes(BASE, "big") & bit
    return number.to_bytes(32, "big")


keys = st.one_of(
    st.binary(max_size=3).map(lambda seed: hashlib.sha256(seed).digest()),
    st.builds(with_prefix, st.integers(0, 255), st.binary(max_size=1)),
)
states = st.dictionaries(keys, st.binary(max_size=4), max_size=24)


def prove(records: dict[bytes, bytes], names: list[bytes]) -> StateProof:
    return make_state_proof(Naive(NaiveTree(records)), names)


def claims(records: dict[bytes, bytes], names: list[bytes]) -> dict[bytes, bytes | None]:
    return {name: records.get(name) for name in names}


@settings(max_examples=60, deadline=None)
@given(states)
def test_the_fold_of_sorted_leaves_is_the_root(records: dict[bytes, bytes]):
    names = sorted(records)
    hashes = [leaf_hash(name, record_hash(records[name])) for name in names]
    assert fold([int.from_bytes(name, "big") for name in names], hashes, 0) == NaiveTree(records).hash()


@settings(max_examples=60, deadline=None)
@given(states, st.lists(keys, min_size=1, max_size=6, unique=True))
def test_presence_and_absence_are_proven_together(records: dict[bytes, bytes], absent: list[bytes]):
    tree = NaiveTree(records)
    names = sorted({*list(records)[:4], *absent})
    proof = prove(records, names)
    depths, others, siblings = tree.multiproof(names)
    assert (list(proof.depths), list(proof.others), list(proof.siblings)) == (depths, others, siblings)
    assert root_from_state_proof(claims(records, names), proof) == tree.hash()
    assert StateProof.from_cbor_object(decode(encode(proof.to_cbor_object()))) == proof


@settings(max_examples=40, deadline=None)
@given(states, keys)
def test_a_proof_for_one_key_is_its_siblings_root_first(records: dict[bytes, bytes], key: bytes):
    depth, other, siblings = NaiveTree(records).proof(key)
    assert prove(records, [key]) == StateProof((depth,), (other,), tuple(siblings))


@settings(max_examples=60, deadline=None)
@given(states.filter(bool), st.lists(keys, min_size=1, max_size=4, unique=True), st.data())
def test_a_false_claim_leads_to_another_root_or_nowhere(
    records: dict[bytes, bytes], absent: list[bytes], data: st.DataObject
):
    names = sorted({*list(records)[:3], *absent})
    proof = prove(records, names)
    said = claims(records, names)
    name = data.draw(st.sampled_from(names))
    said[name] = data.draw(st.sampled_from([None, b"another record"]).filter(lambda value: value != said[name]))
    with contextlib.suppress(MalformedError):
        assert root_from_state_proof(said, proof) != NaiveTree(records).hash()


@settings(max_examples=120, deadline=None)
@given(states, st.lists(keys, min_size=1, max_size=4, unique=True), st.data())
def test_a_changed_proof_never_leads_to_the_root(records: dict[bytes, bytes], names: list[bytes], data: st.DataObject):
    proof = prove(records, names)
    kind = data.draw(st.sampled_from(["depth", "drop", "add", "swap", "hash", "other"]))
    depths, others, siblings = list(proof.depths), list(proof.others), list(proof.siblings)
    at = data.draw(st.integers(0, len(names) - 1))
    if kind == "depth":
        depths[at] += data.draw(st.sampled_from([-1, 1, 7]))
    elif kind == "drop" and siblings:
        del siblings[data.draw(st.integers(0, len(siblings) - 1))]
    elif kind == "add":
        siblings.insert(data.draw(st.integers(0, len(siblings))), data.draw(st.sampled_from([EMPTY, b"\x01" * 32])))
    elif kind == "swap":
        siblings.reverse()
    elif kind == "hash" and siblings:
        siblings[-1] = EMPTY if siblings[-1] != EMPTY else b"\x02" * 32
    else:
        others[at] = (BASE, bytes(32)) if others[at] is None else None
    changed = StateProof(tuple(depths), tuple(others), tuple(siblings))
    if changed == proof:
        return
    with contextlib.suppress(MalformedError):
        assert root_from_state_proof(claims(records, names), changed) != NaiveTree(records).hash()


def test_the_empty_tree_proves_absence():
    assert root_from_state_proof({BASE: None}, StateProof((0,), (None,), ())) == EMPTY
    assert root_from_state_proof({BASE: None, bytes(32): None}, StateProof((0, 0), (None, None), ())) == EMPTY


LEFT, RIGHT = bytes(32), b"\xff" * 32
BESIDE = b"\x7f" + bytes(31)  # in the left half


@pytest.mark.parametrize(
    ("said", "proof"),
    [
        ({LEFT: b"r"}, StateProof((1,), (None,), (EMPTY,))),
        ({LEFT: None}, StateProof((1,), (None,), (EMPTY,))),
        ({LEFT: None}, StateProof((1,), ((BESIDE, bytes(32)),), (EMPTY,))),
        ({LEFT: b"r", RIGHT: None}, StateProof((1, 1), (None, None), ())),
        ({LEFT: None, RIGHT: None}, StateProof((1, 1), (None, None), ())),
    ],
)
def test_an_empty_subtree_beside_a_leaf_or_an_empty_end_is_refused(said: dict[bytes, bytes | None], proof: StateProof):
    with pytest.raises(MalformedError, match="higher up"):
        root_from_state_proof(said, proof)


def test_an_empty_subtree_beside_a_larger_one_is_not_refused():
    proof = StateProof((2,), (None,), (EMPTY, b"\x05" * 32))
    leaf = leaf_hash(LEFT, record_hash(b"r"))
    assert root_from_state_proof({LEFT: b"r"}, proof) == node_hash(node_hash(leaf, b"\x05" * 32), EMPTY)


@pytest.mark.parametrize(
    ("said", "proof", "why"),
    [
        ({LEFT: None}, StateProof((1,), ((RIGHT, bytes(32)),), (b"\x05" * 32,)), "not lie on that path"),
        ({LEFT: None}, StateProof((0,), ((LEFT, bytes(32)),), ()), "key's own"),
        ({LEFT: b"r"}, StateProof((0,), ((RIGHT, bytes(32)),), ()), "its own leaf"),
        ({LEFT: b"r"}, StateProof((0,), (None,), (EMPTY,)), "more siblings"),
        ({LEFT: b"r"}, StateProof((2,), (None,), (b"\x05" * 32,)), "fewer siblings"),
        ({LEFT: b"r", BESIDE: None}, StateProof((0, 1), (None, None), ()), "different"),
        ({LEFT: b"r", BESIDE: None}, StateProof((0, 0), (None, None), ()), "different"),
        ({LEFT: b"r", RIGHT: b"r"}, StateProof((1,), (None,), ()), "2"),
        ({LEFT: b"r"}, StateProof((257,), (None,), (b"\x05" * 32,) * 257), "0 to 256"),
        ({LEFT: b"r"}, StateProof((-1,), (None,), ()), "0 to 256"),
        ({LEFT: b"r"}, StateProof((True,), (None,), (b"\x05" * 32,)), "integer"),
        ({LEFT: b"r"}, StateProof((1,), (None,), (b"\x05" * 31,)), "32 bytes"),
        ({LEFT: b"r"}, StateProof((256,), (None,), (b"\x05" * 32,) * 257), "more than 256"),
        ({LEFT[1:]: b"r"}, StateProof((0,), (None,), ()), "32 bytes"),
        ({}, StateProof((), (), ()), "1 to 4096"),
    ],
)
def test_a_proof_of_another_shape_is_refused(said: dict[bytes, bytes | None], proof: StateProof, why: str):
    with pytest.raises(MalformedError, match=why):
        root_from_state_proof(said, proof)


def test_a_path_may_be_256_siblings_long():
    twin = BASE[:-1] + bytes([BASE[-1] ^ 1])
    records = {BASE: b"a", twin: b"b"}
    proof = prove(records, [BASE])
    assert proof.depths == (256,)
    assert root_from_state_proof({BASE: b"a"}, proof) == NaiveTree(records).hash()
    assert bits(BASE)[:255] == bits(twin)[:255]


@pytest.mark.parametrize(
    "obj",
    [
        None, b"", [], [[], [], b""], [[0], [b""]], [[0], [b""], b"", 1], [["0"], [b""], b""], [[0], [None], b""],
        [[0], [b"\x00" * 63], b""], [[0], [b""], b"\x00" * 31], [[0], [b""], []], [[0, 0], [b""], b""], [0, [b""], b""],
        [[0] * (MAX_CLAIMS + 1), [b""] * (MAX_CLAIMS + 1), b""], [[2**70], [b""], b""], {0: 1, 1: 2, 2: 3},
    ],
)  # fmt: skip
def test_what_is_no_proof_is_refused(obj: Any):
    with pytest.raises(MalformedError):
        StateProof.from_cbor_object(obj)


def test_a_proof_for_no_key_is_not_made():
    with pytest.raises(MalformedError):
        prove({BASE: b"r"}, [])
    with pytest.raises(MalformedError):
        prove({BASE: b"r"}, [b"short"])


def test_a_proof_is_a_value():
    proof = prove({BASE: b"r"}, [BASE])
    with pytest.raises(dataclasses.FrozenInstanceError):
        proof.depths = ()  # type: ignore[misc]
