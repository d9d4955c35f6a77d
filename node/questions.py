"""Questions that take work to answer: a few at a time, and only so many waiting.

Owns the bound. Readers' work runs in threads, which take turns with the event loop for the interpreter; without a
bound, strangers who ask for long histories would slow down admission. Belongs to the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ledger.errors import UnavailableError

AT_ONCE: Final = 2
WAITING: Final = 256


class Questions:
    """`turn` is entered (`async with`) for the work itself, `place` for all the time that a request is held."""

    def __init__(self, at_once: int = AT_ONCE, waiting: int = WAITING) -> None:
        """`at_once` turns at the same time, `waiting` places, those whose turn it is included."""
        self.turn = asyncio.Semaphore(at_once)
        self._left = waiting

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places; UnavailableError where all are taken."""
        if not self._left:
            raise UnavailableError("Too many ask at once", remedy="Ask again in some seconds, or ask a mirror")
        self._left -= 1
        try:
            yield
        finally:
            self._left += 1
