"""Entries of the log: decoded for people, or as the bytes that were signed."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.describe import parameter, parameters, problems, sample
from api.http.limits import hex_digest, plain_number, query_number
from api.http.render import json_response
from ledger.errors import MalformedError
from ledger.state.rendering import jsonable
from node.queries import EntryView, Queries

router = APIRouter(tags=["entries"])

COSE = "application/cose"
_ENTRY = {
    "index": 4711, "type": "registration", "iss": "did:key:z6Mk…", "sub": "vaa:88.118.8/JXDY2106023",
    "iat": 1780000000, "log_time": 1780000001, "leaf": "5c…", "act": "a1…", "batch": 12, "published": True,
}  # fmt: skip


def entry_json(view: EntryView) -> dict[str, Any]:
    """An entry as lists show it."""
    st = view.statement
    return {
        "index": view.index,
        "type": st.type,
        "iss": st.iss,
        "sub": st.sub,
        "iat": st.iat,
        "log_time": view.log_time,
        "leaf": st.leaf.hex(),
        "act": st.act.hex(),
        "batch": view.batch,
        "published": view.published,
    }


def entry_detail(view: EntryView) -> dict[str, Any]:
    """An entry with everything that its statement says."""
    st = view.statement
    return entry_json(view) | {
        "aud": st.aud,
        "nbf": st.nbf,
        "exp": st.exp,
        "seq": st.seq,
        "claims": {name: jsonable(value) for name, value in st.claims.items() if isinstance(name, str)},
        "digest": None if st.digest is None else st.digest.hex(),
        "body": jsonable({name: value for name, value in st.body.items() if name != "consents"}),
        "consents": [{"iss": consent.iss, "kid": consent.kid.hex(), "exp": consent.exp} for consent in st.consents],
        "alg": st.alg,
        "kid": st.kid.hex(),
        "signature": st.signature.hex(),
        "bytes": len(st.raw),
    }


@router.get(
    "/v1/entries/{index}",
    summary="Show an entry",
    description="With `Accept: application/cose` the entry's bytes, else a decoded view of them.",
    responses=sample("The entry", _ENTRY) | problems(400, 404, 429),
    openapi_extra=parameters(parameter("index", "path", "Entry index", 4711)),
)
async def entry(request: Request) -> Response:
    """One entry."""
    index = plain_number(request.path_params["index"], "index")
    queries: Queries = request.app.state.queries
    if COSE in request.headers.get("accept", ""):
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept"}
        return Response(queries.raw_entry(index), 200, headers, COSE)
    return json_response(entry_detail(queries.entry(index)), headers={"Vary": "Accept"})


@router.get(
    "/v1/entries",
    summary="Find the entry of an act",
    description="An act is the SHA-256 of a statement's Sig_structure. It is found by the statement's subject and "
    "`seq` claim. Submitting the statement again answers the same question.",
    responses=sample("The entry", _ENTRY) | problems(400, 404, 429),
    openapi_extra=parameters(
        parameter("act", "query", "64 hexadecimal digits", "a1" * 32),
        parameter("subject", "query", "The statement's subject", "vaa:88.118.8/JXDY2106023"),
        parameter("seq", "query", "Its `seq` claim, where it has one", 1, required=False),
    ),
)
async def find(request: Request) -> Response:
    """The entry of one act."""
    query = request.query_params
    if "act" not in query or "subject" not in query:
        raise MalformedError("`act` and `subject` are needed", where="query")
    seq = query_number(request, "seq", 0, 2**63) or 0
    queries: Queries = request.app.state.queries
    return json_response(entry_detail(queries.find(hex_digest(query["act"], "act"), query["subject"], seq)))
