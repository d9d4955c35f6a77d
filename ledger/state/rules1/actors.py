"""Acts about parties: enrolment, key rotation, compromise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ledger.crypto.digests import kid as kid_of
from ledger.crypto.suites import suite_by_alg
from ledger.errors import MalformedError
from ledger.identifiers import SCHEMES
from ledger.identifiers.did_key import did_key
from ledger.state.reasons import Reason, refuse
from ledger.state.records import ZERO_HEAD, ActorKey, ActorRecord, Pending, ReconfirmedRecord
from ledger.state.rules1.context import ROOT, Act, put_in_force
from ledger.state.rules1.log import PRIVILEGED_ROLES


def enrol(act: Act) -> None:
    """A new actor: signed by one of its keys, consented by each other key and by an authority that may enrol.

    Anybody can send one, with 32 good signatures that cost the log 32 checks: all else is looked at before them.
    """
    st = act.st
    did, body = st.sub, st.body
    if st.iss != did:
        raise refuse(Reason.WRONG_SIGNER, "An actor enrols itself: iss must equal sub.", where="claims.iss")
    if act.actor(did) is not None:
        raise refuse(Reason.ACTOR_EXISTS, did, where="claims.sub")
    act.check_sequence(None)
    keys = tuple(_new_key(act, k, act.time, f"body.keys[{n}]") for n, k in enumerate(body["keys"]))
    by_kid = {k.kid: k for k in keys}
    if len(by_kid) != len(keys):
        raise refuse(Reason.KEY_EXISTS, where="body.keys")
    own = by_kid.get(st.kid)
    if own is None:
        raise refuse(Reason.UNKNOWN_KEY, "The signing key must be among the keys enrolled.", where="protected.4")
    if "statement" not in own.purposes:
        raise refuse(Reason.KEY_PURPOSE, where="body.keys")
    if own.nbf > act.time:
        raise refuse(Reason.KEY_NOT_VALID, f"The signing key is valid from {own.nbf}.", where="body.keys")
    if did.startswith("did:key:") and not any(did == _did_of(k) for k in keys):
        raise refuse(Reason.DID_KEY_MISMATCH, did, where="claims.sub")
    stated = act.stated_consents([(did, k.alg, k.key) for k in keys if k.kid != st.kid])
    enroller = _enroller(act, did, stated.parties, set(body["roles"]))
    _all_consented(stated.parties.get(did, set()), {k.kid for k in keys} - {st.kid})
    for scheme in ("uscc", "lei"):
        if scheme in body:
            _check_legal_id(scheme, body[scheme])
    _introduce(act, did, keys, "body.keys")
    act.check_signature(own.alg, own.key)
    act.verify_consents(stated)
    record = ActorRecord(
        touches=0, head=ZERO_HEAD, last=0, keys=keys, roles=tuple(sorted(set(body["roles"]))), name=body["name"],
        uscc=body.get("uscc", ""), lei=body.get("lei", ""), enroller=enroller, since=act.time, pending=None,
    )  # fmt: skip
    act.touch(record, did)


def rotate(act: Act) -> None:
    """New keys in, old keys out, after the rotation delay; or the cancelling of a rotation that waits.

    An actor that has no key for statements in force gets new ones from its enroller or the root, always with the root
    threshold (docs/decisions/0024).
    """
    st, body = act.st, act.st.body
    actor = act.actor(st.sub)
    if actor is None:
        raise refuse(Reason.UNKNOWN_ACTOR, st.sub, where="claims.sub")
    if "cancel" in body:
        _cancel(act, actor)
        return
    by_others = None if st.iss == st.sub else _recovering(act, actor)
    if by_others is None:
        act.signed_by_actor()
    act.check_sequence(actor)
    if actor.pending is not None:
        raise refuse(Reason.ROTATION_PENDING, f"Entry {actor.pending.entry}.")
    effective = act.time + act.log.rotation_delay
    add = tuple(_new_key(act, k, effective, f"body.add[{n}]") for n, k in enumerate(body.get("add", [])))
    remove = tuple(body.get("remove", []))
    known = {k.kid for k in actor.keys}
    added = {k.kid for k in add}
    if len(added) != len(add) or added & known:
        raise refuse(Reason.KEY_EXISTS, where="body.add")
    if not set(remove) <= known or len(set(remove)) != len(remove):
        raise refuse(Reason.UNKNOWN_KEY, where="body.remove")
    if not add and not remove:
        raise refuse(Reason.NO_CHANGE)
    pending = Pending(act.index, effective, st.kid, add, remove)
    _require_key_left(put_in_force(actor, pending), effective)
    stated = act.stated_consents([(st.sub, k.alg, k.key) for k in add])
    _all_consented(stated.parties.get(st.sub, set()), added)
    if by_others is not None:
        act.require_threshold(by_others, stated.parties)
    _introduce(act, st.sub, add, "body.add")
    act.verify_consents(stated)
    act.touch(actor._replace(pending=pending), st.sub)


def _recovering(act: Act, actor: ActorRecord) -> set[str]:
    """Check who gives new keys to an actor that has none; return the root authorities that signed."""
    st = act.st
    if any(_in_force(key, act.time) for key in actor.keys):
        detail = "A rotation is signed by the actor itself, while it has a key in force."
        raise refuse(Reason.WRONG_SIGNER, detail, where="claims.iss")
    if "remove" in st.body:
        raise refuse(Reason.BAD_PARAMETERS, "Others than the actor only add keys.", where="body.remove")
    member = act.root_member()
    if member is None:
        _signed_by_enroller(act, actor)
        return set()
    act.check_signature(member.alg, member.key)
    return {member.did}


def compromise(act: Act) -> None:
    """Keys are bad from a time on; keys that are not confirmed are switched off; a waiting rotation falls."""
    st, body = act.st, act.st.body
    actor = act.actor(st.sub)
    if actor is None:
        raise refuse(Reason.UNKNOWN_ACTOR, st.sub, where="claims.sub")
    member = act.root_member()
    if member is not None:
        act.signed_by_root(member)
    else:
        _signed_by_enroller(act, actor)
        act.consents()
    act.check_sequence(actor)
    bad = {item["kid"]: item["from"] for item in body["bad"]}
    confirmed = set(body["confirmed"])
    known = {k.kid for k in actor.keys}
    if len(bad) != len(body["bad"]) or not (set(bad) | confirmed) <= known or set(bad) & confirmed:
        detail = "Each key named must be the actor's, and be bad or confirmed."
        raise refuse(Reason.UNKNOWN_KEY, detail, where="body.bad")
    if any(since > act.time for since in bad.values()):
        raise refuse(Reason.EFFECTIVE_IN_FUTURE, where="body.bad")

    def judged(key: ActorKey) -> ActorKey:
        if key.kid in bad:
            earliest = bad[key.kid] if key.bad is None else min(key.bad, bad[key.kid])
            return key._replace(bad=earliest)
        if key.kid in confirmed or key.off is not None:
            return key
        return key._replace(off=act.time)

    act.touch(actor._replace(keys=tuple(judged(k) for k in actor.keys), pending=None), st.sub)
    for leaf in body.get("reconfirmed", []):
        known_leaf = act.view.read(ReconfirmedRecord, st.sub, leaf)
        act.touch(known_leaf or ReconfirmedRecord(touches=0, head=ZERO_HEAD, last=0, actor=st.sub), st.sub, leaf)


def _cancel(act: Act, actor: ActorRecord) -> None:
    st = act.st
    pending = actor.pending
    if pending is None or pending.entry != st.body["cancel"]:
        raise refuse(Reason.NOTHING_PENDING, where="body.cancel")
    if set(st.body) & {"add", "remove"}:
        raise refuse(Reason.BAD_PARAMETERS, "A cancellation changes no keys.", where="body")
    if st.iss == st.sub:
        act.signed_by_actor()
        if st.kid == pending.kid:
            raise refuse(Reason.WRONG_SIGNER, "Another key than the one that asked for it must cancel.")
        act.consents()
    elif actor.enroller == ROOT and (member := act.root_member()) is not None:
        act.signed_by_root(member)
    else:
        _signed_by_enroller(act, actor)
        act.consents()
    act.check_sequence(actor)
    act.touch(actor._replace(pending=None), st.sub)


def _signed_by_enroller(act: Act, actor: ActorRecord) -> None:
    if actor.enroller == ROOT or act.st.iss != actor.enroller:
        raise refuse(Reason.WRONG_SIGNER, "Only the actor's enroller or the root may do this.", where="claims.iss")
    act.require_role(act.signed_by_actor(), "enroller")


def _new_key(act: Act, member: dict[str, Any], since: int, where: str) -> ActorKey:
    """A key that this act introduces and that can serve from log time `since` on."""
    alg, key = member["alg"], member["key"]
    if alg not in act.log.suites:
        raise refuse(Reason.UNKNOWN_SUITE, f"Algorithm {alg}.", where=where)
    try:
        suite_by_alg(alg).check_public_key(key)
    except MalformedError as error:
        raise refuse(Reason.BAD_PARAMETERS, error.explain(), where=where) from error
    nbf, exp = member.get("nbf", act.time), member.get("exp")
    if exp is not None and exp <= max(nbf, since):
        raise refuse(Reason.INVALID_PERIOD, f"The key ends at {exp}, it could begin at {max(nbf, since)}.", where=where)
    purposes = tuple(sorted(set(member["purposes"])))
    return ActorKey(kid_of(key), alg, key, purposes, nbf, exp, None, None)


def _introduce(act: Act, did: str, keys: Iterable[ActorKey], where: str) -> None:
    for number, key in enumerate(keys):
        act.introduce(key.kid, did, "actor", f"{where}[{number}]")


def _did_of(key: ActorKey) -> str:
    return did_key(key.key, suite_by_alg(key.alg).name)


def _all_consented(consented: set[bytes], needed: set[bytes]) -> None:
    missing = needed - consented
    if missing:
        raise refuse(Reason.CONSENT_MISSING, f"New key {min(missing).hex()}.", where="body.consents")


def _enroller(act: Act, did: str, consents: dict[str, set[bytes]], roles: set[str]) -> str:
    """The authority that let the actor in: the root threshold, which alone grants privileged roles, or one enroller."""
    roots = {m.did for m in act.log.members if kid_of(m.key) in consents.get(m.did, ())}
    others = [party for party in consents if party != did and party not in roots]
    for party in others:
        authority = act.actor(party)
        if authority is None or "enroller" not in authority.roles:
            raise refuse(Reason.CONSENT_UNKNOWN_PARTY, f"{party} may not enrol.", where="body.consents")
    if roots:
        act.require_threshold(set(), consents)
        return ROOT
    if not others:
        raise refuse(Reason.CONSENT_MISSING, "An authority that may enrol must consent.", where="body.consents")
    if roles & PRIVILEGED_ROLES:
        raise refuse(Reason.PRIVILEGED_ROLE, ", ".join(sorted(roles & PRIVILEGED_ROLES)), where="body.roles")
    if len(others) > 1:
        raise refuse(Reason.CONSENT_REPEATED, "One enroller is enough.", where="body.consents")
    return others[0]


def _require_key_left(actor: ActorRecord, at: int) -> None:
    if not any(_in_force(key, at) for key in actor.keys):
        raise refuse(Reason.NO_KEY_LEFT, f"At log time {at}, when the rotation takes effect.", where="body")


def _in_force(key: ActorKey, at: int) -> bool:
    """Whether the key can sign statements at log time `at`."""
    ended = key.bad is not None or (key.exp is not None and key.exp <= at) or (key.off is not None and key.off <= at)
    return key.nbf <= at and not ended and "statement" in key.purposes


def _check_legal_id(scheme: str, text: str) -> None:
    try:
        normal = SCHEMES[scheme].parse(text).normal
    except MalformedError as error:
        raise refuse(Reason.BAD_PARAMETERS, error.explain(), where=f"body.{scheme}") from error
    if normal != text:
        raise refuse(Reason.BAD_PARAMETERS, f"The normal form is {normal}.", where=f"body.{scheme}")
