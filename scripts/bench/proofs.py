"""Inclusion proofs of random entries: the node's own work, and a whole request over HTTP on loopback.

Entries are drawn so that hardly two share a tile: each proof begins with a tile that was not read before.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

import common
import load
import soak

from ledger.log.proofs import inclusion_proof
from ledger.log.tiles import TileCache
from ledger.store.tiles import TileReader
from node.config import load_config
from node.recovery import DataFolder


def own_work(served: Path, size: int, samples: int) -> dict[str, float]:
    """Milliseconds to make a proof from the tiles on disk, and how many hashes it has."""
    reader = TileReader(served, TileCache())
    chooser = random.Random(11)  # noqa: S311 - a benchmark's choice of entries
    times: list[float] = []
    hashes = 0
    for _ in range(samples):
        index = chooser.randrange(size)
        begun = time.perf_counter()
        hashes = len(inclusion_proof(index, size, reader.nodes(size).get_node))
        times.append((time.perf_counter() - begun) * 1000)
    times.sort()
    return {"p50_ms": round(times[samples // 2], 3), "p99_ms": round(times[int(samples * 0.99)], 3), "hashes": hashes}


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--config", type=Path, help="measure this stopped node instead of making one")
    parser.add_argument("--samples", type=int, default=1_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tial-bench-") as folder:
        config = options.config
        if config is None:
            config = common.make_log(Path(folder) / "node")
            server = common.start(config)
            signer = common.enterprise(server)
            half = options.count // 2
            load.bulk(server.port, [common.registrations(server.log_id, signer, first, half) for first in (0, half)])
            server.stop()
        server = common.start(config)
        size = server.published()
        over_http = soak.proof_times(server, options.samples)
        server.stop()
        own = own_work(DataFolder(load_config(config).data_path).served, size, options.samples)
    common.report("proofs", entries=size, own_work=own, over_http=over_http, samples=options.samples)


if __name__ == "__main__":
    main()
