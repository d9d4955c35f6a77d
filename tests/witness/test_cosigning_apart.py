"""What strangers and witnesses do must not hold up publication, nor take from what is published."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ledger.log.notes import Vkey
from node import publisher as publisher_module
from node.config import StateConfig, WitnessesConfig
from node.cosigning import QuorumError
from node.evidence import evidence
from node.node import Node
from tests.nodes import make_log
from tests.witness.serving import serving_app
from tests.witness.test_cosigning import Site, policy_text, running, some, until
from tests.world import key


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher_module, "WITNESS_RETRY", 0.1)


def test_questions_that_fill_the_common_threads_do_not_hold_up_cosigning(tmp_path: Path):
    here = Site(tmp_path, 1, 1)
    answered = threading.Event()

    async def story(node: Node) -> None:
        questions = [asyncio.create_task(asyncio.to_thread(answered.wait, 30)) for _ in range(64)]
        try:
            await asyncio.sleep(0.1)
            await some(node)
            async with asyncio.timeout(5):
                published = await node.publisher.publish_now(node.sequencer)
            assert published.size == node.publisher.size
        finally:
            answered.set()
            await asyncio.gather(*questions)

    try:
        running(here.config, story)
    finally:
        here.down(0)


def test_a_witness_can_leave_no_cookies(tmp_path: Path):
    """They would come back with every request, and stay in memory as long as the node runs."""
    asked: list[str | None] = []

    async def answer(request: Request) -> Response:
        asked.append(request.headers.get("cookie"))
        return Response(b"", 500, {"Set-Cookie": f"c{len(asked)}={'x' * 4000}"})

    config = replace(make_log(tmp_path), witnesses=WitnessesConfig(policy="p"))

    async def story(_node: Node) -> None:
        await until(lambda: len(asked) >= 3)

    with serving_app(Starlette(routes=[Route("/add-checkpoint", answer, methods=["POST"])])) as url:
        (tmp_path / "p").write_text(policy_text([(Vkey("w", 4, key("w").public_key), url)], 1))
        running(config, story)
    assert set(asked) == {None}


def test_what_is_published_stays_provable_while_witnesses_are_away(tmp_path: Path):
    """Batches go on being closed meanwhile, more of them than are kept."""
    here = Site(tmp_path, 1, 1)
    config = replace(here.config, state=StateConfig(retain=2))

    async def story(node: Node) -> None:
        await some(node)
        published = await node.publisher.publish_now(node.sequencer)
        here.down(0)
        for _ in range(6):
            await node.sequencer.close_batch()
        assert node.publisher.published == published
        assert await evidence(node, f"log:{node.log_id.hex()}", None)
        with pytest.raises(QuorumError):
            await node.publisher.publish_now(node.sequencer)

    running(config, story)
