"""Keccak-256, the digest of the EVM: the sponge of FIPS 202 with the padding from before the standard.

Trusts PyCryptodome, which is loaded when first asked: only chain keys and chain evidence need it.
"""

from __future__ import annotations

from typing import Final

SIZE: Final = 32


def keccak256(data: bytes) -> bytes:
    """Keccak-256 of `data`: 32 bytes."""
    from Crypto.Hash import keccak  # noqa: PLC0415 - see the head of this module

    return keccak.new(digest_bits=256, data=data).digest()
