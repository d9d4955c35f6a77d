"""Signed notes: text, a blank line, signature lines (C2SP signed-note), and the verifier keys that name their signers.

Owns parsing and writing of notes and vkeys, key ids, and checking of the two signature types that we use: 0x01 (Ed25519
over the text) and 0x04 (timestamped Ed25519 cosignature/v1, C2SP tlog-cosignature). Trusts the caller's list of vkeys
and nothing else: lines of unknown keys are ignored, whatever they hold; a line of a known key that fails makes the
whole note invalid.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar

from ledger.crypto.suites import Signer, suite_by_name
from ledger.errors import LedgerError, MalformedError

ED25519 = 0x01
"""Signature type: Ed25519 over the note text."""

COSIGNATURE = 0x04
"""Signature type: 8-byte big-endian POSIX time, then Ed25519 over the cosignature/v1 message."""

MAX_NOTE = 1_000_000
"""Bytes in a note; 100 post-quantum signatures fit."""

MAX_SIGNATURES = 100
MAX_NAME = 255
"""Bytes in a key name: what newer cosignature messages can still carry (C2SP tlog-cosignature)."""

MAX_TIME = 2**63 - 1

_SUITE = "ed25519"
_KEY_SIZE = 32
_KEY_ID_SIZE = 4
_SIGNATURE_SIZE = 64
_TIME_SIZE = 8
_DASH = "\u2014 ".encode()
_MAX_VKEY = 4096


class NoteSignatureError(LedgerError):
    """A note that no known key signed, or that carries a known key's signature which does not verify."""

    code: ClassVar[str] = "note-signature"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: key name, 4-byte key id, and the bytes after it, whose form the key's type decides."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> bytes:
        """Write the line, newline included.

        Raises:
            MalformedError: the name is not a key name, or the key id or signature has no possible length.

        """
        check_name(self.name)
        if len(self.key_id) != _KEY_ID_SIZE or not self.signature:
            raise MalformedError("a note signature is a 4-byte key id and at least one byte", where=self.name)
        return _DASH + self.name.encode() + b" " + base64.b64encode(self.key_id + self.signature) + b"\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note: the text as it was signed (final newline included) and its signature lines in order."""

    text: bytes
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """Read a note strictly; `serialise` gives the same bytes back.

        Raises:
            MalformedError: too large, not UTF-8, a control character, no signature, more than 100, or a signature
                line of any other form than em dash, space, name, space, canonical base64.

        """
        if len(data) > MAX_NOTE:
            raise MalformedError(f"a note has at most {MAX_NOTE} bytes, not {len(data)}", where="note")
        check_text(data, "note")
        head, separator, block = data.rpartition(b"\n\n")
        if not separator or not block.endswith(b"\n"):
            raise MalformedError(
                "a note is text, a blank line, and signature lines that each end in a newline", where="note"
            )
        lines = block[:-1].split(b"\n")
        if len(lines) > MAX_SIGNATURES:
            raise MalformedError(f"a note has at most {MAX_SIGNATURES} signatures, not {len(lines)}", where="note")
        signatures = tuple(_parse_line(line, number) for number, line in enumerate(lines, 1))
        return cls(head + b"\n", signatures)

    def serialise(self) -> bytes:
        """Write the note.

        Raises:
            MalformedError: the text or a line cannot stand in a note, or the note would pass a bound of `parse`.

        """
        check_text(self.text, "text")
        if not self.text.endswith(b"\n"):
            raise MalformedError("a note's text ends in a newline", where="text")
        if not 1 <= len(self.signatures) <= MAX_SIGNATURES:
            raise MalformedError(f"a note has 1 to {MAX_SIGNATURES} signatures", where="signatures")
        data = b"".join((self.text, b"\n", *(signature.line() for signature in self.signatures)))
        if len(data) > MAX_NOTE:
            raise MalformedError(f"a note has at most {MAX_NOTE} bytes, not {len(data)}", where="note")
        return data

    def with_signatures(self, more: Iterable[NoteSignature]) -> Note:
        """Return the note with further signature lines at its end."""
        return Note(self.text, (*self.signatures, *more))


@dataclass(frozen=True, slots=True)
class Vkey:
    """A verifier key: who signs (name), how (type 0x01 or 0x04), and the 32-byte Ed25519 public key."""

    name: str
    type: int
    key: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.type not in (ED25519, COSIGNATURE):
            raise MalformedError(
                f"key type 0x{self.type:02x} is not known here",
                where=self.name,
                remedy="Use an Ed25519 key (0x01) or an Ed25519 cosignature key (0x04)",
            )
        if len(self.key) != _KEY_SIZE:
            raise MalformedError(f"an Ed25519 key has {_KEY_SIZE} bytes, not {len(self.key)}", where=self.name)
        suite_by_name(_SUITE).check_public_key(self.key)

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that, with the name, tell which key made a signature line."""
        return key_id(self.name, self.type, self.key)

    @classmethod
    def parse(cls, text: str) -> Vkey:
        """Read `<name>+<8 lower-case hex digits>+<base64 of type || key>`.

        Raises:
            MalformedError: another form, a key id that does not match, or a type or key that is not accepted.

        """
        parts = text.split("+", 2) if len(text) <= _MAX_VKEY else []
        if len(parts) != 3:
            raise MalformedError(
                "a verifier key is <name>+<key id>+<base64>", where="vkey", remedy="Copy the whole line from the signer"
            )
        name, claimed, encoded = parts
        check_name(name)
        material = decode_base64(encoded.encode("utf-8", "surrogatepass"), "vkey")
        if not material:
            raise MalformedError("a verifier key holds a type byte and a key", where="vkey")
        vkey = cls(name, material[0], material[1:])
        if claimed != vkey.key_id.hex():
            raise MalformedError(
                "the key id does not belong to this name and key",
                where="vkey",
                remedy="Check that name and key were copied together",
            )
        return vkey

    def format(self) -> str:
        """Write the text that `parse` reads."""
        encoded = base64.b64encode(bytes((self.type,)) + self.key).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature of a known key that verified; `time` (POSIX seconds) only for cosignatures."""

    vkey: Vkey
    time: int | None


def key_id(name: str, key_type: int, key: bytes) -> bytes:
    """First 4 bytes of SHA-256(name || 0x0A || type || key) (C2SP signed-note)."""
    return sha256(name.encode() + b"\n" + bytes((key_type,)) + key).digest()[:_KEY_ID_SIZE]


def sign_text(signer: Signer, name: str, text: bytes) -> NoteSignature:
    """Sign a note's text with type 0x01 under a key name.

    Raises:
        MalformedError: not an Ed25519 signer, not a key name, or a text that cannot stand in a note.

    """
    _check_signable(signer, name, text)
    return NoteSignature(name, key_id(name, ED25519, signer.public_key), signer.sign(text))


def cosign_text(signer: Signer, name: str, text: bytes, time: int) -> NoteSignature:
    """Sign a checkpoint's text with type 0x04 at `time` (POSIX seconds, 0 to 2**63 - 1) under a cosigner's name.

    Raises:
        MalformedError: as `sign_text`, or a time out of range.

    """
    _check_signable(signer, name, text)
    signature = signer.sign(cosignature_message(text, time))
    return NoteSignature(
        name, key_id(name, COSIGNATURE, signer.public_key), time.to_bytes(_TIME_SIZE, "big") + signature
    )


def cosignature_message(text: bytes, time: int) -> bytes:
    r"""Message of cosignature/v1: `cosignature/v1\ntime <time>\n` and the text (C2SP tlog-cosignature).

    Raises:
        MalformedError: a time outside 0 to 2**63 - 1.

    """
    if not 0 <= time <= MAX_TIME:
        raise MalformedError("a cosignature's time is between 0 and 2**63 - 1 seconds", where="time")
    return b"cosignature/v1\ntime %d\n" % time + text


def verify_note(note: Note, vkeys: Iterable[Vkey]) -> tuple[VerifiedSignature, ...]:
    """Check every line of a known key; return those signatures in the note's order, at least one.

    A key that signed twice is returned twice: who counts a quorum counts distinct keys.

    Raises:
        NoteSignatureError: a known key's signature fails, or no line is by a known key.
        MalformedError: two of the vkeys cannot be told apart, or share a public key for the same purpose.

    """
    known = _by_identity(vkeys)
    verified = []
    for line in note.signatures:
        vkey = known.get((line.name, line.key_id))
        if vkey is not None:
            verified.append(VerifiedSignature(vkey, _verify_line(vkey, line, note.text)))
    if not verified:
        raise NoteSignatureError(
            "no signature of a known key is on this note",
            where="signatures",
            remedy="Check that the note and the verifier keys belong to the same log",
        )
    return tuple(verified)


def check_name(name: str) -> None:
    """Refuse what cannot be a key name.

    Raises:
        MalformedError: empty, over 255 bytes, or holding a space of any kind, a plus or a control character.

    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        size = 0  # lone surrogates have no UTF-8 form
    if not 0 < size <= MAX_NAME or any(sign.isspace() or sign == "+" or sign < " " for sign in name):
        raise MalformedError(
            f"not a key name: 1 to {MAX_NAME} bytes without spaces, plus or control characters",
            where=repr(name[:MAX_NAME]),
            remedy="Use a URL without scheme, such as log.example/2025",
        )


def check_text(data: bytes, where: str) -> None:
    """Refuse bytes that are not UTF-8, or hold a control character below U+0020 other than newline.

    Raises:
        MalformedError: as said.

    """
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("a note is UTF-8", where=f"{where}, byte {error.start}") from None
    if data.translate(None, _CONTROLS) != data:
        raise MalformedError("a note holds no control character other than newline", where=where)


def decode_base64(text: bytes, where: str) -> bytes:
    """Decode standard padded base64, accepting only the one canonical spelling (RFC 4648 sections 3.5 and 4).

    Raises:
        MalformedError: any other text.

    """
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        value = None
    if value is None or base64.b64encode(value) != text:
        raise MalformedError("not canonical base64 (standard alphabet, padded)", where=where)
    return value


_CONTROLS = bytes(value for value in range(0x20) if value != ord("\n"))


def _parse_line(line: bytes, number: int) -> NoteSignature:
    where = f"signature line {number}"
    name, separator, encoded = line.removeprefix(_DASH).partition(b" ")
    if not line.startswith(_DASH) or not separator:
        raise MalformedError("a signature line is an em dash, a space, the key name, a space, and base64", where=where)
    text = name.decode()  # the whole note is known to be UTF-8
    check_name(text)
    value = decode_base64(encoded, where)
    if len(value) <= _KEY_ID_SIZE:
        raise MalformedError("a note signature is a 4-byte key id and at least one byte", where=where)
    return NoteSignature(text, value[:_KEY_ID_SIZE], value[_KEY_ID_SIZE:])


def _verify_line(vkey: Vkey, line: NoteSignature, text: bytes) -> int | None:
    """Check one line against its key; return the time of a cosignature."""
    time: int | None = None
    signature = line.signature
    message = text
    genuine = True
    if vkey.type == COSIGNATURE:
        time, signature = int.from_bytes(signature[:_TIME_SIZE], "big"), signature[_TIME_SIZE:]
        genuine = time <= MAX_TIME
        message = cosignature_message(text, time) if genuine else b""
    genuine = genuine and len(signature) == _SIGNATURE_SIZE
    if not (genuine and suite_by_name(_SUITE).verify(vkey.key, message, signature)):
        raise NoteSignatureError(
            "the signature of a known key does not verify: the note was altered or is not from that signer",
            where=f"{line.name}+{line.key_id.hex()}",
            remedy="Fetch the note again from its source; if it persists, treat it as forged",
        )
    return time


def _by_identity(vkeys: Iterable[Vkey]) -> dict[tuple[str, bytes], Vkey]:
    """Index the known keys; one key under two names would be counted twice in a quorum."""
    known: dict[tuple[str, bytes], Vkey] = {}
    owners: dict[tuple[int, bytes], str] = {}
    for vkey in vkeys:
        same_line = known.setdefault((vkey.name, vkey.key_id), vkey)
        if same_line != vkey or owners.setdefault((vkey.type, vkey.key), vkey.name) != vkey.name:
            raise MalformedError(
                "two known keys share their name and key id, or one public key has two names",
                where=vkey.name,
                remedy="Give every signer a key of its own",
            )
    return known


def _check_signable(signer: Signer, name: str, text: bytes) -> None:
    if signer.suite.name != _SUITE:
        raise MalformedError(f"notes are signed with {_SUITE}, not {signer.suite.name}", where="signer")
    check_name(name)
    check_text(text, "text")
    if not text.endswith(b"\n"):
        raise MalformedError("a note's text ends in a newline", where="text")
