"""`tial chain deploy`: the contract on a chain that somebody else runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from devnet.embedded.chain import EmbeddedChain
from ledger.crypto import keyfile, secp256k1
from tests.cli.conftest import tial
from tests.running import running


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedChain]:
    """A chain of somebody else's: it lies in no folder of ours."""
    try:
        find_anvil()
    except AnvilNotFoundError as error:
        pytest.skip(str(error))
    chain = EmbeddedChain(tmp_path_factory.mktemp("foreign"))
    chain.start()
    yield chain
    chain.stop()


class Site:
    """A log's folder, with the key of the contract's admin."""

    def __init__(self, folder: Path, chain: EmbeddedChain, name: str) -> None:
        self.folder = folder
        made = tial("init", "--origin", f"{name}.example.org", "--folder", folder, "--port", 0, "--json")
        assert made.code == 0, made
        self.config = ("--config", folder / "tial.toml", "--json")
        self.admin = folder / "keys/admin.key"
        keyfile.save(self.admin, chain.key("admin").signer, (folder / "keys/passphrase").read_text().strip())
        sender = keyfile.describe(folder / "keys/anchor-sender.key").public_key
        chain.fund(secp256k1.address(sender))

    def deploy(self, chain: EmbeddedChain, *more: object):
        return tial("chain", "deploy", chain.url, "--key", self.admin, *more, *self.config)


def test_a_log_is_taken_to_a_running_chain_and_anchors_there(tmp_path: Path, chain: EmbeddedChain):
    first, second = Site(tmp_path / "a", chain, "a"), Site(tmp_path / "b", chain, "b")
    found = first.deploy(chain, "--finality", "depth:1")
    assert found.code == 0, found
    assert first.deploy(chain).json["contract"] == found.json["contract"]
    joined = second.deploy(chain, "--contract", found.json["contract"].lower())
    assert joined.json["contract"] == found.json["contract"]
    with running(second.folder / "tial.toml") as node:
        anchored = tial("anchor", "now", *second.config, "--url", node.url)
        assert anchored.code == 0, anchored


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        (("--contract", "0x" + "11" * 20), "not the anchor contract"),
        (("--contract", "here"), "40 hex digits"),
        (("--finality", "soon"), "finality"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(
    tmp_path: Path, chain: EmbeddedChain, more: tuple[str, str], wrong: str
):
    site = Site(tmp_path / "c", chain, "c")
    before = chain.status().block
    refused = site.deploy(chain, *more)
    assert refused.code != 0
    assert wrong in refused.out
    assert chain.status().block == before
    assert "contract" not in (site.folder / "tial.toml").read_text().partition("[chain]")[2]


def test_a_key_without_the_contracts_roles_is_told_so_and_the_contract_is_not_remembered(
    tmp_path: Path, chain: EmbeddedChain
):
    first, second = Site(tmp_path / "e", chain, "e"), Site(tmp_path / "f", chain, "f")
    contract = first.deploy(chain).json["contract"]
    sender = second.folder / "keys/anchor-sender.key"
    given = ("chain", "deploy", chain.url, "--contract", contract, *second.config, "--key")
    refused = tial(*given, sender)
    assert (refused.code, refused.json["error"]) == (1, "no-role")
    assert "does not have the contract's" in refused.json["detail"]
    assert not (second.folder / "deployment.json").exists()
    refused = tial(*given, second.folder / "keys/root-1.key")
    assert refused.code == 1, "3 would say that the node refuses to start"
    assert "secp256k1" in refused.json["detail"]


def test_a_record_of_another_chain_is_not_overwritten(tmp_path: Path, chain: EmbeddedChain):
    site = Site(tmp_path / "d", chain, "d")
    assert site.deploy(chain).code == 0
    other = EmbeddedChain(tmp_path / "other", chain_id=31_777)
    other.key("admin")
    other.start()
    try:
        refused = site.deploy(other)
    finally:
        other.stop()
    assert refused.code != 0
    assert "31990" in refused.out
