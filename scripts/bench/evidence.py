"""An evidence bundle: verified warm, by a cold `tial verify`, and its size, also if the log had ten million entries.

Without --bundle it is the bundle about a certification in the small log of the tests (`tests.evidence.bundles`): a
consortium, an accreditor, a certifier, witnesses of both kinds; real signatures, no chain. `--bundle` and `--policy`
name others, such as those that `tial demo` leaves, which hold evidence of a real chain.

The size for a large log is computed, not measured on one. Real: every entry, record and note of the bundle, and its
encoding. Synthetic: where the entries stand (those from the registration on in the middle of the log, the last manifest
at its end), the values of the hashes of the inclusion proof (their number is exact for these places), and all other
records of the state (random keys, around the bundle's own; the state proof is a real one over all of them).
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import common

from ledger.evidence.bundle import Bundle
from ledger.evidence.policy import Policy, parse_policy
from ledger.evidence.policy_text import dump_policy
from ledger.evidence.verifier import verify
from ledger.log.multiproof import inclusion_multiproof
from ledger.state.proofs import make_state_proof
from ledger.state.tree import record_hash
from ledger.store.state_nodes import LeavesNode
from tests.evidence.bundles import Scene


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--policy", type=Path)
    parser.add_argument("--now", type=int, help="the verifier's clock, for a bundle that was kept")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--runs", type=int, default=10, help="cold runs")
    parser.add_argument("--entries", type=int, default=10_000_000)
    parser.add_argument("--records", type=int, default=1_000_000)
    options = parser.parse_args()
    if options.bundle is None:
        scene = Scene()
        raw, policy, now = scene.bundle().encode(), scene.policy(), scene.clock
    else:
        raw, now = options.bundle.read_bytes(), options.now or int(time.time())
        policy = parse_policy(options.policy.read_text(encoding="utf-8"))
    found = verify(raw, policy, now).report
    bundle = Bundle.decode(raw)
    common.report(
        "evidence",
        verdict=found.overall.value,
        entries=len(bundle.entries),
        claims=len(bundle.claims),
        chain_bytes=0 if bundle.chain is None else len(bundle.chain.evidence),
        bytes=len(raw),
        **warm(raw, policy, now, options.rounds),
        **cold(raw, policy, now, options.runs),
        synthetic_entries=options.entries, synthetic_records=options.records,
        synthetic_bytes=grown(bundle, options.entries, options.records),
    )  # fmt: skip


def warm(raw: bytes, policy: Policy, now: int, rounds: int) -> dict[str, float]:
    """Milliseconds for one verification in a process that did some before, reading the bytes included."""
    times: list[float] = []
    for _ in range(rounds):
        begun = time.perf_counter()
        verify(raw, policy, now)
        times.append((time.perf_counter() - begun) * 1000)
    times.sort()
    return {
        "warm_p50_ms": round(times[rounds // 2], 2),
        "warm_p99_ms": round(times[int(rounds * 0.99)], 2),
        "warm_least_ms": round(times[0], 2),
    }


def cold(raw: bytes, policy: Policy, now: int, runs: int) -> dict[str, float]:
    """Milliseconds of a whole `tial verify` in a process of its own: by the clock, and of the processor.

    Python's compiled files are kept, as any installation keeps them; the first run makes them and does not count.
    """
    walls: list[float] = []
    cpus: list[float] = []
    with tempfile.TemporaryDirectory(prefix="tial-bench-") as folder:
        file, trusted = Path(folder) / "bundle.cbor", Path(folder) / "policy.toml"
        file.write_bytes(raw)
        trusted.write_text(dump_policy(policy), encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = f"{folder}/compiled"
        words = [sys.executable, "-m", "api.cli.main", "verify", str(file), "--policy", str(trusted), "--now", str(now)]
        for _ in range(runs + 1):
            before, begun = _children(), time.perf_counter()
            subprocess.run(words, cwd=common.ROOT, env=environment, stdout=subprocess.DEVNULL, check=False)
            walls.append((time.perf_counter() - begun) * 1000)
            cpus.append((_children() - before) * 1000)
    return {
        "cold_wall_p50_ms": round(statistics.median(walls[1:])),
        "cold_wall_least_ms": round(min(walls[1:])),
        "cold_cpu_least_ms": round(min(cpus[1:])),
    }


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def grown(bundle: Bundle, size: int, records: int) -> int:
    """Bytes of this bundle if its log were of `size` entries and its state of `records` records more."""
    last = max(bundle.by_index)
    middle = size // 2
    begins = last if bundle.index is None else min(bundle.index, last)

    def moved(index: int) -> int:
        return size - 1 if index == last else index if index < begins else middle + index - begins

    indexes = sorted(map(moved, bundle.by_index))
    hashes = inclusion_multiproof(indexes, size, lambda _level, _index: bytes(32))
    leaves = {os.urandom(32): bytes(32) for _ in range(records)}
    leaves |= {claim.key: record_hash(claim.record) for claim in bundle.claims if claim.record is not None}
    proof = make_state_proof(LeavesNode(sorted(leaves.items()), 0), [claim.key for claim in bundle.claims])
    larger = replace(
        bundle,
        index=None if bundle.index is None else moved(bundle.index),
        entries=tuple(sorted((moved(index), raw) for index, raw in bundle.entries)),
        inclusion=tuple(hashes),
        state=proof.to_cbor_object(),
        touches=tuple(
            (claim, tuple((moved(index), leaf) for index, leaf in touched)) for claim, touched in bundle.touches
        ),
    )
    return len(larger.encode())


if __name__ == "__main__":
    main()
