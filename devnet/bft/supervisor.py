"""The process that keeps the nodes of one network alive: `python -m devnet.bft.supervisor FOLDER`.

It runs detached. A node's process that ends is started again, later each time while it keeps ending, unless the node is
marked as killed. Its peers are told to it by the command line, as network.json has them at that start. Nodes that live
already are taken over as they are, so a supervisor that was killed disturbs nobody. What it knows stands in
`status.json`; SIGTERM ends it and all nodes. That a node lives says little: what each makes of the chain is looked at
as well, and told in the log when it changes.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

from devnet.bft.description import FILE, Description, Node, read_description
from devnet.bft.health import START_MARK, node_paths, observe, shortened
from devnet.bft.program import find_program
from devnet.locks import held, is_held
from devnet.processes import bound_log, end, send_signal, spawn, supervise
from ledger.errors import LedgerError
from ledger.store.durable import StorageError, replace_file

POLL = 0.2
LOOK = 5.0
LONGEST_PAUSE = 30.0
STEADY = 10.0
"""Seconds that a process must have lived for its end to count as the first one."""
LOG_LIMIT = 4 << 20
END_SECONDS = 8.0

log = logging.getLogger("devnet.bft")


@dataclass(slots=True)
class Record:
    """What `status.json` tells of a node: how often it was started again, and its last words where it ended."""

    restarts: int = 0
    error: str = ""


@dataclass(slots=True)
class Care:
    """A node as the supervisor sees it. `process` is None where the node was taken over; times are monotonic."""

    record: Record = field(default_factory=Record)
    process: subprocess.Popen[bytes] | None = None
    lived: bool = False
    born: float = 0.0
    pause: float = 0.0
    next_start: float = 0.0


class Supervisor:
    """The nodes of one network and their status file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = find_program()
        self.network = read_description(folder)
        self.read_at = self._written()
        self.care: dict[str, Care] = {}
        self.stopping = False
        self.told: object = None
        self.states: dict[str, str] = {}
        self.next_look = 0.0

    def run(self) -> None:
        """Keep the nodes alive until a signal asks to stop."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        while not self.stopping:
            try:
                self._follow_description()
                for node in self.network.nodes:
                    self._tend(node)
                self._tell()
                self._look()
            except LedgerError as error:
                log.warning("%s", error)
            time.sleep(POLL)
        self._end()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stopping = True

    def _written(self) -> int:
        return (self.folder / FILE).stat().st_mtime_ns

    def _follow_description(self) -> None:
        """Take up a node that was added while this runs."""
        written = self._written()
        if written != self.read_at:
            self.network = read_description(self.folder)
            self.read_at = written

    def _tend(self, node: Node) -> None:
        """Start, leave alone or end one node's process, as it is and as it is wanted."""
        care = self.care.setdefault(node.name, Care())
        pid_path, log_path, killed = node_paths(self.folder, node)
        if care.process is not None:
            care.process.poll()  # takes the end of a child from the system
        # Whoever marks a node as killed holds this lock, so none is started just behind its back.
        with held(self.folder / "control.lock", seconds=10):
            lives, wanted = is_held(pid_path), not killed.exists()
            if lives and not wanted:
                send_signal(pid_path, signal.SIGKILL)
            elif not lives and not wanted:
                care.lived, care.pause, care.next_start = False, 0.0, 0.0
            elif not lives:
                asked = asked_to_end(pid_path)
                if asked.exists():
                    asked.unlink()
                    care.lived, care.pause, care.next_start = False, 0.0, 0.0
                elif care.lived:
                    self._mourn(node, care, log_path)
                if time.monotonic() >= care.next_start:
                    self._start(node, care)
            else:
                care.lived = True
                bound_log(log_path, LOG_LIMIT)
                if care.pause and time.monotonic() - care.born > STEADY:
                    care.pause, care.record.error = 0.0, ""

    def _mourn(self, node: Node, care: Care, log_path: Path) -> None:
        """Note that a process ended by itself, and when the next one may start."""
        care.lived = False
        care.record.error = shortened(log_path)
        care.record.restarts += 1
        care.next_start = time.monotonic() + care.pause
        care.pause = min(max(care.pause * 2, 0.5), LONGEST_PAUSE)
        log.warning("%s ended and is started again; its last words: %s", node.name, care.record.error or "none")

    def _start(self, node: Node, care: Care) -> None:
        pid_path, log_path, _ = node_paths(self.folder, node)
        if not self.program.exists():
            self.program = find_program()  # a newer build may have taken its place
        # Read again: a node that is restarted because another was added must know that one.
        peers = peer_options(read_description(self.folder), node)
        with log_path.open("ab") as stream:
            stream.write(START_MARK)
        care.process = spawn([str(self.program), "start", "--home", str(pid_path.parent), *peers], pid_path, log_path)
        care.lived, care.born = True, time.monotonic()

    def _tell(self) -> None:
        told = {"supervisor": os.getpid(), "nodes": {name: asdict(care.record) for name, care in self.care.items()}}
        if told != self.told:
            try:
                replace_file(self.folder / "status.json", json.dumps(told).encode())
                self.told = told
            except StorageError as error:
                log.warning("the status cannot be told: %s", error)

    def _look(self) -> None:
        """See what the nodes make of the chain, and log what changed."""
        now = time.monotonic()
        if now < self.next_look:
            return
        self.next_look = now + LOOK
        bound_log(self.folder / "supervisor.log", LOG_LIMIT)
        records = {name: asdict(care.record) for name, care in self.care.items()}
        health = observe(self.folder, self.network, records)
        found = {node.name: node.state for node in health.nodes} | {"network": health.state}
        for node in health.nodes:
            if node.state == "failed" and self.states.get(node.name) != "failed":
                log.warning("%s has failed at height %d: %s", node.name, node.height, node.error or "no reason told")
        if found != self.states:
            log.info("height %d: %s", health.height, ", ".join(f"{name} {state}" for name, state in found.items()))
        self.states = found

    def _end(self) -> None:
        end_nodes(self.folder, self.network)
        self._tell()


def peer_options(network: Description, node: Node) -> list[str]:
    """Tell a node whom to connect to and whom to let in: all others of the network, and nobody else."""
    others = [other for other in network.nodes if other.name != node.name]
    return [
        "--p2p.persistent_peers=" + ",".join(other.peer_address for other in others),
        "--p2p.unconditional_peer_ids=" + ",".join(other.node_id for other in others),
    ]


def asked_to_end(pid_path: Path) -> Path:
    """The mark that a process was ended to be started again at once: that is no failure of its own."""
    return pid_path.with_name("restarting")


def end_nodes(folder: Path, network: Description) -> None:
    """Ask every process of a network to end, and kill those that do not."""
    paths = [node_paths(folder, node)[0] for node in network.nodes]
    for path in paths:
        send_signal(path, signal.SIGTERM)
    until = time.monotonic() + END_SECONDS
    while any(is_held(path) for path in paths) and time.monotonic() < until:
        time.sleep(0.02)
    for path in paths:
        end(path, END_SECONDS)


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1]), lambda folder: Supervisor(folder).run()))
