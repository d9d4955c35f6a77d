"""Suite `ed25519`: EdDSA over edwards25519, COSE algorithm -8 (RFC 8032, RFC 9053 section 2.2).

Public key: 32 bytes. Signature: R || S, 64 bytes. Secret: the 32-byte seed.

Implementations of Ed25519 differ in what they accept at the edges, so a log needs one exact rule. Ours is the
narrowest: a key is a canonical encoding of a point of the prime-order subgroup, R is canonical and not of small order,
S is below the group order, and S*B = R + h*A holds without the cofactor. What passes it passes everywhere. Trusts
libsodium (through PyNaCl 1.6.2 or later, whose subgroup check is whole) for the arithmetic; the tests hold it to this
rule with signatures that break it one point at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from nacl.bindings import (
    crypto_core_ed25519_is_valid_point,
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
    randombytes,
)
from nacl.exceptions import BadSignatureError

from ledger.crypto import digests
from ledger.errors import MalformedError

KEY_SIZE = 32
SEED_SIZE = 32
SIGNATURE_SIZE = 64


@lru_cache(maxsize=16_384)
def _is_sound_key(key: bytes) -> bool:
    """Tell whether `key` is canonical, on the curve and of prime order. Costs half a verify, so it is remembered."""
    return len(key) == KEY_SIZE and crypto_core_ed25519_is_valid_point(key)


@dataclass(frozen=True, slots=True)
class Ed25519Signer:
    """An Ed25519 private key. Signing is deterministic (RFC 8032 section 5.1.6)."""

    public_key: bytes
    kid: bytes
    _expanded: bytes = field(repr=False)  # seed || public key, as libsodium wants it

    @property
    def suite(self) -> Ed25519Suite:
        """The suite of this key."""
        return SUITE

    @property
    def secret(self) -> bytes:
        """The 32-byte seed."""
        return self._expanded[:SEED_SIZE]

    def sign(self, message: bytes) -> bytes:
        """Signature over `message`: 64 bytes."""
        return crypto_sign(message, self._expanded)[:SIGNATURE_SIZE]


@dataclass(frozen=True, slots=True)
class Ed25519Suite:
    """The suite object; see `ledger.crypto.suites.Suite`."""

    name: str = "ed25519"
    alg: int = -8
    signature_size: int = SIGNATURE_SIZE

    def check_public_key(self, key: bytes) -> None:
        """Raise MalformedError unless `key` is the canonical encoding of a point of prime order."""
        if not _is_sound_key(key):
            raise MalformedError(
                f"not an Ed25519 public key: {len(key)} bytes that encode no point of prime order canonically",
                where="key",
                remedy="Give the 32 bytes of RFC 8032 section 5.1.5, made by an ordinary key generator",
            )

    def verify(self, key: bytes, message: bytes, signature: bytes) -> bool:
        """Tell whether `signature` over `message` is good, by the rule at the head of this module."""
        if len(signature) != SIGNATURE_SIZE or not _is_sound_key(key):
            return False
        try:
            crypto_sign_open(signature + message, key)
        except BadSignatureError:
            return False
        return True

    def generate(self) -> Ed25519Signer:
        """Make a new key from the operating system's randomness."""
        return self.from_secret(randombytes(SEED_SIZE))

    def from_secret(self, secret: bytes) -> Ed25519Signer:
        """Rebuild the signer of a 32-byte seed."""
        if len(secret) != SEED_SIZE:
            raise MalformedError(f"an Ed25519 seed has {SEED_SIZE} bytes, not {len(secret)}", where="secret")
        public_key, expanded = crypto_sign_seed_keypair(secret)
        return Ed25519Signer(public_key, digests.kid(public_key), expanded)


SUITE = Ed25519Suite()
