"""One-file inclusion proofs: index, path and the signed checkpoint together (C2SP tlog-proof, `tlog-proof@v1`).

Owns the text form and its check. Trusts the verifier keys and the number of witnesses that the caller asks for, and
nothing in the file: `extra` is opaque and signed by nobody. How the witnesses that must have signed are chosen is a
policy's matter; here a count of distinct ones is asked for.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from ledger.errors import LedgerError, MalformedError
from ledger.log.checkpoint import Checkpoint, Cosignature, open_cosigned
from ledger.log.notes import MAX_NOTE, Note, Vkey, decode_base64
from ledger.log.proofs import verify_inclusion
from ledger.log.tree import HASH_SIZE, MAX_SIZE

HEADER: Final = b"c2sp.org/tlog-proof@v1"
MAX_EXTRA: Final = 65_536
"""Bytes of extra data that are read."""

MAX_PATH: Final = 63
_MAX_HEAD: Final = 4 * MAX_EXTRA // 3 + 8_192
_DECIMAL: Final = re.compile(rb"0|[1-9][0-9]{0,19}")


class ProofError(LedgerError):
    """A proof file whose path does not lead from the leaf to the checkpoint's root."""

    code: ClassVar[str] = "proof"


class QuorumError(LedgerError):
    """Fewer known witnesses cosigned the checkpoint than are asked for: nothing is shown to be false."""

    code: ClassVar[str] = "quorum"


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A proof file as read: `path` from the leaf up (32 bytes each), `checkpoint` the signed note verbatim.

    `extra` is None where the file has no such line. Nothing is checked but the form.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    @classmethod
    def parse(cls, data: bytes) -> TlogProof:
        """Read a proof file strictly; `serialise` gives the same bytes back.

        Raises:
            MalformedError: another first line, lines out of order, a number or base64 in another spelling than the
                canonical one, more than 63 hashes, or what follows the empty line is no signed checkpoint.

        """
        if len(data) > _MAX_HEAD + MAX_NOTE:
            raise MalformedError("a proof file is not that long", where="proof")
        head, separator, checkpoint = data.partition(b"\n\n")
        lines = head.split(b"\n")
        if lines[0] != HEADER or not separator:
            raise MalformedError(
                f"a proof file begins with the line {HEADER.decode()}, and an empty line parts it from the checkpoint",
                where="line 1",
            )
        at = 1
        extra = None
        if at < len(lines) and lines[at].startswith(b"extra "):
            extra = decode_base64(lines[at].removeprefix(b"extra "), "line 2")
            if not 0 < len(extra) <= MAX_EXTRA:
                raise MalformedError(f"extra data has 1 to {MAX_EXTRA} bytes, or no line", where="line 2")
            at += 1
        number = lines[at].removeprefix(b"index ") if at < len(lines) and lines[at].startswith(b"index ") else b""
        if not _DECIMAL.fullmatch(number) or int(number) >= MAX_SIZE:
            raise MalformedError("expected `index ` and a decimal without leading zeros", where=f"line {at + 1}")
        hashes = lines[at + 1 :]
        if len(hashes) > MAX_PATH:
            raise MalformedError(f"a path has at most {MAX_PATH} hashes", where="path")
        path = tuple(_hash(line, f"line {place}") for place, line in enumerate(hashes, at + 2))
        Checkpoint.parse(Note.parse(checkpoint).text)
        return cls(int(number), path, checkpoint, extra)

    def serialise(self) -> bytes:
        """Write the file.

        Raises:
            MalformedError: a field that `parse` would not give back.

        """
        lines = [HEADER]
        if self.extra is not None:
            lines.append(b"extra " + base64.b64encode(self.extra))
        lines.append(b"index %d" % self.index)
        lines += [base64.b64encode(value) for value in self.path]
        data = b"\n".join(lines) + b"\n\n" + self.checkpoint
        if TlogProof.parse(data) != self:
            raise MalformedError("a field cannot stand in a proof file", where="proof")
        return data


def verify_tlog_proof(
    proof: TlogProof,
    leaf: bytes,
    log: Vkey,
    witnesses: Iterable[Vkey] = (),
    required: int = 0,
    *,
    origin: str | None = None,
) -> tuple[Checkpoint, tuple[Cosignature, ...]]:
    """Check that leaf hash `leaf` is in the tree of a checkpoint that `log` signed and `required` witnesses cosigned.

    `origin` is the one expected; left out, it must be the key's name. Returns the checkpoint and the cosignatures of
    the known witnesses, one each. Cosignature times are for the caller to judge.

    Raises:
        NoteSignatureError: the log's signature is absent or fails, or a known witness's fails.
        QuorumError: fewer of the witnesses cosigned than required.
        ProofError: the path does not lead from the leaf to the checkpoint's root.
        MalformedError: the checkpoint is of another origin, or a key cannot serve.

    """
    checkpoint, cosignatures = open_cosigned(proof.checkpoint, log, witnesses, origin=origin)
    if not verify_inclusion(leaf, proof.index, checkpoint.size, proof.path, checkpoint.root):
        raise ProofError(
            "the path does not lead from the entry to the checkpoint's root",
            where=f"index {proof.index}, size {checkpoint.size}",
            remedy="The file may belong to another entry; fetch it again",
        )
    if len(cosignatures) < required:
        raise QuorumError(
            f"{len(cosignatures)} of the known witnesses cosigned the checkpoint, {required} are asked for",
            where="cosignatures",
            remedy="Fetch the proof again once more witnesses cosigned, or give their keys",
        )
    return checkpoint, cosignatures


def _hash(line: bytes, where: str) -> bytes:
    value = decode_base64(line, where)
    if len(value) != HASH_SIZE:
        raise MalformedError(f"a hash has {HASH_SIZE} bytes, not {len(value)}", where=where)
    return value
