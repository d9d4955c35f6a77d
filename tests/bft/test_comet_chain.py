"""Anchoring on a real BFT network: proven by its validators' signatures, through changes of them and nodes that lie."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.bft_network import LogOnChain, admit
from api.cli.evidence import _chains
from api.http.log_info import describe_log
from devnet.bft.network import BftNetwork
from ledger.crypto import secp256k1
from ledger.evidence.chain import ChainPolicy, ChainUntrustedError, CometTrust, check_chain_evidence
from ledger.evidence.report import Verdict
from node.anchor.outbox import Outbox
from node.anchor.status import WorkerState
from node.anchor.worker import AnchorWorker
from node.chain.comet_rpc import CometRpc
from node.chain.comet_state import CometNodes
from node.chain.comet_trust import ChainTrust, pin_document
from node.chain.cometbft import CometChain
from node.chain.endpoints import Endpoints
from node.chain.protocol import (
    ChainMismatchError,
    ChainUnavailableError,
    ContractMissingError,
    TransactionRefusedError,
)
from node.config import ChainConfig, Config
from node.node import Node
from node.queries import Queries
from node.verification import OnlineVerifier
from node.verification_request import Request
from tests.bft_world import grow, set_validators
from tests.chain_world import ORIGIN, TinyLog
from tests.lying_rpc import LyingRpc
from tests.nodes import NodeWorld, make_log, save_keys, settle
from tests.waiting import wait_until
from tests.world import Party


class Setting:
    """A log of its own on the network, and backends for it."""

    def __init__(self, network: BftNetwork, folder: Path) -> None:
        self.network = network
        self.folder = folder
        self.log = TinyLog(folder.as_posix())
        self.log.leaves = [*TinyLog().leaves]
        self.log.leaves[0] = secp256k1.SUITE.generate().public_key[:32]
        self.sender, self.authoriser = secp256k1.SUITE.generate(), secp256k1.SUITE.generate()
        self.admit()
        grow(network, 2)  # what a block does is proven by the next one
        rpc = CometRpc(network.comet_urls[0], timeout=5)
        # The validators of now: tests before this one may have changed them.
        newest = rpc.commit().header
        self.pin = CometTrust(newest.chain_id, newest.height, newest.seconds, rpc.validators(newest.height))
        rpc.close()
        self.stack = ExitStack()

    def admit(self) -> None:
        log = LogOnChain(self.log.id, ORIGIN, self.sender.address, self.authoriser.address)
        self.deployment = admit(self.network, log)

    def trust(self) -> ChainTrust:
        return ChainTrust(self.pin, self.folder / "followed")

    def backend(
        self, eth: list[str] | None = None, comet: list[str] | None = None, *, timeout: float = 2.0, **changes: Any
    ) -> CometChain:
        eth, comet = eth or self.network.eth_urls, comet or self.network.comet_urls
        comets = CometNodes(comet, changes.pop("trust", None) or self.trust(), timeout=timeout, still=4)
        settings = {
            "chain_id": self.deployment.chain_id, "contract": self.deployment.contract, "sender": self.sender,
            "gas_price": 0, "consortium": self.network.description.consortium,
        }  # fmt: skip
        chain = CometChain(Endpoints(eth, timeout=timeout), comets, eth, **settings | changes)
        self.stack.callback(chain.rpc.close)
        self.stack.callback(comets.close)
        return chain

    def worker(self, chain: CometChain, **changes: Any) -> AnchorWorker:
        settings = {"interval": 0.5, "poll": 0.1, "patience": 5.0, "authoriser": self.authoriser} | changes
        worker = AnchorWorker(
            chain, Outbox(self.folder / "outbox", self.log.id), log_id=self.log.id,
            newest=lambda: self.log.published, consistency=self.log.consistency, **settings,
        )  # fmt: skip
        worker.start()
        self.stack.callback(worker.stop)
        return worker

    def policy(self, pin: CometTrust | None = None) -> ChainPolicy:
        contract = bytes.fromhex(self.deployment.contract[2:])
        code_hash = bytes.fromhex(self.deployment.code_hash)
        return ChainPolicy("cometbft", self.deployment.chain_id, contract, code_hash, comet=pin or self.pin)


@pytest.fixture
def setting(network: BftNetwork, tmp_path: Path) -> Iterator[Setting]:
    made = Setting(network, tmp_path)
    with made.stack:
        yield made


def anchored(setting: Setting, worker: AnchorWorker, size: int, seconds: float = 40) -> None:
    setting.log.publish(size)
    worker.anchor_now(seconds)
    wait_until(lambda: (worker.evidence_for(size) or (0,))[0] == size)


def test_an_anchor_is_proven_to_whoever_knows_the_validators(setting: Setting) -> None:
    worker = setting.worker(setting.backend())
    anchored(setting, worker, 9)
    size, raw = worker.evidence_for(9) or (0, b"")
    facts = check_chain_evidence(raw, setting.policy(), setting.log.id)
    assert (size, facts.size, facts.head_size) == (9, 9, 9)
    assert facts.root == setting.log.published.root  # type: ignore[union-attr]
    assert facts.anchored_by.hex() == setting.sender.address[2:].lower()
    record = worker.anchors()[0]
    assert (record.size, record.block, record.tx) == (9, facts.anchored_block, record.attempts[-1].hash)
    status = worker.status()
    assert (status.state, status.chain_halted) == (WorkerState.IDLE, False)
    assert abs(status.chain_time - time.time()) < 30
    others = CometTrust("tial-bft-9", setting.pin.height, 0, setting.pin.validators)
    with pytest.raises(Exception, match="another chain"):
        check_chain_evidence(raw, setting.policy(others), setting.log.id)


def test_what_the_contract_refuses_is_told_in_words(setting: Setting) -> None:
    chain, log = setting.backend(), setting.log
    root = log.publish(9).root
    authorisation = setting.authoriser.sign_keccak(chain.authorisation_payload(log.id, 9, root))
    with pytest.raises(TransactionRefusedError, match="the contract refuses: consistency refused"):
        chain.prepare(log.id, 1, 9, root, [bytes(32)], authorisation)
    with pytest.raises(TransactionRefusedError, match="the contract refuses: log unknown"):
        chain.request(bytes(32), bytes([7]) * 32)


def test_changes_of_the_validators_are_followed_and_shown(setting: Setting) -> None:
    network, nodes = setting.network, setting.network.description.nodes
    chain = setting.backend()
    worker = setting.worker(chain, interval=3600.0)
    anchored(setting, worker, 5)
    equal = dict.fromkeys(nodes[:4], 10)
    try:
        for powers in (equal | {nodes[0]: 12}, dict.fromkeys(nodes[1:4], 10), equal | {nodes[1]: 13}):
            set_validators(network, powers)
            grow(network, 4)
    finally:
        set_validators(network, equal)
        grow(network, 4)
    anchored(setting, worker, 7)
    size, raw = worker.evidence_for(7) or (0, b"")
    assert size == 7
    facts = check_chain_evidence(raw, setting.policy(), setting.log.id)
    newest = chain.trusted()[0]
    assert newest.comet is not None
    assert newest.comet.height >= facts.block
    assert check_chain_evidence(raw, newest, setting.log.id).root == facts.root
    again = setting.trust()
    assert again.newest is not None
    assert again.newest.header.height >= facts.block


def test_evidence_does_not_convince_those_who_trust_others(setting: Setting) -> None:
    worker = setting.worker(setting.backend())
    anchored(setting, worker, 3)
    _, raw = worker.evidence_for(3) or (0, b"")
    strangers = CometTrust(
        setting.pin.chain_name, 1, 0, type(setting.pin.validators)(setting.pin.validators.members[:3])
    )
    with pytest.raises(ChainUntrustedError):
        check_chain_evidence(raw, setting.policy(strangers), setting.log.id)


LIES: dict[str, Callable[[LyingRpc, LyingRpc], None]] = {
    "a receipt of a failure": lambda eth, _: eth.rewrite(
        "eth_getTransactionReceipt",
        lambda _, honest: honest | {"result": (honest["result"] or {}) | {"status": "0x0", "blockNumber": "0x1"}},
    ),
    "views of another state": lambda eth, _: eth.result("0x" + "77" * 128, "eth_call"),
    "events of other anchors": lambda eth, _: eth.rewrite(
        "eth_getLogs",
        lambda _, honest: {**honest, "result": [e | {"data": "0x" + "55" * 64} for e in honest["result"]]},
    ),
    "another state's root": lambda _, comet: comet.rewrite("commit", _changed_root),
    "no proofs": lambda _, comet: comet.error("no", "abci_query"),
    "silence": lambda eth, comet: (eth.hang(), comet.hang()),  # type: ignore[func-returns-value, return-value]
    "nonsense": lambda _, comet: comet.answer(b'{"jsonrpc": "2.0", "id": $ID, "result": [1]}'),
}


def _changed_root(_: dict[str, Any], honest: dict[str, Any]) -> dict[str, Any]:
    honest["result"]["signed_header"]["header"]["app_hash"] = "AB" * 32
    return honest


@pytest.mark.parametrize("lie", LIES)
def test_anchoring_goes_on_beside_a_node_that_lies(lie: str, setting: Setting) -> None:
    network = setting.network
    with LyingRpc(network.eth_urls[0]) as eth, LyingRpc(network.comet_urls[0]) as comet:
        LIES[lie](eth, comet)
        chain = setting.backend([eth.url, network.eth_urls[1]], [comet.url, network.comet_urls[1]], timeout=1.0)
        worker = setting.worker(chain)
        anchored(setting, worker, 6, 60)
        _, raw = worker.evidence_for(6) or (0, b"")
        facts = check_chain_evidence(raw, setting.policy(), setting.log.id)
        assert facts.root == setting.log.published.root  # type: ignore[union-attr]
        assert not worker.status().lost_total


def test_a_lone_node_that_lies_is_silent_not_wrong(setting: Setting) -> None:
    honest = setting.backend()
    worker = setting.worker(honest)
    anchored(setting, worker, 4)
    worker.stop()
    grow(setting.network, 2)  # the lone node, too, must have what the others were asked for
    with LyingRpc(setting.network.comet_urls[0]) as comet:
        chain = setting.backend([setting.network.eth_urls[0]], [comet.url])
        assert chain.head(setting.log.id).size == 4
        old = chain.comets._rpcs[0]._rpc.call("commit", None)
        grow(setting.network, 2)
        chain.head(setting.log.id)
        comet.result(old, "commit")  # the same old block again and again: never older than what is known
        with pytest.raises(ChainUnavailableError, match="is known"):
            chain.head(setting.log.id)
        comet.honest()
        comet.rewrite("abci_query", _another_value)
        grow(setting.network)  # of a block that it has not seen: what was proven stays proven
        with pytest.raises(ChainUnavailableError):
            chain.head(setting.log.id)


def _another_value(_: dict[str, Any], honest: dict[str, Any]) -> dict[str, Any]:
    ops = honest["result"]["response"]["proofOps"]["ops"]
    raw = ops[0]["data"]
    ops[0]["data"] = raw[:60] + ("A" if raw[60] != "A" else "B") + raw[61:]
    return honest


def test_a_missing_contract_and_another_chain_are_told_by_name(setting: Setting) -> None:
    with pytest.raises(ContractMissingError, match="proven under block"):
        setting.backend(contract="0x" + "12" * 20).check()
    elsewhere = CometTrust("tial-bft-9", setting.pin.height, 0, setting.pin.validators)
    with pytest.raises(ChainMismatchError, match="tial-bft-1"):
        setting.backend(trust=ChainTrust(elsewhere)).check()
    with pytest.raises(ChainMismatchError, match="serves chain"):
        setting.backend(chain_id=5).check()


def test_a_halted_chain_is_shown_as_that_and_anchoring_goes_on_with_it(setting: Setting) -> None:
    network = setting.network
    chain = setting.backend(network.eth_urls[:2], network.comet_urls[:2])
    worker = setting.worker(chain)
    anchored(setting, worker, 3)
    network.kill(2)
    network.kill(3)
    setting.log.publish(8)
    wait_until(lambda: worker.status().chain_halted, 30)
    assert worker.status().anchored_size == 3
    network.restart(2)
    network.restart(3)
    worker.anchor_now(60)
    wait_until(lambda: worker.status().anchored_size == 8 and not worker.status().chain_halted, 60)


def test_a_node_of_the_chain_that_dies_is_replaced(setting: Setting) -> None:
    network = setting.network
    chain = setting.backend()
    worker = setting.worker(chain)
    anchored(setting, worker, 3)
    network.kill(0)
    anchored(setting, worker, 5, 60)
    assert chain.switches >= 1
    network.restart(0)


def test_a_node_trusts_its_own_pin_and_tells_of_it(setting: Setting, tmp_path: Path) -> None:
    base, log = tmp_path / "node", setting.log
    made = make_log(base)
    save_keys(base, anchor_sender=setting.sender, anchor_authoriser=setting.authoriser)
    (base / "chain-trust.json").write_text(json.dumps(pin_document(setting.pin)))
    log_id = read_log_id(made)
    log.leaves[0] = log_id
    setting.admit()
    grow(setting.network, 2)
    chain = ChainConfig(
        kind="cometbft", url=" ".join(setting.network.eth_urls), comet=" ".join(setting.network.comet_urls),
        chain_id=setting.deployment.chain_id, contract=setting.deployment.contract, gas_price=0, interval=0.5,
        consortium=setting.network.description.consortium,
    )  # fmt: skip

    async def story() -> None:
        async with Node(replace(made, chain=chain)) as node:
            world = NodeWorld(node.log_id)
            await settle(node, world, Party("enterprise"))
            await node.publisher.publish_now(node.sequencer)
            assert node.anchors is not None
            worker = node.anchors
            record = await asyncio.to_thread(worker.anchor_now, 60.0)
            await asyncio.to_thread(wait_until, lambda: (worker.evidence_for(record.size) or (0,))[0] == record.size)
            told = describe_log(node, Queries(node))["chain"]
            assert (told["kind"], told["chain_name"]) == ("cometbft", setting.pin.chain_name)
            (drafted,) = _chains(json.loads(json.dumps(told)))
            _, raw = worker.evidence_for(record.size) or (0, b"")
            assert check_chain_evidence(raw, drafted, node.log_id).root == record.root
            report = await OnlineVerifier(node).verify(lambda: Request(index=1))
            step = report.step(10)
            assert step is not None
            assert step.verdict is Verdict.VALID, step
            assert "validators" in " ".join(map(str, step.rests_on))

    asyncio.run(story())


def read_log_id(config: Config) -> bytes:
    async def look() -> bytes:
        async with Node(config) as node:
            return node.log_id

    return asyncio.run(look())
