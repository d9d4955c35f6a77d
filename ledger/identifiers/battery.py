"""Traction battery codes of GB/T 34014-2017 (tag `battery`): 24 characters without a check digit.

Layout: vendor 3, product type 1 (P pack, M module, C cell), chemistry 1, specification 2, traceability 7, date 3,
serial 7. A battery is coded anew at its second life and the old code stays resolvable, so a code is never used again.
The letter O is not used. That I is avoided too is not verified: it is accepted and noted.
"""

from __future__ import annotations

import re

from ledger.identifiers.scheme import Identifier
from ledger.identifiers.text import IdentifierError, check_fixed, check_text, wrong_character

TITLE = "battery code"
_LENGTH = 24
_ALPHABET = frozenset("0123456789ABCDEFGHIJKLMNPQRSTUVWXYZ")
_MEANING = "a digit or an upper-case letter other than O"
_REMEDY = "Give the 24 characters of GB/T 34014; zero is a digit, the letter O does not occur"
_NOTE_I = "the letter I occurs at position {}; codes usually avoid it: compare with the label"

_form = re.compile(r"[0-9A-NP-Z]{3}[PMC][0-9A-NP-Z]{20}").fullmatch
_vendor = re.compile(r"[0-9A-NP-Z]{3}").fullmatch


class BatteryScheme:
    """Battery codes: delegated by the three-character vendor code."""

    tag = "battery"
    title = TITLE
    escaped = False
    reusable = False

    def parse(self, text: str) -> Identifier:
        """Read a code in any case."""
        check_text(TITLE, text)
        return self.read_normal(text.upper() if text.isascii() else text)

    def read_normal(self, text: str) -> Identifier:
        """Read a normal form: 24 characters, upper-case."""
        if not _form(text):
            raise _explain(text)
        return Identifier("battery", text, () if "I" not in text else (_NOTE_I.format(text.index("I") + 1),))

    def prefixes(self, normal: str) -> tuple[str, ...]:
        """Return the vendor code."""
        return (normal[:3],)

    def is_prefix(self, text: str) -> bool:
        """Whether `text` is a vendor code."""
        return _vendor(text) is not None

    def parent_prefixes(self, prefix: str) -> tuple[str, ...]:  # noqa: ARG002 - vendor codes have no parents
        """Return nothing: the vendor code is the only component."""
        return ()


def _explain(text: str) -> IdentifierError:
    try:
        check_text(TITLE, text)
        check_fixed(TITLE, text, _LENGTH, _ALPHABET, _MEANING, remedy=_REMEDY)
    except IdentifierError as error:
        return error
    return wrong_character(TITLE, text, 3, "P (pack), M (module) or C (cell)", _REMEDY)


BATTERY = BatteryScheme()
