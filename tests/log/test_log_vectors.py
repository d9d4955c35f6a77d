"""Logs, notes and proofs that other programs made: the published set c2sp-tlog."""

from __future__ import annotations

import base64
import json

import pytest

from ledger.errors import MalformedError
from ledger.log.checkpoint import Checkpoint, open_checkpoint, open_cosigned
from ledger.log.notes import Note, NoteSignatureError, Vkey, verify_note
from ledger.log.proofs import consistency_proof, inclusion_proof, verify_consistency, verify_inclusion
from ledger.log.tiles import (
    TileEdge,
    TileNodes,
    bundles_between,
    decode_entry_bundle,
    encode_entry_bundle,
    parse_path,
    tile_path,
    tiles_between,
)
from ledger.log.tree import leaf_hash


@pytest.fixture
def made(vectors):
    return vectors("c2sp-tlog") / "peer-made"


@pytest.fixture
def facts(made):
    return json.loads((made / "vectors.json").read_text())


@pytest.fixture
def keys(facts):
    return Vkey.parse(facts["log_vkey"]), Vkey.parse(facts["witness_vkey"])


@pytest.fixture
def roots(made, keys):
    log, _ = keys
    return {size: open_checkpoint((made / f"checkpoint-{size}").read_bytes(), log).root for size in (1, 256, 300)}


@pytest.fixture
def read_tile(made):
    return lambda level, index, width: (made / "log" / tile_path(level, index, width)).read_bytes()


@pytest.mark.parametrize("size", [1, 256, 300])
def test_a_checkpoint_of_another_program_opens_with_its_witness(made, facts, keys, size):
    log, witness = keys
    assert log.format() == facts["log_vkey"]
    assert witness.format() == facts["witness_vkey"]
    data = (made / f"checkpoint-{size}").read_bytes()
    checkpoint, (cosignature,) = open_cosigned(data, log, [witness])
    assert (checkpoint.origin, checkpoint.size) == (facts["origin"], size)
    assert cosignature.vkey == witness
    assert cosignature.time > 1_700_000_000
    assert Note.parse(data).serialise() == data


@pytest.mark.parametrize("size", [1, 256, 300])
def test_a_checkpoint_of_another_program_is_refused_once_changed(made, keys, size):
    log, witness = keys
    data = (made / f"checkpoint-{size}").read_bytes()
    for place in range(len(data)):
        changed = data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]
        try:
            _, cosignatures = open_cosigned(changed, log, [witness])
        except (MalformedError, NoteSignatureError):
            continue
        assert not cosignatures  # a change to the witness's name or key id only makes it unknown


def test_a_note_with_a_signature_of_a_type_unknown_here_opens_by_the_known_key(made, facts, keys):
    log, _ = keys
    data = (made / "checkpoint-mldsa44").read_bytes()
    assert open_checkpoint(data, log).size == 300
    assert len(Note.parse(data).signatures) == 2
    with pytest.raises(MalformedError):
        Vkey.parse(facts["mldsa44_witness_vkey"])


def test_proofs_from_the_tiles_of_another_program_verify_against_its_checkpoints(facts, roots, read_tile):
    nodes = TileNodes(300, read_tile)
    for case in facts["inclusion"]:
        leaf = leaf_hash(bytes.fromhex(case["leaf_hex"]))
        assert leaf.hex() == case["leaf_hash_hex"]
        index, size = case["index"], case["size"]
        proof = inclusion_proof(index, size, nodes.get_node)
        assert verify_inclusion(leaf, index, size, proof, roots[size])
        assert not verify_inclusion(leaf, index, size, [*proof, bytes(32)], roots[size])
        assert not verify_inclusion(leaf[::-1], index, size, proof, roots[size])


def test_proof_files_of_another_program_hold_the_proofs_that_we_make(made, facts, roots):
    for case in facts["inclusion"]:
        head = (made / case["tlog_proof_file"]).read_bytes().split(b"\n\n")[0].split(b"\n")
        hashes = [base64.b64decode(line, validate=True) for line in head if len(line) == 44]
        leaf = bytes.fromhex(case["leaf_hash_hex"])
        assert verify_inclusion(leaf, case["index"], case["size"], hashes, roots[case["size"]])
        assert not verify_inclusion(leaf, case["index"] + 1, case["size"], hashes, roots[case["size"]])


def test_consistency_proofs_of_another_program_are_ours(facts, roots, read_tile):
    nodes = TileNodes(300, read_tile)
    for case in facts["consistency"]:
        old, new = case["From"], case["To"]
        given = [base64.b64decode(line) for line in case["Proof"]]
        assert consistency_proof(old, new, nodes.get_node) == given
        assert verify_consistency(old, new, roots[old], roots[new], given)
        assert not verify_consistency(old, new, roots[old], roots[new], given[:-1])
        assert not verify_consistency(old, new, roots[new], roots[old], given)


def test_the_log_directory_of_another_program_is_what_our_writer_makes(made, roots):
    folder = made / "log"
    on_disk = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    del on_disk["checkpoint"]
    entries = []
    for ref in bundles_between(0, 300):
        entries += decode_entry_bundle(on_disk[ref.path], ref.width)
    assert entries == [b"entry-%d" % number for number in range(300)]
    edge = TileEdge()
    written = {ref.path: data for ref, data in edge.extend([leaf_hash(e) for e in entries]) + edge.partials()}
    for ref in bundles_between(0, 300):
        first = ref.index * 256
        written[ref.path] = encode_entry_bundle(entries[first : first + ref.width])
    assert written == on_disk
    assert edge.root() == roots[300]
    assert {parse_path(path) for path in on_disk} == {*tiles_between(0, 300), *bundles_between(0, 300)}


def test_the_examples_of_the_specifications_are_read(vectors):
    examples = json.loads((vectors("c2sp-tlog") / "c2sp-examples.json").read_text())
    signed = examples["signed_note"]
    note = Note.parse(signed["note"].encode())
    assert verify_note(note, [Vkey.parse(signed["vkey"])])
    with pytest.raises(NoteSignatureError):
        verify_note(Note.parse(signed["note"].replace("example m", "example M").encode()), [Vkey.parse(signed["vkey"])])
    note = Note.parse(examples["checkpoint_with_cosignature"]["note"].encode())
    assert Checkpoint.parse(note.text).size == 20_852_163
    assert [line.name for line in note.signatures] == ["example.com/behind-the-sofa", "witness.example.com/w1"]
    assert [len(line.signature) for line in note.signatures] == [64, 72]


def test_a_note_whose_signatures_are_elided_is_refused(vectors):
    examples = json.loads((vectors("c2sp-tlog") / "c2sp-examples.json").read_text())
    with pytest.raises(MalformedError):
        Note.parse(examples["tlog_proof"]["text"].encode())


def test_the_checkpoints_of_a_witness_transcript_are_opened_or_refused_as_it_expects(vectors):
    transcript = json.loads((vectors("c2sp-tlog") / "witness-transcript.json").read_text())
    log = Vkey.parse(transcript["log_vkey"])
    opened = []
    for step in transcript["steps"]:
        _, _, note = step["body"].partition("\n\n")
        try:
            opened.append(open_checkpoint(note.encode(), log).origin == transcript["log_origin"])
        except (MalformedError, NoteSignatureError):
            opened.append(False)
    assert opened == [step["status"] not in {403, 404} for step in transcript["steps"]]
