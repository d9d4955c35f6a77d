"""Finding the node that answers for a subject, through the anchor contract, and checking what it says.

Owns the way from a subject to a verdict: the chain names the log, the log's origin leads to its node, the node gives an
evidence bundle, and the one verifier judges it offline. Trusts nobody on that way: the node has to answer for the very
log, about the very subject, and not from before the newest anchor. What the chain's node says of prefixes is its own
word on a chain of kind "ethereum" and proven on one of kind "cometbft"; the report tells which.
Follows DESIGN sections 7 and 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from api.answers import ApiError
from api.chain_view import ChainView
from api.client import Client
from api.directory import address_of
from ledger.crypto.suites import SUITES
from ledger.errors import LedgerError, MalformedError, UnavailableError
from ledger.evidence.bundle import Bundle
from ledger.evidence.chain.storage import Meta
from ledger.evidence.messages import moment
from ledger.evidence.policy import LogTrust, Policy
from ledger.evidence.report import Report, Verdict
from ledger.evidence.verifier import verify
from node.chain.prefixes import (
    NO_LOG,
    MappedPrefix,
    RegisteredLog,
    candidates,
    find_prefix,
    read_log,
    subject_of,
)

MAX_VIEW_AGE: Final = 3_600
"""Seconds after its newest header for which a proven view of the chain counts as of now."""
MAX_SUCCESSORS: Final = 16


class NotMappedError(UnavailableError):
    """The contract gives no prefix of the subject to a log: nobody is named who could be asked."""

    code = "not-mapped"


class UnlistedLogError(UnavailableError):
    """The contract names a log that the verifier's policy does not list: its word counts for nothing there."""

    code = "log-not-in-policy"


class WrongAnswerError(LedgerError):
    """The node answered for another log or about another subject than it was asked."""

    code = "wrong-answer"


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found. `raw` is the bundle. `drafted`: the policy was made from the chain, for want of one.

    `followed`: the sealed logs that were passed on the way to their successor. `behind`: the answer is older than the
    newest anchor, so that something anchored is withheld. `outdated`: the newest header that the chain's nodes show is
    so old that the prefix may belong to another log by now: the chain stands still, or they show an old one.
    """

    subject: str
    view: ChainView
    mapped: MappedPrefix
    log: RegisteredLog
    followed: tuple[RegisteredLog, ...]
    url: str
    raw: bytes
    report: Report
    drafted: bool
    behind: bool
    outdated: bool
    pinned: bool

    @property
    def verdict(self) -> Verdict:
        """The report's, but never valid where what is anchored is withheld, or on an old view of the chain."""
        overall = self.report.overall
        return Verdict.CANNOT_TELL if (self.behind or self.outdated) and overall is Verdict.VALID else overall

    @property
    def rests_on(self) -> tuple[str, ...]:
        """All that has to be believed: for the choice of the log, for a drafted policy, and for the report."""
        found = [f"that this log answers for {self.mapped.prefix}: {self.view.basis}"]
        if self.drafted:
            found.append(f"log id and origin of the policy: {self.view.basis}")
            if self.pinned:
                found.append(f"the block that the policy pins: {self.view.place} has it in its chain")
        return (*found, *self.report.rests_on)

    def as_json(self) -> dict[str, Any]:
        """The discovery as a JSON object, the report in it."""
        log = self.log
        now = self.mapped.history[-1]
        return {
            "subject": self.subject,
            "verdict": self.verdict.value,
            "prefix": self.mapped.prefix,
            "mapped": _when(now.when),
            "history": [
                {"log": None if one.log == NO_LOG else one.log} | _when(one.when) for one in self.mapped.history
            ],
            "log": log.log,
            "origin": log.origin,
            "registered": _when(log.registered),
            "head": {"size": log.head.size, "root": log.root, "time": log.head.time},
            "sealed": {"size": log.head.sealed_size, "successor": log.successor} if log.head.sealed else None,
            "followed": [one.log for one in self.followed],
            "node": self.url,
            "chain": {
                "kind": self.view.kind, "chain_id": self.view.identity.chain_id, "block": self.view.block,
                "contract": self.view.identity.contract, "proven": self.view.vouched,
            },
            "policy": "drafted" if self.drafted else "given",
            "behind": self.behind,
            "outdated": self.outdated,
            "rests_on": self.rests_on,
            "report": self.report.as_json(),
        }  # fmt: skip

    def as_rows(self) -> list[tuple[str, str]]:
        """What was found on the way to the report, for people."""
        log, now = self.log, self.mapped.history[-1]
        rows = [
            ("subject", self.subject),
            ("prefix", f"{self.mapped.prefix}, mapped {_said(now.when)}"),
            ("log", log.log.hex()),
            ("origin", log.origin),
            ("node", self.url),
            ("newest anchor", f"size {log.head.size}, {moment(log.head.time)}"),
        ]
        rows += [("before", f"{_name(one.log)}, mapped {_said(one.when)}") for one in self.mapped.history[-2::-1]]
        rows += [("passed", f"{one.log.hex()}, sealed at size {one.head.sealed_size}") for one in self.followed]
        if log.head.sealed:
            heir = "no log follows" if log.successor is None else f"followed by {log.successor.hex()} (--follow)"
            rows.append(("sealed", f"at size {log.head.sealed_size}; {heir}"))
        if self.behind:
            rows.append(("withheld", f"the answer is from before the anchor at size {log.head.size}"))
        if self.outdated:
            rows.append(("outdated", f"the chain's newest header is of {moment(self.view.time)}"))
        if self.drafted:
            rows.append(("policy", "drafted from the chain: you named nobody whom you trust"))
        return rows + [("rests on", thing) for thing in self.rests_on]


def discover(
    view: ChainView,
    text: str,
    known: Mapping[str, str],
    now: int,
    *,
    policy: Policy | None = None,
    follow: bool = False,
    trust_operator_state: bool = False,
) -> Discovery:
    """Find the log of a subject, ask its node, verify the answer at `now` (Unix seconds).

    `known` are addresses by origin, see `api.directory`. Without a `policy` one is drafted from the chain; with
    `trust_operator_state` the draft takes the operator's word for the current state. `follow` goes from a sealed log to
    the one that follows it.

    Raises:
        MalformedError: the text is no subject that a prefix could cover, or the origin no address.
        NotMappedError, UnlistedLogError, WrongAnswerError: see there.
        UnavailableError: the chain or the node gives no usable answer.

    """
    subject = subject_of(text)
    mapped = find_prefix(candidates(subject), view.words)
    if mapped is None:
        raise NotMappedError(
            f"{view.contract} gives no prefix of this to a log",
            where=subject,
            remedy="Ask whoever keeps the contract's registry to map one, or name the node yourself: tial verify --url",
        )
    log, followed = _log(view, mapped.log, follow=follow)
    if policy is not None:
        policy = _narrowed(policy, log)
    url = address_of(log.origin, known)
    raw = _ask_node(url, log, subject)
    bundle = _of_log(raw, log, subject, url)
    drafted = policy is None
    if policy is None:
        policy = _draft(view, log, bundle, trust_operator_state=trust_operator_state)
    report = verify(raw, policy, now).report
    eighth = report.step(8)
    counts = log.head.sealed_size if log.head.sealed else log.head.size
    behind = eighth is not None and eighth.size is not None and eighth.size < counts
    pinned = drafted and any(chain.headers for chain in policy.chains)
    outdated = view.vouched and now - view.time > MAX_VIEW_AGE
    return Discovery(subject, view, mapped, log, followed, url, raw, report, drafted, behind, outdated, pinned)


def _log(view: ChainView, log_id: bytes, *, follow: bool) -> tuple[RegisteredLog, tuple[RegisteredLog, ...]]:
    """The log, or the one that follows it in the end; and those passed on the way."""
    passed: list[RegisteredLog] = []
    log = read_log(log_id, view.words, view.ask, view.identity.contract)
    while follow and log.successor is not None:
        passed.append(log)
        if len(passed) > MAX_SUCCESSORS:
            raise UnavailableError(f"More than {MAX_SUCCESSORS} logs follow one another", where=log_id.hex())
        log = read_log(log.successor, view.words, view.ask, view.identity.contract)
    return log, tuple(passed)


def _narrowed(policy: Policy, log: RegisteredLog) -> Policy:
    """The policy with this log alone: another that it lists has not been asked for."""
    trust = policy.log(log.log)
    if trust is None:
        raise UnlistedLogError(
            f"the chain names the log {log.log.hex()} ({log.origin!r}), which your policy does not list",
            where="policy",
            remedy="Find out whether it is a log that you trust, then add it to the policy",
        )
    return replace(policy, logs=(trust,))


def _ask_node(url: str, log: RegisteredLog, subject: str) -> bytes:
    """The bundle; UnavailableError where the node does not answer, or answers that it will not."""
    remedy = f"Try again later; where the node is elsewhere, say so: --node {log.origin}=URL"
    try:
        with Client(url) as client:
            return client.evidence(subject=subject)
    except ApiError as error:
        raise UnavailableError(
            f"The log's node gave no evidence: {error.explain()}", where=url, remedy=remedy
        ) from error
    except UnavailableError as error:
        raise UnavailableError(f"The log's node does not answer: {error.detail}", where=url, remedy=remedy) from error


def _of_log(raw: bytes, log: RegisteredLog, subject: str, url: str) -> Bundle | None:
    """The bundle, if it is of the log and about the subject that were asked for; None where it is no bundle at all."""
    try:
        bundle = Bundle.decode(raw)
    except MalformedError:
        return None  # the first step of the report says why
    if bundle.log_id != log.log:
        raise WrongAnswerError(
            f"the node answers for the log {bundle.log_id.hex()}, the chain names {log.log.hex()}",
            where=url,
            remedy=f"Find the right node and name it: --node {log.origin}=URL",
        )
    if bundle.about != subject:
        raise WrongAnswerError(f"the node answers about {bundle.about[:200]}, it was asked about {subject}", where=url)
    return bundle


def _draft(view: ChainView, log: RegisteredLog, bundle: Bundle | None, *, trust_operator_state: bool) -> Policy:
    """A policy that trusts what the chain says: the log by its id, the anchors under blocks of that chain."""
    suites = frozenset(suite.alg for suite in SUITES.values() if suite.alg is not None)
    headers = () if view.vouched or bundle is None or bundle.chain is None else view.known_blocks(bundle.chain.evidence)
    return Policy(
        logs=(LogTrust(log.log, log.origin, suites),),
        chains=(replace(view.trusting, headers=headers),),
        trust_operator_state=trust_operator_state,
    )


def _when(when: Meta) -> dict[str, Any]:
    return {"block": when.block, "time": when.time, "by": "0x" + when.sender.hex()}


def _said(when: Meta) -> str:
    return f"{moment(when.time)} in block {when.block} by 0x{when.sender.hex()}"


def _name(log: bytes) -> str:
    return "no log" if log == NO_LOG else log.hex()
