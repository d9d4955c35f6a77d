"""HTTP to a chain's node or a signer with one deadline for all of a call: connecting, TLS, sending, headers and body.

The timeouts of an HTTP client begin anew with each read, so a node that drips one byte a second could hold its caller
for days. Here every wait on the socket gets what is left of the call, and no more; only the look-up of a host's name is
left to the system. Takes no cookies, follows no redirections, asks no proxy, unpacks nothing.
"""

from __future__ import annotations

import base64
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore

FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
)
"""What `Poster.post` and `Poster.get` raise where there is no whole answer."""
_PIECE = 1 << 12
"""Bytes sent between two looks at the clock: what one wait of the system's may write in parts of its own."""
_BROKEN = (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError)


class TooLongError(OSError):
    """The answer is longer than its reader takes."""


class Poster:
    """POST of JSON to one address, or GET, over one connection that is kept. For one thread at a time.

    The address may hold user and password, and a path. `trusted` replaces the public authorities that a server's
    certificate may be from. Raises ValueError for what is no address.
    """

    def __init__(
        self, url: str, *, headers: Mapping[str, str] | None = None, trusted: ssl.SSLContext | None = None
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("an address begins with http:// or https:// and names a host")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._url = httpcore.URL(
            scheme=parts.scheme.encode(),
            host=parts.hostname.encode("idna"),
            port=parts.port,
            target=target.encode("ascii"),
        )
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        self._deadline = _Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=trusted, max_connections=1, network_backend=_Backend(self._deadline)
        )

    def close(self) -> None:
        """Drop the connection."""
        self._pool.close()

    def post(self, body: bytes, *, seconds: float, limit: int) -> tuple[int, str, bytes]:
        """Return status, content encoding and content, at most `limit` bytes, within `seconds`; see FAILURES."""
        return self._call("POST", body, seconds, limit)

    def get(self, *, seconds: float, limit: int) -> tuple[int, str, bytes]:
        """The same by GET."""
        return self._call("GET", None, seconds, limit)

    def _call(self, method: str, body: bytes | None, seconds: float, limit: int) -> tuple[int, str, bytes]:
        self._deadline.end = time.monotonic() + seconds
        try:
            return self._once(method, body, limit)
        except _BROKEN:
            # A node may close a connection that was idle: every call here may be made twice.
            return self._once(method, body, limit)

    def _once(self, method: str, body: bytes | None, limit: int) -> tuple[int, str, bytes]:
        with self._pool.stream(method, self._url, headers=list(self._headers.items()), content=body) as response:
            content = bytearray()
            for piece in response.iter_stream():
                content += piece
                if len(content) > limit:
                    raise TooLongError("the answer is too long")
            headers = {name.lower(): value for name, value in response.headers}
            return response.status, headers.get(b"content-encoding", b"identity").decode("latin-1"), bytes(content)


class _Deadline:
    """When the call under way must have ended, on the monotonic clock."""

    end = 0.0

    def left(self, late: type[Exception]) -> float:
        left = self.end - time.monotonic()
        if left <= 0:
            raise late("the answer takes too long")
        return left


class _Backend(httpcore.NetworkBackend):
    def __init__(self, deadline: _Deadline) -> None:
        self._deadline = deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline rules
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name {host} is not known: {error}") from error
        failure: Exception = httpcore.ConnectError(f"the name {host} has no address")
        for *_, address in found:  # one by one: all of them together have the time that is left
            left = self._deadline.left(httpcore.ConnectTimeout)
            try:
                made = self._plain.connect_tcp(str(address[0]), port, left, local_address, socket_options)
            except httpcore.ConnectError as error:
                failure = error
            else:
                return _Stream(made, self._deadline)
        raise failure


class _Stream(httpcore.NetworkStream):
    def __init__(self, plain: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._plain = plain
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the deadline rules
        return self._plain.read(max_bytes, self._deadline.left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the deadline rules
        with memoryview(buffer) as view:
            for start in range(0, len(view), _PIECE):
                self._plain.write(bytes(view[start : start + _PIECE]), self._deadline.left(httpcore.WriteTimeout))

    def close(self) -> None:
        self._plain.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the deadline rules
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(httpcore.ConnectTimeout)
        return _Stream(self._plain.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._plain.get_extra_info(info)
