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
from ledger.evidence.report import Step, Verdict
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.notes import Vkey
from ledger.log.proofs import root_from_inclusion
from ledger.statements import Consent, Statement, decode_statement, verify_consent_signature
from ledger.statements.statement import expected_consent_digest, verify_statement_signature


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
        return None, Step(2, Verdict.INVALID, f"This is not a statement: {error.explain()}")
    used = sorted({statement.alg, *(consent.alg for consent in statement.consents)}, reverse=True)
    for alg in used:
        if alg not in admitted:
            return statement, Step(2, Verdict.INVALID, f"The log does not admit algorithm {alg}")
    names = ", ".join(suite_by_alg(alg).name for alg in used)
    return statement, Step(2, Verdict.VALID, f"A {statement.type} in its one form, signed with {names}")


def check_document(
    statement: Statement, document: Any, mapping: Iterable[tuple[str, str]] | None, *, rests_on: tuple[str, ...] = ()
) -> Step:
    """Step 3: the document digests to the statement's payload, and says what the mapped claims say.

    `document` is a parsed document or its JSON bytes in any layout. `mapping` is the template's; None where the type
    has no template. `rests_on` says where the mapping comes from.
    """
    if statement.digest is None:
        return Step(3, Verdict.VALID, f"A {statement.type} carries all its content itself")
    try:
        parsed = parse_json(document) if isinstance(document, bytes) else document
        found = document_digest(parsed)
    except MalformedError as error:
        return Step(3, Verdict.INVALID, f"This is not a document that a statement can be about: {error.explain()}")
    if found != statement.digest:
        return Step(
            3,
            Verdict.INVALID,
            f"The document was altered or is another one: its SHA-256 is {found.hex()}, signed was"
            f" {statement.digest.hex()}",
        )
    if mapping is None:
        return Step(3, Verdict.VALID, "The document's SHA-256 is the one that was signed")
    pairs = tuple(mapping)
    try:
        check_mapping(statement, pairs, parsed)
    except ContradictionError as error:
        return Step(3, Verdict.INVALID, f"Document contradicts statement: {error.explain()}", rests_on)
    reason = f"The document's SHA-256 is the one that was signed, and its {len(pairs)} mapped members equal the claims"
    return Step(3, Verdict.VALID, reason, rests_on)


def check_signatures(statement: Statement, keys: Iterable[PublicKey], *, rests_on: tuple[str, ...] = ()) -> Step:
    """Step 4: the statement, and every consent in it, is signed by one of `keys`, the one that its kid names.

    `rests_on` says where the keys come from. Whether a key was in force is step 11's question.
    """
    known = tuple(keys)
    if not any(key.alg == statement.alg and verify_statement_signature(statement, key.key) for key in known):
        return Step(4, Verdict.INVALID, _unsigned(statement.iss, statement.kid, known), rests_on)
    if statement.consents:
        digest = expected_consent_digest(statement)
        for consent in statement.consents:
            if consent.digest != digest:
                return Step(4, Verdict.INVALID, f"The consent of {consent.iss} was given to another act", rests_on)
            if not _consented(consent, known):
                return Step(4, Verdict.INVALID, _unsigned(consent.iss, consent.kid, known, "consent "), rests_on)
    more = f" and {len(statement.consents)} consents verify" if statement.consents else " verifies"
    return Step(4, Verdict.VALID, f"The signature of {statement.iss}{more}", rests_on)


def _consented(consent: Consent, keys: Sequence[PublicKey]) -> bool:
    return any(key.alg == consent.alg and verify_consent_signature(consent, key.key) for key in keys)


def _unsigned(iss: str, kid: bytes, keys: Sequence[PublicKey], what: str = "") -> str:
    if any(kid_of(key.key) == kid for key in keys):
        return f"The {what}signature of {iss} by key {kid.hex()} does not verify"
    return f"{iss} has no key {kid.hex()}, so the {what}signature is nobody's"


def check_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes, *, rests_on: tuple[str, ...] = ()
) -> Step:
    """Step 5: leaf hash `leaf` stands at `index` in the tree of `size` and `root` (RFC 9162 section 2.1.3.2)."""
    try:
        found = root_from_inclusion(leaf, index, size, proof)
    except MalformedError as error:
        return Step(5, Verdict.INVALID, f"The inclusion proof has the wrong shape: {error.explain()}", rests_on, size)
    if found != root:
        reason = f"The inclusion proof leads to root {found.hex()}, not to {root.hex()}"
        return Step(5, Verdict.INVALID, reason, rests_on, size)
    return Step(5, Verdict.VALID, f"It is entry {index} of the tree of size {size}", rests_on, size)


def check_checkpoint(note: bytes, vkey: Vkey, *, rests_on: tuple[str, ...] = ()) -> tuple[Checkpoint | None, Step]:
    """Step 8: the checkpoint is signed by the log's key and of its origin; returns it, None where it is not.

    `rests_on` says where the key comes from.
    """
    try:
        opened = open_checkpoint(note, vkey)
    except LedgerError as error:  # malformed, of another origin, or not signed by that key
        return None, Step(8, Verdict.INVALID, f"The checkpoint is not this log's: {error.explain()}", rests_on)
    reason = f"Signed by {vkey.name}: size {opened.size}, root {opened.root.hex()}"
    return opened, Step(8, Verdict.VALID, reason, rests_on, opened.size)
