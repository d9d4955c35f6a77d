r"""GS1 element strings: bracketed `(01)...(21)...`, and as scanners send them, with FNC1 as separator.

Follows the GS1 General Specifications section 7.8 (concatenation) and 4.14 (pairs). In text `^` or the control
character GS (0x1D) stands for FNC1; a symbology identifier such as `]C1` may stand for the first. In data `\(` is
a bracket. Reading checks each element; `check_pairs` then checks them against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ledger.identifiers.gs1_table import TABLE, find_ai, pattern_matches
from ledger.identifiers.gs1_values import Element, check_element
from ledger.identifiers.text import MAX_INPUT, IdentifierError, check_text, show, wrong_character

TITLE = "GS1 element string"
FNC1 = "^"
GROUP_SEPARATOR = "\x1d"
_SYMBOLOGY = ("]C1", "]e0", "]d2", "]Q3", "]J1")
_BRACKETED = "Write (01)06901234567892(21)A1: each AI of 2 to 4 digits in brackets, then its data"
_SCANNED = "Begin with FNC1 (^) and end data of variable length with FNC1"


def parse_bracketed(text: str) -> tuple[Element, ...]:
    """Read `(AI)data(AI)data...`; the elements in the order given."""
    check_text(TITLE, text)
    elements: list[Element] = []
    position = 0
    while position < len(text):
        if text[position] != "(":
            raise wrong_character(TITLE, text, position, "'(' before an AI", _BRACKETED)
        close = text.find(")", position)
        if close < 0:
            raise wrong_character(TITLE, text, len(text), "')' after the AI", _BRACKETED)
        ai = text[position + 1 : close]
        if ai not in TABLE:
            raise IdentifierError(
                f"{TITLE}: ({show(ai)[1:-1]}) at character {position + 1} is no GS1 application identifier",
                position=position + 2,
                remedy=_BRACKETED,
            )
        position = close + 1
        value, position = _bracketed_value(text, position)
        elements.append(check_element(ai, value))
    return tuple(elements)


def _bracketed_value(text: str, position: int) -> tuple[str, int]:
    """Return the data up to the next AI, and where that begins."""
    pieces = []
    while True:
        opening = text.find("(", position)
        end = len(text) if opening < 0 else opening
        if opening > 0 and text[opening - 1] == "\\":
            pieces.append(text[position : opening - 1] + "(")
            position = opening + 1
            continue
        pieces.append(text[position:end])
        return "".join(pieces), end


def is_scanned(text: str) -> bool:
    """Whether `text` looks like a scanner's output rather than brackets."""
    return text.startswith((FNC1, GROUP_SEPARATOR, *_SYMBOLOGY))


def parse_scanned(text: str) -> tuple[Element, ...]:
    """Read an unbracketed element string that begins with FNC1; the elements in the order given."""
    text = text.replace(GROUP_SEPARATOR, FNC1) if len(text) <= MAX_INPUT else text
    if text.startswith(_SYMBOLOGY):
        text = FNC1 + text[3:]
    check_text(TITLE, text)
    if text[0] != FNC1:
        raise wrong_character(TITLE, text, 0, "FNC1", _SCANNED)
    elements: list[Element] = []
    position = 1
    while position < len(text) or not elements:
        rule = find_ai(text, position)
        if rule is None:
            raise wrong_character(TITLE, text, position, "an application identifier", _SCANNED)
        position += len(rule.ai)
        separator = text.find(FNC1, position)
        end = separator if separator >= 0 else len(text)
        if rule.fixed:
            end = min(end, position + rule.length)
        elements.append(check_element(rule.ai, text[position:end]))
        position = end + 1 if text[end : end + 1] == FNC1 else end
    return tuple(elements)


def format_scanned(elements: Sequence[Element]) -> str:
    """Write elements as an element string with `^` for FNC1."""
    pieces = [FNC1]
    for number, (ai, value) in enumerate(elements, 1):
        pieces.append(ai + value)
        if number < len(elements) and not TABLE[ai].fixed:
            pieces.append(FNC1)
    return "".join(pieces)


def format_bracketed(elements: Iterable[Element]) -> str:
    """Write elements with brackets, brackets of the data escaped."""
    escaped = ((ai, value.replace("(", "\\(")) for ai, value in elements)
    return "".join(f"({ai}){value}" for ai, value in escaped)


def check_pairs(elements: Iterable[Element]) -> dict[str, str]:
    """Refuse contradicting, missing and forbidden pairs; return AI -> data in the order of first occurrence."""
    values: dict[str, str] = {}
    for ai, value in elements:
        if values.setdefault(ai, value) != value:
            raise IdentifierError(
                f"{TITLE}: ({ai}) occurs with {show(values[ai])} and with {show(value)}",
                where=f"({ai})",
                remedy="Give each AI once",
            )
    for ai in values:
        rule = TABLE[ai]
        for pattern in rule.excludes:
            for other in values:
                if other != ai and pattern_matches(pattern, other):
                    raise IdentifierError(
                        f"{TITLE}: ({ai}) must not stand with ({other})", where=f"({ai})", remedy="Remove one of them"
                    )
        if rule.needs and not any(_all_present(group, values) for group in rule.needs):
            wanted = " or ".join("+".join(f"({a})" for a in group) for group in rule.needs)
            raise IdentifierError(
                f"{TITLE}: ({ai}) says nothing alone; it needs {wanted}", where=f"({ai})", remedy=f"Add {wanted}"
            )
    return values


def _all_present(group: tuple[str, ...], values: dict[str, str]) -> bool:
    return all(any(pattern_matches(pattern, ai) for ai in values) for pattern in group)
