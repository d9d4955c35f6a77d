"""What the demonstration prints. For a person: lines as things happen. For a machine (--json): nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from api.demo.forgeries import Attempt
from api.demo.questions import Question

WIDTH = 118
_VERDICTS = {"valid": "[green]valid[/]", "invalid": "[red]invalid[/]", "cannot tell": "[yellow]cannot tell[/]"}


class Screen:
    """Prints to a console; `quiet` prints nothing."""

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self.console = console or Console(quiet=quiet, highlight=False)
        if not self.console.is_terminal or self.console.width > WIDTH:
            self.console.width = WIDTH

    def title(self, text: str, below: str) -> None:
        """The first lines."""
        self.console.print(Panel(escape(below), title=f"[bold]{escape(text)}[/]", border_style="blue", padding=(0, 2)))

    def act(self, number: int, text: str) -> None:
        """Begin a part."""
        self.console.print(f"\n[bold blue]{number}[/]  [bold]{escape(text)}[/]")

    def line(self, text: str) -> None:
        """Say something that is so."""
        self.console.print(f"   {escape(text)}")

    @contextmanager
    def step(self, text: str) -> Iterator[list[str]]:
        """Say what is done and, when it is done, how long it took; lines added to the list follow."""
        start = time.perf_counter()
        more: list[str] = []
        with self.console.status(f"   {escape(text)} …"):
            yield more
        self.console.print(f"   [green]✓[/] {escape(text)}  [dim]{time.perf_counter() - start:.2f} s[/]")
        for line in more:
            self.console.print(f"     [dim]{escape(line)}[/]")

    def question(self, number: int, question: Question) -> None:
        """A question, its answer, and every check."""
        mark = "[green]proven[/]" if question.proven else "[bold red]NOT PROVEN[/]"
        self.console.print(f"\n   [bold]Q{number}  {escape(question.title)}[/]")
        self.console.print(f"       {escape(question.answer)}  ({mark})")
        for check in question.checks:
            sign = "[green]✓[/]" if check.passed else "[bold red]✗[/]"
            rests = f"  [dim](rests on: {escape(check.rests_on)})[/]" if check.rests_on else ""
            self.console.print(f"       {sign} {escape(check.text)}{rests}")
        if question.report:
            self._report(question.report)

    def _report(self, report: dict[str, Any]) -> None:
        steps = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
        for column in (4, 34, 12):
            steps.add_column(min_width=column, no_wrap=True)
        steps.add_column()
        for step in report["steps"]:
            verdict = _VERDICTS.get(step["verdict"], escape(step["verdict"]))
            steps.add_row(str(step["step"]), escape(step["name"]), verdict, f"[dim]{escape(step['reason'])}[/]")
        self.console.print("       the node's own steps:", style="dim")
        self.console.print(steps)

    def attempts(self, attempts: Sequence[Attempt]) -> None:
        """The forgeries, with the reason of each refusal."""
        forgery = ""
        for attempt in attempts:
            if attempt.forgery != forgery:
                forgery = attempt.forgery
                self.console.print(f"\n   [bold]{escape(forgery)}[/]")
            sign = "[green]refused[/]" if attempt.as_expected else "[bold red]UNEXPECTED[/]"
            self.console.print(f"     {escape(attempt.tried)}")
            name = attempt.refused or "taken"
            self.console.print(f"       {sign}  [bold]{escape(name)}[/]  [dim]{escape(attempt.detail)}[/]")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table; the first column is text, the others numbers."""
        table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", border_style="dim")
        for place, column in enumerate(columns):
            table.add_column(column, justify="right" if place else "left", no_wrap=place > 0)
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self.console.print()
        self.console.print(table)

    def links(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """Addresses to look at, never cut."""
        self.console.print(f"\n[bold]{escape(title)}[/]")
        width = max(len(name) for name, _ in rows)
        for name, url in rows:
            self.console.print(f"   {escape(name.ljust(width))}  [cyan]{escape(url)}[/]", soft_wrap=True)

    def failure(self, text: str) -> None:
        """What went wrong."""
        self.console.print(f"\n[bold red]✗ {escape(text)}[/]")
