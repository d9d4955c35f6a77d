"""Decoding the proofs that a CometBFT node sends: protobuf messages of ICS-23, in the one form that is needed.

Owns a protobuf reader that is stricter than protobuf: a field that is unknown, out of order, said twice, zero or longer
than it may be is refused, and so are messages of more than a bound. Trusts nothing: what is decoded is not checked yet,
`ledger.evidence.chain.comet.ics23` does that. Follows the message definitions of ICS-23, `proofs.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.errors import MalformedError
from ledger.evidence.chain.comet.ics23 import MAX_DEPTH, MAX_KEY, MAX_PREFIX, MAX_VALUE, Absence, Existence

MAX_PROOF: Final = 3 * MAX_VALUE
"""Most bytes of one proof: that of an absence holds the values of both neighbours."""
MAX_SUFFIX: Final = 33

_VARINT: Final = 0
_BYTES: Final = 2
_LEAF_OPS: Final = {1: 1, 3: 1, 4: 1}
"""SHA-256 over the entry, the key as it is, the value hashed by SHA-256, lengths as varints: field number to value."""


def decode_proof(raw: bytes) -> Existence | Absence:
    """Decode a CommitmentProof of one key; MalformedError for batches, compressed proofs, and any other form."""
    if len(raw) > MAX_PROOF:
        raise MalformedError(f"a proof of {len(raw)} bytes; at most {MAX_PROOF} are accepted")
    fields = list(_fields(raw))
    if len(fields) != 1:
        raise MalformedError("a proof is either of existence or of absence")
    number, value = fields[0]
    if number == 1:
        return _existence(_bytes(value, MAX_PROOF))
    if number == 2:
        return _absence(_bytes(value, MAX_PROOF))
    raise MalformedError(f"a proof of the unknown kind {number}")


def _existence(raw: bytes) -> Existence:
    singles: dict[int, bytes] = {}
    path: list[tuple[bytes, bytes]] = []
    last = 0
    for number, value in _fields(raw):
        if number not in (1, 2, 3, 4) or number < last or (number == last and number != 4):
            raise MalformedError(f"field {number} does not belong here", where="existence")
        last = number
        if number != 4:
            singles[number] = _bytes(value, {1: MAX_KEY, 2: MAX_VALUE, 3: 2 * MAX_PREFIX}[number])
        elif len(path) < MAX_DEPTH:
            path.append(_inner(_bytes(value, 2 * MAX_PREFIX)))
        else:
            raise MalformedError(f"a path of more than {MAX_DEPTH} steps", where="existence")
    if 3 not in singles:
        raise MalformedError("a proof without a leaf", where="existence")
    return Existence(singles.get(1, b""), singles.get(2, b""), _leaf(singles[3]), tuple(path))


def _absence(raw: bytes) -> Absence:
    parts = _ascending(raw, {1: MAX_KEY, 2: MAX_PROOF, 3: MAX_PROOF}, "absence")
    left, right = (None if number not in parts else _existence(_bytes(parts[number], MAX_PROOF)) for number in (2, 3))
    return Absence(_bytes(parts.get(1, b""), MAX_KEY), left, right)


def _leaf(raw: bytes) -> bytes:
    """The prefix of a leaf that is hashed in the only way that is taken."""
    parts = _ascending(raw, {1: 0, 3: 0, 4: 0, 5: MAX_PREFIX}, "leaf")
    if any(parts.get(number) != value for number, value in _LEAF_OPS.items()):
        raise MalformedError("a leaf that is hashed in another way than by SHA-256", where="leaf")
    return _bytes(parts.get(5, b""), MAX_PREFIX)


def _inner(raw: bytes) -> tuple[bytes, bytes]:
    parts = _ascending(raw, {1: 0, 2: MAX_PREFIX, 3: MAX_SUFFIX}, "path")
    if parts.get(1) != 1:
        raise MalformedError("a step that is hashed in another way than by SHA-256", where="path")
    return _bytes(parts.get(2, b""), MAX_PREFIX), _bytes(parts.get(3, b""), MAX_SUFFIX)


def _ascending(raw: bytes, known: dict[int, int], where: str) -> dict[int, int | bytes]:
    """Fields of a message whose fields stand once each, in ascending order; `known`: most bytes, 0 for numbers."""
    parts: dict[int, int | bytes] = {}
    last = 0
    for number, value in _fields(raw):
        if number not in known or number <= last:
            raise MalformedError(f"field {number} does not belong here", where=where)
        last = number
        if (type(value) is int) != (known[number] == 0):
            raise MalformedError(f"field {number} is of another type", where=where)
        parts[number] = value if type(value) is int else _bytes(value, known[number])
    return parts


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a message in order: number, and a number above zero or bytes."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, kind = tag >> 3, tag & 7
        value, at = _varint(raw, at)
        if kind == _VARINT:
            if not value:
                raise MalformedError("a zero is left out, not written")
            yield number, value
        elif kind == _BYTES:
            if value > len(raw) - at:
                raise MalformedError("a field is longer than its message")
            yield number, raw[at : at + value]
            at += value
        else:
            raise MalformedError(f"a field of the unknown type {kind}")


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """A number below 2**32 in its shortest form, and where it ends."""
    number = 0
    for length in range(5):
        if at + length >= len(raw):
            raise MalformedError("a number ends too early")
        byte = raw[at + length]
        number |= (byte & 0x7F) << 7 * length
        if byte < 0x80:
            if (length and not byte) or number >= 1 << 32:
                break
            return number, at + length + 1
    raise MalformedError("a number is not in its shortest form, or too large")


def _bytes(value: int | bytes, most: int) -> bytes:
    if type(value) is not bytes or len(value) > most:
        raise MalformedError(f"at most {most} bytes belong here")
    return value
