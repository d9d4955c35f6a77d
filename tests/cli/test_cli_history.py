"""`tial history`: who said what when, proven, and what held at a time as known at another."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Ran, Town, tial

POWER = ("--class", "power-supply", "--site", "S1", "--standard", "GB 4943.1", "--template", "product-safety/1")


def listed(town: Town, subject: str, count: int, *more: object) -> dict[str, Any]:
    """The history once it holds `count` statements: it is as of the newest published checkpoint."""
    for _ in range(50):
        ran = town.run("history", subject, *more, "--json")
        timelines = ran.json.get("timelines", []) if ran.code == 0 else []
        if timelines and timelines[0]["count"] == count:
            return ran.json
        time.sleep(0.2)
    raise AssertionError(ran)


def settled(town: Town, subject: str, touches: int) -> dict[str, Any]:
    """The record after so many statements, once log time has gone on since the last; entries alone move it."""
    changed = 0
    for _ in range(30):
        shown = town.run("show", subject, "--json")
        if shown.code == 0 and shown.json["record"]["touches"] == touches:
            changed = changed or shown.json["log_time"]
            if shown.json["log_time"] > changed + 1:
                return shown.json
        time.sleep(1)
        town.ok("register", f"88.118.8/{time.time_ns()}", "--scheme", "vaa", "--key", town.key("acme"))
    raise AssertionError(shown)


@pytest.fixture(scope="module")
def revoked(town: Town) -> dict[str, Any]:
    """A certificate, suspended and then revoked from the moment of its issue."""
    town.ok("register", "88.118.8/HISTORY", "--scheme", "vaa", "--key", town.key("acme"))
    made = town.ok("certify", "vaa:88.118.8/HISTORY", "--key", town.key("certifier"), *POWER)
    issued = settled(town, made["subject"], 1)["record"]["since"]
    town.ok("status", made["subject"], "suspended", "--reason", "recall", "--key", town.key("certifier"))
    settled(town, made["subject"], 2)
    since = ("--effective", issued)
    town.ok("status", made["subject"], "revoked", "--reason", "fraud", "--key", town.key("certifier"), *since)
    return listed(town, made["subject"], 3) | {"issued": issued}


def test_the_whole_history_is_told_and_proven(town: Town, revoked: dict[str, Any]) -> None:
    assert (revoked["verdict"], revoked["claim"]) == ("valid", "history")
    entries = revoked["timelines"][0]["entries"]
    assert [(one["type"], one["state"]) for one in entries] == [
        ("certification", "active"), ("status", "suspended"), ("status", "revoked"),
    ]  # fmt: skip
    assert {one["iss"] for one in entries} == {town.dids["certifier"]}
    shown = town.run("history", revoked["subject"])
    assert shown.code == 0
    assert "3 statements" in shown.out
    assert f"VALID: the complete history of {revoked['subject']}" in shown.out
    assert "the operator alone" in shown.out  # no policy was given
    assert "fraud" in shown.out
    assert f"about {revoked['subject']}" in shown.out  # in the identifier's list


def test_one_line_says_what_held_and_who_knew(town: Town, revoked: dict[str, Any]) -> None:
    issued = revoked["issued"]
    last = revoked["timelines"][0]["entries"][-1]
    now = town.run("history", revoked["subject"], "--at", issued)
    assert "revoked since" in now.out
    assert f"entry {last['index']}, by {town.dids['certifier']}" in now.out
    told = town.ok("history", revoked["subject"], "--at", issued, "--known", last["log_time"] - 1)["as_of"]
    assert [one["state"] for one in told] == ["active", "live"]
    before = town.run("history", revoked["subject"], "--at", "2001-01-01")
    assert "it did not exist" in before.out
    assert before.code == 0


def test_the_file_answers_without_the_node(town: Town, revoked: dict[str, Any], tmp_path: Path) -> None:
    policy, file = tmp_path / "policy.toml", tmp_path / "whole.tial"
    town.ok("policy", "init", "--out", policy, "--trust-operator-state")
    told = town.ok("history", revoked["subject"], "--policy", policy, "--proof", file)
    assert told["file"] == str(file)

    def offline(path: Path, *more: object) -> Ran:
        return tial("history", path, "--policy", policy, "--url", "http://127.0.0.1:1", *more, "--json")

    again = offline(file, "--at", revoked["issued"])
    assert (again.code, again.json["timelines"]) == (0, told["timelines"])
    assert again.json["as_of"][0]["state"] == "revoked"
    altered = tmp_path / "altered.tial"
    altered.write_bytes(file.read_bytes()[:-40] + bytes(40))
    ran = offline(altered)
    assert (ran.code, ran.json["verdict"], ran.json["timelines"]) == (1, "invalid", [])
    # evidence of one statement is not the history
    single = tmp_path / "single.tial"
    town.ok("evidence", "get", revoked["subject"], "-o", single)
    ran = offline(single)
    assert (ran.code, ran.json["verdict"]) == (4, "cannot tell")


def test_of_what_never_was_there_the_absence_is_proven(town: Town) -> None:
    ran = town.run("history", "vaa:88.118.8/NEVER-HEARD-OF", "--at", "2026-01-01")
    assert ran.code == 0
    assert "VALID: absence" in ran.out
    assert "nothing was ever said" in ran.out


def test_an_identifier_may_be_written_in_any_spelling(town: Town) -> None:
    town.ok("register", "(01)06901234567892(21)HISTORY", "--scheme", "gs1", "--key", town.key("acme"))
    assert listed(town, "(01)06901234567892(21)HISTORY", 1)["subject"] == "gs1:01/06901234567892/21/HISTORY"


def test_wrong_options_are_refused(town: Town, tmp_path: Path) -> None:
    file = tmp_path / "x.tial"
    file.write_bytes(b"no bundle")
    assert town.run("history", file).code == 2
    assert town.run("history", "vaa:88.118.8/HISTORY", "--known", "2026-01-01").code == 2
    assert town.run("history", "vaa:88.118.8/HISTORY", "--at", "yesterday").code == 2
    assert town.run("history", "nonsense").code == 1
    assert town.run("history", "batch:1").code == 1
    bad = tmp_path / "bad.toml"
    bad.write_bytes(b"\xff")
    assert town.run("history", "vaa:88.118.8/HISTORY", "--policy", bad).code == 1
