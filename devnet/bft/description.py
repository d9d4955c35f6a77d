"""network.json: which nodes a network has, where each listens, which keys its validators began with.

Owns the file, its form and what may stand in it. Everything here listens on loopback, and the nodes' homes lie in the
folder of the file: a home that leads out of it is refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ledger.errors import MalformedError
from ledger.store.durable import replace_file

FILE = "network.json"
FORMAT = "tial-bft-network-v1"
MAX_NODES = 64
KEY_SIZE = 32
_MAX_SIZE = 1 << 20
_NODE_ID = re.compile(r"[0-9a-f]{40}")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+")
_PART = re.compile(r"([0-9.]+)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `key` is its Ed25519 validator key, `power` what it began with: 0 for one that was added later.

    `node_id` names it to its peers. ValueError where a port, the key or the name of the peer is none.
    """

    name: str
    node_id: str
    p2p: int
    rpc: int
    eth: int
    ws: int
    key: bytes
    power: int

    def __post_init__(self) -> None:
        if not all(0 < port < 1 << 16 for port in self.ports):
            raise ValueError(f"the ports of {self.name}: {self.ports}")
        if len(self.key) != KEY_SIZE or not _NODE_ID.fullmatch(self.node_id):
            raise ValueError(f"the keys of {self.name}")

    @property
    def eth_url(self) -> str:
        """Where it answers the Ethereum JSON-RPC."""
        return f"http://127.0.0.1:{self.eth}"

    @property
    def comet_url(self) -> str:
        """Where it answers CometBFT's RPC."""
        return f"http://127.0.0.1:{self.rpc}"

    @property
    def peer_address(self) -> str:
        """Where its peers find it, as CometBFT writes that."""
        return f"{self.node_id}@127.0.0.1:{self.p2p}"

    @property
    def ports(self) -> tuple[int, int, int, int]:
        """All four ports that it listens on."""
        return self.p2p, self.rpc, self.eth, self.ws


@dataclass(frozen=True, slots=True)
class Description:
    """A network. `block_time` is the pause between two blocks as Go writes a duration, as in `1s`.

    ValueError where its nodes are not node0 and so on, where two share a port, or where the pause is no duration.
    """

    chain_name: str
    evm_chain_id: int
    consortium: str
    block_time: str
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        names = [node.name for node in self.nodes]
        if not 1 <= len(names) <= MAX_NODES or names != [f"node{n}" for n in range(len(names))]:
            raise ValueError(f"its nodes are not node0 up to node{MAX_NODES - 1}")
        if len({port for node in self.nodes for port in node.ports}) != 4 * len(names):
            raise ValueError("two of its nodes share a port")
        duration(self.block_time)

    @property
    def block_seconds(self) -> float:
        """The pause between two blocks in seconds."""
        return duration(self.block_time)

    def node(self, index: int) -> Node:
        """Return one node by its number; MalformedError where there is none."""
        if not 0 <= index < len(self.nodes):
            raise MalformedError(
                f"there is no node {index}",
                where="the network",
                remedy=f"Its nodes are 0 to {len(self.nodes) - 1}",
            )
        return self.nodes[index]


def read_description(folder: Path) -> Description:
    """Read the network of a folder; MalformedError where there is none, or none that can be used."""
    path = folder / FILE
    try:
        with path.open("rb") as stream:
            return _parse(orjson.loads(stream.read(_MAX_SIZE)))
    except FileNotFoundError as error:
        raise MalformedError(
            "no network was made here", where=str(path), remedy="Make one: tial chain up --bft"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedError(f"this is no network: {error}", where=str(path)) from error


def write_description(folder: Path, network: Description) -> None:
    """Write the network of a folder, whole and durably; StorageError where the operating system refuses."""
    document = {
        "format": FORMAT,
        "chain_id": network.chain_name,
        "evm_chain_id": network.evm_chain_id,
        "consortium": network.consortium,
        "block_time": network.block_time,
        "nodes": [
            {
                "name": node.name,
                "home": node.name,
                "node_id": node.node_id,
                "p2p": node.p2p,
                "rpc": node.rpc,
                "eth": node.eth,
                "ws": node.ws,
                "key": node.key.hex(),
                "power": node.power,
            }
            for node in network.nodes
        ],
    }
    replace_file(folder / FILE, json.dumps(document, indent=2).encode() + b"\n", mode=0o600)


def _parse(told: dict[str, Any]) -> Description:
    if told["format"] != FORMAT:
        raise ValueError("another format")
    return Description(
        chain_name=str(told["chain_id"]),
        evm_chain_id=int(told["evm_chain_id"]),
        consortium=str(told["consortium"]),
        block_time=told["block_time"],
        nodes=tuple(_node(entry) for entry in told["nodes"]),
    )


def _node(told: dict[str, Any]) -> Node:
    if told["home"] != told["name"]:
        raise ValueError("a node's home is not the folder of its name")
    p2p, rpc, eth, ws = (int(told[name]) for name in ("p2p", "rpc", "eth", "ws"))
    key = bytes.fromhex(told["key"])
    return Node(told["name"], str(told["node_id"]), p2p, rpc, eth, ws, key, int(told["power"]))


def duration(text: str) -> float:
    """Read a duration as Go writes it (`1s`, `500ms`, `1m30s`), in seconds; ValueError for anything else."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no duration")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
