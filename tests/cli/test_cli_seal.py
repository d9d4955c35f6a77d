"""A consortium seals a checkpoint by commands, and a stranger asks for the seal."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from api.cli.main import main
from ledger.evidence.policy import parse_policy
from tests.cli.conftest import Town, tial, waited


@pytest.fixture
def members(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("TIAL_PASSPHRASE", "of the members")
    keys = [tmp_path / f"member-{n}.key" for n in range(3)]
    for path in keys:
        made = tial("key", "new", path, "--suite", "bls12-381", "--json")
        assert made.code == 0, made
        assert (made.json["suite"], "address" in made.json) == ("bls12-381", False)
    return keys


@pytest.fixture
def policy(town: Town, tmp_path: Path, members: list[Path]) -> Path:
    path = tmp_path / "policy.toml"
    town.ok("policy", "init", "--out", path, "--trust-operator-state")
    enrolled = [tial("seal", "enrol", "--key", key, "--did", f"did:example:{n}").out for n, key in enumerate(members)]
    path.write_text("\n".join([path.read_text(), "[seal]\nthreshold = 2\n", *enrolled]))
    roster = parse_policy(path.read_text()).roster
    assert roster is not None
    roster.require_possession()
    return path


def test_a_bundle_is_sealed_by_its_members_and_verified(
    town: Town, tmp_path: Path, policy: Path, members: list[Path]
) -> None:
    bundle, sealed, seal = tmp_path / "one.tial", tmp_path / "sealed.tial", tmp_path / "one.seal"
    waited(town, "evidence", "get", 0, "-o", bundle)
    unsealed = tial("verify", bundle, "--policy", policy, "--json")
    assert (unsealed.code, unsealed.json["verdict"]) == (4, "cannot tell")
    shares = [tmp_path / f"{n}.share" for n in range(2)]
    for key, share in zip(members, shares, strict=False):
        signed = tial("seal", "sign", bundle, "--key", key, "-o", share, "--json")
        assert (signed.code, signed.json["log"]) == (0, town.card["log"])
    few = tial("seal", "join", shares[0], "--policy", policy, "-o", seal, "--json")
    assert (few.code, few.json["error"]) == (1, "false-seal")
    assert tial("seal", "join", *shares, "--policy", policy, "-o", seal, "--json").json["shares"] == 2
    checked = tial("seal", "check", seal, "--policy", policy, "--checkpoint", bundle, "--json")
    assert checked.json["members"] == ["did:example:0", "did:example:1"]
    assert tial("evidence", "attach", bundle, "--seal", seal, "-o", sealed).code == 0
    report = tial("verify", sealed, "--policy", policy)
    assert report.code == 0, report
    assert "did:example:0" in report.out
    assert "印章" in tial("verify", sealed, "--policy", policy, "--lang", "zh").out


def test_a_bare_checkpoint_is_sealed_with_the_logs_key(
    town: Town, tmp_path: Path, policy: Path, members: list[Path]
) -> None:
    note, share = tmp_path / "checkpoint", tmp_path / "share"
    note.write_bytes((town.folder / "data" / "log" / "checkpoint").read_bytes())
    asked = town.run("seal", "sign", note, "--key", members[0], "-o", share, "--json")
    assert (asked.code, asked.json["log"]) == (0, town.card["log"])
    known = ("--log", town.card["log"], "--vkey", town.card["vkey"], "--url", "http://127.0.0.1:9")
    assert tial("seal", "sign", note, "--key", members[0], "-o", share, *known).code == 0
    other = ("--log", "ab" * 32)
    assert town.run("seal", "sign", note, "--key", members[0], "-o", share, *other).code == 2
    note.write_bytes(note.read_bytes().replace(b"\n", b"\n1", 1))
    assert town.run("seal", "sign", note, "--key", members[0], "-o", share).code == 1


def test_what_is_wrong_is_refused(town: Town, tmp_path: Path, policy: Path, members: list[Path]) -> None:
    bundle, share = tmp_path / "one.tial", tmp_path / "one.share"
    waited(town, "evidence", "get", 0, "-o", bundle)
    other = tmp_path / "ed.key"
    assert tial("key", "new", other).code == 0
    assert tial("seal", "sign", bundle, "--key", other, "-o", share).code == 2
    assert tial("seal", "enrol", "--key", members[0], "--did", "nobody").code == 2
    altered = bundle.read_bytes()
    bundle.write_bytes(altered[:-60] + bytes([altered[-60] ^ 1]) + altered[-59:])
    assert tial("seal", "sign", bundle, "--key", members[0], "-o", share).code == 1
    plain = tmp_path / "plain.toml"
    town.ok("policy", "init", "--out", plain)
    assert tial("seal", "check", bundle, "--policy", plain).code in {1, 2}
    assert tial("evidence", "attach", bundle, "--seal", plain, "-o", share).code == 1
    assert main(["evidence", "attach", str(bundle), "--report", str(plain), "-o", str(share)]) == 1


def test_a_document_is_attached_before_it_is_verified(town: Town, tmp_path: Path, policy: Path) -> None:
    del policy
    bundle, plain = tmp_path / "one.tial", tmp_path / "plain.toml"
    waited(town, "evidence", "get", 0, "-o", bundle)
    town.ok("policy", "init", "--out", plain, "--trust-operator-state")
    document = tmp_path / "d.json"
    document.write_text("{}")
    assert tial("verify", bundle, "--policy", plain, "--document", document).code == 2
    assert tial("evidence", "attach", bundle, "--document", document, "-o", bundle).code == 0
    ran = tial("verify", bundle, "--policy", plain, "--now", int(time.time()), "--json")
    assert ran.json["verdict"] == "invalid", "nothing in the log was signed over it"
