"""Writes docs/commands.md and the table in README.md from the help of `tial`: one text, held equal by a test.

Run it after a change of the command line: `.venv/bin/python scripts/command_docs.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from api.cli.main import assemble  # noqa: E402 - found only after the line above

TARGET = ROOT / "docs" / "commands.md"
README = ROOT / "README.md"
_BEGIN, _END = "<!-- commands -->\n", "<!-- /commands -->\n"
_HEAD = """\
# Commands of `tial`

Made from the help texts by `scripts/command_docs.py`; `tial COMMAND --help` says the same.
"""


def render() -> str:
    """Return the whole document."""
    command = typer.main.get_command(assemble())
    context = command.make_context("tial", [], resilient_parsing=True)
    parts = [_HEAD, _one_line(command.help), "", *_commands(command, context, "tial"), _one_line(command.epilog), ""]
    return "\n".join(parts)


def render_readme(text: str) -> str:
    """Return the README with a line for each command between its markers."""
    command = typer.main.get_command(assemble())
    context = command.make_context("tial", [], resilient_parsing=True)
    rows = ["", "| command | what it does |", "|---|---|"]
    for path, leaf in _leaves(command, context, "tial"):
        first = (leaf.help or "").split("\n\n", maxsplit=1)[0]
        rows.append(f"| `{path}` | {_one_line(first)} |")
    more = "\nAll options: [docs/commands.md](docs/commands.md), or `tial COMMAND --help`.\n\n"
    before, after = text.split(_BEGIN, maxsplit=1)[0], text.split(_END)[1]
    return before + _BEGIN + "\n".join(rows) + "\n" + more + _END + after


def _leaves(group: Any, context: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with its full name."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        path = f"{prefix} {name}"
        if hasattr(command, "list_commands"):
            yield from _leaves(command, context, path)
        else:
            yield path, command


def _commands(group: Any, context: Any, prefix: str) -> list[str]:
    lines: list[str] = []
    for path, command in _leaves(group, context, prefix):
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
    README.write_text(render_readme(README.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)} and the table in {README.name} written")
