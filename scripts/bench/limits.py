"""Raw limits of this machine that no log built on the same parts can pass: one JSON object.

Each figure is of one operation by itself, for as many seconds as asked: Ed25519 verification in one process and in two
at once, SHA-256 of a leaf, fdatasync of an appended record and of an appended group, LevelDB puts and gets. Run it in
the same minute as the other benchmarks: disks are shared, and cores change their speed.

    .venv/bin/python scripts/bench/limits.py --seconds 2 --folder /var/tmp
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import plyvel
from common import machine
from nacl.bindings import crypto_sign_open

from ledger.crypto.suites import suite_by_name
from ledger.log.tree import leaf_hash

ENTRY = 460
"""Bytes of a registration, about."""
GROUP = 256
VALUE = 200
MOST_SECONDS = 20.0
MOST_RECORDS = 20_000_000
MEBIBYTE = 1 << 20


def rate(operation: Callable[[], object], seconds: float, *, unit: int = 1) -> float:
    """Return how many a second are done, `unit` of them by each call."""
    done, begun = 0, time.perf_counter()
    end = begun + seconds
    while (now := time.perf_counter()) < end:
        for _ in range(16):
            operation()
        done += 16 * unit
    return round(done / (now - begun), 1)


def verification(seconds: float) -> dict[str, float]:
    """Ed25519 over an entry's bytes: libsodium by itself, and as our suite checks it, strictly."""
    suite = suite_by_name("ed25519")
    signer = suite.generate()
    message = os.urandom(ENTRY)
    signature = signer.sign(message)
    if not suite.verify(signer.public_key, message, signature):
        raise SystemExit("a genuine signature was refused: these figures would mean nothing")
    signed, key = signature + message, signer.public_key
    return {
        "libsodium": rate(lambda: crypto_sign_open(signed, key), seconds),
        "suite": rate(lambda: suite.verify(key, message, signature), seconds),
    }


def side_by_side(seconds: float, processes: int) -> dict[str, float]:
    """Return the sum over processes that verify at the same time."""
    command = [sys.executable, __file__, "--only-verification", "--seconds", str(seconds)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
    told = [json.loads(child.communicate(timeout=seconds * 4 + 30)[0]) for child in children]
    return {name: round(sum(figures[name] for figures in told), 1) for name in told[0]}


def fdatasync(folder: Path, size: int, seconds: float) -> dict[str, float]:
    """Append `size` bytes and make them durable, over and over, as a journal does."""
    path = folder / "journal"
    record, spent = os.urandom(size), []
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds:
            started = time.perf_counter()
            os.write(handle, record)
            os.fdatasync(handle)
            spent.append(time.perf_counter() - started)
    finally:
        os.close(handle)
        path.unlink()
    total = sum(spent)
    return {
        "bytes": size,
        "a_second": round(len(spent) / total, 1),
        "mib_a_second": round(len(spent) * size / total / MEBIBYTE, 1),
        **percentiles(spent),
    }


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return p50 and p99 in milliseconds."""
    if len(seconds) < 2:
        return {"p50_ms": round(seconds[0] * 1000, 3), "p99_ms": round(seconds[0] * 1000, 3)}
    cut = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"p50_ms": round(cut[49] * 1000, 3), "p99_ms": round(cut[98] * 1000, 3)}


def leveldb(folder: Path, seconds: float) -> dict[str, float]:
    """Puts in batches of a group, with and without a sync of each; gets of keys that are there, in no order."""
    value = os.urandom(VALUE)
    keys: list[bytes] = []
    with plyvel.DB(str(folder / "index"), create_if_missing=True) as store:

        def put(*, sync: bool) -> None:
            fresh = os.urandom(32 * GROUP)
            batch = [fresh[at : at + 32] for at in range(0, len(fresh), 32)]
            with store.write_batch(sync=sync) as writes:
                for key in batch:
                    writes.put(key, value)
            if len(keys) < MOST_RECORDS:
                keys.extend(batch)

        puts = rate(lambda: put(sync=False), seconds, unit=GROUP)
        synced = rate(lambda: put(sync=True), seconds, unit=GROUP)
        wanted: Iterator[bytes] = _endless(keys)
        gets = rate(lambda: store.get(next(wanted)), seconds)
    return {"batch": GROUP, "puts": puts, "puts_each_batch_synced": synced, "gets": gets, "keys": len(keys)}


def _endless(keys: list[bytes]) -> Iterator[bytes]:
    step, at = 7_919, 0  # a prime: neighbours are never asked for one after the other
    while True:
        yield keys[at]
        at = (at + step) % len(keys)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure (default 2, at most 20)")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: the temporary folder)")
    parser.add_argument("--only-verification", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    seconds = min(max(options.seconds, 0.05), MOST_SECONDS)
    if options.only_verification:
        print(json.dumps(verification(seconds)))
        return
    entry = os.urandom(ENTRY)
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        folder = Path(scratch)
        figures = {
            "benchmark": "limits",
            "seconds_each": seconds,
            "entry_bytes": ENTRY,
            "ed25519_verify_a_second": {"one_core": verification(seconds), "two_processes": side_by_side(seconds, 2)},
            "sha256_leaf_a_second": rate(lambda: leaf_hash(entry), seconds),
            "append_and_fdatasync": {
                "one_entry": fdatasync(folder, ENTRY, seconds),
                "group_of_256": fdatasync(folder, ENTRY * GROUP, seconds),
            },
            "leveldb_a_second": leveldb(folder, seconds),
            "machine": machine(),
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
