"""A verify process that dies takes no statement with it: its checks are pure, and asked again from a new one."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from ledger.errors import UnavailableError
from node.node import Node
from node.verifiers import Check, VerifierPool
from tests.faults.acknowledged import Acknowledged
from tests.faults.load import told
from tests.nodes import NodeWorld, Party, make_log, registrations, settle
from tests.world import key

MESSAGE = b"message"


def checks(count: int) -> list[Check]:
    """Every third signature is wrong."""
    signer = key("signer")
    made: list[Check] = []
    for n in range(count):
        message = MESSAGE + bytes([n % 256])
        made.append((-8, signer.public_key, message, signer.sign(message if n % 3 else MESSAGE)))
    return made


def workers() -> list[int]:
    return [child.pid for child in multiprocessing.active_children() if child.pid]


def kill_workers() -> int:
    pids = workers()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return len(pids)


def test_a_killed_verify_process_costs_no_statement(tmp_path: Path):
    config = make_log(tmp_path / "log")
    held = Acknowledged()
    killed = 0

    async def killer() -> None:
        nonlocal killed
        for _ in range(3):
            await asyncio.sleep(0.7)
            killed += kill_workers()

    async def story() -> None:
        async with Node(config) as node:
            world, party = NodeWorld(node.log_id), Party("enterprise")
            await settle(node, world, party)
            task = asyncio.create_task(killer())

            async def submitter(number: int) -> None:
                turn = 0
                while not task.done():
                    names = [f"S{number}T{turn}N{n}" for n in range((1, 10, 40, 200)[number])]
                    turn += 1
                    try:
                        answer = await node.sequencer.submit(registrations(world, party, names))
                    except UnavailableError as error:
                        assert "keep dying" in error.detail  # noqa: PT017 - rare: killed twice within one batch
                        continue
                    held.hear(told(answer))

            await asyncio.wait_for(asyncio.gather(*map(submitter, range(4))), 60)
            assert node.not_ready() is None

    asyncio.run(story())
    assert killed >= 2
    assert len(held.places) > 500
    asyncio.run(held.check(config))


def test_checks_under_way_when_a_verify_process_dies_get_the_same_answers():
    async def story() -> None:
        pool = VerifierPool(1)
        try:
            wanted = [bool(n % 3) for n in range(5000)]
            assert await pool.check(checks(10)) == wanted[:10]
            whole = asyncio.create_task(pool.check(checks(5000)))
            several = [asyncio.create_task(pool.check(checks(20))) for _ in range(5)]
            await asyncio.sleep(0.02)
            assert kill_workers() == 1
            assert await whole == wanted
            for each in several:
                assert await each == wanted[:20]
        finally:
            pool.close()

    asyncio.run(story())


def test_a_batch_that_takes_down_its_process_again_and_again_is_given_up_and_the_next_is_not():
    async def story() -> None:
        pool = VerifierPool(1)
        stop = False

        async def keep_killing() -> None:
            while not stop:
                kill_workers()
                await asyncio.sleep(0.005)

        try:
            killer = asyncio.create_task(keep_killing())
            with pytest.raises(UnavailableError, match="keep dying"):
                await pool.check(checks(1000))
            with pytest.raises(UnavailableError, match="keep dying"):
                await pool.check(checks(20))
            stop = True
            await killer
            assert await asyncio.wait_for(pool.check(checks(20)), 20) == [bool(n % 3) for n in range(20)]
        finally:
            pool.close()

    asyncio.run(story())
