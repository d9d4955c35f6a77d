"""Who else vouches for a checkpoint, and since when: steps 9 (witnesses) and 14 (freshness) (DESIGN section 8).

Owns the counting of cosignatures by the policy's two lists and the time that a quorum reaches: the newest time such
that a quorum of them cosigned then or later; and, where the policy names a consortium, the judgement of its seal, which
tells no time. Trusts the policy's keys and quorums and the verifier's clock, nothing else; a line of an unknown key
counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ledger.errors import LedgerError, MalformedError
from ledger.evidence.messages import Said, say
from ledger.evidence.policy import Policy, Witnesses
from ledger.evidence.report import Step, Verdict
from ledger.evidence.seal import FewSealedError, Roster, Seal, Sealed, check_seal
from ledger.log.checkpoint import Checkpoint, Cosignature
from ledger.log.notes import Note, Vkey, verify_note


@dataclass(frozen=True, slots=True)
class Vouched:
    """How one list of witnesses vouched: who cosigned, and the time that the quorum reaches, None without one."""

    witnesses: Witnesses
    cosigned: tuple[Cosignature, ...]
    time: int | None

    @property
    def names(self) -> str:
        """Names of those who cosigned."""
        return ", ".join(cosignature.vkey.name for cosignature in self.cosigned)

    @property
    def said(self) -> Said:
        """How many cosigned."""
        count, named, quorum = len(self.cosigned), len(self.witnesses.vkeys), self.witnesses.quorum
        kind = say(f"kind_{self.witnesses.kind}")
        if self.time is None:
            return say("witnesses_few", count=count, named=named, quorum=quorum, kind=kind)
        return say("witnesses_ok", count=count, named=named, quorum=quorum, kind=kind, time=self.time)


def count_witnesses(note: Note, policy: Policy, size: int) -> tuple[Step, Vouched | None, Vouched | None]:
    """Step 9, and how the plain and the replaying witnesses vouched; None where a cosignature does not verify.

    The step is about the plain witnesses; where the policy names replaying ones only, about those.
    """
    try:
        plain, replaying = (_count(note, witnesses) for witnesses in (policy.plain, policy.replaying))
    except LedgerError as error:  # a line of a known key that fails: the note was altered
        return Step(9, Verdict.INVALID, say("witness_wrong", why=error.explain()), (), size), None, None
    asked = plain if policy.plain.vkeys or not policy.replaying.vkeys else replaying
    if not asked.witnesses.vkeys:
        return Step(9, Verdict.CANNOT_TELL, say("no_witnesses"), (), size), plain, replaying
    if asked.time is None:
        return Step(9, Verdict.CANNOT_TELL, asked.said, (), size), plain, replaying
    rests_on = (say("on_witnesses", names=asked.names),)
    return Step(9, Verdict.VALID, asked.said, rests_on, size, asked.time), plain, replaying


def with_seal(step: Step, raw: bytes | None, policy: Policy, log_id: bytes, checkpoint: Checkpoint) -> Step:
    """Step 9 with the consortium's seal, where the policy demands one: then both must hold.

    `raw` is the seal's file, None where the bundle has none. A seal that is not enough, of another roster or over
    something else says nothing about this checkpoint; one that is false, or over another root of this size, does.
    """
    if policy.roster is None:
        return step
    verdict, said, members = _judge_seal(raw, policy.roster, Sealed.of(log_id, checkpoint))
    rests_on = (say("on_members", names=", ".join(members)),) if members else ()
    if not policy.plain.vkeys and not policy.replaying.vkeys:
        return Step(9, verdict, said, rests_on, checkpoint.size)
    worst = min(step.verdict, verdict, key=_ORDER.index)
    both = say("both", first=step.said, second=said)
    return Step(9, worst, both, (*step.rests_on, *rests_on), checkpoint.size, step.time)


_ORDER: Final = (Verdict.INVALID, Verdict.CANNOT_TELL, Verdict.VALID)


def _judge_seal(raw: bytes | None, roster: Roster, expected: Sealed) -> tuple[Verdict, Said, tuple[str, ...]]:
    """The verdict on a seal, the reason, and the DIDs of the members that sealed."""
    if raw is None:
        return Verdict.CANNOT_TELL, say("seal_missing"), ()
    try:
        seal = Seal.decode(raw)
    except MalformedError as error:
        return Verdict.INVALID, say("seal_malformed", why=error.explain()), ()
    over = seal.sealed
    if seal.roster != roster.digest:
        return Verdict.CANNOT_TELL, say("seal_other_roster"), ()
    if over[:2] != expected[:2]:
        return Verdict.CANNOT_TELL, say("seal_elsewhere", size=over.size, log=over.log_id.hex()), ()
    try:
        roster.require_possession()
    except LedgerError as error:  # the policy's roster is at fault, or nothing here computes with such keys
        return Verdict.CANNOT_TELL, say("seal_untold", why=error.explain()), ()
    try:
        members = check_seal(seal, roster, over)
    except FewSealedError as error:
        return Verdict.CANNOT_TELL, say("seal_few", count=error.count, threshold=roster.threshold), ()
    except LedgerError as error:
        return Verdict.INVALID, say("seal_wrong", why=error.explain()), ()
    if over != expected:
        return Verdict.INVALID, say("seal_conflict", root=over.root.hex()), ()
    told = say("seal_ok", count=len(members), named=len(roster.members), threshold=roster.threshold)
    return Verdict.VALID, told, members


def newest_quorum(*vouched: Vouched | None) -> int | None:
    """The newest time that any of these quorums reaches, None where none does."""
    return max((found.time for found in vouched if found is not None and found.time is not None), default=None)


def check_freshness(policy: Policy, now: int, times: Iterable[int | None], rests_on: tuple[Said, ...]) -> Step:
    """Step 14: how long ago the checkpoint was the newest, by quorum and header times; None counts for nothing."""
    known = [time for time in times if time is not None]
    if not known:
        return Step(14, Verdict.CANNOT_TELL, say("fresh_nobody"))
    time = max(known)
    age = now - time
    if -age > policy.skew:
        return Step(14, Verdict.CANNOT_TELL, say("fresh_ahead", time=time, ahead=-age), (), None, time)
    age = max(age, 0)
    if policy.max_age is None:
        return Step(14, Verdict.CANNOT_TELL, say("fresh_unasked", age=age), (), None, time)
    if age > policy.max_age:
        return Step(14, Verdict.CANNOT_TELL, say("fresh_stale", age=age, limit=policy.max_age), (), None, time)
    said = say("fresh_ok", age=age, limit=policy.max_age)
    return Step(14, Verdict.VALID, said, (*rests_on, say("on_clock")), None, time)


def _count(note: Note, witnesses: Witnesses) -> Vouched:
    newest: dict[Vkey, int] = {}
    if witnesses.vkeys and _names_any(note, witnesses):
        for signature in verify_note(note, witnesses.vkeys):
            assert signature.time is not None, "the policy names cosignature keys only"
            newest[signature.vkey] = max(signature.time, newest.get(signature.vkey, 0))
    times = sorted(newest.values(), reverse=True)
    reached = times[witnesses.quorum - 1] if 0 < witnesses.quorum <= len(times) else None
    return Vouched(witnesses, tuple(Cosignature(vkey, time) for vkey, time in newest.items()), reached)


def _names_any(note: Note, witnesses: Witnesses) -> bool:
    lines = {(line.name, line.key_id) for line in note.signatures}
    return any((vkey.name, vkey.key_id) in lines for vkey in witnesses.vkeys)
