"""Proofs that our Python makes, checked by the contract on a real chain: all accepted, every mutation refused.

Anchors go through the node's own chain backend; the contract's views are asked by web3.py. Tests in Solidity go through
every size; here the two implementations meet.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractCustomError

from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from devnet.embedded.chain import EmbeddedChain
from ledger.crypto import secp256k1
from ledger.log.proofs import consistency_proof, inclusion_proof, verify_consistency, verify_inclusion
from ledger.log.tree import leaf_hash, root_of
from node.chain.artifact import load_artifact
from node.chain.deploy import Deployer
from node.chain.evm import EvmChain
from node.chain.protocol import Finality, TransactionRefusedError
from node.chain.rpc import JsonRpc

SIZES = (*range(1, 10), 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 300, 511, 1000, 1025)
LEAVES = [leaf_hash(f"entry {number}".encode()) for number in range(SIZES[-1])]
LOG = LEAVES[0]


@functools.cache
def node_at(level: int, index: int) -> bytes:
    return root_of(LEAVES[index << level : (index + 1) << level])


@functools.cache
def root_at(size: int) -> bytes:
    return root_of(LEAVES[:size])


def flipped(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


def mutations(proof: Sequence[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Proofs of every kind that is not this one."""
    yield "one hash more", [*proof, bytes(32)]
    yield "one hash more in front", [LOG, *proof]
    if proof:
        yield "cut at the end", list(proof[:-1])
        yield "cut in front", list(proof[1:])
        yield "last hash repeated", [*proof, proof[-1]]
    if len(set(proof)) > 1:
        yield "other order", list(reversed(proof))
    for place in range(len(proof)):
        yield f"bit of hash {place}", [*proof[:place], flipped(proof[place]), *proof[place + 1 :]]


class Anchors:
    """The contract with one log in it, and both keys that an anchor needs."""

    def __init__(self, web3: Web3) -> None:
        self.web3 = web3
        artifact = load_artifact()
        rpc = JsonRpc(web3.provider.endpoint_uri)  # type: ignore[attr-defined]
        admin, sender, self.authoriser = (secp256k1.SUITE.generate() for _ in range(3))
        for signer in (admin, sender):
            web3.provider.make_request("anvil_setBalance", [signer.address, hex(10**20)])  # type: ignore[arg-type]
        deployment = Deployer(rpc, admin).establish(
            log=LOG, origin="proofs.example/log", sender=sender.address, authoriser=self.authoriser.address
        )
        self.sender = sender.address
        self.chain = EvmChain(
            rpc, chain_id=deployment.chain_id, contract=deployment.contract,
            finality=Finality.parse("included"), sender=sender,
        )  # fmt: skip
        self.contract: Any = web3.eth.contract(address=deployment.contract, abi=artifact.abi)  # type: ignore[call-overload]
        self.names = {selector.hex(): name for selector, name in artifact.errors.items()}

    def authorise(self, size: int, root: bytes) -> bytes:
        return self.authoriser.sign_keccak(self.chain.authorisation_payload(LOG, size, root))

    def anchor(self, size: int, proof: Sequence[bytes]) -> None:
        root = root_at(size)
        sent = self.chain.prepare(LOG, self.chain.head(LOG).size, size, root, proof, self.authorise(size, root))
        self.chain.submit(sent.raw)
        receipt = self.web3.eth.wait_for_transaction_receipt(sent.hash, timeout=10, poll_latency=0.01)  # type: ignore[arg-type]
        assert receipt["status"] == 1
        head = self.chain.head(LOG).size
        assert head == size

    def refusal(self, size: int, root: bytes, proof: Sequence[bytes]) -> str:
        """Try an anchor without sending it; the contract's error, empty where it would be taken."""
        call = self.contract.functions.anchor(LOG, size, root, list(proof), self.authorise(size, root))
        try:
            call.call({"from": self.sender})
        except ContractCustomError as error:
            return self.names[str(error.data)[2:10]]
        return ""

    def includes(self, size: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
        return bool(self.contract.functions.verifyInclusion(LOG, size, index, leaf, list(proof)).call())


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web3]:
    """Run an embedded chain of our own: thousands of calls are made here, and its output goes to a file."""
    try:
        find_anvil()
    except AnvilNotFoundError as error:
        pytest.skip(str(error))
    embedded = EmbeddedChain(tmp_path_factory.mktemp("chain"))
    embedded.start()
    try:
        yield Web3(HTTPProvider(embedded.url))
    finally:
        embedded.stop()


@pytest.fixture(scope="module")
def grown(chain: Web3) -> Anchors:
    """Anchor every size in turn; at each, ask the contract about the steps to all larger ones."""
    anchors = Anchors(chain)
    for old, following in zip(SIZES, [*SIZES[1:], 0], strict=True):
        for new in (size for size in SIZES if size > old):
            proof = consistency_proof(old, new, node_at)
            assert anchors.refusal(new, root_at(new), proof) == "", f"from {old} to {new}"
        if following:
            anchors.anchor(following, consistency_proof(old, following, node_at))
    return anchors


def test_our_consistency_proofs_are_accepted_from_every_size_to_every_larger_one(grown: Anchors) -> None:
    assert grown.chain.head(LOG).size == SIZES[-1]
    assert [anchored.size for anchored in grown.chain.scan(LOG)] == list(SIZES[1:])
    assert all(anchored.root == root_at(anchored.size) for anchored in grown.chain.scan(LOG))


@pytest.mark.parametrize(("old", "new"), [(1, 7), (3, 7), (4, 8), (6, 100), (64, 129), (100, 300), (255, 1025)])
def test_a_mutated_consistency_proof_is_refused(chain: Web3, old: int, new: int) -> None:
    anchors = Anchors(chain)
    if old > 1:
        anchors.anchor(old, consistency_proof(1, old, node_at))
    proof = consistency_proof(old, new, node_at)
    for kind, mutated in mutations(proof):
        assert anchors.refusal(new, root_at(new), mutated) == "ConsistencyRefused", kind
        assert not verify_consistency(old, new, root_at(old), root_at(new), mutated), kind
    assert anchors.refusal(new, flipped(root_at(new)), proof) == "ConsistencyRefused"
    for size in (new - 1, new + 1):
        # A path alone does not always bind the size, as RFC 9162 has it; the authorisation does. Both judge alike.
        taken = verify_consistency(old, size, root_at(old), root_at(new), proof)
        assert (anchors.refusal(size, root_at(new), proof) == "") == taken
    anchors.anchor(new, proof)
    assert anchors.refusal(new, flipped(root_at(new)), []) == "RootConflict"


def test_a_refused_proof_is_named_by_the_nodes_chain_backend(chain: Web3) -> None:
    anchors = Anchors(chain)
    root = root_at(5)
    with pytest.raises(TransactionRefusedError) as refused:
        anchors.chain.prepare(LOG, 1, 5, root, [], anchors.authorise(5, root))
    assert refused.value.reason == "ConsistencyRefused"
    with pytest.raises(TransactionRefusedError) as refused:
        anchors.chain.prepare(LOG, 1, 5, root, consistency_proof(1, 5, node_at), anchors.authorise(6, root))
    assert refused.value.reason == "AuthorisationRefused"


def places(size: int) -> list[int]:
    """The leaves asked for: all of a small tree; ends, middle and the edges of its perfect subtrees of a larger."""
    if size <= 17:
        return list(range(size))
    power = 1 << (size - 1).bit_length() - 1
    return sorted({0, 1, size // 2, power - 1, power, size - 2, size - 1})


@pytest.mark.parametrize("size", SIZES)
def test_our_inclusion_proofs_are_accepted_by_the_contract(grown: Anchors, size: int) -> None:
    for index in places(size):
        proof = inclusion_proof(index, size, node_at)
        assert grown.includes(size, index, LEAVES[index], proof), index


@pytest.mark.parametrize("size", [1, 2, 5, 8, 100, 1025])
def test_a_mutated_inclusion_proof_is_refused(grown: Anchors, size: int) -> None:
    for index in {0, size // 3, size - 1}:
        proof = inclusion_proof(index, size, node_at)
        for kind, mutated in mutations(proof):
            assert not grown.includes(size, index, LEAVES[index], mutated), kind
            assert not verify_inclusion(LEAVES[index], index, size, mutated, root_at(size)), kind
        assert not grown.includes(size, index, flipped(LEAVES[index]), proof)
        assert not grown.includes(size, size, LEAVES[index], proof)
        if size > 1:
            assert not grown.includes(size, (index + 1) % size, LEAVES[index], proof)


def test_a_proof_for_a_size_that_is_not_anchored_cannot_be_judged(grown: Anchors) -> None:
    with pytest.raises(ContractCustomError) as refused:
        grown.includes(10, 0, LEAVES[0], inclusion_proof(0, 10, node_at))
    assert grown.names[str(refused.value.data)[2:10]] == "NotAnchored"
