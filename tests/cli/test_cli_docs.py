"""The help texts are the documentation, and everything that the help promises is there."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from api.cli.errors import EXIT_CODES
from tests.cli.conftest import tial

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def helper() -> ModuleType:
    spec = importlib.util.spec_from_file_location("command_docs", ROOT / "scripts" / "command_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_document_equals_the_help(helper: ModuleType) -> None:
    assert helper.TARGET.read_text(encoding="utf-8") == helper.render(), "run scripts/command_docs.py"


def test_the_readme_lists_every_command(helper: ModuleType) -> None:
    text = helper.README.read_text(encoding="utf-8")
    assert text == helper.render_readme(text), "run scripts/command_docs.py"
    assert "| `tial register` |" in text


def test_every_command_takes_the_options_of_every_command(helper: ModuleType) -> None:
    sections = helper.render().split("\n## ")[1:]
    assert len(sections) >= 25
    for section in sections:
        for option in ("--json", "--config", "--url", "--passphrase-file"):
            assert option in section, section.splitlines()[0]


def test_the_help_names_every_exit_code() -> None:
    ran = tial("--help")
    assert ran.code == 0
    flat = " ".join(ran.out.split())
    assert all(f"{code.value} {meaning}" in flat for code, meaning in EXIT_CODES.items())


def test_completion_knows_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TIAL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "tial reg")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert "register" in tial().out
