"""The CometBFT backend over made-up chains whose nodes lag, stand still, fail and lie: silent or late, never wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ledger.errors import LedgerError, MalformedError
from ledger.evidence.chain import ChainPolicy, ChainUntrustedError, CometTrust, check_chain_evidence, check_request
from node.chain.comet_state import CometNodes
from node.chain.comet_trust import ChainTrust, ChainUnprovenError
from node.chain.cometbft import CometChain
from node.chain.endpoints import Endpoints
from node.chain.protocol import ChainMismatchError, ChainUnavailableError, ContractMissingError, NodeBehindError
from tests.comet_node import BEGAN, CometNode, MadeChain, many
from tests.comet_world import CHAIN_NAME, FIVE, FOUR, Comet, digest, set_of
from tests.evidence.chain_builder import CODE_HASH, CONTRACT, LOG, ROOT, head, slot, word

LEAF = digest(b"a leaf")
PIN = CometTrust(CHAIN_NAME, 1, 0, set_of(FOUR))
Nodes = Callable[..., tuple[CometChain, list[CometNode]]]


class Clock:
    now = BEGAN + 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def nodes(clock: Clock) -> Iterator[Nodes]:
    with ExitStack() as stack:

        def start(*chains: MadeChain, pin: CometTrust = PIN, **settings: Any) -> tuple[CometChain, list[CometNode]]:
            made = [stack.enter_context(CometNode(chain, Comet())) for chain in chains or (MadeChain(42),)]
            urls = [node.url for node in made]
            comets = CometNodes(urls, ChainTrust(pin), timeout=1, still=60, clock=clock)
            known = {"chain_id": 7, "contract": "0x" + CONTRACT.hex(), "code_hash": CODE_HASH}
            chain = CometChain(Endpoints(urls, timeout=1), comets, urls, **known | settings)
            stack.callback(comets.close)
            stack.callback(chain.rpc.close)
            return chain, made

        yield start


def policy(**changes: Any) -> ChainPolicy:
    return ChainPolicy("cometbft", 7, CONTRACT, CODE_HASH, **{"comet": PIN} | changes)


def test_the_head_is_what_the_contract_holds(nodes: Nodes) -> None:
    chain, (node,) = nodes()
    node.state.words[word((int.from_bytes(slot(3, LOG), "big") + 1) % 2**256)] = bytes(12) + b"\x11" * 20
    node.touch()
    chain.check()
    found = chain.head(LOG)
    assert (found.size, found.root, found.time, found.block) == (9, ROOT, 1_900, 41)
    assert found.authoriser == "0x" + "11" * 20
    assert (found.chain_time, found.halted) == (BEGAN + 42, False)
    assert chain.final_head(LOG) == found
    assert chain.head(digest(b"an unknown log")).size == 0


def test_an_anchor_is_final_when_the_next_header_proves_it(nodes: Nodes) -> None:
    chain, (node,) = nodes(MadeChain(40))
    node.state.words[slot(1, LOG, word(9))] = (40).to_bytes(7, "big").rjust(32, b"\x22")[:32]
    node.touch()
    young = chain.evidence(LOG, 9)
    assert young is not None
    assert (young.head_block, young.final) == (39, False)
    node.chain.height = 41
    later = chain.evidence(LOG, 9)
    assert later is not None
    assert (later.head_block, later.block, later.final) == (40, 40, True)


def test_the_evidence_tells_what_is_proven_and_what_the_node_says_beside(nodes: Nodes) -> None:
    chain, _ = nodes(MadeChain(50))
    found = chain.evidence(LOG, 9)
    assert found is not None
    assert (found.root, found.block, found.time) == (ROOT, 40, 1_900)
    assert (found.tx, found.gas, found.fee) == (b"\xcc" * 32, 21_000, 42_000)
    assert chain.evidence(LOG, 8) is None


def test_evidence_convinces_whoever_trusts_the_validators(nodes: Nodes) -> None:
    chain, (node,) = nodes()
    node.state = node.state.requested(LEAF)
    node.touch()
    proven = chain.prove(LOG, 9, block=chain.final_block(), requested=[LEAF])
    facts = check_chain_evidence(proven.evidence, policy(), LOG)
    assert (facts.block, facts.size, facts.root, facts.head_size) == (42, 9, ROOT, 9)
    assert facts == proven.facts
    others = CometTrust(CHAIN_NAME, 1, 0, set_of(many(4)))
    with pytest.raises(ChainUntrustedError):
        check_chain_evidence(proven.evidence, policy(comet=others), LOG)
    asked = chain.prove_request(LOG, LEAF)
    assert check_request(asked.evidence, policy(), LOG, LEAF)[1].block == 41
    assert chain.requested(LOG, LEAF) == (41, 1_960)


def test_evidence_shows_how_the_validators_changed(nodes: Nodes) -> None:
    made = MadeChain(42, {1: FOUR, 10: FIVE, 20: many(7), 41: many(3)})
    chain, _ = nodes(made)
    proven = chain.prove(LOG, 9)
    assert check_chain_evidence(proven.evidence, policy(), LOG).block == 42
    for height in (10, 15, 25, 41, 42):
        pin = CometTrust(CHAIN_NAME, height, 0, set_of(made.members(height)))
        assert check_chain_evidence(proven.evidence, policy(comet=pin), LOG).size == 9
    older = chain.prove(LOG, 9, block=41)
    assert older.facts.block == 41
    assert len(older.evidence) < len(proven.evidence) + 10


def test_evidence_of_many_large_sets_leaves_out_the_oldest_changes(nodes: Nodes) -> None:
    sets = {1: FOUR} | {30 + number: many(120 + number) for number in range(2, 12)}
    chain, _ = nodes(MadeChain(42, sets))
    chain.comets.timeout = 30
    proven = chain.prove(LOG, 9)
    assert len(proven.evidence) <= 128 * 1024
    newest = chain.trusted()[0]
    assert check_chain_evidence(proven.evidence, newest, LOG).size == 9


def test_what_the_node_trusts_is_its_pin_and_the_newest_validators(nodes: Nodes) -> None:
    chain, _ = nodes(MadeChain(42, {1: FOUR, 20: FIVE}))
    assert chain.trusted() == (policy(),)
    evidence = chain.prove(LOG, 9).evidence
    newest, pin = chain.trusted()
    assert pin == policy()
    assert newest.comet == CometTrust(CHAIN_NAME, 42, BEGAN + 42, set_of(FIVE))
    for one in (newest, pin):
        assert check_chain_evidence(evidence, one, LOG).size == 9


def test_words_are_proven_for_whoever_reads_the_contract(nodes: Nodes) -> None:
    chain, _ = nodes()
    block, read = chain.proven_words()
    assert block == 41
    assert read(slot(0, LOG, word(9))) == ROOT
    assert read(slot(0, LOG, word(8))) == bytes(32)
    assert chain.proven_words(30)[0] == 30


def test_what_was_proven_of_a_block_is_not_asked_for_again(nodes: Nodes) -> None:
    chain, (node,) = nodes()
    chain.head(LOG)
    node.asked.clear()
    chain.head(LOG)
    assert node.asked == ["commit"]


def test_anchors_are_listed_where_storage_bears_them_out(nodes: Nodes) -> None:
    chain, (node,) = nodes()
    (found,) = chain.scan(LOG)
    assert (found.size, found.root, found.block, found.time) == (9, ROOT, 40, 1_900)
    node.rewrites["eth_getLogs"] = lambda logs: [
        logs[0] | {"data": "0x" + "ee" * 32 + logs[0]["data"][66:]},
    ]
    with pytest.raises(ChainUnprovenError, match="not what the contract holds"):
        list(chain.scan(LOG))


def test_a_look_and_the_evidence_after_it_ask_for_each_value_once(nodes: Nodes) -> None:
    chain, (node,) = nodes()
    chain.check()
    chain.head(LOG)
    node.asked.clear()
    proven = chain.prove(LOG, 9, block=chain.final_block())
    assert check_chain_evidence(proven.evidence, policy(), LOG).size == 9
    assert node.asked == ["commit", "abci_query"], "only the anchor's time was not read before"


def test_anchors_are_looked_for_only_where_blocks_are_signed(nodes: Nodes) -> None:
    chain, (node,) = nodes()
    node.rewrites["eth_blockNumber"] = lambda _: hex(1 << 60)
    assert [found.size for found in chain.scan(LOG)] == [9]
    assert node.asked.count("eth_getLogs") == 1


def test_an_event_told_again_and_again_is_a_lie(nodes: Nodes) -> None:
    chain, (node,) = nodes()
    node.rewrites["eth_getLogs"] = lambda logs: logs * 1_000
    with pytest.raises(ChainUnprovenError, match="comes after"):
        list(chain.scan(LOG))


# --- another chain or contract ----------------------------------------------------------------------------------------


def test_a_missing_contract_is_proven_missing(nodes: Nodes) -> None:
    chain, (node,) = nodes()
    node.state.code_hash = None
    node.touch()
    with pytest.raises(ContractMissingError):
        chain.check()


def test_what_the_newest_block_brought_is_waited_for_until_it_is_proven(nodes: Nodes) -> None:
    chain, (node,) = nodes()
    log = digest(b"registered in the newest block")
    assert chain.head(log).size == 0
    node.rewrites["eth_getStorageAt"] = lambda _: "0x" + word(1).hex()
    with pytest.raises(ChainUnavailableError, match="not signed yet"):
        chain.head(log)
    node.state.code_hash = None
    node.touch()
    node.rewrites["eth_getCode"] = lambda _: "0x60"
    node.chain.height += 1
    with pytest.raises(ChainUnavailableError, match="not signed yet"):
        chain.check()


def test_other_code_is_another_contract(nodes: Nodes) -> None:
    chain, (node,) = nodes()
    node.state.code_hash = digest(b"other code")
    node.touch()
    with pytest.raises(ChainMismatchError, match="anchor contract"):
        chain.check()
    with pytest.raises(ChainMismatchError):
        chain.proven_words()


def test_a_json_rpc_node_of_another_chain_is_found_out(nodes: Nodes) -> None:
    chain, (node,) = nodes()
    node.rewrites["eth_getBlockByNumber"] = lambda block: block | {"hash": "0x" + "dd" * 32}
    with pytest.raises(ChainMismatchError, match="another block 42"):
        chain.check()
    node.rewrites["eth_getBlockByNumber"] = lambda _: None
    chain.check()  # it may come in a moment
    chain.comets.clock.now += 60  # type: ignore[attr-defined]
    with pytest.raises(NodeBehindError):
        chain.check()
    node.rewrites["eth_chainId"] = lambda _: "0x8"
    with pytest.raises(ChainMismatchError, match="serves chain 8"):
        chain.check()


def test_another_name_is_another_chain(nodes: Nodes) -> None:
    chain, _ = nodes(pin=CometTrust("another", 1, 0, set_of(FOUR)))
    with pytest.raises(ChainMismatchError, match="tial-test-1"):
        chain.check()


def test_every_node_needs_its_pair(nodes: Nodes) -> None:
    chain, _ = nodes(MadeChain(42), MadeChain(42))
    with pytest.raises(MalformedError, match="2 addresses for 1"):
        CometChain(chain.rpc, chain.comets, [chain.comets.urls[0]], chain_id=7, contract="0x" + CONTRACT.hex())


# --- lies -------------------------------------------------------------------------------------------------------------


def changed_words(node: CometNode) -> None:
    """Another head, with proofs that fit it, under the header of before."""
    signed, chain = node.chain.signed(node.chain.height), node.chain
    node.state.words[slot(2, LOG)] = head(50, 1_950)
    node.touch()
    chain.signed = lambda _: signed  # type: ignore[method-assign]


def changed_header(node: CometNode) -> None:
    """Another head with proofs and a header that fit it, and votes for the header of before."""
    votes = node._commit(None)["signed_header"]["commit"]
    node.state.words[slot(2, LOG)] = head(50, 1_950)
    node.touch()
    node.rewrites["commit"] = lambda honest: {"signed_header": honest["signed_header"] | {"commit": votes}}


def other_validators(node: CometNode) -> None:
    """Another head, signed by validators of the liar's own."""
    node.state.words[slot(2, LOG)] = head(50, 1_950)
    node.chain.sets = {1: FOUR, 30: many(4)}
    node.chain._made.clear()
    node.touch()
    honest = MadeChain(29, {1: FOUR})
    made = node.chain.commit
    node.chain.commit = (  # type: ignore[method-assign]
        lambda height=None: honest.commit(height) if height is not None and height < 30 else made(height)
    )


def silence(node: CometNode) -> None:
    node.rewrites["abci_query"] = lambda _: {"response": {"code": 1, "log": "no", "height": "41"}}


def garbage(node: CometNode) -> None:
    node.rewrites["commit"] = lambda _: [None]


def value_of_another_key(node: CometNode) -> None:
    honest = node._abci_query
    other = (b"\2" + CONTRACT + slot(0, LOG, word(9))).hex()
    node._abci_query = lambda path, _, height, prove: honest(path, other, height, prove)  # type: ignore[method-assign]


LIES = [changed_words, changed_header, other_validators, silence, garbage, value_of_another_key]


@pytest.mark.parametrize("lie", LIES)
def test_a_node_that_lies_is_not_heard(lie: Callable[[CometNode], None], nodes: Nodes) -> None:
    chain, (node,) = nodes()
    lie(node)
    for ask in (chain.check, lambda: chain.head(LOG), lambda: chain.evidence(LOG, 9), lambda: chain.prove(LOG, 9)):
        with pytest.raises(ChainUnavailableError):
            ask()


@pytest.mark.parametrize("lie", LIES)
def test_another_node_is_heard_in_the_place_of_a_liar(lie: Callable[[CometNode], None], nodes: Nodes) -> None:
    chain, (liar, honest) = nodes(MadeChain(42), MadeChain(42))
    lie(liar)
    assert chain.head(LOG).size == 9
    assert chain.prove(LOG, 9).facts.size == 9
    honest.chain.height += 1
    chain.check()
    assert chain.head(LOG).block == 42


def test_those_who_lied_once_are_heard_before_one_that_fails_now(nodes: Nodes) -> None:
    chain, made = nodes(MadeChain(42), MadeChain(42), MadeChain(42))
    chain.check()
    for liar in made[:2]:
        liar.rewrites["commit"] = other_state
        for node in made:
            node.chain.height += 1
        chain.head(LOG)
        liar.rewrites.clear()
        chain.check()
    assert [node.used for node in chain.nodes()] == [False, False, True]
    silence(made[2])
    for node in made:
        node.chain.height += 1
    assert chain.head(LOG).size == 9


def other_state(answer: Any) -> Any:
    signed = answer["signed_header"]
    return {"signed_header": signed | {"header": signed["header"] | {"app_hash": "AB" * 32}}}


def test_a_liar_is_left_by_transactions_too(nodes: Nodes) -> None:
    chain, (liar, _) = nodes(MadeChain(42), MadeChain(42))
    chain.check()
    changed_header(liar)
    liar.chain.height = 43
    chain.head(LOG)
    chain.check()
    assert [node.state == "well" for node in chain.nodes()] == [False, True]
    assert chain.switches == 1


def test_an_old_block_is_never_taken_for_the_newest(nodes: Nodes) -> None:
    chain, (node,) = nodes()
    chain.head(LOG)
    node.chain.height = 41
    node.state.words[slot(2, LOG)] = head(5, 1_500)
    with pytest.raises(NodeBehindError, match="block 42 is known"):
        chain.head(LOG)


def test_an_event_in_another_block_than_the_signed_one_is_a_lie(nodes: Nodes) -> None:
    chain, (node,) = nodes(MadeChain(41))
    node.rewrites["eth_getLogs"] = lambda logs: [logs[0] | {"blockHash": "0x" + "bb" * 32}]
    with pytest.raises(ChainUnprovenError, match="another block 40"):
        chain.evidence(LOG, 9)
    node.rewrites["eth_getLogs"] = lambda _: []
    found = chain.evidence(LOG, 9)
    assert found is not None
    assert (found.root, found.tx) == (ROOT, b"")


# --- chains and nodes that stand still --------------------------------------------------------------------------------


def test_a_chain_without_new_blocks_is_told_and_still_read(nodes: Nodes, clock: Clock) -> None:
    chain, _ = nodes()
    clock.now = BEGAN + 200
    found = chain.head(LOG)
    assert (found.size, found.halted) == (9, True)


def test_the_node_with_the_newest_header_is_used_when_one_stands_still(nodes: Nodes, clock: Clock) -> None:
    chain, (first, second) = nodes(MadeChain(42), MadeChain(42))
    chain.check()
    assert chain.head(LOG).block == 41
    clock.now, second.chain.height = BEGAN + 200, 190
    found = chain.head(LOG)
    assert (found.block, found.halted) == (189, False)
    chain.check()
    assert [node.used for node in chain.nodes()] == [False, True]
    assert first.asked.count("commit") >= 2


def test_a_clock_that_is_ahead_makes_no_node_a_liar(nodes: Nodes, clock: Clock) -> None:
    chain, (first, second) = nodes(MadeChain(42), MadeChain(42))
    chain.check()
    clock.now, second.chain.height = BEGAN + 200, 43  # which was asked a moment later
    found = chain.head(LOG)
    assert (found.block, found.halted) == (42, True)
    first.chain.height = 43
    chain.check()
    assert next((node.used, node.state) for node in chain.nodes()) == (True, "well")
    assert chain.switches == 0


def test_slow_nodes_together_have_the_time_of_one_question(nodes: Nodes) -> None:
    chain, made = nodes(*(MadeChain(42) for _ in range(3)))
    for node in made:
        node.rewrites["abci_query"] = lambda honest: time.sleep(0.9) or honest
    begin = time.monotonic()
    with pytest.raises(ChainUnavailableError):
        chain.head(LOG)
    assert time.monotonic() - begin < 2.7


def test_nodes_that_are_all_gone_say_so_in_time(nodes: Nodes) -> None:
    chain, made = nodes(MadeChain(42), MadeChain(42))
    for node in made:
        node.__exit__()
    with pytest.raises(ChainUnavailableError):
        chain.head(LOG)


def test_another_thread_reads_with_the_same_trust(nodes: Nodes) -> None:
    chain, (node,) = nodes(MadeChain(42, {1: FOUR, 20: FIVE}))
    apart, found = chain.apart(), []
    chain.head(LOG)
    thread = threading.Thread(target=lambda: found.append(apart.prove(LOG, 9)))
    thread.start()
    thread.join(10)
    assert found[0].facts.block == 42
    assert node.asked.count("validators") == 1
    assert chain.at("0x" + "12" * 20).identity.contract != chain.identity.contract


def test_sizes_that_are_none_are_refused_by_name(nodes: Nodes) -> None:
    chain, _ = nodes()
    for size in (0, 8, 1 << 70):
        with pytest.raises(LedgerError):
            chain.prove(LOG, size)
