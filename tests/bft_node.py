"""A node as a process of its own that anchors on a BFT network, the load on it, and what strangers can check of it."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from api.bft_network import LogOnChain, genesis_pin, take_in
from devnet.bft.network import BftNetwork
from ledger.crypto import keyfile, secp256k1
from ledger.evidence.chain import ChainFacts, ChainPolicy, check_chain_evidence
from ledger.log.tree import leaf_hash, root_of
from ledger.store.tiles import TileReader
from node.chain.artifact import load_artifact
from node.chain.deploy import Deployer
from node.chain.endpoints import Endpoints
from node.chain.evm import EvmChain
from node.chain.protocol import Anchored, ChainSigner, Finality
from node.config import load_config
from node.recovery import DataFolder
from tests.bft_world import rpc_of
from tests.running import COSE, PASSPHRASE, Running, make_log, running
from tests.world import Party

PREFIX = "vaa/88.118.8"
SLOWEST = 5.0
"""Seconds that an admission may take while the chain is in trouble, on a machine that runs all of the network too."""
NEVER = {"disputed", "failed", "chain-lost"}
"""States that no fault of the chain's nodes may lead to."""


class Load:
    """A thread that submits statement after statement; each must be acknowledged, and soon."""

    def __init__(self, log: AnchoringLog, url: str, pause: float) -> None:
        self._log = log
        self._url = url
        self._pause = pause
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.error: BaseException | None = None
        self.count = 0
        self.slowest = 0.0
        self._thread.start()

    def goes_on(self, count: int = 20, seconds: float = 20.0) -> None:
        """Wait for so many more acknowledgements."""
        goal, end = self.count + count, time.monotonic() + seconds
        while self.count < goal:
            assert self.error is None, self.error
            assert time.monotonic() < end, "admission has stopped"
            time.sleep(0.02)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(30)
        assert self.error is None, self.error
        assert self.slowest < SLOWEST, f"an admission took {self.slowest:.1f} s"

    def _run(self) -> None:
        try:
            with httpx.Client(base_url=self._url, timeout=20, trust_env=False) as client:
                while not self._stopping.wait(self._pause):
                    begun = time.monotonic()
                    answer = client.post("/v1/statements", content=self._log.registration(), headers=COSE)
                    assert answer.status_code == 201, answer.text
                    self.slowest = max(self.slowest, time.monotonic() - begun)
                    self._log.hear(answer.json())
                    self.count += 1
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self.error = error


class AnchoringLog:
    """A log of its own on a network, with its two accounts and all that it acknowledged."""

    def __init__(self, network: BftNetwork, folder: Path) -> None:
        self.network = network
        self.folder = folder / "log"
        self.origin = f"{folder.name.replace('_', '-')}.example.org/log"
        self.config, self.acts = make_log(self.folder, self.origin)
        self._plain = self.config.read_text()
        self.id = self.acts.log_id
        self.sender, self.authoriser = secp256k1.SUITE.generate(), secp256k1.SUITE.generate()
        for name, signer in (("anchor-sender", self.sender), ("anchor-authoriser", self.authoriser)):
            keyfile.save(self.folder / f"keys/{name}.key", signer, PASSPHRASE)
        told = LogOnChain(self.id, self.origin, self.sender.address, self.authoriser.address)
        self.chain = take_in(network, told, self.folder) | {"interval": 0.5, "timeout": 1.5, "still": 4.0}
        self.party = Party("enterprise")
        self.places: dict[bytes, int] = {}
        self.states: set[str] = set()
        self.refusals: set[str] = set()
        self._names = itertools.count()
        self._settled = False

    # --- its node ----------------------------------------------------------------------------------------------------

    @contextmanager
    def node(self, eth: Sequence[str] = (), comet: Sequence[str] = (), **changes: Any) -> Iterator[Running]:
        """A process over this log, whose chain is behind these addresses, else behind all of the network's."""
        self.configure(eth, comet, **changes)
        with running(self.config) as node:
            self.settle(node)
            yield node

    def configure(self, eth: Sequence[str] = (), comet: Sequence[str] = (), **changes: Any) -> None:
        chain = self.chain | changes
        if eth:
            chain |= {"url": " ".join(eth), "comet": " ".join(comet)}
        lines = [f"{name} = {json.dumps(value)}" for name, value in chain.items()]
        self.config.write_text("\n".join([self._plain, "[chain]", *lines, ""]))

    def settle(self, node: Running) -> None:
        if not self._settled:
            self.acts.enrol(self.party, "owner")
            self.acts.delegate(self.party, PREFIX)
            for answer in node.admit(*self.acts.take()):
                self.hear(answer)
            self._settled = True

    @contextmanager
    def load(self, node: Running, pause: float = 0.02) -> Iterator[Load]:
        load = Load(self, node.url, pause)
        try:
            yield load
        finally:
            load.stop()

    def registration(self) -> bytes:
        return self.acts.registration(self.party, f"vaa:88.118.8/N{next(self._names)}", PREFIX)

    def hear(self, answer: dict[str, Any]) -> None:
        assert self.places.setdefault(bytes.fromhex(answer["leaf"]), answer["index"]) == answer["index"]

    def grow(self, node: Running, count: int = 1) -> int:
        """Admit so many statements and publish; the size that is published."""
        for answer in node.admit(*(self.registration() for _ in range(count))):
            self.hear(answer)
        return self.published(node)

    def published(self, node: Running) -> int:
        """Publish until all that was acknowledged so far is; the size. A batch may be on its way to the disk."""
        last = max(self.places.values(), default=0)
        end = time.monotonic() + 20
        while (size := int(node.publish()["size"])) <= last:
            assert time.monotonic() < end, "what was acknowledged is not published"
            time.sleep(0.05)
        return size

    # --- what the node says -------------------------------------------------------------------------------------------

    def status(self, node: Running) -> dict[str, Any]:
        """How anchoring stands; it is never in a state that the chain's nodes could lie it into."""
        status: dict[str, Any] = node.client.get("/v1/anchors?limit=1").json()["status"]
        self.states.add(status["state"])
        if status["state"] == "refused":
            self.refusals.add(status["last_error"])
        assert status["state"] not in NEVER, status
        return status

    def until(self, node: Running, true: Callable[[dict[str, Any]], bool], seconds: float = 40) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while True:
            status = self.status(node)
            if true(status):
                return status
            assert time.monotonic() < end, (status, node.lines[-20:])
            time.sleep(0.1)

    def anchored(self, node: Running, size: int = 0, seconds: float = 60) -> float:
        """Wait until the log up to `size`, else all that is published now, is final; the seconds that took."""
        size = size or self.published(node)
        begun = time.monotonic()
        self.until(node, lambda status: status["anchored_size"] >= size, seconds)
        return time.monotonic() - begun

    def in_use(self, node: Running) -> int:
        """Which of the chain's nodes is asked."""
        return [each["used"] for each in self.status(node)["nodes"]].index(True)

    def shown(self, node: Running) -> list[dict[str, Any]]:
        """All anchors that the node calls final."""
        found: list[dict[str, Any]] = []
        before: int | None = 1 << 62
        while before:
            page = node.client.get(f"/v1/anchors?before={before}").json()
            found, before = found + page["anchors"], page["next"]
        assert {anchor["state"] for anchor in found} <= {"done"}
        return found

    # --- what strangers can check -------------------------------------------------------------------------------------

    def policy(self) -> ChainPolicy:
        """What somebody trusts who knows the validators of the genesis and no more."""
        contract = bytes.fromhex(self.chain["contract"][2:])
        code_hash = load_artifact().code_hash
        return ChainPolicy("cometbft", self.chain["chain_id"], contract, code_hash, comet=genesis_pin(self.network))

    def evidence(self, node: Running, size: int) -> tuple[bytes, ChainFacts]:
        """The evidence of an anchor, checked without the chain. It follows the anchor by a moment."""
        end = time.monotonic() + 20
        while True:
            answer = node.client.get(f"/v1/anchors/{size}/evidence")
            if answer.status_code == 200 or time.monotonic() > end:
                assert answer.status_code == 200, answer.text
                return answer.content, check_chain_evidence(answer.content, self.policy(), self.id)
            time.sleep(0.1)

    def backend(self, sender: ChainSigner | None = None) -> EvmChain:
        """The contract through an honest node."""
        return EvmChain(
            Endpoints(self.network.eth_urls, timeout=10), chain_id=self.chain["chain_id"],
            contract=self.chain["contract"], finality=Finality.parse("included"), sender=sender, gas_price=0,
        )  # fmt: skip

    def on_chain(self) -> list[Anchored]:
        """The anchors that the chain tells of, oldest first."""
        return list(self.backend().scan(self.id, self.chain["first_block"]))

    def reader(self) -> TileReader:
        return TileReader(DataFolder(load_config(self.config).data_path).served)

    def check(self, node: Running) -> ChainFacts:
        """All that was acknowledged is under the newest anchor; every anchor is of this log, none is there twice.

        What the node shows as final is what the chain has, and its newest is proven to whoever knows the genesis.
        """
        self.anchored(node)
        newest = self.status(node)["anchored_size"]
        leaves = [leaf_hash(entry) for entry in self.reader().iter_entries(0, newest)]
        assert len(set(leaves)) == len(leaves)
        for leaf, index in self.places.items():
            assert leaves[index] == leaf, f"the acknowledged entry {index} is not under the anchor"
        anchors = self.on_chain()
        sizes = [anchor.size for anchor in anchors]
        assert sizes == sorted(set(sizes)), "an anchor is there twice"
        for anchor in anchors:
            assert anchor.root == root_of(leaves[: anchor.size])
        truth = {(anchor.size, anchor.root.hex(), anchor.block, anchor.sender) for anchor in anchors}
        for shown in self.shown(node):
            assert (shown["size"], shown["root"], shown["block"], shown["sender"]) in truth
            if shown["tx"]:
                assert shown["tx"] in {anchor.tx.hex() for anchor in anchors}
        _, facts = self.evidence(node, newest)
        assert (facts.size, facts.root, facts.anchored_block) == (newest, root_of(leaves), anchors[-1].block)
        return facts

    # --- rights -------------------------------------------------------------------------------------------------------

    @contextmanager
    def deployer(self) -> Iterator[Deployer]:
        with rpc_of(self.network) as rpc, self.network.administration():
            yield Deployer(rpc, self.network.deployer().signer, gas_price=0)

    def give_role(self, account: str) -> None:
        with self.deployer() as deployer:
            deployer.grant(self.chain["contract"], "ANCHORER_ROLE", account)

    def take_role(self, account: str) -> None:
        with self.deployer() as deployer:
            deployer.revoke(self.chain["contract"], "ANCHORER_ROLE", account)
