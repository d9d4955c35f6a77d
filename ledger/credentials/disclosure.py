"""Documents that are not public: members replaced by salted digests, and shown one by one (DESIGN rule 9).

The form is that of SD-JWT (RFC 9901 sections 4.2 and 7.1) for members of objects: a disclosure is the base64url text of
the JSON array [salt, name, value] with 128 bits of salt; its SHA-256 stands in the member `_sd` of the object that held
the member, in sorted order so that their order tells nothing. What is digested into the log is the concealed document;
the disclosures stay with the holder, who shows those that a reader needs.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ledger.crypto.canonical import MAX_DEPTH, canonical_json, parse_json
from ledger.errors import MalformedError

DIGESTS = "_sd"
ALGORITHM = "_sd_alg"
RESERVED = frozenset({DIGESTS, ALGORITHM, "..."})
SALT_BYTES = 16
MAX_DISCLOSURES = 1_000
MAX_DISCLOSURE = 65_536


class DisclosureError(MalformedError):
    """A disclosure that does not belong to the document, or a member that cannot be concealed."""

    code = "disclosure"


def conceal(
    document: dict[str, Any],
    pointers: Iterable[str],
    salt: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[dict[str, Any], list[str]]:
    """Replace the members at `pointers` (RFC 6901, members of objects only) by salted digests.

    Returns the concealed document and one disclosure a pointer, in the order given. Deeper members must be named before
    the members that hold them. `salt` gives random bytes; only tests pass their own.
    """
    concealed = copy.deepcopy(document)
    _refuse_reserved(concealed)
    disclosures: list[str] = []
    for pointer in pointers:
        parent, name = _parent(concealed, pointer)
        disclosure = _encode([_text(salt(SALT_BYTES)), name, parent.pop(name)])
        parent[DIGESTS] = sorted([*parent.get(DIGESTS, []), digest_of(disclosure)])
        disclosures.append(disclosure)
    if disclosures:
        concealed[ALGORITHM] = "sha-256"
    return concealed, disclosures


def reveal(document: dict[str, Any], disclosures: Sequence[str]) -> dict[str, Any]:
    """Put disclosed members back; what was not disclosed stays away, and no digest remains.

    Raises:
        DisclosureError: a disclosure that fits no digest, twice the same, a name that is there already or reserved.

    """
    if len(disclosures) > MAX_DISCLOSURES:
        raise DisclosureError(f"At most {MAX_DISCLOSURES} disclosures are taken, not {len(disclosures)}")
    by_digest: dict[str, tuple[str, Any]] = {}
    for number, text in enumerate(disclosures):
        where = f"disclosures[{number}]"
        digest, member = digest_of(text), _decode(text, where)
        if digest in by_digest:
            raise DisclosureError("The disclosure is given twice", where=where)
        by_digest[digest] = member
    used: set[str] = set()
    revealed: dict[str, Any] = _reveal(document, by_digest, used)
    revealed.pop(ALGORITHM, None)
    unused = set(by_digest) - used
    if unused:
        raise DisclosureError(
            f"{len(unused)} disclosures belong to no member of the document",
            remedy="Send those made with this document",
        )
    return revealed


def digest_of(disclosure: str) -> str:
    """The digest that stands for a disclosure: base64url of SHA-256 of its text (RFC 9901 section 4.2.3)."""
    return _text(hashlib.sha256(disclosure.encode("ascii", "replace")).digest())


def _reveal(value: Any, members: dict[str, tuple[str, Any]], used: set[str], depth: int = 0) -> Any:
    if not isinstance(value, list | dict):
        return value
    if depth >= MAX_DEPTH:  # disclosures may hold one another: what was concealed was no deeper than any document
        raise DisclosureError(f"The document with its disclosures has more than {MAX_DEPTH} levels")
    if isinstance(value, list):
        return [_reveal(item, members, used, depth + 1) for item in value]
    result = {name: _reveal(item, members, used, depth + 1) for name, item in value.items() if name != DIGESTS}
    digests = value.get(DIGESTS, [])
    if not isinstance(digests, list) or not all(isinstance(digest, str) for digest in digests):
        raise DisclosureError("Not a list of digests", where=DIGESTS)
    for digest in digests:
        if digest in used:
            raise DisclosureError("A digest stands in the document twice", where=DIGESTS)
        if digest not in members:
            continue
        used.add(digest)
        name, item = members[digest]
        if name in result:
            raise DisclosureError(f"The member {name!r} is there already", where=name)
        result[name] = _reveal(item, members, used, depth + 1)
    return result


def _parent(document: dict[str, Any], pointer: str) -> tuple[dict[str, Any], str]:
    value: Any = document
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    for step in steps[:-1]:
        value = value.get(step) if isinstance(value, dict) else None
    if not steps or not isinstance(value, dict) or steps[-1] not in value:
        raise DisclosureError("There is no such member to conceal", where=pointer)
    return value, steps[-1]


def _refuse_reserved(value: Any) -> None:
    if isinstance(value, dict):
        found = RESERVED & value.keys()
        if found:
            raise DisclosureError(f"The name {min(found)!r} is reserved", where=min(found))
        for item in value.values():
            _refuse_reserved(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_reserved(item)


def _encode(parts: list[Any]) -> str:
    return _text(canonical_json(parts))


def _decode(disclosure: str, where: str) -> tuple[str, Any]:
    if len(disclosure) > MAX_DISCLOSURE or not disclosure.isascii():
        raise DisclosureError("Not a disclosure: too long, or not ASCII", where=where)
    try:
        raw = base64.b64decode(disclosure + "=" * (-len(disclosure) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise DisclosureError("Not base64url", where=where) from error
    if _text(raw) != disclosure:
        raise DisclosureError("Not canonical base64url", where=where)
    match parse_json(raw):
        case [str(), str(name), value] if name not in RESERVED:
            return name, value
        case _:
            raise DisclosureError("Not an array of salt, name and value", where=where)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
