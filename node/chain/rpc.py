"""JSON-RPC over HTTP to a chain's node, with a bound on time and size for every call.

The node on the other side is a stranger: whatever it sends is parsed into checked values, and anything else is a
ChainUnavailableError ("no usable answer"), never a fact. Follows JSON-RPC 2.0 and the Ethereum execution API's
encoding of quantities and data.
"""

from __future__ import annotations

import itertools
import re
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from ledger.errors import LedgerError
from node.chain.protocol import ChainUnavailableError
from node.cookies import no_cookies

ANSWER_LIMIT = 32 << 20
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")


class RpcError(LedgerError):
    """The node answered with a JSON-RPC error. `data` is the revert data where there is some."""

    code = "rpc-error"

    def __init__(self, number: int, message: str, data: bytes, *, where: str) -> None:
        super().__init__(message, where=where)
        self.number = number
        self.message = message
        self.data = data


class JsonRpc:
    """A connection to one node. `timeout`: seconds for a whole call. Used by one thread at a time."""

    def __init__(self, url: str, *, timeout: float = 5.0, answer_limit: int = ANSWER_LIMIT) -> None:
        self.url = url
        parts = urlsplit(url)
        self.place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        """The address without user, password and path, which may be secrets: errors are shown to strangers."""
        self.timeout = timeout
        self.answer_limit = answer_limit
        self._ids = itertools.count(1)
        # Proxies named in the environment are for the web, not for a chain's node.
        self._client = httpx.Client(timeout=timeout, trust_env=False, cookies=no_cookies())

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def call(self, method: str, *params: object) -> Any:
        """Return the result of one call.

        Raises:
            RpcError: the node answered with an error.
            ChainUnavailableError: no answer, not in time, too long, or no JSON-RPC.

        """
        number = next(self._ids)
        body = orjson.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        try:
            try:
                content = self._post(body, method)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                # A node may close a connection that was idle: every call here may be made twice.
                content = self._post(body, method)
            answer = orjson.loads(content)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise ChainUnavailableError(f"the chain does not answer {method}: {error!r}", where=self.place) from error
        except ValueError as error:
            raise ChainUnavailableError(f"the answer to {method} is not JSON", where=self.place) from error
        if not isinstance(answer, dict) or answer.get("id") != number:
            raise ChainUnavailableError(f"the answer to {method} is no JSON-RPC answer", where=self.place)
        if answer.get("error") is not None:
            raise self._error(answer["error"], method)
        if "result" not in answer:
            raise ChainUnavailableError(f"the answer to {method} holds no result", where=self.place)
        return answer["result"]

    def _post(self, body: bytes, method: str) -> bytes:
        end = time.monotonic() + self.timeout
        content = bytearray()
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}  # a small answer stays small
        with self._client.stream("POST", self.url, content=body, headers=headers) as response:
            if response.status_code != httpx.codes.OK:
                raise ChainUnavailableError(f"{method} is answered with HTTP {response.status_code}", where=self.place)
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise ChainUnavailableError(f"the answer to {method} is compressed", where=self.place)
            for piece in response.iter_raw():
                content += piece
                if len(content) > self.answer_limit:
                    raise ChainUnavailableError(f"the answer to {method} is too long", where=self.place)
                if time.monotonic() > end:
                    raise ChainUnavailableError(f"the answer to {method} takes too long", where=self.place)
        return bytes(content)

    def _error(self, error: object, method: str) -> LedgerError:
        if not isinstance(error, dict):
            return ChainUnavailableError(f"the answer to {method} is no JSON-RPC answer", where=self.place)
        detail: object = error.get("data")
        if isinstance(detail, dict):  # some nodes nest the revert data
            detail = detail.get("data") or detail.get("result")
        try:
            data = unhex(detail) if isinstance(detail, str) else b""
            number = int(error.get("code", 0))
        except (ValueError, TypeError, ChainUnavailableError):
            data, number = b"", 0
        return RpcError(number, str(error.get("message", ""))[:500], data, where=f"{self.place} {method}")


def quantity(value: object, *, bits: int = 64) -> int:
    """Read a quantity of the execution API (0x and hex digits) below 2**bits."""
    if isinstance(value, str) and _QUANTITY.fullmatch(value):
        number = int(value, 0)
        if number < 1 << bits:
            return number
    raise ChainUnavailableError(f"the chain gave {str(value)[:80]!r} where a number belongs")


def unhex(value: object, size: int | None = None) -> bytes:
    """Read data of the execution API (0x and pairs of hex digits), of `size` bytes where given."""
    if isinstance(value, str) and value.startswith("0x"):
        try:
            data = bytes.fromhex(value[2:])
        except ValueError:
            data = None
        if data is not None and 2 * len(data) + 2 == len(value) and (size is None or len(data) == size):
            return data
    raise ChainUnavailableError(f"the chain gave {str(value)[:80]!r} where bytes belong")
