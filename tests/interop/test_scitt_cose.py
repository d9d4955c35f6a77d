"""scitt-cose, an implementation by others, accepts our receipts and transparent statements, and we accept its receipts.

It is a package for tests only; where it is not installed these are skipped.
"""

from __future__ import annotations

from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ledger.crypto.suites import suite_by_name
from ledger.log.proofs import consistency_proof, inclusion_proof
from ledger.log.receipts import (
    InclusionPath,
    ReceiptError,
    decode_receipt,
    make_inclusion_receipt,
    verify_inclusion_receipt,
)
from ledger.log.tree import leaf_hash, root_of
from ledger.statements.cbor import encode
from ledger.statements.cose import join
from ledger.statements.transparent import attach, split_transparent

ORIGIN = "example.org/log"
SUB = "vaa:88.118.8/JXDY2106023"
SECRET = b"\x05" * 32
SIGNERS = {name: suite_by_name(name).from_secret(SECRET) for name in ("ed25519", "es256")}
NAMES = {"ed25519": "EdDSA", "es256": "ES256"}
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
HALF = ORDER // 2
SIZES = (2, 3, 7, 8, 33)


@pytest.fixture(scope="module")
def peer() -> ModuleType:
    return pytest.importorskip("scitt_cose", reason="scitt-cose is not installed (pip install scitt-cose)")


def entries(size: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(size)]


def private(name: str):
    if name == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(SECRET)
    return ec.derive_private_key(int.from_bytes(SECRET, "big"), ec.SECP256R1())


def secret_pem(name: str) -> bytes:
    return private(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(name: str) -> bytes:
    return private(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def node_of(hashes: list[bytes]):
    return lambda level, index: root_of(hashes[index << level : (index + 1) << level])


def ours(name: str, index: int, size: int) -> bytes:
    hashes = [leaf_hash(entry) for entry in entries(size)]
    proof = InclusionPath(size, index, tuple(inclusion_proof(index, size, node_of(hashes))))
    return make_inclusion_receipt(SIGNERS[name], ORIGIN, SUB, hashes[index], proof)


def accepted(peer: ModuleType, receipt: bytes, entry: bytes, name: str):
    return peer.verify_receipt(receipt, leaf_entry_hex=entry.hex(), log_public_key_pem=public_pem(name))


@pytest.mark.parametrize("name", SIGNERS)
@pytest.mark.parametrize("size", SIZES)
def test_our_receipts_are_accepted(peer: ModuleType, name: str, size: int) -> None:
    for index in {0, size // 2, size - 1}:
        result = accepted(peer, ours(name, index, size), entries(size)[index], name)
        assert result.ok, result.errors
        assert (result.tree_size, result.leaf_index) == (size, index)
        assert result.root == root_of([leaf_hash(entry) for entry in entries(size)]).hex()
        assert (result.issuer, result.subject) == (ORIGIN, SUB)


@pytest.mark.parametrize("name", SIGNERS)
def test_our_receipts_are_refused_for_another_entry_or_key_and_once_changed(peer: ModuleType, name: str) -> None:
    raw = ours(name, 3, 7)
    assert not accepted(peer, raw, b"another", name).ok
    other = next(one for one in SIGNERS if one != name)
    assert not accepted(peer, raw, entries(7)[3], other).ok
    for place in (20, len(raw) // 2, len(raw) - 1):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        assert not accepted(peer, changed, entries(7)[3], name).ok


@pytest.mark.parametrize("name", SIGNERS)
@pytest.mark.parametrize("size", SIZES)
def test_its_receipts_are_accepted(peer: ModuleType, name: str, size: int) -> None:
    listed = [entry.hex() for entry in entries(size)]
    signer = SIGNERS[name]
    alg = signer.suite.alg
    assert alg is not None
    verified = 0
    for index in {0, size // 2, size - 1}:
        raw = peer.build_receipt(
            leaf_entry_hex=listed[index], leaf_index=index, tree_entries_hex=listed, alg=NAMES[name],
            log_private_key_pem=secret_pem(name), iss=ORIGIN, sub=SUB, kid=signer.kid,
        )  # fmt: skip
        receipt = decode_receipt(raw)
        leaf = leaf_hash(entries(size)[index])
        if name == "es256" and int.from_bytes(receipt.signature[32:], "big") > HALF:
            # Its signer leaves s as it falls; we take the lower of the two alone, so that a signature has one form.
            with pytest.raises(ReceiptError, match="did not sign"):
                verify_inclusion_receipt(receipt, leaf, alg, signer.public_key, origin=ORIGIN, sub=SUB)
            s = (ORDER - int.from_bytes(receipt.signature[32:], "big")).to_bytes(32, "big")
            raw = raw[:-32] + s
            receipt = decode_receipt(raw)
        root = verify_inclusion_receipt(receipt, leaf, alg, signer.public_key, origin=ORIGIN, sub=SUB)
        assert root == root_of([leaf_hash(entry) for entry in entries(size)])
        verified += 1
    assert verified


def test_our_transparent_statements_are_taken_apart_by_it_and_its_by_us(peer: ModuleType) -> None:
    statement = join(encode({1: -8, 15: {1: "did:example:a", 2: SUB}}), b"payload", bytes(64))
    receipts = [ours("ed25519", 3, 7), ours("es256", 1, 2)]
    whole = attach(statement, receipts)
    assert list(peer.extract_receipts(whole)) == receipts
    assert split_transparent(peer.attach_receipts(statement, receipts)) == (statement, tuple(receipts))


def test_it_agrees_on_roots_and_on_consistency(peer: ModuleType) -> None:
    for old, new in ((1, 2), (3, 7), (4, 8), (20, 33)):
        hashes = [leaf_hash(entry) for entry in entries(new)]
        listed = [entry.hex() for entry in entries(new)]
        assert peer.merkle_root(listed) == root_of(hashes).hex()
        proof = [value.hex() for value in consistency_proof(old, new, node_of(hashes))]
        assert list(peer.consistency_proof(listed, old, new)) == proof
