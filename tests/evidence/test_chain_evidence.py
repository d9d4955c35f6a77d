"""Chain evidence as a whole: what it proves, through whom, and that nothing in it can be altered unnoticed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import rlp
from eth_keys.main import KeyAPI
from eth_utils.crypto import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError, MalformedError
from ledger.evidence.chain import (
    KINDS,
    MAX_EVIDENCE,
    ChainInvalidError,
    ChainPolicy,
    ChainRequest,
    ChainSeal,
    ChainUntrustedError,
    check_chain_evidence,
    check_request,
    storage,
)
from ledger.evidence.chain.ethereum import make_evidence
from ledger.evidence.chain.facts import default_quorum
from ledger.statements import cbor
from tests.evidence.chain_builder import (
    CODE_HASH,
    CONTRACT,
    KEYS,
    LEAF,
    LOG,
    OTHER_LOG,
    ROOT,
    SENDER,
    SUCCESSOR,
    VALIDATORS,
    Still,
    by_validators,
    head,
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

STILL = Still.anchored().requested(LEAF)
EVIDENCE = STILL.evidence(requested=(LEAF,))
POLICY = STILL.policy()


def test_root_meta_and_head_are_proven_under_a_pinned_header():
    facts = check_chain_evidence(STILL.evidence(), POLICY, LOG)
    assert (facts.kind, facts.block, facts.time) == ("ethereum", 42, 2_000)
    assert facts.block_hash == keccak(STILL.header())
    assert_anchored(facts)
    assert facts.rests_on == (f"block 42, hash {facts.block_hash.hex()}, pinned by the policy",)


def test_the_registration_is_proven_as_the_anchor_of_size_one():
    facts = check_chain_evidence(STILL.evidence(size=1), POLICY, LOG)
    assert (facts.size, facts.root, facts.head_size, facts.newest) == (1, LOG, 9, False)


@pytest.mark.parametrize("seal", [Still.seal_qbft, Still.seal_ibft2])
@pytest.mark.parametrize("keys", [KEYS[:3], KEYS[1:], KEYS])
def test_a_quorum_of_validators_makes_a_header_trusted(seal, keys):
    still = seal(Still.anchored(), keys, turn=3)
    facts = check_chain_evidence(still.evidence(), by_validators(), LOG)
    assert facts.size == 9
    assert f"{len(keys)} of 4 validators" in facts.rests_on[0]
    # The hash by which the chain knows the block, whatever the seals, may be pinned as well.
    assert check_chain_evidence(still.evidence(), still.policy(headers=(facts.block_hash,)), LOG).root == ROOT


@pytest.mark.parametrize(
    "keys",
    [
        [],
        KEYS[:2],
        [KEYS[0]] * 3,
        [*KEYS[:2], KeyAPI().PrivateKey(b"\7" * 32)],
    ],
)
def test_too_few_validators_are_no_reason_to_trust(keys):
    evidence = Still.anchored().seal_qbft(keys).evidence()
    with pytest.raises(ChainUntrustedError, match="3 are needed"):
        check_chain_evidence(evidence, by_validators(), LOG)


def test_validators_that_the_header_names_but_the_policy_does_not_count_for_nothing():
    strangers = [KeyAPI().PrivateKey(bytes([i]) * 32) for i in range(50, 54)]
    listed = [key.public_key.to_canonical_address() for key in strangers]
    evidence = Still.anchored().seal_qbft(strangers, listed=listed).evidence()
    with pytest.raises(ChainUntrustedError, match="0 of 4"):
        check_chain_evidence(evidence, by_validators(), LOG)


def test_validators_named_by_a_contract_are_not_in_the_header():
    assert check_chain_evidence(Still.anchored().seal_qbft(listed=()).evidence(), by_validators(), LOG).size == 9


def test_a_seal_is_of_one_round_only():
    still = Still.anchored().seal_qbft()
    items = rlp.decode(still.extra)
    items[3] = b"\1"
    with pytest.raises(ChainUntrustedError):
        check_chain_evidence(replace(still, extra=rlp.encode(items)).evidence(), by_validators(), LOG)


def test_the_policy_may_ask_for_more_seals_than_the_engine():
    still = Still.anchored().seal_qbft()
    with pytest.raises(ChainUntrustedError):
        check_chain_evidence(still.evidence(), by_validators(quorum=4), LOG)
    assert check_chain_evidence(Still.anchored().seal_qbft(KEYS).evidence(), by_validators(quorum=4), LOG)


def test_nobody_vouches_for_a_header_without_seals_and_pins():
    for policy in (by_validators(), replace(POLICY, headers=(bytes(32),))):
        with pytest.raises(ChainUntrustedError):
            check_chain_evidence(EVIDENCE, policy, LOG)


def test_quorums_are_two_thirds_rounded_up():
    assert [default_quorum(n) for n in range(11)] == [0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7]
    # Two quorums share more validators than the fewer than a third that may lie.
    assert all(2 * default_quorum(n) - n > (n - 1) // 3 for n in range(1, 257))


# --- the seal of a log, and requests --------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "disputed"), [(9, False), (5, True)])
def test_a_sealed_log_is_shown_with_its_seal(size, disputed):
    still = Still.anchored().sealed(size)
    facts = check_chain_evidence(still.evidence(), still.policy(), LOG)
    assert facts.seal == ChainSeal(size, ROOT, SUCCESSOR, 41, 1_950)
    assert (facts.sealed, facts.disputed) == (True, disputed)


def test_a_seal_without_successor_names_none():
    still = Still.anchored().sealed(9)
    del still.words[storage.seal_slots(LOG)[1]]
    facts = check_chain_evidence(still.evidence(), still.policy(), LOG)
    assert facts.seal is not None
    assert facts.seal.successor is None


def test_a_request_is_proven_and_so_is_that_there_is_none():
    asked, unasked = sorted([LEAF, keccak(text="nobody asked")], key=lambda leaf: leaf != LEAF)
    still = Still.anchored().requested(asked)
    evidence = still.evidence(requested=(unasked, asked))
    facts, request = check_request(evidence, still.policy(), LOG, asked)
    assert request == ChainRequest(asked, 41, 1_960, SENDER)
    assert facts.request(unasked) == ChainRequest(unasked, 0, 0, b"")
    with pytest.raises(ChainInvalidError, match="nobody requested"):
        check_request(evidence, still.policy(), LOG, unasked)
    with pytest.raises(ChainUntrustedError, match="does not ask"):
        check_request(still.evidence(), still.policy(), LOG, asked)


# --- what contradicts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "log", "word_of"),
    strangers(POLICY),
)
def test_evidence_of_something_else_is_invalid(policy, log, word_of):
    with pytest.raises(ChainInvalidError, match=word_of):
        check_chain_evidence(EVIDENCE, policy, log)


@pytest.mark.parametrize(("still", "size", "told"), contradictions(Still.anchored, 43))
def test_storage_that_such_a_contract_cannot_hold_is_invalid(still, size, told):
    with pytest.raises(ChainInvalidError, match=told):
        check_chain_evidence(still.evidence(size=size, requested=(LEAF,)), still.policy(), LOG)


def test_a_contract_that_the_state_does_not_have_is_invalid():
    items = cbor.decode(EVIDENCE)
    items[2] = bytes(20)
    with pytest.raises(ChainInvalidError):
        check_chain_evidence(cbor.encode(items), replace(POLICY, contract=bytes(20)), LOG)


def test_an_account_of_another_form_is_refused():
    still = replace(STILL, account_tail=(b"",))
    with pytest.raises(ChainInvalidError, match="four fields"):
        still.evidence()
    still = replace(STILL, code_hash=bytes(31))
    with pytest.raises(MalformedError):
        still.evidence()


def test_a_contradiction_under_a_header_that_nobody_vouches_for_says_nothing():
    still = with_words(Still.anchored(), root=bytes(32))
    with pytest.raises(ChainUntrustedError):
        check_chain_evidence(still.evidence(), POLICY, LOG)


# --- every alteration is noticed -------------------------------------------------------------------------------------

SEALED = Still.anchored().sealed(5).requested(LEAF).seal_qbft()
CASES = [(EVIDENCE, POLICY), (SEALED.evidence(requested=(LEAF,)), by_validators())]


@pytest.mark.parametrize(("evidence", "policy"), CASES)
def test_every_byte_counts(evidence, policy):
    assert_bytes_count(evidence, policy, range(len(evidence)))


@pytest.mark.parametrize(("evidence", "policy"), CASES)
def test_every_field_of_the_header_counts(evidence, policy):
    items = cbor.decode(evidence)
    fields = rlp.decode(items[5])
    for place, value in enumerate(fields):
        flipped = value[:-1] + bytes([value[-1] ^ 1]) if value else b"\1"
        altered = [*fields[:place], flipped, *fields[place + 1 :]]
        with pytest.raises(REFUSALS):
            check_chain_evidence(cbor.encode([*items[:5], rlp.encode(altered), *items[6:]]), policy, LOG)
    for other in (fields[:-1], [*fields, b"\1" * 32]):
        with pytest.raises(REFUSALS):
            check_chain_evidence(cbor.encode([*items[:5], rlp.encode(other), *items[6:]]), policy, LOG)


@pytest.mark.parametrize(("evidence", "policy"), CASES)
def test_every_node_is_needed_and_none_more(evidence, policy):
    items = cbor.decode(evidence)
    nodes = items[7]
    assert len(nodes) > 5
    for place in range(len(nodes)):
        with pytest.raises(ChainInvalidError):
            check_chain_evidence(cbor.encode([*items[:7], nodes[:place] + nodes[place + 1 :]]), policy, LOG)
    for wrong in (nodes[::-1], [*nodes, nodes[0]], [*nodes, rlp.encode([b"\x20" * 20, bytes(40)])]):
        with pytest.raises(MalformedError):
            check_chain_evidence(cbor.encode([*items[:7], wrong]), policy, LOG)


def test_the_words_of_another_log_do_not_pass_for_ours():
    still = Still.anchored()
    still.words |= {slot(0, OTHER_LOG, word(9)): keccak(text="theirs"), slot(1, OTHER_LOG, word(9)): meta(40, 1_900)}
    still.words[slot(2, OTHER_LOG)] = head(9, 1_900)
    items = cbor.decode(still.evidence())
    items[3] = OTHER_LOG
    with pytest.raises(ChainInvalidError):
        check_chain_evidence(cbor.encode(items), still.policy(), OTHER_LOG)


@pytest.mark.parametrize("place", range(8))
@pytest.mark.parametrize(
    "wrong",
    [
        None,
        False,
        True,
        -1,
        0,
        2**63,
        2**64 - 1,
        "",
        "text",
        b"",
        bytes(19),
        bytes(33),
        [],
        {},
        [[]],
        ["x"],
        [1],
        [None],
    ],
)
def test_a_member_of_another_type_or_size_is_refused(place, wrong):
    items = cbor.decode(EVIDENCE)
    items[place] = wrong
    with pytest.raises(REFUSALS):
        check_chain_evidence(cbor.encode(items), POLICY, LOG)


def test_members_missing_or_added_are_refused():
    items = cbor.decode(EVIDENCE)
    for wrong in ([], items[:1], items[:7], [*items, 0], {"ethereum": 1}, "ethereum"):
        with pytest.raises(MalformedError):
            check_chain_evidence(cbor.encode(wrong), POLICY, LOG)


def test_leaf_hashes_stand_once_and_in_order():
    items = cbor.decode(EVIDENCE)
    for wrong in ([LEAF, LEAF], sorted([LEAF, LOG], reverse=True), [LEAF[:31]], [bytes([i]) * 32 for i in range(65)]):
        with pytest.raises(MalformedError):
            check_chain_evidence(cbor.encode([*items[:6], wrong, items[7]]), POLICY, LOG)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(spliced(EVIDENCE))
def test_cuts_and_splices_end_in_a_refusal(altered):
    if altered != EVIDENCE:
        with pytest.raises(REFUSALS):
            check_chain_evidence(altered, POLICY, LOG)


@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_refusal(raw):
    with pytest.raises(REFUSALS):
        check_chain_evidence(raw, POLICY, LOG)


# --- kinds, bounds, policies -----------------------------------------------------------------------------------------


def test_an_unknown_kind_or_one_that_the_policy_does_not_name_tells_nothing():
    items = cbor.decode(EVIDENCE)
    for kind in ("cometbft", "", "x" * 5_000):
        with pytest.raises(ChainUntrustedError):
            check_chain_evidence(cbor.encode([kind, *items[1:]]), POLICY, LOG)
    with pytest.raises(ChainUntrustedError):
        check_chain_evidence(EVIDENCE, replace(POLICY, kind="cometbft"), LOG)
    assert list(KINDS) == ["ethereum", "cometbft"]


def test_the_worst_input_of_the_largest_size_is_refused_soon():
    seals = [bytes([i]) * 64 + b"\0" for i in range(1, 256)]
    slow = Still.anchored().seal_qbft([], extra_seals=seals).evidence()
    items = cbor.decode(EVIDENCE)
    short = [word(i) for i in range(1_024)]
    deep = b"\xc1" * 60_000
    for evidence in (
        bytes(MAX_EVIDENCE + 1),
        slow,
        cbor.encode([*items[:7], short]),
        cbor.encode([*items[:7], [bytes(120_000)]]),
        cbor.encode([*items[:5], deep, *items[6:]]),
        b"\x81" * MAX_EVIDENCE,
    ):
        assert_refused_soon(evidence, by_validators())


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": 0},
        {"chain_id": 2**63},
        {"contract": bytes(19)},
        {"code_hash": bytes(31)},
        {"code_hash": "0" * 32},
        {"headers": (bytes(31),)},
        {"headers": (bytes(32), bytes(32))},
        {"headers": tuple(word(i) for i in range(4_097))},
        {"validators": (bytes(32),)},
        {"validators": VALIDATORS[:1] * 2},
        {"validators": tuple(word(i)[12:] for i in range(257))},
        {"validators": VALIDATORS, "quorum": 2},
        {"validators": VALIDATORS, "quorum": 5},
        {"quorum": 0},
        {"quorum": 1},
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(changes):
    with pytest.raises(MalformedError):
        replace(ChainPolicy("ethereum", 7, CONTRACT, CODE_HASH), **changes)


def test_evidence_is_made_of_what_is_needed_and_of_nothing_that_is_missing():
    accounts, stored = STILL.tries()
    assert sum(len(node) for node in cbor.decode(EVIDENCE)[7]) < sum(map(len, [*accounts.nodes, *stored.nodes]))
    made = {"chain_id": 7, "contract": CONTRACT, "log_id": LOG, "size": 9, "header": STILL.header()}
    assert make_evidence(**made, nodes=[*accounts.nodes, *stored.nodes[::-1]]) == STILL.evidence()
    for nodes in (accounts.nodes, stored.nodes, []):
        with pytest.raises(LedgerError):
            make_evidence(**made, nodes=nodes)
    with pytest.raises(MalformedError):
        make_evidence(**made | {"size": 0}, nodes=[*accounts.nodes, *stored.nodes])


# --- the layout ------------------------------------------------------------------------------------------------------


def test_the_slots_are_those_of_the_contract():
    table = (Path(__file__).parents[2] / "contracts" / "STORAGE.md").read_text(encoding="utf-8")
    log = word(1)
    found = storage.head_slot(log)
    assert f"0x{found.hex()}" in table
    example = bytes.fromhex("00000000000000000000030000000000000007006b49d2000000000000000009")
    assert example.hex() in table
    assert storage.HeadWord.unpack(example) == (9, 1_800_000_000, 7, 3)
    assert storage.root_slot(log, 5) == slot(0, log, word(5))
    assert storage.meta_slot(log, 5) == slot(1, log, word(5))
    assert storage.request_slot(log, LEAF) == slot(5, log, LEAF)
    assert storage.Meta.unpack(meta(2**56 - 1, 2**40 - 1)) == (2**56 - 1, 2**40 - 1, SENDER)


def test_the_code_hash_of_the_artifact_is_the_one_that_the_document_pins():
    folder = Path(__file__).parents[2] / "contracts"
    runtime = json.loads((folder / "artifacts" / "LedgerAnchor.json").read_bytes())["deployedBytecode"]
    digest = keccak(bytes.fromhex(runtime.removeprefix("0x")))
    assert digest.hex() in (folder / "STORAGE.md").read_text(encoding="utf-8")
