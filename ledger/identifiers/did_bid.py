"""did:bid identifiers of the Starfire chain: `did:bid:[acsn:]` + key type + encoding + digest of a public key.

Follows the chain's RFC-002 and RFC-003: key type e (Ed25519), z (SM2) or s (secp256k1); encoding f (base58 with the
chain's own alphabet), s or t; the digest is the last 22 bytes of SHA-256 of the key (SM3 for z). There is no
checksum: only computing the identifier from the key again tells a wrong one. `did:bid:` with four characters alone
names a sub-chain.
"""

from __future__ import annotations

import hashlib
import re

from ledger.identifiers import base58
from ledger.identifiers.text import IdentifierError, check_fixed, show, wrong_character

TITLE = "did:bid"
_DIGEST = 22
_TOTAL = (32, 57)  # characters of the whole DID, by the chain's documentation
_CODE = frozenset("0123456789abcdefghijklmnopqrstuvwxyz")
_REMEDY = "Copy the identifier again; it is case-sensitive"
_NOTE = "did:bid has no checksum: compare the fingerprint of the key"
_NOTE_ENCODING = "encoding {} is checked for its characters only"

_code = re.compile(r"[0-9a-z]{4}").fullmatch
_other_encoding = re.compile(r"[A-Za-z0-9]+").match


def did_bid(public_key: bytes, suite_name: str, acsn: str = "") -> str:
    """Return the DID of a public key, on the main chain or on the sub-chain `acsn`. Only ed25519 so far."""
    if suite_name != "ed25519" or len(public_key) != 32:
        raise IdentifierError(
            f"{TITLE}: cannot compute one from {len(public_key)} bytes of suite {show(suite_name)}",
            remedy="Give the 32 bytes of an ed25519 public key",
        )
    if acsn:
        check_fixed(TITLE, acsn, 4, _CODE, "a digit or a lower-case letter of the sub-chain code")
    digest = hashlib.sha256(public_key).digest()[-_DIGEST:]
    return f"did:bid:{acsn}{':' if acsn else ''}ef{base58.encode(digest, base58.STARFIRE)}"


def read(specific: str) -> tuple[str, tuple[str, ...]]:
    """Check a method-specific identifier; return its sub-chain code (empty: the main chain) and notes."""
    if _code(specific):
        return specific, ()
    code, colon, address = specific.rpartition(":")
    if colon:
        check_fixed(TITLE, code, 4, _CODE, "a digit or a lower-case letter of the sub-chain code", remedy=_REMEDY)
    start = len(code) + len(colon)
    if address[:1] not in {"e", "z", "s"}:
        raise wrong_character(TITLE, specific, start, "the key type e, z or s", _REMEDY)
    if address[1:2] not in {"f", "s", "t"}:
        raise wrong_character(TITLE, specific, start + 1, "the encoding f, s or t", _REMEDY)
    total = len("did:bid:") + len(specific)
    if not _TOTAL[0] <= total <= _TOTAL[1]:
        raise IdentifierError(
            f"{TITLE}: the identifier has {total} characters; expected {_TOTAL[0]} to {_TOTAL[1]}", remedy=_REMEDY
        )
    if address[1] != "f":
        run = _other_encoding(address)
        end = run.end() if run else 0
        if end < len(address):
            raise wrong_character(TITLE, specific, start + end, "a letter or a digit", _REMEDY)
        return code, (_NOTE, _NOTE_ENCODING.format(address[1]))
    try:
        digest = base58.decode(address[2:], base58.STARFIRE)
    except ValueError as error:
        index = start + 2 + error.args[0]
        raise wrong_character(TITLE, specific, index, "a character of base58 (no 0, O, I, l)", _REMEDY) from error
    if len(digest) != _DIGEST:
        raise IdentifierError(
            f"{TITLE}: {show(address)} decodes to {len(digest)} bytes; expected {_DIGEST}",
            position=start + 3,
            remedy=_REMEDY,
        )
    return code, (_NOTE,)
