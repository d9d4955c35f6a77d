"""Witnesses and followed logs behind real HTTP servers on loopback, for as long as a block lasts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import uvicorn

from api.http.protocol import BoundedProtocol
from api.http.witness import create_witness_app, open_witness
from node.clock import Clock
from node.witness.witness import Witness


@contextmanager
def serving_app(app: Any, port: int = 0) -> Iterator[str]:
    """An ASGI application under uvicorn in a thread; yields its URL."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, http=BoundedProtocol, lifespan="off", log_config=None, ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


@contextmanager
def witness_at(folder: Path, clock: Clock | None = None, port: int = 0) -> Iterator[tuple[str, Witness]]:
    """The witness of a folder behind HTTP."""
    with open_witness(folder, clock) as witness, serving_app(create_witness_app(witness, rate=0), port) as url:
        yield url, witness


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def files_at(folder: Path) -> Iterator[str]:
    """A log's files behind HTTP; the folder may still come into being."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
