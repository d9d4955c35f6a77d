"""State records from outside: decoded only where every field is of its type.

The state's own records come from the rules and are what they say. Those in a bundle come from anybody: a proof under a
root shows that they were hashed, not that they are records. The types are read off the record classes, so that a new
field or kind of record needs nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from ledger.errors import MalformedError
from ledger.state.records import KINDS, decode_record, encode_record

Check = Callable[[Any], bool]


def read_record(kind: str, raw: bytes) -> Any:
    """Decode a record of `kind` strictly; MalformedError where a field is of another type, or the bytes of no form."""
    record = decode_record(kind, raw)
    for (name, check), value in zip(_checks_of(kind), record, strict=True):
        if not check(value):
            raise MalformedError(f"the member {name} of a record of kind {kind} is of another type", where=name)
    if encode_record(record) != raw:
        raise MalformedError(f"this is not the one form of a record of kind {kind}")
    return record


@lru_cache(maxsize=64)
def _checks_of(kind: str) -> tuple[tuple[str, Check], ...]:
    return _checks(KINDS[kind])


def _checks(record: Any) -> tuple[tuple[str, Check], ...]:
    hints = get_type_hints(record)
    fields: tuple[str, ...] = record._fields
    return tuple((name, _check_of(hints[name])) for name in fields)


def _check_of(hint: Any) -> Check:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        options = [_check_of(option) for option in args]
        return lambda value: any(option(value) for option in options)
    if origin is tuple:
        return _tuple_of(args)
    if hint is NoneType:
        return lambda value: value is None
    if hasattr(hint, "_fields"):
        members = _checks(hint)
        return lambda value: (
            type(value) is hint and all(check(item) for (_, check), item in zip(members, value, strict=True))
        )
    return lambda value: type(value) is hint


def _tuple_of(args: tuple[Any, ...]) -> Check:
    if len(args) == 2 and args[1] is Ellipsis:
        each = _check_of(args[0])
        return lambda value: isinstance(value, tuple) and all(each(item) for item in value)
    each_in_turn = [_check_of(arg) for arg in args]
    return lambda value: (
        isinstance(value, tuple)
        and len(value) == len(each_in_turn)
        and all(check(item) for check, item in zip(each_in_turn, value, strict=True))
    )
