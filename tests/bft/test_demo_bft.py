"""The demonstration on a BFT network: a stranger believes an anchor by the validators' signatures, offline."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.demo.aside import run
from api.demo.officer import CERTIFICATE, POLICY
from api.demo.stage import Stage

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def played(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The folder of a demonstration, and what it said."""
    folder = tmp_path_factory.mktemp("demo") / "stage"
    options = ["--bft", "--items", "100", "--certificates", "10", "--folder", str(folder), "--json"]
    command = [sys.executable, "-m", "api.cli.main", "demo", *options]
    try:
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        yield folder, json.loads(done.stdout)
    finally:
        Stage(folder).stop()


def test_every_question_is_proven_as_on_the_embedded_chain(played: tuple[Path, dict[str, Any]]):
    _, told = played
    assert told["ok"]
    assert all(question["proven"] for question in (*told["questions"], *told["strangers"]))


def test_the_stranger_needs_the_validators_and_no_network(played: tuple[Path, dict[str, Any]]):
    folder, _ = played
    officer = folder / "officer"
    words = ["-m", "api.offline", CERTIFICATE, "--policy", POLICY]
    done = run(words, officer, shown="", cut_off=True)
    assert done.code == 0, done.said
    assert "signed by" in done.said
    policy = officer / POLICY
    honest = policy.read_text()
    validators = honest.partition("[[chain.validator]]")[2]
    first = next(line for line in validators.splitlines() if line.startswith("key ="))
    try:
        policy.write_text(honest.replace(first, f'key = "{"11" * 32}"'))
        doubted = run(words, officer, shown="", cut_off=True)
    finally:
        policy.write_text(honest)
    assert doubted.code == 4, doubted.said
