"""Submitting statements: one a request, or many in a stream."""

from __future__ import annotations

import base64

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http import bulk
from api.http.describe import binary_answer, binary_body, parameter, problems, sample
from api.http.limits import read_body, require_media_type
from api.http.problems import problem_of_refusal
from api.http.render import JSON
from ledger.errors import MalformedError
from ledger.statements.cose import MAX_STATEMENT_SIZE
from node.node import Node
from node.submission import Refused

router = APIRouter(tags=["statements"])

COSE = "application/cose"

_ADMITTED = {
    "index": 4711,
    "leaf": "5c…32 bytes in hex",
    "duplicate": False,
    "acknowledgement": "0oRYQ6…base64 of a COSE_Sign1",
    "group": {"first": 4711, "count": 1, "proof": ["9f…hex"]},
}


@router.post(
    "/v1/statements",
    summary="Submit one statement",
    description="Answers after the entry is durable. The same act again gets the same place, with status 200. "
    "The acknowledgement is signed over the group's first index, size and root; `group` proves this entry into it. "
    "With `refusal=signed` a refusal carries the log's signature.",
    status_code=201,
    responses=sample("The entry's place, and the log's signed word for it", _ADMITTED, 201)
    | sample("The act is in the log already: its place", {**_ADMITTED, "duplicate": True}, 200)
    | problems(400, 413, 415, 422, 429, 503),
    openapi_extra=binary_body(COSE, "One COSE_Sign1 in deterministic CBOR, at most 65,535 bytes")
    | {"parameters": [parameter("refusal", "query", "`signed` asks for a signed refusal", "signed", required=False)]},
)
async def submit(request: Request) -> Response:
    """One statement in, its place out."""
    require_media_type(request, COSE)
    signed = False
    if request.scope["query_string"]:
        wanted = request.query_params.get("refusal")
        if wanted not in {None, "signed"}:
            raise MalformedError("The only kind of refusal to ask for is `signed`", where="refusal")
        signed = wanted is not None
    raw = await read_body(request, MAX_STATEMENT_SIZE)
    node: Node = request.app.state.node
    answer = await node.sequencer.submit((raw,), sign_refusals=signed)
    outcome = answer.outcomes[0]
    if isinstance(outcome, Refused):
        node.metrics.refused(outcome.reason)
        return problem_of_refusal(outcome)
    run = answer.runs[0]
    body = orjson.dumps(
        {
            "index": outcome.index,
            "leaf": outcome.leaf.hex(),
            "duplicate": outcome.duplicate,
            "acknowledgement": base64.b64encode(run.acknowledgement).decode(),
            "group": {
                "first": run.first,
                "count": run.count,
                "proof": [sibling.hex() for sibling in run.proof],
            },
        }
    )
    headers = {"Location": f"/v1/entries/{outcome.index}"}
    return Response(body, 200 if outcome.duplicate else 201, headers, JSON)


@router.post(
    "/v1/statements/bulk",
    summary="Submit many statements in a stream",
    description="Body: COSE_Sign1 items one after another, of any number. The answer begins while the body is still "
    "being sent: one CBOR map a statement, in order: `{index, leaf}` (and `duplicate: true`) or "
    "`{refused, detail, where, remedy}`; after the answers of each chunk (at most 256 statements) one map a run of "
    "consecutive entries: `{acknowledgement, first, count, proof}`. A malformed statement is refused alone. "
    "`{error, detail, where, remedy}` as the last item means that the stream could not go on: what was answered "
    "before stands; the rest may have been taken: send it again, an act that got in answers with its place.",
    responses=binary_answer("Answers in the order of the statements", bulk.MEDIA_TYPE) | problems(415, 429, 503),
    openapi_extra=binary_body(bulk.MEDIA_TYPE, "COSE_Sign1 items in deterministic CBOR, with nothing between them"),
)
async def submit_many(request: Request) -> Response:
    """Statements in, answers out, both streamed."""
    require_media_type(request, bulk.MEDIA_TYPE)
    return bulk.bulk_response(request)
