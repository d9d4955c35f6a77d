"""Receipts under our own paths: COSE receipts, transparent statements and C2SP proof files (RFC 9942, RFC 9943)."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.describe import binary_answer, parameter, parameters, problems
from api.http.limits import plain_number, query_number, required_number
from node.receipts import Receipts

router = APIRouter(tags=["receipts"])

COSE: Final = "application/cose"
TEXT: Final = "text/plain; charset=utf-8"
_INDEX = parameter("index", "path", "Entry index", 4711)
_SIZE = parameter("size", "query", "Tree size; by default the published one", 4800, required=False)


@router.get(
    "/v1/receipts/consistency",
    summary="Get a COSE receipt that the log only grew",
    description="RFC 9942, structure 1, proof -2. The payload, the root at the larger size, is left out.",
    responses=binary_answer("COSE receipt of consistency", COSE) | problems(400, 404, 429),
    openapi_extra=parameters(
        parameter("old", "query", "Smaller size, 2 or more", 4000),
        parameter("new", "query", "Larger size; by default the published one", 4800, required=False),
    ),
)
async def consistency(request: Request) -> Response:
    """One receipt of consistency."""
    receipts: Receipts = request.app.state.receipts
    old = required_number(request, "old")
    return Response(receipts.consistency(old, query_number(request, "new", None)), 200, None, COSE)


@router.get(
    "/v1/receipts/{index}",
    summary="Get an entry's COSE receipt",
    description="RFC 9942, structure 1, proof -1. The payload, the root, is left out: it follows from the proof.",
    responses=binary_answer("COSE receipt of inclusion", COSE) | problems(400, 404, 429),
    openapi_extra=parameters(_INDEX, _SIZE),
)
async def receipt(request: Request) -> Response:
    """One receipt of inclusion."""
    receipts: Receipts = request.app.state.receipts
    index = plain_number(request.path_params["index"], "index")
    return Response(receipts.inclusion(index, query_number(request, "size", None)), 200, None, COSE)


@router.get(
    "/v1/entries/{index}/transparent",
    summary="Get an entry as a transparent statement",
    description="RFC 9943: the statement with a receipt in header 394 of its unprotected header.",
    responses=binary_answer("Transparent statement", COSE) | problems(400, 404, 429),
    openapi_extra=parameters(_INDEX),
)
async def transparent(request: Request) -> Response:
    """One transparent statement."""
    receipts: Receipts = request.app.state.receipts
    return Response(receipts.transparent(plain_number(request.path_params["index"], "index")), 200, None, COSE)


@router.get(
    "/v1/proofs/tlog/{index}",
    summary="Get an entry's proof file (C2SP tlog-proof)",
    responses=binary_answer(
        "Index, path and the published checkpoint with its cosignatures", TEXT,
        "c2sp.org/tlog-proof@v1\nindex 4711\n9f…=\n\nexample.org/log\n4800\nd3…=\n\n— example.org/log Gi…=\n",
    )
    | problems(400, 404, 429),
    openapi_extra=parameters(_INDEX),
)  # fmt: skip
async def proof_file(request: Request) -> Response:
    """One proof file."""
    receipts: Receipts = request.app.state.receipts
    data = receipts.proof_file(plain_number(request.path_params["index"], "index"))
    return Response(data, 200, {"Cache-Control": "no-cache"}, TEXT)
