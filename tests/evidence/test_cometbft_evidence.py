"""Evidence of a CometBFT chain as a whole: what it proves, through whom, and that no alteration goes unnoticed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_utils.crypto import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError, MalformedError
from ledger.evidence.chain import (
    MAX_EVIDENCE,
    ChainInvalidError,
    ChainPolicy,
    ChainRequest,
    ChainSeal,
    ChainUntrustedError,
    CometTrust,
    block_hashes,
    check_chain_evidence,
    check_request,
)
from ledger.evidence.chain.comet.ics23 import Absence
from ledger.evidence.chain.cometbft import make_evidence
from ledger.evidence.ignored import _requested
from ledger.evidence.policy import LogTrust, Policy
from ledger.statements import cbor
from tests.comet_world import CHAIN_NAME, FIVE, FOUR, Comet, Member, Tree, commit, header_hash, set_of
from tests.evidence.chain_builder import (
    CODE_HASH,
    CONTRACT,
    LEAF,
    LOG,
    ROOT,
    SENDER,
    SUCCESSOR,
    meta,
    slot,
    word,
)
from tests.evidence.chain_cases import (
    REFUSALS,
    assert_anchored,
    assert_bytes_count,
    assert_refused_soon,
    contradictions,
    spliced,
    strangers,
    with_words,
)

COMET = Comet().requested(LEAF)
EVIDENCE = COMET.evidence(requested=(LEAF,))
POLICY = COMET.policy()
SIX = (*FIVE, Member("sixth", 3))


def test_root_meta_and_head_are_proven_under_a_header_that_the_validators_signed():
    facts = check_chain_evidence(COMET.evidence(), POLICY, LOG)
    assert (facts.kind, facts.block, facts.time) == ("cometbft", 42, 2_000)
    assert facts.block_hash == header_hash(COMET.header())
    assert_anchored(facts)
    (told,) = facts.rests_on
    assert told.startswith("block 42, signed by 4 of 4 validators: 0x")
    assert all(one.key.hex() in told for one in FOUR)
    assert block_hashes(COMET.evidence()) == (facts.block_hash,)


def test_the_registration_is_proven_as_the_anchor_of_size_one():
    facts = check_chain_evidence(COMET.evidence(size=1), POLICY, LOG)
    assert (facts.size, facts.root, facts.head_size, facts.newest) == (1, LOG, 9, False)


def test_a_pinned_header_vouches_alone_and_its_commit_must_hold_nevertheless():
    pinned = (header_hash(COMET.header()),)
    alone = ChainPolicy("cometbft", 7, CONTRACT, CODE_HASH, headers=pinned)
    facts = check_chain_evidence(EVIDENCE, alone, LOG)
    assert facts.rests_on == (f"block 42, hash {facts.block_hash.hex()}, pinned by the policy",)
    assert facts.trusted_since == 0
    strangers = replace(POLICY, headers=pinned, comet=COMET.trust(members=FIVE))
    assert check_chain_evidence(EVIDENCE, strangers, LOG).root == ROOT
    few = replace(COMET, signers=FOUR[:2]).evidence()
    with pytest.raises(ChainInvalidError, match="two thirds"):
        check_chain_evidence(few, alone, LOG)


def test_nobody_vouches_without_pin_and_validators():
    nobody = ChainPolicy("cometbft", 7, CONTRACT, CODE_HASH)
    for policy in (nobody, replace(nobody, headers=(bytes(32),)), replace(POLICY, comet=COMET.trust(members=FIVE))):
        with pytest.raises(ChainUntrustedError):
            check_chain_evidence(EVIDENCE, policy, LOG)


@pytest.mark.parametrize("round_", [0, 1, 2**31 - 1])
@pytest.mark.parametrize("missing", range(5))
def test_one_of_four_may_be_silent(missing, round_):
    signers = tuple(one for place, one in enumerate(FOUR) if place != missing)
    facts = check_chain_evidence(replace(COMET, signers=signers, round=round_).evidence(), POLICY, LOG)
    assert f"signed by {len(signers)} of 4" in facts.rests_on[0]


def test_two_of_four_are_too_few_and_power_counts_not_heads():
    with pytest.raises(ChainInvalidError, match="20 of 40"):
        check_chain_evidence(replace(COMET, signers=FOUR[:2]).evidence(), POLICY, LOG)
    uneven = (Member("strong", 90), *FOUR)
    world = replace(COMET, sets=(uneven,))
    assert check_chain_evidence(replace(world, signers=uneven[:1]).evidence(), world.policy(), LOG)
    with pytest.raises(ChainInvalidError, match="40 of 130"):
        check_chain_evidence(replace(world, signers=FOUR).evidence(), world.policy(), LOG)


# --- changes of the validators ----------------------------------------------------------------------------------------

CHANGED = replace(COMET, sets=(FOUR, FIVE, SIX), until=(10, 20))


@pytest.mark.parametrize(
    ("members", "height", "trusted"),
    [
        (FOUR, 1, True), (FOUR, 10, True), (FOUR, 11, False), (FOUR, 42, False),
        (FIVE, 11, True), (FIVE, 20, True), (FIVE, 10, False), (FIVE, 21, False),
        (SIX, 21, True), (SIX, 42, True), (SIX, 900, True), (SIX, 20, False), (SIX, 1, False),
    ],
)  # fmt: skip
def test_trust_follows_the_validators_from_the_set_in_force_at_the_pinned_height(members, height, trusted):
    policy = replace(POLICY, comet=CHANGED.trust(members=members, height=height, time=77))
    if not trusted:
        with pytest.raises(ChainUntrustedError, match=f"at block {height}"):
            check_chain_evidence(CHANGED.evidence(), policy, LOG)
        return
    facts = check_chain_evidence(CHANGED.evidence(), policy, LOG)
    assert (facts.root, facts.trusted_since) == (ROOT, 77)
    assert "signed by 6 of 6" in facts.rests_on[0]
    changes = 2 - [FOUR, FIVE, SIX].index(members)
    assert ("follow" in facts.rests_on[0]) is (changes > 0)


def test_a_skipped_link_a_false_one_and_one_signed_by_too_few_are_refused():
    links = CHANGED.links()
    first, second = links
    few = second._replace(commit=commit(second.header, FIVE, FIVE[:3]))
    strangers = tuple(Member(f"stranger {i}") for i in range(4))
    theirs = replace(CHANGED, sets=(FOUR, strangers), until=(10,))
    wrong = replace(theirs, sets=(strangers, strangers), until=(10,)).links()
    for evidence in (
        CHANGED.evidence(links=(first,)),
        CHANGED.evidence(links=(second, first)),
        CHANGED.evidence(links=(first, first, second)),
        CHANGED.evidence(links=(first, few)),
        theirs.evidence(links=(first,)),
    ):
        with pytest.raises(ChainInvalidError):
            check_chain_evidence(evidence, POLICY, LOG)
    # What hangs together without the validators of the policy says nothing.
    for evidence in (theirs.evidence(links=wrong), theirs.evidence(links=()), CHANGED.evidence(links=(second,))):
        with pytest.raises(ChainUntrustedError):
            check_chain_evidence(evidence, POLICY, LOG)


def test_links_before_the_pin_are_checked_too_and_may_be_left_out():
    policy = replace(POLICY, comet=CHANGED.trust(members=FIVE, height=15))
    first, second = CHANGED.links()
    assert check_chain_evidence(CHANGED.evidence(links=(second,)), policy, LOG)
    broken = first._replace(commit=commit(first.header, FOUR, FOUR[:2]))
    with pytest.raises(ChainInvalidError, match="two thirds"):
        check_chain_evidence(CHANGED.evidence(links=(broken, second)), policy, LOG)


def test_the_validators_before_a_change_do_not_speak_for_what_comes_after():
    """A policy of today does not take a header that those of yesterday sign today."""
    policy = replace(POLICY, comet=CHANGED.trust(members=SIX, height=21))
    with pytest.raises(ChainUntrustedError):
        check_chain_evidence(COMET.evidence(), policy, LOG)


def test_at_most_sixteen_links_are_followed():
    sets = tuple((*FOUR, Member(f"guest {i}")) for i in range(18))
    for count in (16, 17):
        world = replace(COMET, sets=sets[: count + 1], until=tuple(range(2, 2 + count)))
        if count == 16:
            assert check_chain_evidence(world.evidence(), world.policy(), LOG)
        else:
            with pytest.raises(MalformedError):
                world.evidence()


# --- the seal of a log, and requests ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "disputed"), [(9, False), (5, True)])
def test_a_sealed_log_is_shown_with_its_seal(size, disputed):
    facts = check_chain_evidence(Comet().sealed(size).evidence(), POLICY, LOG)
    assert facts.seal == ChainSeal(size, ROOT, SUCCESSOR, 41, 1_950)
    assert (facts.sealed, facts.disputed) == (True, disputed)


def test_a_seal_without_successor_names_none():
    world = Comet().sealed(9)
    world.words[word(int.from_bytes(slot(4, LOG), "big") + 1)] = bytes(32)
    facts = check_chain_evidence(world.evidence(), POLICY, LOG)
    assert facts.seal is not None
    assert facts.seal.successor is None


def test_a_request_is_proven_and_so_is_that_there_is_none():
    unasked = [keccak(text=f"nobody asked {i}") for i in range(30)]
    evidence = COMET.evidence(requested=(*unasked, LEAF))
    facts, request = check_request(evidence, POLICY, LOG, LEAF)
    assert request == ChainRequest(LEAF, 41, 1_960, SENDER)
    assert [facts.request(leaf) for leaf in unasked] == [ChainRequest(leaf, 0, 0, b"") for leaf in unasked]
    with pytest.raises(ChainInvalidError, match="nobody requested"):
        check_request(evidence, POLICY, LOG, unasked[3])
    with pytest.raises(ChainUntrustedError, match="does not ask"):
        check_request(COMET.evidence(), POLICY, LOG, LEAF)


def test_a_request_is_not_believed_of_validators_who_were_pinned_too_long_ago():
    """They may have left, and made it up: the accused log needs the same period as whoever relies on an anchor."""
    policy = Policy((LogTrust(LOG, None, frozenset()),), chains=(COMET.policy(comet=COMET.trust(time=1_000)),))
    end = 1_000 + policy.trusting_period
    assert _requested(EVIDENCE, policy, LOG, LEAF, end).made
    with pytest.raises(ChainUntrustedError, match="longer ago"):
        _requested(EVIDENCE, policy, LOG, LEAF, end + 1)
    assert _requested(EVIDENCE, replace(policy, chains=(POLICY,)), LOG, LEAF, end + 1).made


_leaves = st.sets(st.integers(0, 255).map(lambda i: keccak(bytes([i]))), max_size=8)


@settings(max_examples=40, deadline=None)
@given(_leaves, _leaves, st.booleans(), st.sampled_from([(FOUR,), (FOUR, FIVE)]))
def test_honest_evidence_of_any_contents_verifies(made, asked, sealed, sets):
    world = Comet(sets=sets, until=(12,) * (len(sets) - 1))
    world = world.sealed(9) if sealed else world
    for leaf in made:
        world = world.requested(leaf)
    facts = check_chain_evidence(world.evidence(requested=tuple(asked)), POLICY, LOG)
    assert [(one.leaf_hash, one.made) for one in facts.requested] == [(leaf, leaf in made) for leaf in sorted(asked)]
    assert facts.sealed is sealed


def test_a_word_that_is_stored_as_zero_is_zero():
    """Genesis may store zeros; the EVM reads them as it reads what is absent."""
    world = Comet()
    leaf = keccak(text="asked of genesis")
    world.noise[b"\2" + CONTRACT + slot(5, LOG, leaf)] = bytes(32)
    facts = check_chain_evidence(world.evidence(requested=(leaf,)), POLICY, LOG)
    assert facts.requested == (ChainRequest(leaf, 0, 0, b""),)


@pytest.mark.parametrize("value", [b"\1", bytes(31), bytes(33)])
def test_a_word_has_32_bytes(value):
    world = Comet()
    world.noise[b"\2" + CONTRACT + slot(5, LOG, LEAF)] = value
    with pytest.raises(ChainInvalidError, match="32 bytes"):
        world.evidence(requested=(LEAF,))


# --- what contradicts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "log", "word_of"),
    [*strangers(POLICY), (replace(POLICY, comet=replace(COMET.trust(), chain_name="another")), LOG, "chain")],
)
def test_evidence_of_something_else_is_invalid(policy, log, word_of):
    with pytest.raises(ChainInvalidError, match=word_of):
        check_chain_evidence(EVIDENCE, policy, log)


@pytest.mark.parametrize(("world", "size", "told"), contradictions(Comet, 42))
def test_storage_that_such_a_contract_cannot_hold_is_invalid(world, size, told):
    """The header of block 42 tells of the state after block 41: nothing of block 42 can be in it."""
    with pytest.raises(ChainInvalidError, match=told):
        check_chain_evidence(world.evidence(size=size, requested=(LEAF,)), POLICY, LOG)


def test_the_block_before_the_header_is_the_last_that_counts():
    assert check_chain_evidence(with_words(Comet(), meta=meta(41, 2_000)).evidence(), POLICY, LOG).anchored_block == 41


def test_a_contract_that_the_state_does_not_have_is_invalid():
    with pytest.raises(ChainInvalidError, match="no contract"):
        replace(COMET, code_hash=None).evidence()


def test_a_contradiction_that_nobody_vouches_for_says_nothing():
    with pytest.raises(ChainUntrustedError):
        check_chain_evidence(
            with_words(Comet(), root=bytes(32)).evidence(), replace(POLICY, comet=COMET.trust(members=FIVE)), LOG
        )


def test_the_absence_of_a_key_that_is_there_cannot_be_proven():
    """Any two leaves of the tree as neighbours: a request that was made is never shown as none."""
    tree = COMET.evm()
    key = b"\2" + CONTRACT + slot(5, LOG, LEAF)
    keys = tree.keys()
    at = keys.index(key)
    near = [None, *(tree.existence(one) for one in keys[at - 2 : at + 3])]
    items = cbor.decode(EVIDENCE)
    assert items[11][4][0] == key
    for left in near:
        for right in near:
            items[11][4] = Absence(key, left, right).to_items()
            with pytest.raises(REFUSALS):
                check_chain_evidence(cbor.encode(items), POLICY, LOG)


def test_proofs_of_another_store_or_state_are_refused():
    other = with_words(Comet(), root=keccak(text="another"))
    for parts in (
        {"store": other.stores()[1]},
        {"proofs": other.proofs(slot(0, LOG, word(9)), slot(1, LOG, word(9)), slot(2, LOG))},
        {"store": COMET.stores()[1]._replace(key=b"bank")},
    ):
        with pytest.raises(ChainInvalidError):
            COMET.evidence(**parts)


# --- every alteration is noticed --------------------------------------------------------------------------------------

WHOLE = CHANGED.sealed(5)
CASES = [(EVIDENCE, POLICY), (WHOLE.evidence(requested=(LEAF, bytes(32))), POLICY)]


@pytest.mark.parametrize(("evidence", "policy"), CASES)
def test_every_byte_counts(evidence, policy):
    """Alter each byte in turn, of the larger file each third: always refused. A vote has more bytes than null."""
    assert_bytes_count(evidence, policy, range(len(evidence) % 3, len(evidence), 1 if len(evidence) < 3_000 else 3))


def places(value: Any, path: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
    """Paths to every item at every level."""
    if not isinstance(value, list):
        return [path]
    return [path, *(found for place, item in enumerate(value) for found in places(item, (*path, place)))]


def put(value: Any, path: tuple[int, ...], new: Any) -> Any:
    if not path:
        return new
    return [put(item, path[1:], new) if place == path[0] else item for place, item in enumerate(value)]


def at(value: Any, path: tuple[int, ...]) -> Any:
    for place in path:
        value = value[place]
    return value


_odd = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.binary(max_size=40), st.text(max_size=5),
    st.just([]), st.just({}), st.lists(st.integers(0, 3), max_size=4),
)  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_an_item_replaced_dropped_or_doubled_is_refused(data):
    """Save a vote that becomes null: three of four, or five of six, are enough and say no less."""
    evidence, policy = data.draw(st.sampled_from(CASES))
    items = cbor.decode(evidence)
    path = data.draw(st.sampled_from(places(items)[1:]))
    way = data.draw(st.sampled_from(["odd", "drop", "double", "other"]))
    if way in {"odd", "other"}:
        new = data.draw(_odd) if way == "odd" else at(items, data.draw(st.sampled_from(places(items)[1:])))
        altered = put(items, path, new)
    else:
        holder = list(at(items, path[:-1]))
        holder[path[-1] : path[-1] + 1] = [holder[path[-1]]] * 2 * (way == "double")
        altered = put(items, path[:-1], holder)
    if altered == items and cbor.encode(altered) == evidence:
        return
    try:
        found = check_chain_evidence(cbor.encode(altered), policy, LOG)
    except REFUSALS:
        return
    honest = check_chain_evidence(evidence, policy, LOG)
    silenced = at(altered, path) is None and len(at(items, path)) == 3
    assert silenced, f"{way} at {path}"
    assert replace(found, rests_on=()) == replace(honest, rests_on=())


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(spliced(EVIDENCE))
def test_cuts_and_splices_end_in_a_refusal(altered):
    if altered != EVIDENCE:
        with pytest.raises(REFUSALS):
            check_chain_evidence(altered, POLICY, LOG)


@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_refusal(raw):
    for evidence in (raw, cbor.encode(["cometbft", raw]), cbor.encode(["cometbft"])[:-1] + raw):
        with pytest.raises(REFUSALS):
            check_chain_evidence(evidence, POLICY, LOG)


def test_proofs_stand_once_and_in_order():
    items = cbor.decode(EVIDENCE)
    proofs = items[11]
    assert len(proofs) == 5
    for wrong in (proofs[::-1], proofs[:-1], [*proofs, proofs[0]], [*proofs[:3], proofs[2], *proofs[3:]], []):
        with pytest.raises(REFUSALS):
            check_chain_evidence(cbor.encode([*items[:11], wrong]), POLICY, LOG)


# --- bounds, policies, making -----------------------------------------------------------------------------------------


def test_the_worst_input_of_the_largest_size_is_refused_soon():
    many = tuple(Member(f"v{i}") for i in range(200))
    slow = replace(COMET, sets=(many,) * 2, until=(10,))
    items = cbor.decode(EVIDENCE)
    for evidence in (
        bytes(MAX_EVIDENCE + 1),
        slow.evidence(),
        cbor.encode([*items[:8], [items[5:8]] * 17, *items[9:]]),
        cbor.encode([*items[:8], [[0] * 3] * 20_000, *items[9:]]),
        cbor.encode([*items[:11], [items[11][0]] * 128]),
        cbor.encode([*items[:9], [b"evm", bytes(32), b"\0", [[b"\1", bytes(32)]] * 3_000], *items[10:]]),
        b"\x81" * MAX_EVIDENCE,
    ):
        assert_refused_soon(evidence, POLICY)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("cometbft", {"validators": (bytes(20),)}),
        ("cometbft", {"quorum": 1}),
        ("ethereum", {"comet": COMET.trust()}),
    ],
)
def test_a_policy_has_the_trust_of_its_kind(kind, changes):
    with pytest.raises(MalformedError):
        ChainPolicy(kind, 7, CONTRACT, CODE_HASH, **changes)


@pytest.mark.parametrize(
    "changes",
    [{"chain_name": ""}, {"chain_name": "x" * 51}, {"height": 0}, {"height": 2**63}, {"time": -1}, {"time": 2**40}],
)
def test_a_pin_that_cannot_be_meant_is_refused(changes):
    with pytest.raises(MalformedError):
        replace(CometTrust(CHAIN_NAME, 1, 0, set_of(FOUR)), **changes)


def test_evidence_is_made_of_what_is_needed_and_of_nothing_that_is_missing():
    made: dict[str, Any] = {"chain_id": 7, "contract": CONTRACT, "log_id": LOG, "size": 9} | COMET.parts()
    proofs = COMET.proofs(slot(0, LOG, word(9)), slot(1, LOG, word(9)), slot(2, LOG), slot(5, LOG, LEAF))
    assert make_evidence(**made, proofs=[*proofs[::-1], proofs[0]]) == COMET.evidence()
    for place in range(4):
        with pytest.raises(LedgerError):
            make_evidence(**made, proofs=proofs[:place] + proofs[place + 1 :])
    with pytest.raises(MalformedError):
        make_evidence(**made | {"size": 0}, proofs=proofs)


def test_another_tree_of_the_same_contents_has_the_same_facts():
    """Shapes of trees differ with their history; what they hold does not."""
    assert Tree.of(COMET.noise, version=900).root != Tree.of(COMET.noise, version=901).root
    more = replace(COMET, noise=COMET.noise | {b"\2" + keccak(b"%d" % i): word(i + 1) for i in range(300)})
    found, told = (check_chain_evidence(one.evidence(), POLICY, LOG) for one in (more, COMET))
    assert replace(found, block_hash=told.block_hash) == told
