"""Entry 1 of a real log is the first manifest, however soon after its genesis somebody submits."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from ledger.statements import decode_statement
from node.node import Node
from tests.nodes import NodeWorld, Party, admitted, make_log


def test_a_statement_right_after_the_genesis_comes_behind_the_first_manifest(tmp_path: Path):
    began = int(time.time()) + 1  # log time cannot lag, so nothing but the rule asks for a manifest
    config = make_log(tmp_path, now=began, interval=60)

    async def story() -> None:
        await asyncio.sleep(max(0.0, began - time.time()))
        async with Node(config) as node:
            world = NodeWorld(node.log_id)
            world.enrol(Party("early"), "owner")
            (first,) = admitted(await node.sequencer.submit(world.take()))
            assert first.index == 2
            manifest = decode_statement(node._entry_at(1))
            assert (manifest.type, manifest.sub) == ("manifest", "batch:1")

    asyncio.run(story())
