"""The state tree: cost of an update, of a proof, and how long closing a batch holds up appends.

    python scripts/bench/state.py [records]

Fills an index with `records` records (default 1,000,000), then updates it by batches of 10,000: as one update, and as
ten groups of 1,000 as the node does. Records are 200 random bytes; keys are SHA-256 digests, as in the state. Times are
of the clock, and of the processor for the updating thread; bytes are all that LevelDB writes, compaction included.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import common

from ledger.state.proofs import root_from_state_proof
from ledger.store.index import Index, IndexUpdate

BATCH = 10_000
ROUNDS = 6
RECORD = 200


def key_of(number: int) -> bytes:
    """The key of the n-th record."""
    return hashlib.sha256(b"record %d" % number).digest()


def records_of(first: int, count: int, step: int = 1) -> list[tuple[bytes, bytes]]:
    """`count` records, `step` apart."""
    return [(key_of(first + n * step), os.urandom(RECORD)) for n in range(count)]


class Feeder:
    """Feeds batches into an index; batches close as in a log."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.batch = 0
        self.used = 0.0
        """Processor seconds of this thread in the last batch."""

    def feed(self, records: list[tuple[bytes, bytes]], groups: int) -> float:
        """One batch in so many groups; seconds that it took."""
        size = len(records) // groups
        parts = [records[start : start + size] for start in range(0, len(records), size)]
        begun, used = time.perf_counter(), time.thread_time()
        for number, part in enumerate(parts):
            closing = [] if number or not self.batch else [(self.batch, self.index.covers)]
            self.index.apply(IndexUpdate(self.index.covers + len(part), part, (), closing))
        self.batch += 1
        self.used = time.thread_time() - used
        return time.perf_counter() - begun


def main() -> None:
    """Run and report."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="tial-bench-") as temporary, Index.open(Path(temporary)) as index:
        feeder = Feeder(index)
        begun = time.perf_counter()
        for first in range(0, count, BATCH):
            feeder.feed(records_of(first, BATCH), 5)
        filled = time.perf_counter() - begun
        step = count // BATCH
        table: dict[str, float] = {}
        for name, groups in (("at once", 1), ("in ten groups", 10)):
            seconds, used, written = [], [], bytes_written()
            for n in range(ROUNDS):
                seconds.append(feeder.feed(records_of(n, BATCH, step), groups))
                used.append(feeder.used)
            table[f"update {name}, us a record"] = round(statistics.median(seconds) / BATCH * 1e6, 1)
            table[f"update {name}, least us a record"] = round(min(seconds) / BATCH * 1e6, 1)
            table[f"update {name}, processor us a record"] = round(min(used) / BATCH * 1e6, 1)
            table[f"update {name}, bytes a record"] = round((bytes_written() - written) / BATCH / ROUNDS)
        grown = [feeder.feed(records_of(count + n * BATCH, BATCH), 10) for n in range(ROUNDS)]
        table["insert in ten groups, us a record"] = round(statistics.median(grown) / BATCH * 1e6, 1)
        feeder.feed(records_of(1, 1), 1)
        table |= proofs(index, count)
        common.report("state", records=count, fill_us=round(filled / count * 1e6, 1), **table)


def bytes_written() -> int:
    """What this process has written to files since it began."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def proofs(index: Index, count: int) -> dict[str, float]:
    """Microseconds to make and to check proofs of one key, present and absent."""
    table: dict[str, float] = {}
    for name, numbers in (("present", range(0, count, count // 500)), ("absent", range(-500, 0))):
        keys = [key_of(number) for number in numbers]
        begun = time.perf_counter()
        made = [index.tree.prove([key]) for key in keys]
        table[f"prove {name}, us"] = round((time.perf_counter() - begun) / len(keys) * 1e6)
        claims = [{key: index.record(key)} for key in keys]
        begun = time.perf_counter()
        for claim, (proof, root) in zip(claims, made, strict=True):
            if root_from_state_proof(claim, proof) != root:
                raise SystemExit("a proof does not lead to its root")
        table[f"check {name}, us"] = round((time.perf_counter() - begun) / len(keys) * 1e6)
    return table


if __name__ == "__main__":
    main()
