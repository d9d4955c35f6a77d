"""Inclusion and consistency proofs from the published tree (RFC 9162 sections 2.1.3 and 2.1.4)."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.describe import parameter, parameters, problems, sample
from api.http.limits import query_number
from api.http.render import json_response
from ledger.errors import MalformedError
from node.queries import Queries

router = APIRouter(tags=["proofs"])


def _required(request: Request, name: str) -> int:
    value = query_number(request, name, None)
    if value is None:
        raise MalformedError(f"`{name}` is needed", where=name)
    return value


@router.get(
    "/v1/proofs/inclusion",
    summary="Prove that an entry is in the log",
    responses=sample(
        "Siblings from the leaf up; `checkpoint` is there when the size is the published one",
        {"index": 4711, "size": 4800, "leaf": "5c…", "proof": ["9f…", "03…"], "root": "77…", "checkpoint": "…"},
    )
    | problems(400, 404, 429),
    openapi_extra=parameters(
        parameter("index", "query", "Entry index", 4711),
        parameter("size", "query", "Tree size; by default the published one", 4800, required=False),
    ),
)
async def inclusion(request: Request) -> Response:
    """One inclusion proof."""
    queries: Queries = request.app.state.queries
    found = queries.inclusion(_required(request, "index"), query_number(request, "size", None))
    return json_response(
        {
            "index": found.index,
            "size": found.size,
            "leaf": found.leaf.hex(),
            "proof": [sibling.hex() for sibling in found.proof],
            "root": found.root.hex(),
            "checkpoint": None if found.checkpoint is None else found.checkpoint.decode(),
        }
    )


@router.get(
    "/v1/proofs/consistency",
    summary="Prove that the log only grew",
    responses=sample(
        "The tree of size `new` begins with the tree of size `old`",
        {"old": 4000, "new": 4800, "proof": ["9f…"], "old_root": "12…", "new_root": "77…"},
    )
    | problems(400, 404, 429),
    openapi_extra=parameters(
        parameter("old", "query", "Smaller size", 4000),
        parameter("new", "query", "Larger size; by default the published one", 4800, required=False),
    ),
)
async def consistency(request: Request) -> Response:
    """One consistency proof."""
    queries: Queries = request.app.state.queries
    found = queries.consistency(_required(request, "old"), query_number(request, "new", None))
    return json_response(
        {
            "old": found.old,
            "new": found.new,
            "proof": [sibling.hex() for sibling in found.proof],
            "old_root": found.old_root.hex(),
            "new_root": found.new_root.hex(),
        }
    )
