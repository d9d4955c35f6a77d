"""Legal entity identifiers of ISO 17442 (tag `lei`): 20 characters, the last two check digits (ISO 7064 mod 97-10).

The first four characters name the issuer that allotted it. An identifier stays with its entity and is never
given again.
"""

from __future__ import annotations

import re

from ledger.identifiers.check_digits import mod97_digits
from ledger.identifiers.scheme import Identifier
from ledger.identifiers.text import IdentifierError, check_fixed, check_text, wrong_character

TITLE = "legal entity identifier"
_LENGTH = 20
_ALPHABET = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_REMEDY = "Compare with the register of the issuer"

_form = re.compile(r"[0-9A-Z]{18}[0-9]{2}").fullmatch
_prefix = re.compile(r"[0-9A-Z]{4}").fullmatch


class LeiScheme:
    """Legal entity identifiers: delegated by the four characters of the issuer."""

    tag = "lei"
    title = TITLE
    escaped = False
    reusable = False

    def parse(self, text: str) -> Identifier:
        """Read an identifier in any case."""
        check_text(TITLE, text)
        return self.read_normal(text.upper() if text.isascii() else text)

    def read_normal(self, text: str) -> Identifier:
        """Read a normal form: upper-case, with the right check digits."""
        if not _form(text):
            raise _explain(text)
        expected = mod97_digits(text[:18])
        if text[18:] != expected:
            index = 18 if text[18] != expected[0] else 19
            raise wrong_character(TITLE, text, index, f"the check digits '{expected}' at positions 19 and 20", _REMEDY)
        return Identifier("lei", text)

    def prefixes(self, normal: str) -> tuple[str, ...]:
        """Return the issuer."""
        return (normal[:4],)

    def is_prefix(self, text: str) -> bool:
        """Whether `text` is an issuer."""
        return _prefix(text) is not None

    def parent_prefixes(self, prefix: str) -> tuple[str, ...]:  # noqa: ARG002 - issuers have no parents
        """Return nothing: the issuer is the only component."""
        return ()


def _explain(text: str) -> IdentifierError:
    try:
        check_text(TITLE, text)
        check_fixed(TITLE, text, _LENGTH, _ALPHABET, "a digit or an upper-case letter", remedy=_REMEDY)
    except IdentifierError as error:
        return error
    index = 18 if not "0" <= text[18] <= "9" else 19
    return wrong_character(TITLE, text, index, "a check digit", _REMEDY)


LEI = LeiScheme()
