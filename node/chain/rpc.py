"""JSON-RPC over HTTP to a chain's node, with a bound on time and size for every call; what a backend asks of it.

The node on the other side is a stranger: whatever it sends is parsed into checked values, and anything else is a
ChainUnavailableError ("no usable answer"), never a fact. Follows JSON-RPC 2.0 and the Ethereum execution API's
encoding of quantities and data.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from math import inf
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import orjson

from ledger.errors import LedgerError
from node.chain.protocol import ChainMismatchError, ChainUnavailableError, NodeStatus
from node.chain.transport import FAILURES, Poster, TooLongError

T = TypeVar("T")

ANSWER_LIMIT = 8 << 20
"""Bytes of one answer: the logs of one step of a search; as JSON made for it, it takes some 20 times that in memory."""
HTTP_OK = 200
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")


class RpcError(LedgerError):
    """The node answered with a JSON-RPC error. `data` is the revert data where there is some."""

    code = "rpc-error"

    def __init__(self, number: int, message: str, data: bytes, *, where: str) -> None:
        super().__init__(message, where=where)
        self.number = number
        self.message = message
        self.data = data


class Rpc(Protocol):
    """One node of a chain, or several that stand in for each other. Used by one thread at a time."""

    @property
    def place(self) -> str:
        """The address of the node in use, without what may be secret in it."""

    @property
    def timeout(self) -> float:
        """Seconds that one node has for one call."""

    def call(self, method: str, *params: object) -> Any:
        """Return the result of one call; RpcError for a node's error, ChainUnavailableError for no answer."""

    def guard(self, vet: Callable[[Rpc], None]) -> None:
        """Have each node looked at by `vet` before it takes the place of another; `vet` raises as for `check`."""

    def check(self, vet: Callable[[Rpc], None]) -> None:
        """Look at the node in use, and where it fails at the others.

        `vet` raises ChainUnavailableError for a node that cannot be used now, ChainMismatchError for one of another
        chain. What it raised is raised where no node passes: a mismatch where all that answer are of another chain.
        """

    def condemn(self, reason: str) -> bool:
        """Use another node from now on: this one lies or lags. False where there is none; it stays in use then."""

    def turn(self) -> None:
        """Use the next node that passes, where there is one: what this one says is to be heard from another too."""

    def apart(self) -> Rpc:
        """Open another connection to the same node or nodes, for another thread."""

    def nodes(self) -> tuple[NodeStatus, ...]:
        """How each node fares."""

    @property
    def switches(self) -> int:
        """How often another node took over."""

    def close(self) -> None:
        """Drop the connections."""


class JsonRpc:
    """A connection to one node. `timeout`: seconds for a whole call. Used by one thread at a time."""

    def __init__(self, url: str, *, timeout: float = 5.0, answer_limit: int = ANSWER_LIMIT) -> None:
        self.url = url
        self.place = place_of(url)
        """The address without user, password and path, which may be secrets: errors are shown to strangers."""
        self.timeout = timeout
        self.answer_limit = answer_limit
        self.end = inf
        """A time on the monotonic clock that no call waits beyond: for whoever has several to make."""
        self._ids = itertools.count(1)
        self._poster: Poster | None = None

    def close(self) -> None:
        """Drop the connection."""
        if self._poster is not None:
            self._poster.close()
            self._poster = None

    def apart(self) -> JsonRpc:
        """Open another connection to the same node."""
        return JsonRpc(self.url, timeout=self.timeout, answer_limit=self.answer_limit)

    def guard(self, vet: Callable[[Rpc], None]) -> None:
        """There is no other node that could take this one's place: nothing to look at."""

    def check(self, vet: Callable[[Rpc], None]) -> None:
        """Look at the node."""
        vet(self)

    def condemn(self, reason: str) -> bool:  # noqa: ARG002 - there is no other node to turn to
        """There is no other node."""
        return False

    def turn(self) -> None:
        """There is no other node."""

    @property
    def switches(self) -> int:
        """There is no other node."""
        return 0

    def nodes(self) -> tuple[NodeStatus, ...]:
        """Nothing is remembered about a single node."""
        return ()

    def call(self, method: str, *params: object) -> Any:
        """Return the result of one call.

        Raises:
            RpcError: the node answered with an error.
            ChainUnavailableError: no answer, not in time, too long, or no JSON-RPC.

        """
        number = next(self._ids)
        body = orjson.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        try:
            answer = orjson.loads(self._post(body, method))
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
        if self._poster is None:
            try:
                self._poster = Poster(self.url)
            except ValueError as error:
                raise ChainUnavailableError("this is no address of a chain's node", where=self.place) from error
        try:
            seconds = min(self.timeout, self.end - time.monotonic())
            status, encoding, content = self._poster.post(body, seconds=seconds, limit=self.answer_limit)
        except TooLongError as error:
            raise ChainUnavailableError(f"the answer to {method} is too long", where=self.place) from error
        except FAILURES as error:
            raise ChainUnavailableError(f"the chain does not answer {method}: {error!r}", where=self.place) from error
        if status != HTTP_OK:
            raise ChainUnavailableError(f"{method} is answered with HTTP {status}", where=self.place)
        if encoding != "identity":
            raise ChainUnavailableError(f"the answer to {method} is compressed", where=self.place)
        return content

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
        return RpcError(number, shown(error.get("message", ""), 500), data, where=f"{self.place} {method}")


def guarded(rpc: Rpc, read: Callable[[Rpc], T]) -> T:
    """Run a read: a JSON-RPC error to one is no answer."""
    try:
        return read(rpc)
    except RpcError as error:
        raise ChainUnavailableError(f"the chain's node failed: {error.message}", where=error.where) from error


def require_chain(rpc: Rpc, chain_id: int) -> None:
    """Ask a node for its chain id; ChainMismatchError for another than `chain_id`, ChainUnavailableError."""
    found = quantity(guarded(rpc, lambda node: node.call("eth_chainId")))
    if found != chain_id:
        raise ChainMismatchError(
            f"the node serves chain {found}, not {chain_id}",
            where=rpc.place,
            remedy="Correct the address of the chain's node, or the chain id, in the configuration",
        )


def place_of(url: str) -> str:
    """An address without user, password, path and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is none"
    if not (parts.scheme and parts.netloc):
        return "an address without scheme and host"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def shown(value: object, most: int = 80) -> str:
    """What a stranger sent, for an error's text; lists and objects only by their kind: they may be nested very deep."""
    return str(value)[:most] if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"


def quantity(value: object, *, bits: int = 64) -> int:
    """Read a quantity of the execution API (0x and hex digits) below 2**bits."""
    if isinstance(value, str) and _QUANTITY.fullmatch(value):
        number = int(value, 0)
        if number < 1 << bits:
            return number
    raise ChainUnavailableError(f"the chain gave {shown(value)!r} where a number belongs")


def unhex(value: object, size: int | None = None) -> bytes:
    """Read data of the execution API (0x and pairs of hex digits), of `size` bytes where given."""
    if isinstance(value, str) and value.startswith("0x"):
        try:
            data = bytes.fromhex(value[2:])
        except ValueError:
            data = None
        if data is not None and 2 * len(data) + 2 == len(value) and (size is None or len(data) == size):
            return data
    raise ChainUnavailableError(f"the chain gave {shown(value)!r} where bytes belong")
