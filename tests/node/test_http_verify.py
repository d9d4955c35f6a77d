"""POST /v1/verify: a report as JSON or text, refusals as problems."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from api.http import verify as route
from api.http.app import create_app
from node.node import Node
from tests.node.made_log import ITEM, Made


def post(made: Made, *requests: dict[str, Any]) -> list[httpx.Response]:
    async def story() -> list[httpx.Response]:
        async with Node(made.config) as node:
            gate = create_app(node)
            if not any(getattr(r, "path", "") == "/v1/verify" for r in gate.app.routes):
                gate.app.include_router(route.router)
            transport = httpx.ASGITransport(app=gate)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
                return [await client.post("/v1/verify", **request) for request in requests]

    return asyncio.run(story())


def test_a_report_comes_as_json_or_text_and_refusals_as_problems(made: Made):
    as_json, as_text, unknown, malformed, no_json, wrong_type = post(
        made,
        {"json": {"subject": ITEM}},
        {"json": {"subject": ITEM}, "headers": {"Accept": "text/plain"}},
        {"json": {"subject": "vaa:88.118.8/NONE"}},
        {"json": {"subject": ITEM, "more": 1}},
        {"content": b"{", "headers": {"Content-Type": "application/json"}},
        {"content": b"{}", "headers": {"Content-Type": "text/plain"}},
    )
    assert as_json.status_code == 200
    assert as_json.json()["verdict"] == "valid"
    assert [s["step"] for s in as_json.json()["steps"]] == [2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14]
    assert as_text.text.startswith("VALID: registration of ")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not-found")
    assert (malformed.status_code, malformed.json()["where"]) == (400, "more")
    assert (no_json.status_code, no_json.json()["code"]) == (400, "malformed")
    assert wrong_type.status_code == 415
