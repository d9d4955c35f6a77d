"""SHA-256 and the key identifier (FIPS 180-4; DESIGN section 4, header 4).

Owns the one place where the digest of the ledger is named. Trusts `hashlib`.
"""

from __future__ import annotations

import hashlib


def sha256(data: bytes) -> bytes:
    """SHA-256 of `data`: 32 bytes."""
    return hashlib.sha256(data).digest()


def kid(public_key: bytes) -> bytes:
    """Key identifier: SHA-256 (32 bytes) of a public key in the canonical form of its suite."""
    return hashlib.sha256(public_key).digest()
