"""Files that people hand in: whichever decoder refuses one, the error says which file, and what it should have been."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.errors import MalformedError


@contextmanager
def reading(path: Path, what: str, remedy: str = "") -> Iterator[None]:
    """While `path` is decoded as `what`: a MalformedError names both, and says `remedy` in place of its own."""
    try:
        yield
    except MalformedError as error:
        where = ", ".join(filter(None, (str(path), error.where)))
        raise MalformedError(
            f"This is no {what}: {error.detail}", where=where, remedy=remedy or error.remedy
        ) from error
