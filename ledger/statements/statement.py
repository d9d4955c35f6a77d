"""Statements: decode strictly, build and sign (DESIGN section 4).

Owns the value `Statement`, made only from bytes in the one form, and `Draft`, from which such bytes are signed. Trusts
nothing about the bytes and judges no right: a decoded statement is well formed, its signature not yet verified. Follows
RFC 9052 (COSE_Sign1), RFC 9597 (claims in headers) and RFC 9943 (SCITT Signed Statements).

This is the hottest code of the project; see docs/performance.md for what each step costs. Hence a named tuple, which is
made in one step, and every check that can be prepared is prepared in `ledger.statements.types` and `.header`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ledger.crypto.suites import SUITES, Signer, suite_by_alg
from ledger.errors import MalformedError
from ledger.statements import cose, subjects
from ledger.statements.cbor import decode, encode
from ledger.statements.consents import Consent, consent_digest, decode_consent
from ledger.statements.header import Form, build_header, form_of, read_header
from ledger.statements.shapes import below
from ledger.statements.types import TYPES, StatementType

DIGEST_SIZE: Final = 32
_CONSENTS: Final = "consents"
_SIGNATURE_SIZES: Final = {suite.alg: suite.signature_size for suite in SUITES.values() if suite.alg is not None}
_sha256 = hashlib.sha256


class Statement(NamedTuple):
    """A well-formed statement.

    `raw` is the log entry. `claims` holds all claims as decoded: 1 to 6 by number, the others by name. `subject` is
    `sub` parsed. Times are Unix seconds. `digest` is the document's SHA-256 where the type has one, else None and
    `body` is the payload map. `signed` is the Sig_structure, `act` its SHA-256 (the same act has the same), `leaf` the
    leaf hash (RFC 9162 section 2.1.1).
    """

    raw: bytes
    type: str
    iss: str
    sub: str
    subject: tuple[Any, ...]
    aud: str | None
    iat: int
    nbf: int | None
    exp: int | None
    seq: int | None
    claims: dict[Any, Any]
    digest: bytes | None
    body: dict[Any, Any]
    consents: tuple[Consent, ...]
    alg: int
    kid: bytes
    protected: bytes
    payload: bytes
    signature: bytes
    signed: bytes
    act: bytes
    leaf: bytes


def decode_statement(raw: bytes) -> Statement:
    """Decode one statement of any type, strictly.

    Raises MalformedError, with the path of the member or the byte offset, for all that is not exactly the profile.
    """
    protected, payload, signature, signed = cose.split(raw)
    name, alg, kid, claims = read_header(protected)
    entry = TYPES.get(name)
    if entry is None:
        raise MalformedError(f"a {name} is no statement", where="protected.16")
    try:
        entry.claims(claims)
    except MalformedError as error:
        raise below(error, "protected.15") from None
    sub = claims[2]
    try:
        subject = subjects.parse(sub)
    except MalformedError as error:
        raise below(error, "protected.15.2") from None
    if subject[0] not in entry.subjects:
        raise _wrong_subject(entry, subject)
    digest: bytes | None
    consents: tuple[Consent, ...] = ()
    if entry.body is None:
        if len(payload) != DIGEST_SIZE:
            raise MalformedError(f"expected a digest of {DIGEST_SIZE} bytes, found {len(payload)}", where="payload")
        digest, body = payload, {}
    else:
        digest, body = None, _decode_body(entry, payload)
        if _CONSENTS in body:
            consents = _decode_consents(body)
    if len(signature) != _SIGNATURE_SIZES[alg]:
        raise MalformedError(f"a signature has {_SIGNATURE_SIZES[alg]} bytes, not {len(signature)}", where="signature")
    get = claims.get
    return Statement(
        raw,
        name,
        claims[1],
        sub,
        subject,
        get(3),
        claims[6],
        get(5),
        get(4),
        get("seq"),
        claims,
        digest,
        body,
        consents,
        alg,
        kid,
        protected,
        payload,
        signature,
        signed,
        _sha256(signed).digest(),
        _sha256(b"\x00" + raw).digest(),
    )


def _wrong_subject(entry: StatementType, subject: tuple[Any, ...]) -> MalformedError:
    return MalformedError(
        f"a {entry.name} is about a subject of kind {' or '.join(entry.subjects)}, not {subject[0]}",
        where="protected.15.2",
    )


def _decode_body(entry: StatementType, payload: bytes) -> dict[Any, Any]:
    try:
        body: dict[Any, Any] = decode(payload)
        if entry.body is not None:
            entry.body(body)
    except MalformedError as error:
        raise below(error, "payload") from None
    return body


def _decode_consents(body: dict[Any, Any]) -> tuple[Consent, ...]:
    consents = []
    for place, raw in enumerate(body[_CONSENTS]):
        try:
            consents.append(decode_consent(raw))
        except MalformedError as error:
            raise below(error, f"payload.{_CONSENTS}.{place}") from None
    return tuple(consents)


def verify_statement_signature(statement: Statement, public_key: bytes) -> bool:
    """Tell whether `statement` was signed by this key, which must be the one that its kid names."""
    return _sha256(public_key).digest() == statement.kid and suite_by_alg(statement.alg).verify(
        public_key, statement.signed, statement.signature
    )


def expected_consent_digest(statement: Statement) -> bytes:
    """Digest that every consent inside `statement` must be over."""
    body = {key: value for key, value in statement.body.items() if key != _CONSENTS}
    return consent_digest(bytes.fromhex(statement.aud or ""), statement.protected, encode(body))


@dataclass(frozen=True, slots=True)
class Draft:
    """A statement before it is signed. `claims` holds those with text names, `body` the payload map without consents.

    Exactly one of `body` and `digest` (32 bytes) is given, as the type asks. `aud` is None in a genesis only.
    """

    type: str
    iss: str
    sub: str
    aud: str | None
    iat: int
    nbf: int | None = None
    exp: int | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    digest: bytes | None = None

    def protected(self, signer: Signer) -> bytes:
        """Return the protected header as `signer` will sign it. MalformedError for claims that the type refuses."""
        entry = self._entry()
        claims: dict[str | int, Any] = {1: self.iss, 2: self.sub}
        dated = ((3, self.aud), (4, self.exp), (5, self.nbf), (6, self.iat))
        claims |= {key: value for key, value in dated if value is not None}
        claims |= {name: self.claims[name] for name in sorted(self.claims, key=_by_length)}
        try:
            entry.claims(claims)
        except MalformedError as error:
            raise below(error, "protected.15") from None
        subject = subjects.parse(self.sub)
        if subject[0] not in entry.subjects:
            raise _wrong_subject(entry, subject)
        alg = signer.suite.alg
        if alg is None:
            raise MalformedError(f"suite {signer.suite.name} does not sign statements", where="alg")
        return build_header(self.type, form_of(entry), alg, signer.kid, claims)

    def payload(self, consents: Sequence[bytes] = ()) -> bytes:
        """Return the payload with these consents. Raises MalformedError for a body that the type refuses."""
        entry = self._entry()
        if form_of(entry) is Form.ENVELOPE:
            if self.digest is None or len(self.digest) != DIGEST_SIZE or self.body is not None or consents:
                raise MalformedError(f"a {self.type} has the digest of a document ({DIGEST_SIZE} bytes) as its payload")
            return self.digest
        if self.body is None or self.digest is not None or _CONSENTS in self.body:
            raise MalformedError(f"a {self.type} has a map as its payload; consents are given apart", where="payload")
        payload = encode({**self.body, _CONSENTS: list(consents)} if consents else dict(self.body))
        body = _decode_body(entry, payload)
        if consents:
            _decode_consents(body)
        return payload

    def consent_digest(self, signer: Signer) -> bytes:
        """Return the digest that the other parties of this act sign, when `signer` is to sign the statement."""
        return consent_digest(bytes.fromhex(self.aud or ""), self.protected(signer), encode(dict(self.body or {})))

    def _entry(self) -> StatementType:
        entry = TYPES.get(self.type)
        if entry is None:
            known = ", ".join(TYPES)
            raise MalformedError(f"unknown type {self.type[:40]!r}", where="type", remedy=f"Use one of {known}")
        return entry


def _by_length(name: str) -> tuple[int, str]:
    """Order of ASCII texts in deterministic CBOR."""
    return len(name), name


def sign(draft: Draft, signer: Signer, consents: Sequence[bytes] = ()) -> bytes:
    """Sign a draft: the statement's bytes. Whatever comes out is accepted by `decode_statement`."""
    protected = draft.protected(signer)
    payload = draft.payload(consents)
    return cose.join(protected, payload, signer.sign(cose.sig_structure(protected, payload)))
