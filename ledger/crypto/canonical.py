"""JSON documents with one encoding each: a restricted profile of RFC 8785 (JCS) and RFC 7493 (I-JSON).

Owns what a document may hold: null, booleans, integers below 2^53 in size, NFC strings, arrays, objects with ASCII
names, at most 32 deep and 1 MiB long. No floats: languages print them differently (amounts are strings or scaled
integers). Inside this profile orjson with sorted keys gives the very bytes of RFC 8785, many times faster; the tests
hold it to that. Trusts orjson for escaping and the standard library for parsing.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from typing import Any, NoReturn

import orjson

from ledger.crypto.digests import sha256
from ledger.errors import MalformedError

MAX_SIZE = 1 << 20
MAX_DEPTH = 32
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_INTEGER_LIMIT = 1 << 53
_INTEGER_DIGITS = 17  # sign and 16 digits; bounds the work of int() before the value is looked at


class DocumentError(MalformedError):
    """A document outside the profile.

    `rule` names what it breaks: depth, duplicate, float, integer, key, nfc, size, surrogate, syntax, type or utf-8.
    """

    def __init__(self, rule: str, detail: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(detail, where=where, remedy=remedy)
        self.rule = rule


def canonical_json(document: Any) -> bytes:
    """Encode a document (dict, list, str, int, bool, None) as RFC 8785 does: at most MAX_SIZE bytes.

    Raises DocumentError outside the profile.
    """
    _check(document, [])
    return _encode(document)


def parse_json(raw: bytes, *, max_size: int = MAX_SIZE) -> Any:
    """Parse a document in any JSON layout; order and white space are free. Raises DocumentError outside the profile."""
    if len(raw) > max_size:
        raise _too_long(len(raw), max_size)
    _refuse_deep(raw)
    try:
        document = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_refuse_float,
            parse_constant=_refuse_float,
        )
    except UnicodeDecodeError as fault:
        raise DocumentError("utf-8", "not UTF-8", where=f"byte {fault.start}", remedy="Encode as UTF-8") from fault
    except json.JSONDecodeError as fault:
        place = f"line {fault.lineno} column {fault.colno}"
        raise DocumentError("syntax", f"not JSON: {fault.msg}", where=place, remedy="Give one JSON value") from fault
    _check(document, [])
    return document


def _refuse_deep(raw: bytes) -> None:
    """Look at the brackets before parsing: the standard library's parser recurses, on the machine's own stack."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", raw)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MAX_DEPTH:
            raise _too_deep([])


def document_digest(document: Any) -> bytes:
    """SHA-256 (32 bytes) of the canonical encoding of a document, or of one as JSON bytes in any layout."""
    return sha256(_encode(parse_json(document)) if isinstance(document, bytes) else canonical_json(document))


def _encode(checked: Any) -> bytes:
    encoded = orjson.dumps(checked, option=orjson.OPT_SORT_KEYS)
    if len(encoded) > MAX_SIZE:
        raise _too_long(len(encoded), MAX_SIZE)
    return encoded


def _check(value: Any, path: list[str | int]) -> None:
    """Refuse what the profile does not have. Types are compared exactly: orjson would encode dates, enums and more.

    `path` leads to `value`. It is one list for the whole walk, turned into text on refusal only: names may be long.
    """
    kind = type(value)
    if kind is str:
        if not value.isascii():
            _check_text(value, path)
    elif kind is int:
        if not -_INTEGER_LIMIT < value < _INTEGER_LIMIT:
            raise _too_large(path)
    elif kind is dict or kind is list:
        if len(path) >= MAX_DEPTH:
            raise _too_deep(path)
        for name, member in value.items() if kind is dict else enumerate(value):
            if kind is dict and not (type(name) is str and name.isascii()):
                raise DocumentError(
                    "key", f"member name {name!r:.60} is not ASCII", where=_pointer(path), remedy="Rename it"
                )
            path.append(name)
            _check(member, path)
            path.pop()
    elif kind is float:
        raise _no_float(repr(value), path)
    elif kind is not bool and value is not None:
        raise DocumentError("type", f"JSON has no {kind.__name__}", where=_pointer(path), remedy="Give it as text")


def _check_text(text: str, path: list[str | int]) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise DocumentError("surrogate", "half a surrogate pair", where=_pointer(path), remedy="Give whole characters")
    if not unicodedata.is_normalized("NFC", text):
        raise DocumentError("nfc", "text not in normal form C", where=_pointer(path), remedy="Normalise it before use")


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(members)
    if len(names) != len(members):
        double = Counter(name for name, _ in members).most_common(1)[0][0]
        raise DocumentError("duplicate", f"member name {double!r:.60} occurs twice", remedy="Give each name once")
    return names


def _integer(digits: str) -> int:
    if len(digits) > _INTEGER_DIGITS:
        raise _too_large([])
    return int(digits)


def _refuse_float(text: str) -> NoReturn:
    raise _no_float(text, [])


def _no_float(text: str, path: list[str | int]) -> DocumentError:
    remedy = "Write it as a string or a scaled integer"
    return DocumentError("float", f"{text[:30]} is not an integer", where=_pointer(path), remedy=remedy)


def _too_large(path: list[str | int]) -> DocumentError:
    remedy = "Write large numbers as strings"
    return DocumentError("integer", "integer of 2^53 or more in size", where=_pointer(path), remedy=remedy)


def _too_deep(path: list[str | int]) -> DocumentError:
    remedy = f"At most {MAX_DEPTH} levels are taken"
    return DocumentError("depth", "nested too deep", where=_pointer(path), remedy=remedy)


def _too_long(size: int, bound: int) -> DocumentError:
    return DocumentError("size", f"document of {size} bytes", remedy=f"At most {bound} bytes are taken")


def _pointer(path: list[str | int]) -> str:
    """Show a path as RFC 6901 does, names cut to a readable length."""
    return "".join("/" + str(part)[:40].replace("~", "~0").replace("/", "~1") for part in path)
