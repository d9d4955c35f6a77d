"""Acts about the log itself: genesis, changes of its parameters, and the manifests that close batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ledger.crypto.digests import kid as kid_of
from ledger.crypto.suites import suite_by_alg
from ledger.errors import MalformedError
from ledger.identifiers.did_key import did_key
from ledger.log.note_key import note_key_text
from ledger.log.notes import check_name
from ledger.state.reasons import Reason, refuse
from ledger.state.records import BatchRecord, KeyRecord, KeyRef, LogRecord, Member
from ledger.state.rules1.context import Act, check_consent, first_head
from ledger.state.view import Changes, Verify, View
from ledger.statements import Statement, expected_consent_digest

PRIVILEGED_ROLES = frozenset({"enroller", "accreditor", "template-authority", "regulator"})
"""Roles that only the root threshold grants."""


def begin(view: View, st: Statement, verify: Verify) -> Changes:
    """Genesis: the log key signs, the root threshold consents, and the parameters come into being.

    There is no log id yet, so consents are bound to the empty byte string in its place. The note key signs its proof.
    """
    del view  # nothing exists before genesis
    body = st.body
    log = _parameters(
        LogRecord(
            touches=1, head=first_head(0, st.leaf), last=0, log_id=st.leaf, origin=body["origin"],
            cose=KeyRef(0, b""), note=KeyRef(0, b""), members=(), threshold=0, suites=(), skew=0, max_age=0,
            rotation_delay=0, rules=body["rules"], witnesses=(), successor=None,
        ),
        body,
    )  # fmt: skip
    if st.alg not in log.suites or st.alg != log.cose.alg or st.kid != kid_of(log.cose.key):
        raise refuse(Reason.WRONG_SIGNER, "Genesis is signed by its own cose key.", where="protected.4")
    if st.iss != log_did(log):
        raise refuse(Reason.WRONG_SIGNER, f"The issuer must be {log_did(log)}.", where="claims.iss")
    if not verify(st.alg, log.cose.key, st.signed, st.signature):
        raise refuse(Reason.BAD_SIGNATURE)
    if st.subject[1] != log.origin:
        raise refuse(Reason.BAD_PARAMETERS, "sub must name the log's origin.", where="claims.sub")
    try:
        check_name(log.origin)
    except MalformedError as error:  # no checkpoint could ever be signed under it
        raise refuse(Reason.BAD_PARAMETERS, error.explain(), where="body.origin") from error
    if body.get("predecessor", {"size": 2})["size"] < 2:  # nothing is signed below size 2
        raise refuse(Reason.BAD_PARAMETERS, "A predecessor has a signed size.", where="body.predecessor.size")
    digest = expected_consent_digest(st)
    members = {(m.did, kid_of(m.key)): m for m in log.members}
    agreed: set[str] = set()
    for number, consent in enumerate(st.consents):
        where = f"body.consents[{number}]"
        check_consent(consent, digest, st.iat, where)
        member = members.get((consent.iss, consent.kid))
        if member is None:
            raise refuse(Reason.CONSENT_UNKNOWN_PARTY, consent.iss, where=where)
        if member.did in agreed:
            raise refuse(Reason.CONSENT_REPEATED, consent.iss, where=where)
        if consent.alg != member.alg or not verify(member.alg, member.key, consent.signed, consent.signature):
            raise refuse(Reason.BAD_SIGNATURE, f"Consent of {consent.iss}.", where=where)
        agreed.add(member.did)
    _check_note_key(log, body["keys"]["note"], b"", verify)
    if len(agreed) < log.threshold:
        raise refuse(Reason.THRESHOLD_NOT_MET, f"{len(agreed)} of {log.threshold}.", where="body.consents")
    head = first_head(0, st.leaf)
    batch = BatchRecord(touches=1, head=head, last=0, number=0, time=st.iat, first=0)
    keys = {
        (KeyRecord, kid_of(key)): KeyRecord(touches=1, head=head, last=0, owner=owner, use=use)
        for key, owner, use in _uses(log)
    }
    return {(LogRecord,): log, (BatchRecord,): batch, **keys}


def change(act: Act) -> None:
    """New parameters, roles or a seal: signed by the log key, consented by the root threshold.

    In force from the next entry on. A new cose key and new root keys consent too: each shows that somebody holds it.
    A new note key, which signs notes only, shows it by its proof (`ledger.log.note_key`).
    """
    st, log = act.st, act.log
    if st.subject[1] != log.log_id.hex():
        raise refuse(Reason.WRONG_LOG, f"It is about {st.sub}.", where="claims.sub")
    _signed_by_log(act)
    act.check_sequence(log)
    body = st.body
    changed = _parameters(log, body)
    if "seal" in body:
        successor = bytes.fromhex(body["seal"]["successor"])
        if successor == log.log_id:
            raise refuse(Reason.BAD_PARAMETERS, "A log cannot follow itself.", where="body.seal.successor")
        changed = changed._replace(successor=successor)
    new_keys = [(m.did, m.alg, m.key) for m in changed.members if m not in log.members]
    if changed.cose != log.cose:
        new_keys.append((log_did(changed), changed.cose.alg, changed.cose.key))
    stated = act.stated_consents(new_keys)
    act.require_threshold(set(), stated.parties)
    for did, _, key in new_keys:
        if kid_of(key) not in stated.parties.get(did, ()):
            raise refuse(Reason.CONSENT_MISSING, f"The new key of {did} must consent itself.", where="body.consents")
    held = set(_uses(log))
    for key, owner, use in _uses(changed):
        if (key, owner, use) not in held:
            act.introduce(kid_of(key), owner, use, "body.root.members" if owner else f"body.keys.{use}")
    act.verify_consents(stated)
    note = body["keys"]["note"] if "keys" in body else {}
    if changed.note != log.note or "proof" in note:
        _check_note_key(changed, note, log.log_id, act.verify)
    roles: dict[str, list[str]] = body.get("roles", {})
    if changed == log and not roles:
        raise refuse(Reason.NO_CHANGE)
    for did, granted in roles.items():
        actor = act.actor(did)
        if actor is None:
            raise refuse(Reason.UNKNOWN_ACTOR, did, where=f"body.roles.{did}")
        act.touch(actor._replace(roles=tuple(sorted(set(granted)))), did)
    act.touch(changed)


def close_batch(act: Act) -> None:
    """A manifest: describes the open batch exactly, closes it, and sets log time.

    Its state root is not checked here: that takes all records, and the function sees only those that it reads.
    """
    st, log = act.st, act.log
    _signed_by_log(act)
    batch = act.view.read(BatchRecord)
    assert batch is not None
    body = st.body
    expected = {
        "first": batch.first, "count": act.index - batch.first, "began": batch.time, "rules": log.rules,
    }  # fmt: skip
    stated = {name: body[name] for name in expected}
    if st.sub != f"batch:{batch.number + 1}" or stated != expected:
        raise refuse(Reason.BATCH_MISMATCH, f"Open is batch:{batch.number + 1} with {expected}.", where="body")
    if sum(body["counts"].values()) != expected["count"] or 0 in body["counts"].values():
        raise refuse(Reason.BATCH_MISMATCH, "The counts by type do not add up.", where="body.counts")
    if st.iat < batch.time:
        raise refuse(Reason.TIME_BACKWARDS, f"{st.iat} is before {batch.time}.", where="claims.iat")
    act.touch(batch._replace(number=batch.number + 1, time=st.iat, first=act.index + 1))


def log_did(log: LogRecord) -> str:
    """The DID under which the log itself signs: did:key of its cose key."""
    return did_key(log.cose.key, suite_by_alg(log.cose.alg).name)


def _signed_by_log(act: Act) -> None:
    st, log = act.st, act.log
    if st.iss != log_did(log) or st.kid != kid_of(log.cose.key):
        raise refuse(Reason.WRONG_SIGNER, "Only the log's own cose key signs this.", where="protected.4")
    act.check_signature(log.cose.alg, log.cose.key)


def _uses(log: LogRecord) -> list[tuple[bytes, str, str]]:
    """The keys that a log record names, each with its owner and use as `KeyRecord` has them."""
    own = [(log.cose.key, "", "cose"), (log.note.key, "", "note")]
    return own + [(m.key, m.did, "root") for m in log.members]


def _check_note_key(log: LogRecord, member: dict[str, Any], log_id: bytes, verify: Verify) -> None:
    """The note key must have signed that it serves this log beside this cose key."""
    text = note_key_text(log.origin, log_id, log.cose.key)
    if not verify(log.note.alg, log.note.key, text, member.get("proof", b"")):
        raise refuse(Reason.NOTE_KEY_UNPROVEN, where="body.keys.note.proof")


def _parameters(log: LogRecord, body: dict[str, Any]) -> LogRecord:
    """Put the parameters that `body` names in place of those in `log`, and check that the whole makes sense."""
    if "keys" in body:
        keys = body["keys"]
        log = log._replace(cose=_key(keys["cose"], "cose"), note=_key(keys["note"], "note"))
    if "root" in body:
        members = tuple(Member(m["did"], *_key(m, f"root.members[{n}]")) for n, m in enumerate(body["root"]["members"]))
        log = log._replace(members=members, threshold=body["root"]["threshold"])
    if "suites" in body:
        log = log._replace(suites=tuple(body["suites"]))
    if "policy" in body:
        policy = body["policy"]
        log = log._replace(skew=policy["skew"], max_age=policy["max_age"], rotation_delay=policy["rotation_delay"])
    if "rules" in body:
        if body["rules"] < log.rules:
            raise refuse(Reason.BAD_PARAMETERS, "The rules version only grows.", where="body.rules")
        log = log._replace(rules=body["rules"])
    if "witnesses" in body:
        log = log._replace(witnesses=tuple(body["witnesses"]))
    _check_parameters(log)
    return log


def _check_parameters(log: LogRecord) -> None:
    if not 1 <= log.threshold <= len(log.members):
        raise refuse(Reason.BAD_PARAMETERS, "The threshold must lie in 1..number of members.", where="body.root")
    if not _distinct([m.did for m in log.members]):
        raise refuse(Reason.BAD_PARAMETERS, "A root member appears twice.", where="body.root.members")
    if not _distinct([log.cose.key, log.note.key, *(m.key for m in log.members)]):
        raise refuse(Reason.BAD_PARAMETERS, "No key serves two purposes.", where="body.keys")
    if suite_by_alg(log.note.alg).name != "ed25519":
        raise refuse(Reason.BAD_PARAMETERS, "Checkpoints are signed by Ed25519.", where="body.keys.note")
    used = {log.cose.alg, *(m.alg for m in log.members)}
    if not _distinct(log.suites) or not used <= set(log.suites):
        detail = "The suites must be distinct and hold those of the log's own key and of the root."
        raise refuse(Reason.BAD_PARAMETERS, detail, where="body.suites")
    for alg in log.suites:
        try:
            suite_by_alg(alg)
        except MalformedError as error:
            raise refuse(Reason.BAD_PARAMETERS, error.explain(), where="body.suites") from error


def _key(member: dict[str, Any], where: str) -> KeyRef:
    alg, key = member["alg"], member["key"]
    try:
        suite_by_alg(alg).check_public_key(key)
    except MalformedError as error:
        raise refuse(Reason.BAD_PARAMETERS, error.explain(), where=f"body.{where}") from error
    return KeyRef(alg, key)


def _distinct(values: Iterable[object]) -> bool:
    listed = list(values)
    return len(set(listed)) == len(listed)
