"""The configuration of a chain says by name which of its keys do not fit each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.config import ConfigError, load_config

COMET = 'kind = "cometbft"\nurl = "http://a http://b"\ncomet = "http://c http://d"\n'


def load(tmp_path: Path, lines: str) -> object:
    path = tmp_path / "tial.toml"
    path.write_text(f"[chain]\n{lines}")
    return load_config(path, {}).chain


def test_a_bft_network_has_two_addresses_a_node(tmp_path: Path) -> None:
    chain = load(tmp_path, COMET)
    assert (chain.kind, chain.trust, chain.still) == ("cometbft", "chain-trust.json", 60.0)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        ('kind = "another"', "chain.kind"),
        ('comet = "http://c"', "chain.comet"),
        ('kind = "cometbft"\nurl = "http://a http://b"\ncomet = "http://c"', "chain.comet"),
        ('kind = "cometbft"\nurl = "http://a"', "chain.comet"),
        (COMET + 'finality = "depth:3"', "chain.finality"),
        (COMET + "still = 0.5", "chain.still"),
    ],
)
def test_keys_that_do_not_fit_are_refused_by_name(lines: str, where: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, lines)
    assert error.value.where == where
