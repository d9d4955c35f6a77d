"""Evidence from a real chain with the real contract: anvil's state roots and proofs, checked by the verifier."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_utils.crypto import keccak

from ledger.evidence.chain import (
    ChainFacts,
    ChainInvalidError,
    ChainPolicy,
    ChainUntrustedError,
    check_chain_evidence,
    check_request,
)
from node.chain import transactions
from node.chain.evm import EvmChain
from node.chain.proofs import gather, header_of
from node.chain.protocol import ChainUnavailableError, Finality, ProvenAnchor
from tests.chain_world import World

LEAF = keccak(text="a revocation that nobody admits")


def policy(chain: EvmChain, *hashes: bytes) -> ChainPolicy:
    identity = chain.identity
    return ChainPolicy(
        "ethereum", identity.chain_id, bytes.fromhex(identity.contract[2:]), identity.code_hash, headers=hashes
    )


def checked(world: World, chain: EvmChain, proven: ProvenAnchor) -> ChainFacts:
    """Check as somebody would who pins the block that he reads from the chain himself."""
    block = world.rpc().call("eth_getBlockByNumber", hex(proven.facts.block), False)  # noqa: FBT003
    facts = check_chain_evidence(proven.evidence, policy(chain, bytes.fromhex(block["hash"][2:])), world.log.id)
    assert facts == proven.facts
    assert facts.time == int(block["timestamp"], 16)
    return facts


def by_admin(world: World, function: str, *arguments: object) -> None:
    chain = world.backend()
    transactions.transact(
        world.rpc(),
        world.admin,
        chain_id=chain.identity.chain_id,
        to=chain.identity.contract,
        data=chain.artifact.encode(function, *arguments),
        price=None,
        seconds=20,
    )


def test_what_the_contract_holds_is_proven_under_the_chains_own_header(world: World) -> None:
    chain = world.backend()
    for size in (5, 9):
        world.anchor_as(world.log, size)
    head = chain.head(world.log.id)
    for size in (9, 5, 1):
        facts = checked(world, chain, chain.prove(world.log.id, size))
        said = chain.evidence(world.log.id, size)
        assert said is not None
        assert (facts.root, facts.anchored_block, facts.anchored_time) == (said.root, said.block, said.time)
        assert "0x" + facts.anchored_by.hex() == said.sender.lower()
        assert (facts.head_size, facts.head_time, facts.newest) == (9, head.time, size == 9)
        assert (facts.block, facts.sealed) == (head.block, False)


def test_an_older_block_still_speaks_of_its_own_time(world: World) -> None:
    chain = world.backend()
    world.anchor_as(world.log, 5)
    block = chain.final_block()
    world.anchor_as(world.log, 9)
    old = checked(world, chain, chain.prove(world.log.id, 5, block=block))
    assert (old.block, old.head_size, old.newest) == (block, 5, True)
    new = checked(world, chain, chain.prove(world.log.id, 5))
    assert (new.head_size, new.newest) == (9, False)


def test_the_default_is_the_newest_final_block(world: World) -> None:
    world.anchor_as(world.log, 5)
    latest = world.backend().final_block()
    chain = world.backend(finality=Finality.parse("depth:1"))
    assert chain.final_block() == latest - 1
    world.anchor_as(world.log, 9)
    facts = checked(world, chain, chain.prove(world.log.id, 5))
    assert (facts.block, facts.head_size) == (latest, 5)
    with pytest.raises(ChainUnavailableError):
        world.backend(finality=Finality.parse("depth:1000")).prove(world.log.id, 5)


def test_a_size_that_is_not_anchored_is_not_proven(world: World) -> None:
    chain = world.backend()
    world.anchor_as(world.log, 5)
    for size, block in ((4, None), (5, 1), (5, 1_000)):
        with pytest.raises(ChainUnavailableError):
            chain.prove(world.log.id, size, block=block)


def test_a_request_that_the_operator_ignores_is_shown_with_its_time(world: World) -> None:
    chain = world.backend()
    world.anchor_as(world.log, 5)
    before = chain.prove_request(world.log.id, LEAF)
    by_admin(world, "request", world.log.id, LEAF)
    asked = chain.final_block()
    world.anchor_as(world.log, 9)
    proven = chain.prove_request(world.log.id, LEAF)
    facts = checked(world, chain, proven)
    rule = policy(chain, proven.facts.block_hash)
    assert check_request(proven.evidence, rule, world.log.id, LEAF) == (facts, facts.request(LEAF))
    request = facts.request(LEAF)
    assert request is not None
    assert (request.block, request.sender.hex()) == (asked, world.admin.address[2:].lower())
    assert (facts.size, facts.head_size, facts.newest) == (9, 9, True)
    assert request.time <= facts.anchored_time  # the log grew after the request, without the leaf
    with pytest.raises(ChainInvalidError):
        check_request(before.evidence, policy(chain, before.facts.block_hash), world.log.id, LEAF)


def test_a_sealed_log_is_proven_with_its_seal(world: World) -> None:
    chain = world.backend()
    for size in (5, 9):
        world.anchor_as(world.log, size)
    by_admin(world, "seal", world.log.id, 5, chain.prove(world.log.id, 5).facts.root, bytes(32))
    facts = checked(world, chain, chain.prove(world.log.id, 9))
    assert facts.seal is not None
    assert (facts.seal.size, facts.seal.successor, facts.disputed) == (5, None, True)
    assert not checked(world, chain, chain.prove(world.log.id, 5)).disputed


def test_another_header_pinned_is_cannot_tell_and_other_code_is_invalid(world: World) -> None:
    chain = world.backend()
    world.anchor_as(world.log, 5)
    proven = chain.prove(world.log.id, 5)
    good = policy(chain, proven.facts.block_hash)
    for wrong in (policy(chain), policy(chain, bytes(32)), replace(good, kind="cometbft")):
        with pytest.raises(ChainUntrustedError):
            check_chain_evidence(proven.evidence, wrong, world.log.id)
    for wrong in (
        replace(good, code_hash=bytes(32)),
        replace(good, chain_id=1),
        replace(good, contract=bytes.fromhex(world.deploy().contract[2:])),
    ):
        with pytest.raises(ChainInvalidError):
            check_chain_evidence(proven.evidence, wrong, world.log.id)


def test_a_node_that_lies_about_block_or_proof_gives_no_evidence(world: World) -> None:
    chain = world.backend()
    world.anchor_as(world.log, 5)
    number = chain.final_block()
    block = chain.rpc.call("eth_getBlockByNumber", hex(number), False)  # noqa: FBT003
    proof = chain.rpc.call("eth_getProof", chain.identity.contract, [], hex(number))
    header, block_hash = header_of(block)
    assert keccak(header) == block_hash

    for name, wrong in [(name, wrong) for name in block for wrong in (None, "0x1", "0x" + "11" * 32, [], 7)]:
        if wrong == block[name]:
            continue
        try:
            assert header_of(block | {name: wrong}) == (header, block_hash)  # a member that no header has
        except ChainUnavailableError:
            continue
        assert name in {"size", "totalDifficulty", "uncles", "transactions", "withdrawals"}

    for answers in (
        {"eth_getBlockByNumber": None},
        {"eth_getBlockByNumber": []},
        {"eth_getBlockByNumber": block | {"number": "0x1"}},
        {"eth_getProof": None},
        {"eth_getProof": {}},
        {"eth_getProof": proof},  # without the slots
        {"eth_getProof": proof | {"accountProof": ["0x00"]}},
        {"eth_getProof": proof | {"accountProof": "0x00"}},
        {"eth_getProof": proof | {"storageProof": [{"proof": ["text"]}]}},
        {"eth_getProof": proof | {"storageProof": [7]}},
    ):

        def ask(method: str, *params: object, answers: dict = answers) -> object:
            return answers[method] if method in answers else chain.rpc.call(method, *params)

        with pytest.raises(ChainUnavailableError):
            gather(ask, identity=chain.identity, log_id=world.log.id, size=5, block=number)


def test_evidence_outlives_a_restart_of_the_chain(world: World) -> None:
    chain = world.backend()
    world.anchor_as(world.log, 5)
    before = chain.prove(world.log.id, 5)
    world.chain.save()
    world.chain.stop()
    world.chain.start()
    after = checked(world, world.backend(), world.backend().prove(world.log.id, 5))
    assert (after.block_hash, after.root) == (before.facts.block_hash, before.facts.root)
