"""`tial chain`: the embedded chain comes up with the contract, and a node of the same folder anchors on it."""

from __future__ import annotations

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
    finally:
        assert tial("chain", "down", *config).code == 0
    assert tial("chain", "status", *config).json["state"] == "stopped"
