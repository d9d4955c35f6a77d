"""Bounds of the values in headers, commits and proofs, checked where the values are made.

Owns the refusals that the modules beside it share. Trusts nothing.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.errors import MalformedError

MAX_HEIGHT: Final = (1 << 63) - 1
MAX_SECONDS: Final = (1 << 40) - 1
MAX_NANOS: Final = 999_999_999
MAX_PARTS: Final = (1 << 32) - 1


def check_number(name: str, value: object, least: int, most: int) -> None:
    """MalformedError unless `value` is a whole number from `least` to `most`."""
    if type(value) is not int or not least <= value <= most:
        raise MalformedError(f"a number from {least} to {most} belongs here", where=name)


def check_bytes(name: str, value: object, *sizes: int) -> None:
    """MalformedError unless `value` is a byte string of one of these sizes."""
    if type(value) is not bytes or len(value) not in sizes:
        raise MalformedError(f"{' or '.join(map(str, sizes))} bytes belong here", where=name)


def check_time(name: str, seconds: object, nanos: object) -> None:
    """MalformedError unless this is a time after 1970 in Unix seconds and nanoseconds."""
    check_number(f"{name} seconds", seconds, 1, MAX_SECONDS)
    check_number(f"{name} nanoseconds", nanos, 0, MAX_NANOS)


def items_of(name: str, value: object, most: int, least: int = 0) -> list[Any]:
    """The items of an array of `least` to `most`; MalformedError for anything else."""
    if type(value) is not list or not least <= len(value) <= most:
        wanted = str(most) if least == most else f"{least} to {most}"
        raise MalformedError(f"an array of {wanted} items belongs here", where=name)
    return value
