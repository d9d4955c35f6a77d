"""One JSON-RPC call to a chain's node on loopback: enough for a supervisor, which needs no web3.

Every failure is an UnavailableError; answers are bounded in time and size. Follows JSON-RPC 2.0 over HTTP POST.
"""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import orjson

from ledger.errors import UnavailableError

ANSWER_LIMIT = 1 << 30  # the whole state of an embedded chain comes in one answer


def call(url: str, method: str, *params: object, timeout: float = 3.0) -> Any:
    """Return the `result` of one call; raises UnavailableError for anything else, also for a JSON-RPC error."""
    parts = urlsplit(url)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=timeout)
    try:
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        content = connection.getresponse().read(ANSWER_LIMIT)
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"the chain does not answer {method}: {error}", where=url) from error
    finally:
        connection.close()
    try:
        answer = orjson.loads(content)
        return answer["result"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnavailableError(f"the chain answers {method} with {content[:200]!r}", where=url) from error
