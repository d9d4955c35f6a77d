"""Bulk registrations over HTTP on loopback: every signature checked, fsync on, answered after durability."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import common
import load


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--connections", type=int, default=2)
    parser.add_argument("--verifiers", type=int, default=0)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tial-bench-") as folder:
        server = common.start(common.make_log(Path(folder) / "node", verifiers=options.verifiers))
        signer = common.enterprise(server)
        rates: list[float] = []
        for run in range(options.runs):
            share = options.count // options.connections
            connections = [
                list(common.registrations(server.log_id, signer, run * options.count + n * share, share))
                for n in range(options.connections)
            ]
            result = load.bulk(server.port, connections)
            if result.refused or result.admitted != share * options.connections:
                raise SystemExit(f"{result.refused} refused, {result.admitted} admitted")
            rates.append(result.admitted / result.seconds)
        memory = server.memory()
        server.stop()
    common.report(
        "bulk", statements_per_second=round(sorted(rates)[len(rates) // 2]), best=round(max(rates)),
        worst=round(min(rates)), count=options.count, runs=options.runs, connections=options.connections,
        verifiers=options.verifiers, fsync=True, memory_mb=memory["VmRSS"],
    )  # fmt: skip


if __name__ == "__main__":
    main()
