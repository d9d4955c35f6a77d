"""What a verification is asked about: parsed from a request that may be hostile, every member bounded.

Owns the names and forms of the members; `docs` and OpenAPI show the same. Judges nothing: a statement or checkpoint
that is well encoded here may still be refused by the step that reads it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger.crypto.canonical import canonical_json
from ledger.errors import MalformedError
from ledger.log.proofs import MAX_PROOF
from ledger.statements import MAX_STATEMENT_SIZE

MAX_DOCUMENT: Final = 1 << 20
MAX_CHECKPOINT: Final = 64 * 1024
MAX_SUBJECT: Final = 2_048
MAX_UINT: Final = 2**64 - 1
MEMBERS: Final = ("statement", "index", "size", "proof", "checkpoint", "document", "subject")
_HASH: Final = 32


@dataclass(frozen=True, slots=True)
class Request:
    """One question. At least one of `statement`, `index` and `subject` is given.

    `statement`: a statement's bytes. `index`: where it stands in the log. `size` and `proof`: an inclusion proof, leaf
    first. `checkpoint`: a signed note. `document`: JSON bytes. `subject`: a typed subject.
    """

    statement: bytes | None = None
    index: int | None = None
    size: int | None = None
    proof: tuple[bytes, ...] | None = None
    checkpoint: bytes | None = None
    document: bytes | None = None
    subject: str | None = None

    @classmethod
    def parse(cls, given: Any) -> Request:
        """Read a request as JSON gives it; MalformedError names the member that is wrong."""
        if not isinstance(given, Mapping):
            raise MalformedError("a verification request is an object", remedy=f"Its members are {', '.join(MEMBERS)}")
        for name in given:
            if name not in MEMBERS:
                known = ", ".join(MEMBERS)
                raise MalformedError("the member is unknown", where=str(name)[:80], remedy=f"Known are {known}")
        members = {name: value for name, value in given.items() if value is not None}
        request = cls(
            statement=_base64(members, "statement", MAX_STATEMENT_SIZE),
            index=_uint(members, "index"),
            size=_uint(members, "size"),
            proof=_proof(members),
            checkpoint=_text(members, "checkpoint", MAX_CHECKPOINT),
            document=_document(members),
            subject=_subject(members),
        )
        if request.statement is None and request.index is None and request.subject is None:
            raise MalformedError("nothing to verify", remedy="Give a statement, an index or a subject")
        if request.subject is not None and (request.statement is not None or request.index is not None):
            raise MalformedError("a subject stands alone", where="subject", remedy="Leave statement and index out")
        if request.proof is not None and (request.size is None or request.index is None):
            raise MalformedError("a proof is for an index and a size", where="proof", remedy="Give index and size too")
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


def _proof(members: Mapping[str, Any]) -> tuple[bytes, ...] | None:
    value = members.get("proof")
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MAX_PROOF:
        raise MalformedError(f"expected an array of at most {MAX_PROOF} hashes", where="proof")
    hashes = []
    for place, item in enumerate(value):
        if not isinstance(item, str) or len(item) != 2 * _HASH:
            raise MalformedError(f"expected {2 * _HASH} hexadecimal digits", where=f"proof[{place}]")
        try:
            hashes.append(binascii.unhexlify(item))
        except (binascii.Error, ValueError):
            raise MalformedError("not hexadecimal", where=f"proof[{place}]") from None
    return tuple(hashes)


def _text(members: Mapping[str, Any], name: str, limit: int) -> bytes | None:
    value = members.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > limit:
        raise MalformedError(f"expected a text of at most {limit} characters", where=name)
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise MalformedError("the text holds half a surrogate pair", where=name) from None


def _subject(members: Mapping[str, Any]) -> str | None:
    raw = _text(members, "subject", MAX_SUBJECT)
    return None if raw is None else raw.decode()


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
