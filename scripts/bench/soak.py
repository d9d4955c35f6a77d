"""Ten million entries: memory while taking them, then proofs, restart and index rebuild at that size.

Slow (about half an hour) and large (about 10 GB of disk). Statements are signed as they are sent, so the rate here is
not the node's best; `bulk` measures that.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import common
import load

STEP = 100_000


def proof_times(server: common.Server, samples: int = 300) -> dict[str, float]:
    """Server-side and whole-request times of inclusion proofs of random entries, in milliseconds."""
    size = server.published()
    chooser = random.Random(7)  # noqa: S311 - a benchmark's choice of entries
    times: list[float] = []
    for _ in range(samples):
        index = chooser.randrange(size)
        begun = time.perf_counter()
        with urllib.request.urlopen(f"{server.url}/v1/proofs/inclusion?index={index}", timeout=30) as answer:  # noqa: S310
            proof = json.loads(answer.read())
        times.append((time.perf_counter() - begun) * 1000)
        if not proof["proof"]:
            raise SystemExit("an empty proof")
    times.sort()
    return {"p50_ms": round(times[samples // 2], 3), "p99_ms": round(times[int(samples * 0.99)], 3)}


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--no-rebuild", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tial-soak-") as temporary:
        folder = (options.folder or Path(temporary)) / "node"
        config = common.make_log(folder)
        server = common.start(config)
        signer = common.enterprise(server)
        track: list[dict[str, object]] = []
        begun = time.perf_counter()
        for first in range(0, options.count, STEP):
            half = STEP // 2
            statements = [
                common.registrations(server.log_id, signer, first, half),
                common.registrations(server.log_id, signer, first + half, half),
            ]
            result = load.bulk(server.port, statements)
            if result.refused:
                raise SystemExit(f"{result.refused} refused at {first}")
            done = first + STEP
            if done in {STEP, 1_000_000} or done % 1_000_000 == 0:
                point: dict[str, object] = {
                    "entries": done,
                    "rate": round(done / (time.perf_counter() - begun)),
                    **server.memory(),
                }
                if done in {1_000_000, options.count}:
                    time.sleep(3)
                    point["proof"] = proof_times(server)
                track.append(point)
                print(json.dumps(point), file=sys.stderr, flush=True)
        server.stop()
        begun = time.perf_counter()
        server = common.start(config)
        restart = time.perf_counter() - begun
        server.stop()
        common.report("soak", count=options.count, track=track, restart_seconds=round(restart, 2))
        if not options.no_rebuild:
            subprocess.run(
                [sys.executable, "-m", "api.cli.main", "index", "rebuild", "--config", str(config), "--json"],
                cwd=common.ROOT,
                check=True,
            )


if __name__ == "__main__":
    main()
