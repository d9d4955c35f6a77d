"""Checkpoints: the log's size and root as a signed note, and witness cosignatures on it.

Owns the checkpoint's text (C2SP tlog-checkpoint), signing and opening it, and cosignature/v1 (C2SP tlog-cosignature,
Ed25519). Trusts the verifier keys that the caller hands in. Says nothing about whether a checkpoint may follow another:
that is a consistency proof's matter, and when to sign is the publisher's.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ledger.crypto.suites import Signer
from ledger.errors import MalformedError
from ledger.log.notes import (
    COSIGNATURE,
    MAX_NAME,
    Note,
    NoteSignature,
    NoteSignatureError,
    Vkey,
    check_text,
    cosign_text,
    decode_base64,
    sign_text,
    verify_note,
)
from ledger.log.tree import EMPTY_ROOT, HASH_SIZE, MAX_SIZE

MAX_TEXT = 16_384
"""Bytes in a checkpoint's text; other logs may add extension lines, none needs more."""

_DECIMAL = re.compile(rb"0|[1-9][0-9]{0,19}")
_LINES = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's tree head: origin, size (leaves), 32-byte root; `extensions` are other logs' further lines, opaque."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: bytes) -> Checkpoint:
        """Read a checkpoint's text; `text` gives the same bytes back.

        Raises:
            MalformedError: too large, not UTF-8, fewer than three lines, an empty line, an origin over 255 bytes, a
                size that is not a canonical decimal uint64, or a root that is not canonical base64 of 32 bytes.

        """
        if len(text) > MAX_TEXT:
            raise MalformedError(f"a checkpoint's text has at most {MAX_TEXT} bytes, not {len(text)}", where="text")
        check_text(text, "text")
        *lines, after_last = text.split(b"\n")
        if after_last or len(lines) < _LINES or b"" in lines:
            raise MalformedError(
                "a checkpoint is at least three non-empty lines, each ending in a newline: origin, size, root",
                where="text",
            )
        origin, size, root, *extensions = lines
        _check_origin(origin)
        if not _DECIMAL.fullmatch(size) or int(size) > MAX_SIZE:
            raise MalformedError("a tree size is a decimal uint64 without leading zeros", where="size line")
        digest = decode_base64(root, "root line")
        if len(digest) != HASH_SIZE:
            raise MalformedError(f"a root has {HASH_SIZE} bytes, not {len(digest)}", where="root line")
        return cls(origin.decode(), int(size), digest, tuple(line.decode() for line in extensions))

    def text(self) -> bytes:
        """Write the text that is signed, final newline included.

        Raises:
            MalformedError: a field that `parse` would not give back.

        """
        root = base64.b64encode(self.root).decode()
        lines = (self.origin, str(self.size), root, *self.extensions)
        try:
            text = "".join(f"{line}\n" for line in lines).encode()
        except UnicodeEncodeError:
            raise MalformedError("a checkpoint is UTF-8", where="origin or extension line") from None
        if Checkpoint.parse(text) != self:
            raise MalformedError(
                "a field holds a line break", where="checkpoint", remedy="Origin and extensions are single lines"
            )
        return text


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's verified cosignature: whose, and the newest POSIX second at which it vouched for the checkpoint."""

    vkey: Vkey
    time: int


def sign_checkpoint(signer: Signer, checkpoint: Checkpoint) -> bytes:
    """Sign a checkpoint of our own log as a note; the key's name is the origin.

    Raises:
        MalformedError: a field out of its form, an origin that is no key name, extension lines (newer cosignatures do
            not cover them), or an empty tree whose root is not the empty root.

    """
    if checkpoint.extensions:
        raise MalformedError(
            "our checkpoints carry no extension lines",
            where="extensions",
            remedy="Put what must be signed into the log itself",
        )
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise MalformedError("the tree of size 0 has the empty root", where="root")
    text = checkpoint.text()
    return Note(text, (sign_text(signer, checkpoint.origin, text),)).serialise()


def open_checkpoint(data: bytes, vkey: Vkey, *, origin: str | None = None) -> Checkpoint:
    """Verify a checkpoint note by the log's key and read it.

    `origin` is the one expected; left out, it must be the key's name, which tlog-checkpoint recommends.

    Raises:
        MalformedError: the note or its text is not in form, or it is of another origin.
        NoteSignatureError: the log's signature is absent or fails.

    """
    checkpoint, _ = open_cosigned(data, vkey, (), origin=origin)
    return checkpoint


def open_cosigned(
    data: bytes, vkey: Vkey, witnesses: Iterable[Vkey], *, origin: str | None = None
) -> tuple[Checkpoint, tuple[Cosignature, ...]]:
    """Verify a checkpoint note by the log's key and by every known witness on it.

    Returns the checkpoint and at most one cosignature for each witness, its newest, in the note's order. Whether they
    make a quorum is the policy's question.

    Raises:
        MalformedError: as `open_checkpoint`, or a witness key that is not a cosignature key of its own.
        NoteSignatureError: the log's signature is absent or fails, or a known witness's fails.

    """
    note = Note.parse(data)
    known = tuple(witnesses)
    if any(witness.type != COSIGNATURE for witness in known):
        raise MalformedError("a witness signs with a cosignature key (type 0x04)", where="witnesses")
    verified = verify_note(note, (vkey, *known))
    if all(signature.vkey != vkey for signature in verified):
        raise NoteSignatureError("the log itself did not sign this checkpoint", where=vkey.name)
    checkpoint = Checkpoint.parse(note.text)
    expected = vkey.name if origin is None else origin
    if checkpoint.origin != expected:
        raise MalformedError(
            f"the checkpoint is of {checkpoint.origin!r}, not of {expected!r}",
            where="origin line",
            remedy="Ask the log that you mean, or correct the expected origin",
        )
    newest: dict[Vkey, int] = {}
    for signature in verified:
        if signature.time is not None and signature.vkey in known:
            newest[signature.vkey] = max(signature.time, newest.get(signature.vkey, 0))
    return checkpoint, tuple(Cosignature(witness, time) for witness, time in newest.items())


def make_cosignature(signer: Signer, name: str, text: bytes, time: int) -> NoteSignature:
    """Cosign a checkpoint's text as witness `name` at `time` (POSIX seconds, 0 to 2**63 - 1).

    Raises:
        MalformedError: the text is not a checkpoint's, the signer not Ed25519, or name or time out of form.

    """
    Checkpoint.parse(text)
    return cosign_text(signer, name, text, time)


def verify_cosignature(vkey: Vkey, text: bytes, signature: NoteSignature) -> int:
    """Check one witness's line over a checkpoint's text; return its POSIX time.

    Raises:
        MalformedError: the text is not a checkpoint's, or the key is not a cosignature key.
        NoteSignatureError: the line is not by that key, or does not verify.

    """
    Checkpoint.parse(text)
    if vkey.type != COSIGNATURE:
        raise MalformedError("a witness signs with a cosignature key (type 0x04)", where=vkey.name)
    (verified,) = verify_note(Note(text, (signature,)), (vkey,))
    assert verified.time is not None  # a 0x04 key always yields a time
    return verified.time


def _check_origin(origin: bytes) -> None:
    if len(origin) > MAX_NAME:
        raise MalformedError(f"an origin has at most {MAX_NAME} bytes, not {len(origin)}", where="origin line")
