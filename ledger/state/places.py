"""Which record a statement is about: the one that `sub` names, whose count its `seq` claim must equal."""

from __future__ import annotations

from typing import Any

from ledger.state.records import (
    AccreditationRecord,
    ActorRecord,
    BatchRecord,
    CredentialRecord,
    DelegationRecord,
    IdentifierRecord,
    LogRecord,
    TemplateRecord,
)
from ledger.state.view import Place
from ledger.statements import Statement

_BY_KIND: dict[str, Any] = {
    "delegation": DelegationRecord,
    "template": TemplateRecord,
    "accreditation": AccreditationRecord,
}
PARTIES = frozenset({"actor", "rotation", "compromise"})
"""Types of acts about a party itself."""


def place_of_subject(subject: tuple[Any, ...], text: str) -> Place:
    """The record that a parsed subject names; a DID is taken as an identifier, see `place_of_statement`."""
    kind, *parts = subject
    if kind in {"origin", "log"}:
        return (LogRecord,)
    if kind == "batch":
        return (BatchRecord,)
    if kind == "credential":
        return CredentialRecord, text
    if kind in _BY_KIND:
        return (_BY_KIND[kind], *parts)
    return IdentifierRecord, text


def place_of_statement(st: Statement) -> Place:
    """The record that the statement's sub names: an actor's for acts about parties, else as the subject says."""
    return (ActorRecord, st.sub) if st.type in PARTIES else place_of_subject(st.subject, st.sub)
