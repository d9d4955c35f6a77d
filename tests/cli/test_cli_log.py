"""The log's own life by commands: new keys, backups, an end, and a log that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from api.answers import check_acknowledgement, check_inclusion
from api.cli.folder import LogCard, set_chain
from api.client import Client
from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from devnet.embedded.chain import EmbeddedChain
from ledger.crypto import keyfile, secp256k1
from ledger.log.checkpoint import open_checkpoint
from ledger.log.notes import Vkey
from ledger.log.tree import leaf_hash
from ledger.statements import decode_statement
from ledger.store.tiles import TileReader
from node.chain.evm import EvmChain
from node.chain.protocol import Finality
from node.chain.rpc import JsonRpc
from node.config import load_config
from tests.cli.conftest import Town, tial
from tests.running import running

QUICK = {"TIAL_LOG_INTERVAL": "0.2", "TIAL_HTTP_RATE": "0"}


def made(folder: Path, *arguments: object) -> Town:
    town = Town(folder)
    ran = tial("init", "--origin", f"{folder.name}.example.org", "--folder", folder, "--port", 0, *arguments, "--json")
    assert ran.code == 0, ran
    town.card = ran.json
    return town


def restarted(town: Town) -> Any:
    return running(town.config, environment=QUICK)


def register(town: Town, name: str) -> dict[str, Any]:
    document = town.folder / f"{name}.json"
    document.write_text(f'{{"name": "{name}"}}')
    return town.ok("register", f"vaa:88.118.8/{name}", "--key", town.key("acme"), "--document", document)


def settled(town: Town) -> None:
    town.ok("delegate", "vaa/88.118.8", town.party("acme", "registrar"), *town.roots())


def test_the_keys_of_a_log_change_by_commands_and_old_checkpoints_still_verify(tmp_path: Path) -> None:
    town = made(tmp_path / "node")
    with restarted(town) as town.node:
        settled(town)
        with Client(town.node.url) as client:
            old = client.checkpoint()
            before = client.inclusion(1)
        too_early = town.run("log", "rotate-keys", *town.roots())
        assert (too_early.code != 0, "next-keys" in too_early.err) == (True, True)
        new = town.ok("log", "next-keys")
        held = town.run("log", "rotate-keys", *town.roots())
        assert "does not hold the new keys" in held.err, "a node accepts only keys that it holds"
    with restarted(town) as town.node:
        draft = tmp_path / "change.act"  # by way of a file: roots consent, the operator submits
        town.ok("log", "rotate-keys", "--draft", draft)
        for n in (1, 2):
            town.ok("consent", "sign", draft, "--key", town.key(f"root-{n}"))
        index = town.ok("consent", "submit", draft, "--key", town.key("cose"))["index"]
        assert town.run("log", "rotate-keys", *town.roots()).code != 0, "nothing is left to change"
        placed = register(town, "B1")
        assert placed["index"] > index
        adopted = town.ok("log", "adopt-keys")
        assert {adopted["cose"], adopted["note"]} == {new["next_cose"], new["next_note"]}
    keys = load_config(town.config).keys
    assert (keys.cose, keys.next_cose, keys.next_note) == (new["next_cose"], "", "")
    with restarted(town) as town.node, Client(town.node.url) as client:
        info = client.log()
        assert info.vkey != town.card["vkey"]
        assert info.vkey == LogCard.load(town.folder).vkey
        assert [one["end"] for one in info.raw["keys"]["note"]] == [index + 1, None]
        open_checkpoint(old, Vkey.parse(info.vkey_for(before.size)))
        assert check_inclusion(info, client.entry(1), before).size == before.size
        receipt = client.submit(client.entry(index))
        assert receipt.duplicate
        assert receipt.run is not None
        check_acknowledgement(info, receipt.run, [receipt.leaf])
    assert tial("log", "fsck", "--deep", "--config", town.config, "--json").json["ok"]


def test_a_backup_and_a_restore_by_commands(tmp_path: Path) -> None:
    town = made(tmp_path / "node")
    with restarted(town) as town.node:
        settled(town)
        told = town.ok("backup", tmp_path / "backups")
        assert told["size"] >= 2
        assert town.run("backup").code == 2
    (town.folder / "data").rename(town.folder / "lost")
    served = town.folder / "lost" / "log"
    back = town.ok("restore", tmp_path / "backups", "--to", town.folder, "--mirror", served)
    assert back["log"] == town.card["log"]
    with restarted(town) as town.node:
        register(town, "B1")
    twice = tial("restore", tmp_path / "backups", "--to", town.folder)
    assert (twice.code != 0, "overwrites nothing" in twice.err) == (True, True)


@pytest.fixture
def chain(tmp_path: Path) -> Any:
    try:
        find_anvil()
    except AnvilNotFoundError as error:
        pytest.skip(str(error))
    found = EmbeddedChain(tmp_path / "first" / "chain")
    yield found
    found.stop()


def test_a_sealed_log_is_read_for_ever_and_names_its_successor(tmp_path: Path, chain: EmbeddedChain) -> None:
    first = made(tmp_path / "first")
    assert tial("chain", "up", "--config", first.config, "--json").code == 0
    config = load_config(first.config)
    admin = first.folder / "admin.key"
    keyfile.save(admin, chain.key("admin").signer, config.passphrase())
    with restarted(first) as first.node:
        settled(first)
        register(first, "A1")
        first.ok("anchor", "now")
        early = first.run("anchor", "seal", "--admin", admin)
        assert (early.code, "not sealed" in early.err) == (2, True), early
        second = made(tmp_path / "second", "--succeeds", first.folder)
        set_chain(second.config, {
            "url": chain.url, "chain_id": config.chain.chain_id, "contract": config.chain.contract,
        })  # fmt: skip
        chain.fund(secp256k1.address(keyfile.describe(second.key("anchor-sender")).public_key))
        own = (second.folder / "keys" / "passphrase").read_text()
        keyfile.save(second.folder / "admin.key", chain.key("admin").signer, own.rstrip("\n"))
        second.ok("anchor", "register", "--admin", second.folder / "admin.key")
        itself = first.run("log", "seal", "--successor", first.folder, *first.roots())
        assert "cannot follow itself" in itself.err
        sealed = first.ok("log", "seal", "--successor", second.folder, *first.roots())
        refused = first.run(
            "register", "vaa:88.118.8/A2", "--key", first.key("acme"), "--document", first.folder / "A1.json"
        )
        assert refused.code != 0
        assert second.card["log"] in refused.err, "the refusal names the successor"
        told = first.ok("anchor", "seal", "--admin", admin)
        assert told["size"] == sealed["index"] + 2, "the seal, its manifest, and nothing after"
        assert first.ok("anchor", "seal", "--admin", admin) == told, "again: nothing happens"
    rpc = JsonRpc(chain.url)
    head = EvmChain(
        rpc, chain_id=config.chain.chain_id, contract=config.chain.contract, finality=Finality.parse("included")
    ).head(bytes.fromhex(first.card["log"]))
    rpc.close()
    assert (head.sealed, head.sealed_size, head.root.hex()) == (True, told["size"], told["root"])
    with restarted(first) as first.node, restarted(second) as second.node:
        again = first.run(
            "register", "vaa:88.118.8/A3", "--key", first.key("acme"), "--document", first.folder / "A1.json"
        )
        assert second.card["log"] in again.err
        assert httpx.get(f"{first.node.url}/readyz", trust_env=False).status_code == 200, "reads go on"
        with Client(first.node.url) as client:
            info = client.log()
            assert (info.raw["successor"], info.size) == (second.card["log"], told["size"])
        with Client(second.node.url) as client:
            before = client.log().raw["predecessor"]
            genesis = decode_statement(client.entry(0))
            assert leaf_hash(genesis.raw).hex() == second.card["log"]
        assert second.ok("anchor", "now")["size"] >= 2
    assert before["log"] == first.card["log"]
    assert genesis.body["predecessor"]["root"].hex() == before["root"]
    walked = TileReader(first.folder / "data" / "log").root(before["size"])
    assert walked.hex() == before["root"], "the successor's genesis leads back into its predecessor"
    assert tial("log", "fsck", "--config", first.config, "--json").json["ok"]


def test_a_predecessor_can_be_named_by_its_figures_and_a_half_made_log_is_finished(tmp_path: Path) -> None:
    named = f"{'ab' * 32},17,{'cd' * 32}"
    town = made(tmp_path / "node", "--succeeds", named)
    genesis = (town.folder / "genesis.act").read_bytes()
    (town.folder / "data" / "instance").unlink()  # as a crash leaves it
    again = tial("init", "--origin", "node.example.org", "--folder", town.folder)
    assert (again.code, "begun here and not finished" in again.err) == (2, True)
    finished = tial("init", "--folder", town.folder, "--genesis", town.folder / "genesis.act", "--json")
    assert (finished.code, finished.json["log"]) == (0, town.card["log"])
    with restarted(town) as town.node, Client(town.node.url) as client:
        assert client.log().raw["predecessor"] == {"log": "ab" * 32, "size": 17, "root": "cd" * 32}
    other = tmp_path / "other"
    for wrong in ("x", f"{'ab' * 32},1,{'cd' * 32}", f"{'ab' * 31},17,{'cd' * 32}"):
        ran = tial("init", "--origin", "o.example.org", "--folder", other, "--succeeds", wrong)
        assert (ran.code, "predecessor" in ran.err) == (2, True)
    assert genesis
