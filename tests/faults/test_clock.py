"""A clock that cannot be believed stops the node; time never runs backwards in a log."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from ledger.state.records import BatchRecord
from node.clock import ClockError
from node.node import Node
from node.sequencer import StoppedError
from tests.nodes import NodeWorld, Party, admitted, log_time, make_log, settle


class Clock:
    """Real clocks with a wall clock that the test can set."""

    def __init__(self) -> None:
        self.shift = 0.0
        self.sleep = 0.0

    def wall(self) -> float:
        return time.time() + self.shift + self.sleep

    def monotonic(self) -> float:
        return time.monotonic() + self.sleep


def registrations(world: NodeWorld, by: Party, names: str) -> list[bytes]:
    return [world.registration(by, f"vaa:88.118.8/{name}", "vaa/88.118.8") for name in names]


def test_log_time_follows_the_clock_within_two_seconds(tmp_path: Path):
    async def story() -> None:
        config = make_log(tmp_path)
        clock = Clock()
        async with Node(config, clock=clock) as node:
            world, party = NodeWorld(node.log_id), Party("enterprise")
            await settle(node, world, party)
            clock.sleep += 50  # half a minute of idleness: both clocks move
            (first,) = admitted(await node.sequencer.submit(registrations(world, party, "A")))
            assert clock.wall() - log_time(node) <= 2
            batch = node.admission.view.read(BatchRecord)
            assert batch is not None
            manifest = node.index.batch_of_entry(first.index - 1)
            assert manifest is not None, "the stale batch was closed before the group was formed"

    asyncio.run(story())


@pytest.mark.parametrize("shift", [-3600.0, -61.0, 61.0, 86_400.0])
def test_a_leaping_clock_stops_the_node(tmp_path: Path, shift: float):
    async def story() -> None:
        config = make_log(tmp_path)
        clock = Clock()
        node = Node(config, clock=clock)
        await node.start()
        world, party = NodeWorld(node.log_id), Party("enterprise")
        await settle(node, world, party)
        size = node.admission.size
        clock.shift = shift
        with pytest.raises(StoppedError):
            await node.sequencer.submit(registrations(world, party, "A"))
        with pytest.raises(ClockError):
            await node.failed()
        assert node.not_ready() is not None
        assert node.admission.size == size, "nothing was stamped with that clock"
        await node.stop()

    asyncio.run(story())


def test_a_node_does_not_start_behind_log_time(tmp_path: Path):
    async def story() -> None:
        config = make_log(tmp_path)
        async with Node(config):
            pass
        clock = Clock()
        clock.shift = -3600
        with pytest.raises(ClockError, match="behind log time"):
            Node(config, clock=clock)
        async with Node(config) as node:
            assert node.not_ready() is None

    asyncio.run(story())
