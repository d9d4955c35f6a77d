"""GET /v1/history: everything that was ever said of a thing, proven, or told in JSON."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.describe import binary_answer, parameter, parameters, problems, sample
from api.http.limits import query_number
from api.http.render import JSON, json_response
from ledger.errors import MalformedError
from ledger.evidence.bundle import MEDIA_TYPE
from ledger.evidence.timeline import as_of
from ledger.evidence.whole import Whole
from node.evidence import evidence, history
from node.node import Node

router = APIRouter(tags=["verification"])

_FORMS = frozenset({"", "json", "cbor"})
_SAMPLE = {
    "subject": "urn:uuid:00000000-0000-0000-0000-000000000001", "size": 4800, "log_time": 1780000000,
    "timelines": [
        {
            "kind": "credential", "name": ["urn:uuid:00000000-0000-0000-0000-000000000001"], "count": 2, "head": "5c…",
            "state": "suspended",
            "entries": [
                {
                    "index": 4711, "type": "status", "sub": "urn:uuid:00000000-0000-0000-0000-000000000001",
                    "iss": "did:key:z6Mk…", "role": "issuer", "log_time": 1779000300, "effective": 1779000000,
                    "state": "suspended", "reason": "under-investigation",
                    "changed": {"state": ["active", "suspended"]}, "leaf": "9f…", "doubt": None,
                }
            ],
        }
    ],
    "as_of": [
        {
            "kind": "credential", "at": 1779500000, "known": 1780000000, "state": "suspended", "since": 1779000000,
            "known_since": 1779000300, "entry": 4711, "iss": "did:key:z6Mk…", "record": {"state": "suspended"},
        }
    ],
}  # fmt: skip
_ANSWERS = sample("The bundle; or in JSON the timelines: of a credential its own, then its identifier's", _SAMPLE)
_ANSWERS[200]["content"] |= binary_answer("", MEDIA_TYPE)[200]["content"]


@router.get(
    "/v1/history",
    summary="Get the complete history of a thing",
    description="By default an evidence bundle: every statement about the subject in full, with what is needed to run "
    "each through the rules again, and the state proof whose count and head show that none is missing. Whoever has it "
    "derives the state at any past time, as known at any past time. With `Accept: application/json` or `format=json` "
    "the same is told by the node, proven by nothing; `as_of` and `known` (Unix seconds) then add what held at a time "
    "as far as the log knew at another. A history that is longer than one file holds is refused: mirror and audit.",
    responses=_ANSWERS | problems(400, 404, 413, 429, 503),
    openapi_extra=parameters(
        parameter("subject", "query", "Typed subject", "urn:uuid:00000000-0000-0000-0000-000000000001"),
        parameter("format", "query", "`json` or `cbor`, whatever `Accept` says", "json", required=False),
        parameter("as_of", "query", "JSON: what held at this time", 1779500000, required=False),
        parameter("known", "query", "JSON: as known at this time; by default now", 1780000000, required=False),
    ),
)
async def whole_history(request: Request) -> Response:
    """One history."""
    node: Node = request.app.state.node
    query = request.query_params
    subject, form = query.get("subject", ""), query.get("format", "")
    at, known = query_number(request, "as_of", None), query_number(request, "known", None)
    if form not in _FORMS:
        raise MalformedError("`format` is `json` or `cbor`", where="format")
    as_json = form == "json" or (not form and JSON in request.headers.get("accept", ""))
    if not as_json and (at is not None or known is not None):
        raise MalformedError(
            "The bundle is the same at all times", where="as_of", remedy="Ask for format=json, or derive it yourself"
        )
    if known is not None and at is None:
        raise MalformedError("`known` goes with `as_of`", where="known")
    if not as_json:
        raw = await evidence(node, subject, None, whole=True)
        return Response(raw, 200, {"Vary": "Accept"}, MEDIA_TYPE)
    return json_response(_told(await history(node, subject), at, known), headers={"Vary": "Accept"})


def _told(whole: Whole, at: int | None, known: int | None) -> dict[str, Any]:
    told = whole.as_json()
    if at is not None:
        told["as_of"] = [{"kind": one.kind} | as_of(one, at, known).as_json() for one in whole.timelines]
    return told
