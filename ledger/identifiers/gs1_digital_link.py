"""GS1 Digital Link URIs: a primary key and its qualifiers in the path, other elements in the query.

Follows the GS1 Digital Link standard (URI syntax) sections 4 and 5. The path `01/06901234567892/21/A1` is also the
normal form of GS1 identifiers here: data is percent-encoded in one way, all but the unreserved characters of RFC 3986.
Words instead of AIs (`/gtin/`), which the standard has withdrawn, are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ledger.identifiers.gs1_table import TABLE, Rule
from ledger.identifiers.gs1_values import Element, check_element
from ledger.identifiers.text import IdentifierError, check_text, show, wrong_character

TITLE = "GS1 Digital Link"
CANONICAL_STEM = "https://id.gs1.org"
_REMEDY = "Write https://domain/key/value/qualifier/value?attribute=value with AIs of digits, qualifiers in order"
_GTIN_KEYS = frozenset({"01", "02", "03"})

_uri = re.compile(r"(?:https?|HTTPS?)://([A-Za-z0-9.\-:\[\]]+)(/[^?#]*)(?:\?([^#]*))?(?:#.*)?").fullmatch
_uri_characters = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*").match
_bad_escape = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_escape = re.compile(r"%([0-9A-Fa-f]{2})")
_reserved = re.compile(r"[^A-Za-z0-9\-._~]")


@dataclass(frozen=True, slots=True)
class DigitalLink:
    """The elements of a Digital Link: the key first in `path`, then its qualifiers; `attributes` from the query."""

    path: tuple[Element, ...]
    attributes: tuple[Element, ...]

    @property
    def elements(self) -> tuple[Element, ...]:
        """All elements, the path's first."""
        return self.path + self.attributes


def parse_uri(uri: str, *, zero_suppressed: bool = False) -> DigitalLink:
    """Read a Digital Link URI. `zero_suppressed`: also take GTINs of 8, 12 or 13 digits, padded to 14."""
    check_text(TITLE, uri)
    run = _uri_characters(uri)
    end = run.end() if run else 0
    if end < len(uri):
        raise wrong_character(TITLE, uri, end, "a character of a URI", "Percent-encode it")
    found = _uri(uri)
    if found is None:
        raise IdentifierError(f"{TITLE}: {show(uri)} is no http or https URI with a path", remedy=_REMEDY)
    _domain, path, query = found.groups()
    elements = _locate(path.split("/")[1:], zero_suppressed=zero_suppressed)
    return DigitalLink(elements, _read_query(query or "", elements, zero_suppressed=zero_suppressed))


def read_path(path: str) -> tuple[Element, ...]:
    """Read `key/value/qualifier/value...` that begins with its primary key."""
    segments = path.split("/")
    elements = _locate(segments, zero_suppressed=False)
    if 2 * len(elements) != len(segments):
        raise wrong_character(TITLE, path, 0, "exactly one primary key, at the start", _REMEDY)
    return elements


def _locate(segments: Sequence[str], *, zero_suppressed: bool) -> tuple[Element, ...]:
    """Find the rightmost primary key, counting pairs from the right; check the sequence and every element."""
    start = len(segments) - 2
    while start >= 0:
        rule = TABLE.get(segments[start])
        if rule is None:
            break
        if rule.qualifiers is not None:
            pairs = zip(segments[start::2], segments[start + 1 :: 2], strict=True)
            return _check_sequence(rule, [_element(ai, value, zero_suppressed=zero_suppressed) for ai, value in pairs])
        start -= 2
    place = segments[start] if start >= 0 else "/".join(segments)
    raise IdentifierError(
        f"{TITLE}: no primary key before the end of the path; {show(place)} is not one", where="path", remedy=_REMEDY
    )


def _check_sequence(key: Rule, elements: list[Element]) -> tuple[Element, ...]:
    """Refuse qualifiers that are no part of one ordered list of the key's."""
    if not fits([element.ai for element in elements[1:]], key):
        lists = " or ".join("/".join(names) for names in key.qualifiers or ()) or "none"
        given = "/".join(element.ai for element in elements[1:])
        raise IdentifierError(
            f"{TITLE}: qualifiers {given} of ({key.ai}) are wrong or out of order; it takes {lists}",
            where="path",
            remedy="Put the qualifiers in this order, other AIs in the query",
        )
    return tuple(elements)


def fits(ais: Sequence[str], key: Rule) -> bool:
    """Whether `ais`, in this order, are qualifiers of `key` from one of its lists, each at most once."""
    if not ais:
        return True
    for names in key.qualifiers or ():
        places = [names.index(ai) if ai in names else -1 for ai in ais]
        if places[0] >= 0 and all(low < high for low, high in pairwise(places)):
            return True
    return False


def _element(ai: str, value: str, *, zero_suppressed: bool) -> Element:
    if not value:
        raise IdentifierError(f"{TITLE}: ({ai}) has no value", where=f"({ai})", remedy=_REMEDY)
    flaw = _bad_escape(value)
    if flaw:
        raise wrong_character(TITLE, value, flaw.start(), "% and two hexadecimal digits", "Write a percent sign as %25")
    plain = _escape.sub(lambda found: chr(int(found[1], 16)), value)
    if zero_suppressed and ai in _GTIN_KEYS and len(plain) in {8, 12, 13}:
        plain = plain.zfill(14)
    return check_element(ai, plain)


def _read_query(query: str, path: tuple[Element, ...], *, zero_suppressed: bool) -> tuple[Element, ...]:
    """Read the attributes; parameters whose name is not all digits belong to somebody else and are dropped."""
    attributes: list[Element] = []
    seen = {element.ai for element in path}
    for parameter in query.split("&"):
        name, equals, value = parameter.partition("=")
        if not equals or not name.isdigit():
            continue
        if name not in TABLE:
            raise IdentifierError(f"{TITLE}: {show(name)} in the query is no AI", where="query", remedy="Remove it")
        if name in seen:
            raise IdentifierError(f"{TITLE}: ({name}) occurs twice", where="query", remedy="Give each AI once")
        _check_attribute(name, path)
        seen.add(name)
        attributes.append(_element(name, value.replace("+", " "), zero_suppressed=zero_suppressed))
    return tuple(attributes)


def _check_attribute(ai: str, path: Sequence[Element]) -> None:
    """Refuse an AI in the query that may not stand there, or that belongs into this path."""
    key = TABLE[path[0].ai]
    present = {element.ai for element in path[1:]}
    belongs = any(ai in names and present <= set(names) for names in key.qualifiers or ())
    if belongs or not TABLE[ai].attribute:
        raise IdentifierError(
            f"{TITLE}: ({ai}) may not be an attribute of this link",
            where="query",
            remedy="Move it into the path behind its key" if belongs else "Remove it",
        )


def split_elements(values: dict[str, str], key: str) -> DigitalLink:
    """Sort elements into path and attributes for the primary key `key`.

    Of the key's lists of qualifiers the one with most elements present counts. Attributes with a predefined length come
    first, otherwise all keep their order.
    """
    rule = TABLE[key]
    chosen: tuple[str, ...] = ()
    for names in rule.qualifiers or ():
        present = tuple(ai for ai in names if ai in values)
        if len(present) > len(chosen):
            chosen = present
    path = (Element(key, values[key]), *(Element(ai, values[ai]) for ai in chosen))
    rest = [Element(ai, value) for ai, value in values.items() if ai != key and ai not in chosen]
    rest.sort(key=lambda element: not TABLE[element.ai].fixed)
    return DigitalLink(path, tuple(rest))


def build_uri(elements: Iterable[Element], stem: str = CANONICAL_STEM) -> str:
    """Write elements as a Digital Link URI: the first primary key among them becomes the key of the path."""
    values: dict[str, str] = {}
    for ai, value in elements:
        if values.setdefault(ai, value) != value:
            raise IdentifierError(f"{TITLE}: ({ai}) occurs with two values", where=f"({ai})")
    key = next((ai for ai in values if TABLE[ai].qualifiers is not None), None)
    if key is None:
        raise IdentifierError(f"{TITLE}: no primary key among the elements", remedy="Add one, such as (01)")
    link = split_elements(values, key)
    for attribute in link.attributes:
        _check_attribute(attribute.ai, link.path)
    query = "&".join(f"{ai}={escape_value(value)}" for ai, value in link.attributes)
    return f"{stem.rstrip('/')}/{write_path(link.path)}" + (f"?{query}" if query else "")


def write_path(elements: Iterable[Element]) -> str:
    """Write elements as the path of a Digital Link, without a leading slash."""
    return "/".join(f"{ai}/{escape_value(value)}" for ai, value in elements)


def escape_value(value: str) -> str:
    """Percent-encode everything but the unreserved characters of RFC 3986."""
    return _reserved.sub(lambda found: f"%{ord(found[0]):02X}", value)
