"""How long appends wait while batches are closed: latency of small submissions beside a bulk stream.

One connection streams statements as fast as the node takes them, and the publisher closes a batch about every second.
Beside it the probe submits one statement after the other. What a probe takes is the time until it is durable, its group
and the one before included; the stall is what those at a close take longer than the others, median against median and
99th percentile against 99th percentile: what load and scheduling cost is in both. A probe counts as at a
close where its entry is among the first 1,024 behind a manifest, the largest group that a close can hold up.
"""

from __future__ import annotations

import argparse
import bisect
import http.client
import json
import tempfile
import threading
import time
from pathlib import Path

import common
import load

from ledger.statements import decode_statement
from ledger.store.tiles import TileReader
from node.config import load_config
from node.recovery import DataFolder

_BESIDE = 50_000_000
"""The probes' identifiers begin here, far from those of the stream."""


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="statements in the stream")
    parser.add_argument("--before", type=int, default=100_000, help="statements in the log before the clock starts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tial-bench-") as folder:
        config = common.make_log(Path(folder) / "node")
        server = common.start(config)
        signer = common.enterprise(server)
        if options.before:
            load.bulk(server.port, [common.registrations(server.log_id, signer, 0, options.before)])
        stream = list(common.registrations(server.log_id, signer, options.before, options.count))
        probes = list(common.registrations(server.log_id, signer, _BESIDE, 5_000))
        ended = threading.Event()
        answered: list[tuple[int, float]] = []
        beside = threading.Thread(target=probe, args=(server.port, probes, answered, ended))
        beside.start()
        result = load.bulk(server.port, [stream])
        ended.set()
        beside.join()
        server.stop()
        manifests = manifests_of(DataFolder(load_config(config).data_path).served, options.before)
    others = sorted(seconds for index, seconds in answered if not at_close(index, manifests))
    closing = sorted(seconds for index, seconds in answered if at_close(index, manifests))
    common.report(
        "stall",
        statements_per_second=round(result.admitted / result.seconds),
        closes=len(manifests),
        probes=len(others),
        probes_at_closes=len(closing),
        p50_ms=ms(part(others, 0.5)),
        p99_ms=ms(part(others, 0.99)),
        at_close_p50_ms=ms(part(closing, 0.5)),
        at_close_p99_ms=ms(part(closing, 0.99)),
        stall_p50_ms=ms(part(closing, 0.5) - part(others, 0.5)),
        stall_p99_ms=ms(part(closing, 0.99) - part(others, 0.99)),
    )


def probe(port: int, statements: list[bytes], answered: list[tuple[int, float]], ended: threading.Event) -> None:
    """Submit one after the other until the stream ended: the index of each, and the seconds that it took."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for raw in statements:
        if ended.is_set():
            break
        begun = time.perf_counter()
        connection.request("POST", "/v1/statements", raw, {"Content-Type": "application/cose"})
        told = json.loads(connection.getresponse().read())
        answered.append((told["index"], time.perf_counter() - begun))
    connection.close()


def manifests_of(served: Path, start: int) -> list[int]:
    """Indexes of the manifests that were published, from entry `start` on."""
    reader = TileReader(served)
    size = int((served / "checkpoint").read_text().split("\n")[1])
    entries = enumerate(reader.iter_entries(start, size), start)
    return [index for index, raw in entries if decode_statement(raw).type == "manifest"]


def at_close(index: int, manifests: list[int]) -> bool:
    """Whether an entry is among the first thousand behind a manifest: of the group that the close held up."""
    at = bisect.bisect(manifests, index)
    return at > 0 and index - manifests[at - 1] <= 1_024


def part(values: list[float], share: float) -> float:
    """The value below which this share of the sorted values stays; 0 where there is none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def ms(seconds: float) -> float:
    """Milliseconds."""
    return round(seconds * 1000, 1)


if __name__ == "__main__":
    main()
