"""The parts of the command line: each is found by its words, and is the same alone as beside the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from api.cli.main import PARTS, assemble

ROOT = Path(__file__).resolve().parents[2]


def commands(app: Any) -> dict[str, Any]:
    """Commands and groups by name, groups with the names of what is in them."""
    found = typer.main.get_command(app).commands
    return {name: sorted(getattr(command, "commands", {})) for name, command in found.items()}


def test_the_table_names_every_word_once():
    words = [word for part in PARTS for word in part.words]
    assert sorted(words) == sorted(commands(assemble()))


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.module)
def test_a_part_alone_has_the_same_commands_as_beside_the_others(part: Any):
    whole = commands(assemble())
    assert commands(assemble((part,))) == {word: whole[word] for word in part.words}


def test_verifying_offline_loads_neither_the_client_nor_the_node(tmp_path: Path):
    file = tmp_path / "empty"
    file.touch()
    script = (
        "import sys; from api.cli.main import main; code = main(['verify', sys.argv[1], '--policy', sys.argv[1]]);"
        "heavy = {'api.client', 'httpx', 'web3', 'plyvel', 'fastapi', 'rich.console', 'cryptography'};"
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(file)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.endswith(" []\n"), done.stdout + done.stderr
