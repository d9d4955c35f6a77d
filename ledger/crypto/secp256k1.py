"""Suite `secp256k1`: chain keys, whose address a contract recovers (Ethereum yellow paper, appendix F).

Public key: compressed point, 33 bytes. Signature: r || s || v, 65 bytes, s in the lower half (EIP-2), v 27 or 28 only,
as the `ecrecover` precompile takes it (an R with x at or above the order, one in 2^128, cannot be expressed). The suite
signs Keccak-256 of its message: over the 66 bytes of EIP-712 (0x1901, domain, struct) that is what contracts check.
It has no COSE number: a chain key never signs a statement.

Trusts `cryptography` for points and `eth_keys` for signing and addresses. The latter comes with the extra `node` and is
imported when first needed: the light install can name chain keys and check signatures without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ledger.crypto import digests, sec1
from ledger.crypto.keccak import keccak256
from ledger.crypto.recovery import recover_point
from ledger.errors import MalformedError, UnavailableError

if TYPE_CHECKING:
    from eth_keys.main import KeyAPI

CURVE = sec1.Curve("SECP256K1", 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141)
DIGEST_SIZE = 32
SIGNATURE_SIZE = 65
_V_OFFSET = 27  # ecrecover's v is 27 plus the parity that eth_keys speaks of


def _library() -> KeyAPI:
    try:
        from eth_keys.main import KeyAPI  # noqa: PLC0415 - see the head of this module
    except ImportError as missing:
        raise UnavailableError(
            "signing and recovery with chain keys need the package eth-keys",
            remedy="Install the extra: pip install 'tial[node]'",
        ) from missing
    return KeyAPI()


def address(public_key: bytes) -> str:
    """Ethereum address of a compressed public key: 0x and 40 hex digits with the checksum of EIP-55."""
    CURVE.point(public_key)
    return _library().PublicKey.from_compressed_bytes(public_key).to_checksum_address()


def recover(digest: bytes, signature: bytes) -> bytes:
    """Public key (compressed, 33 bytes) of whoever signed a 32-byte digest.

    Raises MalformedError for a digest or signature of another size or range, for the higher s, and where no key fits.
    """
    v = signature[-1] - _V_OFFSET if len(signature) == SIGNATURE_SIZE else -1
    if len(digest) != DIGEST_SIZE or v not in {0, 1} or not CURVE.is_low(*sec1.split(signature[:-1])):
        raise MalformedError(
            "not a recoverable signature over a 32-byte digest",
            where="signature",
            remedy="Give r || s || v, 65 bytes, with the lower s and v of 27 or 28",
        )
    point = recover_point(digest, *sec1.split(signature[:-1]), v)
    if point is None:
        raise MalformedError("no key made this signature", where="signature")
    x, y = point
    return bytes([2 + (y & 1)]) + x.to_bytes(sec1.SCALAR_SIZE, "big")


def verify_digest(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Tell whether `public_key` made `signature` (r || s || v, 65 bytes) over the 32-byte `digest`."""
    try:
        return recover(digest, signature) == public_key
    except MalformedError:
        return False


@dataclass(frozen=True, slots=True)
class Secp256k1Signer:
    """A chain key. Signing is deterministic (RFC 6979)."""

    secret: bytes = field(repr=False)
    public_key: bytes
    kid: bytes
    _loaded: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)
    """The library's key, once it was needed: to make it takes the library as long as a signature."""

    @property
    def suite(self) -> Secp256k1Suite:
        """The suite of this key."""
        return SUITE

    @property
    def address(self) -> str:
        """Ethereum address of this key."""
        return address(self.public_key)

    def sign_keccak(self, payload: bytes) -> bytes:
        """Signature over Keccak-256 of `payload`: r || s || v, 65 bytes."""
        if not self._loaded:
            self._loaded.append(_library().PrivateKey(self.secret))
        signature = bytes(self._loaded[0].sign_msg_hash(keccak256(payload)).to_bytes())
        return signature[:-1] + bytes([signature[-1] + _V_OFFSET])

    def sign(self, message: bytes) -> bytes:
        """The same, as `ledger.crypto.suites.Signer` names it."""
        return self.sign_keccak(message)


@dataclass(frozen=True, slots=True)
class Secp256k1Suite:
    """The suite object; see `ledger.crypto.suites.Suite`."""

    name: str = "secp256k1"
    alg: None = None
    signature_size: int = SIGNATURE_SIZE

    def check_public_key(self, key: bytes) -> None:
        """Raise MalformedError unless `key` is a compressed point of secp256k1."""
        CURVE.point(key)

    def verify(self, key: bytes, message: bytes, signature: bytes) -> bool:
        """Tell whether `signature` over Keccak-256 of `message` is good."""
        return verify_digest(key, keccak256(message), signature)

    def generate(self) -> Secp256k1Signer:
        """Make a new key from the operating system's randomness."""
        return self.from_secret(CURVE.random_secret())

    def from_secret(self, secret: bytes) -> Secp256k1Signer:
        """Rebuild the signer of a private scalar: 32 bytes, big-endian."""
        public_key = CURVE.public_key(secret)
        return Secp256k1Signer(secret, public_key, digests.kid(public_key))


SUITE = Secp256k1Suite()
