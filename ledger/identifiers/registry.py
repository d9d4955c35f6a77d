"""The registry of identifier schemes, and the subject: the one text that names an identifier in statements and state.

Owns the form `tag:normal-form`, percent-encoded (DESIGN section 4). A scheme is one module and one line in `_BUILT_IN`.
Subjects are strict: of all texts that could mean an identifier exactly one is its subject, and `parse_subject` refuses
the others. `parse_subject` is on the write path: one dictionary look-up and one or two compiled patterns.
"""

from __future__ import annotations

from ledger.identifiers.battery import BATTERY
from ledger.identifiers.did import DID
from ledger.identifiers.gs1 import GS1, guess_keys
from ledger.identifiers.handle import HANDLE
from ledger.identifiers.lei import LEI
from ledger.identifiers.oid import OID
from ledger.identifiers.scheme import Identifier, Scheme
from ledger.identifiers.text import MAX_NORMAL, IdentifierError, escape, show, unescape
from ledger.identifiers.uscc import USCC
from ledger.identifiers.vaa import VAA
from ledger.identifiers.vin import VIN

_BUILT_IN: tuple[Scheme, ...] = (VAA, HANDLE, OID, GS1, BATTERY, USCC, LEI, VIN, DID)
_MAX_SUBJECT = 16 + 3 * MAX_NORMAL  # every byte of the normal form may be escaped

SCHEMES: dict[str, Scheme] = {}


def register(scheme: Scheme) -> None:
    """Add a scheme. ValueError if its tag is taken or could not stand before the colon of a subject."""
    tag = scheme.tag
    if tag in SCHEMES or not (tag.isascii() and tag.isalnum() and tag == tag.lower() and tag[0].isalpha()):
        raise ValueError(f"scheme tag {tag!r} is taken, or is not lower-case letters and digits")
    SCHEMES[tag] = scheme


for _scheme in _BUILT_IN:
    register(_scheme)


def scheme_of(tag: str) -> Scheme:
    """Return the scheme called `tag`; IdentifierError for an unknown one."""
    scheme = SCHEMES.get(tag)
    if scheme is None:
        raise IdentifierError(
            f"no identifier scheme is called {show(tag)}", where="scheme", remedy=f"Use one of {', '.join(SCHEMES)}"
        )
    return scheme


def parse(tag: str, text: str) -> Identifier:
    """Read `text`, in any spelling that the scheme accepts, as an identifier of the scheme `tag`."""
    return scheme_of(tag).parse(text)


def subject(identifier: Identifier) -> str:
    """Return the subject that names `identifier` in statements."""
    normal = identifier.normal
    return f"{identifier.scheme}:{normal if SCHEMES[identifier.scheme].escaped else escape(normal)}"


def parse_subject(text: str) -> Identifier:
    """Read a subject; refuse anything that `subject` does not make."""
    tag, colon, body = text.partition(":")
    scheme = SCHEMES.get(tag)
    if scheme is None or not colon or len(text) > _MAX_SUBJECT:
        raise _no_subject(text)
    return scheme.read_normal(body if scheme.escaped else unescape(body))


def _no_subject(text: str) -> IdentifierError:
    if len(text) > _MAX_SUBJECT:
        return IdentifierError(f"a subject of {len(text)} characters is longer than {_MAX_SUBJECT}", where="subject")
    return IdentifierError(
        f"{show(text)} does not begin with the tag of a known scheme and a colon",
        where="subject",
        remedy=f"Begin it with one of {', '.join(f'{tag}:' for tag in SCHEMES)}",
    )


def identify(text: str) -> list[Identifier]:
    """Return every identifier that `text` could be, in the order of the registry; empty when none."""
    found: list[Identifier] = []
    for scheme in SCHEMES.values():
        try:
            found.append(scheme.parse(text))
        except IdentifierError:
            continue  # not of this scheme: that is the answer, not a failure
    return found + [guess for guess in guess_keys(text) if guess not in found]
