"""Single statements, one a request, from 64 clients: rate and latency."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import common
import load


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--verifiers", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tial-bench-") as folder:
        server = common.start(common.make_log(Path(folder) / "node", verifiers=options.verifiers))
        signer = common.enterprise(server)
        warm = list(common.registrations(server.log_id, signer, 0, 2_000))
        load.singles(server.port, warm, options.clients)
        statements = list(common.registrations(server.log_id, signer, 10_000, options.count))
        result = load.singles(server.port, statements, options.clients)
        server.stop()
    if result.failures:
        raise SystemExit(f"{result.failures} requests failed")
    common.report(
        "single", statements_per_second=round(options.count / result.seconds), clients=options.clients,
        count=options.count, p50_ms=round(result.percentile(0.5), 2), p99_ms=round(result.percentile(0.99), 2),
        fsync=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
