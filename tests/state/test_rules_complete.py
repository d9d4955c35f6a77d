"""No rule without a test: every reason is refused with, and every type accepted, by a test of this folder.

`must_refuse` and `accepts` prove at run time that a test does what it says; here only their presence is counted.
"""

from __future__ import annotations

import re
from pathlib import Path

from ledger.state.reasons import EXPLANATIONS, REMEDIES, Reason, refuse
from ledger.statements.types import TYPES

HERE = Path(__file__)
SOURCES = "\n".join(path.read_text() for path in HERE.parent.glob("test_rules_*.py") if path.name != HERE.name)


def test_every_reason_is_the_outcome_of_some_test():
    direct = set(re.findall(r"must_refuse\(\s*Reason\.([A-Z_]+)", SOURCES))
    parametrised = set(re.findall(r"^ +\(Reason\.([A-Z_]+), genesis", SOURCES, re.MULTILINE))
    assert {reason.name for reason in Reason} == direct | parametrised


def test_every_type_is_accepted_by_some_test():
    named = {name for names in re.findall(r"@accepts\(([^)]*)\)", SOURCES) for name in re.findall(r'"(\w+)"', names)}
    assert set(TYPES) == named


def test_every_reason_explains_itself():
    assert set(EXPLANATIONS) == set(Reason)
    assert len({reason.value for reason in Reason}) == len(Reason)
    assert all(text.endswith(".") for text in EXPLANATIONS.values())


def test_every_reason_says_what_a_person_can_do():
    """Except those that only the program of a log's operator can cause."""
    assert set(Reason) - set(REMEDIES) == {Reason.GENESIS_MISPLACED, Reason.BATCH_MISMATCH, Reason.TIME_BACKWARDS}
    assert not [text for text in REMEDIES.values() if text.endswith(".") or text.strip() != text]
    error = refuse(Reason.ROTATION_PENDING, "Entry 7.", where="claims.sub")
    assert error.remedy == REMEDIES[Reason.ROTATION_PENDING]
    assert error.explain() == (
        "A rotation is pending. Entry 7 (at claims.sub). Wait until it takes effect, or cancel it"
    )
    assert refuse(Reason.TIME_BACKWARDS).explain() == EXPLANATIONS[Reason.TIME_BACKWARDS]
