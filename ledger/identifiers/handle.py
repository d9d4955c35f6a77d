"""Handle identifiers (tag `handle`): `naming-authority/local-name` of RFC 3651 section 3.

The naming authority is compared without regard to ASCII case, so its normal form is lower-case; the local name belongs
to the local service and is kept as it is. A local name may hold `/` and any visible text.
"""

from __future__ import annotations

import re

from ledger.identifiers.scheme import Identifier
from ledger.identifiers.text import MAX_NORMAL, IdentifierError, check_text, show, wrong_character

TITLE = "Handle"
_REMEDY = "Write naming-authority/local-name, such as 10.1000/182"
_MAX_SEGMENTS = 16  # far above any authority in use; bounds the prefixes that a statement can make us look up

_authority = re.compile(r"[^./ ]+(?:\.[^./ ]+){0,15}").fullmatch
_upper = re.compile(r"[A-Z]").search
_lower = {upper: upper + 32 for upper in range(0x41, 0x5B)}


class HandleScheme:
    """Handles: delegated by the segments of the naming authority."""

    tag = "handle"
    title = TITLE
    escaped = False
    reusable = True

    def parse(self, text: str) -> Identifier:
        """Read a handle; the naming authority may be in any case, `hdl:` or `info:hdl/` may stand in front."""
        check_text(TITLE, text)
        for scheme in ("hdl:", "info:hdl/"):
            if text[: len(scheme)].lower() == scheme:
                text = text[len(scheme) :]
        authority, slash, local = text.partition("/")
        return self.read_normal(authority.translate(_lower) + slash + local)

    def read_normal(self, text: str) -> Identifier:
        """Read a normal form."""
        check_text(TITLE, text, MAX_NORMAL)
        authority, slash, local = text.partition("/")
        if not slash or not local or not _authority(authority):
            raise _explain(text)
        upper = _upper(authority)
        if upper:
            raise wrong_character(
                TITLE, text, upper.start(), "a lower-case letter", f"Write {show(authority.translate(_lower))}"
            )
        return Identifier("handle", text)

    def prefixes(self, normal: str) -> tuple[str, ...]:
        """Return the naming authority and its ancestors: `20.500.12357`, `20.500`, `20`."""
        authority = normal.partition("/")[0]
        return (authority, *self.parent_prefixes(authority))

    def is_prefix(self, text: str) -> bool:
        """Whether `text` is a naming authority in normal form."""
        try:
            self.read_normal(text + "/x")
        except IdentifierError:
            return False
        return "/" not in text

    def parent_prefixes(self, prefix: str) -> tuple[str, ...]:
        """Return the ancestors of a naming authority."""
        parts = prefix.split(".")
        return tuple(".".join(parts[:n]) for n in range(len(parts) - 1, 0, -1))


def _explain(text: str) -> IdentifierError:
    authority, slash, _local = text.partition("/")
    if not slash:
        return wrong_character(TITLE, text, len(text), "the '/' after the naming authority", _REMEDY)
    start = 0
    for number, segment in enumerate(authority.split(".")):
        if not segment:
            return wrong_character(TITLE, text, start, "a segment of the naming authority", _REMEDY)
        if " " in segment:
            return wrong_character(TITLE, text, start + segment.index(" "), "no space before the '/'", _REMEDY)
        if number == _MAX_SEGMENTS:
            return wrong_character(TITLE, text, start - 1, f"at most {_MAX_SEGMENTS} segments before the '/'", _REMEDY)
        start += len(segment) + 1
    return wrong_character(TITLE, text, len(text), "a local name after the '/'", _REMEDY)


HANDLE = HandleScheme()
