"""The node's clock, and the guard that stops it where the clock cannot be believed (DESIGN rule 4)."""

from __future__ import annotations

import logging
import time
from typing import Final, Protocol

from ledger.errors import LedgerError, RefusedStartError

log = logging.getLogger(__name__)

MAX_LEAP = 60.0
"""Seconds by which wall clock and monotonic clock may drift apart while the node runs."""


MAX_IDLE: Final = 90 * 86_400
"""Seconds since the last manifest beyond which a start asks for the operator's word that the clock is right."""
UNUSUAL: Final = 86_400
"""Seconds since the last manifest beyond which a start says so in its log."""


class ClockError(LedgerError):
    """The clock stands behind log time or leapt: nothing more may be stamped with it."""

    code = "clock"


class Clock(Protocol):
    """Wall clock and monotonic clock, both in seconds."""

    def wall(self) -> float:
        """Unix time."""

    def monotonic(self) -> float:
        """A clock that only grows."""


class SystemClock:
    """The machine's clocks."""

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class ClockGuard:
    """Gives the time in whole seconds, or refuses.

    A clock set back below log time, or one that leaps by more than a minute against the monotonic clock, would let
    expired rights act or order history wrongly: the node stops and an operator looks.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = clock.wall() - clock.monotonic()

    def now(self, log_time: int) -> int:
        """Unix seconds, at least `log_time`; ClockError otherwise."""
        wall = self._clock.wall()
        leap = wall - self._clock.monotonic() - self._offset
        if abs(leap) > MAX_LEAP:
            raise ClockError(
                f"The wall clock leapt by {leap:.0f} s against the monotonic clock",
                remedy="Set the clock right (NTP) and start the node again",
            )
        if int(wall) < log_time:
            raise ClockError(
                f"The clock ({int(wall)}) is behind log time ({log_time})",
                remedy="Set the clock right (NTP) and start the node again",
            )
        return int(wall)


def check_start(clock: Clock, log_time: int, *, checked: bool) -> None:
    """Look at the gap between log time and a clock that is about to be written into the log for ever.

    Nothing that a node can ask bounds the present from above, so a clock that is ahead cannot be told from a log that
    was idle. A gap of more than a day is said, one of more than 90 days needs the operator's word (`checked`).

    Raises:
        RefusedStartError: the gap is that long, and nobody gave the word.

    """
    gap = int(clock.wall()) - log_time
    if gap > UNUSUAL:
        log.warning("the log was idle, or the clock is ahead", extra={"seconds": gap, "log_time": log_time})
    if gap > MAX_IDLE and not checked:
        raise RefusedStartError(
            f"The clock ({int(clock.wall())}) is {gap // 86_400} days ahead of log time ({log_time})",
            where="clock",
            remedy="A wrong time would stand in the log for ever. Check the date, then start with --clock-checked",
        )
