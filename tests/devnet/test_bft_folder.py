"""What is known of a BFT network that does not run: what a node last said, ports, keys, peers, the missing program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devnet.bft.genesis import consortium_artifact, make_genesis
from devnet.bft.health import START_MARK, consensus_failure, observe, shortened
from devnet.bft.network import BftNetwork
from devnet.bft.program import BftChainNotFoundError, find_program
from devnet.bft.supervisor import peer_options
from devnet.keys import development_key
from devnet.processes import LOW_PORTS, bound_log, last_words, low_ports
from ledger.errors import KeyFileError, LedgerError, MalformedError
from tests.bft_world import described


def test_a_folder_without_a_network_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="no network was made") as refusal:
        BftNetwork(tmp_path).status()
    assert "--bft" in refusal.value.remedy


def test_the_last_words_are_those_of_the_newest_process(tmp_path: Path) -> None:
    log = tmp_path / "process.log"
    assert shortened(log) == consensus_failure(log) == last_words(log) == ""
    failure = 'ERR CONSENSUS FAILURE!!! err="wrong Block.Header.AppHash"'
    log.write_bytes(START_MARK + f"\x1b[31m{failure}\x1b[0m stack\nmore\n".encode())
    assert consensus_failure(log) == f"{failure} stack"
    assert shortened(log) == "more"
    log.write_bytes(log.read_bytes() + START_MARK + b"all is well\n" + b"x" * 1_000 + b"\n\xff\n")
    assert consensus_failure(log) == ""
    assert shortened(log) == "\ufffd"


def test_a_log_that_grew_too_long_is_begun_again_and_kept_once(tmp_path: Path) -> None:
    log = tmp_path / "process.log"
    bound_log(log, 10)
    log.write_bytes(b"0123456789")
    bound_log(log, 10)
    assert log.stat().st_size == 10
    with log.open("ab") as stream:
        stream.write(b"x")
        stream.flush()
        bound_log(log, 10)
        stream.write(b"later")
    assert log.read_bytes() == b"later"
    assert (tmp_path / "process.log.1").read_bytes() == b"0123456789x"


def test_a_network_whose_processes_do_not_live_is_stopped(tmp_path: Path) -> None:
    network = described()
    for node in network.nodes:
        (tmp_path / node.name).mkdir()
    (tmp_path / "node1" / "killed").touch()
    health = observe(tmp_path, network, None)
    assert (health.state, health.height, health.validators) == ("stopped", 0, ())
    assert [node.state for node in health.nodes] == ["stopped", "killed", "stopped", "stopped"]
    health = observe(tmp_path, network, {"node2": {"restarts": 3, "error": "wrong chain id"}})
    assert [(node.state, node.error, node.restarts) for node in health.nodes][2] == ("failed", "wrong chain id", 3)


def test_ports_are_different_and_below_those_for_outgoing_connections() -> None:
    ports = low_ports(64)
    assert len(set(ports)) == 64
    assert all(port in LOW_PORTS for port in ports)


def test_a_key_that_the_folder_lacks_is_not_made_anew(tmp_path: Path) -> None:
    network = BftNetwork(tmp_path)
    assert network.administrators() == []
    with pytest.raises(KeyFileError, match="deployer"):
        network.deployer()
    assert not (tmp_path / "keys").exists()
    made = development_key(tmp_path / "keys", "deployer")
    assert network.deployer() == made


def test_a_missing_program_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIAL_BFT_CHAIN", str(tmp_path / "none"))
    with pytest.raises(BftChainNotFoundError, match="TIAL_BFT_CHAIN") as refusal:
        find_program()
    assert "scripts/build-bft-chain" in refusal.value.remedy
    with pytest.raises(BftChainNotFoundError):
        BftNetwork(tmp_path / "network").create()
    assert not (tmp_path / "network").exists()
    assert json.loads(consortium_artifact().read_bytes())["contractName"] == "Consortium"


@pytest.mark.parametrize("program", ["/bin/true", "/bin/echo", "/bin/false"])
def test_another_program_makes_no_genesis(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setenv("TIAL_BFT_CHAIN", program)
    with pytest.raises(LedgerError, match=r"no genesis|failed and said: nothing"):
        make_genesis(described(), administrators=[], threshold=1, rights={})


def test_a_node_is_told_of_all_others_and_not_of_itself() -> None:
    network = described()
    persistent, allowed = peer_options(network, network.nodes[1])
    others = [network.nodes[n] for n in (0, 2, 3)]
    assert persistent == "--p2p.persistent_peers=" + ",".join(f"{n.node_id}@127.0.0.1:{n.p2p}" for n in others)
    assert allowed == "--p2p.unconditional_peer_ids=" + ",".join(n.node_id for n in others)
    alone = described(1)
    assert peer_options(alone, alone.nodes[0]) == ["--p2p.persistent_peers=", "--p2p.unconditional_peer_ids="]
