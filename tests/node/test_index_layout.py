"""An index of an older layout is built anew at the start, and is then the same as one that grew with the log."""

from __future__ import annotations

import asyncio
from pathlib import Path

import plyvel

from ledger.store.index import Index
from node.node import Node
from tests.nodes import NodeWorld, Party, admitted, make_log, registrations, settle


def test_an_index_of_the_first_layout_is_built_anew_by_the_start(tmp_path: Path):
    config = make_log(tmp_path, interval=3600)

    async def story(*, grow: bool) -> tuple[bytes, bytes, int]:
        async with Node(config) as node:
            if grow:
                world, enterprise = NodeWorld(node.log_id), Party("enterprise")
                await settle(node, world, enterprise)
                admitted(await node.sequencer.submit(registrations(world, enterprise, range(300))))
                await node.publisher.publish_now(node.sequencer)
            return node.index.checksum(), node.index.tree.current, node.index.covers

    grown = asyncio.run(story(grow=True))
    path = config.data_path / "index"
    database = plyvel.DB(str(path))
    for key in [key for key in database.iterator(include_value=False) if key[:1] in b"stxy" or key == b"\0tree"]:
        database.delete(key)
    database.put(b"\0format", (1).to_bytes(8, "big"))
    database.put(b"r" + bytes(32), b"of the old layout")
    database.close()
    assert asyncio.run(story(grow=False)) == grown
    with Index.open(path) as index:
        assert index.record(bytes(32)) is None
