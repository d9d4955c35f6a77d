"""A BFT network of validators under one node: from an acknowledgement to a final anchor, and from a halt back to work.

Measures, on a network made for it:

* finality: one statement is acknowledged, and the operator asks for an anchor at once. The time ends when the node
  calls the anchor final: its storage is proven under a header that more than two thirds of the validators signed.
* recovery: two of four validators are killed, so that the chain halts, while statements go on. Both are started again;
  the time ends when all that was published meanwhile is anchored and final.
* what the validators use: memory of each, and processor time of all, at rest and while anchors come one after another.

    PYTHONPATH=. .venv/bin/python scripts/bench/finality.py --anchors 60 --recoveries 3
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import common
from market import consortium

from devnet.bft.network import BftNetwork

_TOKEN = "keys/operator.token"  # noqa: S105 - the name of a file
_ORIGIN = "finality.bench.example/log"
_PATIENCE = 120.0
KILLED = (2, 3)
INTERVAL = 10.0


class Bench:
    """The network, one node that anchors on it, and statements for it."""

    def __init__(self, network: BftNetwork, server: common.Server, token: str) -> None:
        self.network = network
        self.server = server
        self.token = token
        self._statements = common.registrations(server.log_id, common.enterprise(server), 0, 1 << 40)

    def acknowledged(self) -> None:
        """Submit one statement; returns once it is acknowledged."""
        self.server.post(next(self._statements))

    def anchor(self) -> int:
        """Ask for an anchor of all that is acknowledged; its size, once it is final."""
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.server.url}/v1/anchors", b"", headers, method="POST"
        )
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310 - loopback
            size: int = json.loads(answer.read())["size"]
            return size

    def anchored(self) -> int:
        """Size of the newest final anchor."""
        newest = json.loads(self.server.get("/v1/anchors?limit=1"))["anchors"]
        return int(newest[0]["size"]) if newest else 0

    def finality(self, count: int) -> list[float]:
        """Seconds from each acknowledgement to its final anchor."""
        spent = []
        for _ in range(count):
            self.acknowledged()
            begun = time.perf_counter()
            self.anchor()
            spent.append(time.perf_counter() - begun)
        return spent

    def recovery(self, halted: float) -> float:
        """Seconds from the start of both killed validators until what was published during the halt is anchored."""
        for index in KILLED:
            self.network.kill(index)
        stop = threading.Event()
        load = threading.Thread(target=self._load, args=(stop,))
        load.start()
        time.sleep(halted)
        before, published = self.anchored(), self.server.published()
        if before >= published:
            raise SystemExit(f"an anchor of {published} entries became final on a halted chain")
        begun = time.perf_counter()
        starts = [threading.Thread(target=self.network.restart, args=(index,)) for index in KILLED]
        for thread in starts:
            thread.start()
        while self.anchored() < published:
            if time.perf_counter() - begun > _PATIENCE:
                raise SystemExit(f"not anchored after {_PATIENCE:.0f} s")
            time.sleep(0.1)
        spent = time.perf_counter() - begun
        for thread in starts:
            thread.join()
        stop.set()
        load.join()
        return spent

    def _load(self, stop: threading.Event) -> None:
        while not stop.wait(0.05):
            self.acknowledged()

    def pids(self) -> list[int]:
        """Processes of the validators."""
        return [node.pid for node in self.network.status().nodes]

    def cores(self, seconds: float) -> float:
        """Cores that all validators together use now, counted for so many seconds."""
        pids = self.pids()
        before, begun = sum(map(common.processor_time, pids)), time.perf_counter()
        time.sleep(seconds)
        return (sum(map(common.processor_time, pids)) - before) / (time.perf_counter() - begun)

    def memory(self) -> list[int]:
        """Resident memory of each validator in MB."""
        return [resident(pid) for pid in self.pids()]


def resident(pid: int) -> int:
    """Resident memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


@contextmanager
def prepared(folder: Path, network: BftNetwork) -> Iterator[Bench]:
    """A node of a new log that anchors on the network, for as long as the context lasts."""
    config = common.make_log(folder / "node", origin=_ORIGIN)
    token = secrets.token_urlsafe(16)
    path = config.parent / _TOKEN
    path.touch(0o600)
    path.write_text(token)
    os.environ["TIAL_HTTP_OPERATOR_TOKEN_FILE"] = _TOKEN
    server = common.start(config)
    server.stop()
    consortium(network, INTERVAL).take_in(config, bytes.fromhex(server.log_id), _ORIGIN)
    server = common.start(config)
    try:
        yield Bench(network, server, token)
    finally:
        server.stop()


def measure(bench: Bench, options: argparse.Namespace) -> None:
    """Run and report."""
    bench.finality(3)
    idle = bench.cores(options.seconds)
    pids, begun = bench.pids(), time.perf_counter()
    before = sum(map(common.processor_time, pids))
    spent = sorted(bench.finality(options.anchors))
    busy = (sum(map(common.processor_time, pids)) - before) / (time.perf_counter() - begun)
    memory = bench.memory()
    recovered = [bench.recovery(options.halted) for _ in range(options.recoveries)]
    common.report(
        "finality",
        validators=len(pids), block_time=options.block_time, anchors=options.anchors,
        final_p50_s=round(statistics.median(spent), 2), final_p99_s=round(spent[-1 - len(spent) // 100], 2),
        final_most_s=round(spent[-1], 2), halted_s=options.halted,
        recovery_s=[round(seconds, 1) for seconds in recovered],
        validator_mb=memory, cores_idle=round(idle, 3), cores_anchoring=round(busy, 3),
        height=bench.network.status().height,
    )  # fmt: skip


def main() -> None:
    """Make the network, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--validators", type=int, default=4)
    parser.add_argument("--block-time", default="1s")
    parser.add_argument("--anchors", type=int, default=60)
    parser.add_argument("--recoveries", type=int, default=3)
    parser.add_argument("--halted", type=float, default=15.0, help="seconds for which the chain stands still")
    parser.add_argument("--seconds", type=float, default=20.0, help="for which the resting validators are watched")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tial-bench-") as name:
        network = BftNetwork(Path(name) / "network")
        network.create(validators=options.validators, block_time=options.block_time)
        try:
            network.start()
            with prepared(Path(name), network) as bench:
                measure(bench, options)
        finally:
            network.stop()


if __name__ == "__main__":
    main()
