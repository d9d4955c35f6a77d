"""Problems: every refusal leaves as RFC 9457 problem+json with a stable code, the place and the remedy.

Owns the table from error codes to statuses and the errors that only HTTP knows. Trusts `LedgerError` to carry words fit
for strangers; any other exception is a fault of ours, logged in full and shown as nothing but "internal".
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from typing import ClassVar

import orjson
from starlette.responses import Response

from ledger.errors import LedgerError, MalformedError, Rejection, UnavailableError
from node.submission import Refused

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 1
"""Seconds after which a client may try again what found the node busy."""

TITLES: dict[int, str] = {
    400: "Malformed request",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Request too slow",
    409: "Conflict",
    410: "Gone",
    413: "Too large",
    415: "Unsupported media type",
    422: "Refused by the rules",
    429: "Too many requests",
    431: "Request header too large",
    500: "Internal error",
    502: "The chain refused",
    503: "Not available now",
    507: "Storage failed",
}

STATUSES: dict[str, int] = {
    "malformed": 400,
    "forbidden": 403,
    "not-found": 404,
    "not-retained": 404,
    "document-missing": 404,
    "no-chain": 404,
    "method-not-allowed": 405,
    "timeout": 408,
    "document-grade": 409,
    "document-erased": 410,
    "too-large": 413,
    "history-too-long": 413,
    "media-type": 415,
    "rate": 429,
    "header-too-large": 431,
    "unavailable": 503,
    "overloaded": 503,
    "stopped": 503,
    "storage": 507,
    "documents-full": 507,
}


class TooLargeError(LedgerError):
    """The body is longer than this route takes."""

    code: ClassVar[str] = "too-large"


class MediaTypeError(LedgerError):
    """The body is of another media type than this route takes."""

    code: ClassVar[str] = "media-type"


class ForbiddenError(LedgerError):
    """The operator's token is needed, and is missing, wrong or not configured."""

    code: ClassVar[str] = "forbidden"


class RateError(LedgerError):
    """The client asks too often. `wait`: seconds until its next request is taken."""

    code: ClassVar[str] = "rate"

    def __init__(self, wait: int) -> None:
        super().__init__(
            "Too many requests from this address", remedy=f"Wait {wait} s; send many statements as one bulk request"
        )
        self.wait = wait


class SlowError(LedgerError):
    """The body did not arrive in time."""

    code: ClassVar[str] = "timeout"


class MethodError(LedgerError):
    """The path is there, the method is not."""

    code: ClassVar[str] = "method-not-allowed"


class NoChainError(LedgerError):
    """The node anchors nowhere."""

    code: ClassVar[str] = "no-chain"


def problem(
    status: int, code: str, detail: str, *, where: str = "", remedy: str = "", refusal: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:  # fmt: skip
    """Build the response. `refusal` is a signed refusal (COSE_Sign1), given as base64."""
    body: dict[str, str | int] = {
        "type": f"urn:tial:problem:{code}",
        "title": TITLES.get(status, "Problem"),
        "status": status,
        "code": code,
        "detail": detail,
        "where": where,
        "remedy": remedy,
    }
    if refusal is not None:
        body["refusal"] = base64.b64encode(refusal).decode()
    extra = dict(headers or {})
    if status in {429, 503}:
        extra.setdefault("Retry-After", str(RETRY_AFTER))
    return Response(orjson.dumps(body), status, extra, MEDIA_TYPE)


def status_of(error: LedgerError) -> int:
    """The status for an error that stopped a request."""
    if isinstance(error, Rejection):
        return 422
    if isinstance(error, MalformedError):
        return 400
    if error.code in STATUSES:
        return STATUSES[error.code]
    return 503 if isinstance(error, UnavailableError) else 500


def problem_of(error: LedgerError) -> Response:
    """The response for an error that stopped a request."""
    status = status_of(error)
    if status == 500:
        log.error("a request failed", extra={"error": error.explain(), "code": error.code})
    headers = {"Retry-After": str(error.wait)} if isinstance(error, RateError) else None
    code = error.reason if isinstance(error, Rejection) else error.code
    return problem(status, code, error.detail, where=error.where, remedy=error.remedy, headers=headers)


def problem_of_refusal(refused: Refused) -> Response:
    """The response for a statement that was not admitted: 400 when it is malformed, else 422."""
    error = refused.error
    status = 400 if isinstance(error, MalformedError) else 422
    return problem(
        status, refused.reason, error.detail, where=error.where, remedy=error.remedy, refusal=refused.receipt
    )


def internal_problem(error: BaseException, path: str) -> Response:
    """The response for a fault of ours; its details go to the log alone."""
    log.error("a fault in a route", exc_info=error, extra={"path": path})
    return problem(500, "internal", "The server met a fault", remedy="Try again; tell the operator if it stays")
