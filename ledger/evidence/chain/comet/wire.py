"""Protocol Buffers, as far as CometBFT hashes and signs them: encoding only, and only what its messages use.

Owns the bytes of a field. A number of zero and an empty byte string are left out, as proto3 has it; an embedded message
that the generated code never leaves out is written by `message`. Nothing is decoded here: what a verifier hashes, it
writes itself, so there is one spelling. Follows the Protocol Buffers encoding guide.
"""

from __future__ import annotations

from typing import Final

_SHORT: Final = tuple(bytes([number]) for number in range(128))


def varint(number: int) -> bytes:
    """A number from 0 on in base 128, lowest group first."""
    if number < 128:
        return _SHORT[number]
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def number(field: int, value: int) -> bytes:
    """An unsigned number, nothing for zero. `field` is at most 15, here and below."""
    return _SHORT[field << 3] + varint(value) if value else b""


def fixed(field: int, value: int) -> bytes:
    """A number of eight bytes, lowest first (sfixed64), nothing for zero."""
    return _SHORT[field << 3 | 1] + value.to_bytes(8, "little") if value else b""


def data(field: int, value: bytes) -> bytes:
    """A byte string, or a text in UTF-8, nothing for an empty one."""
    return message(field, value) if value else b""


def message(field: int, value: bytes) -> bytes:
    """An embedded message, which stands there even when it is empty."""
    return _SHORT[field << 3 | 2] + varint(len(value)) + value


def timestamp(seconds: int, nanos: int) -> bytes:
    """The message google.protobuf.Timestamp."""
    return number(1, seconds) + number(2, nanos)


def block_id(block_hash: bytes, parts_total: int, parts_hash: bytes) -> bytes:
    """The message BlockID: hash of the header, number and hash of the parts in which the block was passed on."""
    return data(1, block_hash) + message(2, number(1, parts_total) + data(2, parts_hash))
