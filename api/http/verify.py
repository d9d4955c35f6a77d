"""POST /v1/verify: the numbered steps of the verifier, as JSON or, where asked for, as plain text."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.describe import problems, sample
from api.http.limits import read_body, require_media_type
from api.http.render import JSON, json_response
from ledger.evidence.bundle import MEDIA_TYPE
from node import verification_request as asked
from node.verification import OnlineVerifier

router = APIRouter(tags=["verification"])

_TEXT = "text/plain"

_EXAMPLE = {
    "about": "registration of vaa:88.118.8/A1 by did:key:z6Mk… (entry 17)",
    "claim": "statement",
    "verdict": "valid",
    "steps": [
        {
            "step": 5, "name": "inclusion", "name_zh": "包含证明", "verdict": "valid",
            "reason": "All 12 entries are in the tree of size 4711; it is entry 17",
            "reason_zh": "12 个条目均在大小为 4711 的树中；它是条目 17",
            "rests_on": [], "size": 4711, "weight": "required",
        }
    ],
    "required": [1, 2, 4, 5, 6, 7, 8, 11, 13],
    "rests_on": ["the operator alone (trust_operator_state is set in the policy)"],
}  # fmt: skip
_BODY = {
    "requestBody": {
        "required": True,
        "description": "What to verify",
        "content": {
            JSON: {"schema": {"type": "object"}, "example": {"subject": "vaa:88.118.8/A1"}},
            MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post(
    "/v1/verify",
    summary="Verify a statement or a bundle, step by step",
    description="Give a `subject`, or an `index`, a `statement` (base64) or both, with a `document` (object, or base64 "
    "of JSON) where that is to be checked too: an evidence bundle is made and verified. Or give a bundle: as the body, "
    "or as `bundle` (base64). `policy` is the text of a policy file of yours; without it this node's own holds, under "
    "which the answer rests on the operator and on the word of the chain's node, and says so. Each step answers valid, "
    "invalid or cannot tell, with the reason and what it rests on. With `Accept: text/plain` the report is text. To "
    "trust nobody here, get `/v1/evidence` and verify it offline.",
    responses=sample("The report", _EXAMPLE) | problems(400, 404, 413, 415, 429, 503),
    openapi_extra=_BODY,
)
async def verify_proof(request: Request) -> Response:
    """One question in, a report out."""
    verifier: OnlineVerifier = request.app.state.verifier
    posted = request.headers.get("content-type", "").split(";", 1)[0].strip().lower() == MEDIA_TYPE
    if not posted:
        require_media_type(request, JSON)
    with verifier.place():
        raw = await read_body(request, asked.MAX_POSTED if posted else asked.MAX_BODY)
        report = await verifier.verify(
            lambda: asked.Request(bundle=raw) if posted else asked.Request.read(raw)  # in the thread
        )
    if request.headers.get("accept", "").split(",", 1)[0].split(";", 1)[0].strip() == _TEXT:
        return Response(report.as_text(), media_type=f"{_TEXT}; charset=utf-8")
    return json_response(report.as_json())
