"""Load generators on plain sockets: they must cost little, because they share the machine with the node."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cbor2
import common
import orjson

BLOCK = 256


@dataclass
class BulkResult:
    """Seconds from the first byte out to the last answer in, and what the answers said."""

    seconds: float
    admitted: int
    refused: int


def bulk(port: int, connections: Sequence[Iterable[bytes]]) -> BulkResult:
    """Send each sequence of statements over a connection of its own, all at once, answers streamed back."""
    answers: list[bytes] = [b""] * len(connections)
    threads = [
        threading.Thread(target=_stream, args=(port, statements, answers, number))
        for number, statements in enumerate(connections)
    ]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    admitted = refused = 0
    for raw in answers:
        decoder = _items(_body(raw))
        for item in decoder:
            admitted += "index" in item
            refused += "refused" in item or "error" in item
    return BulkResult(seconds, admitted, refused)


def _items(body: bytes) -> Iterable[dict[str, object]]:
    stream = io.BytesIO(body)
    decoder = cbor2.CBORDecoder(stream)
    while stream.tell() < len(body):
        item: dict[str, object] = decoder.decode()
        yield item


def _stream(port: int, statements: Iterable[bytes], answers: list[bytes], number: int) -> None:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(
        b"POST /v1/statements/bulk HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cbor-seq\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    received: list[bytes] = []

    def read() -> None:
        while data := connection.recv(1 << 20):
            received.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    block: list[bytes] = []
    for raw in statements:
        block.append(raw)
        if len(block) == BLOCK:
            data = b"".join(block)
            connection.sendall(b"%x\r\n%b\r\n" % (len(data), data))
            block.clear()
    data = b"".join(block)
    connection.sendall((b"%x\r\n%b\r\n" % (len(data), data) if data else b"") + b"0\r\n\r\n")
    reader.join()
    connection.close()
    answers[number] = b"".join(received)


def _body(raw: bytes) -> bytes:
    """Undo HTTP/1.1 chunking."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise SystemExit(f"the node answered {raw[:300]!r}")
    if b"chunked" not in head.lower():
        return rest
    parts: list[bytes] = []
    at = 0
    while True:
        end = rest.index(b"\r\n", at)
        size = int(rest[at:end], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(rest[end + 2 : end + 2 + size])
        at = end + 4 + size


@dataclass
class SingleResult:
    """Latencies in seconds of every request, sorted, and the time that all took together."""

    seconds: float
    latencies: list[float]
    failures: int

    def percentile(self, share: float) -> float:
        """Latency in milliseconds below which `share` of the requests stayed."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * share))] * 1000


def singles(port: int, statements: Sequence[bytes], clients: int) -> SingleResult:
    """Submit statements one a request over `clients` keep-alive connections."""
    return asyncio.run(_singles(port, statements, clients))


async def _singles(port: int, statements: Sequence[bytes], clients: int) -> SingleResult:
    work = iter(statements)
    latencies: list[float] = []
    failures = 0

    async def client() -> None:
        nonlocal failures
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for raw in work:
            begun = time.perf_counter()
            writer.write(
                b"POST /v1/statements HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cose\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(raw), raw)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            latencies.append(time.perf_counter() - begun)
            if b" 201 " not in head[:20] or "index" not in orjson.loads(body):
                failures += 1
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return SingleResult(time.perf_counter() - begun, sorted(latencies), failures)


def stopped_node(folder: Path, count: int) -> Path:
    """Make a node in `folder`, load it with `count` registrations, and stop it; returns its configuration file."""
    config = common.make_log(folder)
    server = common.start(config)
    signer = common.enterprise(server)
    half = count // 2
    bulk(server.port, [common.registrations(server.log_id, signer, first, half) for first in (0, half)])
    server.stop()
    return config
