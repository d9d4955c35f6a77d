"""Rolled-back data or locks: the node refuses before its first acknowledgement or signature (DESIGN rule 6)."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from ledger.errors import RefusedStartError
from node.config import Config
from node.node import Node
from tests.nodes import NodeWorld, Party, admitted, make_log, settle


def grow(config: Config, names: str) -> tuple[int, bytes]:
    """Run the node, register, publish, stop; returns what was published."""

    async def story() -> tuple[int, bytes]:
        async with Node(config) as node:
            world, party = NodeWorld(node.log_id), Party("enterprise")
            if node.admission.size <= 2:
                await settle(node, world, party)
            raws = [world.registration(party, f"vaa:88.118.8/{name}", "vaa/88.118.8") for name in names]
            admitted(await node.sequencer.submit(raws))
            published = await node.publisher.publish_now(node.sequencer)
            return published.size, published.root

    return asyncio.run(story())


def start(config: Config, *, recover_lock: bool = False) -> tuple[int, bytes]:
    async def story() -> tuple[int, bytes]:
        async with Node(config, recover_lock=recover_lock) as node:
            return node.publisher.published.size, node.publisher.published.root

    return asyncio.run(story())


def copy(config: Config, to: Path) -> None:
    shutil.copytree(config.data_path, to, symlinks=True)


def restore(config: Config, backup: Path) -> None:
    shutil.rmtree(config.data_path)
    shutil.copytree(backup, config.data_path, symlinks=True)


def test_older_data_is_refused(tmp_path: Path):
    config = make_log(tmp_path)
    grow(config, "AB")
    copy(config, tmp_path / "backup")
    size, _ = grow(config, "CD")
    restore(config, tmp_path / "backup")
    with pytest.raises(RefusedStartError, match=f"signed last \\(size {size}\\)"):
        start(config)
    with pytest.raises(RefusedStartError):
        start(config, recover_lock=True)


def test_data_and_lock_restored_together_are_refused_without_a_chain(tmp_path: Path):
    config = make_log(tmp_path)
    grow(config, "AB")
    copy(config, tmp_path / "backup")
    lock = config.path(config.lock)
    shutil.copytree(lock.parent, tmp_path / "backup-lock")
    grow(config, "CD")
    restore(config, tmp_path / "backup")
    shutil.rmtree(lock.parent)
    shutil.copytree(tmp_path / "backup-lock", lock.parent)
    with pytest.raises(RefusedStartError, match="copied"):
        start(config)
    with pytest.raises(RefusedStartError, match="chain does not answer"):
        start(config, recover_lock=True)


def test_an_older_lock_is_refused(tmp_path: Path):
    config = make_log(tmp_path)
    grow(config, "AB")
    lock = config.path(config.lock)
    shutil.copy(lock, tmp_path / "older")
    grow(config, "CD")
    shutil.copy(tmp_path / "older", lock)
    with pytest.raises(RefusedStartError):
        start(config)


def test_a_lost_lock_is_refused(tmp_path: Path):
    config = make_log(tmp_path)
    published = grow(config, "AB")
    lock = config.path(config.lock)
    kept = lock.read_bytes()
    lock.unlink()
    with pytest.raises(RefusedStartError, match="absent"):
        start(config)
    assert kept
    assert published[0] > 2


def test_a_lost_journal_is_refused(tmp_path: Path):
    config = make_log(tmp_path)
    grow(config, "AB")
    shutil.rmtree(config.data_path / "journal")
    with pytest.raises(RefusedStartError):
        start(config)


def test_a_lost_or_stale_index_is_rebuilt(tmp_path: Path):
    config = make_log(tmp_path)
    grow(config, "AB")
    shutil.copytree(config.data_path / "index", tmp_path / "index")
    published = grow(config, "CD")
    shutil.rmtree(config.data_path / "index")
    assert start(config) == published
    shutil.rmtree(config.data_path / "index")
    shutil.copytree(tmp_path / "index", config.data_path / "index")
    assert start(config) == published


def test_an_index_ahead_of_the_log_is_rebuilt(tmp_path: Path):
    """Only possible after a restore by hand: the index covers entries that this log does not have."""
    config = make_log(tmp_path / "one")
    other = make_log(tmp_path / "two")
    published = grow(config, "AB")
    grow(other, "CDEFGHIJKLMNOP")
    shutil.rmtree(config.data_path / "index")
    shutil.copytree(other.data_path / "index", config.data_path / "index")
    assert start(config) == published


def test_a_damaged_tile_is_refused(tmp_path: Path):
    config = make_log(tmp_path)
    size, _ = grow(config, "AB")
    tile = config.data_path / "log" / "tile" / "0" / "000.p" / str(size)
    damaged = bytearray(tile.read_bytes())
    damaged[5] ^= 1
    tile.write_bytes(damaged)
    with pytest.raises(RefusedStartError):
        start(config)


def test_a_checkpoint_signed_but_not_published_is_published_at_the_next_start(tmp_path: Path):
    """A crash came between the lock and the served file: the entries are published without anything new happening."""
    config = make_log(tmp_path)
    grow(config, "AB")
    served = config.data_path / "log" / "checkpoint"
    older = served.read_bytes()
    size, root = grow(config, "CD")
    newest = served.read_bytes()
    served.write_bytes(older)
    assert start(config) == (size, root)
    assert served.read_bytes() == newest
