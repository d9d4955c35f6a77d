"""Recursive Length Prefix, strictly: every value has one byte form, and only that is read.

Owns the codec of chain evidence (Ethereum yellow paper, appendix B): byte strings and lists of values. Refused are
lengths written longer than needed, single bytes below 0x80 with a length, items that reach beyond their list, trailing
bytes, too many levels and too many items. Trusts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn, TypeAlias

from ledger.errors import MalformedError

Item: TypeAlias = "bytes | list[Item]"
Encodable: TypeAlias = "bytes | Sequence[Encodable]"

MAX_DEPTH: Final = 16
MAX_ITEMS: Final = 4096
"""Most items in one value, at all levels; a trie node has at most 17 and the items of the nodes inside it."""
MAX_SIZE: Final = 128 * 1024


def _refuse(detail: str, offset: int) -> NoReturn:
    raise MalformedError(detail, where=f"RLP byte {offset}")


def _head(data: bytes, at: int, end: int) -> tuple[bool, int, int]:
    """Read the head at `at`: whether a list begins there, where its content begins, and where that ends."""
    if at >= end:
        _refuse("the input ends before an item", at)
    first = data[at]
    if first < 0x80:
        return False, at, at + 1
    is_list = first >= 0xC0
    low = first - (0xC0 if is_list else 0x80)
    if low < 56:
        start, length = at + 1, low
    else:
        start = at + 1 + low - 55
        raw = data[at + 1 : start]
        length = int.from_bytes(raw, "big")
        if start > end or raw[0] == 0 or length < 56:
            _refuse("a length is cut short, or written longer than needed", at)
    if start + length > end:
        _refuse("an item reaches beyond what holds it", at)
    if first == 0x81 and data[start] < 0x80:
        _refuse("a small byte is written with a length", at)
    return is_list, start, start + length


def decode(data: bytes, *, max_size: int = MAX_SIZE) -> Item:
    """Decode one value that fills `data`, of at most `max_size` bytes: bytes, or a list of such values.

    Raises MalformedError, with the offset, for everything that `encode` would not write, more than 16 levels, and more
    than 4,096 items.
    """
    if len(data) > max_size:
        raise MalformedError(f"{len(data)} bytes of RLP; at most {max_size} are accepted")
    is_list, start, end = _head(data, 0, len(data))
    if end != len(data):
        _refuse(f"{len(data) - end} bytes follow the value", end)
    if not is_list:
        return data[start:end]
    whole: list[Item] = []
    stack = [(whole, end)]
    at, count = start, 0
    while stack:
        items, end = stack[-1]
        if at == end:
            stack.pop()
            continue
        count += 1
        if count > MAX_ITEMS:
            _refuse(f"more than {MAX_ITEMS} items", at)
        is_list, start, stop = _head(data, at, end)
        if is_list:
            if len(stack) >= MAX_DEPTH:
                _refuse(f"more than {MAX_DEPTH} levels", at)
            inner: list[Item] = []
            items.append(inner)
            stack.append((inner, stop))
            at = start
        else:
            items.append(data[start:stop])
            at = stop
    return whole


def decode_list(data: bytes, *, max_size: int = MAX_SIZE) -> list[Item]:
    """Decode one list that fills `data`; see `decode`."""
    value = decode(data, max_size=max_size)
    if isinstance(value, bytes):
        _refuse("a byte string stands where a list belongs", 0)
    return value


def _prefix(base: int, length: int) -> bytes:
    if length < 56:
        return bytes([base + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([base + 55 + len(size)]) + size


def encode(value: Encodable) -> bytes:
    """Encode bytes, or a list or tuple of such values, of at most 16 levels."""
    return _encode(value, 0)


def _encode(value: Encodable, depth: int) -> bytes:
    if isinstance(value, bytes):
        if len(value) == 1 and value[0] < 0x80:
            return value
        return _prefix(0x80, len(value)) + value
    if not isinstance(value, list | tuple) or depth >= MAX_DEPTH:
        raise MalformedError(f"RLP holds byte strings and lists of at most {MAX_DEPTH} levels")
    content = b"".join([_encode(item, depth + 1) for item in value])
    return _prefix(0xC0, len(content)) + content


def encode_number(number: int) -> bytes:
    """Bytes of a scalar: big-endian, without leading zeros, empty for zero."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def number(value: Item, *, where: str, size: int = 32) -> int:
    """Read a scalar of at most `size` bytes; MalformedError for a list, leading zeros, or more."""
    if not isinstance(value, bytes) or len(value) > size or value[:1] == b"\0":
        raise MalformedError(f"a number of at most {size} bytes without leading zeros belongs here", where=where)
    return int.from_bytes(value, "big")


def fixed(value: Item, size: int, *, where: str) -> bytes:
    """Read a byte string of `size` bytes; MalformedError for anything else."""
    if not isinstance(value, bytes) or len(value) != size:
        raise MalformedError(f"{size} bytes belong here", where=where)
    return value
