"""An idle log does not grow, and is not anchored, because strangers send it what it refuses."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from node import sequencer
from node.node import Node
from node.submission import Admitted, Refused
from tests.nodes import NodeWorld, Party, make_log, registrations, settle
from tests.witness.witness_world import StillClock


def test_what_is_refused_anyway_closes_no_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Log time is behind the clock, so that a batch would be closed before anything is admitted."""
    monkeypatch.setattr(sequencer, "MAX_LAG", 0)
    enterprise, stranger, newcomer = Party("enterprise"), Party("stranger"), Party("newcomer")

    async def story() -> None:
        async with Node(make_log(tmp_path)) as node:
            world = NodeWorld(node.log_id)
            await settle(node, world, enterprise)
            await node.publisher.publish_now(node.sequencer)
            await asyncio.sleep(1.2)
            size = node.admission.size
            garbage = [
                world.registration(stranger, "vaa:88.118.8/S1", "vaa/88.118.8"),
                world.enrolment(stranger, "owner", consents=[stranger, Party("another")]),
                *(raw[:-1] + bytes([raw[-1] ^ 1]) for raw in registrations(world, enterprise, ["S2"])),
            ]
            for raw in garbage:
                (outcome,) = (await node.sequencer.submit([raw])).outcomes
                assert isinstance(outcome, Refused)
            await node.publisher.publish_now(node.sequencer)
            assert node.admission.size == size
            world.time += 2  # what log time is too old for, and the clock is not
            world.enrol(newcomer, "owner")
            (outcome,) = (await node.sequencer.submit(world.take())).outcomes
            assert isinstance(outcome, Admitted)
            assert node.admission.size == size + 2  # behind a manifest

    asyncio.run(story())


def test_a_log_that_was_idle_for_days_takes_what_is_made_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its log time is further behind than a statement may be ahead: only the manifest lets it in."""
    monkeypatch.setattr(sequencer, "MAX_LAG", 0)
    now = int(time.time())

    async def story() -> None:
        async with Node(make_log(tmp_path, now=now - 3 * 86_400)) as node:
            world = NodeWorld(node.log_id, now)
            world.enrol(Party("newcomer"), "owner")
            (outcome,) = (await node.sequencer.submit(world.take())).outcomes
            assert isinstance(outcome, Admitted)

    asyncio.run(story())


def test_a_refusal_by_an_idle_log_names_the_real_reason(tmp_path: Path):
    """Log time stands where it was hours ago: that a statement is newer is no fault of it."""
    clock = StillClock(float(int(time.time())))

    async def story() -> None:
        async with Node(make_log(tmp_path, now=int(clock.at)), clock=clock) as node:
            world, size = NodeWorld(node.log_id, int(clock.at) + 7_200), node.admission.size
            clock.passes(7_200)
            raw = world.registration(Party("stranger"), "vaa:88.118.8/S1", "vaa/88.118.8")
            (outcome,) = (await node.sequencer.submit([raw])).outcomes
            assert isinstance(outcome, Refused)
            assert outcome.reason == "unknown_actor"
            assert node.admission.size == size

    asyncio.run(story())
