"""What a bundle costs the node that makes it is bounded, however much was said of a thing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ledger.errors import UnavailableError
from ledger.evidence import build
from ledger.evidence.bundle import Bundle
from node.evidence import NodeSource, evidence, history
from node.node import Node
from node.questions import AT_ONCE, WAITING
from tests.nodes import NodeWorld, Party, admitted, make_log, registrations, settle


def test_more_touches_than_a_bundle_lists_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It would take the node minutes, and be refused by whoever reads it: the step says so instead."""
    read: list[int] = []
    touches = NodeSource.touches

    def counted(source: NodeSource, place: object) -> list[int]:
        found = touches(source, place)  # type: ignore[arg-type]
        read.append(len(found))
        return found

    monkeypatch.setattr(NodeSource, "touches", counted)
    monkeypatch.setattr(build, "MAX_TOUCHES", 4)
    one, other = Party("enterprise"), Party("another enterprise")

    async def story() -> None:
        async with Node(make_log(tmp_path)) as node:
            world = NodeWorld(node.log_id)
            await settle(node, world, one)
            world.enrol(other, "owner")
            admitted(await node.sequencer.submit(world.take()))
            admitted(await node.sequencer.submit(registrations(world, one, ["A"])))
            for seq in range(1, 9):
                by, to = (one, other) if seq % 2 else (other, one)
                raw = world.transfer(by, "vaa:88.118.8/A", to, seq=seq)
                (last,) = admitted(await node.sequencer.submit([raw]))
            await node.publisher.publish_now(node.sequencer)
            bundle = Bundle.decode(await evidence(node, None, last.index))
            assert max(read) <= 4
            assert all(len(listed) <= 4 for _, listed in bundle.touches)

    asyncio.run(story())


def test_questions_take_turns_and_the_crowd_is_asked_to_come_back(tmp_path: Path):
    """So that readers never take more of the interpreter from admission than two threads can."""

    async def story() -> None:
        async with Node(make_log(tmp_path)) as node:
            subject = f"log:{node.log_id.hex()}"
            for _ in range(AT_ONCE):
                await node.questions.turn.acquire()
            asked = [asyncio.create_task(evidence(node, subject, None)) for _ in range(WAITING)]
            await asyncio.sleep(0.1)
            with pytest.raises(UnavailableError, match="Too many"):
                await evidence(node, subject, None)
            with pytest.raises(UnavailableError, match="Too many"):
                await history(node, subject)
            assert not any(task.done() for task in asked)
            for _ in range(AT_ONCE):
                node.questions.turn.release()
            assert all(await asyncio.gather(*asked))
            assert await evidence(node, subject, None)

    asyncio.run(story())
