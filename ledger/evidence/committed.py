"""The commitment side of a bundle: checkpoint, inclusion, manifest and state (steps 8, 5, 6 and 7, DESIGN section 8).

Owns how one signed root is made to stand for every entry and, through the manifest at index size-1, for the whole
state. Trusts the policy and, for the keys, the log's genesis, which the log's id names: later keys count only where the
root authorities' consents verify. Who vouches for the state decides step 7; without anybody it rests on the operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ledger.errors import LedgerError, MalformedError
from ledger.evidence.audit_report import open_audit_report
from ledger.evidence.bundle import Bundle
from ledger.evidence.history import BundleHistory, Claims
from ledger.evidence.messages import Said, say
from ledger.evidence.past import Past
from ledger.evidence.policy import LogTrust, Policy
from ledger.evidence.report import Step, Verdict
from ledger.evidence.vouching import Vouched, newest_quorum
from ledger.log.checkpoint import Checkpoint
from ledger.log.multiproof import root_from_multiproof
from ledger.log.notes import Note
from ledger.state.proofs import StateProof, root_from_state_proof
from ledger.state.records import LogRecord
from ledger.statements import Statement

VALID: Final = Verdict.VALID
INVALID: Final = Verdict.INVALID
CANNOT_TELL: Final = Verdict.CANNOT_TELL


class Seen(NamedTuple):
    """A checkpoint that a verifier has seen signed: what it may remember of a log."""

    log_id: bytes
    size: int
    root: bytes
    note: bytes


def check_signed(
    bundle: Bundle, history: BundleHistory, past: Past, trust: LogTrust, seen: Seen | None
) -> tuple[Checkpoint | None, Step, tuple[bytes, bytes] | None]:
    """Step 8: the checkpoint is signed by the note key that the log has at its size; None where it does not count.

    `past` runs the log's own record again, so that a change of its keys counts only with the root's consents. The third
    member is a pair of notes that contradict one another, where `seen` shows that.
    """
    try:
        size = Checkpoint.parse(Note.parse(bundle.checkpoint).text).size
    except MalformedError as error:
        return None, Step(8, INVALID, say("checkpoint_wrong", why=error.explain())), None
    try:
        log = past.record((LogRecord,), size)
        vkey = history.keys.vkey_for(size)
    except LedgerError as error:  # what the log's keys are is not shown, or does not hold together
        return None, Step(8, CANNOT_TELL, say("missing", why=error.explain()), (), size), None
    if not isinstance(log, LogRecord) or log.note.key != vkey.key:
        return None, Step(8, INVALID, say("checkpoint_old_key", size=size), (), size), None
    try:
        opened = history.keys.open_checkpoint(bundle.checkpoint)
    except LedgerError as error:
        return None, Step(8, INVALID, say("checkpoint_wrong", why=error.explain()), (), size), None
    if trust.note_keys and vkey not in trust.note_keys:
        why = say("checkpoint_unpinned", name=vkey.name)
        return None, Step(8, CANNOT_TELL, why, (), size), None
    if seen is not None and seen.size == size and seen.root != opened.root:
        said = say("checkpoint_conflict", size=size, seen=seen.root.hex())
        return None, Step(8, INVALID, said, (), size), (seen.note, bundle.checkpoint)
    reason = say("checkpoint_ok", name=vkey.name, size=size, root=opened.root.hex())
    return opened, Step(8, VALID, reason, (say("on_policy", name=opened.origin),), size), None


def check_entries(bundle: Bundle, statements: Mapping[int, Statement], checkpoint: Checkpoint | None) -> Step:
    """Step 5: every entry of the bundle stands in the checkpoint's tree, by one multiproof."""
    if checkpoint is None:
        return Step(5, CANNOT_TELL, say("no_checkpoint"))
    size = checkpoint.size
    leaves = {index: statement.leaf for index, statement in statements.items()}
    try:
        found = root_from_multiproof(leaves, size, bundle.inclusion)
    except MalformedError as error:
        return Step(5, INVALID, say("inclusion_shape", why=error.explain()), (), size)
    if found != checkpoint.root:
        return Step(5, INVALID, say("inclusion_root", found=found.hex(), root=checkpoint.root.hex()), (), size)
    if bundle.index is None:
        return Step(5, VALID, say("included_absence", count=len(leaves), size=size), (), size)
    return Step(5, VALID, say("included_all", count=len(leaves), size=size, index=bundle.index), (), size)


def check_manifest(
    statements: Mapping[int, Statement],
    history: BundleHistory,
    checkpoint: Checkpoint,
    policy: Policy,
    vouched: tuple[Vouched | None, Vouched | None],
) -> tuple[Statement | None, Step]:
    """Step 6: the log's own manifest stands at index size-1, and its time is one that the witnesses bear out.

    Returns the manifest too, None where there is none that counts.
    """
    size, index = checkpoint.size, checkpoint.size - 1
    manifest = statements.get(index)
    if manifest is None:
        return None, Step(6, CANNOT_TELL, say("manifest_missing", index=index), (), size)
    if manifest.type != "manifest":
        return None, Step(6, INVALID, say("manifest_none", index=index), (), size)
    for at, statement in statements.items():
        if statement.type == "manifest" and not history.signed_by_log(at):
            said = say("manifest_not_logs", index=at, kid=history.keys.cose_at(at).key.hex())
            return None, Step(6, INVALID, said, (), size)
    odd = out_of_order(statements)
    if odd is not None:
        return None, Step(6, INVALID, say("manifests_disagree", index=odd), (), size)
    time, quorum = manifest.iat, newest_quorum(*vouched)
    ok = say("manifest_ok", number=manifest.subject[1], time=time)
    if quorum is None:
        if policy.trust_operator_state:
            return manifest, Step(6, VALID, ok, (say("on_operator"),), size, time)
        return manifest, Step(6, CANNOT_TELL, say("manifest_unwitnessed", time=time), (), size, time)
    if time > quorum + policy.skew:
        said = say("manifest_ahead", time=time, quorum_time=quorum, skew=policy.skew)
        return None, Step(6, INVALID, said, (), size, time)
    if quorum - time > policy.max_lag:
        said = say("manifest_behind", time=time, quorum_time=quorum, lag=quorum - time)
        return manifest, Step(6, CANNOT_TELL, said, (), size, time)
    names = ", ".join(found.names for found in vouched if found is not None and found.time is not None)
    return manifest, Step(6, VALID, ok, (say("on_witnesses", names=names),), size, time)


def out_of_order(statements: Mapping[int, Statement]) -> int | None:
    """The first entry whose manifest contradicts its place, or the genesis and manifests before it; None without one.

    A manifest tells log time for its whole batch, so what is here of the others must leave room for what it tells.
    """
    number, end, time = 0, 0, statements[0].iat if 0 in statements else 0
    for at, statement in sorted(statements.items()):
        if statement.type != "manifest":
            continue
        body, own = statement.body, statement.subject[1]
        follows = own == number + 1
        if (
            body["first"] + body["count"] != at
            or not time <= body["began"] <= statement.iat
            or own <= number
            or (body["first"] != end if follows else body["first"] <= end)
            or (follows and time and body["began"] != time)
        ):
            return at
        number, end, time = own, at + 1, statement.iat
    return None


def check_state(
    bundle: Bundle,
    claims: Claims,
    checkpoint: Checkpoint,
    manifest: Statement,
    policy: Policy,
    replaying: Vouched | None,
) -> tuple[bool, tuple[Said, ...], Step]:
    """Step 7: all state claims hold under the state root in the manifest, and somebody vouches for that root.

    Returns whether the claims hold, who vouches (empty: the operator alone), and the step.
    """
    size, root = checkpoint.size, manifest.body["state"]
    try:
        proof = StateProof.from_cbor_object(bundle.state)
        found = root_from_state_proof({key: claim.record for key, claim in claims.by_key.items()}, proof)
        claims.read_all()
    except MalformedError as error:
        return False, (), Step(7, INVALID, say("state_shape", why=error.explain()), (), size)
    if found != root:
        return False, (), Step(7, INVALID, say("state_root", found=found.hex(), root=root.hex()), (), size)
    backing = state_backing(bundle, checkpoint, root, policy, replaying)
    count = len(claims.by_key)
    if not backing:
        return True, (), Step(7, CANNOT_TELL, say("state_alone", count=count), (), size, manifest.iat)
    return True, backing, Step(7, VALID, say("state_ok", count=count), backing, size, manifest.iat)


def state_backing(
    bundle: Bundle, checkpoint: Checkpoint, state: bytes, policy: Policy, replaying: Vouched | None
) -> tuple[Said, ...]:
    """Who vouches for the state root at this checkpoint: replaying witnesses, auditors, or by policy the operator."""
    backing: list[Said] = []
    if replaying is not None and replaying.time is not None:
        backing.append(say("on_replayers", names=replaying.names))
    for raw in bundle.audits:
        for auditor in policy.auditors:
            try:
                report = open_audit_report(raw, [(auditor.alg, auditor.key)])
            except LedgerError:
                continue  # a report by nobody whom the policy names counts for nothing, and says nothing against it
            same = (bundle.log_id, checkpoint.size, checkpoint.root, state)
            if report.vouches_for_state and (report.log_id, report.size, report.root, report.state) == same:
                backing.append(say("on_auditor", name=auditor.name))
    if not backing and policy.trust_operator_state:
        backing.append(say("on_operator"))
    return tuple(dict.fromkeys(backing))
