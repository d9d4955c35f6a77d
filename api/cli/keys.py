"""`tial key`: make key files and show whose they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.context import Session, command, table
from api.cli.errors import UsageError
from ledger.crypto import bls12381, keyfile, secp256k1
from ledger.crypto.suites import suite_by_name
from ledger.identifiers.did_key import did_key

app = typer.Typer(help="Make key files and show whose they are.", no_args_is_help=True)


@command(app, "new")
def new(
    session: Session,
    *,
    file: Annotated[Path, typer.Argument(help="Where to put the key file; it must not exist")],
    suite: Annotated[
        str, typer.Option(help="ed25519 or es256 for statements, secp256k1 for the chain, bls12-381 for seals")
    ] = "ed25519",
) -> None:
    """Make a key and keep it in a file, encrypted with a passphrase, mode 0600."""
    if file.exists():
        raise UsageError("A file is already there, and a key is never overwritten", where=str(file))
    signer = suite_by_name(suite).generate()
    keyfile.save(file, signer, session.passphrase(file, confirm=True))
    _show(session, keyfile.describe(file))


@command(app, "show")
def show(session: Session, file: Annotated[Path, typer.Argument(help="A key file")]) -> None:
    """Show the public part of a key file; no passphrase is needed."""
    _show(session, keyfile.describe(file))


def card(key: keyfile.KeyFile) -> dict[str, Any]:
    """The public part of a key file: what others may know."""
    told = {"suite": key.suite, "kid": key.kid.hex(), "public_key": key.public_key.hex()}
    if key.suite == bls12381.SUITE.name:
        return told
    if suite_by_name(key.suite).alg is None:
        return told | {"address": secp256k1.address(key.public_key)}
    return told | {"did": did_key(key.public_key, key.suite)}


def _show(session: Session, key: keyfile.KeyFile) -> None:
    told = {"file": str(key.path), **card(key)}
    session.out(told, table(("", ""), list(told.items())))
