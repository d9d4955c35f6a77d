"""The national industrial identifier (tag `vaa`): `country.industry.enterprise/suffix`.

Follows the prefix grammar of did:cn (2, 3 to 5, and 1 to 128 digits) and the usage of YD/T 4495-2023. The prefix is
digits as written, leading zeros kept; the suffix is any visible text and keeps its case. Such a text is also a legal
Handle: the scheme tag in the subject tells the two apart.
"""

from __future__ import annotations

import re

from ledger.identifiers.scheme import Identifier
from ledger.identifiers.text import MAX_NORMAL, IdentifierError, check_text, show, wrong_character

TITLE = "national industrial identifier"
_REMEDY = "Write country.industry.enterprise/suffix, such as 88.118.8/JXDY2106023"
_PARTS = (("the country code", 2, 2), ("the industry code", 3, 5), ("the enterprise code", 1, 128))
_DIGITS = frozenset("0123456789")

_form = re.compile(r"[0-9]{2}\.[0-9]{3,5}\.[0-9]{1,128}/.").match
_prefix = re.compile(r"[0-9]{2}(?:\.[0-9]{3,5}(?:\.[0-9]{1,128})?)?").fullmatch


class VaaScheme:
    """National industrial identifiers: second-level node and enterprise in the prefix."""

    tag = "vaa"
    title = TITLE
    escaped = False
    reusable = True

    def parse(self, text: str) -> Identifier:
        """Read an identifier: there is no spelling but the normal form."""
        return self.read_normal(text)

    def read_normal(self, text: str) -> Identifier:
        """Read a normal form."""
        check_text(TITLE, text, MAX_NORMAL)
        if not _form(text):
            raise _explain(text)
        return Identifier("vaa", text)

    def prefixes(self, normal: str) -> tuple[str, ...]:
        """Return enterprise, second-level node and country: `88.118.8`, `88.118`, `88`."""
        enterprise = normal.partition("/")[0]
        return enterprise, enterprise.rpartition(".")[0], enterprise[:2]

    def is_prefix(self, text: str) -> bool:
        """Whether `text` is one to three complete components."""
        return _prefix(text) is not None

    def parent_prefixes(self, prefix: str) -> tuple[str, ...]:
        """Return the shorter component sequences."""
        parts = prefix.split(".")
        return tuple(".".join(parts[:n]) for n in range(len(parts) - 1, 0, -1))


def _explain(text: str) -> IdentifierError:
    """Find what is wrong with a text that does not match."""
    prefix, slash, _suffix = text.partition("/")
    start = 0
    parts = prefix.split(".")
    for (name, low, high), part in zip(_PARTS, parts, strict=False):
        for offset, char in enumerate(part):
            if char not in _DIGITS:
                return wrong_character(TITLE, text, start + offset, f"a digit of {name}", _REMEDY)
        if not low <= len(part) <= high:
            wanted = str(low) if low == high else f"{low} to {high}"
            return IdentifierError(
                f"{TITLE}: {name} of {show(text)} has {len(part)} digits; expected {wanted}",
                position=start + min(len(part), high) + 1,
                remedy=_REMEDY,
            )
        start += len(part) + 1
    if len(parts) < len(_PARTS):
        return IdentifierError(
            f"{TITLE}: {show(text)} has no {_PARTS[len(parts)][0].removeprefix('the ')} before the '/'",
            position=len(prefix) + 1,
            remedy=_REMEDY,
        )
    if len(parts) > len(_PARTS):
        return wrong_character(TITLE, text, start - 1, "the '/' before the suffix", _REMEDY)
    expected = "a suffix after the '/'" if slash else "the '/' before the suffix"
    return wrong_character(TITLE, text, len(text), expected, _REMEDY)


VAA = VaaScheme()
