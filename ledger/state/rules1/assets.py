"""Acts about assets: registration, transfer, certification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.identifiers import SCHEMES
from ledger.state.reasons import Reason, refuse
from ledger.state.records import (
    ZERO_HEAD,
    AccreditationRecord,
    CredentialRecord,
    IdentifierRecord,
    StatusIndexRecord,
    TemplateRecord,
)
from ledger.state.rules1.context import Act
from ledger.state.rules1.rights import check_chain, covering

ANY = "*"


def register(act: Act) -> None:
    """Register an identifier under the delegation that covers it; the hot path of the whole system."""
    st = act.st
    claims = st.claims
    identifier = act.identifier(st.sub, "claims.sub")
    scheme = SCHEMES[identifier.scheme]
    act.signed_by_actor()
    _, delegation = covering(act, identifier.scheme, scheme.prefixes(identifier.normal), claims["delegation"])
    if delegation.holder != st.iss:
        raise refuse(Reason.WRONG_SIGNER, f"The delegation is held by {delegation.holder}.", where="claims.iss")
    check_chain(act, identifier.scheme, delegation, "register")
    if act.actor(claims["holder"]) is None:
        raise refuse(Reason.UNKNOWN_HOLDER, claims["holder"], where="claims.holder")
    current = act.view.read(IdentifierRecord, st.sub)
    generation = claims.get("generation", 1)
    if current is None:
        if generation != 1:
            raise refuse(Reason.WRONG_GENERATION, "A first registration has none.", where="claims.generation")
        touches, head = 0, ZERO_HEAD
    else:
        _check_reuse(act, current, generation, scheme.reusable)
        touches, head = current.touches, current.head
    act.check_sequence(current)
    assert st.digest is not None
    now = act.time
    record = IdentifierRecord(
        touches, head, 0, "live", "", generation, claims["holder"], claims["delegation"], st.digest, act.index,
        now, now, now, "",
    )  # fmt: skip
    act.touch(record, st.sub)


def _check_reuse(act: Act, current: IdentifierRecord, generation: int, reusable: bool) -> None:
    if current.state != "retired":
        detail = f"By entry {current.entry}, held by {current.holder}."
        raise refuse(Reason.ALREADY_REGISTERED, detail, where="claims.sub")
    if not reusable:
        raise refuse(Reason.NOT_REUSABLE, where="claims.sub")
    if current.delegation != act.st.claims["delegation"]:
        raise refuse(Reason.NOT_COVERED, f"It was registered under {current.delegation}.", where="claims.delegation")
    if generation != current.generation + 1:
        raise refuse(Reason.WRONG_GENERATION, f"Next is {current.generation + 1}.", where="claims.generation")


def live_identifier(act: Act, subject: str, generation: int, where: str) -> IdentifierRecord:
    """The record of an identifier that must be live in the generation named."""
    record = act.view.read(IdentifierRecord, subject)
    if record is None:
        raise refuse(Reason.NOT_REGISTERED, subject, where=where)
    if record.state != "live":
        raise refuse(Reason.IDENTIFIER_NOT_LIVE, f"It is {record.state}.", where=where)
    if record.generation != generation:
        raise refuse(Reason.WRONG_GENERATION, f"In force is {record.generation}.", where="claims.generation")
    return record


def transfer(act: Act) -> None:
    """Pass an identifier to a new holder, who consents."""
    st = act.st
    claims = st.claims
    act.identifier(st.sub, "claims.sub")
    act.signed_by_actor()
    current = live_identifier(act, st.sub, claims.get("generation", 1), "claims.sub")
    if current.holder != st.iss:
        raise refuse(Reason.WRONG_SIGNER, f"The holder is {current.holder}.", where="claims.iss")
    act.check_sequence(current)
    new_holder = claims["holder"]
    if new_holder == current.holder:
        raise refuse(Reason.NO_CHANGE, where="claims.holder")
    if act.actor(new_holder) is None:
        raise refuse(Reason.UNKNOWN_HOLDER, new_holder, where="claims.holder")
    consents = act.consents()
    if new_holder not in consents:
        raise refuse(Reason.CONSENT_MISSING, f"{new_holder} must consent.", where="body.consents")
    if len(consents) > 1:
        raise refuse(Reason.CONSENT_UNKNOWN_PARTY, "Only the new holder consents.", where="body.consents")
    act.touch(current._replace(holder=new_holder), st.sub)


def certify(act: Act) -> None:
    """Certify an identifier within an accreditation that covers template, standard, class, site and log time."""
    st = act.st
    claims = st.claims
    subject = claims["identifier"]
    act.identifier(subject, "claims.identifier")
    act.signed_by_actor()
    act.check_period()
    if act.view.read(CredentialRecord, st.sub) is not None:
        raise refuse(Reason.CREDENTIAL_EXISTS, st.sub, where="claims.sub")
    act.check_sequence(None)
    generation = claims.get("generation", 1)
    identifier = live_identifier(act, subject, generation, "claims.identifier")
    check_scope(act, st.iss, claims["accreditation"], claims)
    none_yet = StatusIndexRecord(touches=0, head=ZERO_HEAD, last=0, allotted=0)
    allotted = act.view.read(StatusIndexRecord, st.iss) or none_yet
    assert st.digest is not None
    record = CredentialRecord(
        touches=0, head=ZERO_HEAD, last=0, state="active", role="", issuer=st.iss, identifier=subject,
        generation=generation, template=claims["template"], product_class=claims["class"], site=claims["site"],
        standard=claims["standard"], accreditation=claims["accreditation"], nbf=st.nbf or 0, exp=st.exp or 0,
        digest=st.digest, status_index=allotted.allotted, entry=act.index,
        since=act.time, effective=act.time, logged=act.time, reason="",
    )  # fmt: skip
    act.touch(record, st.sub)
    act.touch(identifier, subject)
    act.touch(allotted._replace(allotted=allotted.allotted + 1), st.iss)


def check_scope(act: Act, issuer: str, number: int, wanted: Mapping[str, Any]) -> None:
    """The issuer's accreditation must be active and cover what is `wanted`, and the template be approved.

    `wanted` holds `template`, `standard`, `class` and `site`, as the claims of a certification do.
    """
    accreditation = act.view.read(AccreditationRecord, issuer, number)
    if accreditation is None:
        raise refuse(Reason.NOT_ACCREDITED, str(number), where="claims.accreditation")
    if accreditation.state != "active" or not accreditation.nbf <= act.time < accreditation.exp:
        raise refuse(
            Reason.ACCREDITATION_NOT_ACTIVE,
            f"It is {accreditation.state}, {accreditation.nbf} to {accreditation.exp}; log time {act.time}.",
            where="claims.accreditation",
        )
    scope = {
        "template": accreditation.templates,
        "standard": accreditation.standards,
        "class": accreditation.classes,
        "site": accreditation.sites,
    }
    for claim, covered in scope.items():
        if wanted[claim] == ANY or (wanted[claim] not in covered and ANY not in covered):
            detail = f"{claim} {wanted[claim]!r} is not in {list(covered)}."
            raise refuse(Reason.OUT_OF_SCOPE, detail, where=f"claims.{claim}")
    template = act.view.read(TemplateRecord, *wanted["template"].split("/", 1))
    if template is None or template.state != "approved":
        raise refuse(Reason.TEMPLATE_NOT_APPROVED, wanted["template"], where="claims.template")
    for claim, allowed in {"standard": template.standards, "class": template.classes}.items():
        if wanted[claim] not in allowed and ANY not in allowed:
            detail = f"The template does not know {claim} {wanted[claim]!r}."
            raise refuse(Reason.OUT_OF_SCOPE, detail, where=f"claims.{claim}")
