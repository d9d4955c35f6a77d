"""A long page of touches does not keep the event loop from everybody else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from api.http import lookups
from api.http.app import create_app
from node.node import Node
from tests.nodes import NodeWorld, Party, admitted, make_log, registrations, settle


@pytest.mark.parametrize(("limit", "listed"), [(3, 3), (4, 4), (8, 8), (9, 9), (500, 9)])
def test_a_long_page_is_read_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, listed: int):
    monkeypatch.setattr(lookups, "STEP", 4)
    one, other = Party("enterprise"), Party("another enterprise")

    async def story() -> None:
        async with Node(make_log(tmp_path, interval=3600)) as node:
            world = NodeWorld(node.log_id)
            await settle(node, world, one)
            world.enrol(other, "owner")
            admitted(await node.sequencer.submit(world.take()))
            indexes = [done.index for done in admitted(await node.sequencer.submit(registrations(world, one, ["A"])))]
            for seq in range(1, 9):
                by, to = (one, other) if seq % 2 else (other, one)
                raw = world.transfer(by, "vaa:88.118.8/A", to, seq=seq)
                indexes += [done.index for done in admitted(await node.sequencer.submit([raw]))]
            turns = 0

            async def others() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            transport = httpx.ASGITransport(app=create_app(node))  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
                quiet = {"subject": "vaa:88.118.8/A", "limit": 1}
                busy = {"subject": "vaa:88.118.8/A", "limit": limit}
                taken = []
                for query in (quiet, busy):
                    task, turns = asyncio.create_task(others()), 0
                    answer = (await client.get("/v1/touches", params=query)).json()
                    taken.append(turns)
                    task.cancel()
            assert [entry["index"] for entry in answer["entries"]] == indexes[:listed]
            assert answer["next"] == (None if listed == len(indexes) else listed + 1)
            assert taken[1] - taken[0] >= listed // 4 - 1

    asyncio.run(story())
