"""The whole job by commands: register, certify, change, show, prove, verify."""

from __future__ import annotations

import csv
import json
import os
import time
from pathlib import Path

from tests.cli.conftest import Town, tial, waited

POWER = ("--class", "power-supply", "--site", "S1", "--standard", "GB 4943.1", "--template", "product-safety/1")


def test_init_lays_out_a_folder_that_only_its_owner_can_use(town: Town) -> None:
    for name in ("passphrase", "operator.token", "cose.key", "note.key", "anchor-sender.key", "root-1.key"):
        assert (town.folder / "keys" / name).stat().st_mode & 0o777 == 0o600, name
    assert len(town.card["log"]) == 64
    assert json.loads((town.folder / "log.json").read_text())["log_id"] == town.card["log"]
    assert town.run("init", "--origin", "other.example.org", "--folder", town.folder).code == 2


def test_one_identifier_is_registered_shown_and_verified(town: Town) -> None:
    made = town.ok("register", "88.118.8/ONE", "--scheme", "vaa", "--key", town.key("acme"))
    assert made["subject"] == "vaa:88.118.8/ONE"
    shown = town.ok("show", "vaa:88.118.8/ONE")
    assert shown["state"] == "live"
    assert shown["record"]["holder"] == town.dids["acme"]
    assert town.ok("show", made["index"])["sub"] == made["subject"]
    report = waited(town, "verify", made["index"])
    assert report["verdict"] == "valid"
    assert {step["step"] for step in report["steps"]} >= {1, 2, 4, 5, 6, 7, 8, 11, 13}
    table = town.run("verify", made["subject"])
    assert (table.code, "inclusion" in table.out) == (0, True)
    assert "operator alone" in table.out, "the answer rests on the node, and says so"


def test_another_document_than_the_one_signed_is_invalid_and_ends_with_1(town: Town, tmp_path: Path) -> None:
    made = town.ok("register", "88.118.8/ALTERED", "--scheme", "vaa", "--key", town.key("acme"))
    waited(town, "verify", made["index"])
    path = tmp_path / "other.json"
    path.write_text('{"another": "document"}')
    ran = town.run("verify", made["index"], "--document", path, "--json")
    assert (ran.code, ran.json["verdict"]) == (1, "invalid")


def test_the_same_identifier_twice_is_a_named_conflict(town: Town) -> None:
    arguments = ("register", "(01)06901234567892(21)TWICE", "--scheme", "gs1", "--key", town.key("acme"))
    town.ok(*arguments)
    again = town.run(*arguments, "--holder", town.dids["buyer"], "--json")
    assert (again.code, again.json["error"]) == (1, "already_registered")


def test_a_file_with_bad_rows_is_registered_resumed_and_its_rejects_mended(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    rows = [["料号", "serial", "model"]] + [["", f"I{n}", f"PS-{n % 3}"] for n in range(1500)]
    rows[7][1] = ""  # no serial: fills no template
    rows[1200][1] = "I1"  # registered before it in this very file
    rows.insert(900, ["one cell"])
    with path.open("w", encoding="gb18030", newline="") as stream:
        csv.writer(stream).writerows(rows)
    options = (
        "--from", path, "--key", town.key("acme"), "--encoding", "gb18030", "--map", "料号=",
        "--map", "model=product/model", "--identifier", "vaa:88.118.8/{serial}",
    )  # fmt: skip
    dry = town.run("register", *options, "--dry-run", "--json")
    assert (dry.code, dry.json["accepted"], dry.json["rejected"]) == (5, 1499, 2)
    assert not Path(f"{path}.tial-state").exists()
    first = town.run("register", *options, "--json")
    told = first.json
    assert (first.code, told["rows"], told["accepted"]) == (5, 1501, 1498)
    assert told["reasons"] == {"malformed": 2, "already_registered": 1}
    with Path(told["rejected_file"]).open(encoding="gb18030", newline="") as stream:
        rejected = list(csv.DictReader(stream))
    assert {row["rejected_row"] for row in rejected} == {"7", "900", "1201"}
    rejected.sort(key=lambda row: int(row["rejected_row"]))
    assert all(row["rejected_detail"] for row in rejected)
    assert town.run("register", *options).code == 2
    resumed = town.run("register", *options, "--resume", "--json")
    assert (resumed.code, resumed.json["accepted"], resumed.json["accepted_earlier"]) == (5, 0, 1498)
    document = town.ok("show", "vaa:88.118.8/I5")["record"]["digest"]
    assert len(document) == 64
    mended = tmp_path / "mended.csv"
    with mended.open("w", encoding="gb18030", newline="") as stream:
        writer = csv.DictWriter(stream, rejected[0])
        writer.writeheader()
        writer.writerow(rejected[0] | {"serial": "M7"})
    again = town.ok("register", "--from", mended, *options[2:])
    assert (again["accepted"], again["rejected"]) == (1, 0)


def test_rows_whose_answers_were_lost_count_as_accepted_when_resumed(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "lost.jsonl"
    path.write_text("".join(json.dumps({"identifier": f"vaa:88.118.8/L{n}", "n": n}) + "\n" for n in range(20)))
    options = ("register", "--from", path, "--key", town.key("acme"), "--grade", "none")
    assert town.ok(*options)["accepted"] == 20
    state = Path(f"{path}.tial-state")
    kept = state.read_text().splitlines(keepends=True)
    state.write_text("".join(kept[:11]) + "12\t")  # cut off inside a line, as a crash leaves it
    time.sleep(1.1)  # signed again at another second, so that they are other acts about the same
    resumed = town.ok(*options, "--resume")
    assert (resumed["accepted"], resumed["accepted_earlier"], resumed["rejected"]) == (10, 10, 0)
    path.write_text(path.read_text() + '{"identifier": "vaa:88.118.8/L99"}\n')
    changed = town.run(*options, "--resume", "--json")
    assert (changed.code, changed.json["error"]) == (2, "usage")


def test_what_the_help_shows_works(town: Town, tmp_path: Path) -> None:
    """The help's example of --identifier, and two delegations one after the other without a word about dates."""
    party = town.key("acme")
    town.ok("delegate", "gs1/69012349", town.dids["buyer"], "--key", party)
    goods = tmp_path / "goods.csv"
    goods.write_text("GTIN,Serial\n06901234000023,S1\n06901234000024,S2\n")
    template = "gs1:(01){GTIN}(21){Serial}"
    ran = town.run("register", "--from", goods, "--key", party, "--identifier", template, "--dry-run", "--json")
    assert ran.json["reasons"] == {"malformed-identifier": 1}, "the second check digit is wrong, the first is not"
    assert not Path(f"{goods}.tial-state").exists()


def test_certificates_are_issued_suspended_and_cannot_leave_the_scope(town: Town, tmp_path: Path) -> None:
    items = tmp_path / "certified.csv"
    items.write_text("identifier\n" + "".join(f"vaa:88.118.8/C{n}\n" for n in range(10)))
    town.ok("register", "--from", items, "--key", town.key("acme"))
    certificates = tmp_path / "certificates.csv"
    lines = [f"vaa:88.118.8/C{n},{'car' if n == 3 else 'power-supply'},12,{n}" for n in range(10)]
    certificates.write_text("identifier,class,months,leakage_uA\n" + "\n".join(lines) + "\n")
    fixed = ("--site", "S1", "--standard", "GB 4943.1", "--template", "product-safety/1")
    ran = town.run("certify", "--from", certificates, "--key", town.key("certifier"), *fixed, "--json")
    assert (ran.code, ran.json["accepted"], ran.json["reasons"]) == (5, 9, {"out_of_scope": 1})
    one = town.ok("certify", "vaa:88.118.8/C3", "--key", town.key("certifier"), *POWER)
    town.ok("status", one["subject"], "suspended", "--reason", "recall", "--key", town.key("certifier"))
    assert town.ok("show", one["subject"])["state"] == "suspended"
    holder = town.run("status", one["subject"], "active", "--reason", "wish", "--key", town.key("acme"), "--json")
    assert (holder.code, holder.json["error"]) == (1, "role_not_allowed")


def test_an_identifier_passes_on_with_both_keys_or_by_way_of_a_file(town: Town, tmp_path: Path) -> None:
    for name in ("T1", "T2"):
        town.ok("register", f"vaa:88.118.8/{name}", "--key", town.key("acme"))
    town.ok("transfer", "vaa:88.118.8/T1", "--key", town.key("acme"), "--to-key", town.key("buyer"))
    assert town.ok("show", "vaa:88.118.8/T1")["record"]["holder"] == town.dids["buyer"]
    act = tmp_path / "t2.act"
    town.ok("transfer", "vaa:88.118.8/T2", "--key", town.key("acme"), "--to", town.dids["buyer"], "--draft", act)
    early = town.run("transfer", "--submit", act, "--key", town.key("acme"), "--json")
    assert early.code == 1
    agreed = town.ok("consent", "sign", act, "--key", town.key("buyer"))
    assert agreed["consents"] == [town.dids["buyer"]]
    assert town.ok("consent", "show", act)["claims"]["holder"] == town.dids["buyer"]
    wrong = town.run("consent", "submit", act, "--key", town.key("buyer"), "--json")
    assert (wrong.code, wrong.json["error"]) == (1, "malformed")
    town.ok("transfer", "--submit", act, "--key", town.key("acme"))
    assert town.ok("show", "vaa:88.118.8/T2")["record"]["holder"] == town.dids["buyer"]
    act.write_bytes(act.read_bytes()[:-1])
    assert town.run("consent", "show", act).code == 1


def test_the_root_delegates_by_way_of_a_file(town: Town, tmp_path: Path) -> None:
    act = tmp_path / "delegation.act"
    town.ok("delegate", "vaa/88.200", town.dids["acme"], "--root", town.key("root-1"), "--draft", act)
    town.ok("consent", "sign", act, "--key", town.key("root-3"))
    town.ok("consent", "submit", act, "--key", town.key("root-1"))
    below = town.ok("delegate", "vaa/88.200.5", town.dids["buyer"], "--key", town.key("acme"), "--days", 30)
    assert below["subject"] == "delegation:vaa/88.200.5"
    revoked = town.ok(
        "status", "delegation:vaa/88.200.5", "revoked", "--reason", "sold", "--key", town.key("acme")
    )  # fmt: skip
    assert revoked["type"] == "status"


def test_keys_rotate_and_a_template_is_withdrawn(town: Town) -> None:
    town.ok("key", "new", town.key("next"), "--suite", "es256")
    made = town.ok("actor", "rotate", "--key", town.key("buyer"), "--add", town.key("next"))
    assert made["type"] == "rotation"
    pending = town.run("actor", "rotate", "--key", town.key("buyer"), "--add", town.key("next"), "--json")
    assert pending.json["error"] == "rotation_pending"
    town.ok("key", "new", town.key("rescue"))
    rescue = ("--of", town.dids["acme"], "--add", town.key("rescue"), "--root", town.key("root-2"), "--json")
    refused = town.run("actor", "rotate", "--key", town.key("root-1"), *rescue)
    assert refused.json["error"] == "wrong_signer"  # it has a key in force: only its own signature changes its keys
    assert refused.json["remedy"]
    arguments = ("--name", "Old", "--industry", "c39", "--schema", town.folder / "schema.json")
    scope = ("--map", "class=/class", "--standard", "*", "--class", "*", "--key", town.key("authority"))
    town.ok("template", "add", "old/1", *arguments, *scope)
    town.ok("template", "withdraw", "old/1", "--key", town.key("authority"))
    assert town.ok("show", "template:old/1")["state"] == "withdrawn"


def test_the_folder_is_checked_and_the_index_rebuilt_only_while_the_node_rests(town: Town) -> None:
    busy = town.run("log", "fsck", "--json")
    assert (busy.code, busy.json["error"]) == (3, "refused-start")
    assert town.run("index", "rebuild").code == 3


def test_a_genesis_is_agreed_to_elsewhere(tmp_path: Path) -> None:

    os.environ["TIAL_PASSPHRASE"] = "of the members"
    try:
        members = []
        for name in ("a", "b"):
            made = tial("key", "new", tmp_path / f"{name}.key", "--json")
            members += ["--member", made.json["did"]]
        folder = tmp_path / "node"
        drafted = tial("init", "--origin", "two.example.org", "--folder", folder, *members, "--json")
        assert drafted.code == 0, drafted
        act = folder / "genesis.act"
        early = tial("init", "--genesis", act, "--folder", folder, "--json")
        assert early.code == 1
        for name in ("a", "b"):
            assert tial("consent", "sign", act, "--key", tmp_path / f"{name}.key").code == 0
        done = tial("init", "--genesis", act, "--folder", folder, "--json")
        assert done.code == 0, done
        assert tial("log", "fsck", "--config", folder / "tial.toml", "--json").json["entries"] == 1
        assert tial("index", "rebuild", "--config", folder / "tial.toml", "--json").json["entries"] == 1
    finally:
        del os.environ["TIAL_PASSPHRASE"]
