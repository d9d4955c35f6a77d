"""Ignored statements: three files that show that a log was asked in public and went on without (DESIGN section 7).

Owns the judgement over the statement as its issuer signed it, chain evidence of the `request` for its leaf, and a
bundle with the whole history of what the statement is about. A log may refuse what its rules refuse, so the rules are
asked, on the state at the request and on the one that the bundle proves: what they read has to be in it, with its
history, as for a change of status it is. Trusts the policy and nothing else: its chains for the request, its witnesses
and auditors for the bundle, because a log may put off its next anchor. A log that was slow is told from one that was
unwilling by `patience` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from ledger.errors import LedgerError, Rejection
from ledger.evidence.bundle import Bundle
from ledger.evidence.chain import ChainRequest, ChainUntrustedError, check_request
from ledger.evidence.history import BundleHistory, BundleView, Claims
from ledger.evidence.past import Past, batch_after
from ledger.evidence.policy import Policy
from ledger.evidence.report import Report, Verdict
from ledger.evidence.story import remembering
from ledger.evidence.verifier import Verification, verify_history
from ledger.state.records import BatchRecord, Part
from ledger.state.transition import transition, verify_signature
from ledger.statements import Statement, decode_statement

R = TypeVar("R")


class NotIgnoredError(LedgerError):
    """The files are in form, but do not show that the statement was ignored."""

    code = "not-ignored"


@dataclass(frozen=True, slots=True)
class Ignored:
    """A statement that a log went on without: its `size` lacked it still at the time `shown`, Unix seconds."""

    statement: Statement
    request: ChainRequest
    size: int
    shown: int


def check_ignored(raw: bytes, evidence: bytes, bundle: bytes, policy: Policy, now: int, patience: int) -> Ignored:
    """Return what shows that the log ignored the statement `raw` for more than `patience` seconds after the request.

    `evidence` is that of a chain in the policy, `now` the verifier's clock.

    Raises:
        MalformedError: one of the files is not in form.
        ChainInvalidError, ChainUntrustedError: as `check_request`; the latter for validators pinned too long ago, too.
        NotIgnoredError: the bundle is not valid or is about something else, the statement is in the log, its rules
            refuse it, or it was not asked for, or only a moment before.

    """
    statement = decode_statement(raw)
    held = Bundle.decode(bundle)
    if (statement.aud, statement.sub) != (held.log_id.hex(), held.about):
        raise NotIgnoredError("The bundle is about something else than the statement", where=held.about)
    found = verify_history(bundle, replace(policy, chains=()), now)
    if found.report.overall is not Verdict.VALID or found.checkpoint is None:
        raise NotIgnoredError(f"The bundle's verdict is {found.report.overall.value}", where=held.about)
    size, shown = found.checkpoint.size, _time(found.report)
    request = _requested(evidence, policy, held.log_id, statement.leaf, now)
    _require_absent(statement, found)
    _require_admissible(statement, held, size, request.time)
    if shown - request.time <= patience:
        raise NotIgnoredError(
            f"Only {shown - request.time} s after the request it may still come", where=f"size {size}"
        )
    return Ignored(statement, request, size, shown)


def _time(report: Report) -> int:
    """When the state was the newest: by the witnesses or the chain (step 14), else by the manifest (step 6)."""
    times = [step.time for step in report.steps if step.number in {6, 14} and step.verdict is Verdict.VALID]
    return max(time for time in times if time is not None)


def _requested(evidence: bytes, policy: Policy, log_id: bytes, leaf: bytes, now: int) -> ChainRequest:
    refused: LedgerError = NotIgnoredError("The policy names no chain", remedy="Name the chain that you trust")
    for trusted in policy.chains:
        try:
            facts, request = check_request(evidence, trusted, log_id, leaf)
        except LedgerError as error:
            refused = error
            continue
        if not facts.expired(now, policy.trusting_period):
            return request
        refused = ChainUntrustedError(
            "the validators who vouch for the request were pinned longer ago than the policy trusts them",
            remedy="Pin newer validators, and ask for evidence under a newer block",
        )
    raise refused


def _require_absent(statement: Statement, found: Verification) -> None:
    """Nothing in the whole history is this act, in the very bytes or signed again."""
    timelines = () if found.whole is None else found.whole.timelines
    for change in (change for timeline in timelines for change in timeline.changes):
        if change.statement.signed == statement.signed:
            raise NotIgnoredError("The statement is in the log", where=f"entry {change.index}")


def _require_admissible(statement: Statement, bundle: Bundle, size: int, requested: int) -> None:
    """The rules would have admitted it when it was requested, and would admit it as the next entry.

    The request may name a statement that fits a later state only: a log that refused it then ignored nothing.
    """
    statements = {index: decode_statement(raw) for index, raw in bundle.entries}
    claims, verify = Claims(bundle), remembering(verify_signature)
    past = Past(BundleHistory(bundle, statements, claims, verify), verify=verify)
    closed = [index for index, found in statements.items() if found.type == "manifest" and found.iat <= requested]
    if not closed:
        raise NotIgnoredError("The state at the time of the request is not shown", where="bundle")
    before = _Then(past, batch_after(statements[max(closed)], max(closed))._replace(time=requested))
    for view in (before, BundleView(claims, statements[size - 1], size - 1)):
        try:
            transition(view, statement, size, verify)
        except Rejection as error:
            when = " at the time of the request" if view is before else ""
            raise NotIgnoredError(
                f"The rules refuse the statement{when}: {error.detail}", where=error.reason
            ) from error
        except LedgerError as error:
            detail = f"Whether the rules admit it is not shown: {error.explain()}"
            raise NotIgnoredError(detail, where="bundle") from error


class _Then:
    """The state after the last manifest that the request found, at the request's time."""

    def __init__(self, past: Past, batch: BatchRecord) -> None:
        self._past = past
        self._batch = batch

    def read(self, kind: type[R], *parts: Part) -> R | None:
        """What the record held; errors as `Past.record`."""
        if kind is BatchRecord:
            return self._batch  # type: ignore[return-value]
        return self._past.record((kind, *parts), self._batch.first)  # type: ignore[return-value]
