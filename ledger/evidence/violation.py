"""Evidence that a log signed what its rules forbid: one file that anybody can check against the log's key.

Owns the file's form (one deterministic CBOR array, docs/formats.md) and what can be told from it alone: that the log
signed the checkpoint, and that the entries shown are under it. Whether an entry is against the rules is found by
replaying the log up to it, which the file's reader must do: the sentence in it is the maker's word. Trusts the keys
that the caller hands in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.errors import MalformedError
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import MAX_NOTE, Note, Vkey, verify_note
from ledger.log.proofs import MAX_PROOF, verify_inclusion
from ledger.log.tiles import MAX_ENTRY
from ledger.log.tree import leaf_hash
from ledger.statements.cbor import decode, encode

FORMAT: Final = "tial-violation-v1"
MAX_REASON: Final = 2000
MAX_SIZE: Final = MAX_NOTE + 4 * MAX_ENTRY


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """An entry, its index, and its inclusion proof in the tree of the checkpoint (32-byte hashes, leaf first)."""

    index: int
    entry: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Violation:
    """What a checker found, when (Unix seconds, its own clock), and the signed bytes that show it.

    `manifest` is the checkpoint's last leaf; `offending` the entry that the rules refuse, where it is one's fault.
    """

    reason: str
    time: int
    checkpoint: bytes
    manifest: LoggedEntry
    offending: LoggedEntry | None = None

    def encode(self) -> bytes:
        """Write the file; MalformedError for what `decode` would not read back."""
        parts = [_as_list(self.manifest), None if self.offending is None else _as_list(self.offending)]
        raw = encode([FORMAT, self.reason, self.time, self.checkpoint, *parts])
        if Violation.decode(raw) != self:
            raise MalformedError("this evidence would not be read back", where="evidence")
        return raw

    @classmethod
    def decode(cls, raw: bytes) -> Violation:
        """Read a file; MalformedError for any other form."""
        value = decode(raw, max_size=MAX_SIZE)
        match value:
            case [str(form), str(reason), int(time), bytes(note), list(manifest), list() | None as offending] if (
                form == FORMAT and len(reason) <= MAX_REASON and time >= 0 and type(time) is int
            ):
                shown = None if offending is None else _as_entry(offending, "offending")
                return cls(reason, time, note, _as_entry(manifest, "manifest"), shown)
        raise MalformedError("not an evidence file of a violation", where="evidence")

    def check(self, vkeys: Iterable[Vkey]) -> Checkpoint:
        """Check that a key of the log signed the checkpoint and that the entries are under it; returns it.

        Raises:
            MalformedError: the checkpoint is not in form or of another origin, or an entry is not under it.
            NoteSignatureError: the log did not sign it.

        """
        note = Note.parse(self.checkpoint)
        (signature, *_) = verify_note(note, vkeys)
        checkpoint = Checkpoint.parse(note.text)
        if checkpoint.origin != signature.vkey.name:
            raise MalformedError("the checkpoint is of another log", where="checkpoint")
        if self.manifest.index != checkpoint.size - 1:
            raise MalformedError("the manifest shown is not the last leaf", where="manifest")
        for where, one in (("manifest", self.manifest), ("offending", self.offending)):
            if one is not None and not verify_inclusion(
                leaf_hash(one.entry), one.index, checkpoint.size, one.proof, checkpoint.root
            ):
                raise MalformedError("the entry is not under the checkpoint", where=where)
        return checkpoint


def _as_list(one: LoggedEntry) -> list[Any]:
    return [one.index, one.entry, list(one.proof)]


def _as_entry(value: Sequence[Any], where: str) -> LoggedEntry:
    match value:
        case [int(index), bytes(entry), list(proof)] if (
            type(index) is int and index >= 0 and len(entry) <= MAX_ENTRY and len(proof) <= MAX_PROOF
        ):
            if all(type(one) is bytes and len(one) == 32 for one in proof):
                return LoggedEntry(index, entry, tuple(proof))
    raise MalformedError("expected an index, an entry and hashes of 32 bytes", where=where)
