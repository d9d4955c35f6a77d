"""`tial actor`: enrol parties and rotate their keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import Session, command
from api.cli.errors import UsageError
from api.cli.options import NO_FILES, NO_TEXTS, DraftFile, KeyFile, PartyDid, RootKeys, consenting
from ledger.statements import ROLES

app = typer.Typer(help="Enrol parties and rotate their keys.", no_args_is_help=True)
_KID_DIGITS = 64


@command(app, "enrol", submits=True)
def enrol(
    session: Session,
    *,
    key: KeyFile,
    name: Annotated[str, typer.Option(help="Legal name")],
    role: Annotated[list[str], typer.Option(help=f"One of {', '.join(ROLES)}; repeatable")] = NO_TEXTS,
    uscc: Annotated[str, typer.Option(help="Unified social credit code")] = "",
    lei: Annotated[str, typer.Option(help="Legal entity identifier")] = "",
    more_keys: Annotated[
        list[Path], typer.Option("--also", metavar="FILE", help="Further key of the party; repeatable")
    ] = NO_FILES,
    party: PartyDid = "",
    by: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Key file of an enroller that agrees, instead of --root")
    ] = None,
    by_did: Annotated[str, typer.Option("--by-as", metavar="DID", help="DID of that enroller")] = "",
    root: RootKeys = NO_FILES,
    draft: DraftFile = None,
) -> None:
    """Enrol a party under its key, with the agreement of the root or of an enroller."""
    if by is None and not root and draft is None:
        raise UsageError(
            "Nobody agrees to this", where="--root", remedy="Give --root keys, --by an enroller, or --draft a file"
        )
    signer = session.key(key)
    others = [session.key(path) for path in more_keys]
    with session.client() as client:
        desk = session.desk(client, signer, party)
        act = desk.enrol([signer, *others], name, role, uscc=uscc, lei=lei)
        agreeing = [(other, desk.iss) for other in others] + consenting(session, root)
        if by is not None:
            agreeing.append((session.key(by), by_did))
        session.conclude(desk, act, signer, agreeing, out=draft)


@command(app, "rotate", submits=True)
def rotate(
    session: Session,
    *,
    key: KeyFile,
    add: Annotated[list[Path], typer.Option(metavar="FILE", help="New key; repeatable")] = NO_FILES,
    remove: Annotated[list[str], typer.Option(metavar="KID", help="Key identifier to take out; repeatable")] = NO_TEXTS,
    cancel: Annotated[int | None, typer.Option(metavar="ENTRY", help="Cancel the rotation of this entry")] = None,
    party: PartyDid = "",
    of: Annotated[str, typer.Option(metavar="DID", help="Whose keys, where its enroller or the root signs")] = "",
    root: RootKeys = NO_FILES,
    draft: DraftFile = None,
) -> None:
    """Change a party's keys: in force after the log's rotation delay, and to be cancelled until then.

    With --of DID the signer acts for another party: its enroller cancels a rotation; and where the party has no key in
    force any more, its enroller or a root authority adds one, with the agreement of the root threshold (--root).
    """
    if not add and not remove and cancel is None:
        raise UsageError("Nothing to change", where="--add", remedy="Give --add, --remove or --cancel")
    signer = session.key(key)
    fresh = [session.key(path) for path in add]
    with session.client() as client:
        desk = session.desk(client, signer, party)
        act = desk.rotate(fresh, [_kid(text) for text in remove], cancel, of)
        agreeing = [(other, of or desk.iss) for other in fresh] + consenting(session, root)
        session.conclude(desk, act, signer, agreeing, out=draft)


def _kid(text: str) -> bytes:
    try:
        kid = bytes.fromhex(text)
    except ValueError:
        kid = b""
    if len(text) != _KID_DIGITS or not kid:
        raise UsageError(
            f"{text[:80]!r} is no key identifier", where="--remove", remedy="Give the 64 digits of `tial key show`"
        )
    return kid
