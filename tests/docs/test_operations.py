"""The operator's page lists every setting with its default, every metric, and only texts that the code says."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from node.anchor.status import WorkerState
from node.config import SECTIONS, Config

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines[1:]]


def settings() -> dict[str, str]:
    found = {item.name: str(item.default) for item in fields(Config) if item.name in {"data", "lock"}}
    for name, kind in SECTIONS.items():
        for item in fields(kind):
            assert item.default is not MISSING
            found[f"{name}.{item.name}"] = str(item.default).replace("False", "false").replace("True", "true")
    return found


def test_every_setting_is_listed_in_order_with_its_default() -> None:
    listed = {key.strip("`"): default.strip("`") for key, default, _ in rows(section("Configure"))}
    assert listed == settings()
    assert list(listed) == list(settings())


def test_a_setting_that_does_not_exist_would_be_noticed() -> None:
    assert "http.colour" not in settings()


@pytest.mark.parametrize("row", rows(section("When the node refuses or stops")), ids=lambda row: row[0][:40])
def test_the_texts_quoted_are_the_texts_that_the_code_says(row: list[str]) -> None:
    sources = "".join(
        path.read_text(encoding="utf-8") for top in ("ledger", "node") for path in (ROOT / top).rglob("*.py")
    )
    for quoted in re.findall(r"`([^`]+)`", row[0]):
        words = quoted.replace("cannot append", "append")  # the action stands apart from the words before it
        assert words in sources, quoted


def test_every_state_of_the_anchor_worker_is_explained_save_the_passing_ones() -> None:
    explained = {row[0].strip("`") for row in rows(section("Chain"))}
    assert explained == {state.value for state in WorkerState} - {"starting", "stopped"}


def test_the_metrics_listed_are_those_that_the_node_has() -> None:
    source = (ROOT / "node" / "metrics.py").read_text(encoding="utf-8")
    plain = set(re.findall(r'"(tial_[a-z_]+)"', source)) - {"tial_refused"} | {"tial_refused_total"}
    counted = {f"tial_anchor_{name}_total" for name in re.findall(r'\("([a-z_]+)", status\.', source)}
    assert {row[0].strip("`") for row in rows(section("Metrics and alerts"))} == plain | counted
