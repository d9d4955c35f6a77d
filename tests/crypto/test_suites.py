"""The registry, and what every suite in it must do."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto import digests, ed25519, es256, keyfile
from ledger.crypto.suites import SUITES, Signer, Suite, SuiteRegistry, suite_by_alg, suite_by_name
from ledger.errors import MalformedError, UnavailableError

EVERY = pytest.mark.parametrize("suite", list(SUITES.values()), ids=list(SUITES))


def test_statement_suites_are_found_by_name_and_by_cose_number():
    assert suite_by_alg(-8) is suite_by_name("ed25519") is ed25519.SUITE
    assert suite_by_alg(-7) is suite_by_name("es256") is es256.SUITE


@pytest.mark.parametrize("alg", [0, -6, -9, -47, 2**64])
def test_an_unknown_algorithm_is_refused_with_the_known_ones(alg):
    with pytest.raises(MalformedError, match=r"-8 \(ed25519\)"):
        suite_by_alg(alg)


def test_an_unknown_name_is_refused():
    with pytest.raises(MalformedError):
        suite_by_name("rsa")


def test_chain_keys_have_no_cose_number_so_that_no_statement_can_name_them():
    assert suite_by_name("secp256k1").alg is None


@EVERY
@settings(max_examples=10, deadline=None)
@given(
    secret=st.integers(1, 2**254).map(lambda number: number.to_bytes(32, "big")),
    message=st.binary(max_size=300),
    data=st.data(),
)
def test_a_signature_verifies_until_one_bit_of_anything_changes(suite, secret, message, data):
    signer = suite.from_secret(secret)
    signature = signer.sign(message)
    assert len(signature) == suite.signature_size
    assert signature == suite.from_secret(secret).sign(message)
    assert suite.verify(signer.public_key, message, signature)

    def flipped(octets: bytes) -> bytes:
        bit = data.draw(st.integers(0, len(octets) * 8 - 1))
        return (int.from_bytes(octets, "big") ^ 1 << bit).to_bytes(len(octets), "big")

    assert not suite.verify(signer.public_key, message, flipped(signature))
    assert not suite.verify(flipped(signer.public_key), message, signature)
    assert not suite.verify(signer.public_key, message + b"\0", signature)


@EVERY
@settings(max_examples=100, deadline=None)
@given(key=st.binary(max_size=70), message=st.binary(max_size=40), signature=st.binary(max_size=70))
def test_verify_answers_false_to_any_bytes(suite, key, message, signature):
    assert suite.verify(key, message, signature) is False
    assert suite.verify(suite.from_secret(bytes(31) + b"\1").public_key, message, signature) is False


@EVERY
@pytest.mark.parametrize("cut", [0, 1, 63, 64])
def test_a_shortened_or_lengthened_signature_is_refused(suite, cut):
    signer = suite.generate()
    signature = signer.sign(b"message")
    assert not suite.verify(signer.public_key, b"message", signature[:cut] if cut < suite.signature_size else b"")
    assert not suite.verify(signer.public_key, b"message", signature + b"\0")
    assert not suite.verify(signer.public_key, b"essage", signature + b"m")


@EVERY
def test_a_generated_key_is_new_sound_and_named_by_its_digest(suite):
    one, other = suite.generate(), suite.generate()
    assert one.secret != other.secret
    suite.check_public_key(one.public_key)
    assert one.kid == digests.kid(one.public_key) == hashlib.sha256(one.public_key).digest()
    assert one.suite is suite


@EVERY
def test_a_signer_does_not_print_its_secret(suite):
    signer = suite.from_secret(b"\x5a" * 32)
    assert "ZZ" not in repr(signer)
    assert "5a5a" not in repr(signer)


@EVERY
@pytest.mark.parametrize("key", [b"", b"\0", bytes(32), bytes(33), b"\xff" * 32, b"\x02" + b"\xff" * 32, bytes(65)])
def test_bytes_that_are_no_key_are_refused(suite, key):
    with pytest.raises(MalformedError):
        suite.check_public_key(key)


@EVERY
@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_secret_of_another_length_is_refused(suite, size):
    with pytest.raises(MalformedError):
        suite.from_secret(b"\1" * size)


# All that a third suite takes: a module with an object of this shape, and one line that registers it.


@dataclass(frozen=True, slots=True)
class ToySigner:
    secret: bytes = field(repr=False)

    @property
    def suite(self) -> ToySuite:
        return TOY

    @property
    def public_key(self) -> bytes:
        return self.secret  # a toy indeed

    @property
    def kid(self) -> bytes:
        return digests.kid(self.public_key)

    def sign(self, message: bytes) -> bytes:
        return hmac.digest(self.secret, message, "sha256")


@dataclass(frozen=True, slots=True)
class ToySuite:
    name: str = "toy"
    alg: int = -65_537
    signature_size: int = 32

    def check_public_key(self, key: bytes) -> None:
        if len(key) != 32:
            raise MalformedError("a toy key has 32 bytes")

    def verify(self, key: bytes, message: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(key, message, "sha256"), signature)

    def generate(self) -> Signer:
        return self.from_secret(digests.sha256(b"not random"))

    def from_secret(self, secret: bytes) -> Signer:
        return ToySigner(secret)


TOY = ToySuite()


def fresh_registry(*suites: Suite) -> SuiteRegistry:
    registry = SuiteRegistry()
    for suite in (ed25519.SUITE, es256.SUITE, *suites):
        registry.register(suite)
    return registry


def test_a_third_suite_takes_one_object_and_one_line(tmp_path):
    registry = fresh_registry()
    registry.register(TOY)
    assert list(registry) == ["ed25519", "es256", "toy"]
    signer = registry.by_alg(-65_537).generate()
    assert registry.by_name("toy").verify(signer.public_key, b"message", signer.sign(b"message"))
    keyfile.save(tmp_path / "toy.key", signer, "passphrase")
    assert keyfile.load(tmp_path / "toy.key", "passphrase", registry) == signer
    assert "toy" not in SUITES


def test_a_suite_cannot_take_a_name_or_number_that_has_a_meaning():
    registry = fresh_registry(TOY)
    for usurper in (ToySuite(alg=-99), ToySuite(name="other"), ToySuite(name="other", alg=-8)):
        with pytest.raises(ValueError, match="collides"):
            registry.register(usurper)
    assert len(registry) == 3


LIGHT_INSTALL = """
import sys
for absent in ("eth_keys", "eth_utils", "eth_account", "web3", "coincurve"):
    sys.modules[absent] = None
from ledger.crypto import keyfile, canonical
from ledger.crypto.suites import SUITES
from ledger.errors import UnavailableError
for name in ("ed25519", "es256"):
    signer = SUITES[name].generate()
    assert SUITES[name].verify(signer.public_key, b"", signer.sign(b""))
chain = SUITES["secp256k1"].generate()
SUITES["secp256k1"].check_public_key(chain.public_key)
assert not SUITES["secp256k1"].verify(chain.public_key, b"", bytes(65))
for use in (lambda: chain.sign(b""), lambda: chain.address):
    try:
        use()
    except UnavailableError as refusal:
        assert "tial[node]" in refusal.remedy
    else:
        raise SystemExit("used what is not installed")
"""


def test_the_light_install_works_without_the_chain_libraries():
    assert UnavailableError.code == "unavailable"
    subprocess.run([sys.executable, "-c", LIGHT_INSTALL], check=True, timeout=60, cwd=Path(__file__).parents[2])
