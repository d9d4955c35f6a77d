"""Step 10: what a chain, proven offline, says about the checkpoint (DESIGN sections 7 and 8).

Owns the comparison of an anchor with the checkpoint: equal, or consistently later. Trusts the policy's chains; the
checkers of `ledger.evidence.chain` prove what the contract holds. The step never speaks for entries beyond the anchored
size, and a chain that nobody vouches for is "cannot tell", never "invalid".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import MalformedError
from ledger.evidence.bundle import ChainPart
from ledger.evidence.messages import say
from ledger.evidence.policy import Policy
from ledger.evidence.report import Step, Verdict
from ledger.log.checkpoint import Checkpoint
from ledger.log.proofs import verify_consistency

if TYPE_CHECKING:
    from ledger.evidence.chain import ChainFacts


class Anchored(NamedTuple):
    """Step 10, and the time of a header under which nothing newer was anchored, None without one."""

    step: Step
    fresh: int | None = None


def check_anchor(
    part: ChainPart | None, policy: Policy, log_id: bytes, checkpoint: Checkpoint, index: int | None, now: int
) -> Anchored:
    """Step 10 for `checkpoint` and entry `index`; None where the bundle is about an absence."""
    if not policy.chains:
        return _unknown("no_chain_policy")
    if part is None:
        return _unknown("no_chain_evidence")
    from ledger.evidence import chain  # noqa: PLC0415 - heavy: only who has such evidence pays for it

    refused = say("chain_untrusted", why="")
    for trusted in policy.chains:
        try:
            facts = chain.check_chain_evidence(part.evidence, trusted, log_id)
        except chain.ChainUntrustedError as error:
            refused = say("chain_untrusted", why=error.explain())
        except (MalformedError, chain.ChainInvalidError) as error:
            if len(policy.chains) == 1:
                return Anchored(Step(10, Verdict.INVALID, say("chain_wrong", why=error.explain())))
            refused = say("chain_untrusted", why=error.explain())  # it may be evidence of another of the chains
        else:
            return _judge(facts, part, policy, checkpoint, index, now)
    return Anchored(Step(10, Verdict.CANNOT_TELL, refused))


def _judge(
    facts: ChainFacts, part: ChainPart, policy: Policy, checkpoint: Checkpoint, index: int | None, now: int
) -> Anchored:
    size, root = facts.size, facts.root

    def answer(verdict: Verdict, name: str, **values: object) -> Anchored:
        step = Step(10, verdict, say(name, size=size, **values), facts.rests_on, size, facts.time)
        return Anchored(step, facts.time if verdict is Verdict.VALID and facts.newest else None)

    if facts.time > now + policy.skew:
        return answer(Verdict.CANNOT_TELL, "chain_future", block=facts.block, time=facts.time)
    if now - facts.time > policy.trusting_period:
        return answer(
            Verdict.CANNOT_TELL, "chain_expired", block=facts.block, time=facts.time, period=policy.trusting_period
        )
    if facts.expired(now, policy.trusting_period):
        return answer(Verdict.CANNOT_TELL, "chain_pin_expired", time=facts.trusted_since, period=policy.trusting_period)
    exact = size == checkpoint.size
    if facts.disputed:
        return answer(Verdict.INVALID, "chain_disputed")
    seal = facts.seal
    if seal is not None and (
        checkpoint.size > seal.size or (checkpoint.size == seal.size and checkpoint.root != seal.root)
    ):
        return answer(
            Verdict.INVALID, "chain_sealed", sealed=seal.size, root=seal.root.hex(), checkpoint=checkpoint.size
        )
    if part.size != size:
        return answer(Verdict.INVALID, "chain_size", stated=part.size)
    if size > checkpoint.size:
        return answer(Verdict.CANNOT_TELL, "chain_beyond", checkpoint=checkpoint.size)
    if not verify_consistency(size, checkpoint.size, root, checkpoint.root, part.consistency):
        return answer(Verdict.INVALID, "chain_inconsistent", checkpoint=checkpoint.size)
    if index is None:
        if not exact:
            return answer(Verdict.CANNOT_TELL, "chain_absence", checkpoint=checkpoint.size)
        return answer(Verdict.VALID, "chain_ok_absence", block=facts.block)
    if index >= size:
        return answer(Verdict.CANNOT_TELL, "chain_not_yet", index=index)
    return answer(Verdict.VALID, "chain_ok", index=index, block=facts.block)


def _unknown(name: str, **values: object) -> Anchored:
    return Anchored(Step(10, Verdict.CANNOT_TELL, say(name, **values)))
