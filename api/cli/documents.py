"""Documents that the command line makes from rows: what a registration and a certificate say about an asset.

A certificate is built by its template: every member that the template maps holds the statement's claim. `checked` then
compares the two as the node and every verifier will, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from api.acts import Period
from api.cli.rows import put
from ledger.credentials.mapping import TIMES, check_mapping
from ledger.crypto.canonical import canonical_json
from ledger.errors import LedgerError, MalformedError
from ledger.statements import decode_statement


def registration_document(sub: str, holder: str, members: Mapping[str, Any]) -> bytes:
    """What is registered: identifier, first holder, and what the row says about it. Canonical JSON."""
    for name in ("id", "holder"):
        if name in members:
            raise MalformedError(
                f"The member {name!r} is the statement's own", where=name, remedy="Map the column to another name"
            )
    return canonical_json({"id": sub, "holder": holder, **members})


def certificate_document(
    mapping: Mapping[str, str], claims: Mapping[str, Any], period: Period, members: Mapping[str, Any]
) -> bytes:
    """A certificate: the row's members, and at each place that the template maps the claim. Canonical JSON.

    `claims` holds the statement's text claims, and iss and sub.
    """
    document = dict(members)
    named = {**claims, "nbf": period.nbf, "exp": period.exp}
    for claim, pointer in mapping.items():
        if claim not in named:
            raise MalformedError(
                f"The template maps the claim {claim!r}, which a certification does not have", where=pointer
            )
        value = named[claim]
        put(document, pointer, _moment(value) if claim in TIMES else value)
    return canonical_json(document)


def checked(raw: bytes, mapping: Mapping[str, str], document: Any) -> None:
    """Check that a statement and its document agree; MalformedError where they do not."""
    try:
        check_mapping(decode_statement(raw), mapping.items(), document)
    except LedgerError as error:
        raise MalformedError(error.detail, where=error.where, remedy=error.remedy) from error


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
