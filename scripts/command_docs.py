"""Writes docs/commands.md from the help of `tial`, so that one text is both; a test keeps them equal.

Run it after a change of the command line: `.venv/bin/python scripts/command_docs.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer.main

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from api.cli.main import app  # noqa: E402 - found only after the line above

TARGET = ROOT / "docs" / "commands.md"
_HEAD = """\
# Commands of `tial`

Made from the help texts by `scripts/command_docs.py`; `tial COMMAND --help` says the same.
"""


def render() -> str:
    """Return the whole document."""
    command = typer.main.get_command(app)
    context = command.make_context("tial", [], resilient_parsing=True)
    parts = [_HEAD, _one_line(command.help), "", *_commands(command, context, "tial"), _one_line(command.epilog), ""]
    return "\n".join(parts)


def _commands(group: Any, context: Any, prefix: str) -> list[str]:
    lines: list[str] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        path = f"{prefix} {name}"
        if hasattr(command, "list_commands"):
            lines += _commands(command, context, path)
            continue
        usage = " ".join([path, *command.collect_usage_pieces(context)])
        lines += [f"## `{path}`", "", "\n\n".join(map(_one_line, (command.help or "").split("\n\n"))), ""]
        lines += [f"    {usage}", "", "| argument or option | meaning |", "|---|---|"]
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None:
                lines.append(f"| `{_one_line(record[0])}` | {_one_line(record[1])} |")
        lines.append("")
    return lines


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)} written")
