"""The auditor's page and the format of the report say what the code checks."""

from __future__ import annotations

import re

from ledger.evidence.audit_report import CHECKS, REPLAYED
from ledger.evidence.split_view import _SHAPES
from tests.docs.format_examples import DOCUMENT

TEXT = DOCUMENT.read_text(encoding="utf-8")
PAGE = (DOCUMENT.parent / "audit.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_check_of_a_report_is_listed_in_order() -> None:
    table = section("Audit report").partition("| code |")[2]
    assert re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE) == list(CHECKS)
    assert "first six checks" in section("Audit report")
    assert set(list(CHECKS)[:6]) == REPLAYED


def test_every_kind_of_split_view_proof_is_listed() -> None:
    assert re.findall(r"^\| `([a-z]+)` \|", section("Split-view proof"), re.MULTILINE) == list(_SHAPES)


def test_the_options_named_on_the_auditors_page_exist() -> None:
    commands = (DOCUMENT.parent / "commands.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![-\w])--[a-z][a-z-]+", PAGE))
    assert {option for option in named if option not in commands} == set()
