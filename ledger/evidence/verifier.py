"""The offline verifier: a bundle, a policy and a clock in, the numbered steps out (DESIGN section 8).

Owns the order of the steps, which of them an answer needs, and the first two of them: container (1) and suites (2). The
others are in `committed` (5 to 8), `vouching` (9, 14), `anchoring` (10) and `story` (3, 4, 11 to 13). Trusts the
policy and nothing else. No input raises: whatever a bundle holds, the answer is a report.

What is required: for a statement 1, 2, 4 to 8 and 11, 13 where its type makes something that has a state, 3 where it is
a certification or a document is shown; 9, 10 and 14 where the policy names witnesses or a seal, a chain, an age. Step
12 is told and decides nothing: what was done within a right outlives it, unless somebody says so by a change of status.
An absence needs 1, 2, 5 to 8 and 13, and what the policy names; a history (`verify_history`) 11 too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ledger.crypto.suites import suite_by_alg
from ledger.errors import MalformedError
from ledger.evidence.anchoring import Anchored, check_anchor
from ledger.evidence.bundle import Bundle
from ledger.evidence.committed import (
    CANNOT_TELL,
    INVALID,
    VALID,
    Seen,
    check_entries,
    check_manifest,
    check_signed,
    check_state,
)
from ledger.evidence.history import BundleHistory, BundleView, Claims
from ledger.evidence.messages import Said, say
from ledger.evidence.past import Past
from ledger.evidence.policy import LogTrust, Policy
from ledger.evidence.report import ABSENCE, HISTORY, STATEMENT, Report, Step
from ledger.evidence.story import Story, absence, capped, may_be_absent, remembering
from ledger.evidence.vouching import Vouched, check_freshness, count_witnesses, with_seal
from ledger.evidence.whole import Whole, WholeStory
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import Note
from ledger.state.transition import verify_signature
from ledger.statements import Statement, decode_statement

Memory = Mapping[bytes, Seen]
"""The highest checkpoint that a verifier remembers of each log, by log id. The caller keeps it."""
INFORMATIVE: Final = {STATEMENT: frozenset({12}), ABSENCE: frozenset[int](), HISTORY: frozenset({4})}
"""Steps that are told and decide nothing, by what is claimed."""
_RESTING: Final = {STATEMENT: (3, 4, 11, 12, 13), ABSENCE: (13,), HISTORY: (4, 11, 13)}
"""Steps that rest on the proven state."""


class Verification(NamedTuple):
    """What a verification found: the report, the checkpoint to remember, and notes that contradict one another.

    `checkpoint` is None where step 8 is not valid, where what it rests on is not proven, and where witnesses that the
    policy demands are missing: then there is nothing to remember. `conflict` are two checkpoint notes of the log with
    the same size and different roots: the matter of a split-view proof. `whole` is the history that was asked for, None
    where nothing is proven to hold together.
    """

    report: Report
    checkpoint: Seen | None = None
    conflict: tuple[bytes, bytes] | None = None
    whole: Whole | None = None


def verify(raw: bytes, policy: Policy, now: int, memory: Memory | None = None) -> Verification:
    """Verify a bundle's bytes under a policy at `now` (Unix seconds, the verifier's clock)."""
    return _verify(raw, policy, now, memory, STATEMENT)


def verify_history(raw: bytes, policy: Policy, now: int, memory: Memory | None = None) -> Verification:
    """Verify that a bundle holds all that was ever said of what it is about, whatever state that led to.

    Of a bundle that is about an absence the answer is that absence: nothing was ever said.
    """
    return _verify(raw, policy, now, memory, HISTORY)


def _verify(raw: bytes, policy: Policy, now: int, memory: Memory | None, present: str) -> Verification:
    """Verify what is claimed: `present`, or an absence where the bundle is about one."""
    try:
        bundle = Bundle.decode(raw)
    except MalformedError as error:
        step = Step(1, INVALID, say("not_a_bundle", why=error.explain()))
        return Verification(Report.of(say("about_unread"), [step], {1}))
    trust = policy.log(bundle.log_id)
    if trust is None:
        step = Step(1, CANNOT_TELL, say("log_not_in_policy", log=bundle.log_id.hex()))
        return Verification(Report.of(say("about_unknown_log", about=bundle.about), [step], {1}))
    claim = ABSENCE if bundle.index is None else present
    statements, suites = read_entries(bundle, trust)
    if statements is None:
        return Verification(Report.of(bundle.about, [suites], {1, 2}, claim=claim))
    container = check_container(bundle, statements, trust)
    if container.verdict is not VALID:
        return Verification(Report.of(bundle.about, [container, suites], {1, 2}, claim=claim))
    seen = (memory or {}).get(bundle.log_id)
    return _Verifier(bundle, statements, policy, trust, now, claim).run([container, suites], seen)


def read_entries(bundle: Bundle, trust: LogTrust) -> tuple[dict[int, Statement] | None, Step]:
    """Step 2: every entry is a statement in the one form, of suites that the policy takes; None where one is not."""
    statements: dict[int, Statement] = {}
    for index, raw in bundle.entries:
        try:
            statements[index] = decode_statement(raw)
        except MalformedError as error:
            return None, Step(2, INVALID, say("entry_not_a_statement", index=index, why=error.explain()))
    used: set[int] = set()
    for index, statement in statements.items():
        algs = {statement.alg, *(consent.alg for consent in statement.consents)}
        for alg in sorted(algs - trust.suites):
            return statements, Step(2, INVALID, say("alg_not_in_policy", index=index, alg=alg))
        used |= algs
    names = ", ".join(suite_by_alg(alg).name for alg in sorted(used, reverse=True))
    return statements, Step(2, VALID, say("suites_all_ok", count=len(statements), names=names))


def check_container(bundle: Bundle, statements: Mapping[int, Statement], trust: LogTrust) -> Step:
    """Step 1: the bundle is of the log that it names, and holds what it says that it is about."""
    genesis = statements.get(0)
    if genesis is None:
        return Step(1, INVALID, say("genesis_missing"))
    if genesis.leaf != bundle.log_id or genesis.type != "genesis":
        return Step(1, INVALID, say("genesis_other", log=bundle.log_id.hex()))
    origin = genesis.body["origin"]
    if trust.origin is not None and origin != trust.origin:
        return Step(1, INVALID, say("genesis_origin", found=origin, expected=trust.origin))
    if bundle.index is not None:
        statement = statements.get(bundle.index)
        if statement is None:
            return Step(1, INVALID, say("index_not_here", index=bundle.index))
        if statement.sub != bundle.about:
            other = say("about_other", about=bundle.about, index=bundle.index, sub=statement.sub)
            return Step(1, INVALID, other)
    elif not may_be_absent(bundle.about):
        return Step(1, INVALID, say("absence_without_claim", about=bundle.about))
    elif bundle.documents:  # no step would judge them, and nothing unjudged may stand in what is called valid
        return Step(1, INVALID, say("absence_with_document", about=bundle.about))
    counts = {"entries": len(bundle.entries), "claims": len(bundle.claims)}
    return Step(1, VALID, say("container_ok", log=bundle.log_id.hex(), **counts))


class _Verifier:
    """One bundle on its way through the steps."""

    def __init__(
        self, bundle: Bundle, statements: dict[int, Statement], policy: Policy, trust: LogTrust, now: int, claim: str
    ) -> None:
        self._claim = claim
        self._whole: Whole | None = None
        self._held = False  # whether entries and state claims are proven under the checkpoint
        self._bundle = bundle
        self._statements = statements
        self._policy = policy
        self._trust = trust
        self._now = now
        verify = remembering(verify_signature)
        self._verify = verify
        self._claims = Claims(bundle)
        self._history = BundleHistory(bundle, statements, self._claims, verify)
        self._past = Past(self._history, verify=verify)

    def run(self, first: list[Step], seen: Seen | None) -> Verification:
        """Answer all steps."""
        bundle, policy = self._bundle, self._policy
        checkpoint, signed, conflict = check_signed(bundle, self._history, self._past, self._trust, seen)
        found = [*first, signed, check_entries(bundle, self._statements, checkpoint)]
        times: list[int | None] = []
        rests_on: list[Said] = []
        if checkpoint is None or found[-1].verdict is not VALID:
            blocked = 8 if checkpoint is None else 5
            found += [self._blocked(number, blocked) for number in self._rest()]
            return self._done(found, checkpoint, conflict)
        ninth, *vouched = count_witnesses(Note.parse(bundle.checkpoint), policy, checkpoint.size)
        ninth = with_seal(ninth, bundle.seal, policy, bundle.log_id, checkpoint)
        anchored = self._anchored(checkpoint)
        for group in vouched:
            if group is not None and group.time is not None:
                times.append(group.time)
                rests_on.append(say("on_witnesses", names=group.names))
        if anchored.fresh is not None:
            times.append(anchored.fresh)
            rests_on += anchored.step.rests_on
        fresh = check_freshness(policy, self._now, times, tuple(dict.fromkeys(rests_on)))
        found += [ninth, anchored.step, fresh]
        found += self._proven(checkpoint, (vouched[0], vouched[1]))
        return self._done(found, checkpoint, conflict)

    def _proven(self, checkpoint: Checkpoint, vouched: tuple[Vouched | None, Vouched | None]) -> list[Step]:
        """Steps 6 and 7, and the story that rests on them."""
        manifest, sixth = check_manifest(self._statements, self._history, checkpoint, self._policy, vouched)
        resting = _RESTING[self._claim]
        if manifest is None:
            return [sixth, *(self._blocked(number, 6) for number in (7, *resting))]
        holds, backing, seventh = check_state(
            self._bundle, self._claims, checkpoint, manifest, self._policy, vouched[1]
        )
        if not holds:
            return [sixth, seventh, *(self._blocked(number, 7) for number in resting)]
        self._held = True
        view = BundleView(self._claims, manifest, checkpoint.size - 1)
        if self._bundle.index is None:
            told = [absence(view, self._bundle.about, checkpoint.size, backing)]
            return [sixth, seventh, *(step if backing else capped(step) for step in told)]
        index = self._bundle.index
        if self._claim == HISTORY:
            question = WholeStory(view, self._past, self._history, backing)
            told, self._whole = question.steps(self._bundle.about, index, checkpoint.size)
            return [sixth, seventh, *told]
        story = Story(view, self._past, self._verify, backing, self._now)
        return [sixth, seventh, *story.steps(self._statements[index], index, self._bundle.documents)]

    def _anchored(self, checkpoint: Checkpoint) -> Anchored:
        bundle = self._bundle
        index = bundle.index if self._claim == STATEMENT else None  # what rests on the state needs its very anchor
        return check_anchor(bundle.chain, self._policy, bundle.log_id, checkpoint, index, self._now)

    def _rest(self) -> tuple[int, ...]:
        """The steps that rest on checkpoint and entries."""
        return (6, 7, 9, 10, *_RESTING[self._claim], 14)

    def _blocked(self, number: int, by: int) -> Step:
        return Step(number, CANNOT_TELL, say("needs_step", step=by))

    def _done(
        self, found: list[Step], checkpoint: Checkpoint | None, conflict: tuple[bytes, bytes] | None
    ) -> Verification:
        bundle = self._bundle
        numbers = {step.number for step in found}
        report = Report.of(
            self._about(checkpoint), found, self._required(numbers), INFORMATIVE[self._claim], self._claim
        )
        ninth = report.step(9)
        witnessed = 9 not in report.required or (ninth is not None and ninth.verdict is VALID)
        seen = None
        if checkpoint is not None and self._held and witnessed:  # else its keys are not proven, or nobody else saw it
            seen = Seen(bundle.log_id, checkpoint.size, checkpoint.root, bundle.checkpoint)
        return Verification(report, seen, conflict, self._whole)

    def _about(self, checkpoint: Checkpoint | None) -> Said:
        bundle = self._bundle
        if bundle.index is None:
            return say("about_absence", about=bundle.about, size="?" if checkpoint is None else checkpoint.size)
        if self._claim == HISTORY:
            return say("about_history", about=bundle.about, size="?" if checkpoint is None else checkpoint.size)
        statement = self._statements[bundle.index]
        return say("about_statement", type=statement.type, sub=statement.sub, iss=statement.iss, index=bundle.index)

    def _required(self, numbers: set[int]) -> set[int]:
        policy = self._policy
        required = {1, 2, 5, 6, 7, 8}
        if policy.plain.vkeys or policy.replaying.vkeys or policy.roster is not None:
            required.add(9)
        if policy.chains:
            required.add(10)
        if policy.max_age is not None:
            required.add(14)
        if self._bundle.index is None:
            return required | {13}
        if self._claim == HISTORY:
            return required | {11, 13}
        statement = self._statements[self._bundle.index]
        if statement.type == "certification" or (self._bundle.documents and statement.digest is not None):
            required.add(3)
        return required | {4, 11} | ({13} & numbers)
