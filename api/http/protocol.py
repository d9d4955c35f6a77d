"""The HTTP/1.1 protocol of the server, with the bounds that uvicorn's own has not: header size and header time.

A connection on which no whole request header arrives within `HEADER_SECONDS` is closed, so that idle connections cannot
use up the node's descriptors; request line and headers together may not pass `HEADER_BYTES`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.http.problems import problem

HEADER_SECONDS = 5.0
HEADER_BYTES = 32_768


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol, bounded."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._header_bytes = 0
        self._header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_header()

    def connection_lost(self, exc: Exception | None) -> None:
        self._header_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # The parser tells of a header only when it has the whole of it: what comes while none is done counts here.
        unfinished = self._header_timer is not None
        super().data_received(data)
        if unfinished and self._header_timer is not None:
            self._count(len(data))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        if self._header_timer is None:
            self._expect_header()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._header_arrived()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(problem(400, "malformed", msg, where="request", remedy="Send HTTP/1.1"))

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > HEADER_BYTES and not self.transport.is_closing():
            self._refuse(problem(431, "header-too-large", f"More than {HEADER_BYTES} bytes of header", where="header"))

    def _expect_header(self) -> None:
        self._header_timer = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def _header_arrived(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _too_slow(self) -> None:
        self._header_timer = None
        if not self.transport.is_closing():
            self._refuse(problem(408, "timeout", f"No request within {HEADER_SECONDS:.0f} s", where="header"))

    def _refuse(self, response: Response) -> None:
        """Answer without an application, and close."""
        if self.transport.is_closing():
            return
        lines = [b"HTTP/1.1 %d \r\n" % response.status_code]
        lines += [name + b": " + value + b"\r\n" for name, value in response.raw_headers]
        self.transport.write(b"".join([*lines, b"connection: close\r\n\r\n", bytes(response.body)]))
        self.transport.close()
