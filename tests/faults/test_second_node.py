"""One writer: a second node on the same data directory or the same lock is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.errors import RefusedStartError
from node.node import Node
from tests.nodes import make_log


def test_a_second_node_on_the_same_data_is_refused_and_the_first_goes_on(tmp_path: Path):
    async def story() -> None:
        config = make_log(tmp_path)
        async with Node(config) as node:
            with pytest.raises(RefusedStartError, match="in use"):
                Node(config)
            other_lock = replace(config, lock="elsewhere/checkpoint.lock")
            with pytest.raises(RefusedStartError, match="in use"):
                Node(other_lock)
            assert node.not_ready() is None
        async with Node(config) as again:
            assert again.publisher.published.size == 2

    asyncio.run(story())
