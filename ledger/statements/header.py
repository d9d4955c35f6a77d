"""The protected header of statements and consents: one form for each, read and written (DESIGN section 4).

Owns the order and the values of the header's members. In deterministic CBOR all of them but kid and claims are
constants for a given algorithm and type: the header is head || kid || 0x0f || claims || tail. So reading compares
constants and decodes the claims, and nothing else can be accepted; a header that is refused is then decoded as a whole,
only to say what is wrong with it.
Follows RFC 9052 section 3.1 (1 alg, 3 content type, 4 kid), RFC 9597 (15 claims), RFC 9596 (16 typ) and the COSE hash
envelope (258 payload hash algorithm: -16, SHA-256; 259 content type of the document).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from ledger.crypto.suites import SUITES, suite_by_alg
from ledger.errors import MalformedError
from ledger.statements.cbor import decode, decode_item, encode
from ledger.statements.shapes import below
from ledger.statements.types import CONSENT, TYPES, StatementType, media_type

ALG: Final = 1
CONTENT_TYPE: Final = 3
KID: Final = 4
CLAIMS: Final = 15
TYP: Final = 16
PAYLOAD_HASH_ALG: Final = 258
PAYLOAD_CONTENT_TYPE: Final = 259

KID_SIZE: Final = 32
_CLAIMS_KEY: Final = 0x0F


class Form(Enum):
    """What the payload is; the value holds the header members that say so, as they must be."""

    ENVELOPE = ((PAYLOAD_HASH_ALG, -16), (PAYLOAD_CONTENT_TYPE, "application/json"))
    BODY = ((CONTENT_TYPE, "application/cbor"),)
    CONSENT = ()


def form_of(entry: StatementType) -> Form:
    """Return the form of a statement type's header."""
    return Form.ENVELOPE if entry.body is None else Form.BODY


def _head(alg: int, form: Form) -> bytes:
    """All bytes of the header before the kid."""
    members: list[tuple[int, Any]] = [(ALG, alg), *[member for member in form.value if member[0] < KID]]
    count = 4 + len(form.value)
    return b"".join(
        [bytes([0xA0 + count]), *[encode(key) + encode(value) for key, value in members], encode(KID), b"\x58\x20"]
    )


def _tail(name: str, form: Form) -> bytes:
    """All bytes of the header after the claims."""
    members = [(TYP, media_type(name)), *[member for member in form.value if member[0] > TYP]]
    return b"".join([encode(key) + encode(value) for key, value in members])


_ALGS: Final = tuple(suite.alg for suite in SUITES.values() if suite.alg is not None)
_HEADS: Final = {(alg, form): _head(alg, form) for form in Form for alg in _ALGS}
_TAILS: Final = {(entry.name, form_of(entry)): _tail(entry.name, form_of(entry)) for entry in TYPES.values()} | {
    (CONSENT, Form.CONSENT): _tail(CONSENT, Form.CONSENT)
}
# For reading: each head with its length, and the type or the consent that each tail with each head's form means.
_BY_HEAD: Final = tuple((head, len(head), alg, form) for (alg, form), head in _HEADS.items())
_BY_TAIL: Final = {form: {tail: name for (name, own), tail in _TAILS.items() if own is form} for form in Form}


def build_header(name: str, form: Form, alg: int, kid: bytes, claims: Mapping[str | int, Any]) -> bytes:
    """Write the protected header of a statement of type `name`, or of a consent."""
    head = _HEADS.get((alg, form))
    if head is None:
        suite_by_alg(alg)
        raise MalformedError(f"algorithm {alg} does not sign statements", where="alg")
    return b"".join((head, kid, b"\x0f", encode(claims), _TAILS[name, form]))


def read_header(protected: bytes) -> tuple[str, int, bytes, dict[Any, Any]]:
    """Read a protected header: name of the type (or `CONSENT`), alg, kid, claims.

    The claims are decoded, not yet checked. Raises MalformedError for every header that `build_header` does not write.
    """
    for head, at, alg, form in _BY_HEAD:
        if protected.startswith(head):
            return _read_rest(protected, at, alg, form)
    raise _explained(protected)


def _read_rest(protected: bytes, kid_at: int, alg: int, form: Form) -> tuple[str, int, bytes, dict[Any, Any]]:
    at = kid_at + KID_SIZE
    try:
        if protected[at] != _CLAIMS_KEY:
            raise _explained(protected)
        claims, end = decode_item(protected, at + 1, 1)
    except IndexError:
        raise MalformedError("the input ends inside an item", where="protected") from None
    except MalformedError as error:
        raise below(error, "protected") from None
    name = _BY_TAIL[form].get(protected[end:])
    if name is None:
        raise _explained(protected)
    return name, alg, protected[kid_at:at], claims


def _explained(protected: bytes) -> MalformedError:
    """Build the error for a header that is not in its form: what is wrong with it, and where."""
    try:
        _explain_members(decode(protected))
    except MalformedError as error:
        return below(error, "protected")
    return MalformedError("the protected header is not in its one form", where="protected")


def _explain_members(header: Any) -> None:
    if type(header) is not dict:
        raise MalformedError("expected a map")
    typ = header.get(TYP)
    names = {media_type(name): (name, form) for name, form in _TAILS}
    if type(typ) is not str or typ not in names:
        raise MalformedError(f"unknown type {str(typ)[:80]!r}", where=str(TYP), remedy=f"Use one of {', '.join(names)}")
    name, form = names[typ]
    expected = {ALG, KID, CLAIMS, TYP, *dict(form.value)}
    for key in header:
        if key not in expected:
            raise MalformedError(f"a {name} has no such header member", where=str(key)[:80], remedy="Leave it out")
    for key in sorted(expected):
        if key not in header:
            raise MalformedError("the header member is missing", where=str(key))
    if type(header[ALG]) is not int or header[ALG] not in _ALGS:
        known = ", ".join(str(alg) for alg in _ALGS)
        raise MalformedError(f"unknown algorithm {str(header[ALG])[:40]}", where=str(ALG), remedy=f"Use one of {known}")
    if type(header[KID]) is not bytes or len(header[KID]) != KID_SIZE:
        raise MalformedError(f"expected the {KID_SIZE} bytes of a key identifier", where=str(KID))
    for key, value in form.value:
        if header[key] != value or type(header[key]) is not type(value):
            raise MalformedError(f"expected {value!r}, found {str(header[key])[:80]!r}", where=str(key))
