"""Proof files of C2SP tlog-proof: one form, read and written; each altered one fails for its own reason."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto.suites import suite_by_name
from ledger.errors import LedgerError, MalformedError
from ledger.log.checkpoint import Checkpoint, make_cosignature, sign_checkpoint
from ledger.log.notes import COSIGNATURE, ED25519, Note, NoteSignatureError, Vkey
from ledger.log.proofs import inclusion_proof
from ledger.log.tlog_proof import MAX_EXTRA, MAX_PATH, ProofError, QuorumError, TlogProof, verify_tlog_proof
from ledger.log.tree import leaf_hash, root_of

LOG = suite_by_name("ed25519").from_secret(b"\x01" * 32)
WITNESSES = [suite_by_name("ed25519").from_secret(bytes([n]) * 32) for n in (2, 3)]
ORIGIN = "log.example/2026"
VKEY = Vkey(ORIGIN, ED25519, LOG.public_key)
WITNESS_KEYS = [Vkey(f"w{n}.example/x", COSIGNATURE, w.public_key) for n, w in enumerate(WITNESSES)]


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(b"entry %d" % number) for number in range(size)]


def made(index: int = 3, size: int = 7, cosigned: int = 0, extra: bytes | None = None) -> TlogProof:
    hashes = leaves(size)
    checkpoint = Checkpoint(ORIGIN, size, root_of(hashes))
    note = Note.parse(sign_checkpoint(LOG, checkpoint))
    lines = [
        make_cosignature(w, k.name, note.text, 1_780_000_000)
        for w, k in zip(WITNESSES[:cosigned], WITNESS_KEYS, strict=False)
    ]
    path = inclusion_proof(index, size, lambda level, i: root_of(hashes[i << level : (i + 1) << level]))
    return TlogProof(index, tuple(path), note.with_signatures(lines).serialise(), extra)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 40).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))),
    st.none() | st.binary(min_size=1, max_size=64),
)
def test_what_is_written_is_read_back_and_verifies(place: tuple[int, int], extra: bytes | None) -> None:
    index, size = place
    proof = made(index, size, extra=extra)
    data = proof.serialise()
    assert TlogProof.parse(data) == proof
    assert TlogProof.parse(data).serialise() == data
    checkpoint, cosignatures = verify_tlog_proof(proof, leaves(size)[index], VKEY)
    assert (checkpoint.size, checkpoint.root, cosignatures) == (size, root_of(leaves(size)), ())


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail_otherwise_than_by_refusing(data: bytes) -> None:
    for given_data in (data, b"c2sp.org/tlog-proof@v1\n" + data, b"c2sp.org/tlog-proof@v1\nindex 1\n" + data):
        try:
            assert TlogProof.parse(given_data).serialise() == given_data
        except MalformedError:
            continue


def lines(proof: TlogProof) -> list[bytes]:
    return proof.serialise().split(b"\n")


GOOD = made(extra=b"more").serialise()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "begins with the line"),
        (GOOD.replace(b"@v1", b"@v2", 1), "begins with the line"),
        (GOOD.replace(b"\n", b"\r\n"), "begins with the line"),
        (GOOD.replace(b"\n\n", b"\n", 1), "decoded|base64|note is text"),
        (GOOD.replace(b"extra bW9yZQ==\nindex 3\n", b"index 3\nextra bW9yZQ==\n"), "base64"),
        (GOOD.replace(b"extra bW9yZQ==", b"extra bW9yZQ"), "base64"),
        (GOOD.replace(b"extra bW9yZQ==", b"extra bW9yZR=="), "base64"),
        (GOOD.replace(b"extra bW9yZQ==", b"extra "), "extra data has 1"),
        (GOOD.replace(b"extra bW9yZQ==", b"extra  bW9yZQ=="), "base64"),
        (GOOD.replace(b"extra bW9yZQ==", b"other bW9yZQ=="), "expected `index "),
        (GOOD.replace(b"extra bW9yZQ==\n", b"extra bW9yZQ==\nextra bW9yZQ==\n"), "expected `index "),
        (GOOD.replace(b"index 3\n", b""), "expected `index "),
        (GOOD.replace(b"index 3", b"index 03"), "expected `index "),
        (GOOD.replace(b"index 3", b"index +3"), "expected `index "),
        (GOOD.replace(b"index 3", b"index  3"), "expected `index "),
        (GOOD.replace(b"index 3", b"index 3 "), "expected `index "),
        (GOOD.replace(b"index 3", b"index -3"), "expected `index "),
        (GOOD.replace(b"index 3", "index ٣".encode()), "expected `index "),
        (GOOD.replace(b"index 3", b"index 18446744073709551615"), "expected `index "),
        (GOOD.replace(b"index 3\n", b"index 3\n" + base64.b64encode(bytes(31)) + b"\n"), "32 bytes"),
        (GOOD.replace(b"index 3\n", b"index 3\nindex 4\n"), "base64"),
        (GOOD[:-1], "signature lines"),
        (GOOD + b"\n", "note is text|signature line"),
        (b"c2sp.org/tlog-proof@v1\nindex 3\n\nnot a checkpoint\n", "note is text"),
        (GOOD.partition(b"\n\n")[0] + b"\n\n", "note is text"),
    ],
)
def test_another_form_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        TlogProof.parse(data)


def test_long_files_are_refused_and_the_longest_are_read() -> None:
    proof = replace(made(), path=(bytes(32),) * MAX_PATH, extra=bytes(MAX_EXTRA))
    assert TlogProof.parse(proof.serialise()) == proof
    with pytest.raises(MalformedError, match="at most 63"):
        replace(proof, path=(bytes(32),) * (MAX_PATH + 1)).serialise()
    with pytest.raises(MalformedError, match="extra data"):
        replace(proof, extra=bytes(MAX_EXTRA + 1)).serialise()
    with pytest.raises(MalformedError, match="not that long"):
        TlogProof.parse(bytes(3_000_000))


def test_a_field_that_cannot_stand_in_a_file_is_not_written() -> None:
    for bad in (replace(made(), index=-1), replace(made(), path=(b"short",)), replace(made(), checkpoint=b"x")):
        with pytest.raises(MalformedError):
            bad.serialise()


def test_another_leaf_index_or_path_does_not_prove_it() -> None:
    proof, leaf = made(), leaves(7)[3]
    with pytest.raises(ProofError):
        verify_tlog_proof(proof, leaf[::-1], VKEY)
    for bad in (
        replace(proof, index=2), replace(proof, index=7), replace(proof, path=proof.path[1:]),
        replace(proof, path=(*proof.path, bytes(32))), replace(proof, path=()),
    ):  # fmt: skip
        with pytest.raises(ProofError):
            verify_tlog_proof(bad, leaf, VKEY)


def test_the_log_must_have_signed_under_the_origin_that_is_expected() -> None:
    proof, leaf = made(), leaves(7)[3]
    with pytest.raises(NoteSignatureError):
        verify_tlog_proof(proof, leaf, Vkey(ORIGIN, ED25519, WITNESSES[0].public_key))
    with pytest.raises(MalformedError, match="not of"):
        verify_tlog_proof(proof, leaf, VKEY, origin="other.example/log")


def test_witnesses_are_counted_once_each_and_must_be_enough() -> None:
    leaf = leaves(7)[3]
    for cosigned in (0, 1, 2):
        proof = made(cosigned=cosigned)
        for required in (0, 1, 2):
            if required <= cosigned:
                _, found = verify_tlog_proof(proof, leaf, VKEY, WITNESS_KEYS, required)
                assert len(found) == cosigned
            else:
                with pytest.raises(QuorumError):
                    verify_tlog_proof(proof, leaf, VKEY, WITNESS_KEYS, required)
    twice = made(cosigned=1)
    note = Note.parse(twice.checkpoint)
    doubled = replace(twice, checkpoint=note.with_signatures(note.signatures[1:]).serialise())
    with pytest.raises(QuorumError):
        verify_tlog_proof(doubled, leaf, VKEY, WITNESS_KEYS, 2)


def test_a_known_witness_whose_signature_fails_spoils_the_file() -> None:
    proof = made(cosigned=1)
    *_, last = Note.parse(proof.checkpoint).signatures
    bad = replace(last, signature=last.signature[:-1] + bytes([last.signature[-1] ^ 1]))
    note = Note.parse(made().checkpoint).with_signatures([bad])
    with pytest.raises(NoteSignatureError):
        verify_tlog_proof(replace(proof, checkpoint=note.serialise()), leaves(7)[3], VKEY, WITNESS_KEYS)


# -- files of another program ------------------------------------------------------------------------------------------


@pytest.fixture
def peer(vectors):
    return vectors("c2sp-tlog") / "peer-made"


@pytest.fixture
def facts(peer):
    return json.loads((peer / "vectors.json").read_text())


def test_the_files_of_another_program_are_read_verified_and_written_alike(peer, facts) -> None:
    log, witness = Vkey.parse(facts["log_vkey"]), Vkey.parse(facts["witness_vkey"])
    assert len(facts["inclusion"]) >= 10
    for case in facts["inclusion"]:
        data = (peer / case["tlog_proof_file"]).read_bytes()
        proof = TlogProof.parse(data)
        assert proof.serialise() == data
        assert proof.index == case["index"]
        leaf = leaf_hash(bytes.fromhex(case["leaf_hex"]))
        checkpoint, cosignatures = verify_tlog_proof(proof, leaf, log, [witness], 1)
        assert checkpoint.size == case["size"]
        assert [one.vkey for one in cosignatures] == [witness]


def test_a_file_of_another_program_without_its_witness_has_no_quorum(peer, facts) -> None:
    log, witness = Vkey.parse(facts["log_vkey"]), Vkey.parse(facts["witness_vkey"])
    case = facts["inclusion"][1]
    proof = TlogProof.parse((peer / case["tlog_proof_file"]).read_bytes())
    note = Note.parse(proof.checkpoint)
    alone = Note(note.text, tuple(line for line in note.signatures if line.name == log.name))
    stripped = replace(proof, checkpoint=alone.serialise())
    leaf = bytes.fromhex(case["leaf_hash_hex"])
    verify_tlog_proof(stripped, leaf, log, [witness], 0)
    with pytest.raises(QuorumError):
        verify_tlog_proof(stripped, leaf, log, [witness], 1)


def test_swapped_files_of_another_program_prove_nothing(peer, facts) -> None:
    log = Vkey.parse(facts["log_vkey"])
    cases = [case for case in facts["inclusion"] if case["size"] > 1]
    for case, other in zip(cases, cases[1:] + cases[:1], strict=True):
        proof = TlogProof.parse((peer / other["tlog_proof_file"]).read_bytes())
        if case["leaf_hash_hex"] != other["leaf_hash_hex"]:
            with pytest.raises(ProofError):
                verify_tlog_proof(proof, bytes.fromhex(case["leaf_hash_hex"]), log)


def test_no_file_of_another_program_with_a_changed_byte_verifies_with_its_witness(peer, facts) -> None:
    log, witness = Vkey.parse(facts["log_vkey"]), Vkey.parse(facts["witness_vkey"])
    case = next(one for one in facts["inclusion"] if one["size"] == 300)
    data = (peer / case["tlog_proof_file"]).read_bytes()
    leaf = bytes.fromhex(case["leaf_hash_hex"])
    for place in range(len(data)):
        changed = data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]
        with pytest.raises(LedgerError):
            verify_tlog_proof(TlogProof.parse(changed), leaf, log, [witness], 1)


def test_the_example_of_the_specification_is_refused_for_what_is_left_out_of_it(vectors) -> None:
    text = json.loads((vectors("c2sp-tlog") / "c2sp-examples.json").read_text())["tlog_proof"]["text"]
    with pytest.raises(MalformedError, match="base64"):
        TlogProof.parse(text.encode())
    whole = text.replace("YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ", "bW9yZQ==")
    signatures = made().checkpoint.decode().partition("\n\n")[2]
    proof = TlogProof.parse((whole.partition("— ")[0] + signatures).encode())
    assert (proof.index, len(proof.path), proof.extra) == (73894, 5, b"more")
