"""JSON answers of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

JSON = "application/json"


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with `value`, which orjson can encode as it is."""
    return Response(orjson.dumps(value), status, headers, JSON)
