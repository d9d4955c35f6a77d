"""Looking up records by their subjects, and the statements that touched them."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.describe import json_body, parameter, parameters, problems, sample
from api.http.entries import entry_json
from api.http.limits import query_number, read_body, require_media_type
from api.http.paths import subject_in_path
from api.http.render import JSON, json_response
from ledger.errors import MalformedError
from ledger.state.rendering import jsonable
from node.queries import Queries, RecordView

router = APIRouter(tags=["records"])

MAX_LOOKUP = 16_384
MAX_PAGE = 500
STEP = 16
"""Entries read in one go."""
_DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
_KINDS = frozenset({"", "identifier"})

_RECORD = {
    "subject": "vaa:88.118.8/JXDY2106023",
    "kind": "identifier",
    "state": "live",
    "record": {"touches": 1, "head": "…", "last": 4711, "state": "live", "holder": "did:key:z6Mk…", "generation": 1},
    "touches": 1,
    "covers": 4800,
    "log_time": 1780000000,
}


def record_json(view: RecordView) -> dict[str, Any]:
    """A record as the API shows it."""
    return {
        "subject": view.subject,
        "kind": view.kind,
        "state": view.state,
        "record": jsonable(view.record),
        "touches": view.record.touches,
        "covers": view.covers,
        "log_time": view.log_time,
    }


def _answer(request: Request, prefix: str, kind: str, tag: str = "") -> Response:
    queries: Queries = request.app.state.queries
    return json_response(record_json(queries.record(subject_in_path(request, prefix, tag), kind)))


_RESPONSES = sample(
    "The current record; `state` is computed at `log_time`, expiry and beginning included", _RECORD
) | problems(400, 404, 429)


@router.get(
    "/v1/identifiers/{subject:path}",
    summary="Look up an identifier",
    description="The subject stands verbatim, as it is percent-encoded already.",
    responses=_RESPONSES,
    openapi_extra=parameters(parameter("subject", "path", "Typed subject", "vaa:88.118.8/JXDY2106023")),
)
async def identifier(request: Request) -> Response:
    """One identifier's record."""
    return _answer(request, "/v1/identifiers/", "identifier")


@router.get(
    "/v1/credentials/{subject:path}",
    summary="Look up a credential",
    responses=_RESPONSES,
    openapi_extra=parameters(
        parameter("subject", "path", "Typed subject", "urn:uuid:00000000-0000-0000-0000-000000000001")
    ),
)
async def credential(request: Request) -> Response:
    """One credential's record."""
    return _answer(request, "/v1/credentials/", "credential")


@router.get(
    "/v1/actors/{did:path}",
    summary="Look up an actor",
    responses=_RESPONSES,
    openapi_extra=parameters(parameter("did", "path", "DID", _DID)),
)
async def actor(request: Request) -> Response:
    """One actor's record."""
    return _answer(request, "/v1/actors/", "actor")


@router.get(
    "/v1/delegations/{scheme}/{prefix:path}",
    summary="Look up a delegation",
    responses=_RESPONSES,
    openapi_extra=parameters(
        parameter("scheme", "path", "Identifier scheme", "vaa"),
        parameter("prefix", "path", "Delegated prefix, percent-encoded", "88.118.8"),
    ),
)
async def delegation(request: Request) -> Response:
    """One delegation's record."""
    return _answer(request, "/v1/delegations/", "delegation", "delegation:")


@router.get(
    "/v1/templates/{template}/{version}",
    summary="Look up a template version",
    responses=_RESPONSES,
    openapi_extra=parameters(
        parameter("template", "path", "Template id", "product-safety"), parameter("version", "path", "Version", "1")
    ),
)
async def template(request: Request) -> Response:
    """One template version's record."""
    return _answer(request, "/v1/templates/", "template", "template:")


@router.get(
    "/v1/accreditations/{did:path}/{number}",
    summary="Look up an accreditation",
    responses=_RESPONSES,
    openapi_extra=parameters(
        parameter("did", "path", "The certifier's DID", _DID),
        parameter("number", "path", "Its number", 1),
    ),
)
async def accreditation(request: Request) -> Response:
    """One accreditation's record."""
    return _answer(request, "/v1/accreditations/", "accreditation", "accreditation:")


@router.post(
    "/v1/lookup",
    summary="Look up any subject",
    description="Takes a typed subject of any kind, or an identifier in any spelling that a scheme accepts. "
    '`"kind": "identifier"` means a DID as an identifier rather than as an actor.',
    responses=_RESPONSES | problems(413, 415),
    openapi_extra=json_body("What to look up", {"subject": "(01)06901234567892(21)A1"}),
)
async def lookup(request: Request) -> Response:
    """Any record, by any spelling."""
    require_media_type(request, JSON)
    raw = await read_body(request, MAX_LOOKUP)
    try:
        asked = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedError(f"Not JSON: {error}", where="body") from None
    if not isinstance(asked, dict) or not asked.keys() <= {"subject", "kind"} or "subject" not in asked:
        raise MalformedError('Expected {"subject": text}', where="body")
    subject, kind = asked["subject"], asked.get("kind", "")
    if not isinstance(subject, str) or not isinstance(kind, str) or kind not in _KINDS:
        raise MalformedError("`subject` is a text, `kind` at most `identifier`", where="body")
    queries: Queries = request.app.state.queries
    view = queries.record(subject, kind) if kind else queries.resolve(subject)
    return json_response(record_json(view))


@router.get(
    "/v1/touches",
    summary="List the entries that touched a record",
    description="From the node's index, a page at a time, however many there are, entries included that are durable "
    "and not published yet. Nothing proves that none is missing: `/v1/history` does, within the bounds of one file.",
    responses=sample(
        "Entries in order; `next` is the `start` of the next page",
        {"subject": "vaa:88.118.8/JXDY2106023", "entries": [{"index": 4711, "type": "registration"}], "next": None},
    )
    | problems(400, 404, 429),
    openapi_extra=parameters(
        parameter("subject", "query", "Typed subject", "vaa:88.118.8/JXDY2106023"),
        parameter("start", "query", "From this touch on; the first is 1", 1, required=False),
        parameter("limit", "query", f"At most so many, up to {MAX_PAGE}", 100, required=False),
        parameter("kind", "query", "`identifier`: take a DID as one", "identifier", required=False),
    ),
)
async def touches(request: Request) -> Response:
    """A page of the entries that touched a record."""
    subject, kind = request.query_params.get("subject", ""), request.query_params.get("kind", "")
    if kind not in _KINDS:
        raise MalformedError("`kind` is at most `identifier`", where="kind")
    start = max(query_number(request, "start", 1) or 1, 1)
    limit = query_number(request, "limit", 100, MAX_PAGE) or 0
    queries: Queries = request.app.state.queries
    count = queries.record(subject, kind).record.touches
    entries: list[dict[str, Any]] = []
    while len(entries) < limit:  # in steps: each entry may be in a file of its own, and others wait for the loop
        step = min(limit - len(entries), STEP)
        found = queries.history(subject, start + len(entries), step, kind)
        entries += [entry_json(view) for view in found]
        if len(found) < step:
            break
        await asyncio.sleep(0)
    following = start + len(entries)
    return json_response(
        {"subject": subject, "entries": entries, "next": following if entries and following <= count else None}
    )
