"""What one client may ask: body size and time, media type, request rate, and who is the operator.

Owns these bounds only; every route names its own. Trusts the peer's address as the transport gives it: behind a proxy
all clients share one bucket, so the proxy limits instead and `http.rate` is set to 0.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from pathlib import Path

from starlette.requests import ClientDisconnect, Request

from api.http.problems import ForbiddenError, MediaTypeError, RateError, SlowError, TooLargeError
from ledger.errors import MalformedError
from node.config import Config, ConfigError

BODY_SECONDS = 30.0
"""A body that is taken as a whole must have arrived by then."""
MAX_CLIENTS = 10_000
MIN_TOKEN = 16
MAX_UINT64 = 2**64 - 1


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. TooLargeError, SlowError, or MalformedError for a broken-off one."""
    declared = request.headers.get("content-length")
    if declared is not None and declared.isascii() and declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    more = True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more:
                message = await request.receive()
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise _too_large(limit)
                more = message.get("more_body", False)
    except TimeoutError:
        raise SlowError("The body did not arrive in time", remedy=f"Send it within {BODY_SECONDS:.0f} s") from None
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return b"".join(parts)


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"The body is longer than {limit} bytes", where="body", remedy="Send less at once")


def require_media_type(request: Request, wanted: str) -> None:
    """MediaTypeError unless the body is declared as `wanted`; parameters do not matter."""
    given = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if given != wanted:
        raise MediaTypeError(
            f"This route takes {wanted}, not {given or 'a body without a type'}",
            where="Content-Type",
            remedy=f"Send Content-Type: {wanted}",
        )


def query_number(request: Request, name: str, default: int | None, maximum: int = MAX_UINT64) -> int | None:
    """A whole number of the query, in plain decimal, or `default`; MalformedError else."""
    text = request.query_params.get(name)
    return default if text is None else plain_number(text, name, maximum)


def required_number(request: Request, name: str) -> int:
    """A whole number of the query, in plain decimal; MalformedError where it is missing or none."""
    value = query_number(request, name, None)
    if value is None:
        raise MalformedError(f"`{name}` is needed", where=name)
    return value


def plain_number(text: str, name: str, maximum: int = MAX_UINT64) -> int:
    """Read a plain decimal number up to `maximum`; MalformedError names the parameter."""
    if text.isascii() and text.isdigit() and len(text) <= 20 and (text == "0" or text[0] != "0"):
        value = int(text)
        if value <= maximum:
            return value
    raise MalformedError(f"{text[:40]!r} is not a whole number up to {maximum}", where=name)


def hex_digest(text: str, name: str) -> bytes:
    """Read 32 bytes written as 64 lower-case hexadecimal digits; MalformedError names the parameter."""
    if len(text) == 64 and all(digit in "0123456789abcdef" for digit in text):
        return bytes.fromhex(text)
    raise MalformedError("Not 64 lower-case hexadecimal digits", where=name, remedy="Give a SHA-256 digest in hex")


class Operator:
    """Knows the operator by a bearer token; without a configured token nobody is the operator."""

    def __init__(self, token: bytes) -> None:
        self._token = token

    @classmethod
    def from_config(cls, config: Config) -> Operator:
        """Read the token file; ConfigError when it is named and not usable."""
        name = config.http.operator_token_file
        if not name:
            return cls(b"")
        path: Path = config.path(name)
        try:
            if path.stat().st_mode & 0o077:
                raise ConfigError("The operator's token can be read by others", where=str(path), remedy="chmod 600")
            token = path.read_bytes().strip()
        except OSError as error:
            raise ConfigError(f"The operator's token cannot be read: {error.strerror}", where=str(path)) from error
        if len(token) < MIN_TOKEN:
            raise ConfigError(f"The operator's token is shorter than {MIN_TOKEN} characters", where=str(path))
        return cls(token)

    def is_operator(self, request: Request) -> bool:
        """Compare the request's bearer token in constant time."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if not self._token or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.strip().encode("latin-1", "replace"), self._token)


def require_operator(request: Request) -> None:
    """ForbiddenError unless the request carries the operator's token."""
    operator: Operator = request.app.state.operator
    if not operator.is_operator(request):
        raise ForbiddenError(
            "Only the operator may do this",
            where="Authorization",
            remedy="Send the operator's token as a bearer token; the node must have http.operator_token_file set",
        )


class RateLimiter:
    """A token bucket for each client address: `rate` requests a second on average, `burst` at once; rate 0: no limit.

    Keeps at most MAX_CLIENTS addresses; the one asked for longest ago is forgotten first.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(max(burst, 1))
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, client: str) -> None:
        """Take one request; RateError when the bucket is empty."""
        if self._rate <= 0:
            return
        now = time.monotonic()
        left, then = self._buckets.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        if len(self._buckets) >= MAX_CLIENTS:
            self._buckets.pop(next(iter(self._buckets)))
        self._buckets[client] = (left - 1 if left >= 1 else left, now)
        if left < 1:
            raise RateError(max(1, math.ceil((1 - left) / self._rate)))
