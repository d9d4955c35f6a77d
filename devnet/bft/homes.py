"""The home of one node: its folders, its two keys, its settings, the genesis.

Owns what a new home holds and how CometBFT and the Cosmos SDK want it written; what the program makes of it later,
under `data/`, is the program's. The forms are those of CometBFT 0.39: its JSON names the type of each key, an address
is the first 20 bytes of a key's SHA-256, and a node's peers know it by the address of its node key. A secret key is
seed and public key, 64 bytes. Files are for their owner only.
"""

from __future__ import annotations

import base64
import itertools
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from devnet.bft.description import Description, Node
from ledger.crypto import ed25519
from ledger.crypto.digests import sha256
from ledger.store.durable import replace_files, reporting, sync_directory

GENESIS = Path("config", "genesis.json")
_CONFIG = """\
# Settings of CometBFT. Only those that differ from the default stand here, all others have it. A node's peers come from
# network.json by the command line, which outdoes what stands here.
moniker = "{node.name}"

[rpc]
laddr = "tcp://127.0.0.1:{node.rpc}"

# Only the peers of the command line may connect: none is found by gossip, and there is room for nobody else.
[p2p]
laddr = "tcp://127.0.0.1:{node.p2p}"
pex = false
addr_book_strict = false
allow_duplicate_ip = true
max_num_inbound_peers = 0
max_num_outbound_peers = 0
persistent_peers_max_dial_period = "5s"

[mempool]
type = "app"

# A block waits timeout_propose for a proposer that is down.
[consensus]
timeout_propose = "1s"
timeout_commit = "{network.block_time}"
"""
_APP = """\
# Settings of the application. Only those that differ from the default stand here, all others have it. The size of the
# cache is the default, which counts only where it is written. All history is kept; only the JSON-RPC is served.
minimum-gas-prices = "0atial"
pruning = "nothing"
iavl-cache-size = 781250

[evm]
evm-chain-id = {network.evm_chain_id}

[json-rpc]
enable = true
address = "127.0.0.1:{node.eth}"
ws-address = "127.0.0.1:{node.ws}"
gas-cap = 40000000
allow-insecure-unlock = false
"""


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """The keys of a node: one tells peers who it is, the other signs its votes."""

    peer: ed25519.Ed25519Signer
    validator: ed25519.Ed25519Signer

    @property
    def node_id(self) -> str:
        """What its peers call it."""
        return _address(self.peer).hex()


def new_keys() -> NodeKeys:
    """Make the keys of a node from the operating system's randomness."""
    return NodeKeys(ed25519.SUITE.generate(), ed25519.SUITE.generate())


def make_home(folder: Path, network: Description, node: Node, keys: NodeKeys, genesis: bytes) -> None:
    """Make the home of a node in the network's folder; it takes its name when it is whole and on the disk.

    network.json must not name the node yet: what lies at the name then, left by a crash, is put aside.
    StorageError where the operating system refuses.
    """
    home = folder / node.name
    making = folder / f".{node.name}.new"
    with reporting("make the home of a node", home):
        shutil.rmtree(making, ignore_errors=True)
        for new in (making, making / "config", making / "data"):
            new.mkdir(mode=0o700)
    files = {
        "config/config.toml": _CONFIG.format(node=node, network=network).encode(),
        "config/app.toml": _APP.format(node=node, network=network).encode(),
        "config/node_key.json": _json({"priv_key": _secret(keys.peer)}),
        "config/priv_validator_key.json": _json(
            {
                "address": _address(keys.validator).hex().upper(),
                "pub_key": {"type": "tendermint/PubKeyEd25519", "value": _base64(keys.validator.public_key)},
                "priv_key": _secret(keys.validator),
            }
        ),
        "data/priv_validator_state.json": _json({"height": "0", "round": 0, "step": 0}),
        str(GENESIS): genesis,
    }
    replace_files(((making / name, content) for name, content in files.items()), mode=0o600)
    with reporting("make the home of a node", home):
        if home.exists():
            home.rename(_unused(home))
        making.rename(home)
    sync_directory(folder)


def _unused(home: Path) -> Path:
    """A name for what lies where a home is to be: it may hold keys, so nothing of it is deleted."""
    names = (home.with_name(f"{home.name}.unused-{number}") for number in itertools.count(1))
    return next(name for name in names if not name.exists())


def _address(key: ed25519.Ed25519Signer) -> bytes:
    return sha256(key.public_key)[:20]


def _secret(key: ed25519.Ed25519Signer) -> dict[str, str]:
    return {"type": "tendermint/PrivKeyEd25519", "value": _base64(key.secret + key.public_key)}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _json(document: object) -> bytes:
    return json.dumps(document, indent=2).encode() + b"\n"
