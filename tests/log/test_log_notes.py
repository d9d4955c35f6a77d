"""Signed notes and verifier keys: one form only, unknown signers ignored, forged ones fatal."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto.suites import suite_by_name
from ledger.errors import MalformedError
from ledger.log.notes import (
    COSIGNATURE,
    ED25519,
    MAX_NOTE,
    Note,
    NoteSignature,
    NoteSignatureError,
    Vkey,
    cosign_text,
    cosignature_message,
    key_id,
    sign_text,
    verify_note,
)

TEXT = b"This is a text.\n\nWith an empty line, \xe6\x98\x9f\xe7\x81\xab.\n"
NAME = "log.example/2025"
LOG = suite_by_name("ed25519").from_secret(b"\x01" * 32)
WITNESS = suite_by_name("ed25519").from_secret(b"\x02" * 32)
LOG_KEY = Vkey(NAME, ED25519, LOG.public_key)
WITNESS_KEY = Vkey("witness.example/w", COSIGNATURE, WITNESS.public_key)
LINE = sign_text(LOG, NAME, TEXT)
NOTE = Note(TEXT, (LINE,)).serialise()


def unknown_line(number: int, size: int = 64) -> NoteSignature:
    return NoteSignature(f"other.example/{number}", number.to_bytes(4, "big"), b"\x55" * size)


def test_a_signed_note_has_the_layout_of_the_specification():
    expected_id = hashlib.sha256(NAME.encode() + b"\n\x01" + LOG.public_key).digest()[:4]
    encoded = base64.b64encode(expected_id + LOG.sign(TEXT))
    assert TEXT + b"\n" + "\u2014 ".encode() + NAME.encode() + b" " + encoded + b"\n" == NOTE
    assert key_id(NAME, ED25519, LOG.public_key) == LOG_KEY.key_id == expected_id


def test_a_note_signed_by_a_known_key_is_verified():
    note = Note.parse(NOTE)
    assert note.text == TEXT
    (verified,) = verify_note(note, [LOG_KEY, WITNESS_KEY])
    assert (verified.vkey, verified.time) == (LOG_KEY, None)


def test_a_cosignature_is_verified_with_its_time():
    line = cosign_text(WITNESS, WITNESS_KEY.name, TEXT, 1_679_315_147)
    assert line.signature[:8] == (1_679_315_147).to_bytes(8, "big")
    assert line.signature[8:] == WITNESS.sign(b"cosignature/v1\ntime 1679315147\n" + TEXT)
    note = Note.parse(Note(TEXT, (LINE, line)).serialise())
    assert [(v.vkey, v.time) for v in verify_note(note, [WITNESS_KEY, LOG_KEY])] == [
        (LOG_KEY, None),
        (WITNESS_KEY, 1_679_315_147),
    ]


@pytest.mark.parametrize("place", range(len(TEXT)))
def test_a_changed_text_is_refused(place):
    changed = TEXT[:place] + bytes((TEXT[place] ^ 1,)) + TEXT[place + 1 :]
    with pytest.raises((NoteSignatureError, MalformedError)):
        verify_note(Note.parse(changed + NOTE[len(TEXT) :]), [LOG_KEY])


@pytest.mark.parametrize("place", [0, 7, 8, 40, 71])
def test_a_changed_cosignature_or_time_makes_the_whole_note_invalid(place):
    line = cosign_text(WITNESS, WITNESS_KEY.name, TEXT, 1_679_315_147)
    forged = bytearray(line.signature)
    forged[place] ^= 0x80
    note = Note(TEXT, (LINE, NoteSignature(line.name, line.key_id, bytes(forged))))
    with pytest.raises(NoteSignatureError):
        verify_note(note, [LOG_KEY, WITNESS_KEY])
    assert len(verify_note(note, [LOG_KEY])) == 1  # where the witness is unknown its line says nothing


@pytest.mark.parametrize("size", [1, 8, 63, 65, 72, 2432])
def test_a_known_key_with_a_signature_of_the_wrong_length_makes_the_note_invalid(size):
    for vkey in (LOG_KEY, WITNESS_KEY):
        note = Note(TEXT, (NoteSignature(vkey.name, vkey.key_id, bytes(size)),))
        with pytest.raises(NoteSignatureError):
            verify_note(note, [LOG_KEY, WITNESS_KEY])


def test_a_second_forged_line_of_a_known_key_is_not_hidden_by_a_good_one():
    forged = NoteSignature(LINE.name, LINE.key_id, bytes(64))
    for lines in ((LINE, forged), (forged, LINE)):
        with pytest.raises(NoteSignatureError):
            verify_note(Note(TEXT, lines), [LOG_KEY])


def test_lines_of_unknown_keys_are_ignored_even_with_a_known_name_or_id():
    same_name = NoteSignature(NAME, b"\0\0\0\0", b"\x01")
    same_id = NoteSignature("other.example", LOG_KEY.key_id, b"\x01")
    note = Note.parse(Note(TEXT, (same_name, same_id, unknown_line(1, 2432), LINE)).serialise())
    assert [v.vkey for v in verify_note(note, [LOG_KEY])] == [LOG_KEY]
    with pytest.raises(NoteSignatureError):
        verify_note(Note(TEXT, (same_name, same_id)), [LOG_KEY])


def test_a_note_without_a_known_signer_is_refused():
    with pytest.raises(NoteSignatureError):
        verify_note(Note.parse(NOTE), [WITNESS_KEY])
    with pytest.raises(NoteSignatureError):
        verify_note(Note.parse(NOTE), [])


def test_a_signature_of_one_type_does_not_pass_as_the_other():
    plain = WITNESS.sign(TEXT)
    note = Note(TEXT, (NoteSignature(WITNESS_KEY.name, WITNESS_KEY.key_id, bytes(8) + plain),))
    with pytest.raises(NoteSignatureError):
        verify_note(note, [WITNESS_KEY])


def test_a_cosignature_time_past_the_bound_is_refused():
    cosign_text(WITNESS, WITNESS_KEY.name, TEXT, 2**63 - 1)
    for time in (-1, 2**63):
        with pytest.raises(MalformedError):
            cosignature_message(TEXT, time)
    signature = (2**63).to_bytes(8, "big") + WITNESS.sign(b"cosignature/v1\ntime %d\n" % 2**63 + TEXT)
    note = Note(TEXT, (NoteSignature(WITNESS_KEY.name, WITNESS_KEY.key_id, signature),))
    with pytest.raises(NoteSignatureError):
        verify_note(note, [WITNESS_KEY])


def test_up_to_a_hundred_signatures_are_read_and_no_more():
    lines = tuple(unknown_line(number) for number in range(99))
    full = Note(TEXT, (*lines, LINE))
    assert len(verify_note(Note.parse(full.serialise()), [LOG_KEY])) == 1
    assert len(Note.parse(Note(TEXT, (*lines[:15], LINE)).serialise()).signatures) == 16
    with pytest.raises(MalformedError):
        full.with_signatures([unknown_line(100)]).serialise()
    with pytest.raises(MalformedError):
        Note.parse(full.serialise() + unknown_line(100).line())


def test_a_note_over_the_size_bound_is_refused():
    with pytest.raises(MalformedError):
        Note.parse(b"x" * (MAX_NOTE - len(NOTE) + 1) + NOTE)
    with pytest.raises(MalformedError):
        Note(b"x" * MAX_NOTE + b"\n", (LINE,)).serialise()


DASH = "\u2014 ".encode()
ENCODED = base64.b64encode(LINE.key_id + LINE.signature)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\n",
        TEXT,
        TEXT + b"\n",
        NOTE[:-1],
        NOTE + b"\n",
        NOTE + b"\n\n",
        NOTE + b"x",
        NOTE.replace(b"\n", b"\r\n"),
        b"\xff" + NOTE,
        b"\0" + NOTE,
        b"\t" + NOTE,
        b"\x1b" + NOTE,
        b"\xed\xa0\x80" + NOTE,
        TEXT + NOTE[len(TEXT) + 1 :],
        *(
            TEXT + b"\n" + line + b"\n"
            for line in (
                b"- a " + ENCODED,
                b"-- a " + ENCODED,
                b"\xe2\x80\x94a " + ENCODED,
                DASH + ENCODED,
                DASH + b" " + ENCODED,
                DASH + b"a  " + ENCODED,
                DASH + b"a+b " + ENCODED,
                DASH + "a\u00a0b ".encode() + ENCODED,
                DASH + "a\u3000b ".encode() + ENCODED,
                DASH + b"a" * 256 + b" " + ENCODED,
                DASH + b"a",
                DASH + b"a ",
                DASH + b"a " + ENCODED + b" ",
                DASH + b"a " + ENCODED.rstrip(b"="),
                DASH + b"a " + ENCODED + b"=",
                DASH + b"a " + ENCODED[:8] + b"\\" + ENCODED[9:],
                DASH + b"a " + base64.urlsafe_b64encode(b"\xff" * 68),
                DASH + b"a " + base64.b64encode(b"1234"),
                DASH + b"a " + base64.b64encode(b"123"),
                DASH + b"a AAAAAAB=",
            )
        ),
    ],
)
def test_a_note_of_any_other_form_is_refused(data):
    with pytest.raises(MalformedError):
        Note.parse(data)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_without_another_error(data):
    for candidate in (data, TEXT + b"\n" + DASH + data, NOTE + data):
        try:
            note = Note.parse(candidate)
        except MalformedError:
            continue
        assert note.serialise() == candidate


names = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="+"), min_size=1, max_size=60
)


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=100),
    st.lists(
        st.builds(NoteSignature, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=90)),
        min_size=1,
        max_size=20,
    ),
)
def test_every_note_reads_back(text, signatures):
    note = Note(text.encode() + b"\n", tuple(signatures))
    assert Note.parse(note.serialise()) == note


@pytest.mark.parametrize(
    "note",
    [
        Note(b"", (LINE,)),
        Note(b"no newline", (LINE,)),
        Note(b"a\tb\n", (LINE,)),
        Note(TEXT, ()),
        Note(TEXT, (NoteSignature("a b", bytes(4), bytes(64)),)),
        Note(TEXT, (NoteSignature("a\nb", bytes(4), bytes(64)),)),
        Note(TEXT, (NoteSignature("a\ud800", bytes(4), bytes(64)),)),
        Note(TEXT, (NoteSignature("a", bytes(3), bytes(64)),)),
        Note(TEXT, (NoteSignature("a", bytes(4), b""),)),
    ],
)
def test_a_note_that_could_not_be_read_back_is_not_written(note):
    with pytest.raises(MalformedError):
        note.serialise()


def test_a_verifier_key_reads_back():
    assert not WITNESS_KEY.key_id.hex().isdecimal()  # so that its upper-case spelling is another one
    for vkey in (LOG_KEY, WITNESS_KEY):
        assert Vkey.parse(vkey.format()) == vkey
    material = base64.b64encode(b"\x01" + LOG.public_key).decode()
    assert LOG_KEY.format() == f"{NAME}+{LOG_KEY.key_id.hex()}+{material}"


def vkey_text(name: str, material: bytes, claimed: str | None = None) -> str:
    computed = hashlib.sha256(name.encode("utf-8", "surrogatepass") + b"\n" + material).digest()[:4].hex()
    return f"{name}+{computed if claimed is None else claimed}+{base64.b64encode(material).decode()}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a+b",
        "++",
        LOG_KEY.format() + "\n",
        " " + LOG_KEY.format(),
        LOG_KEY.format() + "=",
        LOG_KEY.format()[:-1],
        vkey_text("", b"\x01" + LOG.public_key),
        vkey_text("a b", b"\x01" + LOG.public_key),
        vkey_text("\ud800", b"\x01" + LOG.public_key),
        vkey_text("a", b"\x01" + LOG.public_key, "00000000"),
        vkey_text("a", b"\x01" + LOG.public_key).replace("+", "+0", 1),
        WITNESS_KEY.format().replace(WITNESS_KEY.key_id.hex(), WITNESS_KEY.key_id.hex().upper()),
        vkey_text("a", b"\x01" + LOG.public_key[:-1]),
        vkey_text("a", b"\x01" + LOG.public_key + b"\0"),
        vkey_text("a", b"\x01" + bytes(32)),  # a point of small order
        vkey_text("a", b"\x02" + LOG.public_key),
        vkey_text("a", b"\x06" + bytes(1312)),
        vkey_text("a", b"\xff" + LOG.public_key),
        vkey_text("a", b""),
        "a+00000000+\ud800",
        "a" * 10_000,
    ],
)
def test_any_other_verifier_key_is_refused(text):
    with pytest.raises(MalformedError):
        Vkey.parse(text)


def test_known_keys_that_could_be_mistaken_for_each_other_are_refused():
    renamed = Vkey("witness.example/again", COSIGNATURE, WITNESS.public_key)
    with pytest.raises(MalformedError):
        verify_note(Note.parse(NOTE), [LOG_KEY, WITNESS_KEY, renamed])
    assert verify_note(Note.parse(NOTE), [LOG_KEY, LOG_KEY])  # naming one key twice is harmless


def test_only_an_ed25519_key_signs_a_note():
    with pytest.raises(MalformedError):
        sign_text(suite_by_name("es256").generate(), NAME, TEXT)
    with pytest.raises(MalformedError):
        sign_text(LOG, "a name", TEXT)
    with pytest.raises(MalformedError):
        sign_text(LOG, NAME, b"no newline")
    with pytest.raises(MalformedError):
        sign_text(LOG, NAME, b"bell \x07\n")
