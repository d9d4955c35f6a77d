"""SCRAPI: the routes of a SCITT transparency service, beside our own (draft-ietf-scitt-scrapi; RFC 9943).

A statement comes in as COSE, its receipt goes out as COSE, errors as concise problem details. Registration is what
`POST /v1/statements` does, under the same rules and limits; only the answer waits a little for the next checkpoint,
because a receipt can only be of a published tree. An entry's id is its index, in decimal: the same act again gets the
first entry's.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.concise import MEDIA_TYPE, concise, concise_problem
from api.http.describe import Responses, binary_answer, binary_body, parameter, parameters
from api.http.limits import plain_number, read_body, require_media_type
from ledger.crypto.digests import kid as kid_of
from ledger.errors import MalformedError
from ledger.statements.transparent import MAX_TRANSPARENT, take_apart
from node.node import Node
from node.queries import NotFoundError
from node.receipts import Receipts
from node.submission import Refused

router = APIRouter(tags=["SCITT"])

COSE: Final = "application/cose"
STATEMENT: Final = "application/scitt-statement+cose"
RECEIPT: Final = "application/scitt-receipt+cose"
CBOR: Final = "application/cbor"
PATIENCE: Final = 2.5
"""Seconds that a registration waits for its receipt before it answers with a place to ask at."""
RETRY_AFTER: Final = "1"
_KEYS: Final = "/.well-known/scitt-keys"
_KID_SIZE: Final = len(kid_of(b""))


def owns(path: str) -> bool:
    """Whether errors under this path are concise problems."""
    return path == "/entries" or path.startswith(("/entries/", f"{_KEYS}/")) or path == _KEYS


def _problems(*examples: tuple[int, str, str]) -> Responses:
    """Concise problems with an example each, in the words of diagnostic notation."""
    return {
        status: {
            "description": title,
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": f'{{-1: "{title}", -2: "{detail}"}}'}},
        }
        for status, title, detail in examples
    }


def _redirect(status: int, description: str) -> Responses:
    headers = {
        name: {"schema": {"type": "string"}, "example": example}
        for name, example in (("Location", "/entries/4711"), ("Retry-After", RETRY_AFTER))
    }
    return {status: {"description": description, "headers": headers, "content": {}}}


_BUSY = (429, "Too many requests", "Too many requests from this address")
_GONE = (404, "Not Found", "The log has no entry 99")
_BAD_ID = (400, "Invalid locator", "'x' is not a whole number")
_RECEIPT = binary_answer("COSE receipt of inclusion (RFC 9942)", COSE)
_CREATED: dict[int | str, dict[str, Any]] = {201: _RECEIPT[200]}
_ENTRY_ID = parameter("entry", "path", "Entry id: the index in decimal", "4711")


@router.post(
    "/entries",
    summary="Register a signed statement (SCRAPI)",
    description="The unprotected header is emptied before the statement is hashed and logged. Answers with the receipt "
    "once a checkpoint covers the entry; where that takes longer than a few seconds, with 303 and a place to ask at. "
    "The same act again gets the first entry's receipt. With `Accept: application/scitt-receipt+cose` the receipt has "
    "that type.",
    status_code=201,
    responses=_CREATED
    | _redirect(303, "Durable, not published yet: ask at Location")
    | _problems(
        (400, "Rejected", "The identifier is registered already."),
        (413, "Too large", "The body is longer than 327679 bytes"),
        (415, "Unsupported media type", "This route takes application/cose, not text/plain"),
        _BUSY,
        (503, "Not available now", "Too much is waiting for admission"),
    ),
    openapi_extra=binary_body(COSE, f"A COSE_Sign1 with any unprotected header; also as {STATEMENT}"),
)
async def register(request: Request) -> Response:
    """A statement in, its receipt out."""
    if request.headers.get("content-type", "").split(";", 1)[0].strip().lower() != STATEMENT:
        require_media_type(request, COSE)
    statement, _ = take_apart(await read_body(request, MAX_TRANSPARENT))
    node: Node = request.app.state.node
    outcome = (await node.sequencer.submit((statement,))).outcomes[0]
    if isinstance(outcome, Refused):
        node.metrics.refused(outcome.reason)
        return concise_problem(outcome.error)
    receipts: Receipts = request.app.state.receipts
    location = f"/entries/{outcome.index}"
    if await receipts.published(outcome.index, PATIENCE):
        return _receipt(request, receipts.inclusion(outcome.index), 201, location)
    return Response(b"", 303, {"Location": location, "Retry-After": RETRY_AFTER}, COSE)


@router.get(
    "/entries/{entry}",
    summary="Get an entry's receipt, or learn that it is on its way (SCRAPI)",
    description="A fresh receipt of the newest published tree.",
    responses=_RECEIPT | _redirect(302, "Durable, not published yet: ask again") | _problems(_BAD_ID, _GONE, _BUSY),
    openapi_extra=parameters(_ENTRY_ID),
)
async def resolve(request: Request) -> Response:
    """One entry's receipt."""
    index = plain_number(request.path_params["entry"], "entry id")
    node: Node = request.app.state.node
    receipts: Receipts = request.app.state.receipts
    location = f"/entries/{index}"
    if receipts.is_published(index):
        return _receipt(request, receipts.inclusion(index), 200, location)
    if index < node.publisher.size:
        return Response(b"", 302, {"Location": location, "Retry-After": RETRY_AFTER}, COSE)
    error = NotFoundError(f"The log has no entry {index}", where="entry id", remedy="Register the statement")
    return concise(404, "Not Found", error)


@router.get(
    _KEYS,
    summary="The keys that sign receipts, retired ones included (SCRAPI)",
    responses=binary_answer("COSE key set (RFC 9052 section 7), newest first", CBOR) | _problems(_BUSY),
)
async def keys(request: Request) -> Response:
    """The key set."""
    receipts: Receipts = request.app.state.receipts
    return Response(receipts.key_set(), 200, {"Cache-Control": "no-cache"}, CBOR)


@router.get(
    _KEYS + "/{kid}",
    summary="One key that signs or signed receipts (SCRAPI)",
    responses=binary_answer("COSE key (RFC 9052 section 7)", CBOR)
    | _problems((404, "No such key", "No key of this log has this kid"), _BUSY),
    openapi_extra=parameters(
        parameter("kid", "path", "The receipt's kid in base64url without padding", "nk5EqFCvrI7IPAUL94mRkWlDa3cuQ5dl9I")
    ),
)
async def one_key(request: Request) -> Response:
    """One key by its kid."""
    receipts: Receipts = request.app.state.receipts
    try:
        key = receipts.key(_kid(request.path_params["kid"]))
    except (NotFoundError, MalformedError) as error:
        return concise(404, "No such key", error)
    return Response(key, 200, {"Cache-Control": "public, max-age=86400"}, CBOR)


def _receipt(request: Request, receipt: bytes, status: int, location: str) -> Response:
    media_type = RECEIPT if RECEIPT in request.headers.get("accept", "") else COSE
    return Response(receipt, status, {"Location": location, "Vary": "Accept"}, media_type)


def _kid(text: str) -> bytes:
    """Read a kid in unpadded base64url (RFC 7515 section 2), in its one spelling."""
    try:
        value = base64.urlsafe_b64decode(text.encode("ascii") + b"=")
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != _KID_SIZE or base64.urlsafe_b64encode(value).rstrip(b"=").decode() != text:
        raise MalformedError("This is no kid: 32 bytes in base64url without padding", where="kid")
    return value
