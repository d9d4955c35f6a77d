"""How a BFT network is. A node is well when its height grows: one that lives may still have stopped for good.

Asks every node's CometBFT RPC at once. A node that signed another state than the others stops with "CONSENSUS FAILURE"
and its process stays; one whose peers are gone waits for ever: both answer questions, and neither makes a block. So
what counts is the age of the newest block that a node has.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from devnet.bft.description import Description, Node
from devnet.locks import is_held
from devnet.processes import pid_of
from devnet.rpc import call
from ledger.errors import UnavailableError

BLOCK_TIMES = 10
LEAST_SECONDS = 10.0
"""A validator that is gone costs its turns some seconds each: shorter than this, a slow chain looks like a dead one."""
START_SECONDS = 30.0
CLOSE = 3
"""Blocks that a node may be behind the others and still be with them."""
ASK_SECONDS = 2.0
FAILURE = "CONSENSUS FAILURE"
START_MARK = b"== bft-chain is started\n"
_TAIL = 1 << 20
_WORDS = 300
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FRACTION = re.compile(r"\.[0-9]+")


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """One node. `state`: growing, catching-up, starting, halted, failed, killed, stopped.

    `pid`, `height` and `peers` are 0 where unknown; `lag` is blocks behind the highest node; `age` seconds since its
    newest block, -1 where unknown; `grows` whether that is recent; `error` why it failed, in its own last words.
    """

    name: str
    state: str
    pid: int
    height: int
    lag: int
    peers: int
    age: int
    grows: bool
    restarts: int
    error: str


@dataclass(frozen=True, slots=True)
class Validator:
    """A validator as the chain has it now. `node` is the name of the node here that has the key, else empty."""

    key: bytes
    power: int
    node: str


@dataclass(frozen=True, slots=True)
class NetworkHealth:
    """The network. `state`: growing, halted (processes live, no new block) or stopped."""

    state: str
    height: int
    nodes: tuple[NodeHealth, ...]
    validators: tuple[Validator, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What a node answered about itself. `block_time` is Unix seconds."""

    height: int
    block_time: float
    catching_up: bool
    peers: int


def node_paths(folder: Path, node: Node) -> tuple[Path, Path, Path]:
    """Files of a node's process: its number and lock, its log, the mark that it is to stay down."""
    home = folder / node.name
    return home / "process.pid", home / "process.log", home / "killed"


def observe(folder: Path, network: Description, supervised: Mapping[str, Any] | None) -> NetworkHealth:
    """Ask every node now. `supervised` is what the supervisor tells of each node, None where no supervisor lives."""
    living = [is_held(node_paths(folder, node)[0]) for node in network.nodes]
    with ThreadPoolExecutor(max_workers=len(network.nodes)) as pool:
        told = list(pool.map(lambda pair: ask(pair[0]) if pair[1] else None, zip(network.nodes, living, strict=True)))
    now = time.time()
    limit = max(BLOCK_TIMES * network.block_seconds, LEAST_SECONDS)
    top = max((each.height for each in told if each), default=0)
    anyone = any(each is not None and each.height > 0 and now - each.block_time < limit for each in told)
    nodes = []
    for node, lives, each in zip(network.nodes, living, told, strict=True):
        pid_path, log_path, killed = node_paths(folder, node)
        record = (supervised or {}).get(node.name, {})
        age = -1 if each is None or each.height == 0 else max(0, int(now - each.block_time))
        grows = 0 <= age < limit
        error = str(record.get("error", ""))
        if lives:
            error = consensus_failure(log_path)
            young = now - pid_path.stat().st_mtime < START_SECONDS
            lag = 0 if each is None else top - each.height
            state = _state(each, error, lag, grows=grows, anyone=anyone, young=young)
            if state == "failed" and not error:
                error = shortened(log_path)
        elif killed.exists():
            state, error = "killed", ""
        else:
            state = "stopped" if supervised is None else "failed"
        nodes.append(
            NodeHealth(
                name=node.name,
                state=state,
                pid=pid_of(pid_path) if lives else 0,
                height=each.height if each else 0,
                lag=top - each.height if each else 0,
                peers=each.peers if each else 0,
                age=age,
                grows=grows and state != "failed",
                restarts=int(record.get("restarts", 0)),
                error=error,
            )
        )
    whole = "growing" if any(node.grows for node in nodes) else "halted" if any(living) else "stopped"
    return NetworkHealth(whole, top, tuple(nodes), _validators(network, nodes))


def _state(told: Told | None, failure: str, lag: int, *, grows: bool, anyone: bool, young: bool) -> str:
    """Name the state of a node whose process lives."""
    if failure:
        return "failed"
    if told is None or told.height == 0:
        return "starting" if young else "failed"
    if grows and lag <= CLOSE:
        return "growing"
    if anyone:
        return "catching-up" if grows or told.catching_up or young else "failed"
    return "halted"


def ask(node: Node) -> Told | None:
    """Ask a node for its newest block and its peers; None where it gives no usable answer."""
    try:
        sync = call(node.comet_url, "status", timeout=ASK_SECONDS)["sync_info"]
        peers = int(call(node.comet_url, "net_info", timeout=ASK_SECONDS)["n_peers"])
        moment = _moment(sync["latest_block_time"])
        return Told(int(sync["latest_block_height"]), moment, bool(sync["catching_up"]), peers)
    except (UnavailableError, KeyError, ValueError, TypeError, OverflowError):
        return None


def header_time(node: Node, height: int) -> float | None:
    """Time of one header in Unix seconds; None where the node gives no usable answer."""
    try:
        return _moment(call(node.comet_url, "header", str(height), timeout=ASK_SECONDS)["header"]["time"])
    except (UnavailableError, KeyError, ValueError, TypeError, OverflowError):
        return None


def _moment(text: str) -> float:
    """Read a time as Go writes it: its nanoseconds are more than Python's parser takes, and whole seconds do here."""
    return datetime.fromisoformat(_FRACTION.sub("", text)).timestamp()


def _validators(network: Description, nodes: Sequence[NodeHealth]) -> tuple[Validator, ...]:
    """The validators by the node that is furthest; () where none answers."""
    names = {node.key: node.name for node in network.nodes}
    best = sorted(zip(nodes, network.nodes, strict=True), key=lambda pair: -pair[0].height)
    for health, node in best:
        if health.height:
            with suppress(UnavailableError, KeyError, ValueError, TypeError):
                found = call(node.comet_url, "validators", None, "1", "100", timeout=ASK_SECONDS)["validators"]
                keys = [(base64.b64decode(entry["pub_key"]["value"]), int(entry["voting_power"])) for entry in found]
                return tuple(Validator(key, power, names.get(key, "")) for key, power in keys)
    return ()


def consensus_failure(log_path: Path) -> str:
    """Return what the process that runs now said when it stopped taking part, "" where it did not."""
    for line in reversed(_since_start(log_path)):
        if FAILURE in line:
            return line[:_WORDS]
    return ""


def shortened(log_path: Path) -> str:
    """Return the last line that the newest process wrote, cut to a length that fits a table."""
    lines = _since_start(log_path)
    return lines[-1][:_WORDS] if lines else ""


def _since_start(log_path: Path) -> list[str]:
    """Lines of the newest process, of the last megabyte of its log, without colours."""
    try:
        with log_path.open("rb") as stream:
            stream.seek(max(0, log_path.stat().st_size - _TAIL))
            content = stream.read(_TAIL).rpartition(START_MARK)[2]
    except OSError:
        return []
    return [line.strip() for line in _COLOUR.sub("", content.decode(errors="replace")).splitlines() if line.strip()]
