"""Audit replay: every signature, every rule, the state tree and all roots, from the served files of a log alone."""

from __future__ import annotations

import argparse
import resource
import tempfile
import threading
import time
from pathlib import Path

import common
import load

from ledger.crypto.suites import suite_by_name
from ledger.evidence.audit_report import AuditReport
from node.audit import AuditOptions, audit
from node.config import load_config
from node.recovery import DataFolder


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--config", type=Path, help="audit this node's log instead of making one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tial-bench-") as folder:
        config = options.config
        if config is None:
            config = load.stopped_node(Path(folder) / "node", options.count)
        raw = verify_rate()
        memory = Memory()
        begun, used = time.perf_counter(), time.process_time()
        report = run(DataFolder(load_config(config).data_path).served, Path(folder) / "work")
        seconds, used = time.perf_counter() - begun, time.process_time() - used
        memory.stop()
    rate = report.size / seconds
    common.report(
        "audit",
        entries=report.size,
        failures=report.failed,
        seconds=round(seconds, 2),
        entries_per_second=round(rate),
        raw_verify_per_second=round(raw),
        share_of_raw=round(rate / raw, 2),
        replay_cpu_us=round(used / report.size * 1e6, 1),
        rss_mib_early=memory.early,
        rss_mib_end=memory.samples[-1],
        rss_mib_most=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


def run(served: Path, work: Path) -> AuditReport:
    """One full audit from nothing."""
    return audit(served, AuditOptions(work=work), lambda: int(time.time()))


def verify_rate(seconds: float = 2.0) -> float:
    """Ed25519 checks a second on one core, one after the other."""
    suite = suite_by_name("ed25519")
    signer = suite.from_secret(bytes(32))
    message = bytes(400)
    signature = signer.sign(message)
    done, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds:
        for _ in range(500):
            suite.verify(signer.public_key, message, signature)
        done += 500
    return done / passed


class Memory:
    """Resident memory of this process, sampled every half second."""

    def __init__(self) -> None:
        self.samples: list[int] = [self._now()]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def early(self) -> int:
        """MiB after a quarter of the run."""
        return self.samples[len(self.samples) // 4]

    def stop(self) -> None:
        """Take the last sample."""
        self._ended.set()
        self._thread.join()
        self.samples.append(self._now())

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            self.samples.append(self._now())

    @staticmethod
    def _now() -> int:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() >> 20


if __name__ == "__main__":
    main()
