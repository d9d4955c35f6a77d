"""`tial history`: everything that was ever said of a thing, verified here, and what held at any time.

Owns how a history is fetched and shown. Trusts the policy that is given; without one the log's id and its current state
are the node's word, and the last line says so. All judgement is `ledger.evidence.verifier`'s.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich.text import Text

from api.cli.context import Session, command, dated, table
from api.cli.errors import Exit, UsageError
from api.cli.options import seconds
from api.cli.proofs import read_bounded
from api.client import Client
from api.files import reading
from ledger.crypto.suites import SUITES
from ledger.errors import MalformedError
from ledger.evidence.bundle import Bundle
from ledger.evidence.container import MAX_BUNDLE
from ledger.evidence.messages import moment
from ledger.evidence.policy import MAX_POLICY, LogTrust, Policy, parse_policy
from ledger.evidence.report import ABSENCE, Verdict
from ledger.evidence.timeline import AsOf, Change, Timeline, as_of
from ledger.evidence.verifier import Verification, verify_history
from ledger.identifiers import identify
from ledger.identifiers import subject as subject_of
from ledger.statements import subjects

_CODES: Final = {Verdict.VALID: Exit.OK, Verdict.INVALID: Exit.REFUSED, Verdict.CANNOT_TELL: Exit.UNAVAILABLE}
_COLOURS: Final = {Verdict.VALID: "green", Verdict.INVALID: "red", Verdict.CANNOT_TELL: "yellow"}
_HEAD: Final = ("entry", "logged", "holds from", "statement", "by", "state", "what")
_BY_SUBJECT: Final = frozenset({"identifier", "credential", "actor"})
"""Kinds whose records are named by the subject itself."""
_TOLD_APART: Final = frozenset({"state", "role", "reason", "effective", "logged", "since", "entry"})
"""Members of records that the table tells in columns of their own."""


class _Asked(NamedTuple):
    """When: `at`, as known at `known`; None where that is not asked, or as known at the checkpoint."""

    at: int | None
    known: int | None


def add(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "history", rich_help_panel="Questions and proofs")(history)


def history(
    session: Session,
    *,
    what: Annotated[
        str, typer.Argument(metavar="SUBJECT|FILE", help="A subject, an identifier, or a file that --proof wrote")
    ],
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="Say what held then")] = "",
    known: Annotated[
        str, typer.Option("--known", metavar="TIME", help="With --at: as far as the log knew then (default: now)")
    ] = "",
    policy: Annotated[
        Path | None, typer.Option(help="Whom you trust, a file of `tial policy init`; without it: the node")
    ] = None,
    proof: Annotated[
        Path | None, typer.Option("--proof", metavar="FILE", help="Write the bundle that proves it to this file")
    ] = None,
) -> None:
    """Show every statement about a thing, with the proof that none is missing, and what held at any time.

    Ends with 0 where the history is proven complete, 1 where it is not, 4 where it cannot be told.
    """
    if known and not at:
        raise UsageError("What held when? --known goes with --at", where="--known")
    asked = _Asked(seconds(at, "--at") if at else None, seconds(known, "--known") if known else None)
    trusted = None if policy is None else _policy(policy)
    path = Path(what)
    if path.is_file():
        if trusted is None:
            raise UsageError("A file is verified under a policy", where="--policy", remedy="Give --policy FILE")
        raw = read_bounded(path, MAX_BUNDLE)
    else:
        with session.client() as client:
            trusted = trusted or _nodes_word(client)
            raw = _fetch(client, what)
    if proof is not None:
        session.write(proof, raw)
    _show(session, verify_history(raw, trusted, int(time.time())), asked, proof)


def _fetch(client: Client, what: str) -> bytes:
    """The bundle about what is asked for, and about nothing else."""
    view = client.lookup(what)
    subject = what if view is None else view.subject
    if subject != what and subject not in {subject_of(identifier) for identifier in identify(what)}:
        raise MalformedError("The node answers about another thing", where=subject[:200])
    raw = client.history(subject)
    bundle = Bundle.decode(raw)
    parsed = subjects.parse(bundle.about)
    of_log = parsed[0] == "origin" and subjects.parse(subject) == ("log", bundle.log_id.hex())
    if bundle.about != subject and not of_log:
        raise MalformedError("The node answers about another thing", where=bundle.about[:200])
    return raw


def _nodes_word(client: Client) -> Policy:
    """Trust that the log is the one the node serves, and its operator for the current state."""
    info = client.log()
    suites = frozenset(suite.alg for suite in SUITES.values() if suite.alg is not None)
    return Policy((LogTrust(info.log_id, info.origin, suites),), trust_operator_state=True)


def _policy(path: Path) -> Policy:
    with reading(path, "policy", "tial policy init writes one"):
        try:
            return parse_policy(read_bounded(path, MAX_POLICY).decode())
        except UnicodeDecodeError as error:
            raise MalformedError("it is not UTF-8") from error


# -- showing it --------------------------------------------------------------------------------------------------------


def _show(session: Session, found: Verification, asked: _Asked, proof: Path | None) -> None:
    report, whole = found.report, found.whole
    timelines = () if whole is None else whole.timelines
    answers = [] if asked.at is None else [(one, as_of(one, asked.at, asked.known)) for one in timelines]
    told: dict[str, Any] = {"verdict": report.overall.value, "claim": report.claim, "report": report.as_json()}
    told |= {"timelines": []} if whole is None else whole.as_json()
    if asked.at is not None:
        told["as_of"] = [{"kind": one.kind} | answer.as_json() for one, answer in answers]
    if proof is not None:
        told["file"] = str(proof)
    human: list[object] = [_table(one) for one in timelines]
    human += [_line(one, answer) for one, answer in answers]
    if asked.at is not None and report.claim == ABSENCE:
        human.append("It did not exist: nothing was ever said of it")
    if report.overall is not Verdict.VALID:
        human.append(report.as_text().rstrip("\n"))
    else:
        human += [f"  rests on: {thing}" for thing in report.rests_on]
    about = str(told["report"]["about"])
    human.append(Text(f"{report.overall.value.upper()}: {about}", style=_COLOURS[report.overall]))
    session.out(told, *human)
    code = _CODES[report.overall]
    if code:
        raise typer.Exit(code)


def _table(timeline: Timeline) -> object:
    count = len(timeline.changes)
    title = f"{_name(timeline)}: {count} {'statement' if count == 1 else 'statements'}"
    named = timeline.place[1] if timeline.kind in _BY_SUBJECT else ""
    return table(_HEAD, [_row(change, named) for change in timeline.changes], title=title)


def _row(change: Change, named: str) -> list[object]:
    """One entry; an entry that touches the thing but is about another says about which."""
    told = change.as_json()
    by = f"{told['iss']} as {told['role']}" if told["role"] else told["iss"]
    what = [f"about {told['sub']}"] if named and told["sub"] != named else []
    what += [told["reason"]] if told["reason"] else []
    if change.before is not None:
        shown = [(name, new) for name, (_, new) in told["changed"].items() if name not in _TOLD_APART]
        what += [f"{name}: {dated(name, new)}" if isinstance(new, str | int) else name for name, new in shown]
    if told["doubt"]:
        what.append(f"IN DOUBT: {told['doubt']}")
    times = moment(change.logged), moment(change.effective)
    return [change.index, *times, told["type"], by, told["state"], "; ".join(what)]


def _line(timeline: Timeline, answer: AsOf) -> str:
    """One answer in words: what held, since when, and who knew from when on."""
    asked = f"{_name(timeline)} at {moment(answer.at)}, as known at {moment(answer.known)}"
    if answer.by is None:
        return f"{asked}: it did not exist, or was not known"
    since = f"{answer.state} since {moment(answer.since)}"
    by = f"entry {answer.by.index}, by {answer.by.statement.iss}"
    return f"{asked}: {since} (known since {moment(answer.by.logged)}, {by})"


def _name(timeline: Timeline) -> str:
    return " ".join([timeline.kind, *(str(part) for part in timeline.place[1:])])
