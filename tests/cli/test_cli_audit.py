"""The auditor's commands: copy, replay, sample, report, watch, accuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.crypto import keyfile
from ledger.log.notes import ED25519, Vkey
from tests.audit.served import ORIGIN, VKEY, serve, shown
from tests.audit.test_audit_engine import HONEST, rewritten_signature
from tests.cli.conftest import Ran, Town, tial
from tests.node.test_mirror import ENTRIES, OTHER
from tests.world import key

AUDITOR = key("auditor")


@pytest.fixture
def signing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The auditor's key file."""
    monkeypatch.setenv("TIAL_PASSPHRASE", "x")
    path = tmp_path / "auditor.key"
    keyfile.save(path, AUDITOR, "x")
    return path


def run(*arguments: object) -> Ran:
    return tial(*arguments, "--json")


def test_a_log_is_copied_audited_and_the_signed_report_is_read_by_somebody_else(tmp_path: Path, signing: Path) -> None:
    serve(tmp_path / "log", HONEST)
    with shown(tmp_path / "log") as url:
        copied = run("mirror", url, tmp_path / "copy", "--vkey", VKEY.format())
    assert copied.code == 0, copied
    assert copied.json["size"] == len(HONEST)
    report, document = tmp_path / "report", tmp_path / "document.json"
    arguments = ("--key", signing, "-o", report, "--document", document, "--log", copied.json["log_id"])
    audited = run("audit", tmp_path / "copy", *arguments)
    assert audited.code == 0, audited
    told = audited.json
    assert (told["clean"], told["checked"], told["mode"]) == (True, len(HONEST), "full")
    assert set(told["not_checked"]) == {"anchors", "chain", "cosignatures"}
    read = run("audit-report", report, "--auditor", AUDITOR.public_key.hex())
    assert (read.code, read.json["root"]) == (0, told["root"])
    assert json.loads(document.read_text())["sha256"] == told["sha256"]
    stranger = run("audit-report", report, "--auditor", key("stranger").public_key.hex())
    assert (stranger.code, stranger.json["error"]) == (1, "report-signature")
    assert run("audit-report", report).code == 2


def test_an_audit_that_finds_something_ends_with_1_and_names_the_entry(tmp_path: Path, signing: Path) -> None:
    entries = list(HONEST)
    code, index = rewritten_signature(entries)
    serve(tmp_path / "log", entries)
    ran = run("audit", tmp_path / "log", "--work", tmp_path / "work", "--key", signing, "-o", tmp_path / "report")
    assert ran.code == 1
    assert [(f["code"], f["index"]) for f in ran.json["failures"]] == [(code, index)]
    human = tial("audit", tmp_path / "log", "--work", tmp_path / "work")
    assert human.code == 1
    assert f"FOUND {code} at entry {index}" in human.out
    again = run("audit-report", tmp_path / "report", "--auditor", AUDITOR.public_key.hex())
    assert again.code == 1


def test_a_sample_says_how_it_was_drawn(tmp_path: Path) -> None:
    serve(tmp_path / "log", HONEST)
    ran = run("audit", tmp_path / "log", "--sample", 5, "--seed", "0x" + "ab" * 32)
    assert ran.code == 0, ran
    assert ran.json["sample"] == {"seed": "ab" * 32, "draws": 5}
    assert {"rules", "state", "manifests"} <= set(ran.json["not_checked"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("--sample", 5), ("--seed", "ab"), ("--sample", 5, "--seed", "xyz"), ("-o", "report"),
        ("--document", "file"), ("--log", "ab"), ("--policy", "nothing"), ("--chain", "http://127.0.0.1:9"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_refused(tmp_path: Path, arguments: tuple[object, ...]) -> None:
    serve(tmp_path / "log", HONEST)
    assert run("audit", tmp_path / "log", *arguments).code == 2


def test_two_nodes_that_part_are_watched_and_the_proof_convinces(tmp_path: Path) -> None:
    serve(tmp_path / "one", ENTRIES)
    serve(tmp_path / "two", OTHER)
    out = tmp_path / "watch"
    with shown(tmp_path / "one") as one, shown(tmp_path / "two") as two:
        honest = run("monitor", one, "--once", "--vkey", VKEY.format(), "-o", tmp_path / "calm")
        assert (honest.code, honest.json["agreed"]["size"]) == (0, 700)
        ran = run("monitor", one, two, "--once", "--vkey", VKEY.format(), "-o", out)
        away = run("monitor", one, "http://127.0.0.1:9", "--once", "--vkey", VKEY.format(), "-o", tmp_path / "away")
    assert away.code == 4
    assert ran.code == 1
    proof = ran.json["contradictions"][0]["proof"]
    checked = run("split-view", proof, "--vkey", VKEY.format())
    assert (checked.code, checked.json["kind"]) == (0, "checkpoints")
    stranger = Vkey(ORIGIN, ED25519, key("stranger").public_key)
    assert run("split-view", proof, "--vkey", stranger.format()).code == 1
    assert run("split-view", proof).code == 2
    assert run("monitor", "http://127.0.0.1:9", "--once").code == 2
    (tmp_path / "junk").write_bytes(b"junk")
    assert run("split-view", tmp_path / "junk", "--vkey", VKEY.format()).code == 1


def test_a_fork_found_while_mirroring_names_the_proof(tmp_path: Path) -> None:
    serve(tmp_path / "one", ENTRIES)
    serve(tmp_path / "two", OTHER)
    with shown(tmp_path / "one") as one, shown(tmp_path / "two") as two:
        assert run("mirror", one, tmp_path / "copy", "--vkey", VKEY.format()).code == 0
        ran = run("mirror", two, tmp_path / "copy", "--vkey", VKEY.format())
    assert (ran.code, ran.json["error"]) == (1, "split-view")
    assert run("split-view", ran.json["where"], "--vkey", VKEY.format()).code == 0


def test_a_running_node_is_mirrored_audited_and_its_log_takes_the_report(
    town: Town, tmp_path: Path, signing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert town.node is not None
    copy = tmp_path / "copy"
    mirrored = run("mirror", town.node.url, copy, "--documents", "public")
    assert mirrored.code == 0, mirrored
    assert mirrored.json["key"] == "the node's own word"
    document = tmp_path / "document.json"
    audited = run("audit", copy, "--key", signing, "--document", document)
    assert audited.code == 0, audited
    assert audited.json["log"] == town.card["log"]
    assert audited.json["checked"] == mirrored.json["size"]
    monkeypatch.delenv("TIAL_PASSPHRASE")
    logged = town.ok("register", "88.118.8/AUDIT", "--scheme", "vaa", "--key", town.key("acme"), "--document", document)
    assert town.ok("show", logged["index"])["digest"]
