"""Which batches stay provable is asked on the way to an acknowledgement, and must never stand in its way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from node.anchor.records import AnchorRecord
from node.node import Node
from node.retention import pins_of
from tests.nodes import NodeWorld, Party, make_log, settle


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), PermissionError(13, "Permission denied")])
def test_an_outbox_that_cannot_be_read_does_not_stop_admission(tmp_path: Path, error: OSError):
    def anchors() -> Sequence[AnchorRecord]:
        raise error

    async def story() -> None:
        async with Node(make_log(tmp_path, interval=3600)) as node:
            node.index.tree.pins = pins_of(node.index, anchors, lambda: (node.publisher.published.size,))
            await settle(node, NodeWorld(node.log_id), Party("enterprise"))
            assert await node.sequencer.close_batch() > 2
            assert node.sequencer.failure is None
            assert node.index.tree.pins() == {1}

    asyncio.run(story())
