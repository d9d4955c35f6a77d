"""Suite `bls12-381`: keys of a consortium's members, whose signatures add up to one (draft-irtf-cfrg-bls-signature-05).

Ciphersuite BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_. Public key: compressed point of G1, 48 bytes. Signature, single
or aggregate: compressed point of G2, 96 bytes. Secret: the scalar, 32 bytes, big-endian. It has no COSE number: such a
key never signs a statement.

Signatures of several keys over one message are added up and checked at the cost of one, but only among keys whose
holders proved possession: without that, a member could choose a key that cancels out the others (section 3.3.3).

Trusts py_ecc for the arithmetic, or blspy where it is installed: the same bytes, a hundred times as fast. Both are
asked for when first needed; the light install names these keys without either. The curve's neutral element is refused
here as key and as signature, whatever a library says of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Protocol

from ledger.crypto import digests
from ledger.errors import MalformedError, UnavailableError

KEY_SIZE: Final = 48
SIGNATURE_SIZE: Final = 96
SECRET_SIZE: Final = 32
ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""Number of points of the two groups, the order that scalars are taken modulo."""
_NEUTRAL_KEY: Final = b"\xc0" + bytes(KEY_SIZE - 1)
_NEUTRAL_SIGNATURE: Final = b"\xc0" + bytes(SIGNATURE_SIZE - 1)


class _Arithmetic(Protocol):
    """What is asked of a library. Keys and signatures have their sizes and are not neutral; scalars are in range."""

    def public_key(self, secret: bytes) -> bytes: ...

    def is_key(self, key: bytes) -> bool: ...

    def sign(self, secret: bytes, message: bytes) -> bytes: ...

    def verify(self, keys: Sequence[bytes], message: bytes, signature: bytes) -> bool: ...

    def prove(self, secret: bytes) -> bytes: ...

    def is_proof(self, key: bytes, proof: bytes) -> bool: ...

    def add(self, signatures: Sequence[bytes]) -> bytes: ...  # ValueError for what encodes no point


class _PyEcc:
    """py_ecc: pure Python, about 0.3 s a check."""

    def __init__(self) -> None:
        from eth_utils.exceptions import ValidationError  # noqa: PLC0415 - see the head of this module
        from py_ecc.bls.ciphersuites import G2ProofOfPossession  # noqa: PLC0415 - see the head of this module

        self._scheme, self._unfit = G2ProofOfPossession, ValidationError

    def public_key(self, secret: bytes) -> bytes:
        return bytes(self._scheme.SkToPk(int.from_bytes(secret, "big")))

    def is_key(self, key: bytes) -> bool:
        return bool(self._scheme.KeyValidate(key))  # type: ignore[arg-type]

    def sign(self, secret: bytes, message: bytes) -> bytes:
        return bytes(self._scheme.Sign(int.from_bytes(secret, "big"), message))

    def verify(self, keys: Sequence[bytes], message: bytes, signature: bytes) -> bool:
        return bool(self._scheme.FastAggregateVerify(list(keys), message, signature))  # type: ignore[arg-type]

    def prove(self, secret: bytes) -> bytes:
        return bytes(self._scheme.PopProve(int.from_bytes(secret, "big")))

    def is_proof(self, key: bytes, proof: bytes) -> bool:
        return bool(self._scheme.PopVerify(key, proof))  # type: ignore[arg-type]

    def add(self, signatures: Sequence[bytes]) -> bytes:
        try:
            return bytes(self._scheme.Aggregate(list(signatures)))  # type: ignore[arg-type]
        except self._unfit as error:
            raise ValueError(str(error)) from error


class _Blspy:
    """blspy: the same ciphersuite over a library in C, about 2 ms a check."""

    def __init__(self) -> None:
        import blspy  # noqa: PLC0415 - see the head of this module

        self._scheme = blspy.PopSchemeMPL
        self._secret, self._g1, self._g2 = blspy.PrivateKey, blspy.G1Element, blspy.G2Element

    def public_key(self, secret: bytes) -> bytes:
        return bytes(self._secret.from_bytes(secret).get_g1())

    def is_key(self, key: bytes) -> bool:
        try:
            self._g1.from_bytes(key)
        except ValueError:
            return False
        return True

    def sign(self, secret: bytes, message: bytes) -> bytes:
        return bytes(self._scheme.sign(self._secret.from_bytes(secret), message))

    def verify(self, keys: Sequence[bytes], message: bytes, signature: bytes) -> bool:
        try:
            points = [self._g1.from_bytes(key) for key in keys]
            return bool(self._scheme.fast_aggregate_verify(points, message, self._g2.from_bytes(signature)))
        except ValueError:
            return False

    def prove(self, secret: bytes) -> bytes:
        return bytes(self._scheme.pop_prove(self._secret.from_bytes(secret)))

    def is_proof(self, key: bytes, proof: bytes) -> bool:
        try:
            return bool(self._scheme.pop_verify(self._g1.from_bytes(key), self._g2.from_bytes(proof)))
        except ValueError:
            return False

    def add(self, signatures: Sequence[bytes]) -> bytes:
        return bytes(self._scheme.aggregate([self._g2.from_bytes(signature) for signature in signatures]))


@lru_cache(maxsize=1)
def _arithmetic() -> _Arithmetic:
    for library in (_Blspy, _PyEcc):
        try:
            return library()
        except ImportError:
            continue
    raise UnavailableError(
        "BLS12-381 keys need the package py-ecc, or blspy", remedy="Install the extra: pip install 'tial[node]'"
    )


def prove_possession(signer: Bls12381Signer) -> bytes:
    """Proof that somebody holds the key: 96 bytes, never the same as a signature over any message (section 3.3.2)."""
    return _arithmetic().prove(signer.secret)


@lru_cache(maxsize=4_096)
def possesses(key: bytes, proof: bytes) -> bool:
    """Tell whether `proof` shows possession of `key` (section 3.3.3). Remembered: a consortium's members are few."""
    return _is_point(key, proof) and _arithmetic().is_proof(key, proof)


def add_up(signatures: Sequence[bytes]) -> bytes:
    """Add up signatures, each checked by the caller, into one of 96 bytes; MalformedError where there is none."""
    if not signatures or any(len(s) != SIGNATURE_SIZE or s == _NEUTRAL_SIGNATURE for s in signatures):
        raise MalformedError("nothing to add up, or something that is no signature", where="signatures")
    try:
        return _arithmetic().add(signatures)
    except ValueError as error:
        raise MalformedError(f"no signature: {error}", where="signatures") from error


def verify_together(keys: Sequence[bytes], message: bytes, signature: bytes) -> bool:
    """Tell whether every one of `keys` signed `message`, `signature` being their sum (FastAggregateVerify, 3.3.4).

    Sound only for keys whose possession was proven; the caller sees to that.
    """
    if not keys or len(set(keys)) != len(keys) or not all(_is_point(key, signature) for key in keys):
        return False
    return _arithmetic().verify(keys, message, signature)


def _is_point(key: bytes, signature: bytes) -> bool:
    sizes = len(key) == KEY_SIZE and len(signature) == SIGNATURE_SIZE
    return sizes and key != _NEUTRAL_KEY and signature != _NEUTRAL_SIGNATURE


@dataclass(frozen=True, slots=True)
class Bls12381Signer:
    """A member's private key. Signing is deterministic."""

    secret: bytes = field(repr=False)
    public_key: bytes
    kid: bytes

    @property
    def suite(self) -> Bls12381Suite:
        """The suite of this key."""
        return SUITE

    def sign(self, message: bytes) -> bytes:
        """Signature over `message`: 96 bytes."""
        return _arithmetic().sign(self.secret, message)


@dataclass(frozen=True, slots=True)
class Bls12381Suite:
    """The suite object; see `ledger.crypto.suites.Suite`."""

    name: str = "bls12-381"
    alg: None = None
    signature_size: int = SIGNATURE_SIZE

    def check_public_key(self, key: bytes) -> None:
        """Raise MalformedError unless `key` encodes a point of the right subgroup other than the neutral element."""
        if len(key) != KEY_SIZE or key == _NEUTRAL_KEY or not _arithmetic().is_key(key):
            raise MalformedError(
                f"not a BLS12-381 public key: {len(key)} bytes that encode no point of G1's subgroup",
                where="key",
                remedy="Give the 48 bytes of a compressed point, made by `tial key new --suite bls12-381`",
            )

    def verify(self, key: bytes, message: bytes, signature: bytes) -> bool:
        """Tell whether `signature` over `message` is good. UnavailableError without py_ecc and blspy."""
        return verify_together([key], message, signature)

    def generate(self) -> Bls12381Signer:
        """Make a new key from the operating system's randomness."""
        return self.from_secret((1 + secrets.randbelow(ORDER - 1)).to_bytes(SECRET_SIZE, "big"))

    def from_secret(self, secret: bytes) -> Bls12381Signer:
        """Rebuild the signer of a private scalar: 32 bytes, big-endian."""
        if len(secret) != SECRET_SIZE or not 0 < int.from_bytes(secret, "big") < ORDER:
            raise MalformedError("a BLS12-381 secret is a scalar of 32 bytes below the group's order", where="secret")
        public_key = _arithmetic().public_key(secret)
        return Bls12381Signer(secret, public_key, digests.kid(public_key))


SUITE = Bls12381Suite()
