"""`tial receipt`: what is fetched verifies without the node; what is altered, foreign or missing is told apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.client import Client
from ledger.crypto.suites import suite_by_name
from ledger.identifiers.did_key import did_key
from ledger.log.checkpoint import make_cosignature
from ledger.log.notes import COSIGNATURE, Note, Vkey
from ledger.log.tlog_proof import TlogProof
from ledger.statements.transparent import attach, split_transparent
from tests.cli.conftest import Town, tial

STRANGER = suite_by_name("ed25519").from_secret(b"\x09" * 32)
FORMATS = ("cose", "transparent", "tlog-proof")


class Case:
    """One registered identifier with its statement and its three files, and the log's keys as its card has them."""

    def __init__(self, town: Town, folder: Path, name: str) -> None:
        self.town, self.folder = town, folder
        self.index = town.ok("register", f"88.118.8/{name}", "--scheme", "vaa", "--key", town.key("acme"))["index"]
        self.subject = f"vaa:88.118.8/{name}"
        assert town.node is not None
        with Client(town.node.url) as client:
            info = client.log()
            self.keys = ("--vkey", info.vkey, "--key", info.raw["cose"]["did"])
            self.statement = folder / "statement.cose"
            self.statement.write_bytes(client.entry(self.index))
        for form in FORMATS:
            told = town.ok("receipt", "get", self.index, "-o", self.file(form), "--format", form)
            assert (told["index"], told["format"]) == (self.index, form)

    def file(self, form: str) -> Path:
        return self.folder / f"{form}.file"

    def verify(self, path: Path, *more: object, statement: bool = True):
        given = ("--statement", self.statement) if statement else ()
        ran = tial("receipt", "verify", path, *given, *self.keys, *more, "--url", "http://127.0.0.1:9", "--json")
        return ran.code, ran.json

    def changed(self, form: str, data: bytes) -> Path:
        path = self.folder / f"changed-{form}"
        path.write_bytes(data)
        return path


@pytest.fixture(scope="module")
def case(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(town, tmp_path_factory.mktemp("receipts"), "RECEIPT-1")


@pytest.mark.parametrize("form", FORMATS)
def test_each_kind_of_file_verifies_offline(case: Case, form: str) -> None:
    code, told = case.verify(case.file(form))
    assert (code, told["verdict"], told["rests_on"]) == (0, "valid", [])
    assert told["origin"] == "node.example.org/assets"
    assert (told | told["stated"])["index"] == case.index


def test_a_transparent_statement_brings_its_statement(case: Case) -> None:
    code, told = case.verify(case.file("transparent"), statement=False)
    assert (code, told["subject"]) == (0, case.subject)
    statement, _ = split_transparent(case.file("transparent").read_bytes())
    assert statement == case.statement.read_bytes()


def test_a_subject_gets_the_newest_entry_about_it(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "by-subject"
    assert case.town.ok("receipt", "get", case.subject, "-o", path)["index"] == case.index
    assert case.verify(path)[0] == 0


@pytest.mark.parametrize("form", FORMATS)
def test_without_keys_the_node_is_asked_and_that_is_said(case: Case, form: str) -> None:
    ran = case.town.run("receipt", "verify", case.file(form), "--statement", case.statement, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "valid")
    assert ran.json["rests_on"] == ["the node's word for the log's key"]
    away = tial("receipt", "verify", case.file(form), "--url", "http://127.0.0.1:9", "--json")
    assert (away.code, away.json["error"]) == (4, "unavailable")


@pytest.mark.parametrize("form", ["cose", "tlog-proof"])
def test_a_file_without_a_statement_or_by_an_unknown_key_cannot_be_told(case: Case, form: str) -> None:
    assert case.verify(case.file(form), statement=False)[0] == 4
    stranger = did_key(STRANGER.public_key, "ed25519")
    vkey = Vkey("node.example.org/assets", 1, STRANGER.public_key).format()
    keys, case.keys = case.keys, ("--vkey", vkey, "--key", stranger)
    try:
        code, told = case.verify(case.file(form))
    finally:
        case.keys = keys
    assert (code, told["verdict"]) == (4, "cannot tell")
    other = ("--key", stranger) if form == "tlog-proof" else ("--vkey", vkey)
    ran = tial("receipt", "verify", case.file(form), "--statement", case.statement, *other, "--json")
    assert (ran.code, ran.json["verdict"]) == (4, "cannot tell")


@pytest.mark.parametrize("form", FORMATS)
def test_another_statement_or_origin_is_invalid(case: Case, form: str, tmp_path: Path) -> None:
    code, told = case.verify(case.file(form), "--origin", "other.example.org/log")
    assert (code, told["verdict"]) == (1, "invalid")
    other = Case(case.town, tmp_path, f"OTHER-{form}")
    code, told = other.verify(case.file(form))
    assert (code, told["verdict"]) == (1, "invalid")


def test_altered_files_are_invalid_or_refused(case: Case) -> None:
    receipt = case.file("cose").read_bytes()
    code, told = case.verify(case.changed("cose", receipt[:-1] + bytes([receipt[-1] ^ 1])))
    assert (code, told["verdict"]) == (1, "invalid")
    code, told = case.verify(case.changed("cose", receipt[:-1]))
    assert (code, told["error"]) == (1, "malformed")
    proof = TlogProof.parse(case.file("tlog-proof").read_bytes())
    swapped = TlogProof(proof.index - 1, proof.path, proof.checkpoint).serialise()
    code, told = case.verify(case.changed("tlog-proof", swapped))
    assert (code, told["verdict"]) == (1, "invalid")
    note = Note.parse(proof.checkpoint)
    (line,) = note.signatures
    forged = Note(note.text, (type(line)(line.name, line.key_id, bytes(64)),)).serialise()
    code, told = case.verify(case.changed("tlog-proof", TlogProof(proof.index, proof.path, forged).serialise()))
    assert (code, told["verdict"]) == (1, "invalid")
    good, bad = receipt, receipt[:-1] + bytes([receipt[-1] ^ 1])
    both = attach(case.statement.read_bytes(), [good, bad])
    assert case.verify(case.changed("transparent", both))[0] == 1


def test_witnesses_are_counted_where_a_quorum_is_asked_for(case: Case) -> None:
    vkey = Vkey("witness.example/w", COSIGNATURE, STRANGER.public_key)
    asked = ("--witness", vkey.format(), "--quorum", 1)
    path = case.file("tlog-proof")
    assert case.verify(path, *asked)[0] == 4
    proof = TlogProof.parse(path.read_bytes())
    note = Note.parse(proof.checkpoint)
    line = make_cosignature(STRANGER, vkey.name, note.text, 1_780_000_000)
    cosigned = TlogProof(proof.index, proof.path, note.with_signatures([line]).serialise()).serialise()
    code, told = case.verify(case.changed("tlog-proof", cosigned), *asked)
    assert (code, told["cosigned by"]) == (0, [vkey.name])
    assert case.verify(path, "--quorum", 1)[0] == 2


def test_a_policy_names_logs_witnesses_and_quorum(case: Case, tmp_path: Path) -> None:
    vkey = Vkey("witness.example/w", COSIGNATURE, STRANGER.public_key)
    path = tmp_path / "policy"
    rule = f"log {case.keys[1]}\nwitness w {vkey.format()}\nquorum "
    keys, case.keys = case.keys, ()
    try:
        path.write_text(rule + "none\n")
        assert case.verify(case.file("tlog-proof"), "--policy", path)[0] == 0
        path.write_text(rule + "w\n")
        code, told = case.verify(case.file("tlog-proof"), "--policy", path)
        assert (code, told["verdict"]) == (4, "cannot tell")
        proof = TlogProof.parse(case.file("tlog-proof").read_bytes())
        note = Note.parse(proof.checkpoint)
        line = make_cosignature(STRANGER, vkey.name, note.text, 1_780_000_000)
        cosigned = TlogProof(proof.index, proof.path, note.with_signatures([line]).serialise()).serialise()
        assert case.verify(case.changed("tlog-proof", cosigned), "--policy", path)[0] == 0
        assert case.verify(case.file("tlog-proof"), "--policy", path, "--vkey", keys[1])[0] == 2
        path.write_text("nonsense\n")
        assert case.verify(case.file("tlog-proof"), "--policy", path)[1]["error"] == "malformed"
    finally:
        case.keys = keys


def test_a_receipt_of_consistency_proves_no_statement(case: Case) -> None:
    assert case.town.node is not None
    with Client(case.town.node.url) as client:
        raw = client.consistency_receipt(2)
    code, told = case.verify(case.changed("cose", raw))
    assert (code, told["verdict"], told["stated"]["old size"]) == (4, "cannot tell", 2)


def test_what_is_no_receipt_is_refused_in_words(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "nothing"
    path.write_bytes(json.dumps({}).encode())
    assert case.verify(path)[1]["error"] == "malformed"
    assert case.verify(tmp_path / "absent")[0] == 2
    assert case.town.run("receipt", "get", 999_999, "-o", path).code == 1
    assert case.town.run("receipt", "get", "vaa:88.118.8/NOBODY", "-o", path).code == 1
    assert tial("receipt", "verify", case.file("cose"), "--key", "did:web:x", "--json").code == 1


def test_a_person_is_shown_the_verdict_and_what_nobody_signed(case: Case) -> None:
    ran = tial("receipt", "verify", case.file("cose"), "--statement", case.statement, *case.keys)
    assert ran.code == 0
    assert "VALID: the log signed a tree that holds this statement" in ran.out
    assert "as stated, not signed" in ran.out
