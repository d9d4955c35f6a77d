"""`tial anchor`, `tial index` and `tial log`: the operator's hand on a node and its folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from api.cli.context import Session, command, table
from api.cli.errors import Exit

anchor_app = typer.Typer(help="Anchor checkpoints on the chain.", no_args_is_help=True)
index_app = typer.Typer(help="The index, which can always be made again.", no_args_is_help=True)
log_app = typer.Typer(help="The log's own files.", no_args_is_help=True)


def add(app: typer.Typer) -> None:
    """Add the groups."""
    for name, group in (("anchor", anchor_app), ("index", index_app), ("log", log_app)):
        app.add_typer(group, name=name, rich_help_panel="The node")


@command(anchor_app, "now")
def anchor_now(session: Session) -> None:
    """Publish what is durable, anchor it, and wait until the anchor is final (operator)."""
    with session.client(operator=True) as client:
        told = client.anchor_now()
    session.out(told, table(("anchor", ""), list(told.items())))


@command(index_app, "rebuild")
def index_rebuild(session: Session) -> None:
    """Build the index anew from the log; the node must not run."""
    from node.rebuild import rebuild  # noqa: PLC0415 - for this command only

    with _bar(session) as bar:
        report = rebuild(session.config, lambda done, total: bar("entries", done, total))
    told = report.as_json()
    session.out(told, table(("index rebuilt", ""), list(told.items())))


@command(log_app, "fsck")
def log_fsck(
    session: Session,
    *,
    deep: Annotated[bool, typer.Option("--deep", help="Check every signature and run every rule again")] = False,
) -> None:
    """Check the log's files against each other and the signed checkpoint; the node must not run."""
    from node.fsck import check  # noqa: PLC0415 - for this command only

    with _bar(session) as bar:
        report = check(session.config, deep, bar)
    session.out(report.as_json(), report.as_text().rstrip())
    if not report.ok:
        raise typer.Exit(Exit.REFUSED)


@contextmanager
def _bar(session: Session) -> Iterator[Any]:
    """A progress bar on a terminal's stderr: a function of (what, done, in all)."""
    shown = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=session.progress, transient=True, disable=session.as_json or not session.progress.is_terminal,
    )  # fmt: skip
    tasks: dict[str, Any] = {}

    def advance(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = shown.add_task(what, total=total)
        shown.update(tasks[what], completed=done, total=total)

    with shown:
        yield advance
