"""What anchoring adds to the cost of admission: three nodes on one chain, each bulk loading at once.

Six nodes stand side by side, three that anchor in one contract and three that do not. By turns the one or the other
three take the same number of statements at the same time, and the processor time that their processes used is counted,
from the first statement until some seconds after the last, so that the anchors of all that was admitted are in it.
Processor time is steadier than the clock where loader, nodes and chain share two cores. The chain's own processes are
not counted: they are other people's machines.

What anchoring adds is told twice. Once as the processor time of the anchor workers' own threads, which each node tells
in its metrics, beside that of all the rest: that is the figure. And as the difference between both groups, summed over
all rounds, whose order alternates: it would show what the threads' own time hides, but loads differ from one turn to
the next by more than anchoring adds, as the least and the most of single rounds tell.

Without --network the chain is the embedded one. --network names the folder of a running BFT network (`tial chain up
--bft`), on which a contract is deployed and the three senders get the right to send.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import common
import load
from market import Market, consortium, embedded

from devnet.bft.network import BftNetwork
from ledger.crypto.suites import Signer

NODES = 3


@dataclass
class Turn:
    """One load of three nodes: processor seconds of their processes, and what they admitted in how many seconds."""

    cpu: float
    anchoring: float
    admitted: int
    seconds: float

    @property
    def each(self) -> float:
        """Processor time for one entry, in microseconds."""
        return self.cpu / self.admitted * 1e6


def turn(servers: list[common.Server], statements: list[list[bytes]], settle: float) -> Turn:
    """Load the nodes at once, and leave them `settle` seconds more for what is under way."""
    before = sum(common.processor_time(server.process.pid) for server in servers)
    anchored = sum(map(anchoring_time, servers))
    results: list[load.BulkResult] = []
    threads = [
        threading.Thread(target=lambda server=server, raws=raws: results.append(load.bulk(server.port, [raws])))
        for server, raws in zip(servers, statements, strict=True)
    ]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    time.sleep(settle)
    cpu = sum(common.processor_time(server.process.pid) for server in servers) - before
    admitted = sum(result.admitted for result in results)
    if admitted != sum(map(len, statements)):
        raise SystemExit(f"{admitted} of {sum(map(len, statements))} were admitted")
    return Turn(cpu, sum(map(anchoring_time, servers)) - anchored, admitted, seconds)


def anchoring_time(server: common.Server) -> float:
    """Processor seconds that a node's anchor worker has used so far; 0 where there is none."""
    found = re.search(rb"^tial_anchor_cpu_seconds_total (\S+)", server.get("/metrics"), re.MULTILINE)
    return float(found[1]) if found else 0.0


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000, help="statements for each node in each turn")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between anchors (the default's)")
    parser.add_argument("--settle", type=float, default=4.0, help="seconds counted after the last statement")
    parser.add_argument("--network", type=Path, help="folder of a running BFT network")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tial-bench-") as name:
        folder = Path(name)
        if options.network is not None:
            measure(consortium(BftNetwork(options.network), options.interval), folder, options)
            return
        with embedded(folder / "chain", options.interval) as market:
            measure(market, folder, options)


def measure(market: Market, folder: Path, options: argparse.Namespace) -> None:
    """Start the nodes, take turns, report, stop the nodes."""
    groups: dict[str, list[common.Server]] = {"off": [], "on": []}
    signers: dict[str, Signer] = {}
    try:
        for kind, servers in groups.items():
            for number in range(NODES):
                origin = f"{kind}{number}.bench.example/log"
                config = common.make_log(folder / f"{kind}{number}", verifiers=1, origin=origin)
                server = common.start(config)
                if kind == "on":
                    server.stop()
                    market.take_in(config, bytes.fromhex(server.log_id), origin)
                    server = common.start(config)
                servers.append(server)
                signers[server.log_id] = common.enterprise(server)
        logs = [bytes.fromhex(server.log_id) for server in groups["on"]]
        turns: dict[str, list[Turn]] = {"off": [], "on": []}
        anchors = 0
        for number in range(-1, options.rounds):  # the first warms up and does not count
            for kind in ("on", "off") if number % 2 else ("off", "on"):
                start = (number + 1) * options.count
                statements = [
                    list(common.registrations(server.log_id, signers[server.log_id], start, options.count))
                    for server in groups[kind]
                ]
                known = sum(map(len, market.anchors(logs).values()))
                done = turn(groups[kind], statements, options.settle)
                if number >= 0:
                    turns[kind].append(done)
                    anchors += (sum(map(len, market.anchors(logs).values())) - known) if kind == "on" else 0
        report(options, turns, anchors)
    finally:
        for servers in groups.values():
            for server in servers:
                server.stop()


def report(options: argparse.Namespace, turns: dict[str, list[Turn]], anchors: int) -> None:
    """Print what came of it."""
    cpu = {kind: sum(one.cpu for one in done) for kind, done in turns.items()}
    admitted = sum(one.admitted for one in turns["on"])
    anchoring = sum(one.anchoring for one in turns["on"])
    added = [on.each / off.each - 1 for on, off in zip(turns["on"], turns["off"], strict=True)]
    common.report(
        "three_nodes",
        chain="embedded" if options.network is None else "bft",
        anchoring_percent=round(anchoring / (cpu["on"] - anchoring) * 100, 2),
        ms_per_anchor=round(anchoring / max(1, anchors) * 1000, 1),
        off_us_per_entry=round(cpu["off"] / admitted * 1e6, 2),
        on_us_per_entry=round(cpu["on"] / admitted * 1e6, 2),
        difference_percent=round((cpu["on"] / cpu["off"] - 1) * 100, 2),
        difference_percent_median=round(statistics.median(added) * 100, 2),
        difference_percent_least=round(min(added) * 100, 2),
        difference_percent_most=round(max(added) * 100, 2),
        anchors=anchors,
        statements_per_second=round(admitted / sum(one.seconds for one in turns["on"])),
        statements_per_second_off=round(admitted / sum(one.seconds for one in turns["off"])),
        nodes=NODES, count=options.count, rounds=options.rounds, interval=options.interval, settle=options.settle,
    )  # fmt: skip


if __name__ == "__main__":
    main()
