"""The EVM backend against the real contract, and against other people's encoders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import HTTPProvider, Web3

from devnet.rpc import call
from ledger.crypto import secp256k1
from ledger.errors import CorruptError, MalformedError
from node.chain import transactions
from node.chain.artifact import load_artifact
from node.chain.authorisation import authorisation_payload
from node.chain.deploy import Deployer, Deployment
from node.chain.protocol import (
    ChainMismatchError,
    ChainUnavailableError,
    ContractMissingError,
    Finality,
    FinalityKind,
    NodeBehindError,
    TransactionRefusedError,
    TxState,
)
from tests.chain_world import ORIGIN, TinyLog, World
from tests.waiting import wait_until

CONTRACT = "0xE31D0D75e608AAd7Cb137b7D1bFdf203413938c8"
words = st.binary(min_size=32, max_size=32)


@given(st.integers(1, 2**64 - 1), words, st.integers(0, 2**64 - 1), words)
@settings(max_examples=25)
def test_the_authorisation_is_eip_712_typed_data(chain_id: int, log: bytes, size: int, root: bytes) -> None:
    key = secp256k1.SUITE.generate()
    document = {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Anchor": [
                {"name": "log", "type": "bytes32"},
                {"name": "size", "type": "uint64"},
                {"name": "root", "type": "bytes32"},
            ],
        },
        "primaryType": "Anchor",
        "domain": {"name": "LedgerAnchor", "version": "1", "chainId": chain_id, "verifyingContract": CONTRACT},
        "message": {"log": log, "size": size, "root": root},
    }
    signature = key.sign_keccak(authorisation_payload(chain_id, CONTRACT, log, size, root))
    assert Account.recover_message(encode_typed_data(full_message=document), signature=signature) == key.address


@given(
    nonce=st.integers(0, 2**32),
    price=st.integers(0, 2**80),
    tip=st.one_of(st.none(), st.integers(0, 2**40)),
    to=st.one_of(st.none(), st.just(CONTRACT)),
    data=st.binary(max_size=200),
    chain_id=st.integers(1, 2**53),
)
@settings(max_examples=40)
def test_other_people_s_tools_read_our_transactions(
    nonce: int, price: int, tip: int | None, to: str | None, data: bytes, chain_id: int
) -> None:
    key = secp256k1.SUITE.generate()
    offer = transactions.Fees(price, tip)
    made = transactions.sign(key, chain_id=chain_id, nonce=nonce, gas=21_000, offer=offer, to=to, data=data)
    assert Account.recover_transaction(made.raw) == key.address
    assert made.hash == Web3.keccak(made.raw)


def test_the_contract_computes_the_same_authorisation(world: World) -> None:
    chain = world.backend()
    ours = chain.authorisation_payload(world.log.id, 7, bytes(range(32)))
    (theirs,) = chain._view(chain._latest(), "authorisationDigest", ("bytes32",), world.log.id, 7, bytes(range(32)))
    assert Web3.keccak(ours) == theirs


def test_evidence_names_block_transaction_sender_and_what_it_cost(world: World) -> None:
    tx = world.anchor_as(world.log, 33)
    chain = world.backend()
    evidence = chain.evidence(world.log.id, 33)
    assert evidence is not None
    head = chain.head(world.log.id)
    assert (evidence.root, evidence.time, evidence.block) == (head.root, head.time, head.block)
    assert (evidence.tx, evidence.sender, evidence.final) == (tx, world.sender.address, True)
    assert 0 < evidence.gas < 130_000
    assert evidence.fee > 0
    block = call(world.chain.url, "eth_getBlockByNumber", hex(evidence.block), False)  # noqa: FBT003 - positional
    assert "0x" + evidence.block_hash.hex() == block["hash"]
    assert chain.evidence(world.log.id, 32) is None
    assert chain.evidence(bytes(32), 33) is None
    registered = chain.evidence(world.log.id, 1)
    assert registered is not None
    assert registered.root == world.log.id


def test_a_plain_web3_reader_with_the_committed_abi_lists_all_anchors(world: World) -> None:
    for size in (5, 9, 14):
        world.anchor_as(world.log, size)
    reader = Web3(HTTPProvider(world.chain.url))
    contract = reader.eth.contract(world.deployment.contract, abi=load_artifact().abi)
    theirs = [
        (each["args"]["size"], each["args"]["root"], each["transactionHash"], each["blockNumber"])
        for each in contract.events.Anchored().get_logs(from_block=0)
    ]
    ours = [(each.size, each.root, each.tx, each.block) for each in world.backend().scan(world.log.id)]
    assert theirs == ours
    assert [each[0] for each in ours] == [5, 9, 14]


def test_a_scan_leaves_out_other_logs_and_earlier_blocks(world: World) -> None:
    other = TinyLog()
    other.leaves[0] = bytes(range(32))
    deployer = Deployer(world.rpc(), world.admin)
    deployer.register_log(world.deployment.contract, other.id, ORIGIN, world.authoriser.address)
    world.anchor_as(world.log, 5)
    world.anchor_as(other, 6)
    world.anchor_as(world.log, 7)
    chain = world.backend()
    assert [each.size for each in chain.scan(other.id)] == [6]
    second = list(chain.scan(world.log.id))[1]
    assert [each.size for each in chain.scan(world.log.id, second.block)] == [7]


def test_a_forged_authorisation_fails_on_the_chain_itself(world: World) -> None:
    chain = world.backend()
    published = world.log.publish(10)
    payload = chain.authorisation_payload(world.log.id, 10, published.root)
    forged = secp256k1.SUITE.generate().sign_keccak(payload)
    data = chain.artifact.encode("anchor", world.log.id, 10, published.root, world.log.consistency(1, 10), forged)
    transaction = transactions.sign(
        world.sender,
        chain_id=31990,
        nonce=transactions.next_nonce(chain.rpc, world.sender.address),
        gas=500_000,
        offer=transactions.fees(chain.rpc, None),
        to=world.deployment.contract,
        data=data,
    )
    chain.submit(transaction.raw)
    wait_until(lambda: chain.status(transaction.hash).state is TxState.FAILED)
    assert chain.head(world.log.id).size == 1


def test_an_altered_proof_root_or_size_is_refused_by_name(world: World) -> None:
    world.anchor_as(world.log, 10)
    chain = world.backend()
    published = world.log.publish(20)
    proof = world.log.consistency(10, 20)

    def reason(size: int, root: bytes, given: list[bytes]) -> str:
        authorisation = world.authoriser.sign_keccak(chain.authorisation_payload(world.log.id, size, root))
        with pytest.raises(TransactionRefusedError) as refusal:
            chain.prepare(world.log.id, 10, size, root, given, authorisation)
        return refusal.value.reason

    assert reason(20, published.root, proof[:-1]) == "ConsistencyRefused"
    assert reason(20, published.root, [*proof, bytes(32)]) == "ConsistencyRefused"
    assert reason(20, bytes(31) + b"\x01", proof) == "ConsistencyRefused"
    assert reason(64, published.root, proof) == "ConsistencyRefused"
    assert reason(9, published.root, proof) == "SizeNotGrowing"
    assert reason(10, published.root, proof) == "RootConflict"


@pytest.mark.parametrize("previous", [5, 20], ids=["ahead", "behind"])
def test_a_refusal_out_of_another_state_than_the_head_was_read_in_is_none(world: World, previous: int) -> None:
    world.anchor_as(world.log, 10)
    chain, root = world.backend(), world.log.publish(30).root
    authorisation = world.authoriser.sign_keccak(chain.authorisation_payload(world.log.id, 30, root))
    proof = world.log.consistency(previous, 30)
    with pytest.raises(NodeBehindError, match=f"shows size 10 as the newest anchor, not {previous}"):
        chain.prepare(world.log.id, previous, 30, root, proof, authorisation)
    with pytest.raises(TransactionRefusedError):
        chain.prepare(world.log.id, 10, 30, root, proof, authorisation)


def test_what_the_contract_refuses_is_told_in_words(world: World) -> None:
    world.anchor_as(world.log, 10)
    chain, root = world.backend(), world.log.publish(20).root
    authorisation = world.authoriser.sign_keccak(chain.authorisation_payload(world.log.id, 20, root))
    with pytest.raises(TransactionRefusedError) as refusal:
        chain.prepare(world.log.id, 10, 20, root, [], authorisation)
    assert (refusal.value.reason, refusal.value.detail) == (
        "ConsistencyRefused",
        "the contract refuses: consistency refused",
    )
    with pytest.raises(TransactionRefusedError) as refusal:
        chain.request(bytes(32), bytes([7]) * 32)
    assert (refusal.value.reason, refusal.value.detail) == ("LogUnknown", "the contract refuses: log unknown")


def test_a_transaction_may_be_sent_twice_but_not_its_nonce_used_twice(world: World) -> None:
    call(world.chain.url, "evm_setAutomine", False)  # noqa: FBT003 - positional
    chain = world.backend()
    published = world.log.publish(4)
    authorisation = world.authoriser.sign_keccak(chain.authorisation_payload(world.log.id, 4, published.root))
    made = chain.prepare(world.log.id, 1, 4, published.root, world.log.consistency(1, 4), authorisation)
    assert chain.status(made.hash).state is TxState.VANISHED
    chain.submit(made.raw)
    chain.submit(made.raw)
    assert chain.status(made.hash).state is TxState.PENDING
    dearer = chain.prepare(
        world.log.id, 1, 4, published.root, world.log.consistency(1, 4), authorisation, floor=made.price * 2
    )
    assert (dearer.nonce, dearer.price) == (made.nonce, made.price * 2)
    chain.submit(dearer.raw)
    with pytest.raises(TransactionRefusedError) as refusal:
        chain.submit(made.raw)
    assert refusal.value.reason == "underpriced"
    call(world.chain.url, "evm_mine")
    wait_until(lambda: chain.status(dearer.hash).state is TxState.INCLUDED)
    with pytest.raises(TransactionRefusedError) as refusal:
        chain.submit(made.raw)
    assert refusal.value.reason == "nonce-too-low"


def test_a_fixed_price_makes_a_legacy_transaction_that_the_chain_takes(world: World) -> None:
    chain = world.backend(gas_price=5 * 10**9)
    published = world.log.publish(3)
    authorisation = world.authoriser.sign_keccak(chain.authorisation_payload(world.log.id, 3, published.root))
    made = chain.prepare(world.log.id, 1, 3, published.root, world.log.consistency(1, 3), authorisation)
    assert made.price == 5 * 10**9
    chain.submit(made.raw)
    wait_until(lambda: chain.status(made.hash).state is TxState.INCLUDED)
    assert call(world.chain.url, "eth_getTransactionByHash", "0x" + made.hash.hex())["type"] == "0x0"


def test_without_a_sender_s_key_it_only_reads(world: World) -> None:
    chain = world.backend(sender=None)
    chain.check()
    assert chain.head(world.log.id).size == 1
    assert chain.status(bytes(32)).state is TxState.VANISHED
    with pytest.raises(TransactionRefusedError, match="no key"):
        chain.prepare(world.log.id, 1, 2, bytes(32), [], bytes(65))


def test_finality_is_judged_by_the_policy_of_the_chain(world: World) -> None:
    world.anchor_as(world.log, 5)

    def final(policy: str) -> bool:
        evidence = world.backend(finality=Finality.parse(policy)).evidence(world.log.id, 5)
        assert evidence is not None
        return evidence.final

    assert [final("included"), final("depth:2"), final("finalized")] == [True, False, False]
    call(world.chain.url, "anvil_mine", "0x2")
    assert [final("included"), final("depth:2"), final("finalized")] == [True, True, False]
    call(world.chain.url, "anvil_mine", "0x40")
    assert final("finalized")


@pytest.mark.parametrize("text", ["", "depth", "depth:0", "depth:-1", "depth:1000001", "Included", "depth:1 ", "safe"])
def test_an_unknown_finality_policy_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        Finality.parse(text)


def test_finality_policies_are_read_and_written_alike() -> None:
    for text in ("included", "depth:12", "finalized"):
        assert str(Finality.parse(text)) == text
    assert Finality.parse("depth:12") == Finality(FinalityKind.DEPTH, 12)


def test_chain_and_contract_are_told_apart(world: World) -> None:
    world.backend().check()
    with pytest.raises(ContractMissingError):
        world.backend(contract="0x" + "11" * 20).check()
    with pytest.raises(ChainMismatchError, match="is not that of the anchor contract"):
        world.backend(code_hash=bytes(32)).check()
    with pytest.raises(ChainMismatchError, match="serves chain 31990"):
        world.backend(chain_id=2).check()
    with pytest.raises(ChainUnavailableError, match="no answer to head"):
        world.backend(contract="0x" + "11" * 20).head(world.log.id)


def test_roles_and_logs_are_given_once(world: World) -> None:
    deployer = Deployer(world.rpc(), world.admin)
    before = call(world.chain.url, "eth_blockNumber")
    deployer.grant(world.deployment.contract, "ANCHORER_ROLE", world.sender.address)
    deployer.register_log(world.deployment.contract, world.log.id, ORIGIN, world.authoriser.address)
    assert call(world.chain.url, "eth_blockNumber") == before
    with pytest.raises(MalformedError):
        deployer.grant(world.deployment.contract, "DEFAULT_ADMIN_ROLE", world.sender.address)
    stranger = Deployer(world.rpc(), world.sender)
    with pytest.raises(TransactionRefusedError):
        stranger.register_log(world.deployment.contract, bytes(range(32)), ORIGIN, world.authoriser.address)


def test_a_deployment_record_is_kept_and_a_damaged_one_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    world.deployment.save(path)
    assert Deployment.load(path) == world.deployment
    for damage in (b"", b"{}", b"[]", json.dumps({"format": "tial-deployment-v1", "chain_id": "x"}).encode()):
        path.write_bytes(damage)
        with pytest.raises(MalformedError):
            Deployment.load(path)


def test_an_artifact_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    for content in (b"", b"[]", b'{"contractName": "Other"}', b'{"contractName": "LedgerAnchor", "abi": []}'):
        path.write_bytes(content)
        with pytest.raises(CorruptError):
            load_artifact(path)
