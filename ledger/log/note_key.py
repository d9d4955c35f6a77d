"""How a new note key shows that somebody holds it: a signature over a note's text that is no checkpoint.

The note key signs C2SP notes and nothing else (DESIGN section 6), so it cannot give a consent as other new keys do.
It signs the text below instead, as a C2SP signed-note key signs any text. The second line of a checkpoint is a decimal
number; the second line here never is, so the text cannot be read as a checkpoint of any origin.

    tial-note-key-v1
    log <log id, 64 hexadecimal digits; "genesis" where the genesis names the key>
    origin <the log's origin>
    cose <SHA-256 of the cose key that stands beside it, 64 hexadecimal digits>

Origin and cose key bind the proof in a genesis, which has no log id yet, to that genesis' own signer.
"""

from __future__ import annotations

from ledger.crypto.digests import kid as kid_of
from ledger.crypto.suites import Signer
from ledger.log.notes import sign_text

PROOF_SIZE = 64
"""Bytes of a proof: one Ed25519 signature."""


def note_key_text(origin: str, log_id: bytes, cose_key: bytes) -> bytes:
    """Text that a new note key signs; `log_id` is the 32-byte log id, or b"" for the genesis."""
    log = log_id.hex() or "genesis"
    return f"tial-note-key-v1\nlog {log}\norigin {origin}\ncose {kid_of(cose_key).hex()}\n".encode()


def prove_note_key(note: Signer, origin: str, log_id: bytes, cose_key: bytes) -> bytes:
    """Sign `note_key_text` with the new note key; 64 bytes, the member `proof` of `keys.note`.

    Raises:
        MalformedError: not an Ed25519 key, or an origin that is not a key name.

    """
    return sign_text(note, origin, note_key_text(origin, log_id, cose_key)).signature


__all__ = ["PROOF_SIZE", "note_key_text", "prove_note_key"]
