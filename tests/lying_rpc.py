"""A proxy on loopback before a chain's node, which can be killed, hung, slowed down or made to lie.

Everything that is not told otherwise passes unchanged, so one real chain looks like several nodes of it, each with
faults of its own. Speaks HTTP with JSON-RPC in POST, and CometBFT's GET (the path is the method, the query the
parameters). Faults are named by method; `ANY` means all that have none of their own.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

ANY = "*"
Rewrite = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
"""From what was asked and the honest answer, both JSON-RPC, to the answer that is given."""
_Fault = Callable[["_Handler", dict[str, Any], bytes], bool]
"""Answers in its own way and tells True, or leaves it to the honest way."""


class LyingRpc:
    """One node as its clients see it, at `url`. `asked` lists the methods in their order. Any thread may change it."""

    def __init__(self, target: str, *, port: int = 0) -> None:
        self.target = urlsplit(target)
        self.asked: list[str] = []
        self.port = port
        self._faults: dict[str, _Fault] = {}
        self._rewrites: dict[str, Rewrite] = {}
        self._changed = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self.revive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # --- faults ------------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """Cut all connections and refuse new ones, as a process that was killed."""
        self._stir()
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        with self._lock:
            for each in self._open:
                with _gone():
                    each.shutdown(socket.SHUT_RDWR)

    def revive(self) -> None:
        """Listen again, at the same port."""
        if self._server is not None:
            return
        handler = type("Bound", (_Handler,), {"owner": self})
        self._server = _Server(("127.0.0.1", self.port), handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def hang(self, *methods: str) -> None:
        """Take the question and never answer (until `honest`, `kill` or `close`); all methods where none is named."""

        def fault(handler: _Handler, _asked: dict[str, Any], _answer: bytes) -> bool:
            self._changed.wait(600)
            handler.close_connection = True
            return True

        self._set(methods, fault)

    def drip(self, *methods: str, pause: float = 1.0, headers: bool = True) -> None:
        """Send the honest answer one byte each `pause` seconds, from the first header on, or only the body so."""

        def fault(handler: _Handler, asked: dict[str, Any], body: bytes) -> bool:
            answer = handler.honest(asked, body)
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)
            changed = self._changed
            if not headers:
                handler.wfile.write(head)
            for byte in head + answer if headers else answer:
                if changed.is_set():
                    break
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                changed.wait(pause)
            handler.close_connection = True
            return True

        self._set(methods, fault)

    def delay(self, seconds: float, *methods: str) -> None:
        """Answer honestly, but so much later."""

        def fault(_handler: _Handler, _asked: dict[str, Any], _answer: bytes) -> bool:
            self._changed.wait(seconds)
            return False

        self._set(methods, fault)

    def answer(self, content: bytes, *methods: str, status: int = 200) -> None:
        """Answer with these bytes; `$ID` in them is the question's id."""

        def fault(handler: _Handler, asked: dict[str, Any], _answer: bytes) -> bool:
            handler.give(content.replace(b"$ID", json.dumps(asked.get("id")).encode()), status)
            return True

        self._set(methods, fault)

    def result(self, value: object, *methods: str) -> None:
        """Answer with this result, without asking the node."""
        self.answer(b'{"jsonrpc": "2.0", "id": $ID, "result": %s}' % json.dumps(value).encode(), *methods)

    def error(self, message: str, *methods: str, number: int = -32000, data: str | None = None) -> None:
        """Answer with a JSON-RPC error, without asking the node."""
        error = {"code": number, "message": message} | ({} if data is None else {"data": data})
        self.answer(b'{"jsonrpc": "2.0", "id": $ID, "error": %s}' % json.dumps(error).encode(), *methods)

    def rewrite(self, method: str, change: Rewrite) -> None:
        """Ask the node, and change its answer."""
        self._stir()
        self._rewrites[method] = change

    def honest(self, *methods: str) -> None:
        """Drop the faults of these methods, or all, and let go of what hangs."""
        if methods:
            for method in methods:
                self._faults.pop(method, None)
                self._rewrites.pop(method, None)
        else:
            self._faults.clear()
            self._rewrites.clear()
        self._stir()

    def close(self) -> None:
        self.kill()

    # --- for the handler ---------------------------------------------------------------------------------------------

    def fault(self, method: str) -> _Fault | None:
        return self._faults.get(method) or (None if method in self._rewrites else self._faults.get(ANY))

    def change(self, method: str) -> Rewrite | None:
        return self._rewrites.get(method) or self._rewrites.get(ANY)

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def _set(self, methods: tuple[str, ...], fault: _Fault) -> None:
        self._stir()
        for method in methods or (ANY,):
            self._faults[method] = fault

    def _stir(self) -> None:
        """Let go of everything that waits under the faults so far."""
        old, self._changed = self._changed, threading.Event()
        old.set()


class _gone:  # noqa: N801 - a context manager that reads as a word
    """A connection that the other side has left is what we want."""

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        return isinstance(error, OSError)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 0
    owner: LyingRpc

    def setup(self) -> None:
        super().setup()
        self.owner.opened(self.connection)
        self._upstream: http.client.HTTPConnection | None = None

    def finish(self) -> None:
        self.owner.closed(self.connection)
        if self._upstream is not None:
            self._upstream.close()
        with _gone():
            super().finish()

    def handle(self) -> None:
        with _gone():
            super().handle()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        asked = json.loads(body)
        self._serve(asked if isinstance(asked, dict) else {"method": "batch", "id": None}, body)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self._serve({"method": parts.path.strip("/"), "params": dict(parse_qsl(parts.query)), "id": -1}, b"")

    def _serve(self, asked: dict[str, Any], body: bytes) -> None:
        method = str(asked.get("method", ""))
        self.owner.asked.append(method)
        fault = self.owner.fault(method)
        if fault is None or not fault(self, asked, body):
            try:
                self.give(self.honest(asked, body))
            except (OSError, http.client.HTTPException):
                self.close_connection = True  # the node behind is away: so are we

    def honest(self, asked: dict[str, Any], body: bytes) -> bytes:
        """The node's own answer, changed by a rewrite where there is one."""
        answer = self._ask(body)
        change = self.owner.change(str(asked.get("method", "")))
        return answer if change is None else json.dumps(change(asked, json.loads(answer))).encode()

    def _ask(self, body: bytes) -> bytes:
        if self._upstream is None:
            target = self.owner.target
            self._upstream = http.client.HTTPConnection(target.hostname or "", target.port, timeout=90)
        base = self.owner.target.path.rstrip("/")
        try:
            self._upstream.request(self.command, base + self.path, body or None, {"Content-Type": "application/json"})
            return self._upstream.getresponse().read()
        except (OSError, http.client.HTTPException):
            self._upstream.close()
            self._upstream = None
            raise

    def give(self, content: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        return
