"""`tial chain`: the embedded chain comes up with the contract, and a node of the same folder anchors on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from tests.cli.conftest import tial
from tests.running import running


def test_a_chain_comes_up_takes_an_anchor_and_goes_down(tmp_path: Path) -> None:
    try:
        find_anvil()
    except AnvilNotFoundError as error:
        pytest.skip(str(error))
    folder = tmp_path / "node"
    config = ("--config", folder / "tial.toml", "--json")
    assert tial("init", "--origin", "c.example.org", "--folder", folder, "--port", 0, "--json").code == 0
    assert tial("chain", "status", *config).code == 4
    try:
        up = tial("chain", "up", *config)
        assert up.code == 0, up
        assert up.json["contract"].startswith("0x")
        assert tial("chain", "up", *config).json["contract"] == up.json["contract"]
        assert tial("chain", "status", *config).json["state"] == "running"
        with running(folder / "tial.toml") as node:
            anchored = tial("anchor", "now", *config, "--url", node.url)
            assert anchored.code == 0, anchored
            assert anchored.json["size"] >= 2
        log = json.loads((folder / "log.json").read_bytes())["log_id"]
        assert tial("chain", "prefix", *config).json == {"log": log, "prefixes": []}
        given = tial("chain", "prefix", "vaa/88.118.8", *config)
        assert given.json == {"prefix": "vaa/88.118.8", "log": log, "previous": ""}
        assert tial("chain", "prefix", "vaa/88.118", *config).code == 0
        assert tial("chain", "prefix", *config).json["prefixes"] == ["vaa/88.118", "vaa/88.118.8"]
        assert tial("chain", "prefix", "vaa/88.118", "--unmap", *config).json["previous"] == log
        assert tial("chain", "prefix", *config).json["prefixes"] == ["vaa/88.118.8"]
        assert tial("chain", "prefix", "vaa/88.118.", *config).code == 1
        assert tial("chain", "prefix", "--unmap", *config).code == 2
    finally:
        assert tial("chain", "down", *config).code == 0
    assert tial("chain", "status", *config).json["state"] == "stopped"


def test_a_bft_network_needs_its_program_and_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIAL_BFT_CHAIN", str(tmp_path / "none"))
    folder = tmp_path / "node"
    config = ("--config", folder / "tial.toml", "--json")
    assert tial("init", "--origin", "c.example.org", "--folder", folder, "--port", 0, "--json").code == 0
    missing = tial("chain", "up", "--bft", *config)
    assert (missing.code, missing.json["error"]) == (1, "bft-chain-not-found")
    assert "scripts/build-bft-chain" in missing.json["remedy"]
    assert not (folder / "network").exists()
    for command in (("up", "--bft", "--validators", 0), ("up", "--bft", "--threshold", -1)):
        assert tial("chain", *command, *config).code == 2
    assert tial("chain", "up", "--bft", "--administrators", 2, "--threshold", 3, *config).code == 1
    for command in (("kill", 0), ("restart", 0), ("status", "--network", tmp_path), ("add-node",)):
        assert "no network was made" in tial("chain", *command, *config).json["detail"]
    assert tial("chain", "validator", "list", *config).code == 2
    mistyped = tial("chain", "up", "--bft", "--network", tmp_path / "netwrok", *config)
    assert (mistyped.code, mistyped.json["where"]) == (2, "--network")
    assert not (tmp_path / "netwrok").exists()
