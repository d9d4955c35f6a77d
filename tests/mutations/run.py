"""Runs mutations: draws a kind, alters one of its files, and judges what the verifier makes of it.

Every mutation has a number; seed and number make it again. It is a *survivor* when it is valid and says something that
no honest file said, raises anything but an error of this project, or takes too long. Memory is bounded for the process:
the system refuses more than `MEMORY`, which ends in a survivor as well.
"""

from __future__ import annotations

import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from types import FrameType
from typing import NamedTuple

from ledger.errors import LedgerError
from tests.mutations import evidence_kinds, log_kinds
from tests.mutations.honest import Honest
from tests.mutations.kinds import Kind

SECONDS = 5
"""Processor time that one case may take."""

MEMORY = 1 << 30
"""Bytes of address space that a process may take beyond what it has when it begins."""

RSS = 400 << 20
"""Bytes of memory that a process may have in use at its peak."""


class TooSlowError(BaseException):
    """A case took more than `SECONDS`. No handler of ordinary exceptions may swallow it."""


class Survivor(NamedTuple):
    """A mutation that a verifier did not withstand: how to have it again, what went wrong, and the file."""

    seed: int
    number: int
    kind: str
    sample: str
    what: str
    raw: bytes

    def dump(self) -> str:
        """For people. A run of chosen kinds has numbers of its own: give the same `--kind` again."""
        return (
            f"SURVIVOR {self.kind}, made from {self.sample!r}: scripts/mutate 1 {self.seed} --only {self.number}\n"
            f"{self.what}\n{self.raw.hex()}\n"
        )


@dataclass
class Tally:
    """Counts by kind: mutations, those that left the file as it was, those that proved the same, seconds."""

    tried: Counter[str] = field(default_factory=Counter)
    unaltered: Counter[str] = field(default_factory=Counter)
    same: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    slowest: float = 0.0
    survivors: list[Survivor] = field(default_factory=list)
    peak: int = 0

    def add(self, other: Tally) -> None:
        """Take another process's counts in."""
        for ours, theirs in ((self.tried, other.tried), (self.unaltered, other.unaltered), (self.same, other.same)):
            ours.update(theirs)
        for name, seconds in other.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.slowest, self.peak = max(self.slowest, other.slowest), max(self.peak, other.peak)
        self.survivors += other.survivors


@cache
def all_kinds() -> tuple[Kind, ...]:
    """Every kind, with its honest files; made once in a process."""
    honest = Honest()
    return (*evidence_kinds.kinds(honest), *log_kinds.kinds(honest))


def run(seed: int, numbers: Iterable[int], kinds: Sequence[Kind]) -> Tally:
    """Make and judge the mutations with these numbers, of these kinds."""
    shares = [kind.share for kind in kinds]
    tally = Tally()
    with _bounded():
        for number in numbers:
            draw = Random(f"{seed}:{number}")
            (kind,) = draw.choices(kinds, shares)
            _one(kind, draw, seed, number, tally)
    tally.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return tally


def _one(kind: Kind, draw: Random, seed: int, number: int, tally: Tally) -> None:
    sample, donor, raw = kind.altered(draw)
    tally.tried[kind.name] += 1
    if raw in kind.known:
        tally.unaltered[kind.name] += 1
        return
    what = ""
    began = time.perf_counter()
    try:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        claim = kind.check(raw)
        signal.setitimer(signal.ITIMER_PROF, 0)
        if claim is not None:
            tally.same[kind.name] += 1
            if kind.false(sample, donor, claim):
                what = f"valid, and says: {claim}"
    except LedgerError as error:
        signal.setitimer(signal.ITIMER_PROF, 0)
        error.explain()  # what is told of it must be sayable, whatever the file holds
    except (Exception, TooSlowError):  # noqa: BLE001 - whatever it is, it is what we look for
        signal.setitimer(signal.ITIMER_PROF, 0)
        what = traceback.format_exc()
    took = time.perf_counter() - began
    tally.seconds[kind.name] = tally.seconds.get(kind.name, 0.0) + took
    tally.slowest = max(tally.slowest, took)
    if what:
        tally.survivors.append(Survivor(seed, number, kind.name, sample.name, what, raw))


@contextmanager
def _bounded() -> Iterator[None]:
    """Bound the time of a case and the memory of the process, and take the bounds away again."""

    def too_slow(_number: int, _frame: FrameType | None) -> None:
        raise TooSlowError(f"more than {SECONDS} seconds")

    held = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    before, handler = resource.getrlimit(resource.RLIMIT_AS), signal.signal(signal.SIGPROF, too_slow)
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, before[1]))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGPROF, handler)
