"""Where a node's chain accounts are: in key files, with an external signer, or one here and one there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.crypto import secp256k1
from ledger.errors import KeyFileError, RefusedStartError
from node.chain.accounts import Role, account_address, as_chain_signer, open_account
from node.chain.deploy import Deployer
from node.config import ChainConfig, Config, ConfigError, load_config
from node.node import Node
from tests.chain.signer_server import SignerServer
from tests.chain_world import World, world
from tests.nodes import PASSPHRASE, NodeWorld, Party, configuration, make_log, save_keys, settle
from tests.world import key

__all__ = ["world"]

SENDER = secp256k1.SUITE.from_secret(bytes(31) + b"\1")
AUTHORISER = secp256k1.SUITE.from_secret(bytes(31) + b"\2")
PAYLOAD = b"\x19\x01" + bytes(64)


@pytest.fixture
def server() -> Iterator[SignerServer]:
    with SignerServer(AUTHORISER) as made:
        yield made


def config_with(folder: Path, **chain: Any) -> Config:
    save_keys(folder, anchor_sender=SENDER)
    return configuration(folder, chain=ChainConfig(**chain))


def test_one_account_is_in_a_file_and_the_other_with_the_signer(tmp_path: Path, server: SignerServer) -> None:
    config = config_with(tmp_path, signer=server.url, authoriser_account=AUTHORISER.address)
    accounts = {role: open_account(config, role, PASSPHRASE) for role in Role}
    assert [account_address(config, role) for role in Role] == [SENDER.address, AUTHORISER.address]
    assert accounts[Role.SENDER].sign_keccak(PAYLOAD) == SENDER.sign_keccak(PAYLOAD)
    assert server.signed == []
    assert accounts[Role.AUTHORISER].sign_keccak(PAYLOAD) == AUTHORISER.sign_keccak(PAYLOAD)
    assert server.signed == [PAYLOAD]


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        ({"signer": "http://127.0.0.1:1"}, "belong together"),
        ({"sender_account": SENDER.address}, "belong together"),
        ({"signer": "http://127.0.0.1:1", "sender_account": "0x12"}, "neither an address nor a public key"),
        ({"signer": "http://signer.example", "sender_account": SENDER.address}, "Plain http"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(tmp_path: Path, chain: dict[str, str], words: str) -> None:
    config = config_with(tmp_path, **chain)
    with pytest.raises(ConfigError, match=words):
        open_account(config, Role.SENDER, PASSPHRASE)


def test_the_token_s_file_must_be_the_owner_s_alone(tmp_path: Path, server: SignerServer) -> None:
    server.token = "a-long-secret-token"
    settings = {"signer": server.url, "authoriser_account": AUTHORISER.address, "signer_token_file": "token"}
    config = config_with(tmp_path, **settings)
    with pytest.raises(ConfigError, match="cannot be read"):
        open_account(config, Role.AUTHORISER, PASSPHRASE)
    path = tmp_path / "token"
    path.write_text(server.token + "\n")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others"):
        open_account(config, Role.AUTHORISER, PASSPHRASE)
    path.chmod(0o600)
    assert open_account(config, Role.AUTHORISER, PASSPHRASE).sign_keccak(PAYLOAD) == AUTHORISER.sign_keccak(PAYLOAD)
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        open_account(config, Role.AUTHORISER, PASSPHRASE)


def test_a_key_of_another_suite_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    save_keys(tmp_path, other=key("cose"))
    config = config_with(tmp_path, sender="keys/other.key")
    with pytest.raises(ConfigError, match="of suite secp256k1"):
        account_address(config, Role.SENDER)
    with pytest.raises(RefusedStartError, match="needs a secp256k1 key"):
        open_account(config, Role.SENDER, PASSPHRASE)
    with pytest.raises(RefusedStartError):
        as_chain_signer(key("cose"))
    with pytest.raises(KeyFileError):
        account_address(config, Role.AUTHORISER)


def test_the_file_and_the_environment_name_the_signer(tmp_path: Path) -> None:
    path = tmp_path / "tial.toml"
    path.write_text(f'[chain]\nsigner = "http://127.0.0.1:9000"\nsender_account = "{SENDER.address}"\n')
    loaded = load_config(path, {"TIAL_CHAIN_AUTHORISER_ACCOUNT": AUTHORISER.address})
    assert [account_address(loaded, role) for role in Role] == [SENDER.address, AUTHORISER.address]


# --- a whole node --------------------------------------------------------------------------------------------------


def configured(world: World, server: SignerServer, folder: Path) -> Config:
    """A new log that is to anchor on the chain of `world`, both its accounts with the signer."""
    server.keys[:] = [world.sender, world.authoriser]
    chain = ChainConfig(
        url=world.chain.url,
        chain_id=world.deployment.chain_id,
        contract=world.deployment.contract,
        signer=server.url,
        sender_account=world.sender.address,
        authoriser_account=world.authoriser.address,
        interval=0.2,
        timeout=2.0,
    )
    return make_log(folder, chain=chain)


def test_a_node_without_chain_keys_of_its_own_anchors(world: World, server: SignerServer, tmp_path: Path) -> None:
    config = configured(world, server, tmp_path / "log")

    async def life() -> int:
        node = Node(config)
        Deployer(world.rpc(), world.admin).register_log(
            world.deployment.contract, node.log_id, node.origin, world.authoriser.address
        )
        async with node:
            await settle(node, NodeWorld(node.log_id), Party("enterprise"))
            published = await node.publisher.publish_now(node.sequencer)
            assert node.anchors is not None
            anchored = await asyncio.to_thread(node.anchors.anchor_now, 20)
            assert anchored.size >= published.size
            assert world.backend().head(node.log_id).size == anchored.size
            return anchored.size

    assert asyncio.run(life()) > 1
    assert not list((tmp_path / "log" / "keys").glob("anchor*"))
    assert len(server.signed) >= 2


def test_an_account_that_the_signer_does_not_hold_is_refused_at_the_start(
    world: World, server: SignerServer, tmp_path: Path
) -> None:
    config = configured(world, server, tmp_path / "log")
    server.keys.remove(world.authoriser)
    with pytest.raises(RefusedStartError, match="holds no key of the account"):
        asyncio.run(started(config))
    server.keys.append(world.authoriser)
    asyncio.run(started(config))


def test_a_signer_that_is_down_keeps_no_node_from_starting(
    world: World, server: SignerServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = configured(world, server, tmp_path / "log")
    server.kill()
    with caplog.at_level(logging.WARNING):
        asyncio.run(started(config))
    assert "the external signer cannot be asked" in caplog.text


async def started(config: Config) -> None:
    async with Node(config) as node:
        assert node.not_ready() is None
