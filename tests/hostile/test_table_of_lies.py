"""The table of lies in docs/verification.md is the list of tests here: one each, and none that nobody tries."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "verification.md"
HEADING = "## Lies that an operator may try"
PREFIX = "test_the_operator_"


def tried() -> list[str]:
    """Names of the tests, without the prefix."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(HERE.glob("test_lies_about_*.py"))]
    return [node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]


def told() -> list[list[str]]:
    """The rows of the table, each cell without its spaces."""
    _, found, rest = PAGE.read_text(encoding="utf-8").partition(HEADING)
    assert found
    rows = re.findall(r"^\|(.+)\|$", rest.partition("\n## ")[0], re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in rows[2:]]


def test_every_lie_in_the_table_is_tried_and_every_one_that_is_tried_is_in_the_table() -> None:
    tests = [name for name in tried() if name.startswith("test_")]
    assert all(name.startswith(PREFIX) for name in tests)
    lies = [re.sub(r"[^a-z]+", "_", lie.lower()) for lie, *_ in told()]
    assert sorted(lies) == sorted(name.removeprefix(PREFIX) for name in tests)
    assert len(lies) == len(set(lies)) == 15


def test_every_row_says_who_notices_by_what_and_which_file_proves_it() -> None:
    assert all(len(row) == 4 and all(row) for row in told())
