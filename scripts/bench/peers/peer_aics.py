"""How fast aics-tlog appends entries durably, in its own process and Python: one JSON object.

Appends entries of 460 random bytes with its incremental tile writer and fsync on: in batches of 1000, then one by one.
Nothing is signed or verified, and no checkpoint is written, which is in its favour beside a log that does all of that.

    .venv/bin/python scripts/bench/peers/peer_aics.py --seconds 5 --folder /var/tmp

The tool needs Python 3.12; this script hands itself over to the environment that scripts/build-peers made for it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
ENTRY = 460
MOST_SECONDS = 20.0
MOST_ENTRIES = 2_000_000


def hand_over() -> None:
    """Go on in the environment of aics-tlog; says why and ends where there is none."""
    command = [sys.executable, str(ROOT / "scripts" / "build_peers.py"), "aics-tlog"]
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)["aics-tlog"]
    if told["absent"]:
        print(json.dumps({"benchmark": "aics-tlog", "version": told["version"], "absent": told["absent"]}))
        raise SystemExit(0)
    python = str(Path(told["program"]).parent / "python")
    os.execv(python, [python, __file__, *sys.argv[1:], "--version", told["version"]])  # noqa: S606


def appends(writer_module: Any, folder: Path, batch: int, seconds: float) -> dict[str, Any]:
    """Append batches until the time is over; the root that the tool itself finds on the disk must be the writer's."""
    store = writer_module.DirectoryTileStore(folder, fsync=True)
    writer = writer_module.IncrementalTileWriter(store)
    spent: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end and writer.size < MOST_ENTRIES:
        entries = [os.urandom(ENTRY) for _ in range(batch)]
        started = time.perf_counter()
        writer.append(entries)
        spent.append(time.perf_counter() - started)
    again = writer_module.IncrementalTileWriter(store, writer.size)
    if again.root() != writer.root():
        raise SystemExit("what was appended is not on the disk")
    spent.sort()
    return {
        "batch": batch,
        "entries": writer.size,
        "entries_a_second": round(writer.size / sum(spent), 1),
        "p50_ms": round(spent[len(spent) // 2] * 1000, 3),
        "p99_ms": round(spent[len(spent) * 99 // 100] * 1000, 3),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="for each of the two (default 5, at most 20)")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: the temporary folder)")
    parser.add_argument("--version", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.version:
        hand_over()
    seconds = min(max(options.seconds, 0.1), MOST_SECONDS)
    writer_module = importlib.import_module("aics_tlog.writer")
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        runs = {
            name: appends(writer_module, Path(scratch) / name, batch, seconds)
            for name, batch in (("batches", 1000), ("one_by_one", 1))
        }
    print(
        json.dumps(
            {
                "benchmark": "aics-tlog",
                "version": options.version,
                "licence": "Apache-2.0",
                "durability": "fsync of every file and folder before each append returns",
                "entry_bytes": ENTRY,
                **runs,
                "python": platform.python_version(),
                "cores": os.cpu_count(),
            }
        )
    )


if __name__ == "__main__":
    main()
