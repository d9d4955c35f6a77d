"""Turning values into JSON answers: bytes as lower-case hex, records by their field names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

JSON = "application/json"


def jsonable(value: Any) -> Any:
    """A value of records, claims or bodies as JSON has it: named tuples by field, bytes in hex, keys as text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: jsonable(item) for name, item in zip(value._fields, value, strict=True)}
    if isinstance(value, tuple | list):
        return [jsonable(item) for item in value]
    if isinstance(value, Mapping):
        return {key.hex() if isinstance(key, bytes) else str(key): jsonable(item) for key, item in value.items()}
    return value


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with `value`, which orjson can encode as it is."""
    return Response(orjson.dumps(value), status, headers, JSON)
