"""Headers, validator sets, commits and ICS-23 proofs: against those of a real network, and against every alteration."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.evidence.chain import ChainInvalidError
from ledger.evidence.chain.comet import wire
from ledger.evidence.chain.comet.commit import Commit, Link, Signature, verify_commit, verify_links
from ledger.evidence.chain.comet.header import Header
from ledger.evidence.chain.comet.ics23 import (
    Absence,
    Existence,
    iavl_root,
    proof_from_items,
    store_root,
)
from ledger.evidence.chain.comet.validators import MAX_POWER, Validator, ValidatorSet
from tests.comet_world import (
    FIVE,
    FOUR,
    STORES,
    Comet,
    Member,
    Tree,
    base128,
    commit,
    digest,
    header,
    header_hash,
    ics23_existence,
    merkle,
    merkle_path,
    ordered,
    proto,
    rpc_commit,
    rpc_header,
    rpc_validators,
    set_hash,
    set_of,
    zigzag,
)

REFUSALS = (MalformedError, ChainInvalidError)


# --- a real network's -------------------------------------------------------------------------------------------------


class Real:
    """Header, commit, set and proofs that a network of four validators gave."""

    def __init__(self, folder: Path) -> None:
        def read(name: str) -> Any:
            return json.loads((folder / name).read_bytes())

        signed = read("raw_commit.json")["result"]["signed_header"]
        self.header, self.commit = rpc_header(signed["header"]), rpc_commit(signed["commit"])
        self.hash = bytes.fromhex(signed["commit"]["block_id"]["hash"])
        self.validators = rpc_validators(read("raw_validators.json")["result"]["validators"])
        entries = read("state.json")["entries"] if "entries" in read("state.json") else read("state.json")
        self.proofs = [
            (bytes.fromhex(one["key"]), ics23_existence(base64.b64decode(one["iavl"])),
             ics23_existence(base64.b64decode(one["store"])))
            for one in entries.values() if isinstance(one, dict) and "iavl" in one
        ]  # fmt: skip


@pytest.fixture
def real(vectors: Callable[[str], Path]) -> Real:
    return Real(vectors("cometbft-evidence"))


def test_a_real_block_has_its_hash_its_validators_and_their_votes(real: Real):
    assert real.header.hash() == real.hash
    assert real.validators.hash() == real.header.validators_hash == real.header.next_validators_hash
    assert verify_commit(real.header, real.commit, real.validators) == (0, 1, 2, 3)


def test_what_a_real_state_holds_is_proven_under_its_header(real: Real):
    assert len(real.proofs) >= 3
    for key, leaf, store in real.proofs:
        assert leaf.key == key
        assert (store.key, store.value) == (b"evm", iavl_root(leaf))
        assert store_root(store) == real.header.app_hash


def altered(value: Any) -> list[Any]:
    """Values of the same type, close by."""
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, str):
        return [value + "x", value[:-1], value.upper()]
    return [value[:-1], value + b"\0", *([bytes([value[0] ^ 1]) + value[1:], bytes(len(value))] if value else [])]


def test_every_field_of_a_real_block_counts(real: Real):
    for one in fields(Header):
        for value in altered(getattr(real.header, one.name)):
            with pytest.raises(REFUSALS):
                verify_commit(replace(real.header, **{one.name: value}), real.commit, real.validators)
    for name in ("round", "parts_total", "parts_hash"):
        for value in altered(getattr(real.commit, name)):
            with pytest.raises(REFUSALS):
                verify_commit(real.header, replace(real.commit, **{name: value}), real.validators)


def test_every_vote_of_a_real_block_counts_and_one_may_be_missing(real: Real):
    votes = real.commit.signatures

    def check(signatures: tuple[Signature | None, ...]) -> tuple[int, ...]:
        return verify_commit(real.header, replace(real.commit, signatures=signatures), real.validators)

    for place, vote in enumerate(votes):
        assert vote is not None
        for name in Signature._fields:
            for value in altered(getattr(vote, name)):
                wrong = vote._replace(**{name: value})
                with pytest.raises(REFUSALS):
                    check((*votes[:place], wrong, *votes[place + 1 :]))
        without = (*votes[:place], None, *votes[place + 1 :])
        assert check(without) == tuple(i for i in range(4) if i != place)
    for wrong_votes in ((*votes[:2], None, None), votes[::-1], votes[:3], (*votes, None), (votes[0],) * 4):
        with pytest.raises(ChainInvalidError):
            check(wrong_votes)


def test_every_part_of_a_real_proof_counts(real: Real):
    for _, leaf, store in real.proofs:
        for proof, root in ((leaf, iavl_root), (store, store_root)):
            expected = root(proof)
            variants = [proof._replace(**{n: v}) for n in ("key", "value", "leaf_prefix") for v in altered(proof[:3][
                Existence._fields.index(n)])]  # fmt: skip
            for place, (before, after) in enumerate(proof.path):
                steps = [(v, after) for v in altered(before)] + [(before, v) for v in altered(after)]
                variants += [_with(proof, place, step) for step in [*steps, (after, before), (before + after, b"")]]
                variants.append(proof._replace(path=proof.path[:place] + proof.path[place + 1 :]))
            for variant in variants:
                if variant != proof:
                    assert not proves(root, variant, expected)


def _with(proof: Existence, place: int, step: tuple[bytes, bytes]) -> Existence:
    return proof._replace(path=(*proof.path[:place], step, *proof.path[place + 1 :]))


def proves(root: Callable[[Any], bytes], proof: Any, expected: bytes) -> bool:
    try:
        return root(proof) == expected
    except REFUSALS:
        return False


# --- encodings --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**63 - 1), st.binary(max_size=300))
def test_fields_are_written_as_the_guide_of_protocol_buffers_has_them(value, raw):
    assert wire.varint(value) == base128(value)
    assert wire.number(3, value) + wire.data(4, raw) == proto((3, value), (4, raw))
    assert wire.message(2, b"") == b"\x12\0"
    assert wire.fixed(2, value) == (b"\x11" + value.to_bytes(8, "little") if value else b"")


_hash = st.sampled_from([b"", digest(b"a"), digest(b"b")])


@given(
    st.integers(1, 2**63 - 1), st.integers(1, 2**40 - 1), st.integers(0, 999_999_999), _hash, st.integers(0, 2**32 - 1),
    st.text(min_size=1, max_size=12),
)  # fmt: skip
def test_a_header_hashes_as_specified_and_reads_back(height, seconds, nanos, some, total, name):
    assume(name.isprintable())
    made = header(
        height, seconds, FOUR, FIVE, nanos=nanos, last_block_hash=some, last_parts_hash=some, last_parts_total=total,
        chain_id=name, app_version=total,
    )  # fmt: skip
    assert made.hash() == header_hash(made)
    assert Header.from_items(made.to_items()) == made


BLOCK = header(42, 2_000, FOUR, FOUR)
WRONG = [None, True, -1, 2**63, 1.5, "", "x" * 51, "\ud800", b"", bytes(31), bytes(33), [], {}]


@pytest.mark.parametrize("place", range(18))
def test_a_field_of_another_type_or_size_is_refused(place):
    items = BLOCK.to_items()
    assert len(items) == 18
    maybe_empty = {6, 8, 9, 10, 14, 15, 16}
    for wrong in WRONG:
        if wrong == b"" and place in maybe_empty:
            continue
        with pytest.raises(MalformedError):
            Header.from_items([*items[:place], wrong, *items[place + 1 :]])
    for wrong in (None, items[:-1], [*items, 1], tuple(items), "x" * 18):
        with pytest.raises(MalformedError):
            Header.from_items(wrong)


# --- validators -------------------------------------------------------------------------------------------------------


powers = st.lists(st.integers(1, 2**40), min_size=1, max_size=8)


@given(powers)
def test_a_set_hashes_as_specified_whatever_the_order_it_is_given_in(given_powers):
    members = tuple(Member(f"v{i}", power) for i, power in enumerate(given_powers))
    found = ValidatorSet.of([Validator(one.key, one.power) for one in members])
    assert found == set_of(members)
    assert found.hash() == set_hash(members)
    assert ValidatorSet.from_items(found.to_items()) == found


def test_a_set_has_one_order_distinct_keys_and_bounded_power():
    ours = set_of((*FOUR[:3], Member("strong", 11))).members
    assert ours[0].power == 11
    swapped = (ours[0], ours[2], ours[1], ours[3])
    keys = [Validator(bytes([i]) * 32, 1) for i in range(2)]
    for wrong in (
        (), ours[::-1], swapped, (*ours, ours[-1]), (ours[0]._replace(power=0),), (ours[0]._replace(power=-1),),
        (ours[0]._replace(key=bytes(31)),), (Validator(ours[0].key, power=True),),
        (ours[0]._replace(power=MAX_POWER + 1),), tuple(Validator(bytes([i]) * 32, MAX_POWER) for i in range(2)),
    ):  # fmt: skip
        with pytest.raises(MalformedError):
            ValidatorSet(wrong)
    with pytest.raises(MalformedError, match="validators"):
        ValidatorSet.of([Validator(digest(b"%d" % i), 1) for i in range(257)])
    with pytest.raises(MalformedError):
        ValidatorSet.of([keys[0], Validator("no key", 1)])  # type: ignore[arg-type]
    assert ValidatorSet((Validator(ours[0].key, MAX_POWER),)).total == 2**60 - 1
    for items in (None, [], [[1, 2]], [[bytes(32)]], [[bytes(32), 1, 1]], [[bytes(32), "1"]], [None], {}):
        with pytest.raises(MalformedError):
            ValidatorSet.from_items(items)


# --- commits ----------------------------------------------------------------------------------------------------------


@given(powers, st.data())
@settings(max_examples=40, deadline=None)
def test_more_than_two_thirds_of_the_power_make_a_block_final(given_powers, data):
    members = tuple(Member(f"v{i}", power) for i, power in enumerate(given_powers))
    signers = tuple(one for one in members if data.draw(st.booleans()))
    over = header(42, 2_000, members, members)
    votes = commit(over, members, signers, data.draw(st.sampled_from([0, 1, 300])))
    assert Commit.from_items(votes.to_items()) == votes
    if 3 * sum(one.power for one in signers) > 2 * sum(given_powers):
        expected = tuple(place for place, one in enumerate(ordered(members)) if one in signers)
        assert verify_commit(over, votes, set_of(members)) == expected
    else:
        with pytest.raises(ChainInvalidError, match="two thirds"):
            verify_commit(over, votes, set_of(members))


def test_exactly_two_thirds_are_too_few():
    three = FOUR[:3]
    over = header(42, 2_000, three, three)
    with pytest.raises(ChainInvalidError, match="20 of 30"):
        verify_commit(over, commit(over, three, three[:2]), set_of(three))


def test_a_vote_that_does_not_verify_is_not_skipped():
    """Three of four are enough, and yet the fourth must not be false: nothing in evidence is unchecked."""
    votes = commit(BLOCK, FOUR)
    other = commit(header(43, 2_000, FOUR, FOUR), FOUR)
    mixed = replace(votes, signatures=(*votes.signatures[:3], other.signatures[3]))
    with pytest.raises(ChainInvalidError, match="does not verify"):
        verify_commit(BLOCK, mixed, set_of(FOUR))


def test_the_votes_are_of_the_set_that_the_header_names():
    with pytest.raises(ChainInvalidError, match="other validators"):
        verify_commit(BLOCK, commit(BLOCK, FIVE), set_of(FIVE))
    over = header(42, 2_000, FOUR, FOUR, validators_hash=set_hash(FIVE))
    with pytest.raises(ChainInvalidError, match="other validators"):
        verify_commit(over, commit(over, FOUR), set_of(FOUR))


def test_a_commit_of_another_form_is_refused():
    items = commit(BLOCK, FOUR).to_items()
    vote = items[3][0]
    for place, wrong in [
        (0, -1), (0, 2**31), (0, None), (1, 0), (1, 2**32), (2, bytes(31)), (2, None), (3, []), (3, None), (3, [1]),
        (3, [vote[:2]]), (3, [[0, 0, bytes(64)]]), (3, [[1, 10**9, bytes(64)]]), (3, [[1, 0, bytes(63)]]),
        (3, [[1, 0, "x" * 64]]), (3, [None] * 257), (3, [False]),
    ]:  # fmt: skip
        with pytest.raises(MalformedError):
            Commit.from_items([*items[:place], wrong, *items[place + 1 :]])
    for wrong in (None, [], items[:3], [*items, 0]):
        with pytest.raises(MalformedError):
            Commit.from_items(wrong)
        with pytest.raises(MalformedError):
            Link.from_items(wrong)


# --- links ------------------------------------------------------------------------------------------------------------


def link(height: int, members: tuple[Member, ...], following: tuple[Member, ...], **changes: Any) -> Link:
    over = header(height, changes.pop("seconds", 1_000 + height), members, following, **changes)
    return Link(over, commit(over, members), set_of(members))


SIX = (*FIVE, Member("sixth", 3))
CHAIN = (link(10, FOUR, FIVE), link(20, FIVE, SIX), link(30, SIX, SIX))


def test_links_show_each_change_of_the_validators():
    assert verify_links(CHAIN) == tuple(range(6))
    assert [Link.from_items(one.to_items()) for one in CHAIN] == list(CHAIN)


@pytest.mark.parametrize(
    ("links", "told"),
    [
        ((CHAIN[0], CHAIN[2]), "announced"),
        ((CHAIN[0], link(10, FIVE, SIX, seconds=5_000)), "rise"),
        ((CHAIN[0], link(9, FIVE, SIX, seconds=5_000)), "rise"),
        ((CHAIN[0], link(20, FIVE, SIX, seconds=1_010)), "rise"),
        ((CHAIN[0], link(20, FIVE, SIX, chain_id="another")), "another chain"),
        ((link(10, FOUR, FOUR), CHAIN[1]), "announced"),
        ((CHAIN[0]._replace(commit=commit(CHAIN[0].header, FOUR, FOUR[:2])), CHAIN[1]), "two thirds"),
        ((CHAIN[0]._replace(validators=set_of(FIVE)), CHAIN[1]), "other validators"),
    ],
)
def test_links_that_do_not_lead_on_are_refused(links, told):
    with pytest.raises(ChainInvalidError, match=told):
        verify_links(links)


# --- the trees --------------------------------------------------------------------------------------------------------

keys = st.binary(min_size=1, max_size=6)
stores = st.dictionaries(keys, st.binary(min_size=1, max_size=40), min_size=1, max_size=40)


@given(stores, keys)
def test_what_a_tree_holds_and_what_it_does_not_are_proven(values, key):
    tree = Tree.of(values)
    proof = tree.prove(key)
    assert isinstance(proof, Existence) is (key in values)
    assert iavl_root(proof) == tree.root
    assert proof_from_items(proof.to_items()) == proof
    for present, value in values.items():
        shown = tree.existence(present)
        assert shown.value == value
        assert iavl_root(shown) == tree.root


@given(stores, st.data())
def test_a_key_that_is_there_cannot_be_proven_absent(values, data):
    """Whatever leaves of the tree are put beside it, in whatever order."""
    tree = Tree.of(values)
    key = data.draw(st.sampled_from(sorted(values)))
    sides = st.sampled_from([None, *map(tree.existence, values)])
    assert not proves(iavl_root, Absence(key, data.draw(sides), data.draw(sides)), tree.root)


@given(stores, keys, st.data())
def test_an_absence_has_its_two_neighbours_and_no_others(values, key, data):
    assume(key not in values)
    tree = Tree.of(values)
    honest = tree.prove(key)
    sides = st.sampled_from([None, *map(tree.existence, values)])
    claimed = Absence(key, data.draw(sides), data.draw(sides))
    assert proves(iavl_root, claimed, tree.root) is (claimed == honest)


def test_neighbours_are_of_one_tree():
    one, other = Tree.of({b"a": b"1", b"c": b"2"}), Tree.of({b"a": b"1", b"c": b"3"})
    assert not proves(iavl_root, Absence(b"b", one.existence(b"a"), other.existence(b"c")), one.root)
    single = Tree.of({b"a": b"1"})
    assert iavl_root(single.prove(b"b")) == single.root == iavl_root(single.prove(b"A"))
    with pytest.raises(ChainInvalidError):
        iavl_root(Absence(b"b", None, None))
    with pytest.raises(ChainInvalidError):
        iavl_root(Absence(b"b", single.existence(b"a"), single.existence(b"a")))


@given(stores, st.data())
def test_any_alteration_of_a_proof_leads_elsewhere(values, data):
    tree = Tree.of(values)
    proof = tree.existence(data.draw(st.sampled_from(sorted(values))))
    items = proof.to_items()
    texts = [(0,), (1,), (2,), *((3, i, side) for i in range(len(proof.path)) for side in range(2))]
    where = data.draw(st.sampled_from(texts))
    holder: Any = items
    for step in where[:-1]:
        holder = holder[step]
    raw = holder[where[-1]]
    start = data.draw(st.integers(0, len(raw)))
    holder[where[-1]] = raw[:start] + data.draw(st.binary(max_size=3)) + raw[start + data.draw(st.integers(0, 3)) :]
    try:
        changed = Existence.from_items(items)
    except MalformedError:
        return
    assert changed == proof or not proves(iavl_root, changed, tree.root)


@given(st.integers(0, len(STORES) - 1))
def test_each_store_is_proven_in_the_simple_tree(at):
    leaves = [base128(len(name)) + name.encode() + b"\x20" + digest(digest(name.encode())) for name in STORES]
    proof = Existence(STORES[at].encode(), digest(STORES[at].encode()), b"\0", tuple(merkle_path(leaves, at)))
    assert store_root(proof) == merkle(leaves)


LEFT = (zigzag(1) + zigzag(2) + zigzag(9) + b"\x20", b"\x20" + bytes(32))
RIGHT = (zigzag(1) + zigzag(2) + zigzag(9) + b"\x20" + bytes(32) + b"\x20", b"")
LEAF = zigzag(0) + zigzag(1) + zigzag(9)


def test_the_shapes_that_the_trees_have_are_taken():
    for step in (LEFT, RIGHT):
        assert iavl_root(Existence(b"k", b"v", LEAF, (step,)))
        for place in range(2):
            cut = list(step)
            if cut[place]:
                cut[place] = cut[place][:-1]
                with pytest.raises(MalformedError):
                    iavl_root(Existence(b"k", b"v", LEAF, ((cut[0], cut[1]),)))
    assert iavl_root(Existence(b"k", b"v", LEAF, (RIGHT, (zigzag(127) + zigzag(2**62) + LEFT[0][2:], LEFT[1]))))


@pytest.mark.parametrize(
    "prefix",
    [
        b"", b"\0", b"\0\2", LEAF + b"\0", zigzag(1) + zigzag(1) + zigzag(9), zigzag(0) + zigzag(2) + zigzag(9),
        b"\1\2\x12", b"\0\2\x13", b"\0\2\x92\0", b"\x80\0\2\x12", b"\0\2" + b"\xff" * 10 + b"\1",
        b"\0\2" + b"\x80" * 9 + b"\4",
        b"\0\2\x80", None, "leaf",
    ],
)  # fmt: skip
def test_a_leaf_of_another_shape_is_refused(prefix):
    with pytest.raises(MalformedError):
        iavl_root(Existence(b"k", b"v", prefix, ()))


@pytest.mark.parametrize(
    "step",
    [
        (zigzag(0) + LEFT[0][1:], LEFT[1]),
        (zigzag(128) + LEFT[0][1:], LEFT[1]),
        (zigzag(1) + zigzag(1) + LEFT[0][2:], LEFT[1]),
        (b"\x82\0" + LEFT[0][1:], LEFT[1]),
        (LEFT[0], b""),
        (LEFT[0], LEFT[1] + b"\0"),
        (LEFT[0], b"\x21" + bytes(32)),
        (LEFT[0][:-1] + b"\x21", LEFT[1]),
        (RIGHT[0], LEFT[1]),
        (RIGHT[0][:-1] + b"\x21", b""),
        (RIGHT[0].replace(b"\x20", b"\x21", 1), b""),
        (LEFT[0] + b"\x20", LEFT[1]),
        (bytes(81), b""),
        (b"", b""),
        (None, b""),
        (LEFT[0], None),
    ],
)
def test_an_inner_node_of_another_shape_is_refused(step):
    with pytest.raises(MalformedError):
        iavl_root(Existence(b"k", b"v", LEAF, (step,)))


def test_nodes_rise_towards_the_root():
    for second in (RIGHT, (zigzag(2) + zigzag(2) + RIGHT[0][2:], b""), (zigzag(1) + zigzag(3) + RIGHT[0][2:], b"")):
        with pytest.raises(MalformedError, match="above"):
            iavl_root(Existence(b"k", b"v", LEAF, (LEFT, second)))
    with pytest.raises(MalformedError, match="96"):
        iavl_root(Existence(b"k", b"v", LEAF, (LEFT,) * 97))


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        (b"", ()),
        (b"\1", ()),
        (b"\0\0", ()),
        (b"\0", ((b"", bytes(32)),)),
        (b"\0", ((b"\0", bytes(32)),)),
        (b"\0", ((b"\1", bytes(31)),)),
        (b"\0", ((b"\1", b""),)),
        (b"\0", ((b"\1" + bytes(32), bytes(32)),)),
        (b"\0", ((b"\1" + bytes(31), b""),)),
        (b"\0", ((b"\0" + bytes(32), b""),)),
    ],
)
def test_a_simple_tree_of_another_shape_is_refused(prefix, path):
    with pytest.raises(MalformedError):
        store_root(Existence(b"evm", bytes(32), prefix, path))


def test_keys_values_and_items_are_bounded():
    for key, value in [
        (b"", b"v"),
        (bytes(257), b"v"),
        (b"k", b""),
        (b"k", bytes(2**16 + 1)),
        ("k", b"v"),
        (b"k", None),
    ]:
        with pytest.raises(MalformedError):
            iavl_root(Existence(key, value, LEAF, ()))
    with pytest.raises(MalformedError):
        iavl_root(Absence(b"", Existence(b"k", b"v", LEAF, ()), None))
    good = Existence(b"k", b"v", LEAF, (LEFT,)).to_items()
    for wrong in (
        None, [], good[:3], [*good, 1], [*good[:3], None], [*good[:3], [[LEFT[0]]]], [*good[:3], [None]],
        [*good[:3], [list(LEFT)] * 97], [b"k", None, 5], [b"k", good[:3], None], {},
    ):  # fmt: skip
        with pytest.raises(MalformedError):
            proof_from_items(wrong)


def test_the_world_of_the_tests_has_all_its_keys():
    tree = Comet().evm()
    assert len(tree.keys()) > 80
    assert tree.keys() == sorted(set(tree.keys()))
