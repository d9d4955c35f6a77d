"""The chains that the demonstration can anchor on: the embedded one, or a BFT network of four validators.

Each is started and stopped, takes a log in, and says through what a stranger may trust a block of it. A block of the
embedded chain is pinned after a look of one's own; a block of the BFT network is signed by its validators.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from api.bft_network import LogOnChain, genesis_pin, take_in
from devnet.bft.network import BftNetwork
from devnet.embedded.chain import EmbeddedChain
from ledger.crypto.secp256k1 import Secp256k1Signer
from ledger.evidence.chain import ChainPolicy
from node.chain.deploy import Deployer
from node.chain.rpc import JsonRpc
from node.config import COMETBFT, ETHEREUM


class DemoChain(Protocol):
    """One chain in a folder of its own."""

    @property
    def url(self) -> str:
        """JSON-RPC address of one of its nodes."""

    @property
    def running(self) -> bool:
        """Whether any process of it runs."""

    @property
    def told(self) -> str:
        """What it is, in words."""

    @property
    def trusted(self) -> str:
        """Through what a stranger trusts it, in words."""

    def start(self) -> None:
        """Start it, made anew where it is not there."""

    def stop(self) -> None:
        """End its processes."""

    def take_in(self, log_id: bytes, origin: str, sender: Secp256k1Signer, authoriser: str) -> dict[str, Any]:
        """Put the contract on it, let the sender send, register the log; the lines of [chain] for the node."""

    def addresses(self) -> dict[str, object]:
        """The lines of [chain] that may change from one start to the next."""

    def policy(self, chain_id: int, contract: bytes, code_hash: bytes, seen: Sequence[bytes]) -> ChainPolicy:
        """Whom a stranger trusts who has seen blocks of these hashes on the chain."""


class Embedded:
    """The single-node chain."""

    told = "a real (embedded) chain"
    trusted = "one block of the chain"

    def __init__(self, folder: Path) -> None:
        self._chain = EmbeddedChain(folder)

    @property
    def url(self) -> str:
        return self._chain.url

    @property
    def running(self) -> bool:
        return self._chain.status().state != "stopped"

    def start(self) -> None:
        self._chain.start()

    def stop(self) -> None:
        self._chain.stop()

    def take_in(self, log_id: bytes, origin: str, sender: Secp256k1Signer, authoriser: str) -> dict[str, Any]:
        self._chain.fund(sender.address)
        rpc = JsonRpc(self.url)
        try:
            deployment = Deployer(rpc, self._chain.key("admin").signer).establish(
                log=log_id, origin=origin, sender=sender.address, authoriser=authoriser
            )
        finally:
            rpc.close()
        deployment.save(self._chain.folder / "deployment.json")
        self._chain.save()
        return self.addresses() | {"chain_id": deployment.chain_id, "contract": deployment.contract}

    def addresses(self) -> dict[str, object]:
        return {"url": self.url}

    def policy(self, chain_id: int, contract: bytes, code_hash: bytes, seen: Sequence[bytes]) -> ChainPolicy:
        return ChainPolicy(ETHEREUM, chain_id, contract, code_hash, headers=tuple(seen))


class Bft:
    """A network of four validators."""

    told = "a permissioned chain of four validators"
    trusted = "the four validators of the chain's beginning"

    def __init__(self, folder: Path) -> None:
        self._network = BftNetwork(folder)
        self._folder = folder.parent

    @property
    def url(self) -> str:
        return self._network.eth_urls[0]

    @property
    def running(self) -> bool:
        return self._network.made and self._network.status().state != "stopped"

    def start(self) -> None:
        if not self._network.made:
            self._network.create()
        self._network.start()

    def stop(self) -> None:
        self._network.stop()

    def take_in(self, log_id: bytes, origin: str, sender: Secp256k1Signer, authoriser: str) -> dict[str, Any]:
        log = LogOnChain(log_id, origin, sender.address, authoriser)
        return take_in(self._network, log, self._folder)

    def addresses(self) -> dict[str, object]:
        return {"url": " ".join(self._network.eth_urls), "comet": " ".join(self._network.comet_urls)}

    def policy(self, chain_id: int, contract: bytes, code_hash: bytes, seen: Sequence[bytes]) -> ChainPolicy:
        del seen  # the validators' signatures vouch for a block: nobody needs to have seen it
        return ChainPolicy(COMETBFT, chain_id, contract, code_hash, comet=genesis_pin(self._network))
