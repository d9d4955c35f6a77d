"""`tial chain` on a BFT network: two logs join it, validators, anchorers and prefixes change, a node anchors there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devnet.bft.network import BftNetwork
from devnet.keys import development_key
from ledger.crypto import secp256k1
from node.config import load_config
from tests.bft_world import grow, height
from tests.cli.conftest import Ran, tial
from tests.running import running
from tests.waiting import wait_until


class Member:
    """A log's folder whose commands act on the network."""

    def __init__(self, folder: Path, origin: str) -> None:
        self.folder = folder
        self.config = folder / "tial.toml"
        made = tial("init", "--origin", origin, "--folder", folder, "--port", 0, "--json")
        assert made.code == 0, made
        self.log: str = made.json["log"]

    def run(self, *arguments: object) -> Ran:
        return tial("chain", *arguments, "--config", self.config, "--json")

    def ok(self, *arguments: object) -> dict[str, Any]:
        ran = self.run(*arguments)
        assert ran.code == 0, ran
        return ran.json


@pytest.fixture(scope="module")
def member(network: BftNetwork, tmp_path_factory: pytest.TempPathFactory) -> Member:
    made = Member(tmp_path_factory.mktemp("member") / "first", "first.example.org")
    made.ok("up", "--bft", "--network", network.folder)
    return made


def test_a_log_joins_and_its_node_anchors(network: BftNetwork, member: Member) -> None:
    chain = load_config(member.config).chain
    assert (chain.kind, chain.chain_id, chain.fixed_gas_price) == ("cometbft", 31_991, 0)
    assert (chain.url.split(), chain.comet.split()) == (network.eth_urls, network.comet_urls)
    assert chain.consortium == network.description.consortium
    trust = json.loads((member.folder / chain.trust).read_bytes())
    assert (trust["format"], trust["chain_name"], trust["height"]) == ("tial-chain-trust-v1", "tial-bft-1", 1)
    assert {entry["key"] for entry in trust["validators"]} == {node.key.hex() for node in network.description.nodes[:4]}
    assert trust["time"] > 1_600_000_000
    with running(member.config) as node:
        anchored = tial("anchor", "now", "--config", member.config, "--url", node.url, "--json")
        assert anchored.code == 0, anchored
        assert anchored.json["size"] >= 2
    again = member.ok("up")  # without --bft: the configuration says which chain it is
    assert again["contract"] == chain.contract
    assert (load_config(member.config).chain, again["state"]) == (chain, "growing")


def test_a_second_log_joins_the_same_contract(network: BftNetwork, member: Member, tmp_path: Path) -> None:
    other = Member(tmp_path / "other", "other.example.org")
    told = other.ok("up", "--bft", "--network", network.folder)
    assert told["contract"] == load_config(member.config).chain.contract
    assert (other.folder / "network").resolve() == network.folder.resolve()
    assert len(other.ok("anchorer", "list")["anchorers"]) >= 2
    refused = other.run("up", "--bft", "--network", tmp_path / "third")
    assert (refused.code, refused.json["error"]) == (2, "usage")
    with running(member.config) as first, running(other.config) as second:
        for node, config in ((first, member.config), (second, other.config)):
            assert tial("anchor", "now", "--config", config, "--url", node.url, "--json").code == 0


def test_status_tells_of_every_node_and_ends_with_4_when_nothing_grows(network: BftNetwork, member: Member) -> None:
    told = member.ok("status")
    assert [node["state"] for node in told["nodes"]] == ["growing"] * 4
    assert {(v["node"], v["power"]) for v in told["validators"]} == {(f"node{n}", 10) for n in range(4)}
    assert member.ok("kill", 1) == {"killed": "node1"}
    assert [node["state"] for node in member.ok("status")["nodes"]][1] == "killed"
    assert member.ok("restart", 1)["name"] == "node1"
    assert member.run("kill", 4).code == 1
    assert member.run("restart", -1).code == 2
    network.stop()
    stopped = member.run("status")
    assert (stopped.code, stopped.json["state"]) == (4, "stopped")
    assert member.run("restart", 0).code == 4
    assert member.run("add-node").code == 4
    assert member.ok("up")["state"] == "growing"


def test_validators_are_weighed_removed_and_added_by_command(network: BftNetwork, member: Member) -> None:
    key = network.description.nodes[2].key.hex()
    told = member.ok("validator", "set", "node2", 7)
    assert told["executed"]
    wait_until(lambda: height(network) >= told["effective"])
    assert {(v.node, v.power) for v in network.status().validators} >= {("node2", 7), ("node0", 10)}
    assert member.ok("validator", "remove", key)["executed"]
    assert [row["node"] for row in member.ok("validator", "list")["validators"]] == ["node0", "node1", "node3"]
    assert member.run("validator", "remove", key).code == 2
    assert member.run("validator", "set", "node9", 1).code == 1
    assert member.run("validator", "set", key, 0).code == 2
    assert member.ok("validator", "set", key, 10)["executed"]
    assert member.ok("validator", "set", key, 10)["act"] == "", "nothing is sent where nothing changes"
    grow(network, 3)


def test_power_that_those_who_run_cannot_carry_is_refused_unless_it_may_halt(
    network: BftNetwork, member: Member, tmp_path: Path
) -> None:
    elsewhere = Member(tmp_path / "elsewhere", "elsewhere.example.org")
    elsewhere.ok("up", "--bft", "--network", network.folder)
    (elsewhere.folder / "network").unlink()  # it has the addresses in tial.toml alone, and a key
    key = ("--key", network.folder / "keys" / "admin-1.json")
    dead = network.description.nodes[3].key.hex()
    stranger = secp256k1.SUITE.generate().public_key[:32].hex()
    member.ok("kill", 3)
    grow(network, 4)
    for run in (
        member.run("validator", "set", "node3", 20),  # 30 of 50
        member.run("validator", "set", stranger, 6),  # 30 of 46
        member.run("validator", "remove", "node0"),  # 20 of 30
        elsewhere.run("validator", "set", dead, 20, *key),
        elsewhere.run("validator", "set", stranger, 6, *key),
        elsewhere.run("validator", "remove", network.description.nodes[0].key.hex(), *key),
    ):
        assert (run.code, run.json["error"]) == (1, "would-halt"), run
        assert dead in run.json["detail"]
        assert "--may-halt" in run.json["remedy"]
    assert elsewhere.ok("validator", "remove", dead, *key)["executed"], "30 of 30"
    assert member.ok("validator", "set", "node3", 14)["executed"], "30 of 44"
    halting = member.ok("validator", "set", "node3", 20, "--may-halt")
    assert halting["executed"]
    wait_until(lambda: network.status().state == "halted", 60)
    member.ok("restart", 3)
    wait_until(lambda: {node.state for node in network.status().nodes} == {"growing"}, 60)
    assert member.ok("validator", "set", "node3", 10)["executed"]


def test_an_anchorer_comes_and_goes(network: BftNetwork, member: Member) -> None:
    account = secp256k1.SUITE.generate().address
    assert member.ok("anchorer", "add", account)["executed"]
    assert {"address": account, "may_send": True} in member.ok("anchorer", "list")["anchorers"]
    assert member.ok("anchorer", "remove", account)["executed"]
    assert account not in [row["address"] for row in member.ok("anchorer", "list")["anchorers"]]
    assert member.run("anchorer", "add", "0x12").code == 1


def test_several_administrators_confirm_one_after_the_other(
    network: BftNetwork, member: Member, tmp_path: Path
) -> None:
    first = network.administrators()[0]
    second = development_key(tmp_path, "second")
    both = (first.address, second.address)
    mine, theirs = network.folder / "keys" / "admin-1.json", tmp_path / "second.json"
    account = secp256k1.SUITE.generate().address
    before = member.ok("anchorer", "list")["anchorers"]
    assert member.ok("admin", "set", *both, "--threshold", 2)["executed"]
    try:
        assert member.ok("admin", "list")["administrators"] == list(both)
        proposed = member.ok("anchorer", "add", account, "--key", mine)
        assert (proposed["executed"], proposed["missing"]) == (False, 1)
        assert member.ok("anchorer", "add", account, "--key", mine)["missing"] == 1, "each counts once"
        act = proposed["act"]
        assert member.run("admin", "withdraw", act, "--key", theirs).code == 1, "it has not confirmed"
        assert member.run("admin", "withdraw", act[:-2], "--key", mine).code == 2
        taken = member.ok("admin", "withdraw", act, "--key", mine)
        assert taken == {"act": act, "withdrawn": [first.address], "confirmations": 0}
        assert member.run("admin", "withdraw", act, "--key", mine).code == 1, "nothing is left to take back"
        assert member.ok("anchorer", "add", account, "--key", theirs)["missing"] == 1
        assert member.ok("anchorer", "list")["anchorers"] == before
        stranger = development_key(tmp_path, "stranger")
        refused = member.run("anchorer", "add", account, "--key", tmp_path / f"{stranger.name}.json")
        assert refused.code == 1
        assert member.ok("anchorer", "add", account, "--key", mine)["executed"]
        voided = member.run("admin", "withdraw", act, "--key", mine)
        assert (voided.code, "waits no more" in voided.json["detail"]) == (1, True), voided
    finally:
        back = member.ok("admin", "set", first.address, "--threshold", 1, "--key", mine, "--key", theirs)
        assert back["executed"]


def test_a_log_that_joins_with_too_few_keys_is_told_what_administrators_run(
    network: BftNetwork, member: Member, tmp_path: Path
) -> None:
    first, second = network.administrators()[0], development_key(tmp_path, "second")
    mine, theirs = network.folder / "keys" / "admin-1.json", tmp_path / "second.json"
    away = tmp_path / "away.json"
    other = Member(tmp_path / "joining", "joining.example.org")
    assert member.ok("admin", "set", first.address, second.address, "--threshold", 2)["executed"]
    try:
        mine.rename(away)
        for missing, place in (("2 more administrators", away), ("1 more administrator ", mine)):
            if place == mine:
                away.rename(mine)
            refused = other.run("up", "--bft", "--network", network.folder)
            assert refused.code == 1, refused
            assert missing in refused.json["detail"]
            account = refused.json["detail"].split()[0]
            assert f"tial chain anchorer add {account} --key FILE" in refused.json["remedy"]
            assert second.address in refused.json["remedy"]
        assert member.ok("anchorer", "add", account, "--key", theirs)["executed"]
        assert other.ok("up", "--bft", "--network", network.folder)["state"] == "growing"
    finally:
        if away.exists():
            away.rename(mine)
        assert member.ok("admin", "set", first.address, "--threshold", 1, "--key", mine, "--key", theirs)["executed"]


def test_a_prefix_is_given_to_the_log_and_taken_back(network: BftNetwork, member: Member) -> None:
    assert member.ok("prefix", "vaa/88.118.8") == {"prefix": "vaa/88.118.8", "log": member.log, "previous": ""}
    assert member.ok("prefix")["prefixes"] == ["vaa/88.118.8"]
    assert member.ok("prefix", "vaa/88.118.8", "--unmap")["previous"] == member.log
    assert member.ok("prefix")["prefixes"] == []
