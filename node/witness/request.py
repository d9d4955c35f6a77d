"""The body of `add-checkpoint` and the answer to it (C2SP tlog-witness): written by a log, read by a witness.

Owns the bytes only. Whether the proof holds, and whether the checkpoint is signed, is asked elsewhere.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import MalformedError
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import Note, decode_base64
from ledger.log.tree import HASH_SIZE, MAX_SIZE

MAX_BODY: Final = 1 << 18
"""Bytes of a request: 63 hashes and a checkpoint with dozens of post-quantum cosignatures fit."""
MAX_ANSWER: Final = 1 << 16
MAX_LINES: Final = 63
"""Proof lines: no tree that fits the world needs more."""
SIZE_TYPE: Final = "text/x.tlog.size"

_OLD = re.compile(rb"old (0|[1-9][0-9]{0,19})")
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,19})\n")
_HASH_LINE: Final = 44


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request: `proof` (32-byte hashes) leads from `old` to the checkpoint in `note`, whose text is `checkpoint`."""

    old: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, body: bytes) -> AddCheckpoint:
        """Read a request strictly.

        Raises:
            MalformedError: too long, another form than old size line, at most 63 hashes, blank line and checkpoint, or
                an old size above the checkpoint's.

        """
        if len(body) > MAX_BODY:
            raise MalformedError(f"a request has at most {MAX_BODY} bytes", where="body")
        head, separator, note = body.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        old = _OLD.fullmatch(first)
        if not separator or old is None or int(old[1]) > MAX_SIZE:
            raise MalformedError(
                "a request is `old <size>`, proof lines, a blank line and a checkpoint", where="old size line"
            )
        if len(lines) > MAX_LINES:
            raise MalformedError(f"a proof has at most {MAX_LINES} lines, not {len(lines)}", where="proof")
        parsed = Note.parse(note)
        checkpoint = Checkpoint.parse(parsed.text)
        if int(old[1]) > checkpoint.size:
            raise MalformedError(
                f"the old size {int(old[1])} is above the checkpoint's {checkpoint.size}", where="old size line"
            )
        return cls(int(old[1]), tuple(_hash(line, number) for number, line in enumerate(lines, 1)), parsed, checkpoint)


def write_request(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """Write a request; `AddCheckpoint.parse` reads it."""
    lines = [b"old %d\n" % old, *(base64.b64encode(value) + b"\n" for value in proof)]
    return b"".join(lines) + b"\n" + note


def write_size(size: int) -> bytes:
    """Write the body of a 409: the size that the witness cosigned last."""
    return b"%d\n" % size


def read_size(body: bytes) -> int:
    """Read the body of a 409; MalformedError for anything else."""
    found = _SIZE.fullmatch(body[:32])
    if found is None or int(found[1]) > MAX_SIZE:
        raise MalformedError("not a tree size and a newline", where="body")
    return int(found[1])


def _hash(line: bytes, number: int) -> bytes:
    where = f"proof line {number}"
    value = decode_base64(line, where) if len(line) == _HASH_LINE else b""
    if len(value) != HASH_SIZE:
        raise MalformedError("a proof line is the base64 of 32 bytes", where=where)
    return value
