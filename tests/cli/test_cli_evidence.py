"""A bundle is fetched, carried away and verified without the node."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from api.offline import main as offline
from ledger.evidence.policy import parse_policy
from tests.cli.conftest import Town, tial, waited


@pytest.fixture
def policy(town: Town, tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    made = town.ok("policy", "init", "--out", path, "--trust-operator-state")
    assert made["log"] == town.card["log"]
    return path


def test_a_bundle_is_verified_offline_in_both_languages(town: Town, tmp_path: Path, policy: Path) -> None:
    made = town.ok("register", "88.118.8/CARRIED", "--scheme", "vaa", "--key", town.key("acme"))
    bundle = tmp_path / "carried.tial"
    told = waited(town, "evidence", "get", made["subject"], "-o", bundle)
    assert told["index"] == made["index"]
    report = tial("verify", bundle, "--policy", policy, "--json")
    assert report.code == 0, report
    assert report.json["verdict"] == "valid"
    assert "VALID: registration of vaa:88.118.8/CARRIED" in tial("verify", bundle, "--policy", policy).out
    assert "有效" in tial("verify", bundle, "--policy", policy, "--lang", "zh").out
    late = tial("verify", bundle, "--policy", policy, "--now", 0)
    assert late.code == 0  # nothing in this policy asks how old the evidence is


def test_an_absence_is_carried_away_too(town: Town, tmp_path: Path, policy: Path) -> None:
    bundle = tmp_path / "absent.tial"
    assert waited(town, "evidence", "get", "vaa:88.118.8/NEVER", "-o", bundle)["index"] is None
    ran = tial("verify", bundle, "--policy", policy, "--json")
    assert (ran.code, ran.json["claim"]) == (0, "absence")


def test_a_bundle_that_was_altered_or_is_of_another_log_is_not_valid(town: Town, tmp_path: Path, policy: Path) -> None:
    bundle, altered = tmp_path / "one.tial", tmp_path / "altered.tial"
    waited(town, "evidence", "get", 0, "-o", bundle)
    raw = bundle.read_bytes()
    altered.write_bytes(raw[:-40] + bytes([raw[-40] ^ 1]) + raw[-39:])
    assert tial("verify", altered, "--policy", policy).code == 1
    other = tmp_path / "other.toml"
    other.write_text(policy.read_text().replace(town.card["log"], "00" * 32))
    assert tial("verify", bundle, "--policy", other).code == 4
    assert town.run("verify", bundle).code == 2
    other.write_text("format = 1")
    assert tial("verify", bundle, "--policy", other).code == 1


def test_the_verifier_remembers_and_shows_a_split_view(town: Town, tmp_path: Path, policy: Path) -> None:
    bundle, memory = tmp_path / "one.tial", tmp_path / "memory.json"
    waited(town, "evidence", "get", 0, "-o", bundle)
    again = ("verify", bundle, "--policy", policy, "--memory", memory)
    assert tial(*again).code == 0
    remembered = memory.read_text()
    assert tial(*again).code == 0
    assert memory.read_text() == remembered
    root = remembered.split('"')[3]
    memory.write_text(remembered.replace(root, "00" * 32))
    split = tial(*again)
    assert split.code == 1
    assert "split view" in split.out
    assert (tmp_path / "memory.json.split-view").read_bytes()
    memory.write_text("[]")
    assert tial(*again).code == 1


def test_the_light_verifier_says_the_same_without_the_nodes_packages(
    town: Town, tmp_path: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "one.tial"
    waited(town, "evidence", "get", 0, "-o", bundle)
    assert offline([str(bundle), "--policy", str(policy), "--json"]) == 0
    assert '"verdict": "valid"' in capsys.readouterr().out
    assert offline([str(tmp_path / "none"), "--policy", str(policy)]) == 2
    script = (
        "import sys; from api.offline import main; code = main(sys.argv[1:]);"
        "heavy = {'typer', 'rich', 'httpx', 'web3', 'fastapi', 'plyvel'} & set(sys.modules);"
        "sys.exit(9 if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(bundle), "--policy", str(policy)],
        cwd=Path(__file__).resolve().parents[2], capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()


def test_a_drafted_policy_is_readable_and_names_its_log(town: Town, policy: Path) -> None:
    read = parse_policy(policy.read_text())
    assert read.logs[0].log_id.hex() == town.card["log"]
    assert read.trust_operator_state
    assert "# " in policy.read_text()
