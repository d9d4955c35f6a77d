"""POST /v1/verify: the numbered steps of `node.verification`, as JSON or, where asked for, as plain text."""

from __future__ import annotations

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.describe import json_body, problems, sample
from api.http.limits import read_body, require_media_type
from api.http.render import JSON, json_response
from ledger.errors import MalformedError
from node.node import Node
from node.verification import verify

router = APIRouter(tags=["verification"])

MAX_BODY = 3 << 20
"""A document in base64, a statement, a checkpoint and a proof fit."""
_TEXT = "text/plain"

_EXAMPLE = {
    "about": "registration of vaa:88.118.8/A1 by did:key:z6Mk… (entry 17)",
    "verdict": "valid",
    "steps": [
        {
            "step": 5, "name": "inclusion", "verdict": "valid", "reason": "It is entry 17 of the tree of size 4711",
            "rests_on": [], "size": 4711, "weight": "required",
        }
    ],
    "required": [2, 4, 5, 8, 10, 11, 13],
    "rests_on": ["the operator's current state (no state proof yet)"],
}  # fmt: skip


@router.post(
    "/v1/verify",
    summary="Verify a proof, step by step",
    description="Give a `subject`, or a `statement` (base64), an `index`, or both; with a `proof` (hex, leaf first) "
    "for a `size`, a `checkpoint` (text) and a `document` (object, or base64 of JSON) where these are to be checked "
    "too. The chain is asked. Each step answers valid, invalid or cannot tell, with the reason and what it rests on. "
    "With `Accept: text/plain` the report is text.",
    responses=sample("The report", _EXAMPLE) | problems(400, 404, 413, 415, 429),
    openapi_extra=json_body("What to verify", {"subject": "vaa:88.118.8/A1"}),
)
async def verify_proof(request: Request) -> Response:
    """One question in, a report out."""
    require_media_type(request, JSON)
    raw = await read_body(request, MAX_BODY)
    try:
        asked = orjson.loads(raw)
    except ValueError as error:
        raise MalformedError(f"The body is not JSON: {str(error)[:200]}", where="body") from None
    node: Node = request.app.state.node
    report = await verify(node, asked)
    if request.headers.get("accept", "").split(",", 1)[0].split(";", 1)[0].strip() == _TEXT:
        return Response(report.as_text(), media_type=f"{_TEXT}; charset=utf-8")
    return json_response(report.as_json())
