"""Values of records, claims and bodies as JSON has them, for answers and reports: nothing hashes this form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def jsonable(value: Any) -> Any:
    """The value with bytes in lower-case hex, named tuples as objects by their fields, and keys as text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: jsonable(item) for name, item in zip(value._fields, value, strict=True)}
    if isinstance(value, tuple | list):
        return [jsonable(item) for item in value]
    if isinstance(value, Mapping):
        return {key.hex() if isinstance(key, bytes) else str(key): jsonable(item) for key, item in value.items()}
    return value
