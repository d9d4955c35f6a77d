"""Signed statements: encode, decode, types, claims, consents. This package's public names."""

from __future__ import annotations

from ledger.statements.cbor import decode, encode
from ledger.statements.consents import Consent, consent_digest, decode_consent, make_consent, verify_consent_signature
from ledger.statements.cose import MAX_STATEMENT_SIZE, sig_structure
from ledger.statements.statement import (
    Draft,
    Statement,
    decode_statement,
    expected_consent_digest,
    sign,
    verify_statement_signature,
)
from ledger.statements.types import ROLES, TYPES, StatementType

__all__ = [
    "MAX_STATEMENT_SIZE",
    "ROLES",
    "TYPES",
    "Consent",
    "Draft",
    "Statement",
    "StatementType",
    "consent_digest",
    "decode",
    "decode_consent",
    "decode_statement",
    "encode",
    "expected_consent_digest",
    "make_consent",
    "sig_structure",
    "sign",
    "verify_consent_signature",
    "verify_statement_signature",
]
