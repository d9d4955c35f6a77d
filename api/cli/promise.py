"""`tial promise`: whether the log published what it acknowledged, and the proof where it did not.

Owns how promise files are read, told and added up; what they are worth is `node.promises`' judgement.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from api.cli.context import Session, command
from api.cli.errors import Exit, UsageError
from api.promises import read_promises
from ledger.errors import LedgerError, MalformedError
from ledger.evidence.promise import Kept
from node.follower import Fetch, HttpLog
from node.promises import Judged, PublishedLog, Standing, judge, read_folder

app = typer.Typer(help="Acknowledgements of the log: were they kept?", no_args_is_help=True)
SHOWN: Final = 20
"""Findings that are told, and proofs that are written, at most: the first of them, the counts tell of all."""


@command(app, "check")
def check(
    session: Session,
    *,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Files of --receipt, or FILE.tial-acks of a --from file")
    ],
    mirror: Annotated[
        Path | None, typer.Option("--mirror", metavar="DIR", help="Read this mirror of the log instead of the node")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where to write proofs")] = Path(),
    now: Annotated[int | None, typer.Option(help="Your clock in Unix seconds (default: this machine's)")] = None,
) -> None:
    """Compare what the log acknowledged with what it published. Every byte is checked; the node is not believed.

    Each promise is kept, late, broken, not due yet, or cannot be told. Where the log broke its word, or was late, the
    split-view proof is written, which anybody can check: tial split-view. Ends with 0 where all are kept, 1 where one
    was broken or late, 4 where one is not due yet or cannot be told.
    """
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise UsageError("There is no such file", where=missing[0])
    clock = int(time.time()) if now is None else now
    found = _Found(out, session)
    if mirror is not None:
        if not mirror.is_dir():
            raise UsageError("There is no such folder", where="--mirror")
        _check_all(files, read_folder(mirror), clock, found)
    else:
        with HttpLog(session.url) as log:
            _check_all(files, log.fetch, clock, found)
    session.out(found.as_json(), *found.lines())
    if found.code:
        raise typer.Exit(found.code)


class _Found:
    """What was found so far."""

    def __init__(self, folder: Path, session: Session) -> None:
        self._folder = folder
        self._session = session
        self.counts: Counter[Standing] = Counter()
        self.findings: list[dict[str, Any]] = []
        self._proofs = 0

    def add(self, where: str, told: Judged) -> None:
        """Count a promise; one that is not plainly kept is told, with its proof."""
        self.counts[told.standing] += told.entries
        unproven = len(self.findings) - self._proofs
        if told.standing is Standing.KEPT or (told.proof is None and unproven >= SHOWN):
            return
        finding: dict[str, Any] = {"file": where, "standing": told.standing.value, "detail": told.detail}
        if told.proof is not None:
            if self._proofs >= SHOWN:
                return
            self._proofs += 1
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"split-view-{hashlib.sha256(told.proof).hexdigest()[:16]}.cbor"
            self._session.write(path, told.proof)
            finding["proof"] = str(path)
        self.findings.append(finding)

    @property
    def code(self) -> Exit:
        """The exit code."""
        if self.counts[Standing.BROKEN] or self.counts[Standing.LATE]:
            return Exit.REFUSED
        open_ones = self.counts[Standing.NOT_DUE] or self.counts[Standing.CANNOT_TELL]
        return Exit.UNAVAILABLE if open_ones or not self.counts[Standing.KEPT] else Exit.OK

    def as_json(self) -> dict[str, Any]:
        """For a program: entries by how their promise stands."""
        counts = {standing.name.lower(): self.counts[standing] for standing in Standing}
        return {"entries": counts, "findings": self.findings}

    def lines(self) -> list[str]:
        """For a person."""
        told = [f"{found['standing'].upper()}: {found['detail']}" + _proof_of(found) for found in self.findings]
        counted = ", ".join(f"{self.counts[standing]} {standing.value}" for standing in Standing)
        return [*told, f"entries: {counted}"]


def _proof_of(found: dict[str, Any]) -> str:
    return f"; proof: {found['proof']}" if "proof" in found else ""


def _check_all(files: list[Path], fetch: Fetch, now: int, found: _Found) -> None:
    """Judge every line of the files, each log being read once."""
    logs: dict[bytes, PublishedLog | LedgerError] = {}
    for path in files:
        for kept in read_promises(path):
            found.add(str(path), _judged(kept, logs, fetch, now))


def _judged(
    kept: Kept | MalformedError, logs: dict[bytes, PublishedLog | LedgerError], fetch: Fetch, now: int
) -> Judged:
    if isinstance(kept, MalformedError):
        return Judged(Standing.CANNOT_TELL, kept.explain(), 1)
    if kept.log_id not in logs:
        try:
            logs[kept.log_id] = PublishedLog(fetch, kept.log_id)
        except LedgerError as error:
            logs[kept.log_id] = error
    log = logs[kept.log_id]
    count = 1 if kept.promised is None else len(kept.promised.leaves)
    if isinstance(log, LedgerError):
        return Judged(Standing.CANNOT_TELL, log.explain(), count)
    try:
        return judge(kept, log, now)
    except LedgerError as error:
        return Judged(Standing.CANNOT_TELL, error.explain(), count)
