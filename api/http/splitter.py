"""Splitting a stream of concatenated COSE_Sign1 items without decoding them (RFC 8742 sequences of RFC 9052 items).

Owns the outer frame only: `d2 84` (tag 18, array of four), byte string, `a0` (empty map), byte string, byte string. An
item inside that frame may still be malformed; the strict decoder refuses it alone. Bytes outside the frame cannot be
split any further: the sequence is over. Trusts nothing; holds at most one incomplete item, which the frame bounds.
"""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

from ledger.errors import MalformedError

MAX_PART = 0xFFFF
"""Bytes of one byte string: no statement has a longer one."""


class SequenceError(MalformedError):
    """The sequence cannot be split any further."""

    code: ClassVar[str] = "sequence"


class Splitter:
    """Takes the body as it arrives, gives back whole items."""

    __slots__ = ("_held", "_need", "_offset", "_parts")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._held = 0
        self._need = 1
        self._offset = 0

    def feed(self, data: bytes) -> tuple[list[bytes], SequenceError | None]:
        """Take more of the body: the items that are complete now, and the error where the frame breaks after them."""
        if not data:
            return [], None
        self._parts.append(data)
        self._held += len(data)
        if self._held < self._need:
            return [], None
        return self._split(data if len(self._parts) == 1 else b"".join(self._parts))

    def finish(self) -> SequenceError | None:
        """At the end of the body: the error for an item that was cut off, None where nothing is left."""
        return self._broken("the body ends inside an item", 0) if self._held else None

    def _split(self, data: bytes) -> tuple[list[bytes], SequenceError | None]:
        items: list[bytes] = []
        error: SequenceError | None = None
        at = place = 0
        end = len(data)
        try:
            with suppress(IndexError):  # the heads of the last item are not all here yet
                while at < end:
                    place = at
                    if data[at] != 0xD2 or data[at + 1] != 0x84:
                        error = self._broken("a COSE_Sign1 item must begin here", at)
                        break
                    # Three byte strings, an empty map after the first; written out, for this runs for every statement.
                    head = data[at + 2]
                    if head == 0x58:
                        place = at + 4 + data[at + 3]
                    elif head == 0x59:
                        place = at + 5 + (data[at + 3] << 8 | data[at + 4])
                    else:
                        place = at + 3 + _short(head)
                    if data[place] != 0xA0:
                        error = self._broken("the unprotected header must be the empty map", at)
                        break
                    head = data[place + 1]
                    if head == 0x58:
                        place += 3 + data[place + 2]
                    elif head == 0x59:
                        place += 4 + (data[place + 2] << 8 | data[place + 3])
                    else:
                        place += 2 + _short(head)
                    head = data[place]
                    if head == 0x58:
                        place += 2 + data[place + 1]
                    elif head == 0x59:
                        place += 3 + (data[place + 1] << 8 | data[place + 2])
                    else:
                        place += 1 + _short(head)
                    if place > end:
                        break
                    items.append(data[at:place])
                    at = place
        except ValueError as broken:
            error = self._broken(str(broken), at)
        self._keep(data[at:], place - at)
        self._offset += at
        return items, error

    def _keep(self, rest: bytes, need: int) -> None:
        """Hold the beginning of the next item until at least `need` bytes of it are here."""
        self._parts = [rest] if rest else []
        self._held = len(rest)
        self._need = max(need, self._held + 1)

    def _broken(self, detail: str, at: int) -> SequenceError:
        return SequenceError(
            detail,
            where=f"byte {self._offset + at} of the body",
            remedy="Send COSE_Sign1 items (d2 84, byte string, a0, two byte strings) with nothing between them",
        )


def _short(head: int) -> int:
    """Length of a byte string of at most 23 bytes, from its head; ValueError for every other head."""
    if 0x40 <= head <= 0x57:
        return head - 0x40
    raise ValueError(f"head {head:#04x} does not begin a byte string of at most {MAX_PART} bytes")
