"""The steps about one statement that need nothing but bytes: pure functions to an answer (DESIGN section 8).

Steps 3 (document digest and claim mapping) and 4 (signatures). They trust what the caller says the keys and the mapping
are, and name it in `rests_on` where the caller names it; all other bytes may be hostile. Neither raises for what it was
shown: a malformed thing is an answer, not a failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ledger.credentials.mapping import ContradictionError, check_mapping
from ledger.crypto.canonical import document_digest, parse_json
from ledger.crypto.digests import kid as kid_of
from ledger.errors import MalformedError
from ledger.evidence.messages import Message, Said, say
from ledger.evidence.report import Step, Verdict
from ledger.state.transition import verify_signature
from ledger.state.view import Verify
from ledger.statements import Consent, Statement, expected_consent_digest


class PublicKey(NamedTuple):
    """A key that may have signed: COSE algorithm and canonical bytes."""

    alg: int
    key: bytes


def check_document(
    statement: Statement, document: Any, mapping: Iterable[tuple[str, str]] | None, *, rests_on: tuple[Said, ...] = ()
) -> Step:
    """Step 3: the document digests to the statement's payload, and says what the mapped claims say.

    `document` is a parsed document or its JSON bytes in any layout. `mapping` is the template's; None where the type
    has no template. `rests_on` says where the mapping comes from.
    """
    if statement.digest is None:
        return Step(3, Verdict.VALID, say("no_document_type", type=statement.type))
    try:
        parsed = parse_json(document) if isinstance(document, bytes) else document
        found = document_digest(parsed)
    except MalformedError as error:
        return Step(3, Verdict.INVALID, say("not_a_document", why=error.explain()))
    if found != statement.digest:
        altered = say("document_altered", found=found.hex(), signed=statement.digest.hex())
        return Step(3, Verdict.INVALID, altered)
    if mapping is None:
        return Step(3, Verdict.VALID, say("document_signed"))
    pairs = tuple(mapping)
    try:
        check_mapping(statement, pairs, parsed)
    except ContradictionError as error:
        return Step(3, Verdict.INVALID, say("document_contradicts", why=error.explain()), rests_on)
    return Step(3, Verdict.VALID, say("document_mapped", count=len(pairs)), rests_on)


def check_signatures(
    statement: Statement,
    keys: Iterable[PublicKey],
    *,
    rests_on: tuple[Said, ...] = (),
    verify: Verify = verify_signature,
) -> Step:
    """Step 4: the statement, and every consent in it, is signed by one of `keys`, the one that its kid names.

    `rests_on` says where the keys come from. Whether a key was in force is step 11's question.
    """
    known = tuple(keys)
    if not _signed(statement, known, verify):
        return Step(4, Verdict.INVALID, _unsigned(statement.iss, statement.kid, known), rests_on)
    if not statement.consents:
        return Step(4, Verdict.VALID, say("signed", iss=statement.iss), rests_on)
    digest = expected_consent_digest(statement)
    for consent in statement.consents:
        if consent.digest != digest:
            return Step(4, Verdict.INVALID, say("consent_elsewhere", iss=consent.iss), rests_on)
        if not _signed(consent, known, verify):
            what = say("what_consent")
            return Step(4, Verdict.INVALID, _unsigned(consent.iss, consent.kid, known, what), rests_on)
    both = say("signed_consents", iss=statement.iss, count=len(statement.consents))
    return Step(4, Verdict.VALID, both, rests_on)


def _signed(thing: Statement | Consent, keys: Sequence[PublicKey], verify: Verify) -> bool:
    return any(
        key.alg == thing.alg
        and kid_of(key.key) == thing.kid
        and verify(key.alg, key.key, thing.signed, thing.signature)
        for key in keys
    )


def _unsigned(iss: str, kid: bytes, keys: Sequence[PublicKey], what: Said = "") -> Message:
    name = "unsigned_key" if any(kid_of(key.key) == kid for key in keys) else "unsigned_nobody"
    return say(name, what=what, iss=iss, kid=kid.hex())
