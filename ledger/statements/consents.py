"""Consents: the signatures by which further parties agree to one act (DESIGN section 4).

A consent is a COSE_Sign1 of its own type over a digest that names the log, the statement's whole protected header and
its payload without consents. So it can be moved to no other act, log or signer, and is never a statement. Owns its
form; whether the signer may consent, and whether the consent is still in time, is decided by `ledger.state`.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

from ledger.crypto.suites import Signer, suite_by_alg
from ledger.errors import MalformedError
from ledger.statements import cose
from ledger.statements.cbor import encode
from ledger.statements.header import Form, build_header, read_header
from ledger.statements.shapes import below
from ledger.statements.types import CONSENT, CONSENT_CLAIMS

DIGEST_SIZE: Final = 32
_CONTEXT: Final = "tial-consent-v1"


class Consent(NamedTuple):
    """A decoded consent. `exp` is in Unix seconds, `digest` as `consent_digest` gives it, `signed` what was signed."""

    raw: bytes
    iss: str
    kid: bytes
    alg: int
    exp: int
    digest: bytes
    signature: bytes
    signed: bytes


def consent_digest(log_id: bytes, protected: bytes, body_without_consents: bytes) -> bytes:
    """Digest that a consent signs: 32 bytes.

    `log_id` has 32 bytes (none for a genesis, whose log has no id yet), `protected` is the statement's protected
    header, `body_without_consents` its payload map, encoded, with the member `consents` left out.
    """
    return hashlib.sha256(encode([_CONTEXT, log_id, protected, body_without_consents])).digest()


def make_consent(signer: Signer, iss: str, exp: int, digest: bytes) -> bytes:
    """Sign a consent of actor `iss` to the act with this digest, good until `exp`."""
    claims: dict[str | int, Any] = {1: iss, 4: exp}
    CONSENT_CLAIMS(claims)
    if len(digest) != DIGEST_SIZE:
        raise MalformedError(f"a consent is over {DIGEST_SIZE} bytes, not {len(digest)}", where="digest")
    alg = signer.suite.alg
    if alg is None:
        raise MalformedError(f"suite {signer.suite.name} does not sign consents", where="alg")
    protected = build_header(CONSENT, Form.CONSENT, alg, signer.kid, claims)
    return cose.join(protected, digest, signer.sign(cose.sig_structure(protected, digest)))


def decode_consent(raw: bytes) -> Consent:
    """Decode a consent, strictly. Raises MalformedError naming the place for anything but its one form."""
    protected, payload, signature, signed = cose.split(raw)
    name, alg, kid, claims = read_header(protected)
    if name != CONSENT:
        raise MalformedError(f"a {name} is no consent", where="protected.16")
    try:
        CONSENT_CLAIMS(claims)
    except MalformedError as error:
        raise below(error, "protected.15") from None
    if len(payload) != DIGEST_SIZE:
        raise MalformedError(f"expected a digest of {DIGEST_SIZE} bytes, found {len(payload)}", where="payload")
    if len(signature) != suite_by_alg(alg).signature_size:
        raise MalformedError("the signature has the wrong length", where="signature")
    return Consent(raw, claims[1], kid, alg, claims[4], payload, signature, signed)


def verify_consent_signature(consent: Consent, public_key: bytes) -> bool:
    """Tell whether `consent` was signed by this key, which must be the one that its kid names."""
    return hashlib.sha256(public_key).digest() == consent.kid and suite_by_alg(consent.alg).verify(
        public_key, consent.signed, consent.signature
    )
