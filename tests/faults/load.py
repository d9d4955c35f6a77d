"""What a node that is going to be killed does until then: it takes statements and tells of every answer.

Runs in a process of its own (`child.py`). Every line that it writes is one JSON object: {"up": size} once it admits,
{"answers": [[index, leaf, duplicate], ...], "runs": [[first, count, acknowledgement, proof], ...]} for every
submission after it was acknowledged, {"stopped": text} where the node itself gave up. Bytes are hex.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.errors import LedgerError, UnavailableError
from node.config import ChainConfig
from node.node import Node
from node.submission import Admitted, Answer
from tests.nodes import NodeWorld, Party, configuration

SUBMITTERS = 6
SIZES = (1, 1, 3, 10, 40, 120, 300)
REPEATS = 0.2
"""How many of all submissions hold statements that were submitted before."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True, slots=True)
class Orders:
    """One life of the node.

    `previous`: how many statements the round before may have drawn. `operations`: kill at that many file operations,
    0 for never. `seconds`: when to stop in order, if it still lives. `now`: the time that statements carry.
    """

    base: str
    now: int
    round: int
    previous: int = 0
    seed: int = 0
    operations: int = 0
    seconds: float = 60.0
    interval: float = 0.05
    chain: dict[str, Any] = field(default_factory=dict)
    pause: float = 0.0
    """Seconds between the submissions of each submitter: for lives in which the chain is what matters."""


class Statements:
    """Registrations that are the same bytes whenever they are made again, so that a repetition is one."""

    def __init__(self, log_id: bytes, now: int) -> None:
        self._world = NodeWorld(log_id, now)
        self._party = Party("enterprise")

    def make(self, life: int, number: int) -> bytes:
        return self._world.registration(self._party, f"vaa:88.118.8/R{life}N{number}", "vaa/88.118.8")


def kill_at(operations: int, base: str) -> None:
    """Have this process killed, as by kill -9, right before its n-th write-like file operation below `base`."""
    left = itertools.count(operations, -1)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & WRITES or not str(path).startswith(base):
                return
        elif event not in {"os.rename", "os.remove", "os.truncate", "os.mkdir"}:
            return
        if next(left) <= 1:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


async def live(orders: Orders) -> None:
    """Open the node, load it until it is killed or the time is over, stop it in order."""
    if orders.operations:
        kill_at(orders.operations, orders.base)
    chain = ChainConfig(**orders.chain)
    config = configuration(Path(orders.base), interval=orders.interval, chain=chain)
    async with Node(config) as node:
        tell({"up": node.admission.size})
        end = time.monotonic() + orders.seconds
        draw = itertools.count()
        tasks = [submit_until(end, node, orders, draw, random.Random(orders.seed * 100 + n)) for n in range(SUBMITTERS)]
        try:
            await asyncio.gather(*tasks)
        except UnavailableError as error:
            tell({"stopped": error.explain()})


async def submit_until(end: float, node: Node, orders: Orders, draw: Iterator[int], chance: random.Random) -> None:
    """Submit one batch after the other; each answer is told before the next submission."""
    made = Statements(node.log_id, orders.now)
    drawn = 0
    while time.monotonic() < end:
        size = chance.choice(SIZES)
        again = chance.random() < REPEATS
        if again and orders.previous and chance.random() < 0.5:
            raws = [made.make(orders.round - 1, chance.randrange(orders.previous)) for _ in range(size)]
        elif again and drawn:
            raws = [made.make(orders.round, chance.randrange(drawn)) for _ in range(size)]
        else:
            raws = [made.make(orders.round, next(draw)) for _ in range(size)]
            drawn = max(drawn, size)
        tell(told(await node.sequencer.submit(raws)))
        await asyncio.sleep(orders.pause)


def told(answer: Answer) -> dict[str, Any]:
    """An answer as a line."""
    refused = [o for o in answer.outcomes if not isinstance(o, Admitted)]
    return {
        "answers": [[o.index, o.leaf.hex(), o.duplicate] for o in answer.outcomes if isinstance(o, Admitted)],
        "refused": [f"{o.reason}: {o.error.explain()}" for o in refused],
        "runs": [[r.first, r.count, r.acknowledgement.hex(), [p.hex() for p in r.proof]] for r in answer.runs],
    }


def tell(line: dict[str, Any]) -> None:
    """Write a line to the pipe, whole unless killed meanwhile."""
    data = json.dumps(line).encode() + b"\n"
    while data:
        data = data[os.write(1, data) :]


def run(orders: Orders) -> int:
    """One life; the exit code: 0 stopped in order, 3 refused to start or a stage failed (told as "stopped")."""
    try:
        asyncio.run(live(orders))
    except LedgerError as error:
        tell({"stopped": error.explain()})
        return 3
    return 0
