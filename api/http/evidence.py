"""GET /v1/evidence: the bundle that a stranger verifies without this node."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.describe import binary_answer, parameter, parameters, problems
from api.http.limits import query_number
from ledger.evidence.bundle import MEDIA_TYPE
from node.evidence import evidence
from node.node import Node

router = APIRouter(tags=["verification"])


@router.get(
    "/v1/evidence",
    summary="Get an evidence bundle",
    description="Statements, proofs, current state, checkpoint with cosignatures and chain evidence in one CBOR file, "
    "as of the newest published checkpoint. A subject of which there is no record gives the proof of its absence. "
    "Private documents are not in it: their holder adds them.",
    responses=binary_answer("The bundle", MEDIA_TYPE) | problems(400, 404, 429, 503),
    openapi_extra=parameters(
        parameter("subject", "query", "Typed subject", "vaa:88.118.8/A1", required=False),
        parameter("index", "query", "Entry index, instead of a subject", 4711, required=False),
    ),
)
async def bundle(request: Request) -> Response:
    """One bundle."""
    node: Node = request.app.state.node
    raw = await evidence(node, request.query_params.get("subject"), query_number(request, "index", None))
    return Response(raw, 200, None, MEDIA_TYPE)
