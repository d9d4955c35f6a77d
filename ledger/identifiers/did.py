"""Decentralised identifiers (tag `did`): did:key, did:web and did:bid.

Follows W3C DID Core 3.1. The tag is the URI scheme itself: the normal form is the DID without `did:`, and the subject
of a DID is the DID. Delegation prefixes are the method (`web`), and below it the sub-chain of a did:bid (`bid:byo1`),
the domain and path of a did:web (`web:example.com:plant`), the whole of a did:key. A DID is not registered again
after it was retired: what was said of its first life must not pass to a second.
"""

from __future__ import annotations

import re

from ledger.identifiers import did_bid, did_key, did_web
from ledger.identifiers.scheme import Identifier
from ledger.identifiers.text import MAX_NORMAL, IdentifierError, check_text, show, wrong_character

TITLE = "DID"
_url = re.compile(r"[/?#]").search
METHODS = ("key", "web", "bid")
_REMEDY = "Write did:key:..., did:web:... or did:bid:..., without path, query or fragment"


class DidScheme:
    """DIDs of three methods."""

    tag = "did"
    title = TITLE
    escaped = True
    reusable = False

    def parse(self, text: str) -> Identifier:
        """Read a DID; the domain of a did:web may be in any case."""
        check_text(TITLE, text)
        if not text.startswith("did:"):
            index = next((i for i, (a, b) in enumerate(zip(text, "did:", strict=False)) if a != b), len(text))
            raise wrong_character(TITLE, text, index, "did: in front", _REMEDY)
        normal = text[4:]
        if normal.startswith("web:"):
            domain, colon, path = normal[4:].partition(":")
            host, escape, port = domain.replace("%3a", "%3A").partition("%3A")
            normal = "web:" + host.lower() + escape + port + colon + path
        return self.read_normal(normal)

    def read_normal(self, text: str) -> Identifier:
        """Read a DID without its `did:`."""
        check_text(TITLE, text, MAX_NORMAL)
        method, colon, specific = text.partition(":")
        url = _url(text)
        if url:
            raise wrong_character(TITLE, text, url.start(), "the end: a DID, not a URL that begins with one", _REMEDY)
        notes: tuple[str, ...] = ()
        if method == "key" and colon:
            did_key.read(specific)
        elif method == "web" and colon:
            did_web.read(specific)
        elif method == "bid" and colon:
            _code, notes = did_bid.read(specific)
        else:
            raise IdentifierError(f"{TITLE}: method {show(method)} is not known here", remedy=_REMEDY)
        return Identifier("did", text, notes)

    def prefixes(self, normal: str) -> tuple[str, ...]:
        """Return the prefixes of the method, the method's name last."""
        method, _, specific = normal.partition(":")
        if method == "bid":
            code = specific[:4] if len(specific) == 4 or specific[4:5] == ":" else ""
            return (f"bid:{code}", "bid") if code else ("bid",)
        return (normal, *self.parent_prefixes(normal))

    def is_prefix(self, text: str) -> bool:
        """Whether `text` is a method, a did:key, a did:web, or a sub-chain of did:bid."""
        if text in METHODS:
            return True
        try:
            self.read_normal(text)
        except IdentifierError:
            return False
        return not text.startswith("bid:") or len(text) == len("bid:") + 4

    def parent_prefixes(self, prefix: str) -> tuple[str, ...]:
        """Return the shorter prefixes, the method last; a domain has no parent domain."""
        parts = prefix.split(":")
        return tuple(":".join(parts[:n]) for n in range(len(parts) - 1, 0, -1))


DID = DidScheme()
