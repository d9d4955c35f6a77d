"""`tial backup` and `tial restore`: copies of a log, made while its node runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import Session, command, table
from api.cli.errors import UsageError
from api.cli.operate import progress_bar


def add(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "backup", rich_help_panel="The node")(backup)
    command(app, "restore", rich_help_panel="The node")(restore)


def backup(
    session: Session,
    *,
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Folder of backups: each run adds one, unchanged files linked")
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="A new tar file instead")] = None,
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="Put the key files in, too; they stay encrypted")
    ] = False,
) -> None:
    """Back the log up, also while the node runs. The signed-checkpoint lock is never part of it."""
    from node.backup import backup as run  # noqa: PLC0415 - for this command only

    target = folder or to
    if target is None or (folder is not None and to is not None):
        raise UsageError("A backup goes to a folder DIR or to a file --to", where="backup", remedy="Name one of them")
    with progress_bar(session) as bar:
        report = run(session.config, target, archive=to is not None, with_keys=with_keys, progress=bar)
    told = report.as_json()
    session.out(told, table(("backup", ""), list(told.items())))


def restore(
    session: Session,
    *,
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="One backup, a folder of them (newest), or a tar")],
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="The node's folder; its data must not be there")],
    log: Annotated[str, typer.Option(metavar="ID", help="Id of the log that is expected, 64 hex digits")] = "",
    mirror: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A mirror's log directory, for entries newer than the backup")
    ] = None,
) -> None:
    """Restore a backup: checks every hash, signature and rule, overwrites nothing, refuses what would fork the log."""
    from node.restore import restore as run  # noqa: PLC0415 - for this command only

    with progress_bar(session) as bar:
        report = run(source, to, log_id=log, mirror=mirror, progress=bar)
    told = report.as_json()
    session.out(told, table(("restored", ""), list(told.items())))
