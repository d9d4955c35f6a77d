"""Subjects inside URL paths, read from the path as it was sent.

A typed subject is percent-encoded already, and stands in a path verbatim; frameworks decode paths, after which `/` and
`%2F` are one. One that was encoded once more as a whole is accepted as well, because it cannot be read as a subject.
"""

from __future__ import annotations

from urllib.parse import unquote

from starlette.requests import Request

from ledger.errors import MalformedError
from ledger.statements import subjects


def raw_tail(request: Request, prefix: str) -> str:
    """What follows `prefix` in the path, undecoded."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    path = raw.decode("latin-1")
    if not path.startswith(prefix) or not path.isascii():
        raise MalformedError("The path holds bytes that are not ASCII", where="path", remedy="Percent-encode them")
    return path[len(prefix) :]


def subject_in_path(request: Request, prefix: str, tag: str = "") -> str:
    """The subject whose text after `tag` stands behind `prefix`; MalformedError for anything that is no subject."""
    tail = raw_tail(request, prefix)
    verbatim = tag + tail
    try:
        subjects.parse(verbatim)
    except MalformedError:
        decoded = tag + unquote(tail)
        if "%" not in tail:
            raise
        subjects.parse(decoded)
        return decoded
    return verbatim
