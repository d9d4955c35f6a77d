"""A BFT network as the rest of the project sees it: make, start, stop, kill a node, restart it, add one, status, keys.

Owns the folder of one network: which nodes it has, their homes and process files, the development keys of its
administrators and of the account that deploys contracts. A network outlives the process that started it, because a
detached supervisor keeps it; only processes that hold this folder's locks are ever signalled.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from devnet.bft.description import FILE, MAX_NODES, Description, Node, duration, read_description, write_description
from devnet.bft.genesis import make_genesis
from devnet.bft.health import NetworkHealth, NodeHealth, header_time, node_paths, observe
from devnet.bft.homes import GENESIS, NodeKeys, make_home, new_keys
from devnet.bft.program import find_program
from devnet.bft.supervisor import asked_to_end, end_nodes
from devnet.keys import DevelopmentKey, development_key, read_development_key
from devnet.locks import held, is_held
from devnet.processes import end, free_port, last_words, launch, low_ports, pid_of
from ledger.errors import KeyFileError, MalformedError, UnavailableError
from ledger.store.durable import read_bounded

CHAIN_NAME = "tial-bft-1"
EVM_CHAIN_ID = 31_991
CONSORTIUM = "0x0000000000000000000000000000000000000C05"
MAX_ADMINISTRATORS = 16
MAX_BLOCK_SECONDS = 86_400
POWER = 10
PORTS = 4
MAY_SEND, MAY_CREATE = 1, 2
_FIRST_BLOCKS = 2
"""A node that was just started refuses transactions until it has seen a block or two."""
_SETTLED = {"growing", "killed"}
_ANSWERING = {"growing", "catching-up", "halted"}
_MAX_GENESIS = 16 << 20
_ADMINISTRATION_SECONDS = 120.0


class BftNetwork:
    """A network in one folder, on loopback only. All methods may be called from any process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._child: subprocess.Popen[bytes] | None = None

    # -- making ---------------------------------------------------------------------------------------------------

    @property
    def made(self) -> bool:
        """Whether there is a network in the folder."""
        return (self.folder / FILE).exists()

    def create(
        self,
        *,
        validators: int = 4,
        block_time: str = "1s",
        administrators: int = 1,
        threshold: int = 0,
        powers: Sequence[int] = (),
    ) -> Description:
        """Make the homes of the nodes and all keys. `threshold` 0: a majority of the administrators.

        Raises:
            MalformedError: a number out of range, or something else lies in the folder.
            BftChainNotFoundError: the program is not there.
            LedgerError: the program refused.

        """
        needed = threshold or administrators // 2 + 1
        _check("validators", validators, 1, MAX_NODES)
        _check("administrators", administrators, 1, MAX_ADMINISTRATORS)
        _check("threshold", needed, 1, administrators)
        if powers:
            _check("number of powers", len(powers), validators, validators)
        _check_pause(block_time)
        if self.folder.exists() and any(self.folder.iterdir()):
            raise MalformedError(
                "this folder is not empty, and holds no network", where=str(self.folder), remedy="Name another folder"
            )
        target = self.folder.resolve()  # through a link that stands where the folder is to be
        target.parent.mkdir(parents=True, exist_ok=True)
        # Made beside its place and moved there whole: a crash on the way leaves no half of a network.
        making = target.with_name(f".{target.name}.new")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        admins = [development_key(making / "keys", f"admin-{n}").address for n in range(1, administrators + 1)]
        deployer = development_key(making / "keys", "deployer").address
        rights = dict.fromkeys(admins, MAY_SEND) | {deployer: MAY_SEND | MAY_CREATE}
        keys = [new_keys() for _ in range(validators)]
        ports = low_ports(PORTS * validators)
        nodes = tuple(
            _node(index, ports[PORTS * index : PORTS * (index + 1)], keys[index], power)
            for index, power in enumerate(powers or [POWER] * validators)
        )
        network = Description(CHAIN_NAME, EVM_CHAIN_ID, CONSORTIUM, block_time, nodes)
        genesis = make_genesis(network, administrators=admins, threshold=needed, rights=rights)
        for node, own in zip(nodes, keys, strict=True):
            make_home(making, network, node, own, genesis)
        write_description(making, network)
        making.rename(target)
        return self.description

    @property
    def description(self) -> Description:
        """What network.json says; MalformedError where there is none."""
        return read_description(self.folder)

    def administrators(self) -> list[DevelopmentKey]:
        """Keys of the administrators that this folder holds, in their order."""
        names = (f"admin-{n}" for n in range(1, MAX_ADMINISTRATORS + 1))
        return [self._key(name) for name in names if (self.folder / "keys" / f"{name}.json").exists()]

    def deployer(self) -> DevelopmentKey:
        """The account that may create contracts: it deploys the anchor contract and administers that."""
        return self._key("deployer")

    @contextmanager
    def administration(self) -> Iterator[None]:
        """Hold the keys of this folder alone: two that send from one account at once get in each other's way."""
        with held(self.folder / "administration.lock", seconds=_ADMINISTRATION_SECONDS):
            yield

    def _key(self, name: str) -> DevelopmentKey:
        path = self.folder / "keys" / f"{name}.json"
        if not path.exists():
            raise KeyFileError(
                f"this folder does not hold the key {name}", where=str(path), remedy="Give the key by its option"
            )
        return read_development_key(path)

    # -- running --------------------------------------------------------------------------------------------------

    def start(self, *, timeout: float = 60.0) -> NetworkHealth:
        """Start the network unless it runs, and return once it makes blocks; UnavailableError when it does not in time.

        Nodes that were killed stay down while the network runs. A node that does not come up while the others make
        blocks is waited for some seconds only: the status tells of it.
        """
        description = self.description
        with held(self.folder / "start.lock", seconds=timeout):
            if not self._supervised():
                find_program()
                self._refuse_used_ports(description)
                (self.folder / "status.json").unlink(missing_ok=True)
                self._child = launch("devnet.bft.supervisor", self.folder, self.folder / "supervisor.log")
                return self._await_growth(timeout, blocks=_FIRST_BLOCKS)
            return self._await_growth(timeout, blocks=0)

    def _await_growth(self, timeout: float, *, blocks: int) -> NetworkHealth:
        """Wait until the network grows, by so many blocks from the height at which it is found."""
        begun = time.monotonic()
        found = -1
        while True:
            health = self.status()
            if found < 0 and any(node.state in _ANSWERING for node in health.nodes):
                found = health.height
            waited = time.monotonic() - begun
            settled = all(node.state in _SETTLED for node in health.nodes)
            grown = health.state == "growing" and health.height >= found + blocks
            if grown and (settled or waited > timeout / 3):
                return health
            dead = self._child is not None and self._child.poll() is not None
            if dead or waited > timeout:
                errors = [f"{node.name}: {node.state} {node.error}".strip() for node in health.nodes]
                reason = last_words(self.folder / "supervisor.log") if dead else "; ".join(errors)
                if dead or all(node.state in {"failed", "stopped"} for node in health.nodes):
                    self.stop()
                raise UnavailableError(
                    f"the network makes no blocks: {reason}",
                    where=str(self.folder),
                    remedy="See process.log in the folder of each node, and supervisor.log",
                )
            time.sleep(0.1)

    def _refuse_used_ports(self, description: Description) -> None:
        for node in description.nodes:
            if is_held(node_paths(self.folder, node)[0]):
                continue  # it lives, and listens there itself
            for port in node.ports:
                if free_port(port) is None:
                    raise UnavailableError(
                        f"port {port} of {node.name} is in use by another program",
                        where="127.0.0.1",
                        remedy="End that program: the ports of a network are fixed when it is made",
                    )

    def stop(self, *, timeout: float = 30.0) -> None:
        """End the supervisor and all nodes. Nothing happens where none runs. Nodes that were killed start next time."""
        if self._supervised():
            end(self.folder / "supervisor.pid", timeout, number=signal.SIGTERM)
            end(self.folder / "supervisor.pid", timeout)
        if self.made:
            description = self.description
            end_nodes(self.folder, description)
            for node in description.nodes:
                node_paths(self.folder, node)[2].unlink(missing_ok=True)
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(1)
            self._child = None

    def kill(self, index: int) -> None:
        """Kill one node's process at once, and keep it down until `restart` or until the network is stopped."""
        pid_path, _, killed = node_paths(self.folder, self.description.node(index))
        with held(self.folder / "control.lock", seconds=10):
            killed.touch(mode=0o600)
            end(pid_path, 10)

    def restart(self, index: int, *, timeout: float = 60.0) -> NodeHealth:
        """Start one node again, ending it in good order where it runs; returns once it answers.

        Raises:
            MalformedError: there is no such node.
            UnavailableError: the network was stopped, or the node does not answer in time.

        """
        node = self.description.node(index)
        pid_path, _, killed = node_paths(self.folder, node)
        if not self._supervised():
            raise UnavailableError(
                "nobody supervises this network", where=str(self.folder), remedy="Start it: tial chain up --bft"
            )
        with held(self.folder / "control.lock", seconds=10):
            asked_to_end(pid_path).touch(mode=0o600)
            end(pid_path, 10, number=signal.SIGTERM)
            end(pid_path, 10)
            killed.unlink(missing_ok=True)
        return self._await_node(index, timeout, _ANSWERING)

    def _await_node(self, index: int, timeout: float, states: Collection[str], above: int = 0) -> NodeHealth:
        """Wait until a node is in one of these states and has a block above a height."""
        until = time.monotonic() + timeout
        while True:
            health = self.status().nodes[index]
            if health.state in states and health.height > above:
                return health
            if time.monotonic() > until:
                raise UnavailableError(f"{health.name} is {health.state}", where=health.error or str(self.folder))
            time.sleep(0.1)

    def add_node(self, *, timeout: float = 60.0) -> NodeHealth:
        """Add a node that follows the chain, a validator once its key has power; restarts the others one by one.

        They must be: each takes connections only from peers that it knows. The chain goes on meanwhile where more
        than two thirds of the power remains without any one of them.
        """
        with held(self.folder / "start.lock", seconds=timeout):
            before = self.status()
            _check("nodes", len(before.nodes) + 1, 1, MAX_NODES)
            self._make_node()
            for index, node in enumerate(before.nodes):
                if node.state != "killed":
                    height = self.status().height
                    self.restart(index, timeout=timeout)
                    if before.state == "growing":
                        # It must have voted again before the next one goes, else two are missing at once.
                        self._await_node(index, timeout, {"growing"}, above=height + 1)
            return self._await_node(len(before.nodes), timeout, _ANSWERING)

    def _make_node(self) -> None:
        """Make the home of a further node, and only then name it in network.json."""
        network = self.description
        path = self.folder / network.nodes[0].name / GENESIS
        genesis = read_bounded(path, _MAX_GENESIS)
        if genesis is None:
            raise MalformedError("the first node has no genesis", where=str(path), remedy="Copy that of another node")
        used = {port for node in network.nodes for port in node.ports}  # free, too, where a node does not run
        ports = [port for port in low_ports(PORTS + len(used)) if port not in used][:PORTS]
        keys = new_keys()
        node = _node(len(network.nodes), ports, keys, 0)
        make_home(self.folder, network, node, keys, genesis)
        write_description(self.folder, replace(network, nodes=(*network.nodes, node)))

    # -- asking ---------------------------------------------------------------------------------------------------

    def status(self) -> NetworkHealth:
        """Ask every node now how it is; MalformedError where no network was made."""
        told: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            told = json.loads((self.folder / "status.json").read_bytes())
        alive = self._supervised()
        # A status file left by a supervisor that was killed speaks of the past.
        current = alive and told.get("supervisor") == pid_of(self.folder / "supervisor.pid")
        records = told.get("nodes", {}) if current else {}
        return observe(self.folder, self.description, records if alive else None)

    def first_time(self) -> int:
        """Time of the header at height 1, Unix seconds; UnavailableError where no node tells it."""
        for node in self.description.nodes:
            time_of_first = header_time(node, 1)
            if time_of_first is not None:
                return int(time_of_first)
        raise UnavailableError("no node tells of the first block", where=str(self.folder))

    @property
    def eth_urls(self) -> list[str]:
        """Ethereum JSON-RPC addresses of all nodes."""
        return [node.eth_url for node in self.description.nodes]

    @property
    def comet_urls(self) -> list[str]:
        """CometBFT RPC addresses of all nodes, in the same order."""
        return [node.comet_url for node in self.description.nodes]

    def _supervised(self) -> bool:
        return is_held(self.folder / "supervisor.pid")


def _check(what: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise MalformedError(f"{value} is not between {least} and {most}", where=what)


def _check_pause(text: str) -> None:
    try:
        seconds = duration(text)
    except ValueError as error:
        raise MalformedError(str(error), where="block time", remedy="Write 1s or 500ms") from error
    if not 0 < seconds <= MAX_BLOCK_SECONDS:
        raise MalformedError(f"{text} is not above 0 and at most a day", where="block time")


def _node(index: int, ports: Sequence[int], keys: NodeKeys, power: int) -> Node:
    p2p, rpc, eth, ws = ports
    return Node(f"node{index}", keys.node_id, p2p, rpc, eth, ws, keys.validator.public_key, power)
