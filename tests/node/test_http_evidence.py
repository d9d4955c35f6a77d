"""GET /v1/evidence: bundles as bytes, refusals as problems."""

from __future__ import annotations

import asyncio

import httpx

from api.http.app import create_app
from ledger.evidence.bundle import MEDIA_TYPE, Bundle
from node.node import Node
from tests.node.made_log import ITEM, Made


def get(made: Made, *queries: dict[str, str]) -> list[httpx.Response]:
    async def story() -> list[httpx.Response]:
        async with Node(made.config) as node:
            transport = httpx.ASGITransport(app=create_app(node))  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
                return [await client.get("/v1/evidence", params=query) for query in queries]

    return asyncio.run(story())


def test_bundles_come_as_bytes_and_refusals_as_problems(made: Made):
    about, index, absent, neither, both, beyond, no_subject = get(
        made,
        {"subject": ITEM},
        {"index": "0"},
        {"subject": "vaa:88.118.8/NEVER"},
        {},
        {"subject": ITEM, "index": "0"},
        {"index": "999999999"},
        {"subject": "nothing"},
    )
    assert [answer.status_code for answer in (about, index, absent)] == [200] * 3
    assert about.headers["content-type"] == MEDIA_TYPE
    assert Bundle.decode(about.content).about == ITEM
    assert Bundle.decode(index.content).index == 0
    assert Bundle.decode(absent.content).index is None
    assert [answer.status_code for answer in (neither, both, no_subject, beyond)] == [400, 400, 400, 404]
