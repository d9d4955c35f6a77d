"""Kept promises: what a submitter holds on to until the log has published what it acknowledged (DESIGN section 6).

Owns one line of a promise file and its check under the log's keys. A line is base64 of deterministic CBOR
`["tial-promise-v1", members]` (docs/formats.md): lines can be added, and files put together, without reading the rest.
A line without an acknowledgement holds a statement that the log has not answered: it promised nothing, but the
statement is what a `request` on the chain needs. Trusts the keys that the caller hands in.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

from ledger.crypto.digests import kid
from ledger.errors import MalformedError
from ledger.log.proofs import MAX_RANGE_PROOF, root_from_range
from ledger.state.log_keys import LogKeys
from ledger.statements import MAX_STATEMENT_SIZE
from ledger.statements.acknowledgement import Acknowledgement, open_acknowledgement, require_bounded, signed_by
from ledger.statements.cbor import decode, encode
from ledger.statements.shapes import Members, array_of, digest, octets_up_to, uint

FORMAT: Final = "tial-promise-v1"
MAX_ENTRIES: Final = 1024
"""Entries of one line: those of one request at most."""
MAX_LINE: Final = 1 << 18
_RUN: Final = frozenset({"first", "leaves", "ack", "proof"})


@dataclass(frozen=True, slots=True)
class Promised:
    """What the log acknowledged: `leaves` (hashes) as the entries from `first` on; `proof` leads into its group."""

    first: int
    leaves: tuple[bytes, ...]
    ack: bytes
    proof: tuple[bytes, ...]

    def open(self, log_id: bytes, keys: LogKeys) -> Acknowledgement:
        """The acknowledgement, once it is seen to be the log's and to cover these entries; MalformedError else."""
        by = signed_by(self.ack)
        key = next((key for key in keys.may_acknowledge(self.first) if kid(key.key) == by), None)
        if key is None:
            raise MalformedError(
                "The acknowledgement is by no key that the log had then", where="ack", remedy="Is it of another log?"
            )
        ack = open_acknowledgement(self.ack, key.alg, key.key)
        if ack.log_id != log_id:
            raise MalformedError("The acknowledgement is of another log", where="ack")
        require_bounded(ack)
        inside = self.first >= ack.first
        if not inside or root_from_range(self.first - ack.first, self.leaves, ack.size, self.proof) != ack.root:
            raise MalformedError("The acknowledgement does not cover these entries", where=f"entry {self.first}")
        return ack


@dataclass(frozen=True, slots=True)
class Kept:
    """One line: the log, the statement as it was sent (empty where only its leaf is kept), what was promised."""

    log_id: bytes
    statement: bytes = b""
    promised: Promised | None = None

    def encode(self) -> bytes:
        """The line, its end included."""
        members: dict[str, Any] = {"log": self.log_id}
        if self.statement:
            members["statement"] = self.statement
        if (run := self.promised) is not None:
            members |= {"first": run.first, "leaves": list(run.leaves), "ack": run.ack, "proof": list(run.proof)}
        _check(members)
        return base64.b64encode(encode([FORMAT, members])) + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Kept:
        """Read a line; MalformedError for any other form."""
        text = line.removesuffix(b"\n")
        if len(text) > MAX_LINE:
            raise MalformedError(f"a line has at most {MAX_LINE} bytes")
        try:
            raw = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise MalformedError("the line is not base64") from error
        if base64.b64encode(raw) != text:
            raise MalformedError("the line is not base64 in its one form")
        match decode(raw, max_size=MAX_LINE):
            case [str(name), dict(members)] if name == FORMAT:
                _check(members)
            case _:
                raise MalformedError("This is no line of a promise file")
        if "ack" not in members:
            return cls(members["log"], members["statement"])
        leaves, proof = tuple(members["leaves"]), tuple(members["proof"])
        run = Promised(members["first"], leaves, members["ack"], proof)
        return cls(members["log"], members.get("statement", b""), run)


def _check(members: dict[str, Any]) -> None:
    _SHAPE(members)
    given = _RUN & members.keys()
    if given not in (frozenset(), _RUN):
        raise MalformedError("the member is missing beside the others of its kind", where=min(_RUN - given))
    if not given and "statement" not in members:
        raise MalformedError("neither a statement nor an acknowledgement is kept", where="statement")


_SHAPE: Final = Members(
    {
        "log!": digest,
        "statement": octets_up_to(MAX_STATEMENT_SIZE),
        "first": uint,
        "leaves": array_of(digest, 1, MAX_ENTRIES),
        "ack": octets_up_to(MAX_STATEMENT_SIZE),
        "proof": array_of(digest, 0, MAX_RANGE_PROOF),
    }
)
