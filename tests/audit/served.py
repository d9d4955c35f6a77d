"""A log as a folder that is served: tiles, bundles and checkpoint of whatever entries a test wants signed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ledger.crypto.suites import Signer
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.notes import ED25519, Vkey
from ledger.log.tiles import TileEdge
from ledger.log.tree import leaf_hash
from ledger.store.tiles import TileReader, TileWriter, write_checkpoint
from tests.world import key

ORIGIN = "example.org/log"
NOTE = key("note")
VKEY = Vkey(ORIGIN, ED25519, NOTE.public_key)


def serve(folder: Path, entries: Sequence[bytes], signer: Signer = NOTE) -> Checkpoint:
    """Write the folder of a log with exactly these entries, and its checkpoint signed by `signer`."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = TileWriter(folder, TileEdge(), [])
    writer.extend(list(entries), [leaf_hash(raw) for raw in entries])
    writer.flush()
    checkpoint = Checkpoint(ORIGIN, writer.size, writer.root())
    write_checkpoint(folder, sign_checkpoint(signer, checkpoint))
    return checkpoint


def opened(folder: Path) -> tuple[TileReader, bytes]:
    """A reader of the folder, and the note of its checkpoint."""
    reader = TileReader(folder)
    note = reader.checkpoint()
    assert note is not None
    return reader, note


@contextmanager
def shown(folder: Path, answers: dict[str, Any] | None = None) -> Iterator[str]:
    """Serve a folder over HTTP on an ephemeral loopback port, JSON `answers` by path before it: the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = (answers or {}).get(self.path)
            path = folder / self.path.lstrip("/")
            body = json.dumps(answer).encode() if answer is not None else path.read_bytes() if path.is_file() else None
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
