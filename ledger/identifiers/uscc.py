"""Unified social credit codes of GB 32100 (tag `uscc`): 18 characters, the last one a check character.

Layout: registration authority 1, kind 1, administrative region 6 (GB/T 2260: province 2, city 2, county 2),
organisation 9, check 1. The letters I, O, S, V, Z are not used. A code is for life and never given again.
"""

from __future__ import annotations

import re

from ledger.identifiers.check_digits import USCC_ALPHABET, uscc_check_character
from ledger.identifiers.scheme import Identifier
from ledger.identifiers.text import IdentifierError, check_fixed, check_text, wrong_character

TITLE = "unified social credit code"
_LENGTH = 18
_ALPHABET = frozenset(USCC_ALPHABET)
_MEANING = "a digit or an upper-case letter other than I, O, S, V, Z"
_REMEDY = "Compare with the business licence; the letters I, O, S, V and Z do not occur"

_form = re.compile(r"[0-9A-HJ-NP-RTUWXY]{2}[0-9]{6}[0-9A-HJ-NP-RTUWXY]{10}").fullmatch
_prefix = re.compile(r"[0-9A-HJ-NP-RTUWXY]{2}(?:[0-9]{2}){0,3}").fullmatch


class UsccScheme:
    """Social credit codes: delegated by registration authority and kind, then by province, city and county."""

    tag = "uscc"
    title = TITLE
    escaped = False
    reusable = False

    def parse(self, text: str) -> Identifier:
        """Read a code in any case."""
        check_text(TITLE, text)
        return self.read_normal(text.upper() if text.isascii() else text)

    def read_normal(self, text: str) -> Identifier:
        """Read a normal form: upper-case, with the right check character."""
        if not _form(text):
            raise _explain(text)
        expected = uscc_check_character(text[:17])
        if text[17] != expected:
            raise wrong_character(TITLE, text, 17, f"the check character '{expected}'", _REMEDY)
        return Identifier("uscc", text)

    def prefixes(self, normal: str) -> tuple[str, ...]:
        """Return the codes of county, city, province, and of the authority alone, each with what is before it."""
        return normal[:8], normal[:6], normal[:4], normal[:2]

    def is_prefix(self, text: str) -> bool:
        """Whether `text` is authority and kind with zero to three levels of the region."""
        return _prefix(text) is not None

    def parent_prefixes(self, prefix: str) -> tuple[str, ...]:
        """Return the shorter prefixes."""
        return tuple(prefix[:n] for n in range(len(prefix) - 2, 0, -2))


def _explain(text: str) -> IdentifierError:
    try:
        check_text(TITLE, text)
        check_fixed(TITLE, text, _LENGTH, _ALPHABET, _MEANING, remedy=_REMEDY)
    except IdentifierError as error:
        return error
    index = next(i for i in range(2, 8) if not "0" <= text[i] <= "9")
    return wrong_character(TITLE, text, index, "a digit of the administrative region", _REMEDY)


USCC = UsccScheme()
