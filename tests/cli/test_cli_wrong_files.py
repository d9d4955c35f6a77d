"""Files of another kind, handed to the commands: each says which file it was, and what was expected there."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.crypto.suites import suite_by_name
from ledger.identifiers.did_key import did_key
from ledger.log.notes import ED25519, Vkey
from tests.cli.conftest import tial

KEY = suite_by_name("ed25519").generate().public_key
VKEY = Vkey("log.example/a", ED25519, KEY).format()
DID = did_key(KEY, "ed25519")
WRONG = {
    "evidence bundle": ("evidence", "attach", "junk", "-o", "out"),
    "policy": ("verify", "bundle", "--policy", "junk"),
    "memory of checkpoints": ("verify", "bundle", "--policy", "policy.toml", "--memory", "junk"),
    "tlog-policy": ("mirror", "http://127.0.0.1:1", "copy", "--policy", "junk"),
    "auditor's report": ("audit-report", "junk", "--auditor", KEY.hex()),
    "split-view proof": ("split-view", "junk", "--vkey", VKEY),
    "evidence of a violation": ("witness", "evidence", "junk", "--vkey", VKEY),
    "receipt, transparent statement or proof file": ("receipt", "verify", "junk", "--key", DID),
    "statement": ("receipt", "verify", "bundle", "--key", DID, "--statement", "junk"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_file_of_another_kind_is_named(kind: str, tmp_path: Path):
    for name in ("junk", "bundle"):
        (tmp_path / name).write_text("years of work\n")
    policy = f'format = "tial-policy-v1"\n[[log]]\nid = "{bytes(32).hex()}"\nsuites = ["ed25519"]\n'
    (tmp_path / "policy.toml").write_text(policy)
    places = {"junk", "bundle", "policy.toml", "out", "copy"}
    ran = tial(*(tmp_path / word if word in places else word for word in WRONG[kind]))
    assert ran.code == 1
    assert f"This is no {kind}: " in ran.err
    assert str(tmp_path / "junk") in ran.err


def test_a_file_that_is_not_there_is_wrong_use_and_no_verdict(tmp_path: Path):
    ran = tial("verify", tmp_path / "nothing", "--policy", tmp_path / "nowhere")
    assert (ran.code, "There is no such file" in ran.err) == (2, True)


def test_a_wrong_log_leaves_no_witness_behind(tmp_path: Path):
    ran = tial("witness", "init", tmp_path / "w", "--name", "w.example/1", "--replaying", "--log", VKEY)
    assert (ran.code, "--log VKEY=URL" in " ".join(ran.err.split())) == (2, True)
    assert not (tmp_path / "w").exists()
