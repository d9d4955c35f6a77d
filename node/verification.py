"""Verifying for those who ask the node: a bundle is made or taken, and verified as anybody would (DESIGN section 8).

Owns what the question becomes: a bundle of `node.evidence`, or the one that was posted; and the node's own policy, for
those who bring none. That policy takes the operator's word for the state and the chain's node's word for its blocks, so
every answer says that it rests on them: who wants to trust nobody here verifies the bundle offline under a policy of
their own. All judgement is `ledger.evidence.verifier`'s.

Reading and verifying take a thread, a few at once; the event loop only takes the snapshot.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from ledger.crypto.suites import SUITES
from ledger.errors import MalformedError, UnavailableError
from ledger.evidence.bundle import Bundle, Document
from ledger.evidence.chain import block_hashes
from ledger.evidence.messages import say
from ledger.evidence.policy import PLAIN, REPLAYING, LogTrust, Policy, Witnesses, parse_policy
from ledger.evidence.report import Report
from ledger.evidence.verifier import verify
from ledger.log.policy import TlogPolicy
from ledger.state.places import place_of_statement
from ledger.state.records import KIND_OF, record_key
from ledger.statements import decode_statement
from node.anchor.status import WorkerState
from node.evidence import Stand, make, stand_of
from node.log_reading import LogTree
from node.node import Node
from node.queries import NotFoundError
from node.questions import Questions
from node.verification_request import Request

AT_ONCE: Final = 2
"""Verifications that run at the same time."""
WAITING: Final = 16
"""Requests that are read, wait or run; their bodies are held in memory."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The node's own policy, and the blocks (hashes) that its chain's node called final and that it remembers."""

    policy: Policy
    blocks: tuple[bytes, ...] = ()
    pins: bool = True
    """Whether the chain's node is believed at all: not while it contradicts the log."""


class OnlineVerifier:
    """Answers verification requests. Belongs to the event loop."""

    def __init__(self, node: Node, *, clock: Callable[[], float] = time.time) -> None:
        self._node = node
        self._clock = clock
        self._questions = Questions(AT_ONCE, WAITING)
        self.place = self._questions.place
        """Held from before the request is read; UnavailableError where all places are taken."""

    async def verify(self, read: Callable[[], Request]) -> Report:
        """Verify what `read` gives; it is called in the thread, for a request may be long.

        Raises:
            MalformedError: the request, its subject or its policy is not in its form.
            NotFoundError: what is asked about is not in the log.
            UnavailableError: it is not published yet.

        """
        async with self._questions.turn:
            stand, trust, now = stand_of(self._node), own_trust(self._node), int(self._clock())
            return await asyncio.to_thread(lambda: examine(stand, trust, read(), now))


def own_trust(node: Node) -> Trust:
    """What the node itself trusts: its log's id, its witnesses where publishing needs them, its chain, its operator."""
    suites = frozenset(suite.alg for suite in SUITES.values() if suite.alg is not None)
    named: dict[str, Witnesses] = {}
    if node.witnesses is not None and node.witnesses.required:
        named = {kind: _flat(kind, policy) for kind, policy in node.witnesses.cosigner.policies.items()}
    worker = node.anchors
    policy = Policy(
        logs=(LogTrust(node.log_id, node.origin, suites),),
        plain=named.get(PLAIN, Witnesses(PLAIN)),
        replaying=named.get(REPLAYING, Witnesses(REPLAYING)),
        chains=() if worker is None else worker.trusted(),
        trust_operator_state=True,
    )
    if worker is None:
        return Trust(policy)
    return Trust(policy, worker.final_blocks(), worker.status().state is not WorkerState.DISPUTED)


def _flat(kind: str, policy: TlogPolicy) -> Witnesses:
    """The witnesses as a verifier's policy lists them; none where they are grouped in a way that it cannot say."""
    names = {witness.name for witness in policy.witnesses}
    thresholds = {group.name: group.threshold for group in policy.groups if set(group.members) == names}
    if names == {policy.quorum}:
        thresholds[policy.quorum] = 1
    quorum = thresholds.get(policy.quorum)
    try:
        return Witnesses(kind) if quorum is None else Witnesses(kind, policy.vkeys, quorum)
    except MalformedError:  # two keys of one name: a verifier's policy does not list them
        return Witnesses(kind)


def examine(stand: Stand, trust: Trust, asked: Request, now: int) -> Report:
    """Make the bundle or take the one that was posted, and verify it: blocking. Errors as `OnlineVerifier.verify`."""
    policy = None if asked.policy is None else _given_policy(asked.policy)
    if asked.bundle is None:
        bundle = _bundle(stand, asked)
        raw, chain = bundle.encode(), None if bundle.chain is None else bundle.chain.evidence
    else:
        kept = None if stand.chain is None else stand.chain(stand.size)
        raw, chain = asked.bundle, None if kept is None else kept[1]
    if policy is not None:
        return verify(raw, policy, now).report
    own = _pinned(trust, chain)
    report = verify(raw, own, now).report
    return _resting(report) if any(trusted.headers for trusted in own.chains) else report


def _given_policy(text: str) -> Policy:
    try:
        policy = parse_policy(text)
    except MalformedError as error:
        raise MalformedError(error.detail, where=f"policy: {error.where}", remedy=error.remedy) from error
    if policy.roster is not None:  # strangers' proofs of possession take too long to be checked for everybody
        raise MalformedError("a seal is not checked here", where="policy: seal", remedy="Verify offline: tial verify")
    return policy


def _bundle(stand: Stand, asked: Request) -> Bundle:
    """The bundle about what is asked, with what was shown in it."""
    index = asked.index
    if asked.statement is not None and index is None:
        index = _place_of(stand, asked.statement)
    bundle = make(stand, asked.subject, index)
    if bundle.index is None:  # an answer of "valid" would mean that it does not exist
        remedy = "GET /v1/evidence gives the proof that there is none"
        raise NotFoundError(f"There is no record of {asked.subject}", where="subject", remedy=remedy)
    if asked.statement is not None:
        shown = asked.statement
        entries = tuple((at, shown if at == bundle.index else raw) for at, raw in bundle.entries)
        bundle = replace(bundle, about=_subject_of(shown), entries=entries)
    if asked.document is not None:
        others = tuple(document for document in bundle.documents if document.raw != asked.document)
        bundle = replace(bundle, documents=(Document(asked.document), *others))
    return bundle


def _subject_of(raw: bytes) -> str:
    try:
        return decode_statement(raw).sub
    except MalformedError as error:
        raise MalformedError(f"this is no statement: {error.detail}", where="statement", remedy=error.remedy) from error


def _place_of(stand: Stand, raw: bytes) -> int:
    """The entry that holds this very statement: the touch after `seq` of the record that it names."""
    _subject_of(raw)
    statement = decode_statement(raw)
    place, tree = place_of_statement(statement), LogTree(stand.served, stand.size)
    for index in stand.index.history(record_key(KIND_OF[place[0]], *place[1:]), (statement.seq or 0) + 1, 1):
        if index >= stand.size:
            raise UnavailableError(f"Entry {index} is not published yet", remedy="Ask again in a second")
        if tree.reader.entry(index) == raw:
            return index
    remedy = "Submit it, or ask about an index or a subject"
    raise NotFoundError("The log does not hold this statement where it would stand", where="statement", remedy=remedy)


def _pinned(trust: Trust, evidence: bytes | None) -> Policy:
    """The own policy, with the blocks pinned under which this node's evidence was taken, where nobody signs them."""
    if not trust.pins or all(chain.comet is not None for chain in trust.policy.chains):
        return trust.policy
    own = () if evidence is None else block_hashes(evidence)
    headers = tuple(dict.fromkeys((*own, *trust.blocks)))
    return replace(trust.policy, chains=tuple(replace(chain, headers=headers) for chain in trust.policy.chains))


def _resting(report: Report) -> Report:
    """The report, saying of whatever rests on a pinned block whose word for it that is."""
    tenth = report.step(10)
    pinned = set() if tenth is None else set(tenth.rests_on)
    steps = tuple(
        replace(step, rests_on=(*step.rests_on, say("on_chain_node"))) if pinned & set(step.rests_on) else step
        for step in report.steps
    )
    return replace(report, steps=steps)
