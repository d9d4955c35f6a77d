"""POST /v1/verify: a report as JSON or text, refusals as problems."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx

from api.http.app import create_app
from ledger.evidence.bundle import MEDIA_TYPE
from node.evidence import evidence
from node.node import Node
from node.verification_request import MAX_POSTED
from tests.node.made_log import ITEM, Made


def post(made: Made, *requests: dict[str, Any]) -> list[httpx.Response]:
    async def story() -> list[httpx.Response]:
        async with Node(made.config) as node:
            bundle = await evidence(node, ITEM, None)
            transport = httpx.ASGITransport(app=create_app(node))  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
                answers = []
                for request in requests:
                    if request.get("content") == "bundle":
                        request["content"] = bundle
                    if request.get("json") == "bundle":
                        request["json"] = {"bundle": base64.b64encode(bundle).decode()}
                    answers.append(await client.post("/v1/verify", **request))
                return answers

    return asyncio.run(story())


def test_a_report_comes_as_json_or_text_and_refusals_as_problems(made: Made):
    as_json, as_text, unknown, malformed, old, no_json, wrong_type = post(
        made,
        {"json": {"subject": ITEM}},
        {"json": {"subject": ITEM}, "headers": {"Accept": "text/plain"}},
        {"json": {"subject": "vaa:88.118.8/NONE"}},
        {"json": {"subject": ITEM, "more": 1}},
        {"json": {"index": 1, "size": 5, "proof": []}},
        {"content": b"{", "headers": {"Content-Type": "application/json"}},
        {"content": b"{}", "headers": {"Content-Type": "text/plain"}},
    )
    assert as_json.status_code == 200
    assert as_json.json()["verdict"] == "valid"
    assert as_json.json()["claim"] == "statement"
    assert [s["step"] for s in as_json.json()["steps"]] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
    assert as_text.text.startswith("VALID: registration of ")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not-found")
    assert (malformed.status_code, malformed.json()["where"]) == (400, "more")
    assert (old.status_code, old.json()["where"]) == (400, "size")
    assert "tial receipt verify" in old.json()["remedy"]
    assert (no_json.status_code, no_json.json()["code"]) == (400, "malformed")
    assert wrong_type.status_code == 415


def test_a_bundle_is_posted_as_it_is_or_in_json(made: Made):
    raw, in_json, garbage, too_large = post(
        made,
        {"content": "bundle", "headers": {"Content-Type": MEDIA_TYPE}},
        {"json": "bundle"},
        {"content": b"{}", "headers": {"Content-Type": MEDIA_TYPE}},
        {"content": bytes(MAX_POSTED + 1), "headers": {"Content-Type": MEDIA_TYPE}},
    )
    assert raw.json() == in_json.json()
    assert raw.json()["verdict"] == "valid"
    assert (garbage.status_code, garbage.json()["verdict"]) == (200, "invalid")
    assert too_large.status_code == 413
