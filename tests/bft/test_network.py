"""A real network of four validators: it goes on with one dead, halts with two, and comes back; its supervisor too."""

from __future__ import annotations

import base64
import hashlib
import re
import signal
import socket
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from devnet.bft.network import BftNetwork
from devnet.locks import is_held
from devnet.processes import send_signal
from devnet.rpc import call
from ledger.crypto import secp256k1
from ledger.errors import MalformedError, UnavailableError
from node.chain import transactions
from node.chain.deploy import Deployer
from tests.bft_world import (
    consortium_of,
    grow,
    heal,
    height,
    let_send,
    rpc_of,
    set_validators,
)
from tests.waiting import wait_until

DEAD = signal.SIGKILL
LISTENING = "0A"
Wrong = tuple[dict[str, Any], ...]


def validators_at(network: BftNetwork, block: int) -> dict[bytes, int]:
    found = call(network.comet_urls[0], "validators", str(block), "1", "100")["validators"]
    return {base64.b64decode(v["pub_key"]["value"]): int(v["voting_power"]) for v in found}


def test_four_validators_make_blocks_and_agree(network: BftNetwork) -> None:
    wait_until(lambda: {node.peers for node in network.status().nodes} == {3})
    health = network.status()
    assert health.state == "growing"
    assert [(node.state, node.peers, node.grows) for node in health.nodes] == [("growing", 3, True)] * 4
    assert [(v.node, v.power) for v in sorted(health.validators, key=lambda v: v.node)] == [
        (f"node{n}", 10) for n in range(4)
    ]
    block = grow(network, 2) - 1
    wait_until(lambda: min(height(network, index) for index in range(4)) > block)
    assert len({call(url, "header", str(block))["header"]["app_hash"] for url in network.comet_urls}) == 1
    chain_ids = {call(url, "eth_chainId") for url in network.eth_urls}
    assert chain_ids == {hex(network.description.evm_chain_id)}


def test_keys_are_private_and_nothing_listens_beyond_loopback(network: BftNetwork) -> None:
    secrets = [*network.folder.glob("keys/*.json"), *network.folder.glob("node*/config/*key.json")]
    assert len(secrets) >= 2 + 8
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    for node in network.description.nodes:
        for port in node.ports:
            with socket.socket() as probe:
                probe.settimeout(1)
                assert probe.connect_ex(("127.0.0.1", port)) == 0
            with socket.socket() as probe:
                probe.settimeout(1)
                assert probe.connect_ex(("127.0.0.2", port)) != 0


def listening(pid: int) -> set[int]:
    """Ports of the TCP sockets on which a process listens, at whatever address."""
    opened = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    tables = "".join(Path(f"/proc/{pid}/net/{table}").read_text() for table in ("tcp", "tcp6"))
    rows = (line.split() for line in tables.splitlines())
    return {
        int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == LISTENING and f"socket:[{row[9]}]" in opened
    }


def test_a_node_listens_on_its_four_ports_and_serves_three_namespaces(network: BftNetwork) -> None:
    for node, health in zip(network.description.nodes, network.status().nodes, strict=True):
        assert listening(health.pid) == set(node.ports)
        assert set(call(node.eth_url, "rpc_modules")) - {"rpc"} == {"eth", "net", "web3"}


def test_each_node_has_the_keys_and_the_name_that_its_home_says(network: BftNetwork) -> None:
    for node in network.description.nodes:
        told = call(node.comet_url, "status")
        assert (told["node_info"]["id"], told["node_info"]["moniker"]) == (node.node_id, node.name)
        assert base64.b64decode(told["validator_info"]["pub_key"]["value"]) == node.key
        assert told["validator_info"]["address"] == hashlib.sha256(node.key).hexdigest()[:40].upper()
        others = {other.node_id for other in network.description.nodes} - {node.node_id}
        assert {peer["node_info"]["id"] for peer in call(node.comet_url, "net_info")["peers"]} <= others


def test_one_dead_validator_stops_nobody(network: BftNetwork) -> None:
    network.kill(3)
    grow(network, 3)
    health = network.status()
    assert health.state == "growing"
    assert [node.state for node in health.nodes][3] == "killed"
    assert network.restart(3).height
    wait_until(lambda: network.status().nodes[3].state == "growing")


def test_two_dead_validators_halt_the_chain_and_one_back_lets_it_go_on(network: BftNetwork) -> None:
    network.kill(3)
    network.kill(2)
    grow_possible = height(network) + 1  # a block may have been decided already
    wait_until(lambda: network.status().state == "halted", 40)
    assert height(network) <= grow_possible
    health = network.status()
    assert [node.state for node in health.nodes] == ["halted", "halted", "killed", "killed"]
    assert not any(node.grows for node in health.nodes)
    assert all(node.pid for node in health.nodes[:2]), "the processes live, and that says nothing"
    network.restart(2)
    grow(network, 1, seconds=60)
    # The first block after a halt bears the time of votes from before it.
    wait_until(lambda: network.status().state == "growing")


def test_all_killed_at_once_come_back_to_the_same_chain(network: BftNetwork) -> None:
    block = height(network) - 1
    before = call(network.comet_urls[0], "header", str(block))["header"]
    for index in range(4):
        network.kill(index)
    assert network.status().state == "stopped"
    for index in range(4):
        network.restart(index)
    grow(network, 1, seconds=60)
    assert [call(url, "header", str(block))["header"] for url in network.comet_urls] == [before] * 4


def test_validators_follow_a_transaction_two_blocks_later(network: BftNetwork) -> None:
    nodes = network.description.nodes[:4]
    block = set_validators(network, {nodes[0]: 10, nodes[1]: 20, nodes[2]: 10})
    try:
        grow(network, 3)
        same = dict.fromkeys((node.key for node in nodes), 10)
        assert validators_at(network, block) == validators_at(network, block + 1) == same
        changed = {nodes[0].key: 10, nodes[1].key: 20, nodes[2].key: 10}
        assert validators_at(network, block + 2) == changed
        assert {(v.node, v.power) for v in network.status().validators} == {("node0", 10), ("node1", 20), ("node2", 10)}
        wait_until(lambda: network.status().nodes[3].state == "growing")  # it follows the chain all the same
    finally:
        block = set_validators(network, dict.fromkeys(nodes, 10))
        wait_until(lambda: height(network) > block + 2)
    assert validators_at(network, block + 2) == same


def test_a_stranger_s_transaction_is_never_in_a_block(network: BftNetwork) -> None:
    stranger = secp256k1.SUITE.generate()
    chain_id = network.description.evm_chain_id
    offer = transactions.Fees(0, None)
    target = "0x" + "11" * 20
    signed = transactions.sign(stranger, chain_id=chain_id, nonce=0, gas=21_000, offer=offer, to=target, data=b"")
    with rpc_of(network) as rpc:
        transactions.send(rpc, signed.raw)  # the node may take it: it asks for rights only afterwards
        grow(network, 3)
        found = rpc.call("eth_getTransactionByHash", "0x" + signed.hash.hex())
        assert found is None or found.get("blockNumber") is None
        assert transactions.next_nonce(rpc, stranger.address) == 0
    let_send(network, stranger.address)
    with rpc_of(network) as rpc:
        transactions.send(rpc, signed.raw)
        wait_until(lambda: transactions.next_nonce(rpc, stranger.address) == 1)


def test_who_may_send_may_not_create_a_contract(network: BftNetwork) -> None:
    account = secp256k1.SUITE.generate()
    let_send(network, account.address)
    offer = transactions.Fees(0, None)
    chain_id = network.description.evm_chain_id
    signed = transactions.sign(account, chain_id=chain_id, nonce=0, gas=100_000, offer=offer, to=None, data=b"\x00")
    with rpc_of(network) as rpc:
        transactions.send(rpc, signed.raw)
        grow(network, 3)
        assert transactions.next_nonce(rpc, account.address) == 0
        with consortium_of(network) as consortium:
            assert consortium.rights(account.address) == 1
            assert consortium.rights(network.deployer().address) == 3
    with rpc_of(network) as rpc, network.administration():
        assert Deployer(rpc, network.deployer().signer, gas_price=0).deploy().chain_id == chain_id


def test_a_node_of_another_evm_chain_id_refuses_to_start(network: BftNetwork) -> None:
    path = network.folder / "node3" / "config" / "app.toml"
    text = path.read_text()
    wrong = re.sub(r"(?m)^evm-chain-id\s*=\s*\S+", "evm-chain-id = 4711", text)
    assert wrong != text
    network.kill(3)
    path.write_text(wrong)
    try:
        with pytest.raises(UnavailableError):
            network.restart(3, timeout=4)
        failed = network.status().nodes[3]
        assert failed.state == "failed"
        assert "4711" in failed.error
        assert network.status().state == "growing"
    finally:
        network.kill(3)
        path.write_text(text)
    assert network.restart(3).height


def test_the_supervisor_starts_a_crashed_node_again(network: BftNetwork) -> None:
    before = network.status().nodes[1]
    send_signal(network.folder / before.name / "process.pid", DEAD)
    wait_until(lambda: network.status().nodes[1].pid not in {0, before.pid})
    wait_until(lambda: network.status().nodes[1].state == "growing")
    assert network.status().nodes[1].restarts == before.restarts + 1


def test_a_killed_supervisor_leaves_the_nodes_alone_and_the_next_takes_them_over(network: BftNetwork) -> None:
    lock = network.folder / "supervisor.pid"
    send_signal(lock, DEAD)
    wait_until(lambda: not is_held(lock))
    before = [node.pid for node in network.status().nodes]
    grow(network)
    with pytest.raises(UnavailableError, match="supervises"):
        network.restart(0)
    network.start()
    assert [node.pid for node in network.status().nodes] == before
    send_signal(network.folder / network.status().nodes[2].name / "process.pid", DEAD)
    wait_until(lambda: network.status().nodes[2].pid not in {0, before[2]})


def test_a_stopped_network_comes_up_where_it_was(network: BftNetwork) -> None:
    network.kill(1)
    before = height(network)
    network.stop()
    health = network.status()
    assert (health.state, {node.state for node in health.nodes}) == ("stopped", {"stopped"})
    network.start()
    assert grow(network) > before
    wait_until(lambda: network.status().nodes[1].state == "growing")  # a stop ends what kill asked for


def test_a_node_can_be_rolled_back_by_a_block_and_goes_on(network: BftNetwork, program: Path) -> None:
    network.stop()
    home = network.folder / "node2"
    run = subprocess.run([program, "rollback", "--home", home], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr[-1_000:]
    assert "Rolled back state to height" in run.stdout
    network.start()
    wait_until(lambda: network.status().nodes[2].state == "growing")
    grow(network, 2, index=2)


def test_a_port_in_use_is_refused_with_its_number(network: BftNetwork) -> None:
    network.stop()
    port = network.description.nodes[2].eth
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(UnavailableError, match=f"port {port} of node2 is in use"):
            network.start()
    assert network.status().state == "stopped"


def test_numbers_out_of_range_and_wrong_folders_are_refused(network: BftNetwork, tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="no node 99"):
        network.kill(99)
    with pytest.raises(MalformedError, match="not empty"):
        network.create()
    numbers: Wrong = (
        {"validators": 0},
        {"validators": 65},
        {"threshold": 2},
        {"administrators": 17},
        {"powers": [10] * 3},
    )
    pauses: Wrong = tuple({"block_time": text} for text in ("x", "", "-1s", "0s", "0.0ms", "25h", "1s\n"))
    for wrong in (*numbers, *pauses):
        with pytest.raises(MalformedError):
            BftNetwork(tmp_path / "new").create(**wrong)
    with pytest.raises(MalformedError, match="no network was made"):
        BftNetwork(tmp_path / "new").start()
    assert not (tmp_path / "new").exists()


def test_an_added_node_follows_the_chain_and_validates_once_it_has_power(program: Path, tmp_path: Path) -> None:
    network = BftNetwork(tmp_path / "two")
    network.create(validators=1, block_time="500ms")
    try:
        network.start()
        settings = network.folder / "node0" / "config" / "config.toml"
        stale = f'[p2p]\npersistent_peers = "{"ab" * 20}@127.0.0.1:1"\n'  # earlier programs wrote peers there
        edited = settings.read_text().replace("[p2p]\n", stale).replace("moniker", 'log_level = "debug"\nmoniker')
        settings.write_text(edited)
        (network.folder / "node1").mkdir()  # as a crash leaves it
        added = network.add_node()
        heal(network)
        assert settings.read_text() == edited
        assert (network.folder / "node1.unused-1").is_dir()
        assert (added.name, [node.peers for node in network.status().nodes]) == ("node1", [1, 1])
        nodes = network.description.nodes
        assert [v.node for v in network.status().validators] == ["node0"]
        block = set_validators(network, dict.fromkeys(nodes, 10))
        grow(network, 4)
        assert validators_at(network, block + 2) == dict.fromkeys((node.key for node in nodes), 10)
        network.stop()
        network.start()  # at once, with all that was added
        assert {node.state for node in network.status().nodes} == {"growing"}
    finally:
        network.stop()
