"""GS1 identifiers (tag `gs1`): GTIN, SSCC, GLN, GRAI, GIAI and the other keys, with their qualifiers.

The normal form is the path of a GS1 Digital Link, `01/06901234567892/21/A1`: key, then qualifiers in their order.
Element strings, scanner output, Digital Link URIs and, with the kind of key named, bare keys are read too; attributes
such as dates describe the thing and are not part of its identity. GS1 keys are never allotted again.

A delegation prefix is the first 3 to 12 digits of the GS1 company prefix as it stands in the key: behind the
indicator of a GTIN-14, the extension digit of an SSCC and the leading zero of a GRAI. GTIN-12 and GTIN-8 are padded,
so that their prefixes begin with the zeros of the padding.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ledger.identifiers.check_digits import gs1_check_digit
from ledger.identifiers.gs1_digital_link import parse_uri, read_path, split_elements, write_path
from ledger.identifiers.gs1_elements import check_pairs, is_scanned, parse_bracketed, parse_scanned
from ledger.identifiers.gs1_table import KEYS, TABLE, Part
from ledger.identifiers.gs1_values import Element, check_element
from ledger.identifiers.scheme import Identifier
from ledger.identifiers.text import MAX_NORMAL, IdentifierError, check_text, show

TITLE = "GS1 identifier"
KEY_KINDS = {"gtin": "01", "sscc": "00", "gln": "414", "party": "417", "grai": "8003", "giai": "8004", "gmn": "8013"}
_GTIN_LENGTHS = (8, 12, 13, 14)
_BEHIND_ONE = frozenset({"00", "01", "8003", "8006"})  # keys whose first digit comes before the company prefix

_CLASSES = {
    "n": "[0-9]",
    "x": r"(?:[A-Za-z0-9\-._]|%(?:2[1256789ABCF]|3[A-F]))",
    "y": "(?:[A-Z0-9-]|%2[3F])",
}
_prefix = re.compile(r"[0-9]{3,12}").fullmatch
_digits = re.compile(r"[0-9]{3,12}").match


@dataclass(frozen=True, slots=True)
class _Form:
    """The compiled normal form of one primary key.

    Group 1 holds the digits with a check digit, if `checked`. `thorough` asks for the check by elements as well.
    """

    match: Callable[[str], re.Match[str] | None]
    checked: bool
    thorough: bool


def _part_pattern(part: Part) -> str:
    if part.checks == ("zero",):
        return "0"
    length = str(part.most) if part.least == part.most else f"{part.least},{part.most}"
    pattern = f"{_CLASSES[part.kind]}{{{length}}}"
    if "mod10" in part.checks:
        pattern = f"({pattern})"
    return f"(?:{pattern})?" if part.optional else pattern


def _form(ai: str) -> _Form:
    rule = TABLE[ai]
    pattern = f"{ai}/" + ("(?=[0-9]{4})" if any("gcp" in part.checks for part in rule.parts) else "")
    pattern += "".join(_part_pattern(part) for part in rule.parts)
    known = {"mod10", "gcp", "zero"}
    thorough = any(not known.issuperset(part.checks) for part in rule.parts)
    alternatives = []
    for names in rule.qualifiers or ():
        sequence = ""
        for name in names:
            parts = TABLE[name].parts
            if any(part.checks for part in parts):
                sequence += f"(?:(?P<thorough>/){name}/" + "".join(_part_pattern(part) for part in parts) + ")?"
            else:
                sequence += f"(?:/{name}/" + "".join(_part_pattern(part) for part in parts) + ")"
                sequence += "" if rule.needs else "?"
        alternatives.append(sequence)
    if alternatives:
        pattern += f"(?:{'|'.join(alternatives)})"
    checked = any("mod10" in part.checks for part in rule.parts)
    return _Form(re.compile(pattern).fullmatch, checked, thorough)


_FORMS = {ai: _form(ai) for ai in KEYS}


class Gs1Scheme:
    """GS1 keys and their qualifiers, delegated by company prefix."""

    tag = "gs1"
    title = TITLE
    escaped = True
    reusable = False

    def parse(self, text: str) -> Identifier:
        """Read an element string, scanner output, a Digital Link URI, or a path of one."""
        if is_scanned(text):
            return _from_elements(parse_scanned(text))
        check_text(TITLE, text)
        if text.startswith("("):
            return _from_elements(parse_bracketed(text))
        if text[:8].lower().startswith(("http://", "https://")):
            link = parse_uri(text)
            check_pairs(link.elements)
            return self.read_normal(write_path(link.path))
        if "/" in text:
            return self.read_normal(write_path(read_path(text)))
        guesses = guess_keys(text)
        could = ", ".join(show(guess.normal) for guess in guesses) or "no key by length and check digit"
        raise IdentifierError(
            f"{TITLE}: {show(text)} does not say which key it is; it could be {could}",
            remedy="Put the AI in front, such as (01), or ask for a kind of key",
        )

    def read_normal(self, text: str) -> Identifier:
        """Read a normal form: the path of a Digital Link, encoded in the one way."""
        form = _FORMS.get(text.partition("/")[0])
        if form is None or len(text) > MAX_NORMAL:
            raise _explain(text)
        found = form.match(text)
        if found is None:
            raise _explain(text)
        if form.checked:
            digits = found[1]
            if digits[-1] != gs1_check_digit(digits[:-1]):
                raise _explain(text)
        if form.thorough or found.lastgroup:
            check_pairs(read_path(text))
        return Identifier("gs1", text)

    def prefixes(self, normal: str) -> tuple[str, ...]:
        """Return the first 12 to 3 digits of the company prefix as it stands in the key."""
        ai, _, rest = normal.partition("/")
        digits = rest[1:13] if ai in _BEHIND_ONE else rest[:12]
        if len(digits) == 12 and digits.isdigit():
            return (
                digits, digits[:11], digits[:10], digits[:9], digits[:8], digits[:7], digits[:6], digits[:5],
                digits[:4], digits[:3],
            )  # fmt: skip
        run = _digits(digits)
        return (run[0], *self.parent_prefixes(run[0])) if run else ()

    def is_prefix(self, text: str) -> bool:
        """Whether `text` is 3 to 12 digits."""
        return _prefix(text) is not None

    def parent_prefixes(self, prefix: str) -> tuple[str, ...]:
        """Return the shorter prefixes, down to 3 digits."""
        return tuple(prefix[:n] for n in range(len(prefix) - 1, 2, -1))


def parse_key(kind: str, text: str) -> Identifier:
    """Read a bare key of the kind named (one of KEY_KINDS); a GTIN of 8, 12 or 13 digits is padded to 14."""
    ai = KEY_KINDS.get(kind)
    if ai is None:
        raise IdentifierError(f"{TITLE}: no key is called {show(kind)}", remedy=f"Use one of {', '.join(KEY_KINDS)}")
    check_text(TITLE, text)
    if kind == "gtin" and len(text) in _GTIN_LENGTHS and text.isascii() and text.isdigit():
        text = text.zfill(14)
    return GS1.read_normal(write_path([check_element(ai, text)]))


def guess_keys(text: str) -> list[Identifier]:
    """Return the keys that a bare text could be, by length and check digit; a GIAI only if nothing else."""
    found = []
    for kind in ("gtin", "sscc", "gln", "grai", "gmn"):
        try:
            found.append(parse_key(kind, text))
        except IdentifierError:
            continue  # not this key: that is the answer, not a failure
    if found or text.isdigit() or "/" in text or "(" in text:
        return found
    try:
        return [parse_key("giai", text)]
    except IdentifierError:
        return []


def _from_elements(elements: tuple[Element, ...]) -> Identifier:
    """Build the identifier that an element string means."""
    values = check_pairs(elements)
    keys = [ai for ai in values if ai in _FORMS]
    if len(keys) != 1:
        found = " and ".join(f"({ai})" for ai in keys) or "no key"
        raise IdentifierError(
            f"{TITLE}: {found} in one element string; expected exactly one primary key",
            remedy="Give one key, such as (01), with its qualifiers",
        )
    link = split_elements(values, keys[0])
    stray = [e.ai for e in link.attributes if any(e.ai in names for names in TABLE[keys[0]].qualifiers or ())]
    if stray:
        raise IdentifierError(
            f"{TITLE}: ({stray[0]}) does not go with the other qualifiers of ({keys[0]})", remedy="Give one set of them"
        )
    return GS1.read_normal(write_path(link.path))


def _explain(text: str) -> IdentifierError:
    """Find what is wrong with a normal form that does not match."""
    try:
        check_text(TITLE, text, MAX_NORMAL)
        elements = read_path(text)
        check_pairs(elements)
    except IdentifierError as error:
        return error
    return IdentifierError(f"{TITLE}: {show(text)} is not in normal form", remedy=f"Write {show(write_path(elements))}")


GS1 = Gs1Scheme()
