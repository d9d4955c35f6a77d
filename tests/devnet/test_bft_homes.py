"""A new home holds keys and settings in the forms of CometBFT, for its owner only, and is there whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from devnet.bft.description import Description, Node
from devnet.bft.homes import NodeKeys, make_home, new_keys
from ledger.crypto import ed25519
from ledger.store.durable import StorageError
from tests.bft_world import described

GENESIS = b'{"chain_id": "tial-bft-1"}\n'
FILES = {
    "config/app.toml",
    "config/config.toml",
    "config/genesis.json",
    "config/node_key.json",
    "config/priv_validator_key.json",
    "data/priv_validator_state.json",
}


def made(folder: Path) -> tuple[Path, Description, Node, NodeKeys]:
    """The home of the second of four nodes."""
    keys = new_keys()
    network = replace(described(), block_time="500ms")
    node = replace(network.nodes[1], node_id=keys.node_id, key=keys.validator.public_key)
    make_home(folder, network, node, keys, GENESIS)
    return folder / "node1", network, node, keys


def test_a_home_is_for_its_owner_only(tmp_path: Path) -> None:
    home, *_ = made(tmp_path)
    files = {str(path.relative_to(home)): path for path in home.rglob("*") if path.is_file()}
    assert set(files) == FILES
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    folders = [home, *(path for path in home.iterdir() if path.is_dir())]
    assert [stat.S_IMODE(path.stat().st_mode) for path in folders] == [0o700] * 3
    assert files["config/genesis.json"].read_bytes() == GENESIS
    assert [path.name for path in tmp_path.iterdir()] == ["node1"]


def secret_of(document: dict[str, str]) -> ed25519.Ed25519Signer:
    """The key of a file: its seed, then its public half."""
    assert document["type"] == "tendermint/PrivKeyEd25519"
    content = base64.b64decode(document["value"], validate=True)
    signer = ed25519.SUITE.from_secret(content[:32])
    assert content[32:] == signer.public_key
    return signer


def test_keys_stand_in_the_forms_of_cometbft(tmp_path: Path) -> None:
    home, _, node, keys = made(tmp_path)
    peer = secret_of(json.loads((home / "config" / "node_key.json").read_bytes())["priv_key"])
    assert peer == keys.peer
    assert node.node_id == hashlib.sha256(peer.public_key).hexdigest()[:40]
    document = json.loads((home / "config" / "priv_validator_key.json").read_bytes())
    validator = secret_of(document["priv_key"])
    assert validator.public_key == node.key
    assert document["pub_key"] == {
        "type": "tendermint/PubKeyEd25519",
        "value": base64.b64encode(node.key).decode(),
    }
    assert document["address"] == hashlib.sha256(node.key).hexdigest()[:40].upper()
    state = json.loads((home / "data" / "priv_validator_state.json").read_bytes())
    assert state == {"height": "0", "round": 0, "step": 0}


def test_no_two_keys_are_the_same() -> None:
    keys = [new_keys() for _ in range(4)]
    assert len({key.public_key for pair in keys for key in (pair.peer, pair.validator)}) == 8


def test_only_settings_that_differ_from_the_defaults_are_written(tmp_path: Path) -> None:
    home, _, node, _ = made(tmp_path)
    assert tomllib.loads((home / "config" / "config.toml").read_text()) == {
        "moniker": "node1",
        "rpc": {"laddr": f"tcp://127.0.0.1:{node.rpc}"},
        "p2p": {
            "laddr": f"tcp://127.0.0.1:{node.p2p}",
            "pex": False,
            "addr_book_strict": False,
            "allow_duplicate_ip": True,
            "max_num_inbound_peers": 0,
            "max_num_outbound_peers": 0,
            "persistent_peers_max_dial_period": "5s",
        },
        "mempool": {"type": "app"},
        "consensus": {"timeout_propose": "1s", "timeout_commit": "500ms"},
    }
    assert tomllib.loads((home / "config" / "app.toml").read_text()) == {
        "minimum-gas-prices": "0atial",
        "pruning": "nothing",
        "iavl-cache-size": 781_250,
        "evm": {"evm-chain-id": 31_991},
        "json-rpc": {
            "enable": True,
            "address": f"127.0.0.1:{node.eth}",
            "ws-address": f"127.0.0.1:{node.ws}",
            "gas-cap": 40_000_000,
            "allow-insecure-unlock": False,
        },
    }


def test_what_a_crash_left_at_the_place_of_a_home_is_put_aside_and_no_key_is_lost(tmp_path: Path) -> None:
    (tmp_path / ".node1.new" / "config").mkdir(parents=True)  # a crash before it took its name
    first, *_ = made(tmp_path)
    key = (first / "config" / "priv_validator_key.json").read_bytes()  # a crash before network.json named it
    made(tmp_path)
    made(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"node1", "node1.unused-1", "node1.unused-2"}
    assert (tmp_path / "node1.unused-1" / "config" / "priv_validator_key.json").read_bytes() == key
    kept = {(home / "config" / "node_key.json").read_bytes() for home in tmp_path.iterdir()}
    assert len(kept) == 3
    assert all({str(path.relative_to(home)) for path in home.rglob("*.*")} == FILES for home in tmp_path.iterdir())


def test_a_folder_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="make the home of a node"):
        made(tmp_path / "file")
