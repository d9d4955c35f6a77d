"""The report of a verification: numbered steps, each with one of three verdicts (DESIGN rule 8 and section 8).

Owns the table of steps, which code, documentation and reports share, and the two forms of a report: a JSON object and
plain text. Judges nothing itself; the only rule here is how the answers of the steps add up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ledger.errors import MalformedError
from ledger.evidence.messages import CHINESE, ENGLISH, Said, moment, told

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
STEPS_ZH: Final[dict[int, str]] = {
    1: "容器格式",
    2: "算法套件",
    3: "文档摘要与声明项映射",
    4: "声明签名",
    5: "包含证明",
    6: "清单",
    7: "状态证明",
    8: "检查点",
    9: "见证方",
    10: "链",
    11: "签发时签发方是否有权",
    12: "签发方现在是否有权",
    13: "状态",
    14: "时效",
}
"""The same names in Chinese."""
STATEMENT: Final = "statement"
ABSENCE: Final = "absence"
HISTORY: Final = "history"


class Verdict(StrEnum):
    """What a step, or a whole report, answers. A failure to find out is never one of the other two."""

    VALID = "valid"
    INVALID = "invalid"
    CANNOT_TELL = "cannot tell"

    def text(self, lang: str = ENGLISH) -> str:
        """The verdict in English or Chinese."""
        return _VERDICTS_ZH[self.value] if lang == CHINESE else self.value


_VERDICTS_ZH: Final = {"valid": "有效", "invalid": "无效", "cannot tell": "无法判断"}
_WORDS: Final = {
    ENGLISH: (" (does not decide)", "rests on: ", "at ", "size ", "not answered, but required"),
    CHINESE: ("（不作决定）", "依据：", "时点：", "大小 ", "未回答，但为必需"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """The answer of one step.

    `said` is the reason. `rests_on` names what has to be believed for the answer to hold; empty where it is mere
    arithmetic. `size` is the log size that it holds at, `time` the Unix second; None where neither plays a part.
    """

    number: int
    verdict: Verdict
    said: Said
    rests_on: tuple[Said, ...] = ()
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

    @property
    def reason(self) -> str:
        """The reason in English."""
        return str(told(self.said))

    def as_json(self) -> dict[str, Any]:
        """The step as a JSON object, in both languages; what plays no part is left out."""
        shown: dict[str, Any] = {
            "step": self.number,
            "name": self.name,
            "name_zh": STEPS_ZH[self.number],
            "verdict": self.verdict.value,
            "reason": self.reason,
            "reason_zh": told(self.said, CHINESE),
            "rests_on": [told(thing) for thing in self.rests_on],
        }
        return shown | {name: at for name, at in (("size", self.size), ("time", self.time)) if at is not None}


@dataclass(frozen=True, slots=True)
class Report:
    """Steps in the order of their numbers, and what they were about.

    `claim` says what would be valid: a statement (`STATEMENT`), that something does not exist (`ABSENCE`), or that this
    is all that was ever said of something (`HISTORY`).
    `required` are the steps without whose answer the whole cannot be valid. `informative` are steps that answer a
    question of their own and decide nothing: a registration stays what it is after its delegation was revoked.
    """

    about: Said
    steps: tuple[Step, ...]
    required: frozenset[int]
    informative: frozenset[int] = frozenset()
    claim: str = STATEMENT

    def __post_init__(self) -> None:
        """Refuse a step that answers twice, and one that is both required and informative (MalformedError)."""
        numbers = [step.number for step in self.steps]
        if numbers != sorted(set(numbers)):
            raise MalformedError("each step answers once, in the order of the numbers", where="steps")
        if self.required & self.informative or not self.required <= STEPS.keys():
            raise MalformedError("a required step is one of the table that may decide", where="required")

    @classmethod
    def of(
        cls,
        about: Said,
        steps: Iterable[Step],
        required: Iterable[int],
        informative: Iterable[int] = (),
        claim: str = STATEMENT,
    ) -> Report:
        """Build a report from steps in any order."""
        ordered = tuple(sorted(steps, key=lambda step: step.number))
        return cls(about, ordered, frozenset(required), frozenset(informative), claim)

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
        """All that has to be believed for the steps that answered valid, each named once, in English."""
        return self._rests_on(ENGLISH)

    def _rests_on(self, lang: str) -> tuple[str, ...]:
        valid = [step for step in self.steps if step.verdict is Verdict.VALID]
        return tuple(dict.fromkeys(told(thing, lang) for step in valid for thing in step.rests_on))

    def step(self, number: int) -> Step | None:
        """The answer of one step, None where it was not asked."""
        return next((step for step in self.steps if step.number == number), None)

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "about": told(self.about),
            "claim": self.claim,
            "verdict": self.overall.value,
            "steps": [step.as_json() | {"weight": self._weight(step.number)} for step in self.steps],
            "required": sorted(self.required),
            "rests_on": list(self.rests_on),
        }

    def as_text(self, lang: str = ENGLISH) -> str:
        """The report for people: one line a step, the reason and what it rests on below it.

        `lang` is a language of `ledger.evidence.messages`; MalformedError for another.
        """
        about = told(self.about, lang)  # refuses an unknown language, if it is a message
        names = STEPS_ZH if lang == CHINESE else STEPS
        note, rests, at, size, unanswered = _WORDS.get(lang, _WORDS[ENGLISH])
        lines = [f"{self.overall.text(lang).upper()}: {about}"]
        for step in self.steps:
            mark = note if step.number in self.informative else ""
            lines.append(f"{step.number:3}  {_padded(names[step.number])} {step.verdict.text(lang)}{mark}")
            lines.append(f"     {told(step.said, lang)}")
            if step.rests_on:
                lines.append(f"     {rests}{'; '.join(told(thing, lang) for thing in step.rests_on)}")
            when = [f"{size}{step.size}"] if step.size is not None else []
            when += [moment(step.time)] if step.time is not None else []
            if when:
                lines.append(f"     {at}{', '.join(when)}")
        missing = sorted(self.required - {step.number for step in self.steps})
        lines += [f"{number:3}  {_padded(names[number])} {unanswered}" for number in missing]
        return "\n".join(lines) + "\n"

    def _weight(self, number: int) -> str:
        if number in self.informative:
            return "informative"
        return "required" if number in self.required else "optional"


def _padded(name: str) -> str:
    """The name in 36 columns; a Chinese character takes two."""
    width = sum(1 if sign.isascii() else 2 for sign in name)
    return name + " " * (36 - width)
