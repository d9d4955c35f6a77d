"""Deterministic CBOR, and nothing else: a one-pass strict decoder and the encoder that is its inverse.

Owns the one byte form of every value that is signed or hashed: RFC 8949 section 4.2.1 (shortest heads, definite
lengths, map keys in bytewise order) narrowed to a profile: integers of 64 bits and sign, byte strings, text as
`ledger.statements.text` has it, arrays, maps with integer, byte or text keys, false, true, null, and one outermost tag
where the caller names it. No floats, no other tags, at most 16 levels. For every byte string b: either `decode(b)`
raises `MalformedError`, or `encode(decode(b)) == b`; so nobody needs to encode again to compare.

Trusts nothing about the input. Lengths are not compared with what is left at each item: a position only grows, so a
length that reaches beyond the end makes the final position wrong, or the next head unreadable, and either is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn

from ledger.errors import MalformedError
from ledger.statements.text import text_problem

MAX_DEPTH: Final = 16
MAX_SIZE: Final = 1 << 20  # bytes; callers with a smaller bound of their own state it
_MAX_UINT: Final = (1 << 64) - 1

_from_bytes = int.from_bytes


def _refuse(detail: str, offset: int, remedy: str = "") -> NoReturn:
    raise MalformedError(detail, where=f"byte {offset}", remedy=remedy)


def _argument(data: bytes, at: int, low: int) -> tuple[int, int]:
    """Read a head's argument of 2, 4 or 8 bytes: the argument and the position after the head."""
    if low == 25:
        value = _from_bytes(data[at + 1 : at + 3], "big")
        if value < 0x100:
            _refuse("a number is written longer than needed", at)
        return value, at + 3
    if low == 26:
        value = _from_bytes(data[at + 1 : at + 5], "big")
        if value < 0x10000:
            _refuse("a number is written longer than needed", at)
        return value, at + 5
    if low == 27:
        value = _from_bytes(data[at + 1 : at + 9], "big")
        if value < 0x100000000:
            _refuse("a number is written longer than needed", at)
        return value, at + 9
    if low == 31:
        _refuse("indefinite lengths are outside the profile", at)
    _refuse(f"head byte {data[at]:#04x} is reserved", at)


def _text(raw: bytes, at: int) -> str:
    """Decode the UTF-8 of a text whose head stands at `at`."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        _refuse(f"the text is not UTF-8: {error.reason}", at)
    problem = text_problem(text)
    if problem:
        _refuse(problem, at)
    return text


def decode_item(data: bytes, at: int, depth: int = 0) -> tuple[Any, int]:
    """Read the item whose head stands at `at`: the item and the position after it.

    For callers inside this package: the position may lie beyond the end of `data` (the last item was cut short), which
    the caller must refuse, and IndexError means the same.
    """
    head = data[at]
    if head < 0x18:
        return head, at + 1
    low = head & 0x1F
    if low < 0x18:
        number, start = low, at + 1
    elif low == 0x18 and head < 0xE0:
        number, start = data[at + 1], at + 2
        if number < 0x18:
            _refuse("a number is written longer than needed", at)
    elif head > 0xE0:
        return _simple(head, at), at + 1
    else:
        number, start = _argument(data, at, low)
    if head < 0x40:
        return (number if head < 0x20 else -1 - number), start
    if head < 0x80:
        end = start + number
        raw = data[start:end]
        if head < 0x60:
            return raw, end
        if raw.isascii():
            text = raw.decode()
            if text.isprintable():
                return text, end
        return _text(raw, at), end
    if head < 0xA0:
        return _array(data, start, number, depth + 1)
    if head < 0xC0:
        return _map(data, start, number, depth + 1)
    if head < 0xE0:
        _refuse(f"tag {number} is not allowed here", at)
    return _simple(head, at), at + 1


def _array(data: bytes, at: int, count: int, depth: int) -> tuple[list[Any], int]:
    if depth > MAX_DEPTH:
        _refuse(f"more than {MAX_DEPTH} levels", at)
    items = []
    for _ in range(count):
        item, at = decode_item(data, at, depth)
        items.append(item)
    return items, at


def _map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[Any, Any], int]:
    if depth > MAX_DEPTH:
        _refuse(f"more than {MAX_DEPTH} levels", at)
    items: dict[Any, Any] = {}
    last_head = -1
    last_start = last_end = at
    for _ in range(count):
        head = data[at]
        start = at
        if head < 0x18:
            key: Any = head
            at += 1
        elif head < 0x80:
            key, at = decode_item(data, at, depth)
        else:
            _refuse("a map key must be an integer, a byte string or a text", at)
        # Keys ascend by their encoded bytes, which also rules out duplicates; mostly the heads alone tell.
        if head <= last_head and (head < last_head or data[start:at] <= data[last_start:last_end]):
            _refuse("map keys are not in ascending bytewise order, or one stands twice", start)
        last_head = head
        last_start = start
        last_end = at
        items[key], at = decode_item(data, at, depth)
    return items, at


def _simple(head: int, at: int) -> bool | None:
    if head == 0xF4:
        return False
    if head == 0xF5:
        return True
    if head == 0xF6:
        return None
    if 0xF9 <= head <= 0xFB:
        _refuse("floating point numbers are outside the profile", at)
    _refuse(f"head byte {head:#04x} is outside the profile", at)


def decode(data: bytes, *, tag: int | None = None, max_size: int = MAX_SIZE) -> Any:
    """Decode one item that fills `data`, of at most `max_size` bytes.

    With `tag` the item must carry exactly this tag, without it none. Arrays come back as lists, maps as dicts in the
    order of their keys. Raises `MalformedError` with the byte offset for everything that `encode` would not write.
    """
    if type(data) is not bytes:
        raise MalformedError("CBOR input must be bytes")
    if len(data) > max_size:
        raise MalformedError(f"{len(data)} bytes; at most {max_size} are accepted")
    start = 0
    if tag is not None:
        prefix = _head(0xC0, tag)
        if not data.startswith(prefix):
            _refuse(f"the item must be under tag {tag}", 0)
        start = len(prefix)
    try:
        item, end = decode_item(data, start)
    except IndexError:
        end = len(data) + 1
        item = None
    if end != len(data):
        if end > len(data):
            _refuse("the input ends inside an item", len(data))
        _refuse(f"{len(data) - end} bytes follow the item", end)
    return item


def check_count(data: bytes, most: int) -> None:
    """Refuse input of more than `most` items before it is decoded: a byte of input may become a hundred of memory.

    For large inputs. Reads heads alone, and judges nothing else: what is wrong with them, `decode` will say.
    """
    at, end, count = 0, len(data), 0
    while at < end:
        count += 1
        if count > most:
            _refuse(f"more than {most} items", at)
        head = data[at]
        low = head & 0x1F
        width = 1 << low - 24 if 24 <= low <= 27 else 0
        if 0x40 <= head < 0x80:
            at += _from_bytes(data[at + 1 : at + 1 + width], "big") if width else low
        at += 1 + width


_SHORT_HEADS: Final = tuple(bytes([head]) for head in range(256))


def _head(major: int, number: int) -> bytes:
    """Encode a head: `major` is the major type in its place (0x00, 0x20, ..), `number` its argument."""
    if number < 0x18:
        return _SHORT_HEADS[major + number]
    if number < 0x100:
        return _SHORT_HEADS[major + 24] + _SHORT_HEADS[number]
    if number < 0x10000:
        return _SHORT_HEADS[major + 25] + number.to_bytes(2, "big")
    if number < 0x100000000:
        return _SHORT_HEADS[major + 26] + number.to_bytes(4, "big")
    return _SHORT_HEADS[major + 27] + number.to_bytes(8, "big")


def encode_bytes(value: bytes) -> bytes:
    """Encode one byte string."""
    return _head(0x40, len(value)) + value


def _encode_int(value: int, _depth: int) -> bytes:
    if 0 <= value <= _MAX_UINT:
        return _head(0x00, value)
    if -1 - _MAX_UINT <= value < 0:
        return _head(0x20, -1 - value)
    raise MalformedError(f"{value} does not fit 64 bits and a sign")


def _encode_text(value: str, _depth: int) -> bytes:
    problem = text_problem(value)
    if problem:
        raise MalformedError(problem)
    raw = value.encode()
    return _head(0x60, len(raw)) + raw


def _encode_bytes(value: bytes, _depth: int) -> bytes:
    return _head(0x40, len(value)) + value


def _encode_array(value: list[Any] | tuple[Any, ...], depth: int) -> bytes:
    if depth >= MAX_DEPTH:
        raise MalformedError(f"more than {MAX_DEPTH} levels")
    return _head(0x80, len(value)) + b"".join([_encode(item, depth + 1) for item in value])


def _encode_map(value: dict[Any, Any], depth: int) -> bytes:
    if depth >= MAX_DEPTH:
        raise MalformedError(f"more than {MAX_DEPTH} levels")
    pairs = []
    for key, item in value.items():
        if type(key) not in (int, str, bytes):
            raise MalformedError(f"a map key must be an integer, a byte string or a text, not {type(key).__name__}")
        pairs.append((_encode(key, depth), _encode(item, depth + 1)))
    pairs.sort()
    return _head(0xA0, len(value)) + b"".join([key + item for key, item in pairs])


def _encode_simple(value: bool | None, _depth: int) -> bytes:
    return b"\xf6" if value is None else b"\xf5" if value else b"\xf4"


_ENCODERS: Final[dict[type, Callable[[Any, int], bytes]]] = {
    int: _encode_int,
    str: _encode_text,
    bytes: _encode_bytes,
    list: _encode_array,
    tuple: _encode_array,
    dict: _encode_map,
    bool: _encode_simple,
    type(None): _encode_simple,
}


def _encode(value: Any, depth: int) -> bytes:
    encoder = _ENCODERS.get(type(value))
    if encoder is None:
        if not isinstance(value, tuple):  # named tuples are arrays
            raise MalformedError(f"{type(value).__name__} is outside the CBOR profile")
        encoder = _encode_array
    return encoder(value, depth)


def encode(value: Any, *, tag: int | None = None) -> bytes:
    """Encode `value` in its one deterministic form, under `tag` where given.

    Takes int, str, bytes, list, tuple (named tuples too), dict, bool and None. Raises `MalformedError` for everything
    that `decode` would not read back: other types, floats, text that is not NFC, more than 16 levels.
    """
    raw = _encode(value, 0)
    return raw if tag is None else _head(0xC0, tag) + raw
