"""Wrong input and absent nodes: one clear line, the right exit code, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from api.cli.context import dated
from ledger import __version__
from tests.cli.conftest import Town, tial

DOWN = "http://127.0.0.1:9"


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIAL_PASSPHRASE", "right")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "some.key"
    assert tial("key", "new", path).code == 0
    return path


def test_a_wrong_passphrase_is_told_in_one_line(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIAL_PASSPHRASE", "wrong")
    ran = tial("register", "vaa:88.118.8/X", "--key", key_file, "--url", DOWN)
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert "passphrase" in ran.err
    assert "key-file" in ran.err


def test_a_key_file_that_others_can_read_is_refused(key_file: Path) -> None:
    key_file.chmod(0o644)
    ran = tial("key", "show", key_file)
    assert ran.code == 1
    assert "chmod 600" in ran.err


def test_a_key_is_never_overwritten(key_file: Path) -> None:
    assert tial("key", "new", key_file).code == 2


def test_without_terminal_and_passphrase_the_remedy_is_named(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIAL_PASSPHRASE")
    ran = tial("register", "vaa:88.118.8/X", "--key", key_file, "--url", DOWN)
    assert ran.code == 1
    assert "TIAL_PASSPHRASE" in ran.err


def test_a_node_that_is_down_ends_with_4(key_file: Path) -> None:
    ran = tial("show", "vaa:88.118.8/X", "--url", DOWN, "--json")
    assert (ran.code, ran.json["error"]) == (4, "unavailable")
    assert tial("register", "vaa:88.118.8/X", "--key", key_file, "--url", DOWN).code == 4


def test_a_missing_or_wrong_configuration_ends_with_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = tial("serve", "--json")
    assert (ran.code, ran.json["error"]) == (2, "config")
    (tmp_path / "tial.toml").write_text("[http]\nhots = 1\n")
    assert "http.hots" in tial("log", "fsck").err


def test_wrong_options_end_with_2(key_file: Path) -> None:
    assert tial("register").code == 2
    assert tial("no-such-command").code == 2
    assert tial("register", "--key", key_file, "--url", DOWN).code == 2
    assert tial("status", "vaa:1/2", "gone", "--reason", "x", "--key", key_file).code == 2
    assert tial("delegate", "vaa/88", "did:key:x").code == 2
    assert tial("show", "x", "--url", "ftp://x").code == 1


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        (b"", (), "empty"),
        (b"a,a\n1,2\n", (), "'a' is there twice"),
        (b"a,\n1,2\n", (), "column 2 has no name"),
        (b"code,model\n1,2\n", (), "No column holds the identifier"),
        (b"code,model\n1,2\n", ("--map", "kode=identifier"), "no column 'kode'"),
        (b"identifier,\xe5\x9e\x8b\n1,2\n", (), "ASCII"),
        (b"identifier,\xff\n1,2\n", (), "--encoding"),
        (b"identifier,x\n1,2\n", ("--map", "nothing"), "maps nothing"),
    ],
)
def test_a_bad_header_names_file_and_remedy(
    town: Town, tmp_path: Path, content: bytes, options: tuple[str, ...], told: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    ran = town.run("register", "--from", path, "--key", town.key("acme"), *options)
    assert ran.code in {1, 2}
    assert told in ran.err, ran.err
    assert ran.err.count("\n") == 1


def test_a_file_that_breaks_off_inside_a_quote_is_told_with_its_line(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "quote.csv"
    path.write_text('identifier\nvaa:88.118.8/Q1\n"vaa:88.118.8/Q2\n')
    ran = town.run("register", "--from", path, "--key", town.key("acme"), "--dry-run")
    assert ran.code == 1
    assert "quote.csv" in ran.err


def test_bad_rows_of_json_lines_are_rejected_alone(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = ['{"identifier": "vaa:88.118.8/J1"}', "[]", "{", '{"identifier": "vaa:88.118.8/J2", "x": 1.5}', '{"x": 1}']
    path.write_text("\n".join(lines))
    ran = town.run("register", "--from", path, "--key", town.key("acme"), "--json")
    assert (ran.code, ran.json["accepted"], ran.json["rejected"]) == (5, 1, 4)
    assert path.with_name("rows.jsonl.rejected.csv").read_text().startswith("json,rejected_row")


def test_a_file_without_any_good_row_ends_with_1(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    path.write_text("identifier\nvaa:99.118.8/1\nnothing\n")
    ran = town.run("register", "--from", path, "--key", town.key("acme"), "--json")
    assert (ran.code, ran.json["rejected"]) == (1, 2)


def test_what_is_unknown_is_not_found(town: Town) -> None:
    ran = town.run("show", "vaa:88.118.8/NEVER", "--json")
    assert (ran.code, ran.json["error"]) == (1, "not-found")
    assert town.run("evidence", "get", 10**9, "-o", town.folder / "x").code == 1
    assert town.run("verify", 10**9).code == 1
    assert town.run("verify", "no-such-file.json").code == 2


def test_a_foreign_file_is_no_bundle(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"format": "other"}))
    ran = town.run("verify", path)
    assert ran.code == 1
    assert "tial evidence get" in ran.err


def test_anchoring_without_a_chain_says_so(town: Town) -> None:
    ran = town.run("anchor", "now", "--json")
    assert (ran.code, ran.json["error"]) == (1, "no-chain")


def test_what_would_steer_a_terminal_is_not_printed(town: Town) -> None:
    ran = town.run("show", "vaa:\x1b[31m")
    assert ran.code == 1
    assert "\x1b" not in ran.err


def test_the_version_is_told() -> None:
    ran = tial("--version")
    assert (ran.code, ran.out) == (0, f"tial {__version__}\n")


def test_people_read_dates_where_programs_read_seconds() -> None:
    told = {"since": 1_750_000_000, "count": 1_750_000_000, "keys": [{"nbf": 0, "kid": "00"}]}
    assert dated("", told) == {
        "since": "2025-06-15T15:06:40Z", "count": 1_750_000_000, "keys": [{"nbf": "1970-01-01T00:00:00Z", "kid": "00"}]
    }  # fmt: skip
