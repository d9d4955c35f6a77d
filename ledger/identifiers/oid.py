"""Object identifiers (tag `oid`): arcs of ITU-T X.660, in dotted decimal.

Arcs are numbers of any size without leading zeros; below arcs 0 and 1 the second arc is at most 39. An arc belongs to
whom it was assigned for ever, so an object identifier is never registered again; a delegated arc also covers itself.
"""

from __future__ import annotations

import re

from ledger.identifiers.scheme import Identifier
from ledger.identifiers.text import MAX_NORMAL, IdentifierError, check_text, wrong_character

TITLE = "object identifier"
_REMEDY = "Write arcs in dotted decimal, such as 1.2.156.10197.1.301"
_MAX_ARCS = 32  # bounds the prefixes that a statement can make us look up; 2.25.<UUID> needs three
_URN = "urn:oid:"

_form = re.compile(r"(?:[01]\.(?:[0-9]|[1-3][0-9])|2\.(?:0|[1-9][0-9]*))(?:\.(?:0|[1-9][0-9]*)){0,30}").fullmatch


class OidScheme:
    """Object identifiers: delegated by arcs."""

    tag = "oid"
    title = TITLE
    escaped = False
    reusable = False

    def parse(self, text: str) -> Identifier:
        """Read dotted decimal, with or without `urn:oid:` in front."""
        return self.read_normal(text[len(_URN) :] if text[: len(_URN)].lower() == _URN else text)

    def read_normal(self, text: str) -> Identifier:
        """Read a normal form."""
        check_text(TITLE, text, MAX_NORMAL)
        if not _form(text):
            raise _explain(text)
        return Identifier("oid", text)

    def prefixes(self, normal: str) -> tuple[str, ...]:
        """Return the identifier itself and its ancestors up to the first arc."""
        return (normal, *self.parent_prefixes(normal))

    def is_prefix(self, text: str) -> bool:
        """Whether `text` is a first arc or an object identifier."""
        return text in {"0", "1", "2"} or (len(text) <= MAX_NORMAL and _form(text) is not None)

    def parent_prefixes(self, prefix: str) -> tuple[str, ...]:
        """Return the ancestors up to the first arc."""
        arcs = prefix.split(".")
        return tuple(".".join(arcs[:n]) for n in range(len(arcs) - 1, 0, -1))


def _explain(text: str) -> IdentifierError:
    arcs = text.split(".")
    start = 0
    for number, arc in enumerate(arcs):
        for offset, char in enumerate(arc):
            if not "0" <= char <= "9":
                return wrong_character(TITLE, text, start + offset, "a digit or '.'", _REMEDY)
        if not arc:
            return wrong_character(TITLE, text, start, f"the digits of arc {number + 1}", _REMEDY)
        if number == 0 and arc not in {"0", "1", "2"}:
            return wrong_character(TITLE, text, start, "0, 1 or 2 as the first arc", _REMEDY)
        if arc[0] == "0" and len(arc) > 1:
            return wrong_character(TITLE, text, start, "an arc without leading zeros", _REMEDY)
        if number == 1 and arcs[0] != "2" and (len(arc) > 2 or int(arc) > 39):
            return wrong_character(TITLE, text, start, f"a second arc of at most 39 below {arcs[0]}", _REMEDY)
        if number == _MAX_ARCS:
            return wrong_character(TITLE, text, start - 1, f"at most {_MAX_ARCS} arcs", _REMEDY)
        start += len(arc) + 1
    return wrong_character(TITLE, text, len(text), "'.' and a second arc", _REMEDY)


OID = OidScheme()
