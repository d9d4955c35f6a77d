"""What the demonstration prints. For a person: lines as things happen. For a machine (--json): nothing.

Parties are shown by their names where a text has their DIDs; everything else is shown as it was answered.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from api.demo.forgeries import Attempt
from api.demo.questions import Question

WIDTH = 118
_STYLES = {"valid": "green", "invalid": "red", "cannot tell": "yellow"}


class Screen:
    """Prints to a console; `quiet` prints nothing."""

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self.console = console or Console(quiet=quiet, highlight=False, markup=False, emoji=False)
        if not self.console.is_terminal or self.console.width > WIDTH:
            self.console.width = WIDTH
        self.names: Mapping[str, str] = {}

    def title(self, text: str, below: str) -> None:
        """The first lines."""
        title = Text(text, style="bold")
        self.console.print(Panel(Text(below), title=title, border_style="blue", padding=(0, 2), width=WIDTH))

    def act(self, number: int, text: str) -> None:
        """Begin a part."""
        self.console.print(Text.assemble("\n", (str(number), "bold blue"), "  ", (text, "bold")))

    @contextmanager
    def step(self, text: str) -> Iterator[list[str]]:
        """Say what is done and, when it is done, how long it took; lines added to the list follow."""
        start = time.perf_counter()
        more: list[str] = []
        with self.console.status(Text(f"   {text} …")):
            yield more
        seconds = f"{time.perf_counter() - start:.2f} s"
        self._hang(3, ("✓", "green"), Text.assemble(text, "  ", (seconds, "dim")))
        for line in more:
            self._hang(5, ("", ""), Text(line, style="dim"))

    def question(self, number: int, question: Question) -> None:
        """A question, its answer, every check, and those of the node's own steps that speak to it."""
        mark = ("proven", "green") if question.proven else ("NOT PROVEN", "bold red")
        self.console.print()
        self._hang(3, (f"Q{number}", "bold"), Text(question.title, style="bold"))
        self._hang(6, ("", ""), Text.assemble(self._named(question.answer), "  (", mark, ")"))
        for check in question.checks:
            sign = ("✓", "green") if check.passed else ("✗", "bold red")
            self._hang(6, sign, Text(self._named(check.text)))
            if check.rests_on:
                self._hang(8, ("", ""), Text(f"rests on: {check.rests_on}", style="dim"))
        self._report(question.report, question.steps)

    def _report(self, report: dict[str, Any], steps: Sequence[int]) -> None:
        others: dict[str, list[str]] = {}
        for step in report.get("steps", ()):
            verdict = step["verdict"]
            if step["step"] not in steps:
                others.setdefault(verdict, []).append(str(step["step"]))
                continue
            reason = (f"  {self._named(step['reason'])}", "dim")
            answer = Text.assemble(f"{step['name']}: ", (verdict, _STYLES.get(verdict, "")), reason)
            self._hang(8, (f"step {step['step']}", "dim"), answer)
        told = "; ".join(f"{', '.join(numbers)} {verdict}" for verdict, numbers in others.items())
        if told:
            self._hang(8, ("", ""), Text(f"the other steps: {told}", style="dim"))

    def attempts(self, attempts: Sequence[Attempt]) -> None:
        """The forgeries, with the reason of each refusal."""
        forgery = ""
        for attempt in attempts:
            if attempt.forgery != forgery:
                forgery = attempt.forgery
                self.console.print()
                self._hang(3, ("", ""), Text(forgery, style="bold"))
            sign = ("refused", "green") if attempt.as_expected else ("UNEXPECTED", "bold red")
            self._hang(5, ("", ""), Text(self._named(attempt.tried)))
            reason = Text.assemble((attempt.refused or "taken", "bold"), (f"  {self._named(attempt.detail)}", "dim"))
            self._hang(7, sign, reason)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table; the first column is text, the others numbers. Columns without names have no header."""
        table = Table(
            title=title, title_justify="left", title_style="bold", header_style="bold", border_style="dim",
            show_header=any(columns),
        )  # fmt: skip
        for place, column in enumerate(columns):
            table.add_column(column, justify="right" if place else "left", no_wrap=place > 0)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self.console.print()
        self.console.print(table)

    def links(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """Addresses and commands, never cut."""
        self.console.print(Text.assemble("\n", (title, "bold")))
        width = max(len(name) for name, _ in rows)
        for name, url in rows:
            self.console.print(Text.assemble(f"   {name.ljust(width)}  ", (url, "cyan")), soft_wrap=True)

    def said(self, command: str, text: str) -> None:
        """A command and what it said, or a part of that."""
        self.console.print()
        self._hang(3, ("$", "dim"), Text(command, style="cyan"))
        for line in text.rstrip().splitlines():
            indent = len(line) - len(line.lstrip())
            self._hang(5 + indent, ("", ""), Text(self._named(line.strip())))

    def line(self, text: str) -> None:
        """Say something."""
        self._hang(3, ("", ""), Text(text))

    def _hang(self, indent: int, mark: tuple[str, str], text: Text) -> None:
        """Print `mark`, and `text` beside it however many lines it takes."""
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=indent - 1)
        if mark[0]:
            grid.add_column(no_wrap=True)
            grid.add_column()
            grid.add_row("", Text(*mark), text)
        else:
            grid.add_column()
            grid.add_row("", text)
        self.console.print(grid)

    def _named(self, text: str) -> str:
        for did, name in self.names.items():
            text = text.replace(did, f"the {name}")
        return text
