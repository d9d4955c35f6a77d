"""Public keys as COSE_Key maps (RFC 9052 section 7; RFC 9053 sections 7.1 and 7.2), as key sets publish them.

Owns the one form that we write: key type, kid, algorithm and coordinates, nothing else; a P-256 point with both
coordinates, because readers differ on the sign bit. Reading takes exactly that form back. Trusts the suites that a key
is sound.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.crypto.digests import kid
from ledger.crypto.suites import suite_by_alg
from ledger.errors import MalformedError

_OKP: Final = 1
_EC2: Final = 2
_ED25519: Final = 6  # curves (IANA "COSE Elliptic Curves")
_P256: Final = 1
_EDDSA: Final = -8
_ES256: Final = -7


def to_cose_key(alg: int, key: bytes) -> dict[int, Any]:
    """Return the COSE_Key of a public key in its suite's canonical form; its kid is the SHA-256 of that form.

    Raises:
        MalformedError: an unknown algorithm, or a key that its suite refuses.

    """
    suite_by_alg(alg).check_public_key(key)
    if alg == _EDDSA:
        return {1: _OKP, 2: kid(key), 3: alg, -1: _ED25519, -2: key}
    point = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), key)
    raw = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {1: _EC2, 2: kid(key), 3: alg, -1: _P256, -2: raw[1:33], -3: raw[33:]}


def from_cose_key(value: Any) -> tuple[int, bytes]:
    """Read a COSE_Key of the form that `to_cose_key` writes: algorithm and public key in canonical form.

    Raises:
        MalformedError: any other value.

    """
    if isinstance(value, dict):
        x, y = value.get(-2), value.get(-3)
        alg, key = 0, b""
        if value.get(3) == _EDDSA and isinstance(x, bytes):
            alg, key = _EDDSA, x
        elif value.get(3) == _ES256 and isinstance(x, bytes) and isinstance(y, bytes) and y:
            alg, key = _ES256, bytes([2 + (y[-1] & 1)]) + x
        if key and to_cose_key(alg, key) == value:
            return alg, key
    raise MalformedError(
        "not a COSE key that is known here", remedy="Use an Ed25519 or a P-256 key with alg and the SHA-256 as kid"
    )
