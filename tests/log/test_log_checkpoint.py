"""Checkpoints: strict text, signing, opening, cosignatures."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto.suites import suite_by_name
from ledger.errors import MalformedError
from ledger.log.checkpoint import (
    Checkpoint,
    make_cosignature,
    open_checkpoint,
    open_cosigned,
    sign_checkpoint,
    verify_cosignature,
)
from ledger.log.notes import COSIGNATURE, ED25519, Note, NoteSignature, NoteSignatureError, Vkey, sign_text
from ledger.log.tree import EMPTY_ROOT

ORIGIN = "log.example/2025"
ROOT = bytes(range(32))
ROOT_TEXT = base64.b64encode(ROOT)
LOG = suite_by_name("ed25519").from_secret(b"\x01" * 32)
FIRST, SECOND = (suite_by_name("ed25519").from_secret(bytes((seed,)) * 32) for seed in (2, 3))
LOG_KEY = Vkey(ORIGIN, ED25519, LOG.public_key)
FIRST_KEY = Vkey("witness.example/1", COSIGNATURE, FIRST.public_key)
SECOND_KEY = Vkey("witness.example/2", COSIGNATURE, SECOND.public_key)
CHECKPOINT = Checkpoint(ORIGIN, 20_852_163, ROOT)
SIGNED = sign_checkpoint(LOG, CHECKPOINT)


def cosigned(*lines: NoteSignature) -> bytes:
    return Note.parse(SIGNED).with_signatures(lines).serialise()


def test_a_checkpoint_text_has_the_layout_of_the_specification():
    assert CHECKPOINT.text() == b"log.example/2025\n20852163\n" + ROOT_TEXT + b"\n"
    assert SIGNED.startswith(CHECKPOINT.text() + "\n\u2014 log.example/2025 ".encode())


def test_a_signed_checkpoint_opens_with_its_key():
    assert open_checkpoint(SIGNED, LOG_KEY) == CHECKPOINT
    assert open_checkpoint(SIGNED, LOG_KEY, origin=ORIGIN) == CHECKPOINT


origins = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60)


@given(origins, st.integers(0, 2**64 - 1), st.binary(min_size=32, max_size=32), st.lists(origins, max_size=3))
def test_every_checkpoint_reads_back(origin, size, root, extensions):
    checkpoint = Checkpoint(origin, size, root, tuple(extensions))
    assert Checkpoint.parse(checkpoint.text()) == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"o\n1\n",
        b"o\n1\n" + ROOT_TEXT,
        b"\n1\n" + ROOT_TEXT + b"\n",
        b"o\n\n" + ROOT_TEXT + b"\n",
        b"o\n1\n" + ROOT_TEXT + b"\n\n",
        b"o\n1\n" + ROOT_TEXT + b"\next\n\n",
        b"o\n1\n" + ROOT_TEXT + b"\next",
        b"o\r\n1\r\n" + ROOT_TEXT + b"\r\n",
        b"o" * 256 + b"\n1\n" + ROOT_TEXT + b"\n",
        b"\xff\n1\n" + ROOT_TEXT + b"\n",
        b"o\n1\n" + ROOT_TEXT + b"\n" + b"x" * 20_000 + b"\n",
        *(
            b"o\n" + size + b"\n" + ROOT_TEXT + b"\n"
            for size in (
                b"01",
                b"00",
                b"+1",
                b"-1",
                b" 1",
                b"1 ",
                b"1_0",
                b"0x1",
                b"1e3",
                b"1.0",
                b"18446744073709551616",
                b"9" * 5000,
                "\u0661".encode(),
                "\uff11".encode(),
            )
        ),
        *(
            b"o\n1\n" + root + b"\n"
            for root in (
                ROOT_TEXT[:-1],
                ROOT_TEXT + b"=",
                ROOT_TEXT[:-2] + b"9=",
                b" " + ROOT_TEXT,
                base64.b64encode(ROOT[:-1]),
                base64.b64encode(ROOT + b"\0"),
                base64.urlsafe_b64encode(b"\xff" * 32),
                ROOT.hex().encode(),
            )
        ),
    ],
)
def test_a_checkpoint_text_of_any_other_form_is_refused(text):
    with pytest.raises(MalformedError):
        Checkpoint.parse(text)


@given(st.binary(max_size=120))
def test_arbitrary_bytes_are_refused_without_another_error(data):
    for candidate in (data, b"o\n" + data, b"o\n1\n" + data):
        try:
            checkpoint = Checkpoint.parse(candidate)
        except MalformedError:
            continue
        assert checkpoint.text() == candidate


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("", 1, ROOT),
        Checkpoint("a\n5", 1, ROOT),
        Checkpoint("a\ud800", 1, ROOT),
        Checkpoint("a b", 1, ROOT),
        Checkpoint("a+b", 1, ROOT),
        Checkpoint("a" * 256, 1, ROOT),
        Checkpoint(ORIGIN, -1, ROOT),
        Checkpoint(ORIGIN, 2**64, ROOT),
        Checkpoint(ORIGIN, 1, ROOT[:-1]),
        Checkpoint(ORIGIN, 1, ROOT, ("line",)),
        Checkpoint(ORIGIN, 0, ROOT),
    ],
)
def test_a_checkpoint_out_of_form_is_not_signed(checkpoint):
    with pytest.raises(MalformedError):
        sign_checkpoint(LOG, checkpoint)


def test_a_field_that_smuggles_further_lines_is_not_written():
    for smuggling in (
        Checkpoint("a\n999\n" + ROOT_TEXT.decode(), 1, ROOT),
        Checkpoint("a", 1, ROOT, ("one\ntwo",)),
        Checkpoint("a", 1, ROOT, ("",)),
    ):
        with pytest.raises(MalformedError):
            smuggling.text()


def test_the_empty_tree_is_signed_with_the_empty_root():
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert open_checkpoint(sign_checkpoint(LOG, empty), LOG_KEY) == empty


def test_a_checkpoint_of_another_log_is_not_opened():
    other = Vkey("log.example/other", ED25519, LOG.public_key)
    with pytest.raises(NoteSignatureError):
        open_checkpoint(SIGNED, other)
    text = Checkpoint("log.example/other", 5, ROOT).text()
    note = Note(text, (sign_text(LOG, ORIGIN, text),)).serialise()
    with pytest.raises(MalformedError):
        open_checkpoint(note, LOG_KEY)
    assert open_checkpoint(note, LOG_KEY, origin="log.example/other").size == 5
    with pytest.raises(MalformedError):
        open_checkpoint(SIGNED, LOG_KEY, origin="log.example/other")


def test_a_signed_note_that_is_no_checkpoint_is_not_opened():
    text = b"just a text\n"
    with pytest.raises(MalformedError):
        open_checkpoint(Note(text, (sign_text(LOG, ORIGIN, text),)).serialise(), LOG_KEY)


def test_extension_lines_of_other_logs_are_read_and_signed_over():
    text = Checkpoint(ORIGIN, 5, ROOT, ("one", "two")).text()
    note = Note(text, (sign_text(LOG, ORIGIN, text),)).serialise()
    assert open_checkpoint(note, LOG_KEY).extensions == ("one", "two")
    with pytest.raises(NoteSignatureError):
        open_checkpoint(note.replace(b"two\n", b"six\n"), LOG_KEY)


@pytest.mark.parametrize("place", range(len(SIGNED)))
def test_a_checkpoint_changed_in_any_byte_is_not_opened(place):
    changed = SIGNED[:place] + bytes((SIGNED[place] ^ 1,)) + SIGNED[place + 1 :]
    with pytest.raises((MalformedError, NoteSignatureError)):
        open_checkpoint(changed, LOG_KEY)


def test_cosignatures_are_returned_with_the_newest_time_of_each_witness():
    text = CHECKPOINT.text()
    data = cosigned(
        make_cosignature(SECOND, SECOND_KEY.name, text, 300),
        make_cosignature(FIRST, FIRST_KEY.name, text, 200),
        make_cosignature(FIRST, FIRST_KEY.name, text, 100),
    )
    checkpoint, cosignatures = open_cosigned(data, LOG_KEY, [FIRST_KEY, SECOND_KEY])
    assert checkpoint == CHECKPOINT
    assert [(c.vkey, c.time) for c in cosignatures] == [(SECOND_KEY, 300), (FIRST_KEY, 200)]
    assert open_cosigned(data, LOG_KEY, [])[1] == ()
    assert open_checkpoint(data, LOG_KEY) == CHECKPOINT


def test_a_cosignature_for_another_checkpoint_makes_this_one_invalid():
    stray = make_cosignature(FIRST, FIRST_KEY.name, Checkpoint(ORIGIN, 7, ROOT).text(), 100)
    with pytest.raises(NoteSignatureError):
        open_cosigned(cosigned(stray), LOG_KEY, [FIRST_KEY])
    assert open_cosigned(cosigned(stray), LOG_KEY, [SECOND_KEY])[1] == ()


def test_a_checkpoint_that_only_witnesses_signed_is_not_opened():
    text = CHECKPOINT.text()
    data = Note(text, (make_cosignature(FIRST, FIRST_KEY.name, text, 100),)).serialise()
    with pytest.raises(NoteSignatureError):
        open_cosigned(data, LOG_KEY, [FIRST_KEY])


def test_a_witness_named_by_a_plain_note_key_is_refused():
    plain = Vkey("witness.example/plain", ED25519, FIRST.public_key)
    with pytest.raises(MalformedError):
        open_cosigned(SIGNED, LOG_KEY, [plain])
    with pytest.raises(MalformedError):
        verify_cosignature(plain, CHECKPOINT.text(), make_cosignature(FIRST, FIRST_KEY.name, CHECKPOINT.text(), 1))


def test_one_witness_key_under_two_names_is_not_counted_twice():
    again = Vkey("witness.example/again", COSIGNATURE, FIRST.public_key)
    with pytest.raises(MalformedError):
        open_cosigned(SIGNED, LOG_KEY, [FIRST_KEY, again])


def test_a_single_cosignature_line_is_checked_on_its_own():
    text = CHECKPOINT.text()
    line = make_cosignature(FIRST, FIRST_KEY.name, text, 1_700_000_000)
    assert verify_cosignature(FIRST_KEY, text, line) == 1_700_000_000
    with pytest.raises(NoteSignatureError):
        verify_cosignature(SECOND_KEY, text, line)
    with pytest.raises(NoteSignatureError):
        verify_cosignature(FIRST_KEY, Checkpoint(ORIGIN, 7, ROOT).text(), line)
    with pytest.raises(MalformedError):
        verify_cosignature(FIRST_KEY, b"no checkpoint\n", line)
    with pytest.raises(MalformedError):
        make_cosignature(FIRST, FIRST_KEY.name, b"no checkpoint\n", 1)
