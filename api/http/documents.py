"""Documents by digest: put one or many, get one. Their bytes stay beside the log and may be erased (DESIGN rule 9).

A document is canonical JSON (RFC 8785 in the profile of `ledger.crypto.canonical`), because statements name it by the
digest of exactly those bytes. Anybody may put, as long as the disk has more room than is kept for the log; a private
one is given to the operator alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from hashlib import sha256

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.answers import encode_refused
from api.http.describe import binary_answer, binary_body, parameter, parameters, problems, sample
from api.http.limits import hex_digest, read_body, require_media_type, require_operator
from api.http.render import JSON, json_response
from ledger.crypto.canonical import canonical_json, parse_json
from ledger.errors import LedgerError, MalformedError
from ledger.statements.cbor import decode_item, encode
from ledger.store.documents import GRADES, MAX_DOCUMENT, DocumentFolder, DocumentMissingError
from node.node import Node
from node.submission import Refused

router = APIRouter(tags=["documents"])

SEQUENCE = "application/cbor-seq"
MAX_ITEMS = 20_000


def _grade(request: Request) -> str:
    grade = request.query_params.get("grade", "private")
    if grade not in GRADES:
        raise MalformedError(f"The access grade is one of {', '.join(GRADES)}", where="grade")
    return grade


def check_canonical(data: bytes) -> None:
    """MalformedError unless `data` is a document in its one encoding."""
    if canonical_json(parse_json(data)) != data:
        raise MalformedError(
            "The document is not in its canonical encoding", where="body", remedy="Encode it as RFC 8785 asks"
        )


@router.put(
    "/v1/documents/{digest}",
    summary="Store a document",
    description="The body is the document in canonical JSON; its SHA-256 must be the one in the path. "
    "`grade` is `private` unless it is given.",
    status_code=201,
    responses=sample("Stored", {"digest": "b5…", "grade": "public"}, 201)
    | sample("It was here already", {"digest": "b5…", "grade": "public"}, 200)
    | problems(400, 409, 410, 413, 415, 429, 507),
    openapi_extra=binary_body(JSON, "The document, at most 1 MiB")
    | parameters(
        parameter("digest", "path", "SHA-256 in hex", "b5" * 32),
        parameter("grade", "query", "`public` or `private`", "public", required=False),
    ),
)
async def put(request: Request) -> Response:
    """One document in."""
    digest = hex_digest(request.path_params["digest"], "digest")
    grade = _grade(request)
    require_media_type(request, JSON)
    data = await read_body(request, MAX_DOCUMENT)
    if sha256(data).digest() != digest:
        raise MalformedError("The body's SHA-256 is not the digest in the path", where="digest")
    await asyncio.to_thread(check_canonical, data)  # up to half a second of work
    node: Node = request.app.state.node
    known = _is_known(node.documents, digest)
    await asyncio.to_thread(node.documents.put, data, grade)
    return json_response({"digest": digest.hex(), "grade": grade}, 200 if known else 201)


def _is_known(documents: DocumentFolder, digest: bytes) -> bool:
    try:
        documents.grade(digest)
    except DocumentMissingError:
        return False
    return True


@router.post(
    "/v1/documents/bulk",
    summary="Store many documents",
    description="Body: CBOR byte strings one after another, each a document in canonical JSON. Answer: one CBOR map a "
    "document, in order: `{digest}` or `{refused, detail, where, remedy}`.",
    responses=binary_answer("One answer a document", SEQUENCE) | problems(400, 413, 415, 429, 507),
    openapi_extra=binary_body(SEQUENCE, "CBOR byte strings")
    | parameters(parameter("grade", "query", "`public` or `private`", "public", required=False)),
)
async def put_many(request: Request) -> Response:
    """Documents in, one answer each."""
    grade = _grade(request)
    require_media_type(request, SEQUENCE)
    node: Node = request.app.state.node
    body = await read_body(request, node.config.http.max_body)
    documents = list(_byte_strings(body))
    return Response(await asyncio.to_thread(_put_all, node.documents, documents, grade), media_type=SEQUENCE)


def _put_all(store: DocumentFolder, documents: list[bytes], grade: str) -> bytes:
    refused: dict[int, LedgerError] = {}
    for number, data in enumerate(documents):
        try:
            check_canonical(data)
        except LedgerError as error:
            refused[number] = error
    stored = iter(store.put_many([data for number, data in enumerate(documents) if number not in refused], grade))
    answers = [refused[number] if number in refused else next(stored) for number in range(len(documents))]
    return b"".join(
        encode_refused(Refused(answer)) if isinstance(answer, LedgerError) else encode({"digest": answer})
        for answer in answers
    )


def _byte_strings(body: bytes) -> Iterator[bytes]:
    """The byte strings of a CBOR sequence; MalformedError with the offset for anything else."""
    at = count = 0
    while at < len(body):
        count += 1
        if count > MAX_ITEMS or not 0x40 <= body[at] <= 0x5B:
            detail = f"more than {MAX_ITEMS} documents" if count > MAX_ITEMS else "a byte string must begin here"
            raise MalformedError(detail, where=f"byte {at} of the body", remedy="Send CBOR byte strings only")
        try:
            item, end = decode_item(body, at)
        except IndexError:
            end, item = len(body) + 1, b""
        if end > len(body):
            raise MalformedError("the body ends inside a document", where=f"byte {at} of the body")
        yield item
        at = end


@router.get(
    "/v1/documents/{digest}",
    summary="Get a document",
    responses=sample("The document's bytes", {"id": "urn:uuid:00000000-0000-0000-0000-000000000001"})
    | problems(400, 403, 404, 410, 429),
    openapi_extra=parameters(parameter("digest", "path", "SHA-256 in hex", "b5" * 32)),
)
async def get(request: Request) -> Response:
    """One document out."""
    digest = hex_digest(request.path_params["digest"], "digest")
    node: Node = request.app.state.node
    if node.documents.grade(digest) != "public":
        require_operator(request)
    # It may be erased, so no cache may keep it without asking.
    return Response(node.documents.get(digest), 200, {"Cache-Control": "private, no-cache"}, JSON)
