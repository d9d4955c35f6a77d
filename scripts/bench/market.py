"""A chain to anchor on, for benchmarks: the embedded one or a BFT network, and how the logs of a run get onto it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import common

from api.bft_network import LogOnChain, take_in
from devnet.bft.network import BftNetwork
from devnet.embedded.chain import EmbeddedChain
from ledger.crypto import keyfile, secp256k1
from node.chain.deploy import Deployer
from node.chain.endpoints import connect
from node.chain.evm import EvmChain
from node.chain.protocol import Finality


@dataclass
class Market:
    """One chain. `admit` puts a log on it, writes what the node needs into a folder, and returns the lines of [chain].

    `lines` are those of the log that came last; `interval` is how often its node anchors, in seconds.
    """

    admit: Callable[[LogOnChain, Path], dict[str, Any]]
    interval: float
    lines: dict[str, Any] = field(default_factory=dict)

    def take_in(self, config: Path, log: bytes, origin: str) -> None:
        """Give a log a sender and an authoriser of its own, admit it, and write the chain into its configuration."""
        keys = config.parent / "keys"
        sender, authoriser = secp256k1.SUITE.generate(), secp256k1.SUITE.generate()
        keyfile.save(keys / "anchor-sender.key", sender, common.PASSPHRASE)
        keyfile.save(keys / "anchor-authoriser.key", authoriser, common.PASSPHRASE)
        self.lines = self.admit(LogOnChain(log, origin, sender.address, authoriser.address), config.parent)
        self.lines["interval"] = self.interval
        with config.open("a") as stream:
            stream.write("[chain]\n" + "".join(f"{name} = {json.dumps(line)}\n" for name, line in self.lines.items()))

    def anchors(self, logs: list[bytes]) -> dict[bytes, list[int]]:
        """Sizes that are anchored, by log."""
        rpc = connect(self.lines["url"])
        try:
            chain = EvmChain(
                rpc, chain_id=self.lines["chain_id"], contract=self.lines["contract"],
                finality=Finality.parse("included"),
            )  # fmt: skip
            return {log: [one.size for one in chain.scan(log)] for log in logs}
        finally:
            rpc.close()


@contextmanager
def embedded(folder: Path, interval: float) -> Iterator[Market]:
    """An embedded chain in a folder, with the contract."""
    chain = EmbeddedChain(folder)
    chain.start()
    rpc = connect(chain.url)
    try:
        deployer = Deployer(rpc, chain.key("deployer").signer)
        deployment = deployer.deploy()

        def admit(log: LogOnChain, _folder: Path) -> dict[str, Any]:
            chain.fund(log.sender)
            deployer.admit(
                deployment.contract, log=log.log_id, origin=log.origin, sender=log.sender, authoriser=log.authoriser
            )
            return {"url": chain.url, "chain_id": deployment.chain_id, "contract": deployment.contract}

        yield Market(admit, interval)
    finally:
        rpc.close()
        chain.stop()


def consortium(network: BftNetwork, interval: float) -> Market:
    """A running BFT network."""
    return Market(lambda log, folder: take_in(network, log, folder), interval)
