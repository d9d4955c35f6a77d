"""A tiny log, a real chain with the real contract, and a worker between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from devnet.embedded.chain import EmbeddedChain
from ledger.crypto import secp256k1
from ledger.errors import CorruptError
from ledger.log.proofs import consistency_proof
from ledger.log.tree import leaf_hash, root_of
from node.anchor.outbox import Outbox
from node.anchor.worker import AnchorWorker
from node.chain.artifact import load_artifact
from node.chain.deploy import Deployer, Deployment
from node.chain.evm import EvmChain
from node.chain.protocol import Finality
from node.chain.rpc import JsonRpc
from node.publisher import Published
from tests.waiting import wait_until

__all__ = ["ORIGIN", "TinyLog", "World", "wait_until", "world"]

ORIGIN = "example.org/log"


class TinyLog:
    """A log in memory that publishes what it is told to."""

    def __init__(self, flavour: str = "honest") -> None:
        self.flavour = flavour
        self.leaves = [leaf_hash(b"genesis")]
        self.published: Published | None = None

    @property
    def id(self) -> bytes:
        return self.leaves[0]

    def publish(self, size: int) -> Published:
        while len(self.leaves) < size:
            self.leaves.append(leaf_hash(f"{self.flavour} {len(self.leaves)}".encode()))
        root = root_of(self.leaves[:size])
        self.published = Published(size, root, f"{ORIGIN}\n{size}\n{root.hex()}\n".encode())
        return self.published

    def consistency(self, old: int, new: int) -> list[bytes]:
        return consistency_proof(old, new, lambda level, i: root_of(self.leaves[i << level : (i + 1) << level]))


class World:
    """One chain, one log, its keys, and workers for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chain = EmbeddedChain(folder / "chain")
        self.admin = self.chain.key("deployer").signer
        self.sender = self.chain.key("sender").signer
        self.authoriser = secp256k1.SUITE.generate()
        self.log = TinyLog()
        self.outbox = folder / "outbox"
        self.workers: list[AnchorWorker] = []
        self.chain.start()
        self.deployment = self.deploy()
        self.chain.save()

    def rpc(self) -> JsonRpc:
        return JsonRpc(self.chain.url, timeout=3)

    def deploy(self) -> Deployment:
        return Deployer(self.rpc(), self.admin).establish(
            log=self.log.id, origin=ORIGIN, sender=self.sender.address, authoriser=self.authoriser.address
        )

    def backend(self, **changes: Any) -> EvmChain:
        settings: dict[str, Any] = {
            "chain_id": self.deployment.chain_id,
            "contract": self.deployment.contract,
            "finality": Finality.parse("included"),
            "sender": self.sender,
        }
        return EvmChain(self.rpc(), **settings | changes)

    def worker(self, *, log: TinyLog | None = None, chain: EvmChain | None = None, **changes: Any) -> AnchorWorker:
        log = log or self.log
        settings: dict[str, Any] = {"interval": 0.3, "poll": 0.02, "authoriser": self.authoriser} | changes
        worker = AnchorWorker(
            chain or self.backend(),
            Outbox(self.outbox, log.id),
            log_id=log.id,
            newest=lambda: log.published,
            consistency=log.consistency,
            **settings,
        )
        self.workers.append(worker)
        return worker

    def running(self, **changes: Any) -> AnchorWorker:
        worker = self.worker(**changes)
        worker.start()
        return worker

    def anchor_as(self, log: TinyLog, size: int) -> bytes:
        """Anchor by hand, with both keys, whatever `log` holds at `size`."""
        chain = self.backend()
        published = log.publish(size)
        head = chain.head(log.id)
        proof = log.consistency(head.size, size)
        payload = chain.authorisation_payload(log.id, size, published.root)
        transaction = chain.prepare(
            log.id, head.size, size, published.root, proof, self.authoriser.sign_keccak(payload)
        )
        chain.submit(transaction.raw)
        wait_until(lambda: chain.head(log.id).size == size)
        return transaction.hash

    def empty_the_chain(self) -> None:
        self.chain.stop()
        for path in self.chain.folder.glob("state-*.json"):
            path.unlink()
        self.chain.start()

    def close(self) -> None:
        for worker in self.workers:
            worker.stop()
        self.chain.stop()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    try:
        find_anvil()
        load_artifact()
    except (AnvilNotFoundError, CorruptError) as error:
        pytest.skip(str(error))
    made = World(tmp_path)
    try:
        yield made
    finally:
        made.close()
