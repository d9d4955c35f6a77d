"""What a verification is asked about: parsed from a request that may be hostile, every member bounded.

Owns the names and forms of the members; OpenAPI shows the same. Judges nothing: a bundle or document that is well
encoded here may still be refused by the step that reads it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ledger.crypto.canonical import canonical_json
from ledger.errors import MalformedError
from ledger.statements import MAX_STATEMENT_SIZE

MAX_POSTED: Final = 4 << 20
"""Bytes of a bundle that is verified for somebody; longer ones are verified offline."""
MAX_BODY: Final = 6 << 20
"""Bytes of a request: such a bundle in base64, and a policy."""
MAX_POLICY: Final = 256 << 10
MAX_DOCUMENT: Final = 1 << 20
MAX_SUBJECT: Final = 2_048
MAX_UINT: Final = 2**64 - 1
MEMBERS: Final = ("subject", "index", "statement", "document", "bundle", "policy")
_REMEDY: Final = "Members are {}; a receipt or a proof file is verified offline: tial receipt verify"


@dataclass(frozen=True, slots=True)
class Request:
    """One question: a subject, an entry (its `index`, a `statement`'s bytes, or both), or a bundle.

    `document`: JSON bytes that are shown with it; in a bundle it has its place. `policy`: text of the policy file to
    verify under, None for this node's own.
    """

    statement: bytes | None = None
    index: int | None = None
    document: bytes | None = None
    subject: str | None = None
    bundle: bytes | None = None
    policy: str | None = None

    @classmethod
    def read(cls, raw: bytes) -> Request:
        """Read a request's JSON bytes; MalformedError names the member that is wrong."""
        try:
            given = orjson.loads(raw)
        except ValueError as error:
            raise MalformedError(f"The body is not JSON: {str(error)[:200]}", where="body") from None
        return cls.parse(given)

    @classmethod
    def parse(cls, given: Any) -> Request:
        """Read a request as JSON gives it; MalformedError names the member that is wrong."""
        known = _REMEDY.format(", ".join(MEMBERS))
        if not isinstance(given, Mapping):
            raise MalformedError("a verification request is an object", remedy=known)
        for name in given:
            if name not in MEMBERS:
                raise MalformedError("the member is unknown", where=str(name)[:80], remedy=known)
        members = {name: value for name, value in given.items() if value is not None}
        policy = _text(members, "policy", MAX_POLICY)
        request = cls(
            statement=_base64(members, "statement", MAX_STATEMENT_SIZE),
            index=_uint(members, "index"),
            document=_document(members),
            subject=_text(members, "subject", MAX_SUBJECT),
            bundle=_base64(members, "bundle", MAX_POSTED),
            policy=policy,
        )
        about = (request.statement, request.index, request.subject, request.bundle)
        if all(member is None for member in about):
            remedy = "Give a subject, an index, a statement or a bundle"
            raise MalformedError("nothing to verify", remedy=remedy)
        for name, beside in (("bundle", (*about[:3], request.document)), ("subject", about[:2])):
            if getattr(request, name) is not None and any(member is not None for member in beside):
                raise MalformedError(f"a {name} stands alone", where=name, remedy="Leave the other members out")
        return request


def _base64(members: Mapping[str, Any], name: str, limit: int) -> bytes | None:
    value = members.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > 4 * (limit // 3 + 1):
        raise MalformedError(f"expected base64 of at most {limit} bytes", where=name)
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError(f"not base64: {error}", where=name, remedy="Use the standard alphabet, padded") from None
    if len(data) > limit:
        raise MalformedError(f"at most {limit} bytes are taken", where=name)
    return data


def _uint(members: Mapping[str, Any], name: str) -> int | None:
    value = members.get(name)
    if value is not None and (type(value) is not int or not 0 <= value <= MAX_UINT):
        raise MalformedError("expected an unsigned integer of 64 bits", where=name)
    return value


def _text(members: Mapping[str, Any], name: str, limit: int) -> str | None:
    value = members.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > limit:
        raise MalformedError(f"expected a text of at most {limit} characters", where=name)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MalformedError("the text holds half a surrogate pair", where=name) from None
    return value


def _document(members: Mapping[str, Any]) -> bytes | None:
    """A document as an object, or as base64 of its JSON bytes."""
    value = members.get("document")
    if isinstance(value, str):
        return _base64(members, "document", MAX_DOCUMENT)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise MalformedError("expected an object, or base64 of JSON bytes", where="document")
    return canonical_json(value)
