"""kill -9 at any moment: what was acknowledged is there, once, and the log goes on from what it last published.

The node runs as a process under load and is killed at random times, at counted file operations (in the middle of a
publication, of start-up, of recovery), and sometimes loses its unacknowledged tail as by a power cut. A log that was
killed is often opened by the next process, killed in its turn; every few rounds it is opened here and held against
everything that was ever acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from acknowledged import Acknowledged, cut_power
from load import Orders
from nodes import NodeWorld, Party, make_log, settle

from node.config import Config
from node.node import Node

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
ROUNDS = int(os.environ.get("TIAL_CRASH_ROUNDS", "100"))
SEED = int(os.environ.get("TIAL_CRASH_SEED", "3"))
CHECK_EVERY = 4
REBUILD_EVERY = 5


class Nursery:
    """The process that forks nodes (`child.py`), and the lines that they say."""

    def __init__(self, errors: Path) -> None:
        self.errors = errors
        paths = [REPOSITORY, HERE.parent, HERE]
        with errors.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "child.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stream,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
            )  # fmt: skip

    def life(self, orders: Orders, hear: Callable[[dict[str, Any]], None], *, after: str = "", delay: float = 0) -> int:
        """Let one node live; SIGKILL `delay` seconds `after` it said "pid" or "up". Returns its wait status."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asdict(orders)).encode() + b"\n")
        self.process.stdin.flush()
        handle = -1
        timers: list[threading.Timer] = []
        try:
            for text in self.process.stdout:
                try:
                    line = json.loads(text)
                except ValueError:
                    continue  # cut off by the kill, or the line feed behind it: nobody was told
                if "pid" in line:
                    handle = os.pidfd_open(line["pid"])
                if after and after in line:
                    timers.append(threading.Timer(delay, signal.pidfd_send_signal, (handle, signal.SIGKILL)))
                    timers[-1].start()
                if "ended" in line:
                    return int(line["ended"])
                assert "stopped" not in line, line["stopped"]
                if "answers" in line:
                    hear(line)
            raise AssertionError(f"the nursery is gone: {self.errors.read_text()[-2000:]}")
        finally:
            for timer in timers:
                timer.cancel()
                timer.join()
            if handle >= 0:
                os.close(handle)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    made = Nursery(tmp_path / "errors.txt")
    yield made
    made.close()


def begin(base: Path, now: int) -> Config:
    """A log with an enterprise that may register."""
    config = make_log(base, now=now)

    async def story() -> None:
        async with Node(config) as node:
            await settle(node, NodeWorld(node.log_id, now), Party("enterprise"))

    asyncio.run(story())
    return config


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
            counted = asdict(orders) | {"operations": chance.choice([chance.randint(1, 12), chance.randint(1, 150)])}
            status = nursery.life(Orders(**counted), held.hear)
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
