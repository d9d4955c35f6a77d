"""Reads network.json: which nodes a network has, where each listens, which keys its validators began with.

The program `bft-chain` owns the file and writes it at `init` and `add-node`. Everything here listens on loopback, and
the node's homes lie in the folder of the file: a home that leads out of it is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ledger.errors import MalformedError

FILE = "network.json"
FORMAT = "tial-bft-network-v1"
MAX_NODES = 64
_MAX_SIZE = 1 << 20
_NAME = re.compile(r"node[0-9]{1,3}")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+")
_PART = re.compile(r"([0-9.]+)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Node:
    """One node. `key` is its Ed25519 validator key, `power` what it began with: 0 for one that was added later."""

    name: str
    node_id: str
    p2p: int
    rpc: int
    eth: int
    ws: int
    key: bytes
    power: int

    @property
    def eth_url(self) -> str:
        """Where it answers the Ethereum JSON-RPC."""
        return f"http://127.0.0.1:{self.eth}"

    @property
    def comet_url(self) -> str:
        """Where it answers CometBFT's RPC."""
        return f"http://127.0.0.1:{self.rpc}"

    @property
    def ports(self) -> tuple[int, int, int, int]:
        """All four ports that it listens on."""
        return self.p2p, self.rpc, self.eth, self.ws


@dataclass(frozen=True, slots=True)
class Description:
    """A network. `block_time` is the pause between two blocks, in seconds."""

    chain_name: str
    evm_chain_id: int
    consortium: str
    block_time: float
    nodes: tuple[Node, ...]

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


def _parse(told: dict[str, Any]) -> Description:
    if told["format"] != FORMAT:
        raise ValueError("another format")
    nodes = tuple(_node(entry) for entry in told["nodes"])
    if not 1 <= len(nodes) <= MAX_NODES or [node.name for node in nodes] != [f"node{n}" for n in range(len(nodes))]:
        raise ValueError(f"its nodes are not node0 up to node{MAX_NODES - 1}")
    if len({port for node in nodes for port in node.ports}) != 4 * len(nodes):
        raise ValueError("two of its nodes share a port")
    return Description(
        chain_name=str(told["chain_id"]),
        evm_chain_id=int(told["evm_chain_id"]),
        consortium=str(told["consortium"]),
        block_time=duration(told["block_time"]),
        nodes=nodes,
    )


def _node(told: dict[str, Any]) -> Node:
    ports = [int(told[name]) for name in ("p2p", "rpc", "eth", "ws")]
    key = bytes.fromhex(told["key"])
    if not _NAME.fullmatch(told["name"]) or told["home"] != told["name"]:
        raise ValueError("a node's home is not the folder of its name")
    if not all(0 < port < 1 << 16 for port in ports) or len(key) != 32:
        raise ValueError(f"ports or key of {told['name']}")
    p2p, rpc, eth, ws = ports
    return Node(told["name"], str(told["node_id"]), p2p, rpc, eth, ws, key, int(told["power"]))


def duration(text: str) -> float:
    """Read a duration as Go writes it (`1s`, `500ms`, `1m30s`), in seconds; ValueError for anything else."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no duration")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
