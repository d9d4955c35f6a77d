"""COSE_Sign1 (RFC 9052 sections 4.2 and 4.4): the four parts, and the bytes that are signed.

Owns the outer form of statements and consents: tag 18, an array of protected header, empty unprotected header, payload
inside, signature; all byte strings, nothing after them. Knows no header member and no algorithm.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.errors import MalformedError
from ledger.statements.cbor import decode_item, encode_bytes

MAX_STATEMENT_SIZE: Final = 65_535  # bytes: an entry bundle counts an entry's length in 16 bits

_PREFIX: Final = b"\xd2\x84"  # tag 18, array of four
_EMPTY_MAP: Final = 0xA0
_CONTEXT: Final = b"\x84\x6aSignature1"  # array of four, text of ten


class Sign1(NamedTuple):
    """The parts of a COSE_Sign1 and its Sig_structure (`signed`) without external data."""

    protected: bytes
    payload: bytes
    signature: bytes
    signed: bytes


def sig_structure(protected: bytes, payload: bytes, external_aad: bytes = b"") -> bytes:
    """Encode what a COSE_Sign1 signature is made over (RFC 9052 section 4.4)."""
    return b"".join((_CONTEXT, encode_bytes(protected), encode_bytes(external_aad), encode_bytes(payload)))


def join(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    """Write a tagged COSE_Sign1 with an empty unprotected header."""
    raw = b"".join((_PREFIX, encode_bytes(protected), b"\xa0", encode_bytes(payload), encode_bytes(signature)))
    if len(raw) > MAX_STATEMENT_SIZE:
        raise MalformedError(f"{len(raw)} bytes; a statement has at most {MAX_STATEMENT_SIZE}")
    return raw


def split(raw: bytes) -> Sign1:
    """Take a COSE_Sign1 apart. Raises MalformedError for every byte string that `join` does not write."""
    if type(raw) is not bytes:
        raise MalformedError("a statement is a byte string")
    if len(raw) > MAX_STATEMENT_SIZE:
        raise MalformedError(f"{len(raw)} bytes; a statement has at most {MAX_STATEMENT_SIZE}")
    if not raw.startswith(_PREFIX):
        raise MalformedError(
            "not a COSE_Sign1", where="byte 0", remedy="Send tag 18 with an array of four, in deterministic CBOR"
        )
    try:
        protected, middle = decode_item(raw, 2, 1)
        if raw[middle] != _EMPTY_MAP:
            raise MalformedError(
                "the unprotected header must be the empty map", where="unprotected", remedy="Empty it before sending"
            )
        payload, after = decode_item(raw, middle + 1, 1)
        signature, end = decode_item(raw, after, 1)
    except IndexError:
        raise MalformedError("the input ends inside an item", where=f"byte {len(raw)}") from None
    if end != len(raw):
        detail = "the input ends inside an item" if end > len(raw) else f"{len(raw) - end} bytes follow the statement"
        raise MalformedError(detail, where=f"byte {min(end, len(raw))}")
    for part, name in ((protected, "protected"), (payload, "payload"), (signature, "signature")):
        if type(part) is not bytes:
            raise MalformedError("expected a byte string", where=name)
    # Sig_structure holds the same encoded strings, with the empty external data (0x40) in place of the empty map.
    signed = b"".join((_CONTEXT, raw[2:middle], b"\x40", raw[middle + 1 : after]))
    return Sign1(protected, payload, signature, signed)
