"""The gap between log time and the clock when a node starts."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest

from ledger.errors import RefusedStartError
from node.clock import MAX_IDLE, UNUSUAL
from node.node import Node
from tests.nodes import make_log

NOW = int(time.time())


class FixedClock:
    """A clock that runs, but from a moment of the test's choosing."""

    def __init__(self, start: int) -> None:
        self._ahead = start - time.time()

    def wall(self) -> float:
        return time.time() + self._ahead

    def monotonic(self) -> float:
        return time.monotonic()


def start(tmp_path: Path, ahead: int, *, checked: bool = False) -> None:
    config = make_log(tmp_path, now=NOW)

    async def story() -> None:
        async with Node(config, clock=FixedClock(NOW + ahead), clock_checked=checked):
            pass

    asyncio.run(story())


def test_a_clock_far_ahead_of_log_time_needs_the_operators_word(tmp_path: Path):
    with pytest.raises(RefusedStartError, match="90 days ahead of log time"):
        start(tmp_path / "a", MAX_IDLE + 10)
    start(tmp_path / "b", MAX_IDLE + 10, checked=True)


@pytest.mark.parametrize(("ahead", "said"), [(UNUSUAL + 10, True), (60, False)])
def test_an_unusual_gap_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture, ahead: int, said: bool):
    with caplog.at_level(logging.WARNING):
        start(tmp_path, ahead)
    assert any("the clock is ahead" in record.message for record in caplog.records) is said
