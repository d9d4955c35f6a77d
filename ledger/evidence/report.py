"""The report of a verification: numbered steps, each with one of three verdicts (DESIGN rule 8 and section 8).

Owns the table of steps, which code, documentation and reports share, and the two forms of a report: a JSON object and
plain text. Judges nothing itself; the only rule here is how the answers of the steps add up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from ledger.errors import MalformedError

STEPS: Final[dict[int, str]] = {
    1: "container",
    2: "suites",
    3: "document digests and claim mapping",
    4: "statement signatures",
    5: "inclusion",
    6: "manifest",
    7: "state proofs",
    8: "checkpoint",
    9: "witnesses",
    10: "chain",
    11: "issuer entitled at issuance",
    12: "issuer entitled now",
    13: "status",
    14: "freshness",
}
"""Numbers and names of the verification steps (DESIGN section 8)."""

_LATEST: Final = 253_402_300_799  # end of the year 9999, the last that the calendar of the text form can show


class Verdict(StrEnum):
    """What a step, or a whole report, answers. A failure to find out is never one of the other two."""

    VALID = "valid"
    INVALID = "invalid"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Step:
    """The answer of one step.

    `rests_on` names what has to be believed for the answer to hold; empty where it is arithmetic over what is shown.
    `size` is the log size that it holds at, `time` the Unix second; None where neither plays a part.
    """

    number: int
    verdict: Verdict
    reason: str
    rests_on: tuple[str, ...] = ()
    size: int | None = None
    time: int | None = None

    def __post_init__(self) -> None:
        """Refuse a number that is not in the table (MalformedError)."""
        if self.number not in STEPS:
            raise MalformedError(f"there is no verification step {self.number}", where="number")

    @property
    def name(self) -> str:
        """The step's name in the table."""
        return STEPS[self.number]

    def as_json(self) -> dict[str, Any]:
        """The step as a JSON object; what plays no part is left out."""
        shown: dict[str, Any] = {
            "step": self.number,
            "name": self.name,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "rests_on": list(self.rests_on),
        }
        return shown | {name: at for name, at in (("size", self.size), ("time", self.time)) if at is not None}


@dataclass(frozen=True, slots=True)
class Report:
    """Steps in the order of their numbers, and what they were about.

    `required` are the steps without whose answer the whole cannot be valid. `informative` are steps that answer a
    question of their own and decide nothing: a registration stays what it is after its delegation was revoked.
    """

    about: str
    steps: tuple[Step, ...]
    required: frozenset[int]
    informative: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        """Refuse a step that answers twice, and one that is both required and informative (MalformedError)."""
        numbers = [step.number for step in self.steps]
        if numbers != sorted(set(numbers)):
            raise MalformedError("each step answers once, in the order of the numbers", where="steps")
        if self.required & self.informative or not self.required <= STEPS.keys():
            raise MalformedError("a required step is one of the table that may decide", where="required")

    @classmethod
    def of(cls, about: str, steps: Iterable[Step], required: Iterable[int], informative: Iterable[int] = ()) -> Report:
        """Build a report from steps in any order."""
        ordered = tuple(sorted(steps, key=lambda step: step.number))
        return cls(about, ordered, frozenset(required), frozenset(informative))

    @property
    def overall(self) -> Verdict:
        """Invalid if a deciding step is; else cannot tell unless every required step is there and valid; else valid."""
        deciding = [step for step in self.steps if step.number not in self.informative]
        if any(step.verdict is Verdict.INVALID for step in deciding):
            return Verdict.INVALID
        valid = {step.number for step in deciding if step.verdict is Verdict.VALID}
        return Verdict.VALID if self.required and self.required <= valid else Verdict.CANNOT_TELL

    @property
    def rests_on(self) -> tuple[str, ...]:
        """All that has to be believed for the steps that answered valid, each named once."""
        named = [thing for step in self.steps if step.verdict is Verdict.VALID for thing in step.rests_on]
        return tuple(dict.fromkeys(named))

    def step(self, number: int) -> Step | None:
        """The answer of one step, None where it was not asked."""
        return next((step for step in self.steps if step.number == number), None)

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "about": self.about,
            "verdict": self.overall.value,
            "steps": [step.as_json() | {"weight": self._weight(step.number)} for step in self.steps],
            "required": sorted(self.required),
            "rests_on": list(self.rests_on),
        }

    def as_text(self) -> str:
        """The report for people: one line a step, the reason and what it rests on below it."""
        lines = [f"{self.overall.value.upper()}: {self.about}"]
        for step in self.steps:
            note = " (does not decide)" if step.number in self.informative else ""
            lines.append(f"{step.number:3}  {step.name:36} {step.verdict.value}{note}")
            lines.append(f"     {step.reason}")
            if step.rests_on:
                lines.append(f"     rests on: {'; '.join(step.rests_on)}")
            at = [f"size {step.size}"] if step.size is not None else []
            at += [_moment(step.time)] if step.time is not None else []
            if at:
                lines.append(f"     at {', '.join(at)}")
        missing = sorted(self.required - {step.number for step in self.steps})
        lines += [f"{number:3}  {STEPS[number]:36} not answered, but required" for number in missing]
        return "\n".join(lines) + "\n"

    def _weight(self, number: int) -> str:
        if number in self.informative:
            return "informative"
        return "required" if number in self.required else "optional"


def _moment(seconds: int) -> str:
    if not 0 <= seconds <= _LATEST:
        return f"second {seconds}"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
