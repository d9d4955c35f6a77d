"""The documents say what the code does: worked examples, tables of fields, types and settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ledger.state.records import KINDS
from ledger.statements.types import TYPES
from tests.docs.format_examples import DOCUMENT, Examples, blocks

TEXT = DOCUMENT.read_text(encoding="utf-8")
CLAIM_NAMES = {4: "exp", 5: "nbf"}
EVERYWHERE = {1, 2, 3, 6}


@pytest.fixture(scope="module")
def examples() -> dict[str, str]:
    return Examples().all()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def test_every_worked_example_is_what_the_code_makes_today(examples: dict[str, str]) -> None:
    shown = dict(blocks(TEXT))
    for name, content in shown.items():
        assert content == examples[name], f"{name}: run python docs/make_examples.py"


def test_no_example_is_left_out_of_the_document(examples: dict[str, str]) -> None:
    assert set(dict(blocks(TEXT))) == set(examples)


def test_an_altered_example_is_noticed(examples: dict[str, str]) -> None:
    name, content = next(blocks(TEXT))
    assert content.replace("a", "b", 1) != examples[name]


def test_the_examples_are_the_same_each_time(examples: dict[str, str]) -> None:
    assert Examples().all() == examples


@pytest.mark.parametrize("kind", KINDS)
def test_the_field_table_of_each_record_has_its_fields_in_order(kind: str) -> None:
    section = TEXT.partition(f"#### `{kind}`:")[2].partition("\n#")[0]
    listed = [cells(line)[0] for line in section.splitlines() if line.startswith("|")][2:]
    assert ["touches", "head", "last", *listed] == list(KINDS[kind]._fields)


@pytest.mark.parametrize("name", TYPES)
def test_the_table_of_types_has_the_claims_and_members_of_each(name: str) -> None:
    table = TEXT.partition("### Statement types\n")[2].partition("\n### ")[0]
    row = next(cells(line) for line in table.splitlines() if line.startswith(f"| {name} | "))
    _, subjects, claims, payload = row
    entry = TYPES[name]
    assert {word.strip() for word in subjects.split(",")} == {
        word for word in entry.subjects if word != "actor" or name in {"actor", "rotation", "compromise"}
    }
    marked = {
        CLAIM_NAMES.get(claim, claim) + "!" * (claim in entry.claims.required)
        for claim in entry.claims.names - EVERYWHERE
    }
    assert {word.strip() for word in claims.split(",") if word.strip()} == marked
    if entry.body is None:
        assert payload == "document digest"
    else:
        members = {str(member) + "!" * (member in entry.body.required) for member in entry.body.names}
        assert set(re.findall(r"[a-z]+!?", payload.replace("(at least one)", ""))) == members


def test_every_document_that_is_linked_is_there() -> None:
    folder = DOCUMENT.parent
    for path in (folder.parent / "README.md", *folder.glob("**/*.md")):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (path.parent / Path(target)).exists(), f"{path.name} links {target}"
