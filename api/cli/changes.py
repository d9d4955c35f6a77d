"""`tial status`, `tial transfer` and `tial consent`: changes of what is on the log, also by several parties."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from api.acts import Act, party_of
from api.cli.context import Session, command
from api.cli.errors import UsageError
from api.cli.options import NO_FILES, DraftFile, KeyFile, PartyDid, RootKeys, consenting, root_signer, seconds
from ledger.crypto.suites import Signer
from ledger.statements.types import STATES

consent_app = typer.Typer(
    help="Agree to acts of several parties, which travel as files (see --draft).", no_args_is_help=True
)
_ActFile = Annotated[Path, typer.Argument(metavar="ACT", help="File that was written with --draft")]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "status", submits=True, rich_help_panel="Assets")(status)
    command(app, "transfer", submits=True, rich_help_panel="Assets")(transfer)
    app.add_typer(consent_app, name="consent", rich_help_panel="Rights")


def status(
    session: Session,
    *,
    subject: Annotated[str, typer.Argument(help="Identifier, credential, accreditation or delegation")],
    state: Annotated[str, typer.Argument(help=f"One of {', '.join(STATES)}")],
    reason: Annotated[str, typer.Option(help="Code of the reason, such as key-compromise or recall")],
    key: Annotated[Path | None, typer.Option(help="Key file that signs; for the root use --root")] = None,
    role: Annotated[
        str,
        typer.Option(help="issuer, regulator, accreditor, delegator, holder, delegation-holder (default: found out)"),
    ] = "",
    effective: Annotated[str, typer.Option(metavar="TIME", help="Since when (default: now)")] = "",
    note: Annotated[str, typer.Option(help="Remark for people, public")] = "",
    party: PartyDid = "",
    root: RootKeys = NO_FILES,
    draft: DraftFile = None,
) -> None:
    """Change the state of something: suspend, revoke, reinstate, block, retire."""
    if state not in STATES:
        raise UsageError(f"{state[:40]!r} is no state", where="STATE", remedy=f"Use one of {', '.join(STATES)}")
    if key is not None:
        signer, others = session.key(key), consenting(session, root)
    else:
        signer, others = root_signer(session, root)
    since = seconds(effective, "--effective") if effective else None
    with session.client() as client:
        desk = session.desk(client, signer, party)
        wanted = "root" if key is None else role
        act = desk.status(subject, state, reason, role=wanted, effective=since, note=note)
        session.conclude(desk, act, signer, others, out=draft)


def transfer(
    session: Session,
    *,
    key: KeyFile,
    identifier: Annotated[str, typer.Argument(help="What passes to another holder")] = "",
    to: Annotated[str, typer.Option(metavar="DID", help="The new holder (default: the did:key of --to-key)")] = "",
    to_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The new holder's key file, where it is at hand")
    ] = None,
    party: PartyDid = "",
    draft: DraftFile = None,
    submit: Annotated[
        Path | None, typer.Option(metavar="ACT", help="Sign and submit the act that the new holder consented to")
    ] = None,
) -> None:
    """Pass an identifier to a new holder, who must consent: with both keys at once, or by way of a file.

    By way of a file: the holder writes it with --draft, the new holder agrees with `tial consent sign`, the holder
    finishes with --submit.
    """
    signer = session.key(key)
    if submit is not None:
        _submit(session, Act.load(submit), signer)
        return
    if not identifier or not (to or to_key):
        raise UsageError("A transfer is of an IDENTIFIER --to a new holder", where="transfer", remedy="See --help")
    if to_key is None and draft is None:
        raise UsageError(
            "The new holder must consent", where="--to-key", remedy="Give its key file, or write the act with --draft"
        )
    new = None if to_key is None else session.key(to_key)
    holder = to or (party_of(new) if new is not None else "")
    with session.client() as client:
        desk = session.desk(client, signer, party)
        act = desk.transfer(identifier, holder)
        session.conclude(desk, act, signer, [] if new is None else [(new, holder)], out=draft)


@command(consent_app, "sign")
def consent_sign(
    session: Session,
    *,
    file: _ActFile,
    key: KeyFile,
    party: PartyDid = "",
    days: Annotated[int, typer.Option(min=1, max=366, help="How long the consent stands")] = 30,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write (default: the same file)")] = None,
) -> None:
    """Agree to an act: shows it, and adds the consent to its file."""
    act = Act.load(file)
    signer = session.key(key)
    iss = party or party_of(signer)
    agreed = act.consented(signer, iss, int(time.time()) + days * 86_400)
    session.write(out or file, agreed.encode())
    session.show_act(agreed, f"{iss} agreed; written to {out or file}", file=str(out or file))


@command(consent_app, "show")
def consent_show(session: Session, file: _ActFile) -> None:
    """Show an act and who agreed to it so far."""
    act = Act.load(file)
    session.show_act(act, f"{len(act.consents)} consents", file=str(file))


@command(consent_app, "submit", submits=True)
def consent_submit(session: Session, file: _ActFile, key: KeyFile) -> None:
    """Sign an act that has its consents, and submit it."""
    _submit(session, Act.load(file), session.key(key))


def _submit(session: Session, act: Act, signer: Signer) -> None:
    with session.client() as client:
        session.submit(client, act.signed(signer))
