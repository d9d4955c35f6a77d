"""`tial witness`: make and run a witness, which cosigns the checkpoints of other logs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import Session, command, table
from api.cli.errors import UsageError
from api.cli.options import NO_TEXTS
from api.files import reading
from ledger.errors import MalformedError
from ledger.evidence.violation import MAX_SIZE, Violation
from ledger.log.notes import MAX_NOTE, Vkey
from ledger.statements import decode_statement
from ledger.store.durable import read_bounded
from node.follower import checked_url
from node.witness.folder import Settings, WitnessFolder

app = typer.Typer(help="Cosign checkpoints of other logs, as a witness.", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the witness")]


@command(app, "init")
def witness_init(
    session: Session,
    folder: FolderArgument,
    *,
    name: Annotated[str, typer.Option(help="Name of the witness for ever, such as witness.example.org/w1")],
    replaying: Annotated[
        bool, typer.Option("--replaying", help="Cosign only what the rules allow: run them over every entry")
    ] = False,
    log: Annotated[
        list[str], typer.Option(metavar="VKEY[=URL]", help="A log to cosign: its verifier key, and where it is served")
    ] = NO_TEXTS,
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on")] = 8090,
) -> None:
    """Make a witness with a key of its own; prints the verifier key that logs and verifiers need."""
    home = WitnessFolder(folder)
    logs = [_log(text) for text in log]
    without = next((of_log.name for of_log, url in logs if not url), None) if replaying else None
    if without is not None:
        raise UsageError("A replaying witness reads the log", where=without, remedy="Say where: --log VKEY=URL")
    vkey = home.create(Settings(name, replaying=replaying, host=host, port=port))
    for of_log, url in logs:
        home.add_log(of_log, url)
    kind = "replaying" if replaying else "plain"
    told = {"folder": str(folder.absolute()), "vkey": vkey.format(), "kind": kind, "logs": len(logs)}
    session.out(told, table(("", ""), list(told.items())), f"Next: tial witness run {folder}")


@command(app, "add-log")
def witness_add_log(
    session: Session,
    folder: FolderArgument,
    vkey: Annotated[str, typer.Argument(metavar="VKEY", help="Verifier key of the log, from its card")],
    served: Annotated[str, typer.Argument(metavar="[LOG-URL]", help="Where its checkpoint and tiles are served")] = "",
) -> None:
    """Add a log, or a further key of a known one; the witness must not run."""
    WitnessFolder(folder).add_log(Vkey.parse(vkey), served)
    session.out({"added": vkey, "url": served}, f"added {vkey}")


@command(app, "recover")
def witness_recover(
    session: Session,
    folder: FolderArgument,
    origin: Annotated[str, typer.Argument(metavar="ORIGIN", help="The log whose state is in doubt")],
    checkpoint: Annotated[Path, typer.Argument(metavar="FILE", help="The newest checkpoint cosigned by this witness")],
) -> None:
    """Go on after the state of a log was lost, from the newest checkpoint that this witness cosigned."""
    note = _file(checkpoint, MAX_NOTE)
    with reading(checkpoint, "checkpoint to go on from"):
        size = WitnessFolder(folder).recover(origin, note)
    session.out({"origin": origin, "size": size}, f"{origin}: goes on from size {size}")


@command(app, "run")
def witness_run(session: Session, folder: FolderArgument) -> None:
    """Serve add-checkpoint until SIGTERM or Ctrl-C."""
    del session
    from api.http.witness import run_witness  # noqa: PLC0415 - the server is slow to load, for this command only

    run_witness(folder)


@command(app, "evidence")
def witness_evidence(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An evidence file of a replaying witness")],
    vkey: Annotated[list[str], typer.Option(metavar="VKEY", help="Verifier key of the log")],
) -> None:
    """Check that a log signed what an evidence file of a violation shows."""
    with reading(file, "evidence of a violation"):
        found = Violation.decode(_file(file, MAX_SIZE))
    checkpoint = found.check([Vkey.parse(text) for text in vkey])
    told: dict[str, object] = {
        "origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root, "reason": found.reason,
        "time": found.time, "manifest": found.manifest.index,
    }  # fmt: skip
    if found.offending is not None:
        told |= {"entry": found.offending.index, "type": _type(found.offending.entry)}
    rows = [(key, value.hex() if isinstance(value, bytes) else value) for key, value in told.items()]
    session.out(told, table(("signed by the log", ""), rows))


def _log(text: str) -> tuple[Vkey, str]:
    """Read VKEY or VKEY=URL: a key's base64 may end in `=`, so the URL is what follows `=http`."""
    vkey, separator, url = text.partition("=http")
    return Vkey.parse(vkey), checked_url(f"http{url}") if separator else ""


def _type(entry: bytes) -> str:
    try:
        return decode_statement(entry).type
    except MalformedError:
        return "none: the entry is malformed"


def _file(path: Path, limit: int) -> bytes:
    data = read_bounded(path, limit)
    if data is None:
        raise UsageError("There is no such file", where=str(path))
    return data
