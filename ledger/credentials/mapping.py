"""Claim mapping: the members of a document that must equal claims of the statement about it (DESIGN section 4).

A template pairs claim names with JSON pointers (RFC 6901). Claims that may be mapped: the text claims of a
certification, `sub` and `iss`, and the times `nbf` and `exp`, which a document may write as Unix seconds or as an
RFC 3339 time.
The node checks at admission, the verifier always: a contradiction is "document contradicts statement".
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from ledger.errors import LedgerError
from ledger.statements import Statement

TIMES = frozenset({"nbf", "exp"})


class ContradictionError(LedgerError):
    """The document says something else than the statement, or not what the template asks for."""

    code = "document-contradicts-statement"


def resolve(document: Any, pointer: str) -> Any:
    """Follow a JSON pointer (RFC 6901); ContradictionError where it leads nowhere."""
    value = document
    for raw in pointer.split("/")[1:]:
        step = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and _is_place(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            raise ContradictionError("The document lacks a member that its template asks for", where=pointer)
    return value


def _is_place(step: str) -> bool:
    """Whether a step of a pointer may be a place in a list; no list is longer than nine digits say."""
    return len(step) < 10 and step.isascii() and step.isdigit()


def check_mapping(statement: Statement, mapping: Iterable[tuple[str, str]], document: Any) -> None:
    """Compare every mapped member of `document` with its claim; ContradictionError names the first that differs."""
    for claim, pointer in mapping:
        found, stated = resolve(document, pointer), claim_value(statement, claim)
        if claim in TIMES and isinstance(found, str):
            found = _seconds(found, pointer)
        if found != stated or type(found) is not type(stated):
            raise ContradictionError(
                f"The document says {found!r:.80} where the statement's claim {claim} is {stated!r:.200}",
                where=pointer,
                remedy="Issue the statement and the document from the same data",
            )


def claim_value(statement: Statement, claim: str) -> Any:
    """The value of a claim by the name that mappings use; ContradictionError where the statement has none."""
    named: dict[str, Any] = {
        "iss": statement.iss, "sub": statement.sub, "nbf": statement.nbf, "exp": statement.exp, "iat": statement.iat,
    }  # fmt: skip
    value = named[claim] if claim in named else statement.claims.get(claim)
    if value is None:
        raise ContradictionError(f"The statement has no claim {claim}", where=claim)
    return value


def _seconds(text: str, pointer: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ContradictionError("The time has no zone", where=pointer, remedy="Write UTC times with Z")
        return int(moment.astimezone(UTC).timestamp())
    except (ValueError, OverflowError) as error:
        raise ContradictionError("Not an RFC 3339 time", where=pointer) from error
