"""Transparent statements: a signed statement with its receipts in the unprotected header (RFC 9943, RFC 9942).

Owns where receipts stand (header 394, an array of byte strings) and how the unprotected header comes off again: what
was signed, and what the log holds, is the statement with that header emptied. Whether a receipt proves anything is the
business of `ledger.log.receipts`. Trusts nothing: everything here is outside the signature, so it is bounded and must
be deterministic CBOR of the profile, whatever it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ledger.errors import MalformedError
from ledger.statements import cose
from ledger.statements.cbor import decode_item, encode

RECEIPTS: Final = 394
"""Header label of the receipts (RFC 9942 section 2)."""

MAX_RECEIPT: Final = 8_192
"""Bytes of one receipt: 63 hashes, an origin, a subject and a signature fit."""

MAX_RECEIPTS: Final = 16
MAX_UNPROTECTED: Final = 1 << 18
"""Bytes of an unprotected header."""

MAX_TRANSPARENT: Final = cose.MAX_STATEMENT_SIZE + MAX_UNPROTECTED

_PREFIX: Final = b"\xd2\x84"  # tag 18, array of four


def take_apart(raw: bytes) -> tuple[bytes, dict[Any, Any]]:
    """Split a COSE_Sign1 into its bytes with an empty unprotected header, and what that header held.

    RFC 9943 has a log do this before it hashes a statement. The payload must be inside.

    Raises:
        MalformedError: not a COSE_Sign1 in deterministic CBOR, a detached payload, or too large.

    """
    if type(raw) is not bytes:
        raise MalformedError("a statement is a byte string")
    if len(raw) > MAX_TRANSPARENT:
        raise MalformedError(f"{len(raw)} bytes; a statement and its header have at most {MAX_TRANSPARENT}")
    if not raw.startswith(_PREFIX):
        raise MalformedError(
            "not a COSE_Sign1", where="byte 0", remedy="Send tag 18 with an array of four, in deterministic CBOR"
        )
    try:
        protected, begin = decode_item(raw, len(_PREFIX), 1)
        if type(protected) is not bytes:
            raise MalformedError("expected a byte string", where="protected")
        unprotected, end = decode_item(raw, begin, 1)
    except IndexError:
        raise MalformedError("the input ends inside an item", where=f"byte {len(raw)}") from None
    if type(unprotected) is not dict or end > len(raw):
        raise MalformedError("the unprotected header must be a map", where="unprotected")
    if end - begin > MAX_UNPROTECTED:
        raise MalformedError(f"an unprotected header has at most {MAX_UNPROTECTED} bytes", where="unprotected")
    if raw[end : end + 1] == b"\xf6":
        raise MalformedError(
            "the payload is missing", where="detached payload", remedy="Send the statement with its payload"
        )
    emptied = b"".join((raw[:begin], b"\xa0", raw[end:]))
    cose.split(emptied)
    return emptied, unprotected


def attach(statement: bytes, receipts: Sequence[bytes]) -> bytes:
    """Make a transparent statement: `statement`, whose unprotected header is empty, with these receipts.

    Raises:
        MalformedError: not a statement's form, or not 1 to 16 receipts of a receipt's size.

    """
    parts = cose.split(statement)
    _check_receipts(list(receipts))
    begin = len(_PREFIX) + len(encode(parts.protected))
    return b"".join((statement[:begin], encode({RECEIPTS: list(receipts)}), statement[begin + 1 :]))


def split_transparent(raw: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """Split a transparent statement: the statement as the log holds it, and its receipts, at least one.

    Raises:
        MalformedError: for every byte string that `attach` does not write.

    """
    statement, unprotected = take_apart(raw)
    if set(unprotected) != {RECEIPTS}:
        raise MalformedError(
            "the unprotected header of a transparent statement holds receipts (394) and nothing else",
            where="unprotected",
        )
    receipts = unprotected[RECEIPTS]
    _check_receipts(receipts)
    return statement, tuple(receipts)


def _check_receipts(receipts: Any) -> None:
    if type(receipts) is not list or not 1 <= len(receipts) <= MAX_RECEIPTS:
        raise MalformedError(f"expected an array of 1 to {MAX_RECEIPTS} receipts", where=f"unprotected.{RECEIPTS}")
    for place, receipt in enumerate(receipts):
        if type(receipt) is not bytes or not 0 < len(receipt) <= MAX_RECEIPT:
            raise MalformedError(
                f"a receipt is a byte string of at most {MAX_RECEIPT} bytes", where=f"unprotected.{RECEIPTS}.{place}"
            )
