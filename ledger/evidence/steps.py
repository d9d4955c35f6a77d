"""The steps that need nothing but bytes: pure functions from what is shown to an answer (DESIGN section 8).

Steps 2 (suites), 3 (document digest and claim mapping), 4 (signature), 5 (inclusion) and 8 (checkpoint). They trust
what the caller says the keys, the mapping and the root are, and name it in `rests_on` where the caller names it; all
other bytes may be hostile. None raises for what it was shown: a malformed thing is an answer, not a failure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from ledger.credentials.mapping import ContradictionError, check_mapping
from ledger.crypto.canonical import document_digest, parse_json
from ledger.crypto.digests import kid as kid_of
from ledger.crypto.suites import suite_by_alg
from ledger.errors import LedgerError, MalformedError
from ledger.evidence.messages import Message, Said, say
from ledger.evidence.report import Step, Verdict
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.notes import Vkey
from ledger.log.proofs import root_from_inclusion
from ledger.state.transition import verify_signature
from ledger.state.view import Verify
from ledger.statements import Consent, Statement, decode_statement, expected_consent_digest


class PublicKey(NamedTuple):
    """A key that may have signed: COSE algorithm and canonical bytes."""

    alg: int
    key: bytes


def check_suites(raw: bytes, admitted: Collection[int]) -> tuple[Statement | None, Step]:
    """Step 2: the bytes are a statement in the one form, and its suite and those of its consents are admitted.

    Returns the decoded statement too, None where the bytes are none.
    """
    try:
        statement = decode_statement(raw)
    except MalformedError as error:
        return None, Step(2, Verdict.INVALID, say("not_a_statement", why=error.explain()))
    used = sorted({statement.alg, *(consent.alg for consent in statement.consents)}, reverse=True)
    for alg in used:
        if alg not in admitted:
            return statement, Step(2, Verdict.INVALID, say("alg_not_admitted", alg=alg))
    names = ", ".join(suite_by_alg(alg).name for alg in used)
    return statement, Step(2, Verdict.VALID, say("suites_ok", type=statement.type, names=names))


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


def check_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes, *, rests_on: tuple[Said, ...] = ()
) -> Step:
    """Step 5: leaf hash `leaf` stands at `index` in the tree of `size` and `root` (RFC 9162 section 2.1.3.2)."""
    try:
        found = root_from_inclusion(leaf, index, size, proof)
    except MalformedError as error:
        return Step(5, Verdict.INVALID, say("inclusion_shape", why=error.explain()), rests_on, size)
    if found != root:
        return Step(5, Verdict.INVALID, say("inclusion_root", found=found.hex(), root=root.hex()), rests_on, size)
    return Step(5, Verdict.VALID, say("included", index=index, size=size), rests_on, size)


def check_checkpoint(note: bytes, vkey: Vkey, *, rests_on: tuple[Said, ...] = ()) -> tuple[Checkpoint | None, Step]:
    """Step 8: the checkpoint is signed by the log's key and of its origin; returns it, None where it is not.

    `rests_on` says where the key comes from.
    """
    try:
        opened = open_checkpoint(note, vkey)
    except LedgerError as error:  # malformed, of another origin, or not signed by that key
        return None, Step(8, Verdict.INVALID, say("checkpoint_wrong", why=error.explain()), rests_on)
    reason = say("checkpoint_ok", name=vkey.name, size=opened.size, root=opened.root.hex())
    return opened, Step(8, Verdict.VALID, reason, rests_on, opened.size)
