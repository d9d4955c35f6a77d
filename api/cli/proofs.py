"""`tial show` and `tial verify`: what the log holds, and whether it holds good."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from api.cli.context import Session, command, dated, table
from api.cli.errors import Exit, UsageError
from api.offline import is_bundle, verify_file
from ledger.errors import MalformedError, UnavailableError
from ledger.evidence.messages import ENGLISH, moment

if TYPE_CHECKING:
    from api.client import Client

_MAX_DOCUMENT: Final = 1 << 20
_VERDICTS: Final = {"valid": Exit.OK, "invalid": Exit.REFUSED}
_COLOURS: Final = {"valid": "green", "invalid": "red"}
_PATIENCE: Final = 30.0
_T = TypeVar("_T")


def add(app: typer.Typer) -> None:
    """Add the commands."""
    for name, function in (("show", show), ("verify", verify)):
        command(app, name, rich_help_panel="Questions and proofs")(function)


def show(
    session: Session,
    *,
    what: Annotated[str, typer.Argument(metavar="SUBJECT|ENTRY", help="A subject, an identifier, or an entry's index")],
) -> None:
    """Show what the log holds about something, or one entry."""
    with session.client() as client:
        if is_index(what):
            told = client.entry_view(int(what))
            session.out(told, table((f"entry {what}", ""), list(dated("", told).items())))
            return
        view = client.lookup(what)
        if view is None:
            from api.answers import ApiError  # noqa: PLC0415 - for commands that need it only

            raise ApiError("not-found", 404, f"The log knows nothing of {what[:200]}", where="subject")
        shown: dict[str, Any] = {
            "subject": view.subject, "kind": view.kind, "state": view.state, "record": dict(view.record),
            "touches": view.touches, "covers": view.covers, "log_time": view.log_time,
        }  # fmt: skip
        rows = [("subject", view.subject), ("kind", view.kind), ("state now", view.state)]
        told = dated("", view.record)
        rows += [(name, value) for name, value in told.items() if name not in {"touches", "head", "state"}]
        rows += [("touches", str(view.touches)), ("as of entry", str(view.covers)), ("log time", moment(view.log_time))]
        session.out(shown, table(("", ""), rows))


def verify(
    session: Session,
    *,
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE|ENTRY|SUBJECT",
            help="A file of `tial evidence get`, an entry's index, or a subject",
        ),
    ],
    document: Annotated[Path | None, typer.Option(help="The document that the statement is about")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Verify a bundle offline: whom you trust, a file of `tial policy init`")
    ] = None,
    memory: Annotated[Path | None, typer.Option(help="Offline: file that remembers the checkpoints seen")] = None,
    now: Annotated[
        int | None, typer.Option(help="Offline: your clock in Unix seconds (default: this machine's)")
    ] = None,
    lang: Annotated[str, typer.Option(help="Offline: language of the report, en or zh")] = ENGLISH,
) -> None:
    """Verify in numbered steps: a bundle offline under a policy of yours; an entry or a subject by asking the node.

    The node makes a bundle and verifies it under its own policy: that answer rests on the node, and says so.

    Each step is valid, invalid or cannot tell. Ends with 0 for valid, 1 for invalid, 4 where it cannot be told.
    """
    if policy is not None:
        if document is not None:
            remedy = "tial evidence attach FILE --document DOCUMENT"
            raise UsageError("A document is put into the bundle first", where="--document", remedy=remedy)
        verify_offline(session, Path(what), policy, memory=memory, now=now, lang=lang)
        return
    request = _request(what)
    if document is not None:
        request["document"] = b64encode(read_bounded(document, _MAX_DOCUMENT)).decode()
    with session.client() as client:
        report = client.verify(request)
    from rich.text import Text  # noqa: PLC0415 - for commands that need it only

    verdict = str(report.get("verdict", ""))
    steps = [step for step in report.get("steps", []) if isinstance(step, dict)]
    names = ("step", "name", "verdict", "reason")
    rows = [[*(step.get(name) for name in names), "; ".join(step.get("rests_on", []))] for step in steps]
    colour = _COLOURS.get(verdict, "yellow")
    session.out(
        report,
        table(("step", "name", "verdict", "reason", "rests on"), rows),
        Text(f"{verdict.upper()}: {report.get('about', '')}", style=colour),
    )
    code = _VERDICTS.get(verdict, Exit.UNAVAILABLE)
    if code:
        raise typer.Exit(code)


def verify_offline(
    session: Session, file: Path, policy: Path, *, memory: Path | None, now: int | None, lang: str
) -> None:
    """Verify a bundle in numbered steps under a policy, asking nobody; ends with the verdict's exit code."""
    for path in (file, policy):
        if not path.is_file():
            remedy = "Give a file of tial evidence get, and a policy, such as tial policy init writes"
            raise UsageError("There is no such file", where=str(path), remedy=remedy)
    report = verify_file(file, policy, now=now, memory=memory).report
    session.out(report.as_json(), report.as_text(lang).rstrip())
    code = _VERDICTS.get(report.overall.value, Exit.UNAVAILABLE)
    if code:
        raise typer.Exit(code)


def _request(what: str) -> dict[str, Any]:
    if is_index(what):
        return {"index": int(what)}
    path = Path(what)
    if not path.is_file():
        if path.suffix or ":" not in what:
            remedy = "Give a file, an index or a subject"
            raise UsageError(f"There is no file {what[:200]}", where="FILE", remedy=remedy)
        return {"subject": what}
    if is_bundle(path):
        remedy = "Name whom you trust with --policy; tial policy init writes a first one"
        raise UsageError("An evidence bundle is verified under a policy", where="--policy", remedy=remedy)
    remedy = "Give a bundle of `tial evidence get`; a receipt or a proof file is for `tial receipt verify`"
    raise MalformedError("This is no evidence bundle", where=str(path), remedy=remedy)


def when_published(client: Client, index: int, ask: Callable[[], _T]) -> _T:
    """What `ask` gives; asked again where the entry is durable but not published yet."""
    from api.answers import ApiError  # noqa: PLC0415 - for commands that need it only

    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return ask()
        except ApiError as error:
            if error.status >= 500 or client.log().size <= index:
                raise
            if time.monotonic() > end:
                raise UnavailableError(
                    f"Entry {index} is not published after {_PATIENCE:.0f} s", where=f"entry {index}"
                ) from error
            time.sleep(0.2)


def is_index(text: str) -> bool:
    """Whether this is an entry's index rather than a subject or a file."""
    return text.isascii() and text.isdigit() and len(text) < 20


def read_bounded(path: Path, limit: int) -> bytes:
    """Read a file of at most `limit` bytes: UsageError where it cannot be read, MalformedError where it is longer."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(limit + 1)
    except OSError as error:
        raise UsageError(f"The file cannot be read: {error.strerror}", where=str(path)) from error
    if len(raw) > limit:
        raise MalformedError(f"The file is longer than {limit} bytes", where=str(path))
    return raw
