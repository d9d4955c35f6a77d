"""Nodes in processes of their own that a test can kill, and a log for them to keep."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from node.config import Config, load_config
from node.node import Node
from tests.faults.load import Orders
from tests.nodes import NodeWorld, Party, make_log, settle
from tests.running import make_log as make_served_log

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]


class Nursery:
    """The process that forks nodes (`child.py`), and the lines that they say."""

    def __init__(self, errors: Path) -> None:
        self.errors = errors
        with errors.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "child.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stream,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
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


def prepare(folder: Path, now: int, interval: float = 0.1) -> tuple[Path, bytes]:
    """A log with an enterprise that may register: its configuration file and log id."""
    path, acts = make_served_log(folder, log={"verifiers": 1, "interval": interval})

    async def story() -> None:
        async with Node(load_config(path)) as node:
            await settle(node, NodeWorld(node.log_id, now), Party("enterprise"))

    asyncio.run(story())
    return path, acts.log_id
