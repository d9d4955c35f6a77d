"""Proofs: inclusion and consistency in the published tree (RFC 9162 sections 2.1.3 and 2.1.4), and of the state."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.describe import parameter, parameters, problems, sample
from api.http.limits import query_number, required_number
from api.http.render import json_response
from ledger.errors import MalformedError
from node.queries import Queries
from node.questions import Questions

router = APIRouter(tags=["proofs"])


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
    found = queries.inclusion(required_number(request, "index"), query_number(request, "size", None))
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
    found = queries.consistency(required_number(request, "old"), query_number(request, "new", None))
    return json_response(
        {
            "old": found.old,
            "new": found.new,
            "proof": [sibling.hex() for sibling in found.proof],
            "old_root": found.old_root.hex(),
            "new_root": found.new_root.hex(),
        }
    )


@router.get(
    "/v1/proofs/state",
    summary="Prove what the state holds, or that it holds nothing",
    description="Asks by typed subject or by record key (64 hex digits); both may be repeated, one proof covers all. "
    "The proof leads to `root`, which the manifest at entry `manifest` names as `state`; `inclusion` leads from that "
    "entry to the checkpoint. Only where `manifest` is `size` - 1 is this the state that the checkpoint commits to.",
    responses=sample(
        "`record` is the encoded record in hex, null where there is none; siblings are by level, root first",
        {
            "batch": 17, "manifest": 4799, "root": "41…",
            "claims": [{"key": "5c…", "kind": "identifier", "record": "8e…"}],
            "proof": {"depths": [21], "others": [None], "siblings": ["9f…", "03…"]},
            "size": 4800, "inclusion": ["77…"], "checkpoint": "…",
        },
    )
    | problems(400, 404, 429, 503),
    openapi_extra=parameters(
        parameter("subject", "query", "Typed subject", "vaa:88.118.8/JXDY2106023", required=False),
        parameter("key", "query", "Record key, hex", "5c" * 32, required=False),
        parameter("kind", "query", "`identifier` takes a DID as an identifier", "identifier", required=False),
        parameter("batch", "query", "Number of a closed batch; by default the published one", 17, required=False),
    ),
)  # fmt: skip
async def state(request: Request) -> Response:
    """One state proof."""
    queries: Queries = request.app.state.queries
    query = request.query_params
    keys = [record_key_of(text) for text in query.getlist("key")]
    batch, kind = query_number(request, "batch", None), query.get("kind", "")
    questions: Questions = request.app.state.node.questions
    with questions.place():
        async with questions.turn:
            found = await asyncio.to_thread(queries.state_proof, query.getlist("subject"), keys, batch, kind)
    claims = [
        {"key": one.key.hex(), "kind": one.kind, "record": None if record is None else record.hex()}
        for one, record in zip(found.asked, found.records, strict=True)
    ]
    others = [
        None if other is None else {"key": other[0].hex(), "record_hash": other[1].hex()}
        for other in found.proof.others
    ]
    siblings = [sibling.hex() for sibling in found.proof.siblings]
    return json_response(
        {
            "batch": found.batch,
            "manifest": found.manifest,
            "root": found.root.hex(),
            "claims": claims,
            "proof": {"depths": list(found.proof.depths), "others": others, "siblings": siblings},
            "size": found.size,
            "inclusion": [sibling.hex() for sibling in found.inclusion],
            "checkpoint": found.checkpoint.decode(),
        }
    )


def record_key_of(text: str) -> bytes:
    """A record key in hex; MalformedError else."""
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise MalformedError("A record key has 64 hex digits, in lower case", where="key")
    return bytes.fromhex(text)
