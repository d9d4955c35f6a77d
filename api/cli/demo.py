"""`tial demo`: the whole job on example data, from keys to proofs, with a node, witnesses and a chain that run on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import Session, command
from api.demo import CERTIFICATES, FEWEST_CERTIFICATES, FEWEST_ITEMS, ITEMS

FOLDER = Path("run/demo")


def add(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "demo")(demo)


def demo(
    session: Session,
    *,
    folder: Annotated[Path, typer.Option(help="Its folder; an earlier one in it is replaced")] = FOLDER,
    items: Annotated[int, typer.Option(min=FEWEST_ITEMS, max=ITEMS, help="Product items to register")] = ITEMS,
    certificates: Annotated[
        int, typer.Option(min=FEWEST_CERTIFICATES, max=CERTIFICATES, help="Certificates to issue, one to ten items")
    ] = CERTIFICATES,
    bft: Annotated[
        bool, typer.Option("--bft", help="Anchor on a BFT network of four validators, not on the embedded chain")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Play nothing: start what ran after the earlier demonstration again")
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop node, witnesses and chain of the demonstration")] = False,
) -> None:
    """Play a node with enterprises, certifiers and witnesses; prove the answers, offline too; try forgeries; audit."""
    from api.demo.command import play  # noqa: PLC0415 - takes a second, which no other command should pay

    play(session, folder, items, certificates, bft=bft, keep=keep, stop=stop)
