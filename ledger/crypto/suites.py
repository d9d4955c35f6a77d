"""The suite registry: the signature algorithms in force, found by name or by COSE algorithm number.

Owns the two protocols that every algorithm fits, and the list of the algorithms. A new suite is one module with an
object of shape `Suite`, and one `register` line at the end of this file. Nothing is negotiated: the algorithm number is
inside what is signed (RFC 9052 section 3.1, header 1), and an unknown one is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from ledger.crypto import bls12381, ed25519, es256, secp256k1
from ledger.errors import MalformedError


class Suite(Protocol):
    """One signature algorithm with one encoding of keys and signatures."""

    @property
    def name(self) -> str:
        """Name in configuration and key files."""

    @property
    def alg(self) -> int | None:
        """COSE algorithm number; None for a suite that must never sign a statement."""

    @property
    def signature_size(self) -> int:
        """Length of every signature, in bytes."""

    def check_public_key(self, key: bytes) -> None:
        """Raise MalformedError unless `key` is a safe public key in its one canonical encoding."""

    def verify(self, key: bytes, message: bytes, signature: bytes) -> bool:
        """Tell whether `signature` is good. Strict; False for any other bytes, however malformed: it never raises."""

    def generate(self) -> Signer:
        """Make a new key from the operating system's randomness."""

    def from_secret(self, secret: bytes) -> Signer:
        """Rebuild a signer from its 32 secret bytes, or raise MalformedError."""


class Signer(Protocol):
    """A private key in use."""

    @property
    def suite(self) -> Suite:
        """The suite of this key."""

    @property
    def public_key(self) -> bytes:
        """Public key in the canonical form of the suite."""

    @property
    def kid(self) -> bytes:
        """SHA-256 of `public_key`."""

    @property
    def secret(self) -> bytes:
        """The 32 secret bytes, for key files only."""

    def sign(self, message: bytes) -> bytes:
        """Signature over `message`, `suite.signature_size` bytes, the same each time."""


class SuiteRegistry(Mapping[str, Suite]):
    """Suites by name, and by COSE algorithm number where they have one."""

    def __init__(self) -> None:
        self._by_name: dict[str, Suite] = {}
        self._by_alg: dict[int, Suite] = {}

    def __getitem__(self, name: str) -> Suite:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def register(self, suite: Suite) -> None:
        """Add a suite. ValueError if its name or number is taken: a signature must have one meaning."""
        if suite.name in self._by_name or suite.alg in self._by_alg:
            raise ValueError(f"suite {suite.name!r} (alg {suite.alg}) collides with a registered one")
        self._by_name[suite.name] = suite
        if suite.alg is not None:
            self._by_alg[suite.alg] = suite

    def by_name(self, name: str) -> Suite:
        """Return the suite called `name`, or raise MalformedError."""
        suite = self._by_name.get(name)
        if suite is None:
            raise MalformedError(f"unknown suite {name[:40]!r}", where="suite", remedy=f"Use one of {', '.join(self)}")
        return suite

    def by_alg(self, alg: int) -> Suite:
        """Return the suite with COSE algorithm number `alg`, or raise MalformedError."""
        suite = self._by_alg.get(alg)
        if suite is None:
            known = ", ".join(f"{number} ({suite.name})" for number, suite in self._by_alg.items())
            raise MalformedError(f"unknown algorithm {alg}", where="alg", remedy=f"Sign with one of {known}")
        return suite


SUITES = SuiteRegistry()
register = SUITES.register
suite_by_name = SUITES.by_name
suite_by_alg = SUITES.by_alg

register(ed25519.SUITE)
register(es256.SUITE)
register(secp256k1.SUITE)
register(bls12381.SUITE)
