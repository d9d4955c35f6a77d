"""What is read of a BFT network without running one: its description, what a node last said, the missing program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devnet.bft.description import Description, duration, read_description
from devnet.bft.health import START_MARK, consensus_failure, observe, shortened
from devnet.bft.network import BftNetwork
from devnet.bft.program import BftChainNotFoundError, consortium_artifact, find_program
from devnet.keys import development_key
from devnet.processes import LOW_PORTS, bound_log, last_words, low_ports
from ledger.errors import KeyFileError, MalformedError


def told(nodes: int = 4) -> dict[str, Any]:
    return {
        "format": "tial-bft-network-v1",
        "chain_id": "tial-bft-1",
        "evm_chain_id": 31_991,
        "consortium": "0x0000000000000000000000000000000000000C05",
        "block_time": "1s",
        "nodes": [
            {
                "name": f"node{n}", "home": f"node{n}", "node_id": "ab" * 20, "key": f"{n:02x}" * 32, "power": 10,
                "p2p": 20_000 + 4 * n, "rpc": 20_001 + 4 * n, "eth": 20_002 + 4 * n, "ws": 20_003 + 4 * n,
            }
            for n in range(nodes)
        ],
    }  # fmt: skip


def described(folder: Path, content: object) -> Description:
    (folder / "network.json").write_text(json.dumps(content))
    return read_description(folder)


def test_a_description_is_read_whole(tmp_path: Path) -> None:
    network = described(tmp_path, told())
    assert (network.chain_name, network.evm_chain_id, network.block_time) == ("tial-bft-1", 31_991, 1.0)
    assert network.node(2).eth_url == "http://127.0.0.1:20010"
    assert network.node(3).comet_url == "http://127.0.0.1:20013"
    with pytest.raises(MalformedError, match="no node 4"):
        network.node(4)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("format"),
        lambda d: d.update(format="other"),
        lambda d: d.update(nodes=[]),
        lambda d: d.update(nodes={}),
        lambda d: d.update(block_time="soon"),
        lambda d: d.update(block_time=1),
        lambda d: d["nodes"][1].update(home="../elsewhere"),
        lambda d: d["nodes"][1].update(name="../x", home="../x"),
        lambda d: d["nodes"][1].update(name="node0", home="node0"),
        lambda d: d["nodes"][1].update(rpc=20_000),
        lambda d: d["nodes"][1].update(rpc=0),
        lambda d: d["nodes"][1].update(key="00"),
        lambda d: d["nodes"].append(None),
    ],
)
def test_a_description_that_is_none_is_refused(tmp_path: Path, change: Any) -> None:
    document = told()
    change(document)
    with pytest.raises(MalformedError):
        described(tmp_path, document)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"format": 1}', b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_description_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "network.json").write_bytes(content)
    with pytest.raises(MalformedError):
        read_description(tmp_path)


def test_a_folder_without_a_network_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="no network was made") as refusal:
        BftNetwork(tmp_path).status()
    assert "--bft" in refusal.value.remedy


@given(st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_durations_are_read_as_go_writes_them(minutes: int, seconds: int, milliseconds: int) -> None:
    assert duration(f"{minutes}m{seconds}s") == minutes * 60 + seconds
    assert duration(f"{milliseconds}ms") == pytest.approx(milliseconds / 1000)
    assert duration(f"{seconds}.{milliseconds:03}s") == pytest.approx(seconds + milliseconds / 1000)


@pytest.mark.parametrize("text", ["", "1", "s", "1s ", "-1s", "1d", "1.s", ".5s", "1e3s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        duration(text)


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
    network = described(tmp_path, told())
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
