"""A signer on loopback with Web3Signer's REST interface for its mode `eth1`, and with faults on demand.

It signs with real keys. Keys are listed and asked for as that program does: 64 bytes, x and y without a prefix; any
other spelling of a key is not found.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from ledger.crypto import secp256k1
from ledger.crypto.secp256k1 import CURVE, Secp256k1Signer

SIGN = "/api/v1/eth1/sign/"
KEYS = "/api/v1/eth1/publicKeys"
Fault = Callable[["Handler"], None]


def name_of(key: Secp256k1Signer) -> str:
    """The key as the signer names it: 0x and 128 hex digits."""
    numbers = CURVE.point(key.public_key).public_numbers()
    return f"0x{numbers.x:064x}{numbers.y:064x}"


class SignerServer:
    """The signer. `fault` answers instead of it, to requests for signatures or, with `lists`, for its keys."""

    def __init__(self, *keys: Secp256k1Signer, token: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.keys = list(keys)
        self.token = token
        self.signed: list[bytes] = []
        self.fault: Fault | None = None
        self.lists: Fault | None = None
        self.done = threading.Event()
        self._tls = tls
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.revive()

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    def revive(self) -> None:
        """Listen, again on the same port."""
        self._server = server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        server.daemon_threads = True
        if self._tls is not None:
            server.socket = self._tls.wrap_socket(server.socket, server_side=True)
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def kill(self) -> None:
        """Refuse connections."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.kill()


class Handler(BaseHTTPRequestHandler):
    """One connection. Every answer closes it: a signer that was killed has none left open."""

    site: SignerServer

    def do_GET(self) -> None:
        if self.path != KEYS or not self._allowed():
            return
        if self.site.lists is not None:
            self.site.lists(self)
        else:
            self.reply(json.dumps([name_of(key) for key in self.site.keys]).encode(), kind="application/json")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._allowed():
            return
        if self.site.fault is not None:
            self.site.fault(self)
            return
        wanted = self.path.removeprefix(SIGN).removeprefix("0x").lower()
        key = next((one for one in self.site.keys if name_of(one).removeprefix("0x") == wanted), None)
        if key is None or not self.path.startswith(SIGN):
            self.reply(b"Resource not found", 404)
            return
        data = bytes.fromhex(json.loads(body)["data"].removeprefix("0x"))
        self.site.signed.append(data)
        self.reply(("0x" + key.sign_keccak(data).hex()).encode())

    def _allowed(self) -> bool:
        if self.site.token and self.headers.get("Authorization") != f"Bearer {self.site.token}":
            self.reply(b"", 401)
            return False
        return True

    def reply(self, content: bytes, status: int = 200, kind: str = "text/plain; charset=utf-8", **more: Any) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        return


def _handler(site: SignerServer) -> type[Handler]:
    return type("SiteHandler", (Handler,), {"site": site})


def saying(content: bytes, status: int = 200, **headers: str) -> Fault:
    """A fault: this answer to everything."""
    return lambda handler: _quietly(lambda: handler.reply(content, status, **headers))


def hanging(handler: Handler) -> None:
    """A fault: no answer."""
    handler.site.done.wait(30)


def dripping(handler: Handler) -> None:
    """A fault: the headers come one byte at a time."""

    def drip() -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1_000:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            if handler.site.done.wait(0.05):
                return

    _quietly(drip)


def _quietly(act: Callable[[], None]) -> None:
    try:
        act()
    except OSError:
        return  # the client has hung up, as it should


def twin(signature: bytes) -> bytes:
    """The same signature with the higher s."""
    s = secp256k1.CURVE.order - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])
