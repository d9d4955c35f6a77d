"""The page about verification names the steps as the code does."""

from __future__ import annotations

import re
from pathlib import Path

from ledger.evidence.report import STEPS, STEPS_ZH

PAGE = Path(__file__).resolve().parents[2] / "docs" / "verification.md"


def test_the_pages_table_is_the_table_of_steps():
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {int(number): name for number, name, _ in rows} == STEPS
    assert {int(number): name for number, _, name in rows} == STEPS_ZH


def test_the_page_says_what_no_step_can_promise():
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert "Between two anchors only the witness quorum prevents a split view." in text
