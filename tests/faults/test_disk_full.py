"""A full disk: the node stops promising, says why, loses nothing, and goes on where space is back.

Which part stands on the full disk decides how: without its journal a node cannot go on at all; without tiles, lock or
checkpoint it holds submitters back and tries to publish again by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ledger.errors import LedgerError
from ledger.store.durable import StorageError
from ledger.store.lock import CheckpointLock
from node.config import Config, load_config
from node.node import Node
from node.sequencer import HeldBackError, StoppedError
from tests.faults.acknowledged import Acknowledged
from tests.faults.load import told
from tests.faults.nursery import prepare
from tests.faults.small_disk import SmallDisk, small_disk
from tests.nodes import NodeWorld, Party, admitted, make_log, registrations, replace, settle
from tests.running import running

__all__ = ["small_disk"]

REPOSITORY = Path(__file__).resolve().parents[2]
PARTY = Party("enterprise")


def grow(config: Config, names: list[str], held: Acknowledged) -> None:
    """Run a node in good order for some registrations."""

    async def story() -> None:
        async with Node(config) as node:
            world = NodeWorld(node.log_id)
            if node.admission.size <= 2:
                await settle(node, world, PARTY)
            held.hear(told(await node.sequencer.submit(registrations(world, PARTY, names))))

    asyncio.run(story())


async def load(node: Node, world: NodeWorld, held: Acknowledged, tag: str) -> list[Exception | None]:
    """Eight submitters until each is turned away, or has submitted for long: how each ended."""

    async def submitter(number: int) -> None:
        for turn in range(400):
            raws = registrations(world, PARTY, [f"{tag}-{number}-{turn}-{n}" for n in range(40)])
            held.hear(told(await node.sequencer.submit(raws)))

    ended = await asyncio.wait_for(asyncio.gather(*map(submitter, range(8)), return_exceptions=True), 60)
    return [end if isinstance(end, Exception) else None for end in ended]


async def within(seconds: float, true: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)


async def stopped_by(node: Node, wait: Callable[[], Awaitable[None]]) -> LedgerError:
    with pytest.raises(LedgerError) as caught:
        await asyncio.wait_for(wait(), 20)
    assert node.not_ready() is not None
    return caught.value


@pytest.mark.parametrize("part", ["journal", "index"])
def test_a_node_stops_where_its_disk_is_full_and_goes_on_where_space_is_back(
    tmp_path: Path, small_disk: SmallDisk, part: str
):
    config = make_log(tmp_path / "log")
    held = Acknowledged()
    grow(config, ["A", "B"], held)
    small_disk.move_here(config.data_path / part)

    async def story() -> None:
        node = Node(config)
        await node.start()
        world = NodeWorld(node.log_id)
        small_disk.fill(leave=100_000)
        ends = await load(node, world, held, part)
        assert all(isinstance(end, StoppedError) for end in ends), ends
        assert "No space left" in str(ends[0]), "the reason is said"
        assert isinstance(await stopped_by(node, node.failed), StorageError)
        with pytest.raises(StoppedError, match="No space left"):
            await node.sequencer.submit(registrations(world, PARTY, "C"))
        await node.stop()

    asyncio.run(story())
    assert len(held.places) > 2
    small_disk.free()
    asyncio.run(held.check(config, rebuild=tmp_path / "rebuilt"))

    async def again() -> None:
        async with Node(config) as node:
            answered = await node.sequencer.submit(registrations(NodeWorld(node.log_id), PARTY, "C"))
            admitted(answered)

    asyncio.run(again())


@pytest.mark.parametrize("part", ["lock", "log"])
def test_publication_waits_for_space_and_nothing_is_promised_meanwhile(
    tmp_path: Path, small_disk: SmallDisk, part: str
):
    config = make_log(tmp_path / "log", interval=0.05)
    held = Acknowledged()
    grow(config, ["A"], held)
    if part == "log":
        small_disk.move_here(config.data_path / "log")
    else:  # a lock is never copied: this log gets another one there
        config = replace(make_log(tmp_path / "other", interval=0.05), lock=str(small_disk.path / "checkpoint.lock"))
        held = Acknowledged()
        _move_lock(config, tmp_path / "other" / "lock" / "checkpoint.lock")
        grow(config, ["A"], held)

    async def story() -> None:
        async with Node(config) as node:
            world = NodeWorld(node.log_id)
            before = node.publisher.published
            small_disk.fill()
            held.hear(told(await node.sequencer.submit(registrations(world, PARTY, "BC"))))
            await within(10, lambda: node.publisher.error is not None)
            with pytest.raises(HeldBackError, match="No space left"):
                await node.sequencer.submit(registrations(world, PARTY, "D"))
            assert "No space left" in str(node.not_ready())
            assert node.publisher.published == before
            await asyncio.sleep(1.5)  # it is tried again, and fails again
            assert node.publisher.published == before
            small_disk.free()
            await within(10, lambda: node.not_ready() is None)
            assert node.publisher.published.size > max(held.places.values())
            held.hear(told(await node.sequencer.submit(registrations(world, PARTY, "DE"))))

    asyncio.run(story())
    asyncio.run(held.check(config))


def _move_lock(config: Config, old: Path) -> None:
    """Put the lock of a log that was just made elsewhere, as its operator would: explicitly."""
    with CheckpointLock.open(old, config.data_path) as lock:
        state = lock.read().state
    assert state is not None
    with CheckpointLock.open(config.path(config.lock), config.data_path) as lock:
        lock.create(state)


def test_a_stop_on_a_full_disk_says_what_is_left_and_the_next_start_publishes_it(tmp_path: Path, small_disk: SmallDisk):
    config = make_log(tmp_path / "log", interval=60)
    held = Acknowledged()
    grow(config, ["A"], held)
    small_disk.move_here(config.data_path / "log")

    async def story() -> None:
        node = Node(config)
        await node.start()
        held.hear(told(await node.sequencer.submit(registrations(NodeWorld(node.log_id), PARTY, "BC"))))
        small_disk.fill()
        with pytest.raises(StorageError, match="No space left"):
            await node.stop()
        with pytest.raises(StorageError, match="No space left"):
            async with Node(config):
                raise AssertionError("it could not have published what is durable")
        small_disk.free()

    asyncio.run(story())
    asyncio.run(held.check(config))


def test_a_write_that_fails_twice_and_then_not_leaves_the_published_state_right(tmp_path: Path):
    """Two different places fail one after the other: a file stands where the publisher needs a folder."""
    config = make_log(tmp_path, interval=0.05)
    held = Acknowledged()
    grow(config, ["A"], held)
    tiles = config.data_path / "log" / "tile"

    async def story() -> None:
        async with Node(config) as node:
            world = NodeWorld(node.log_id)
            before = node.publisher.published
            blocks = [tiles / "0" / "001.p", tiles / "entries" / "001.p"]
            for block in blocks:
                block.write_bytes(b"in the way")
            raws = registrations(world, PARTY, range(300))
            held.hear(told(await node.sequencer.submit(raws)))
            await within(10, lambda: node.publisher.error is not None)
            blocks[0].unlink()
            for _ in range(2):  # the first of these may have begun before
                seen = node.publisher.error
                await within(10, lambda: node.publisher.error not in {None, seen})  # noqa: B023 - awaited at once
            assert node.publisher.published == before
            assert not list(tiles.rglob("*.tmp")), "nothing half-written stays"
            held.see_published(config)
            blocks[1].unlink()
            await within(10, lambda: node.not_ready() is None)
            held.hear(told(await node.sequencer.submit(registrations(world, PARTY, range(290, 310)))))

    asyncio.run(story())
    asyncio.run(held.check(config, rebuild=tmp_path / "rebuilt"))


def test_a_file_size_limit_stops_a_node_as_a_full_disk_does(tmp_path: Path):
    """The same without a mount: the operating system refuses to let any file grow further."""
    config = make_log(tmp_path / "log")
    held = Acknowledged()
    grow(config, ["A"], held)
    program = (
        "import json, resource, sys\n"
        "from tests.faults.load import Orders, run\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))\n"
        "if __name__ == '__main__':\n"
        "    sys.exit(run(Orders(**json.loads(sys.argv[1]))))\n"
    )
    (tmp_path / "limited.py").write_text(program)
    orders = f'{{"base": "{config.base}", "now": {int(time.time())}, "round": 1, "seconds": 30}}'
    done = subprocess.run(
        [sys.executable, str(tmp_path / "limited.py"), orders], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    stopped = ""
    for text in done.stdout.splitlines():
        line = json.loads(text)
        stopped = line.get("stopped", stopped)
        if "answers" in line:
            held.hear(line)
    assert "File too large" in stopped, done.stderr[-1000:]
    assert len(held.places) > 100
    asyncio.run(held.check(config, rebuild=tmp_path / "rebuilt"))


def test_a_server_that_stops_on_a_full_disk_says_so_and_the_next_one_publishes(tmp_path: Path, small_disk: SmallDisk):
    now = int(time.time())
    path, log_id = prepare(tmp_path / "log", now, interval=60)
    config = load_config(path)
    small_disk.move_here(config.data_path / "log")
    with running(path) as server:
        raws = registrations(NodeWorld(log_id, now), PARTY, "AB")
        places = [answer["index"] for answer in server.admit(*raws)]
        small_disk.fill()
        assert server.stop() == 1
        last = [line["error"] for line in server.lines if "next start" in line["message"]]
        assert len(last) == 1
        assert "No space left" in last[0]
        assert not [line for line in server.lines if "exception" in line]
    small_disk.free()
    with running(path) as server:
        assert [answer["index"] for answer in server.admit(*raws)] == places
    held = Acknowledged()
    held.see_published(config)
    assert held.published is not None
    assert held.published.size > max(places)
