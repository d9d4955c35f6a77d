"""Points, scalars and signature encodings that the two 256-bit Weierstrass curves share (SEC 1 sections 2.3 and 4.1).

Owns the one accepted encoding of a public key (the 33-byte compressed point), of a secret (32 bytes, big-endian) and of
a signature (r || s, 64 bytes, IEEE P1363), and the strict conversion from and to DER, which hardware
signers speak. Trusts `cryptography` (OpenSSL) for curve arithmetic and DER. It is imported when it is first needed:
a verifier that meets Ed25519 signatures alone starts in half the time.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ledger.errors import MalformedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurve,
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )

SCALAR_SIZE = 32
POINT_SIZE = 33
SIGNATURE_SIZE = 64
_DER_MAX = 72  # SEQUENCE of two INTEGERs of at most 33 bytes each, every header 2 bytes


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: two constants exist
class Curve:
    """A curve of cofactor 1 with 256-bit field and order; `name` is what `cryptography` calls it."""

    name: str
    order: int

    @property
    def parameters(self) -> EllipticCurve:
        """The curve as `cryptography` wants it."""
        return _parameters(self.name)

    def point(self, key: bytes) -> EllipticCurvePublicKey:
        """Decode a compressed point, or raise MalformedError. The result is remembered: decoding takes a root."""
        point = _decode_point(self, key)
        if point is None:
            raise MalformedError(
                f"not a public key on {self.name.lower()}: {len(key)} bytes that are no compressed point",
                where="key",
                remedy="Give the 33 bytes of SEC 1 section 2.3.3: 02 or 03, then the x coordinate",
            )
        return point

    def scalar(self, secret: bytes) -> int:
        """Decode a private scalar (32 bytes, big-endian, from 1 to order - 1), or raise MalformedError."""
        scalar = int.from_bytes(secret, "big")
        if len(secret) != SCALAR_SIZE or not 0 < scalar < self.order:
            raise MalformedError(
                f"not a private key on {self.name.lower()}",
                where="secret",
                remedy="Give 32 bytes, big-endian, from 1 to the order of the curve less one",
            )
        return scalar

    def random_secret(self) -> bytes:
        """Make a private scalar from the operating system's randomness: 32 bytes, big-endian."""
        return (1 + secrets.randbelow(self.order - 1)).to_bytes(SCALAR_SIZE, "big")

    def public_key(self, secret: bytes) -> bytes:
        """Compressed public point of a private scalar: 33 bytes."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - see the head of this module

        return self.private_key(secret).public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)

    def private_key(self, secret: bytes) -> EllipticCurvePrivateKey:
        """The key of a private scalar, or MalformedError."""
        from cryptography.hazmat.primitives.asymmetric.ec import derive_private_key  # noqa: PLC0415 - see the head of this module

        return derive_private_key(self.scalar(secret), self.parameters)

    def is_low(self, r: int, s: int) -> bool:
        """Tell whether both halves are in range and s is the smaller of its two equally good values."""
        return 0 < r < self.order and 0 < s <= self.order // 2

    def low_s(self, signature: bytes) -> bytes:
        """Replace a high s by order - s, for signers that do not. Any other signature comes back as it is."""
        r, s = split(signature)
        return join(r, self.order - s) if self.order // 2 < s < self.order else signature


@lru_cache
def _parameters(name: str) -> EllipticCurve:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - see the head of this module

    found: EllipticCurve = getattr(ec, name)()
    return found


@lru_cache(maxsize=4_096)
def _decode_point(curve: Curve, key: bytes) -> EllipticCurvePublicKey | None:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey  # noqa: PLC0415 - see the head of this module

    if len(key) != POINT_SIZE:  # the library would take uncompressed points too
        return None
    try:
        return EllipticCurvePublicKey.from_encoded_point(curve.parameters, key)
    except ValueError:
        return None


def split(signature: bytes) -> tuple[int, int]:
    """Return r and s of a 64-byte signature r || s, ranges unchecked. Raises MalformedError on any other length."""
    if len(signature) != SIGNATURE_SIZE:
        raise MalformedError(f"an r || s signature has {SIGNATURE_SIZE} bytes, not {len(signature)}", where="signature")
    return int.from_bytes(signature[:SCALAR_SIZE], "big"), int.from_bytes(signature[SCALAR_SIZE:], "big")


def join(r: int, s: int) -> bytes:
    """Join two integers in 0 .. 2^256 - 1 to r || s, 64 bytes."""
    return r.to_bytes(SCALAR_SIZE, "big") + s.to_bytes(SCALAR_SIZE, "big")


def p1363_to_der(signature: bytes) -> bytes:
    """Convert r || s (64 bytes) to DER (RFC 3279 section 2.2.3)."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature  # noqa: PLC0415 - see the head of this module

    return encode_dss_signature(*split(signature))


def der_to_p1363(der: bytes) -> bytes:
    """Convert a DER signature to r || s, 64 bytes.

    Raises MalformedError for anything that is not the one DER encoding of two integers in 0 .. 2^256 - 1: BER
    lengths, padded or negative integers, trailing bytes. Whether the signature is good is another question.
    """
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature  # noqa: PLC0415 - see the head of this module

    try:
        if len(der) > _DER_MAX:
            raise ValueError
        r, s = decode_dss_signature(der)
        signature = join(r, s)
    except (ValueError, OverflowError):
        signature = b""
    if not signature or p1363_to_der(signature) != der:
        raise MalformedError(
            "not a DER signature of two 256-bit integers",
            where="signature",
            remedy="Give SEQUENCE { INTEGER r, INTEGER s } in DER: shortest lengths and integers, nothing after it",
        )
    return signature
