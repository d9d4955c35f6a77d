"""COSE receipts: made, read and checked; every altered one fails, and for its own reason."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto.cose_key import from_cose_key, to_cose_key
from ledger.crypto.suites import suite_by_name
from ledger.errors import MalformedError
from ledger.log.proofs import consistency_proof, inclusion_proof, root_from_consistency
from ledger.log.receipts import (
    MAX_PATH,
    ConsistencyPath,
    InclusionPath,
    ReceiptError,
    ReceiptKeyError,
    UnknownStructureError,
    decode_receipt,
    make_consistency_receipt,
    make_inclusion_receipt,
    verify_consistency_receipt,
    verify_inclusion_receipt,
)
from ledger.log.tree import leaf_hash, root_of
from ledger.statements.cbor import decode, encode, encode_bytes

ORIGIN = "example.org/log"
SUB = "vaa:88.118.8/JXDY2106023"
LOG_SUB = "log:" + "ab" * 32
SIGNERS = {name: suite_by_name(name).from_secret(b"\x05" * 32) for name in ("ed25519", "es256")}
SIGNER = SIGNERS["ed25519"]
ALG = -8
PREFIX = b"\xd2\x84"


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(b"entry %d" % number) for number in range(size)]


def node_of(hashes: list[bytes]):
    return lambda level, index: root_of(hashes[index << level : (index + 1) << level])


def inclusion(index: int, size: int) -> InclusionPath:
    return InclusionPath(size, index, tuple(inclusion_proof(index, size, node_of(leaves(size)))))


def consistency(old: int, new: int) -> ConsistencyPath:
    return ConsistencyPath(old, new, tuple(consistency_proof(old, new, node_of(leaves(new)))))


def made(index: int = 3, size: int = 7, name: str = "ed25519", **changes) -> bytes:
    signer = SIGNERS[name]
    return make_inclusion_receipt(
        signer, changes.get("origin", ORIGIN), changes.get("sub", SUB), leaves(size)[index], inclusion(index, size)
    )


def checked(raw: bytes, index: int = 3, **changes) -> bytes:
    signer = changes.get("signer", SIGNER)
    return verify_inclusion_receipt(
        decode_receipt(raw), changes.get("leaf", leaf_hash(b"entry %d" % index)), changes.get("alg", signer.suite.alg),
        signer.public_key, origin=changes.get("origin", ORIGIN), sub=changes.get("sub", SUB),
    )  # fmt: skip


def assembled(
    protected: object = None, unprotected: object = None, payload: bytes = b"\xf6", signature: bytes = bytes(64)
) -> bytes:
    """A receipt put together by hand, well formed where nothing else is said."""
    header = {1: -8, 4: bytes(32), 15: {1: ORIGIN, 2: SUB}, 395: 1} if protected is None else protected
    proof = {396: {-1: [encode([2, 0, [bytes(32)]])]}} if unprotected is None else unprotected
    wrapped = header if isinstance(header, bytes) else encode_bytes(encode(header))
    return PREFIX + wrapped + encode(proof) + payload + encode_bytes(signature)


# -- inclusion ---------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))))
def test_a_receipt_of_any_leaf_verifies_and_gives_the_root(place: tuple[int, int]) -> None:
    index, size = place
    raw = made(index, size)
    receipt = decode_receipt(raw)
    assert (receipt.alg, receipt.kid, receipt.origin, receipt.sub) == (ALG, SIGNER.kid, ORIGIN, SUB)
    assert receipt.proof == inclusion(index, size)
    assert checked(raw, index) == root_of(leaves(size))


@pytest.mark.parametrize("name", SIGNERS)
def test_the_bytes_are_those_of_rfc_9942(name: str) -> None:
    signer = SIGNERS[name]
    raw = made(name=name)
    proof = inclusion(3, 7)
    header = encode({1: signer.suite.alg, 4: signer.kid, 15: {1: ORIGIN, 2: SUB}, 395: 1})
    signed = encode(["Signature1", header, b"", root_of(leaves(7))])
    unprotected = {396: {-1: [encode([7, 3, list(proof.path)])]}}
    assert raw == PREFIX + encode_bytes(header) + encode(unprotected) + b"\xf6" + encode_bytes(signer.sign(signed))
    assert checked(raw, signer=signer) == root_of(leaves(7))


def test_a_tree_of_one_leaf_has_no_receipt() -> None:
    with pytest.raises(MalformedError, match="1 to 63 hashes"):
        make_inclusion_receipt(SIGNER, ORIGIN, SUB, leaves(1)[0], InclusionPath(1, 0, ()))


def test_a_proof_that_does_not_fit_is_not_signed() -> None:
    good = inclusion(3, 7)
    for proof in (InclusionPath(9, 3, good.path), InclusionPath(7, 3, good.path[1:]), InclusionPath(7, 7, good.path)):
        with pytest.raises(MalformedError):
            make_inclusion_receipt(SIGNER, ORIGIN, SUB, leaves(7)[3], proof)


def test_a_receipt_for_another_leaf_key_origin_or_subject_is_told_apart() -> None:
    raw = made()
    with pytest.raises(ReceiptError, match="did not sign"):
        checked(raw, leaf=leaf_hash(b"another"))
    with pytest.raises(ReceiptKeyError):
        checked(raw, signer=suite_by_name("ed25519").from_secret(b"\x06" * 32))
    with pytest.raises(ReceiptError, match="not of"):
        checked(raw, origin="other.example/log")
    with pytest.raises(ReceiptError, match="another subject"):
        checked(raw, sub="vaa:88.118.8/OTHER")
    with pytest.raises(ReceiptError, match="algorithm"):
        checked(raw, alg=-7)
    with pytest.raises(MalformedError):
        checked(raw, leaf=b"short")


def test_a_receipt_whose_path_does_not_fit_its_numbers_is_refused() -> None:
    path = list(inclusion(3, 7).path)
    for numbers, hashes in (([9, 3], path), ([7, 3], path[:-1]), ([7, 3], [*path, bytes(32)])):
        raw = made()
        receipt = decode_receipt(raw)
        unprotected = {396: {-1: [encode([*numbers, hashes])]}}
        changed = assembled(encode_bytes(receipt.protected), unprotected, signature=receipt.signature)
        with pytest.raises(ReceiptError, match=r"shorter|longer"):
            checked(changed)


@pytest.mark.parametrize(("index", "size", "name"), [(3, 7, "ed25519"), (6, 7, "ed25519"), (0, 8, "es256")])
def test_no_receipt_with_one_bit_changed_proves_anything_else(index: int, size: int, name: str) -> None:
    """Size and index are the only words that nobody signed: where they change, leaf and root must stay the same."""
    raw, root = made(index, size, name), root_of(leaves(size))
    kept = decode_receipt(raw)
    for bit in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = checked(bytes(changed), index, signer=SIGNERS[name])
        except (MalformedError, ReceiptError, ReceiptKeyError):
            continue
        other = decode_receipt(bytes(changed))
        assert found == root
        assert (other.protected, other.signature, other.proof.path) == (kept.protected, kept.signature, kept.proof.path)
        assert isinstance(other.proof, InclusionPath)
        assert (other.proof.size, other.proof.index) != (size, index)


def test_the_size_in_a_receipt_is_signed_by_nobody() -> None:
    """Why size and index are handed back as stated only: the same path leads to the same root in a larger tree."""
    receipt = decode_receipt(made(0, 5))
    stated = {396: {-1: [encode([7, 0, list(receipt.proof.path)])]}}
    changed = assembled(encode_bytes(receipt.protected), stated, signature=receipt.signature)
    assert checked(changed, 0) == root_of(leaves(5))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_make_the_reader_fail_otherwise_than_by_refusing(data: bytes) -> None:
    for raw in (data, PREFIX + data, assembled(protected=encode_bytes(data))):
        try:
            assert decode_receipt(raw).raw == raw
        except MalformedError:
            continue


# -- consistency -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40).flatmap(lambda new: st.tuples(st.integers(1, new - 1), st.just(new))))
def test_a_receipt_of_consistency_leads_from_the_old_root_to_the_new_one(sizes: tuple[int, int]) -> None:
    old, new = sizes
    roots = root_of(leaves(old)), root_of(leaves(new))
    raw = make_consistency_receipt(SIGNER, ORIGIN, LOG_SUB, *roots, consistency(old, new))
    receipt = decode_receipt(raw)
    assert receipt.proof == consistency(old, new)
    assert verify_consistency_receipt(receipt, old, roots[0], ALG, SIGNER.public_key, origin=ORIGIN) == roots[1]
    with pytest.raises(ReceiptError):
        verify_consistency_receipt(receipt, old, bytes(32), ALG, SIGNER.public_key, origin=ORIGIN)
    with pytest.raises(ReceiptError, match="starts from"):
        verify_consistency_receipt(receipt, old + 1, roots[0], ALG, SIGNER.public_key, origin=ORIGIN)


def test_a_receipt_of_one_kind_is_none_of_the_other() -> None:
    root = root_of(leaves(3))
    grown = make_consistency_receipt(SIGNER, ORIGIN, SUB, root, root_of(leaves(7)), consistency(3, 7))
    with pytest.raises(ReceiptError, match="proves no statement"):
        checked(grown)
    with pytest.raises(ReceiptError, match="proves no growth"):
        verify_consistency_receipt(decode_receipt(made()), 3, root, ALG, SIGNER.public_key, origin=ORIGIN)


def test_nothing_is_signed_that_leads_elsewhere_or_nowhere() -> None:
    old, new = root_of(leaves(3)), root_of(leaves(7))
    with pytest.raises(MalformedError, match="does not lead"):
        make_consistency_receipt(SIGNER, ORIGIN, LOG_SUB, old, bytes(32), consistency(3, 7))
    with pytest.raises(MalformedError, match="does not start"):
        make_consistency_receipt(SIGNER, ORIGIN, LOG_SUB, bytes(32), new, consistency(3, 7))
    for proof in (ConsistencyPath(7, 7, ()), ConsistencyPath(0, 7, ()), ConsistencyPath(7, 3, consistency(3, 7).path)):
        with pytest.raises(MalformedError):
            make_consistency_receipt(SIGNER, ORIGIN, LOG_SUB, new, new, proof)


@given(st.integers(1, 30), st.integers(1, 30), st.lists(st.binary(min_size=31, max_size=33), max_size=8))
def test_a_made_up_consistency_proof_never_starts_from_a_real_root(old: int, new: int, path: list[bytes]) -> None:
    if old < new and old & (old - 1):
        with pytest.raises(MalformedError):
            root_from_consistency(old, new, root_of(leaves(old)), path)


# -- the form ----------------------------------------------------------------------------------------------------------


def test_the_receipt_put_together_by_hand_is_well_formed() -> None:
    assert decode_receipt(assembled()).origin == ORIGIN


HEADER = {1: -8, 4: bytes(32), 15: {1: ORIGIN, 2: SUB}, 395: 1}
PROOF = encode([2, 0, [bytes(32)]])


@pytest.mark.parametrize(
    ("header", "where"),
    [
        ({k: v for k, v in HEADER.items() if k != 1}, "protected.1"),
        ({k: v for k, v in HEADER.items() if k != 395}, "protected.395"),
        (HEADER | {1: "EdDSA"}, "protected.1"),
        (HEADER | {1: True}, "protected.1"),
        (HEADER | {4: b""}, "protected.4"),
        (HEADER | {4: bytes(65)}, "protected.4"),
        (HEADER | {4: "kid"}, "protected.4"),
        (HEADER | {15: [1, 2]}, "protected.15"),
        (HEADER | {15: {1: ORIGIN, 2: SUB, 6: 1}}, "protected.15"),
        (HEADER | {15: {1: b"x"}}, "protected.15.1"),
        (HEADER | {15: {1: ""}}, "protected.15.1"),
        (HEADER | {15: {2: "x" * 2049}}, "protected.15.2"),
        (HEADER | {395: 2}, "protected.395"),
        (HEADER | {395: True}, "protected.395"),
        (HEADER | {2: [395]}, "protected.2"),
        (HEADER | {16: "x"}, "protected.16"),
        (HEADER | {"alg": 1}, "protected.alg"),
    ],
)
def test_a_header_with_another_member_or_value_is_refused(header: dict, where: str) -> None:
    with pytest.raises(MalformedError) as refused:
        decode_receipt(assembled(header))
    assert refused.value.where == where


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"", "expected a map"),
        (b"\x01", "expected a map"),
        (b"\xbf\xff", "expected a map"),
        (encode(HEADER) + b"\x00", "bytes follow"),
        (encode(HEADER)[:-1], "ends inside"),
        (b"\xa2\x01\x27\x01\x27", "stands twice"),
        (b"\xa2\x19\x01\x8b\x01\x41\x01\x27", "neither number nor text"),
    ],
)
def test_a_header_that_is_no_map_of_distinct_labels_is_refused(header: bytes, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        decode_receipt(assembled(encode_bytes(header)))


def test_header_members_may_stand_in_another_order_and_are_signed_as_they_stand() -> None:
    parts = [encode(key) + encode(value) for key, value in (HEADER | {4: SIGNER.kid}).items()]
    header = b"\xa4" + b"".join(reversed(parts))
    signature = SIGNER.sign(encode(["Signature1", header, b"", root_of(leaves(7))]))
    unprotected = {396: {-1: [encode([7, 3, list(inclusion(3, 7).path)])]}}
    assert checked(assembled(encode_bytes(header), unprotected, signature=signature)) == root_of(leaves(7))
    sorted_again = encode_bytes(encode(HEADER | {4: SIGNER.kid}))
    with pytest.raises(ReceiptError, match="did not sign"):
        checked(assembled(sorted_again, unprotected, signature=signature))


@pytest.mark.parametrize(
    "unprotected",
    [
        {}, [], {396: {}}, {396: [PROOF]}, {396: {-1: []}}, {396: {-1: [PROOF, PROOF]}}, {396: {-1: [[2, 0, []]]}},
        {396: {-3: [PROOF]}}, {396: {-1: [PROOF], -2: [PROOF]}}, {396: {-1: [PROOF]}, 4: b"kid"},
        {396: {-1: [PROOF + b"\x00"]}}, {396: {-1: [PROOF[:-1]]}}, {396: {-1: [b""]}}, {396: {-1: [encode([2, 0])]}},
        {396: {-1: [encode([2, 0, []])]}}, {396: {-1: [encode([2, 0, [bytes(31)]])]}},
        {396: {-1: [encode([2, 0, ["x"]])]}}, {396: {-1: [encode([2, 2, [bytes(32)]])]}},
        {396: {-1: [encode([-2, -3, [bytes(32)]])]}}, {396: {-1: [encode([True, False, [bytes(32)]])]}},
        {396: {-1: [encode([2, 0, [bytes(32)] * (MAX_PATH + 1)])]}}, {396: {-1: [encode([2, 0, bytes(32)])]}},
        {396: {-2: [encode([2, 2, [bytes(32)]])]}}, {396: {-2: [encode([0, 2, [bytes(32)]])]}},
        {396: {-2: [encode([3, 2, [bytes(32)]])]}},
    ],
)  # fmt: skip
def test_proofs_in_another_shape_are_refused(unprotected: object) -> None:
    with pytest.raises(MalformedError):
        decode_receipt(assembled(unprotected=unprotected))


def test_a_path_of_63_hashes_is_the_longest() -> None:
    size = 1 << 63
    raw = assembled(unprotected={396: {-1: [encode([size, 0, [bytes(32)] * MAX_PATH])]}})
    assert len(decode_receipt(raw).proof.path) == MAX_PATH


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (assembled()[1:], "COSE_Sign1"),
        (b"\xd1" + assembled()[1:], "COSE_Sign1"),
        (b"\xd2\x83" + assembled()[2:], "COSE_Sign1"),
        (assembled() + b"\x00", "bytes follow"),
        (assembled()[:-1], "ends inside"),
        (assembled()[:40], "ends inside"),
        (assembled(payload=encode_bytes(bytes(32))), "payload is inside"),
        (assembled(payload=b"\xf7"), "profile"),
        (assembled(protected=b"\xa0"), "byte string"),
        (assembled(signature=b""), "1 to 256"),
        (assembled(signature=bytes(257)), "1 to 256"),
        (bytes(9000), "at most 8192"),
    ],
)
def test_another_outer_form_is_refused(raw: bytes, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        decode_receipt(raw)


# -- published examples ------------------------------------------------------------------------------------------------


def test_the_published_receipt_of_inclusion_is_read(vectors) -> None:
    receipt = decode_receipt((vectors("cose-receipts") / "inclusion-receipt.cbor").read_bytes())
    assert (receipt.alg, receipt.kid, receipt.sub) == (-7, b"test-key-1", None)
    assert receipt.origin == "https://transparency-service.example.com"
    assert isinstance(receipt.proof, InclusionPath)
    assert (receipt.proof.size, receipt.proof.index, len(receipt.proof.path)) == (5, 3, 3)
    assert receipt.proof.path[0].hex().startswith("3d06455d")
    assert len(receipt.signature) == 64


def test_the_published_receipt_of_inclusion_gives_a_root_for_its_position_only(vectors) -> None:
    """Leaf and key are not published: any leaf gives a root, and no key of ours signed it."""
    receipt = decode_receipt((vectors("cose-receipts") / "inclusion-receipt.cbor").read_bytes())
    leaf = hashlib.sha256(b"").digest()
    origin = receipt.origin or ""
    with pytest.raises(ReceiptKeyError):
        verify_inclusion_receipt(receipt, leaf, -7, SIGNERS["es256"].public_key, origin=origin)


def test_the_published_receipt_of_consistency_is_read(vectors) -> None:
    receipt = decode_receipt((vectors("cose-receipts") / "consistency-receipt.cbor").read_bytes())
    assert isinstance(receipt.proof, ConsistencyPath)
    assert (receipt.proof.old, receipt.proof.new, len(receipt.proof.path)) == (3, 5, 4)
    # From leaf 3's sibling (the published proof starts at node 2) the old root follows by the proof alone.
    first, second, third, _ = receipt.proof.path
    old_root = hashlib.sha256(b"\x01" + third + first).digest()
    del second
    assert len(root_from_consistency(3, 5, old_root, receipt.proof.path)) == 32


@pytest.mark.parametrize("value", [2, 0, -1, "1", True, None])
def test_a_receipt_of_another_data_structure_is_named_as_such(value: object) -> None:
    with pytest.raises(UnknownStructureError):
        decode_receipt(assembled(HEADER | {395: value, "ccf.v1": {"txid": "2.4"}}))


@pytest.mark.parametrize("kind", ["inclusion", "consistency"])
def test_no_published_receipt_with_a_byte_cut_off_is_read(vectors, kind: str) -> None:
    raw = (vectors("cose-receipts") / f"{kind}-receipt.cbor").read_bytes()
    for end in range(len(raw)):
        with pytest.raises(MalformedError):
            decode_receipt(raw[:end])


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIGNERS)
def test_a_key_survives_the_way_through_a_cose_key(name: str) -> None:
    signer = SIGNERS[name]
    alg = signer.suite.alg
    assert alg is not None
    shown = to_cose_key(alg, signer.public_key)
    assert shown[2] == signer.kid
    assert from_cose_key(decode(encode(shown))) == (alg, signer.public_key)
    for label in shown:
        for other in ({**shown, label: 0}, {k: v for k, v in shown.items() if k != label}, {**shown, 99: 1}):
            with pytest.raises(MalformedError):
                from_cose_key(other)


@pytest.mark.parametrize("value", [None, 1, [], {}, {3: -8, -2: b"x"}, {3: -7, -2: bytes(32), -3: b""}, {3: -8}])
def test_what_is_no_cose_key_is_refused(value: object) -> None:
    with pytest.raises(MalformedError):
        from_cose_key(value)
