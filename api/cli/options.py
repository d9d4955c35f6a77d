"""Options that several commands share, and how people write times, scopes and parties."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from api.acts import DAY, Period
from api.cli.context import Session
from api.cli.errors import UsageError
from ledger.crypto.suites import Signer

KeyFile = Annotated[Path, typer.Option("--key", help="Key file that signs")]
PartyDid = Annotated[str, typer.Option("--as", metavar="DID", help="DID of the signer (default: the key's did:key)")]
RootKeys = Annotated[
    list[Path], typer.Option("--root", metavar="FILE", help="Key file of a root authority that agrees; repeatable")
]
DraftFile = Annotated[
    Path | None,
    typer.Option("--draft", metavar="FILE", help="Write the act for other parties to consent to; do not submit it"),
]
Days = Annotated[int, typer.Option("--days", min=1, max=36_500, help="Length of the validity in days")]
Start = Annotated[str, typer.Option("--from-date", metavar="TIME", help="Begin of the validity (default: now)")]
Until = Annotated[str, typer.Option("--until", metavar="TIME", help="End of the validity, instead of --days")]

# Defaults of repeatable options; never changed.
NO_TEXTS: Final[list[str]] = []
NO_FILES: Final[list[Path]] = []
ANYTHING: Final[list[str]] = ["*"]


def seconds(text: str, where: str) -> int:
    """Read a time as people write it: a date (midnight UTC), an RFC 3339 time, or Unix seconds."""
    if text.isascii() and text.isdigit() and len(text) <= 16 and len(text) != len("YYYYMMDD"):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{text[:40]!r} is no time", where=where, remedy="Write 2026-01-31, 2026-01-31T08:00:00Z or Unix seconds"
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, int(moment.timestamp()))


def period(now: int, days: int, start: str, until: str) -> Period:
    """A validity from options; UsageError where it would be empty."""
    begin = seconds(start, "--from-date") if start else now
    end = seconds(until, "--until") if until else begin + days * DAY
    if end <= begin:
        raise UsageError("The validity ends before it begins", where="--until")
    return Period(begin, end)


def consenting(session: Session, files: list[Path]) -> list[tuple[Signer, str]]:
    """Unlock the keys of parties that consent, each under its did:key."""
    return [(session.key(path), "") for path in files]


def root_signer(session: Session, roots: list[Path]) -> tuple[Signer, list[tuple[Signer, str]]]:
    """Root keys: the first signs, the others consent."""
    if not roots:
        raise UsageError(
            "Nobody signs", where="--key", remedy="Give --key for a party's own act, or --root for one of the root"
        )
    first, *others = roots
    return session.key(first), consenting(session, others)
