"""The data behind one GS1 application identifier: lengths, character sets and content checks.

Follows the GS1 General Specifications sections 3 and 7.9 to 7.12. Owns the meaning of the check names that
`gs1_table` uses. Every error names the AI, the position inside its data, and what was expected there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from ledger.identifiers.check_digits import CSET82, gs1_check_digit, gs1_check_pair, mod97_digits
from ledger.identifiers.gs1_table import TABLE, Part, Rule
from ledger.identifiers.text import IdentifierError, describe, show


class Element(NamedTuple):
    """One application identifier with its data."""

    ai: str
    value: str


_DIGITS = frozenset("0123456789")
_ALPHABETS = {
    "n": (_DIGITS, "a digit"),
    "x": (frozenset(CSET82), "a character of GS1 set 82"),
    "y": (frozenset("#-/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"), "a character of GS1 set 39"),
    "z": (
        frozenset("-_=0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
        "a character of base64url",
    ),
}
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_GCP_DIGITS = 4  # the shortest GS1 company prefix
_MAX_SHOWN_KINDS = {"n": "digits", "x": "characters", "y": "characters", "z": "characters"}


class Flaw(NamedTuple):
    """What a check found: where in the component (from 0), what was expected there."""

    at: int
    expected: str


def check_element(ai: str, value: str) -> Element:
    """Return the element when `value` is legal data of `ai`; IdentifierError otherwise."""
    rule = TABLE.get(ai)
    if rule is None:
        raise IdentifierError(f"({show(ai)[1:-1]}) is no GS1 application identifier", remedy="Check the AI")
    position = 0
    if not value:
        raise _wrong(rule, value, 0, "at least one character")
    for part in rule.parts:
        if part.optional and position == len(value):
            break
        position += _check_part(rule, part, value, position)
    if position < len(value):
        raise _wrong(rule, value, position, f"the end: ({ai}) holds at most {rule.length} characters")
    return Element(ai, value)


def _check_part(rule: Rule, part: Part, value: str, position: int) -> int:
    """Check the component at `position`; return its length."""
    piece = value[position : position + part.most]
    alphabet, meaning = _ALPHABETS[part.kind]
    for offset, char in enumerate(piece):
        if char not in alphabet:
            raise _wrong(rule, value, position + offset, meaning)
    if len(piece) < part.least:
        raise _wrong(rule, value, len(value), f"{part.least} {_MAX_SHOWN_KINDS[part.kind]} in this component")
    for name in part.checks:
        flaw = CHECKS[name](piece)
        if flaw is not None:
            raise _wrong(rule, value, position + flaw.at, flaw.expected)
    return len(piece)


def _wrong(rule: Rule, value: str, index: int, expected: str) -> IdentifierError:
    found = f"character {index + 1} is {describe(value[index])}" if index < len(value) else f"it ends after {index}"
    return IdentifierError(
        f"GS1 ({rule.ai}) {show(value)}: {found}; expected {expected}",
        where=f"({rule.ai}), character {index + 1}",
        position=index + 1,
        remedy="Compare with the label or the product record",
    )


def _mod10(piece: str) -> Flaw | None:
    expected = gs1_check_digit(piece[:-1])
    return None if piece[-1] == expected else Flaw(len(piece) - 1, f"the check digit '{expected}'")


def _pair(piece: str) -> Flaw | None:
    if len(piece) < 3:
        return Flaw(len(piece), "data before the two check characters")
    expected = gs1_check_pair(piece[:-2])
    if piece[-2:] == expected:
        return None
    index = len(piece) - (2 if piece[-2] != expected[0] else 1)
    return Flaw(index, f"the check characters '{expected}' at the end")


def _gcp(piece: str) -> Flaw | None:
    for index in range(_GCP_DIGITS):
        if piece[index : index + 1] not in _DIGITS:
            return Flaw(index, f"a digit: a GS1 company prefix of at least {_GCP_DIGITS} digits comes first")
    return None


def _day(piece: str) -> Flaw | None:
    if piece[4:] == "00":
        return Flaw(4, "a day of the month")
    return _day0(piece)


def _day0(piece: str) -> Flaw | None:
    """YYMMDD in which day 00 means the end of the month."""
    year, month, day = int(piece[:2]), int(piece[2:4]), int(piece[4:])
    if not 1 <= month <= 12:
        return Flaw(2, "a month from 01 to 12")
    longest = _MONTHS[month - 1] + (month == 2 and year % 4 == 0)  # 1951 to 2050: every fourth year is a leap year
    return None if day <= longest else Flaw(4, f"a day up to {longest}")


def _longday(piece: str) -> Flaw | None:
    century_leap = piece[2:4] != "00" or int(piece[:2]) % 4 == 0
    if piece[4:] == "0229" and not century_leap:
        return Flaw(6, "a day up to 28")
    flaw = _day(piece[2:])
    return None if flaw is None else Flaw(flaw.at + 2, flaw.expected)


def _below(limit: int, what: str) -> Callable[[str], Flaw | None]:
    return lambda piece: None if int(piece) < limit else Flaw(0, what)


def _clock(piece: str) -> Flaw | None:
    if int(piece[:2]) > 23:
        return Flaw(0, "an hour up to 23")
    return None if int(piece[2:]) < 60 else Flaw(2, "a minute up to 59")


def _piece(piece: str) -> Flaw | None:
    number, total = int(piece[:2]), int(piece[2:])
    if number == 0 or total == 0:
        return Flaw(0 if number == 0 else 2, "a piece number and a total that are not 00")
    return None if number <= total else Flaw(0, f"a piece number up to the total {piece[2:]}")


def _iban(piece: str) -> Flaw | None:
    for index, (char, wanted) in enumerate(zip(piece, "AA00", strict=False)):
        if char.isdigit() != (wanted == "0") or (wanted == "A" and not "A" <= char <= "Z"):
            return Flaw(index, "a letter of the country code" if wanted == "A" else "a check digit")
    for index, char in enumerate(piece):
        if not ("0" <= char <= "9" or "A" <= char <= "Z"):
            return Flaw(index, "a digit or an upper-case letter")
    if len(piece) < 6:
        return Flaw(len(piece), "an account number after the check digits")
    expected = mod97_digits(piece[4:] + piece[:2])
    return None if piece[2:4] == expected else Flaw(2, f"the check digits '{expected}'")


def _percent(piece: str) -> Flaw | None:
    found = re.search(r"%(?![0-9A-Fa-f]{2})", piece)
    return None if found is None else Flaw(found.start(), "% with two hexadecimal digits")


def _birth(piece: str) -> Flaw | None:
    good = re.fullmatch(r"[1-9]/[1-9]", piece) and piece[0] <= piece[2]
    return None if good else Flaw(0, "position/total, such as 1/2")


def _one_of(choices: str) -> Callable[[str], Flaw | None]:
    return lambda piece: None if piece in choices else Flaw(0, f"one of {', '.join(choices)}")


def _matching(pattern: str, what: str) -> Callable[[str], Flaw | None]:
    matches = re.compile(pattern).fullmatch
    return lambda piece: None if matches(piece) else Flaw(0, what)


CHECKS: dict[str, Callable[[str], Flaw | None]] = {
    "mod10": _mod10,
    "pair": _pair,
    "gcp": _gcp,
    "day": _day,
    "day0": _day0,
    "longday": _longday,
    "clock": _clock,
    "hour": _below(24, "an hour up to 23"),
    "sixty": _below(60, "a number up to 59"),
    "latitude": _below(1_800_000_001, "a latitude up to 1800000000"),
    "longitude": _below(3_600_000_001, "a longitude up to 3600000000"),
    "yesno": _one_of("01"),
    "hyphen": _one_of("-"),
    "sex": _one_of("0129"),
    "winding": _one_of("019"),
    "zero": _one_of("0"),
    "media": _matching("0[1-9]|10|[89][0-9]", "a medium from 01 to 10 or 80 to 99"),
    "nonzero": _matching("0*[1-9][0-9]*", "a number that is not zero"),
    "nozero": _matching("0|[1-9][0-9]*", "a number without leading zeros"),
    "importer": _matching("[-_0-9A-Za-z]", "a letter, a digit, '-' or '_'"),
    "letter": _matching(".*[^0-9].*", "at least one character that is no digit"),
    "piece": _piece,
    "iban": _iban,
    "percent": _percent,
    "birth": _birth,
}
