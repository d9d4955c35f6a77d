"""The proof of a note key: a signed note's text that says one thing and is never a checkpoint."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto.digests import kid
from ledger.crypto.suites import suite_by_name
from ledger.errors import MalformedError
from ledger.log.checkpoint import Checkpoint
from ledger.log.note_key import PROOF_SIZE, note_key_text, prove_note_key
from ledger.log.notes import ED25519, Note, NoteSignature, Vkey, key_id, verify_note
from tests.world import key

NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="+"), min_size=1, max_size=80)
NOTE, COSE = key("note"), key("cose")


@given(NAMES, st.just(b"") | st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_the_text_is_no_checkpoint_of_any_origin(origin: str, log_id: bytes, cose: bytes):
    text = note_key_text(origin, log_id, cose)
    with pytest.raises(MalformedError):
        Checkpoint.parse(text)
    assert text.decode().splitlines() == [
        "tial-note-key-v1", f"log {log_id.hex() or 'genesis'}", f"origin {origin}", f"cose {kid(cose).hex()}",
    ]  # fmt: skip


def test_a_proof_is_a_signature_of_a_signed_note():
    proof = prove_note_key(NOTE, "example.org/log", bytes(32), COSE.public_key)
    assert len(proof) == PROOF_SIZE
    text = note_key_text("example.org/log", bytes(32), COSE.public_key)
    line = NoteSignature("example.org/log", key_id("example.org/log", ED25519, NOTE.public_key), proof)
    assert verify_note(Note(text, (line,)), [Vkey("example.org/log", ED25519, NOTE.public_key)])
    for other in (b"", bytes(31) + b"\1"):
        assert proof != prove_note_key(NOTE, "example.org/log", other, COSE.public_key)


def test_only_an_ed25519_key_and_an_origin_that_names_a_key_are_proven():
    with pytest.raises(MalformedError):
        prove_note_key(suite_by_name("es256").generate(), "example.org/log", b"", COSE.public_key)
    with pytest.raises(MalformedError):
        prove_note_key(NOTE, "not a name", b"", COSE.public_key)
