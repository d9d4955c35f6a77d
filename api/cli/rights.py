"""`tial delegate`, `tial template` and `tial accredit`: who may do what."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import Session, command
from api.cli.errors import UsageError
from api.cli.options import (
    ANYTHING,
    NO_FILES,
    NO_TEXTS,
    Days,
    DraftFile,
    KeyFile,
    PartyDid,
    RootKeys,
    Start,
    Until,
    consenting,
    period,
    root_signer,
)
from ledger.crypto.canonical import canonical_json, parse_json

template_app = typer.Typer(help="Approve and withdraw what a kind of certificate holds.", no_args_is_help=True)
_YEAR = 365
_MAX_SCHEMA = 1 << 20


def add(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "delegate", submits=True, rich_help_panel="Rights")(delegate)
    app.add_typer(template_app, name="template", rich_help_panel="Rights")
    command(app, "accredit", submits=True, rich_help_panel="Rights")(accredit)


def delegate(
    session: Session,
    *,
    prefix: Annotated[str, typer.Argument(metavar="SCHEME/PREFIX", help="Such as vaa/88.118.8 or gs1/6901234")],
    holder: Annotated[str, typer.Argument(metavar="DID", help="Who gets the prefix")],
    right: Annotated[list[str], typer.Option(help="delegate or register; repeatable (default: both)")] = NO_TEXTS,
    key: Annotated[Path | None, typer.Option(help="Key file of the holder of the prefix above")] = None,
    party: PartyDid = "",
    parent: Annotated[str, typer.Option(help="The delegation above (default: found on the log)")] = "",
    reclaim: Annotated[bool, typer.Option("--reclaim", help="Take back a prefix that was revoked or expired")] = False,
    root: RootKeys = NO_FILES,
    days: Days = _YEAR,
    start: Start = "",
    until: Until = "",
    draft: DraftFile = None,
) -> None:
    """Delegate a prefix: by the holder of the one above it (--key), or by the root (--root for each authority).

    Without --days and --until it ends when the delegation above it does, at the latest.
    """
    if key is not None and root:
        raise UsageError("Either a holder delegates or the root does", where="--root", remedy="Leave one of them out")
    signer, others = (session.key(key), consenting(session, [])) if key is not None else root_signer(session, root)
    with session.client() as client:
        desk = session.desk(client, signer, party)
        above = "" if key is None else parent or desk.parent_of(prefix)
        validity = period(desk.begin(), days, start, until)
        if above and days == _YEAR and not until:
            validity = desk.within(above, validity)
        act = desk.delegate(prefix, holder, right or ["delegate", "register"], validity, parent=above, reclaim=reclaim)
        session.conclude(desk, act, signer, others, out=draft)


@command(template_app, "add", submits=True)
def template_add(
    session: Session,
    *,
    ref: Annotated[str, typer.Argument(metavar="ID/VERSION", help="Such as product-safety/1")],
    key: KeyFile,
    name: Annotated[str, typer.Option(help="Title for people")],
    industry: Annotated[str, typer.Option(help="Code of the industry")],
    schema: Annotated[Path, typer.Option(help="JSON Schema of the certificates; its digest goes into the log")],
    mapping: Annotated[
        list[str],
        typer.Option("--map", metavar="CLAIM=POINTER", help="A claim and where the certificate says it; repeatable"),
    ],
    standard: Annotated[list[str], typer.Option(help="Standard that may be certified; repeatable, * is any")],
    product_class: Annotated[list[str], typer.Option("--class", help="Product class; repeatable, * is any")],
    party: PartyDid = "",
) -> None:
    """Approve a template: what a kind of certificate holds, and which of its members the log checks."""
    signer = session.key(key)
    body = {
        "name": name,
        "mapping": dict(_pair(text) for text in mapping),
        "standards": standard,
        "classes": product_class,
    }
    digest = _schema_digest(schema)
    with session.client() as client:
        desk = session.desk(client, signer, party)
        session.conclude(desk, desk.template(ref, industry, digest, body), signer)


@command(template_app, "withdraw", submits=True)
def template_withdraw(
    session: Session,
    *,
    ref: Annotated[str, typer.Argument(metavar="ID/VERSION")],
    key: KeyFile,
    party: PartyDid = "",
) -> None:
    """Withdraw a template version: no new certificates refer to it."""
    signer = session.key(key)
    with session.client() as client:
        desk = session.desk(client, signer, party)
        session.conclude(desk, desk.withdraw_template(ref), signer)


def accredit(
    session: Session,
    *,
    certifier: Annotated[str, typer.Argument(metavar="DID", help="Who may certify")],
    key: KeyFile,
    template: Annotated[list[str], typer.Option(metavar="ID/VERSION", help="Template; repeatable, * is any")],
    standard: Annotated[list[str], typer.Option(help="Standard; repeatable, * is any")] = ANYTHING,
    product_class: Annotated[list[str], typer.Option("--class", help="Product class; repeatable, * is any")] = ANYTHING,
    site: Annotated[list[str], typer.Option(help="Site; repeatable, * is any")] = ANYTHING,
    number: Annotated[int, typer.Option(min=0, help="Number of the accreditation, the accreditor's choice")] = 1,
    party: PartyDid = "",
    days: Days = _YEAR,
    start: Start = "",
    until: Until = "",
) -> None:
    """Accredit a certifier within a scope of templates, standards, product classes and sites."""
    signer = session.key(key)
    scope = {"templates": template, "standards": standard, "classes": product_class, "sites": site}
    with session.client() as client:
        desk = session.desk(client, signer, party)
        act = desk.accredit(certifier, number, scope, period(desk.begin(), days, start, until))
        session.conclude(desk, act, signer)


def _pair(text: str) -> tuple[str, str]:
    claim, equals, pointer = text.partition("=")
    if not equals or not claim or not pointer.startswith("/"):
        raise UsageError(
            f"{text[:80]!r} maps nothing", where="--map", remedy="Write <claim>=<JSON pointer>, such as class=/class"
        )
    return claim, pointer


def _schema_digest(path: Path) -> bytes:
    """SHA-256 of a schema in its canonical form."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_SCHEMA + 1)
    except OSError as error:
        raise UsageError(f"The schema cannot be read: {error.strerror}", where=str(path)) from error
    return sha256(canonical_json(parse_json(raw))).digest()
