"""The demonstration itself, with fewer items: a real chain, a real node in its own process, the real command line."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.demo.aside import can_cut_off, run
from api.demo.auditor import audit
from api.demo.forgeries import ALTERED, FOREIGN, OUT_OF_SCOPE, Attempt
from api.demo.officer import CERTIFICATE, LATER, NEVER, POLICY, rests_on, steps_of
from api.demo.onchain import AnchorReader
from api.demo.play import UnexpectedError
from api.demo.questions import Question
from api.demo.run import check_unexpected
from api.demo.stage import Stage
from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from ledger.crypto.suites import suite_by_name
from ledger.errors import CorruptError, LedgerError
from ledger.log.checkpoint import open_cosigned
from ledger.log.notes import ED25519, NoteSignatureError, Vkey

REPOSITORY = Path(__file__).resolve().parents[2]
ITEMS, CERTIFICATES = 200, 20


def tial(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "api.cli.main", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a demonstration; whatever runs in it afterwards is stopped."""
    try:
        find_anvil()
    except AnvilNotFoundError as error:
        pytest.skip(error.explain())
    path = tmp_path_factory.mktemp("demo") / "stage"
    yield path
    Stage(path).stop()


@pytest.fixture(scope="module")
def summary(folder: Path) -> dict[str, Any]:
    """What `tial demo --json` says."""
    options = ["--items", str(ITEMS), "--certificates", str(CERTIFICATES)]
    done = tial("demo", "--folder", str(folder), *options, "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_items_are_registered_and_certificates_issued(summary: dict[str, Any]):
    assert summary["ok"]
    assert summary["registered"] == ITEMS
    assert summary["certified"] == CERTIFICATES
    assert sum(stream["statements"] for stream in summary["cost"]["streams"]) == ITEMS + CERTIFICATES


def test_five_certificates_change_their_state_for_different_reasons(summary: dict[str, Any]):
    changes = summary["statuses"]
    assert sorted(change["state"] for change in changes) == ["active", "revoked", "revoked", "suspended", "suspended"]
    reasons = [reason for change in changes for _, reason in change["moves"]]
    assert len(set(reasons)) == len(reasons) == 7


def test_every_question_is_proven_here_and_by_the_node(summary: dict[str, Any]):
    assert len(summary["questions"]) == 4
    for question in summary["questions"]:
        assert question["proven"], question
        assert question["checks"]
        assert question["verify"]["steps"], question["question"]
    verdicts = [question["verify"]["verdict"] for question in summary["questions"]]
    assert verdicts == ["valid", "valid", "invalid", "valid"]  # the third asks about a revoked certificate


def test_each_forgery_is_refused_by_its_name_and_leaves_nothing(summary: dict[str, Any]):
    refused = [(attempt["forgery"], attempt["refused"]) for attempt in summary["forgeries"]]
    assert refused == [
        (OUT_OF_SCOPE, "out_of_scope"),
        (ALTERED, "malformed"),
        (ALTERED, "step 3: document digests and claim mapping"),
        (ALTERED, "document-contradicts-statement"),
        (FOREIGN, "wrong_signer"),
        (FOREIGN, "not_covered"),
        (FOREIGN, "wrong_signer"),
    ]
    assert summary["forged_entries"] == 0


def test_strangers_prove_it_with_files_alone(summary: dict[str, Any], folder: Path):
    assert len(summary["strangers"]) == 4
    for question in summary["strangers"]:
        assert question["proven"], question
        assert question["checks"]
    stage = Stage(folder)
    for name, expected in ((CERTIFICATE, 0), (NEVER, 0), (LATER, 1)):
        done = run(["-m", "api.offline", name, "--policy", POLICY], folder / "officer", shown="", cut_off=True)
        assert done.code == expected, done.said
    assert [witness.vkey.name for witness in stage.witnesses] == [
        "witness.example.org/plain", "witness.example.org/replaying",
    ]  # fmt: skip
    assert len(list((folder / "auditor/monitor/evidence").iterdir())) == 1


def test_the_node_publishes_nothing_without_its_witnesses(summary: dict[str, Any], folder: Path):
    plain, replaying = Stage(folder).witnesses
    note = httpx.get(summary["urls"]["newest checkpoint"], trust_env=False).content
    vkey = Vkey.parse(summary["setting"]["vkey"])
    _, cosignatures = open_cosigned(note, vkey, (plain.vkey, replaying.vkey))
    assert {found.vkey for found in cosignatures} == {plain.vkey, replaying.vkey}


def test_where_no_namespace_is_permitted_the_command_runs_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    can_cut_off.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        assert not can_cut_off()
        ran = run(["-c", "print('here')"], tmp_path, shown="python", cut_off=True)
    finally:
        can_cut_off.cache_clear()
    assert (ran.shown, ran.code, ran.said) == ("python", 0, "here\n")


def test_what_is_cut_off_reaches_nobody(tmp_path: Path):
    if not can_cut_off():
        pytest.skip("this system permits no network namespace")
    with socket.create_server(("127.0.0.1", 0)) as server:
        dial = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))"
        assert run(["-c", dial], tmp_path, shown="dial").code == 0
        assert run(["-c", dial], tmp_path, shown="dial", cut_off=True).code == 1


def test_a_report_is_shown_in_part():
    report = "VALID: it\n  1  container   valid\n     read\n     rests on: a; b\n 13  status   valid\n     stands\n"
    report += "     rests on: b; c\n"
    assert steps_of(report, (13,)) == "VALID: it\n 13  status   valid\n     stands"
    assert rests_on(report) == "a; b; c"


def test_anchors_cost_what_they_may(summary: dict[str, Any]):
    anchors = summary["anchors"]
    assert len(anchors) >= 4
    assert [anchor["size"] for anchor in anchors] == sorted({anchor["size"] for anchor in anchors})
    assert all(21_000 < anchor["gas"] < 130_000 for anchor in anchors)


def test_node_and_chain_run_on_and_every_address_answers(summary: dict[str, Any]):
    for name, url in summary["urls"].items():
        if name.startswith("chain"):
            setting = summary["setting"]
            assert AnchorReader(url, setting["contract"]).anchors(bytes.fromhex(setting["log_id"]))
        else:
            assert httpx.get(url, trust_env=False).status_code == 200, name


def test_the_auditor_refuses_another_logs_key_and_another_log(summary: dict[str, Any]):
    setting = summary["setting"]
    log_id, vkey = bytes.fromhex(setting["log_id"]), Vkey.parse(setting["vkey"])
    assert len(audit(setting["url"], log_id, vkey).entries) >= summary["entries"]
    stranger = Vkey(vkey.name, ED25519, suite_by_name("ed25519").generate().public_key)
    with pytest.raises(NoteSignatureError):
        audit(setting["url"], log_id, stranger)
    with pytest.raises(CorruptError):
        audit(setting["url"], bytes(32), vkey)


def test_it_can_be_stopped_and_started_again_with_nothing_lost(summary: dict[str, Any], folder: Path):
    setting = summary["setting"]
    assert tial("demo", "--folder", str(folder), "--stop").returncode == 0
    with pytest.raises(httpx.TransportError):
        httpx.get(setting["url"], trust_env=False)
    kept = tial("demo", "--folder", str(folder), "--keep", "--json")
    assert kept.returncode == 0, kept.stderr[-2000:]
    found = audit(json.loads(kept.stdout)["url"], bytes.fromhex(setting["log_id"]), Vkey.parse(setting["vkey"]))
    assert found.checkpoint.size >= summary["entries"]
    assert tial("demo", "--folder", str(folder), "--stop", "--json").stdout.count('"stopped":true') == 1


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(LedgerError, match="something else"):
        Stage(tmp_path).clear()
    done = tial("demo", "--folder", str(tmp_path), "--items", "100", "--certificates", "10")
    assert done.returncode == 1
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_stopping_where_nothing_was_played_starts_and_removes_nothing(tmp_path: Path):
    done = tial("demo", "--folder", str(tmp_path / "none"), "--stop", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["stopped"] is False
    assert tial("demo", "--folder", str(tmp_path / "none"), "--keep").returncode == 1
    assert not (tmp_path / "none").exists()


def test_anything_unexpected_is_an_error():
    proven = Question("?")
    proven.check("holds", passed=True)
    refused = Attempt(FOREIGN, "tried", "wrong_signer", "wrong_signer", "")
    check_unexpected([proven], [refused], 0)
    unproven = Question("?")
    unproven.check("does not hold", passed=False)
    taken = Attempt(FOREIGN, "tried", "wrong_signer", "", "It was taken")
    by_another_name = Attempt(FOREIGN, "tried", "wrong_signer", "unknown_actor", "")
    cases = (
        ([unproven], [refused], 0), ([Question("nothing checked")], [refused], 0), ([proven], [taken], 0),
        ([proven], [by_another_name], 0), ([proven], [refused], 1),
    )  # fmt: skip
    for questions, attempts, forged in cases:
        with pytest.raises(UnexpectedError):
            check_unexpected(questions, attempts, forged)
