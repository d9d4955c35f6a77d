"""Suite `es256`: ECDSA on P-256 with SHA-256, COSE algorithm -7 (FIPS 186-5, RFC 9053 section 2.1).

Public key: compressed point, 33 bytes. Signature: r || s, 64 bytes, s in the lower half only: in plain ECDSA
(r, order - s) is as good as (r, s), and whoever sees a statement could make a second one of other bytes. Hardware
modules often give DER with either s: convert with `der_to_p1363`, then `low_s`. Trusts `cryptography` (OpenSSL) for the
arithmetic, and imports it when it is first needed (`ledger.crypto.sec1`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from ledger.crypto import digests, sec1
from ledger.crypto.sec1 import der_to_p1363, p1363_to_der
from ledger.errors import MalformedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["CURVE", "SUITE", "Es256Signer", "Es256Suite", "der_to_p1363", "low_s", "p1363_to_der"]

CURVE = sec1.Curve("SECP256R1", 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551)
low_s = CURVE.low_s


@lru_cache
def _scheme(*, deterministic: bool) -> ec.ECDSA:
    """ECDSA as the library wants it; to sign deterministically (RFC 6979) leaves no nonce to get wrong."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - see the head of this module
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - see the head of this module

    return ec.ECDSA(SHA256(), deterministic_signing=deterministic)


@dataclass(frozen=True, slots=True)
class Es256Signer:
    """A P-256 private key."""

    secret: bytes = field(repr=False)
    public_key: bytes
    kid: bytes
    _key: ec.EllipticCurvePrivateKey = field(repr=False, compare=False)

    @property
    def suite(self) -> Es256Suite:
        """The suite of this key."""
        return SUITE

    def sign(self, message: bytes) -> bytes:
        """Signature over `message`: r || s with the lower s, 64 bytes."""
        return low_s(der_to_p1363(self._key.sign(message, _scheme(deterministic=True))))


@dataclass(frozen=True, slots=True)
class Es256Suite:
    """The suite object; see `ledger.crypto.suites.Suite`."""

    name: str = "es256"
    alg: int = -7
    signature_size: int = sec1.SIGNATURE_SIZE

    def check_public_key(self, key: bytes) -> None:
        """Raise MalformedError unless `key` is a compressed point of P-256."""
        CURVE.point(key)

    def verify(self, key: bytes, message: bytes, signature: bytes) -> bool:
        """Tell whether `signature` over `message` is good and has the lower s."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see the head of this module

        try:
            if not CURVE.is_low(*sec1.split(signature)):
                return False
            CURVE.point(key).verify(p1363_to_der(signature), message, _scheme(deterministic=False))
        except (MalformedError, InvalidSignature):
            return False
        return True

    def generate(self) -> Es256Signer:
        """Make a new key from the operating system's randomness."""
        return self.from_secret(CURVE.random_secret())

    def from_secret(self, secret: bytes) -> Es256Signer:
        """Rebuild the signer of a private scalar: 32 bytes, big-endian."""
        public_key = CURVE.public_key(secret)
        return Es256Signer(secret, public_key, digests.kid(public_key), CURVE.private_key(secret))


SUITE = Es256Suite()
