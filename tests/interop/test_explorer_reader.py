"""What a block explorer can see: plain web3.py and the committed ABI list every anchor of a log, and no other's.

`Explorer` uses nothing of ours but the JSON file of the contract; what it reads is compared with what the node knows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from web3 import HTTPProvider, Web3

from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from devnet.embedded.chain import EmbeddedChain
from ledger.crypto import keyfile, secp256k1
from ledger.log.proofs import consistency_proof
from ledger.log.tree import leaf_hash, root_of
from node.anchor.records import AnchorRecord
from node.chain.deploy import Deployer, Deployment
from node.chain.evm import EvmChain
from node.chain.protocol import Finality
from node.chain.rpc import JsonRpc
from node.config import ChainConfig
from node.node import Node
from tests.interop.live_log import NEVER, ORIGIN, PASSPHRASE, MadeLog, make_log

ARTIFACT = Path(__file__).resolve().parents[2] / "contracts" / "artifacts" / "LedgerAnchor.json"
OTHER = [leaf_hash(f"other {number}".encode()) for number in range(6)]


class Explorer:
    """A reader with web3.py, the ABI, the contract's address and a log id."""

    def __init__(self, url: str, contract: str) -> None:
        web3 = Web3(HTTPProvider(url))
        self.contract: Any = web3.eth.contract(
            address=Web3.to_checksum_address(contract), abi=json.loads(ARTIFACT.read_text())["abi"]
        )

    def anchors(self, log: bytes) -> list[Any]:
        """Every Anchored event of a log, in the chain's order."""
        return list(self.contract.events.Anchored().get_logs(from_block=0, argument_filters={"log": log}))

    def ask(self, function: str, *arguments: object) -> Any:
        return self.contract.functions[function](*arguments).call()


@dataclass(frozen=True, slots=True)
class Anchored:
    """A log whose node anchored some of its checkpoints, and where."""

    log: MadeLog
    explorer: Explorer
    deployment: Deployment
    sender: str
    authoriser: str
    records: list[AnchorRecord]


async def run_node(log: MadeLog, chain: ChainConfig) -> list[AnchorRecord]:
    """Publish four times and anchor three of them; the node's own records, oldest first."""
    async with Node(log.config(chain)) as node:
        assert node.anchors is not None
        loop = asyncio.get_running_loop()
        await log.batch(node, [])  # what was published at the start
        await loop.run_in_executor(None, node.anchors.anchor_now)
        await log.batch(node, [log.enrolment(), log.delegation()])  # stays without an anchor
        for count in (300, 1):
            await log.batch(node, log.registrations(count))
            await loop.run_in_executor(None, node.anchors.anchor_now)
        return list(reversed(node.anchors.anchors()))


def anchor_other(chain: EvmChain, authoriser: secp256k1.Secp256k1Signer, sizes: tuple[int, ...]) -> None:
    """Anchor another log by hand, for the reader to leave out."""
    for size in sizes:
        head, root = chain.head(OTHER[0]), root_of(OTHER[:size])
        proof = consistency_proof(head.size, size, lambda level, at: root_of(OTHER[at << level : (at + 1) << level]))
        payload = chain.authorisation_payload(OTHER[0], size, root)
        sent = chain.prepare(OTHER[0], head.size, size, root, proof, authoriser.sign_keccak(payload))
        chain.submit(sent.raw)
        Web3(HTTPProvider(chain.rpc.url)).eth.wait_for_transaction_receipt(sent.hash, timeout=10)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def anchored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anchored]:
    try:
        find_anvil()
    except AnvilNotFoundError as error:
        pytest.skip(str(error))
    base = tmp_path_factory.mktemp("explorer")
    log = make_log(base / "log")
    embedded = EmbeddedChain(base / "chain")
    sender, admin = embedded.key("sender").signer, embedded.key("deployer").signer
    authoriser = secp256k1.SUITE.generate()
    keyfile.save(log.base / "keys" / "anchor-sender.key", sender, PASSPHRASE)
    keyfile.save(log.base / "keys" / "anchor-authoriser.key", authoriser, PASSPHRASE)
    embedded.start()
    try:
        rpc = JsonRpc(embedded.url, timeout=5)
        deployer = Deployer(rpc, admin)
        deployment = deployer.establish(log=log.id, origin=ORIGIN, sender=sender.address, authoriser=authoriser.address)
        deployer.register_log(deployment.contract, OTHER[0], "other.example/log", authoriser.address)
        backend = EvmChain(
            rpc, chain_id=deployment.chain_id, contract=deployment.contract,
            finality=Finality.parse("included"), sender=sender,
        )  # fmt: skip
        anchor_other(backend, authoriser, (2, 5))
        chain = ChainConfig(
            url=embedded.url, chain_id=deployment.chain_id, contract=deployment.contract, interval=NEVER
        )
        records = asyncio.run(run_node(log, chain))
        anchor_other(backend, authoriser, (6,))
        explorer = Explorer(embedded.url, deployment.contract)
        yield Anchored(log, explorer, deployment, sender.address, authoriser.address, records)
    finally:
        embedded.stop()


def test_the_events_list_every_anchor_that_the_node_knows(anchored: Anchored) -> None:
    events = anchored.explorer.anchors(anchored.log.id)
    seen = [
        (event["args"]["size"], event["args"]["root"], event["args"]["sender"], event["blockNumber"],
         bytes(event["transactionHash"]), event["address"])
        for event in events
    ]  # fmt: skip
    known = [
        (record.size, record.root, record.sender, record.block, record.tx, record.contract)
        for record in anchored.records
    ]
    assert len(seen) == 3
    assert seen == known
    assert all(event["args"]["log"] == anchored.log.id for event in events)


def test_the_anchors_are_of_published_checkpoints(anchored: Anchored) -> None:
    published = {checkpoint.size: checkpoint for checkpoint in anchored.log.checkpoints}
    for event, record in zip(anchored.explorer.anchors(anchored.log.id), anchored.records, strict=True):
        size = event["args"]["size"]
        assert event["args"]["root"] == published[size].root
        assert record.checkpoint == published[size].note


def test_root_meta_and_head_are_read_from_the_contract(anchored: Anchored) -> None:
    explorer, log = anchored.explorer, anchored.log
    for record in anchored.records:
        assert explorer.ask("root", log.id, record.size) == record.root
        assert explorer.ask("meta", log.id, record.size) == [record.block, record.time, anchored.sender]
    newest = anchored.records[-1]
    assert explorer.ask("head", log.id) == [newest.size, newest.time, 0, 0]
    assert newest.size == log.size


def test_a_published_size_that_was_not_anchored_has_no_root_there(anchored: Anchored) -> None:
    sizes = {record.size for record in anchored.records}
    (left_out,) = [checkpoint.size for checkpoint in anchored.log.checkpoints if checkpoint.size not in sizes]
    assert anchored.explorer.ask("root", anchored.log.id, left_out) == bytes(32)


def test_the_registration_names_origin_and_authoriser(anchored: Anchored) -> None:
    explorer, log = anchored.explorer, anchored.log
    assert explorer.ask("logs", log.id) == [sha256(ORIGIN.encode()).digest(), anchored.authoriser]
    (event,) = explorer.contract.events.LogRegistered().get_logs(from_block=0, argument_filters={"log": log.id})
    assert (event["args"]["origin"], event["args"]["authoriser"]) == (ORIGIN, anchored.authoriser)


def test_another_logs_anchors_are_listed_under_its_own_id_only(anchored: Anchored) -> None:
    events = anchored.explorer.anchors(OTHER[0])
    assert [event["args"]["size"] for event in events] == [2, 5, 6]
    assert [event["args"]["root"] for event in events] == [root_of(OTHER[:size]) for size in (2, 5, 6)]
    assert anchored.explorer.anchors(bytes(32)) == []
