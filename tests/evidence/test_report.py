"""How answers add up, and how a report reads."""

from __future__ import annotations

import json

import pytest

from ledger.errors import MalformedError
from ledger.evidence.report import STEPS, Report, Step, Verdict

VALID, INVALID, CANNOT_TELL = Verdict.VALID, Verdict.INVALID, Verdict.CANNOT_TELL


def report(*verdicts: tuple[int, Verdict], required: set[int], informative: tuple[int, ...] = ()) -> Report:
    return Report.of("a thing", [Step(n, v, "because") for n, v in verdicts], required, informative)


def test_there_are_fourteen_steps_in_the_order_of_the_design():
    assert list(STEPS) == list(range(1, 15))
    assert (STEPS[1], STEPS[5], STEPS[11], STEPS[14]) == (
        "container", "inclusion", "issuer entitled at issuance", "freshness",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "required", "informative", "overall"),
    [
        (((4, VALID), (5, VALID)), {4, 5}, (), VALID),
        (((4, VALID), (5, INVALID)), {4}, (), INVALID),
        (((4, CANNOT_TELL), (5, INVALID)), {4}, (), INVALID),
        (((4, VALID), (5, CANNOT_TELL)), {4}, (), VALID),
        (((4, VALID), (5, CANNOT_TELL)), {4, 5}, (), CANNOT_TELL),
        (((4, VALID),), {4, 5}, (), CANNOT_TELL),
        (((4, VALID),), set(), (), CANNOT_TELL),
        ((), {4}, (), CANNOT_TELL),
        (((4, VALID), (12, INVALID)), {4}, (12,), VALID),
    ],
)
def test_answers_add_up(verdicts, required, informative, overall):
    assert report(*verdicts, required=required, informative=informative).overall is overall


def test_a_step_answers_once_and_is_one_of_the_table():
    with pytest.raises(MalformedError):
        report((4, VALID), (4, VALID), required={4})
    with pytest.raises(MalformedError):
        Step(15, VALID, "")
    with pytest.raises(MalformedError):
        report((12, VALID), required={12}, informative=(12,))


def test_both_forms_say_the_same():
    step = Step(13, VALID, "It is active", ("somebody's word",), size=7, time=1_750_000_000)
    made = Report.of("a thing", [step, Step(9, CANNOT_TELL, "none", time=1 << 60)], {5, 13})
    shown = json.loads(json.dumps(made.as_json()))
    assert shown["verdict"] == "cannot tell"
    assert [s["step"] for s in shown["steps"]] == [9, 13]
    assert shown["steps"][1]["weight"] == "required"
    assert shown["rests_on"] == ["somebody's word"]
    text = made.as_text()
    for piece in ("CANNOT TELL", "It is active", "somebody's word", "size 7", "2025-06-15", "not answered"):
        assert piece in text
