"""kill -9 at any moment: what was acknowledged is there, once, and the log goes on from what it last published.

The node runs as a process under load and is killed at random times, at counted file operations (in the middle of a
publication, of start-up, of recovery), and sometimes loses its unacknowledged tail as by a power cut. A log that was
killed is often opened by the next process, killed in its turn; every few rounds it is opened here and held against
everything that was ever acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.config import load_config
from tests.faults.acknowledged import Acknowledged, cut_power
from tests.faults.http_load import Clients
from tests.faults.load import Orders
from tests.faults.nursery import Nursery, begin, nursery, prepare
from tests.running import Running

__all__ = ["nursery"]

ROUNDS = int(os.environ.get("TIAL_CRASH_ROUNDS", "100"))
HTTP_ROUNDS = int(os.environ.get("TIAL_CRASH_HTTP_ROUNDS", "5"))
SEED = int(os.environ.get("TIAL_CRASH_SEED", "3"))
CHECK_EVERY = 4
REBUILD_EVERY = 5


@pytest.mark.timeout(900)
def test_a_node_killed_at_any_moment_keeps_what_it_acknowledged(tmp_path: Path, nursery: Nursery):
    chance = random.Random(SEED)
    now = int(time.time())
    config = begin(tmp_path / "log", now)
    held, kinds, previous = Acknowledged(), Counter[str](), 0
    for number in range(1, ROUNDS + 1):
        kind = chance.choices(["load", "start", "operation"], [5, 1, 3])[0]
        orders = Orders(str(config.base), now, number, previous, chance.randrange(1 << 30))
        before = len(held.places)
        if kind == "operation":
            operations = chance.choice([chance.randint(1, 12), chance.randint(1, 150)])
            status = nursery.life(replace(orders, operations=operations), held.hear)
        elif kind == "start":
            status = nursery.life(orders, held.hear, after="pid", delay=chance.uniform(0.05, 0.4))
        else:
            status = nursery.life(orders, held.hear, after="up", delay=chance.uniform(0.0, 0.6))
        assert status == signal.SIGKILL, nursery.errors.read_text()[-2000:]
        previous = max(1, len(held.places) - before)
        kinds[kind] += 1
        held.see_published(config)
        if chance.random() < 0.3 and cut_power(config, held.end, chance):
            kinds["power cut"] += 1
        if number % CHECK_EVERY == 0 or number == ROUNDS:
            rebuilt = tmp_path / f"rebuilt-{number}" if number // CHECK_EVERY % REBUILD_EVERY == 0 else None
            asyncio.run(held.check(config, rebuild=rebuilt))
    sys.stdout.write(f"{dict(kinds)}, {len(held.places)} acknowledged entries, {held.verified} acknowledgements\n")
    assert len(held.places) > 10 * ROUNDS, "there was load"
    assert held.verified


def test_verify_processes_end_with_a_killed_node(tmp_path: Path, nursery: Nursery):
    now = int(time.time())
    config = begin(tmp_path / "log", now)
    spawned: set[int] = set()
    answered = 0

    def hear(_line: dict[str, Any]) -> None:
        nonlocal answered
        answered += 1
        spawned.update(descendants(nursery.process.pid))

    status = nursery.life(Orders(str(config.base), now, 1), hear, after="up", delay=2.5)
    assert status == signal.SIGKILL
    assert answered
    assert len(spawned) >= 3, "the node, the fork server and a verify process were there"
    end = time.monotonic() + 10
    while time.monotonic() < end and any(alive(pid) for pid in spawned):
        time.sleep(0.05)
    assert not [pid for pid in spawned if alive(pid)]


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found |= {int(child)} | descendants(int(child))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_server_killed_under_http_load_keeps_what_it_acknowledged(tmp_path: Path):
    """The same through the real server and real connections, with fewer rounds because it starts more slowly."""
    chance = random.Random(SEED)
    now = int(time.time())
    path, log_id = prepare(tmp_path / "log", now)
    config = load_config(path)
    held = Acknowledged()
    for number in range(HTTP_ROUNDS):
        server = Running(path)
        clients = Clients(server.url, log_id, now, f"R{number}", held)
        clients.wait_for_load(len(held.places) + 200)
        time.sleep(chance.uniform(0, 0.5))
        server.kill()
        clients.stop()
        held.see_published(config)
    asyncio.run(held.check(config, rebuild=tmp_path / "rebuilt"))
    assert len(held.places) >= 200 * HTTP_ROUNDS
