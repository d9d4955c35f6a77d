"""Acts that grant rights: delegations of prefixes, templates, accreditations."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.identifiers import SCHEMES
from ledger.state.reasons import Reason, refuse
from ledger.state.records import (
    ZERO_HEAD,
    AccreditationRecord,
    DelegationRecord,
    LengthsRecord,
    TemplateRecord,
)
from ledger.state.rules1.context import ROOT, Act, check_prefix
from ledger.state.view import View
from ledger.statements import subjects

REVOKED = "revoked"


def delegate(act: Act) -> None:
    """Give a prefix to a holder: by the root, or by the holder of the delegation that covers it."""
    st = act.st
    claims = st.claims
    _, scheme, prefix = st.subject
    check_prefix(scheme, prefix, "claims.sub")
    act.check_period()
    named = claims.get("delegation")
    if named is None:
        member = act.root_member()
        if member is None:
            raise refuse(Reason.WRONG_SIGNER, "Without a parent only the root delegates.", where="claims.iss")
        act.signed_by_root(member)
        delegator, parent, parent_generation = ROOT, ROOT, 0
    else:
        act.signed_by_actor()
        act.consents()
        delegator = st.iss
        parent, parent_generation = _check_parent(act, scheme, prefix, named)
    if act.actor(claims["holder"]) is None:
        raise refuse(Reason.UNKNOWN_HOLDER, claims["holder"], where="claims.holder")
    current = act.view.read(DelegationRecord, scheme, prefix)
    act.check_sequence(current)
    _check_reclaim(act, scheme, current, reclaim=bool(claims.get("reclaim", False)))
    record = DelegationRecord(
        touches=0 if current is None else current.touches,
        head=ZERO_HEAD if current is None else current.head,
        last=0,
        state="live", holder=claims["holder"], delegator=delegator, parent=parent,
        parent_generation=parent_generation, rights=tuple(sorted(set(claims["rights"]))),
        nbf=st.nbf or 0, exp=st.exp or 0,
        generation=1 if current is None else current.generation + 1,
        since=act.time, effective=act.time, logged=act.time, reason="",
    )  # fmt: skip
    act.touch(record, scheme, prefix)
    lengths = act.view.read(LengthsRecord, scheme) or LengthsRecord(touches=0, head=ZERO_HEAD, last=0, lengths=())
    if len(prefix) not in lengths.lengths:
        act.touch(lengths._replace(lengths=tuple(sorted({*lengths.lengths, len(prefix)}))), scheme)


def _check_reclaim(act: Act, scheme: str, current: DelegationRecord | None, *, reclaim: bool) -> None:
    """A prefix that was given before is given again only when that has ended for good, and only by saying so.

    It has ended when it, or one above it, is revoked, expired or given anew: none of these is ever undone.
    """
    if current is None:
        if reclaim:
            raise refuse(Reason.NOTHING_TO_RECLAIM, where="claims.reclaim")
        return
    found = links(act.view, scheme, current)
    if not any(link is None or link.state == REVOKED or link.exp <= act.time for link in found):
        raise refuse(Reason.DELEGATION_EXISTS, f"Held by {current.holder}.", where="claims.sub")
    if not reclaim:
        raise refuse(Reason.RECLAIM_REQUIRED, where="claims.sub")


def _check_parent(act: Act, scheme: str, prefix: str, named: str) -> tuple[str, int]:
    """The parent must be the longest delegation above the prefix, live, and wide enough for what is given.

    Returns its prefix and its generation.
    """
    st = act.st
    parent_prefix, parent = covering(act, scheme, SCHEMES[scheme].parent_prefixes(prefix), named)
    if parent.holder != st.iss:
        raise refuse(Reason.WRONG_SIGNER, f"The parent is held by {parent.holder}.", where="claims.iss")
    check_chain(act, scheme, parent, "delegate")
    too_much = set(st.claims["rights"]) - set(parent.rights)
    if too_much:
        raise refuse(Reason.OUTSIDE_PARENT, f"The parent does not grant {min(too_much)}.", where="claims.rights")
    if (st.nbf or 0) < parent.nbf or (st.exp or 0) > parent.exp:
        detail = f"{st.nbf} to {st.exp}, the parent {parent.nbf} to {parent.exp}."
        raise refuse(Reason.OUTSIDE_PARENT, detail, where="claims.nbf" if (st.nbf or 0) < parent.nbf else "claims.exp")
    return parent_prefix, parent.generation


def covering(act: Act, scheme: str, candidates: tuple[str, ...], named: str) -> tuple[str, DelegationRecord]:
    """The longest delegation among `candidates` (longest first), with its prefix; it must be the one the act names.

    A revoked or expired delegation still is the longest match: what it covered falls back only by a reclaim.
    """
    lengths = act.view.read(LengthsRecord, scheme)
    used = () if lengths is None else lengths.lengths
    for prefix in candidates:
        if len(prefix) not in used:
            continue
        record = act.view.read(DelegationRecord, scheme, prefix)
        if record is None:
            continue
        if _is_named(scheme, prefix, named):
            return prefix, record
        shorter = any(_is_named(scheme, candidate, named) for candidate in candidates)
        raise refuse(
            Reason.NOT_LONGEST_MATCH if shorter else Reason.NOT_COVERED,
            f"The covering delegation is {scheme}/{prefix}, not {named}.",
            where="claims.delegation",
        )
    raise refuse(Reason.NOT_COVERED, f"No delegation covers it; {named} does not.", where="claims.delegation")


def _is_named(scheme: str, prefix: str, named: str) -> bool:
    return subjects.parse_delegation_ref(named) == (scheme, prefix)


def check_chain(act: Act, scheme: str, delegation: DelegationRecord, right: str) -> None:
    """The delegation and all above it, up to the root, must be live, dated now, and grant `right`.

    Above the first link the right that matters is that of delegating, and the right itself.
    """
    needed = {right}
    for link in links(act.view, scheme, delegation):
        if link is None:
            detail = "One above it was given anew since; what was given before ended with that."
            raise refuse(Reason.DELEGATION_NOT_LIVE, detail, where="claims.delegation")
        if link.state == REVOKED or not link.nbf <= act.time < link.exp:
            raise refuse(Reason.DELEGATION_NOT_LIVE, f"Held by {link.holder}.", where="claims.delegation")
        if not needed <= set(link.rights):
            raise refuse(Reason.RIGHT_NOT_DELEGATED, right, where="claims.delegation")
        needed = {right, "delegate"}


def links(view: View, scheme: str, delegation: DelegationRecord) -> Iterator[DelegationRecord | None]:
    """The delegation and those above it up to the root; None at the end where one above was given anew since."""
    link = delegation
    yield link
    while link.parent != ROOT:
        above = view.read(DelegationRecord, scheme, link.parent)
        if above is None or above.generation != link.parent_generation:
            yield None
            return
        link = above
        yield link


def template(act: Act) -> None:
    """Approve a template version, or withdraw one."""
    st, body = act.st, act.st.body
    actor = act.signed_by_actor()
    act.require_role(actor, "template-authority")
    _, name, version = st.subject
    current = act.view.read(TemplateRecord, name, version)
    act.check_sequence(current)
    state = st.claims["state"]
    if current is None:
        if state != "approved":
            raise refuse(Reason.MOVE_NOT_ALLOWED, "A new template version begins as approved.", where="claims.state")
        record = TemplateRecord(
            touches=0, head=ZERO_HEAD, last=0, state=state, authority=st.iss, industry=st.claims["industry"],
            schema=st.claims["schema"], name=body["name"], mapping=tuple(sorted(body["mapping"].items())),
            standards=tuple(body["standards"]), classes=tuple(body["classes"]), since=act.time,
        )  # fmt: skip
    else:
        if state != "withdrawn" or current.state != "approved":
            raise refuse(Reason.TEMPLATE_EXISTS, f"It is {current.state}.", where="claims.sub")
        record = current._replace(state=state)
    act.consents()
    act.touch(record, name, version)


def accredit(act: Act) -> None:
    """Give a certifier its scope: templates, standards, product classes, sites, dates."""
    st, body = act.st, act.st.body
    actor = act.signed_by_actor()
    act.require_role(actor, "accreditor")
    act.check_period()
    _, certifier, number = st.subject
    if st.claims["certifier"] != certifier:
        raise refuse(Reason.WRONG_SIGNER, "The subject names another certifier.", where="claims.certifier")
    holder = act.actor(certifier)
    if holder is None:
        raise refuse(Reason.UNKNOWN_ACTOR, certifier, where="claims.certifier")
    current = act.view.read(AccreditationRecord, certifier, number)
    if current is not None:
        raise refuse(Reason.ACCREDITATION_EXISTS, str(number), where="claims.sub")
    act.check_sequence(None)
    act.consents()
    record = AccreditationRecord(
        touches=0, head=ZERO_HEAD, last=0, state="active", role="", accreditor=st.iss, nbf=st.nbf or 0, exp=st.exp or 0,
        templates=tuple(body["templates"]), standards=tuple(body["standards"]), classes=tuple(body["classes"]),
        sites=tuple(body["sites"]), since=act.time, effective=act.time, logged=act.time, reason="",
    )  # fmt: skip
    act.touch(record, certifier, number)
    act.touch(holder, certifier)
