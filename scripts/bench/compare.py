"""Everything that fits into ten minutes, side by side in one run, with ratios: this project, its peers, the raw limits.

    .venv/bin/python scripts/bench/compare.py

The peers check no actor's signature and keep no rules of a state: a ratio says what those cost beside a plain log.
`soak.py` (ten million entries) is apart. With TIAL_BENCH_RESULTS set to a folder, each result is kept there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RUNS: dict[str, tuple[str, ...]] = {
    "limits": ("limits.py",),
    "steps": ("steps.py",),
    "bulk": ("bulk.py",),
    "single": ("single.py",),
    "rebuild": ("rebuild.py",),
    "tessera": ("peers/peer_tessera.py", "--seconds", "10"),
    "tessera, 64 clients": ("peers/peer_tessera.py", "--seconds", "10", "--clients", "64"),
    "aics-tlog": ("peers/peer_aics.py", "--seconds", "10"),
}


def measure(command: tuple[str, ...]) -> dict[str, Any]:
    """Run one benchmark and read the last line that it prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, str(HERE / command[0]), *command[1:]],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    print(run.stdout.strip().splitlines()[-1], flush=True)
    result: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
    return result


def rows(results: dict[str, dict[str, Any]]) -> list[tuple[str, float, str, float]]:
    """What is compared: our figure, what it is held against, and that figure."""
    ours, single = results["bulk"]["statements_per_second"], results["single"]["statements_per_second"]
    verify = results["limits"]["ed25519_verify_a_second"]
    table = [
        ("bulk, a second", ours, "Ed25519 verify, one core", _rate(verify["one_core"])),
        ("rebuild, entries a second", results["rebuild"]["entries_per_second"], "target", 25_000.0),
        ("bulk, a second", ours, "target", 10_000.0),
        ("single, 64 clients, a second", single, "target", 3_000.0),
    ]
    tessera = results["tessera"]
    if "absent" not in tessera:
        table.append(("bulk, a second", ours, "Tessera posix, 512 clients", _rate(tessera)))
        table.append(
            ("single, 64 clients, a second", single, "Tessera posix, 64 clients", _rate(results["tessera, 64 clients"]))
        )
    aics = results["aics-tlog"]
    if "absent" not in aics:
        table.append(("bulk, a second", ours, "aics-tlog, batches of 1000", _rate(aics["batches"])))
        table.append(("single, 64 clients, a second", single, "aics-tlog, one by one", _rate(aics["one_by_one"])))
    return table


def _rate(result: dict[str, Any] | float) -> float:
    """The rate in a result, whatever its benchmark calls it."""
    if isinstance(result, int | float):
        return float(result)
    for name in ("entries_a_second", "suite"):
        if name in result:
            return float(result[name])
    raise SystemExit(f"no rate in {result}")


def main() -> None:
    """Run all and print the table."""
    results = {name: measure(command) for name, command in RUNS.items()}
    print()
    for what, ours, against, theirs in rows(results):
        print(f"{what:32} {ours:>10,.0f}   {against:32} {theirs:>10,.0f}   ratio {ours / theirs:6.2f}")


if __name__ == "__main__":
    main()
