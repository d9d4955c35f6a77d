"""Whole histories from a real node's stores."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from api.http.app import create_app
from ledger.errors import CorruptError
from ledger.evidence.report import Verdict
from ledger.evidence.timeline import as_of
from ledger.evidence.verifier import verify_history
from ledger.state.records import record_key
from ledger.store.index import Index
from node.evidence import evidence, history
from node.node import Node
from node.queries import NotFoundError
from tests.node.made_log import ITEM, Made
from tests.node.test_evidence import policy
from tests.nodes import admitted
from tests.world import credential


def test_what_is_not_published_yet_is_not_in_it(made: Made):
    async def story() -> tuple[bytes, bytes]:
        async with Node(made.config) as node:
            before = await evidence(node, credential(1), None, whole=True)
            raw = made.world.status(made.parties["certifier"], credential(1), "suspended", "issuer", 1)
            admitted(await node.sequencer.submit([raw]))
            await node.publisher.publish_now(node.sequencer)
            return before, await evidence(node, credential(1), None, whole=True)

    judged = [verify_history(raw, policy(made.world.log_id), made.world.now + 60) for raw in asyncio.run(story())]
    assert [found.report.overall for found in judged] == [Verdict.VALID] * 2
    states = []
    for found in judged:
        assert found.whole is not None
        own = found.whole.timelines[0]
        states.append((len(own.changes), as_of(own, found.whole.log_time).state))
    assert states == [(1, "active"), (2, "suspended")]


def test_the_node_tells_its_own_history_and_nothing_of_strangers(made: Made):
    async def story() -> None:
        async with Node(made.config) as node:
            whole = await history(node, ITEM)
            assert [one.kind for one in whole.timelines] == ["identifier"]
            with pytest.raises(NotFoundError):
                await history(node, "vaa:88.118.8/NEVER")

    asyncio.run(story())


def test_an_index_that_lost_a_touch_is_noticed(made: Made, monkeypatch: pytest.MonkeyPatch):
    key, listed = record_key("identifier", ITEM), Index.history

    def forgetful(index: Index, asked: bytes, start: int, limit: int) -> list[int]:
        return listed(index, asked, start + (asked == key and start == 1), limit)

    async def story() -> None:
        async with Node(made.config) as node:
            monkeypatch.setattr(Index, "history", forgetful)
            with pytest.raises(CorruptError):
                await history(node, ITEM)

    asyncio.run(story())


def test_a_history_that_no_file_holds_is_refused_with_the_way_out(made: Made, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ledger.evidence.whole.BUDGET", 1)

    async def story() -> httpx.Response:
        async with Node(made.config) as node:
            transport = httpx.ASGITransport(app=create_app(node))  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
                return await client.get("/v1/history", params={"subject": ITEM})

    answer = asyncio.run(story())
    assert (answer.status_code, answer.json()["code"]) == (413, "history-too-long")
    assert "tial mirror" in answer.json()["remedy"]
