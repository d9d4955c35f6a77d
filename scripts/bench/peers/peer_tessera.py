"""How fast Tessera's posix conformance server takes entries over HTTP on loopback: one JSON object.

Starts the server that scripts/build-peers built, in a folder of its own, listening on a loopback address only; keeps a
number of connections busy with POST /add, each with an entry of 460 unique bytes; requires that its last checkpoint
covers every entry that it acknowledged; stops it. The server answers after an entry is durable and has an index, and
checks no signature. Its batches close at 256 entries or after a second, so few clients mean slow answers; latency is
what the clients see.

    .venv/bin/python scripts/bench/peers/peer_tessera.py --seconds 10 --clients 512 --folder /var/tmp

The client is one process beside the server, on the same cores: `cpu_seconds` says what each of the two used.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from nacl.signing import SigningKey

from ledger.log.notes import ED25519, key_id

ROOT = Path(__file__).resolve().parents[3]
ORIGIN = "peer.example/log"
ENTRY = 460
MOST_SECONDS = 20.0
MOST_CLIENTS = 2_048
MOST_ENTRIES = 2_000_000
WARM_UP = 1.0


@dataclass(slots=True)
class Load:
    """What the clients share. Times are of `time.perf_counter`, in seconds."""

    counted_from: float
    end: float
    head: bytes
    seed: bytes
    sent: int = 0
    acknowledged: int = 0
    failures: int = 0
    busy: int = 0
    latencies: list[float] = field(default_factory=list)
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def entry(self) -> bytes:
        """Return the next entry, unlike all others."""
        self.sent += 1
        return self.sent.to_bytes(8, "big") + self.seed


class Client(asyncio.Protocol):
    """One connection: an entry, its answer, the next entry."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._started = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first entry."""
        self._transport = transport  # type: ignore[assignment]
        self._load.busy += 1
        self._send()

    def data_received(self, data: bytes) -> None:
        """Take an answer when it is whole, and go on until the time is over."""
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:")
        if len(body) < length:
            return
        self._buffer = b""
        load, now = self._load, time.perf_counter()
        if not head.startswith(b"HTTP/1.1 200"):
            load.failures += 1
        else:
            load.acknowledged += 1
            if load.counted_from <= now <= load.end:
                load.latencies.append(now - self._started)
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        """Count the connection out; with an answer outstanding that is a failure."""
        self._load.failures += error is not None
        self._load.busy -= 1
        if self._load.busy == 0:
            self._load.idle.set()

    def _send(self) -> None:
        load, transport = self._load, self._transport
        if transport is None:
            return
        if time.perf_counter() >= load.end or load.sent >= MOST_ENTRIES:
            transport.close()
            return
        self._started = time.perf_counter()
        transport.write(load.head + load.entry())


async def drive(port: int, clients: int, seconds: float) -> Load:
    """Keep `clients` connections busy for the warm-up and `seconds`, then wait for what is outstanding."""
    loop = asyncio.get_running_loop()
    now = time.perf_counter()  # the event loop's own clock has whole milliseconds
    head = (
        f"POST /add HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Length: {ENTRY}\r\n\r\n"
    ).encode()
    load = Load(now + WARM_UP, now + WARM_UP + seconds, head, os.urandom(ENTRY - 8))
    await asyncio.gather(*(loop.create_connection(lambda: Client(load), "127.0.0.1", port) for _ in range(clients)))
    await asyncio.wait_for(load.idle.wait(), WARM_UP + seconds + 15)
    return load


@contextmanager
def server(program: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the server with a new log and key; the process and its port."""
    secret = SigningKey.generate()
    name = key_id(ORIGIN, ED25519, bytes(secret.verify_key)).hex()
    encoded = base64.b64encode(bytes((ED25519,)) + bytes(secret)).decode()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [program, "--storage_dir", str(folder / "log"), "--listen", f"127.0.0.1:{port}"]
    environment = {**os.environ, "LOG_PRIVATE_KEY": f"PRIVATE+KEY+{ORIGIN}+{name}+{encoded}"}
    with (folder / "server.txt").open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            wait_for(process, port)
            yield process, port
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    """Return once the port takes connections."""
    end = time.monotonic() + 15
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the server did not start")


def cpu_seconds(pid: int) -> float:
    """Return what a process has used, from the kernel's account of it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def published(folder: Path, at_least: int) -> int:
    """Return the size of the server's checkpoint once it covers what was acknowledged."""
    size, end = 0, time.monotonic() + 15
    while size < at_least and time.monotonic() < end:
        try:
            size = int((folder / "log" / "checkpoint").read_text().split("\n")[1])
        except (OSError, ValueError, IndexError):
            size = 0
        time.sleep(0.1)
    if size < at_least:
        raise SystemExit(f"{at_least} entries were acknowledged, but the checkpoint covers {size}")
    return size


def measure(program: str, folder: Path, clients: int, seconds: float) -> dict[str, Any]:
    """Run server and clients once."""
    with server(program, folder) as (process, port):
        before = cpu_seconds(process.pid)
        ours = time.process_time()
        load = uvloop.run(drive(port, clients, seconds))
        used = {
            "server": round(cpu_seconds(process.pid) - before, 2), "clients": round(time.process_time() - ours, 2),
        }  # fmt: skip
        size = published(folder, load.acknowledged)
    cut = statistics.quantiles(load.latencies, n=100, method="inclusive")
    return {
        "entries_a_second": round(len(load.latencies) / seconds, 1),
        "p50_ms": round(cut[49] * 1000, 2),
        "p99_ms": round(cut[98] * 1000, 2),
        "acknowledged": load.acknowledged,
        "failures": load.failures,
        "checkpoint_size": size,
        "cpu_seconds": used,
    }


def main() -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="after a second of warm-up (default 10, at most 20)"
    )
    parser.add_argument("--clients", type=int, default=512, help="connections kept busy (default 512, at most 2048)")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: the temporary folder)")
    options = parser.parse_args()
    seconds = min(max(options.seconds, 0.5), MOST_SECONDS)
    clients = min(max(options.clients, 1), MOST_CLIENTS)
    command = [sys.executable, str(ROOT / "scripts" / "build_peers.py"), "tessera-posix"]
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)["tessera-posix"]
    result = {"benchmark": "tessera-posix", "version": told["version"], "licence": told["licence"]}
    if told["absent"]:
        print(json.dumps({**result, "absent": told["absent"]}))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        figures = measure(told["program"], Path(scratch), clients, seconds)
    conditions = {
        "durability": "answered when durable and with an index", "entry_bytes": ENTRY, "clients": clients,
        "seconds": seconds,
    }  # fmt: skip
    print(json.dumps({**result, **conditions, **figures, "cores": os.cpu_count(), "kernel": platform.release()}))


if __name__ == "__main__":
    main()
