"""Vehicle identification numbers of ISO 3779 / GB 16735 (tag `vin`): 17 characters without I, O and Q.

The check character at position 9 is mandatory in China and North America, not in Europe: a wrong one is noted, never
refused. The first three characters name the manufacturer (ISO 3780); where the third is 9 many small manufacturers
share them, and positions 12 to 14 tell which: such a prefix is written `LA9/123`. A VIN is never given again.
"""

from __future__ import annotations

import re

from ledger.identifiers.check_digits import vin_check_character
from ledger.identifiers.scheme import Identifier
from ledger.identifiers.text import check_fixed, check_text

TITLE = "vehicle identification number"
_LENGTH = 17
_ALPHABET = frozenset("0123456789ABCDEFGHJKLMNPRSTUVWXYZ")
_MEANING = "a digit or an upper-case letter other than I, O, Q"
_REMEDY = "Compare with the plate; the letters I, O and Q do not occur"

_form = re.compile(r"[A-HJ-NPR-Z0-9]{17}").fullmatch
_prefix = re.compile(r"[A-HJ-NPR-Z0-9]{3}|[A-HJ-NPR-Z0-9]{2}9/[A-HJ-NPR-Z0-9]{3}").fullmatch


class VinScheme:
    """Vehicle identification numbers: delegated by the world manufacturer identifier."""

    tag = "vin"
    title = TITLE
    escaped = False
    reusable = False

    def parse(self, text: str) -> Identifier:
        """Read a number in any case."""
        check_text(TITLE, text)
        return self.read_normal(text.upper() if text.isascii() else text)

    def read_normal(self, text: str) -> Identifier:
        """Read a normal form; a wrong check character becomes a note."""
        if not _form(text):
            check_text(TITLE, text)
            check_fixed(TITLE, text, _LENGTH, _ALPHABET, _MEANING, remedy=_REMEDY)
        expected = vin_check_character(text)
        if text[8] == expected:
            return Identifier("vin", text)
        note = f"position 9 is '{text[8]}', its check character is '{expected}': usual in Europe, an error elsewhere"
        return Identifier("vin", text, (note,))

    def prefixes(self, normal: str) -> tuple[str, ...]:
        """Return the manufacturer, preceded by its extended form where the third character is 9."""
        if normal[2] == "9":
            return f"{normal[:3]}/{normal[11:14]}", normal[:3]
        return (normal[:3],)

    def is_prefix(self, text: str) -> bool:
        """Whether `text` is a manufacturer, plain or extended."""
        return _prefix(text) is not None

    def parent_prefixes(self, prefix: str) -> tuple[str, ...]:
        """Return the shared manufacturer of an extended one."""
        return (prefix[:3],) if len(prefix) > 3 else ()


VIN = VinScheme()
