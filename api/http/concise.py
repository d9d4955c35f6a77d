"""Concise problems: what the SCITT routes answer instead of problem+json (RFC 9290, SCRAPI section 2).

Owns the CBOR form and the titles that SCRAPI names. Statuses, codes and words are those of `api.http.problems`; what
RFC 9290 has no number for stands under one custom entry, the URN of our problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from api.http.answers import fit_text
from api.http.problems import RETRY_AFTER, TITLES, RateError, status_of
from ledger.errors import LedgerError, MalformedError, Rejection
from ledger.statements import encode

MEDIA_TYPE: Final = "application/concise-problem-details+cbor"
CUSTOM: Final = "urn:tial:problem"
_TITLE: Final = -1
_DETAIL: Final = -2
_REJECTED: Final = "Rejected"
_MALFORMED: Final = "Malformed request"


def concise(status: int, title: str, error: LedgerError, headers: Mapping[str, str] | None = None) -> Response:
    """A problem under `title`: {-1: title, -2: detail, "urn:tial:problem": {code, where, remedy}}."""
    code = error.reason if isinstance(error, Rejection) else error.code
    told = {"code": code, "where": fit_text(error.where), "remedy": fit_text(error.remedy)}
    body = encode({_TITLE: title, _DETAIL: fit_text(error.detail), CUSTOM: told})
    extra = dict(headers or {})
    if status in {429, 503}:
        extra.setdefault("Retry-After", str(RETRY_AFTER))
    return Response(body, status, extra, MEDIA_TYPE)


def concise_problem(error: LedgerError) -> Response:
    """The response for an error that stopped a request. A rejection is a 400, as SCRAPI has it."""
    if isinstance(error, Rejection):
        return concise(400, _REJECTED, error)
    status = status_of(error)
    if isinstance(error, MalformedError):
        return concise(status, _title_of(error.where), error)
    headers = {"Retry-After": str(error.wait)} if isinstance(error, RateError) else None
    return concise(status, TITLES.get(status, "Error"), error, headers)


def _title_of(where: str) -> str:
    """The title that SCRAPI has for what is malformed at this place."""
    named = {
        "detached payload": "Payload Missing",
        "protected.1": "Bad Signature Algorithm",
        "entry id": "Invalid locator",
    }
    return named.get(where, _MALFORMED)
