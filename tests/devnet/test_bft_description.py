"""network.json is read as it was written, by this program or an earlier one, and refused where it is no network."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devnet.bft.description import Description, Node, duration, read_description, write_description
from ledger.errors import MalformedError
from tests.bft_world import described

PORTS = st.lists(st.integers(1, 65_535), min_size=4, max_size=40, unique=True)
PAUSES = st.from_regex(r"([1-9][0-9]{0,3}(\.[0-9]{1,3})?(ms|s|m|h)){1,3}", fullmatch=True)


def written(folder: Path, content: object) -> Description:
    (folder / "network.json").write_text(json.dumps(content))
    return read_description(folder)


def told() -> dict[str, Any]:
    """A network as the file has it."""
    return {
        "format": "tial-bft-network-v1",
        "chain_id": "tial-bft-1",
        "evm_chain_id": 31_991,
        "consortium": "0x0000000000000000000000000000000000000C05",
        "block_time": "1s",
        "nodes": [
            {
                "name": f"node{n}", "home": f"node{n}", "node_id": f"{n:040x}", "key": f"{n:02x}" * 32, "power": 10,
                "p2p": 20_000 + 4 * n, "rpc": 20_001 + 4 * n, "eth": 20_002 + 4 * n, "ws": 20_003 + 4 * n,
            }
            for n in range(4)
        ],
    }  # fmt: skip


def test_a_description_is_read_whole(tmp_path: Path) -> None:
    network = written(tmp_path, told())
    assert network == described()
    assert network.block_seconds == 1.0
    assert network.node(2).eth_url == "http://127.0.0.1:20010"
    assert network.node(3).comet_url == "http://127.0.0.1:20013"
    with pytest.raises(MalformedError, match="no node 4"):
        network.node(4)


def test_a_description_is_written_in_the_same_form(tmp_path: Path) -> None:
    write_description(tmp_path, described())
    path = tmp_path / "network.json"
    assert json.loads(path.read_bytes()) == told()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["network.json"]


@given(ports=PORTS, pause=PAUSES, evm=st.integers(1, 1 << 53), name=st.text(max_size=50), data=st.data())
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, ports: list[int], pause: str, evm: int, name: str, data: st.DataObject
) -> None:
    nodes = []
    for index in range(len(ports) // 4):
        p2p, rpc, eth, ws = ports[4 * index : 4 * index + 4]
        node_id, key = data.draw(st.binary(min_size=20, max_size=20)), data.draw(st.binary(min_size=32, max_size=32))
        power = data.draw(st.integers(0, 1 << 40))
        nodes.append(Node(f"node{index}", node_id.hex(), p2p, rpc, eth, ws, key, power))
    network = Description(name, evm, "0x" + "0" * 40, pause, tuple(nodes))
    folder = tmp_path_factory.mktemp("network")
    write_description(folder, network)
    assert read_description(folder) == network


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
        lambda d: d["nodes"][1].update(rpc=65_536),
        lambda d: d["nodes"][1].update(key="00"),
        lambda d: d["nodes"][1].update(key="zz" * 32),
        lambda d: d["nodes"][1].update(node_id="ab" * 20 + ",cd"),
        lambda d: d["nodes"].append(None),
        lambda d: d["nodes"].pop(1),
    ],
)
def test_a_description_that_is_none_is_refused(tmp_path: Path, change: Any) -> None:
    document = told()
    change(document)
    with pytest.raises(MalformedError):
        written(tmp_path, document)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"format": 1}', b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_description_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "network.json").write_bytes(content)
    with pytest.raises(MalformedError):
        read_description(tmp_path)


def test_what_could_not_be_read_cannot_be_described() -> None:
    network = described()
    first, second = network.nodes[:2]
    with pytest.raises(ValueError, match="share a port"):
        replace(network, nodes=(first, replace(second, ws=first.p2p)))
    with pytest.raises(ValueError, match="up to node63"):
        described(65)
    with pytest.raises(ValueError, match="ports of node1"):
        replace(second, eth=0)
    with pytest.raises(ValueError, match="no duration"):
        replace(network, block_time="soon")
    assert len(described(64).nodes) == 64


@given(st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_durations_are_read_as_go_writes_them(minutes: int, seconds: int, milliseconds: int) -> None:
    assert duration(f"{minutes}m{seconds}s") == minutes * 60 + seconds
    assert duration(f"{milliseconds}ms") == pytest.approx(milliseconds / 1000)
    assert duration(f"{seconds}.{milliseconds:03}s") == pytest.approx(seconds + milliseconds / 1000)


@pytest.mark.parametrize("text", ["", "1", "s", "1s ", "-1s", "1d", "1.s", ".5s", "1e3s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        duration(text)
