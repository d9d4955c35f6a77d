"""COSE receipts: a log's signature on a tree root, with the proof that leads to it (RFC 9942, structure 1).

Owns making, reading and checking of receipts of inclusion and of consistency over the RFC 9162 SHA-256 tree. A receipt
is a COSE_Sign1 whose payload, the root, is left out: who checks it computes the root from the proof, so a signature can
never stand beside a proof of something else. Trusts the caller's public key and the expected origin, nothing in the
receipt.

What a receipt of inclusion says is: this leaf is in a tree whose root the log signed. Its size and index shape the
proof but are not signed, and one path can lead to one root in trees of several sizes; they are handed back as stated.
Size and time come from a checkpoint.

We write header members in deterministic order. Reading takes any order, each label once: other services sort
otherwise (the examples of RFC 9942 do), and what is signed is the header's bytes, so nothing can be changed by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from ledger.crypto.digests import kid as kid_of
from ledger.crypto.suites import Signer, suite_by_alg
from ledger.errors import LedgerError, MalformedError
from ledger.log.notes import MAX_NAME
from ledger.log.proofs import root_from_consistency, root_from_inclusion
from ledger.log.tree import HASH_SIZE, check_hashes
from ledger.statements.cbor import decode, decode_item, encode, encode_bytes
from ledger.statements.cose import sig_structure
from ledger.statements.transparent import MAX_RECEIPT

MAX_PATH: Final = 63
"""Hashes of a path. Our trees stay below 2**63 leaves; a path begins at one hash (RFC 9942 CDDL)."""

MAX_KID: Final = 64
MAX_SUBJECT: Final = 2_048
RFC9162_SHA256: Final = 1
"""The verifiable data structure: the tree of RFC 9162 with SHA-256."""

_ALG: Final = 1
_KID: Final = 4
_CLAIMS: Final = 15
_VDS: Final = 395
_VDP: Final = 396
_ISS: Final = 1
_SUB: Final = 2
_INCLUSION: Final = -1
_CONSISTENCY: Final = -2
_PREFIX: Final = b"\xd2\x84"  # tag 18, array of four
_NIL: Final = b"\xf6"
_MAX_MEMBERS: Final = 16
_MAX_SIGNATURE: Final = 256


class ReceiptError(LedgerError):
    """A receipt that does not prove what it is held against: its signature, its proof or what it names is another."""

    code: ClassVar[str] = "receipt"


class ReceiptKeyError(LedgerError):
    """A receipt by a key that was not given: it cannot be told whether it proves anything."""

    code: ClassVar[str] = "receipt-key"


class UnknownStructureError(MalformedError):
    """A receipt over another verifiable data structure than the tree of RFC 9162: it says nothing here."""

    code: ClassVar[str] = "unknown-structure"


@dataclass(frozen=True, slots=True)
class InclusionPath:
    """The proof that a leaf stands at `index` in the tree of `size`: siblings from the leaf up, 1 to 63 hashes."""

    size: int
    index: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ConsistencyPath:
    """The proof that the tree of size `new` begins with that of size `old`: 1 to 63 hashes."""

    old: int
    new: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as read, nothing of it checked.

    `kid` is empty, `origin` (claim 1) and `sub` (claim 2) are None where the receipt does not state them; ours always
    do. `protected` are the header's bytes as they are signed.
    """

    raw: bytes
    protected: bytes
    alg: int
    kid: bytes
    origin: str | None
    sub: str | None
    proof: InclusionPath | ConsistencyPath
    signature: bytes


def make_inclusion_receipt(signer: Signer, origin: str, sub: str, leaf: bytes, proof: InclusionPath) -> bytes:
    """Sign the root that `proof` leads to from leaf hash `leaf`, whose statement is about `sub`.

    The caller vouches that this root is the log's at that size.

    Raises:
        MalformedError: the proof does not fit size and index, or the tree has one leaf, so that there is no path.

    """
    root = root_from_inclusion(leaf, proof.index, proof.size, proof.path)
    numbers = [proof.size, proof.index]
    return _make(signer, origin, sub, _INCLUSION, [*numbers, _path(proof.path, "proof")], root)


def make_consistency_receipt(
    signer: Signer, origin: str, sub: str, old_root: bytes, new_root: bytes, proof: ConsistencyPath
) -> bytes:
    """Sign the root at the larger size; `sub` names the log. The caller vouches that both roots are the log's.

    Raises:
        MalformedError: the proof does not lead from one root to the other, or there is nothing to prove.

    """
    if root_from_consistency(proof.old, proof.new, old_root, proof.path) != new_root:
        raise MalformedError("the proof does not lead from the old root to the new one", where="proof")
    numbers = [proof.old, proof.new]
    return _make(signer, origin, sub, _CONSISTENCY, [*numbers, _path(proof.path, "proof")], new_root)


def _make(signer: Signer, origin: str, sub: str, kind: int, proof: list[Any], root: bytes) -> bytes:
    protected = encode(
        {_ALG: signer.suite.alg, _KID: signer.kid, _CLAIMS: {_ISS: origin, _SUB: sub}, _VDS: RFC9162_SHA256}
    )
    signature = signer.sign(sig_structure(protected, root))
    unprotected = encode({_VDP: {kind: [encode(proof)]}})
    raw = b"".join((_PREFIX, encode_bytes(protected), unprotected, _NIL, encode_bytes(signature)))
    decode_receipt(raw)  # what we make, we must be able to read
    return raw


def decode_receipt(raw: bytes) -> Receipt:
    """Read a receipt strictly: one proof of one kind, payload detached, known header members only, nothing after it.

    Raises:
        UnknownStructureError: a receipt, but over another data structure.
        MalformedError: anything else, with the place.

    """
    if type(raw) is not bytes or len(raw) > MAX_RECEIPT:
        raise MalformedError(f"a receipt is a byte string of at most {MAX_RECEIPT} bytes")
    if not raw.startswith(_PREFIX):
        raise MalformedError("not a COSE_Sign1", where="byte 0", remedy="Give a receipt under tag 18")
    try:
        protected, at = decode_item(raw, len(_PREFIX), 1)
        unprotected, at = decode_item(raw, at, 1)
        attached = raw[at : at + 1] != _NIL
        payload, at = decode_item(raw, at, 1)
        signature, end = decode_item(raw, at, 1)
    except IndexError:
        raise MalformedError("the input ends inside an item", where=f"byte {len(raw)}") from None
    if end != len(raw):
        detail = "the input ends inside an item" if end > len(raw) else f"{len(raw) - end} bytes follow the receipt"
        raise MalformedError(detail, where=f"byte {min(end, len(raw))}")
    if attached or payload is not None:
        raise MalformedError(
            "the payload is inside", where="payload", remedy="Leave it out: the root comes from the proof"
        )
    if type(protected) is not bytes:
        raise MalformedError("expected a byte string", where="protected")
    if type(signature) is not bytes or not 0 < len(signature) <= _MAX_SIGNATURE:
        raise MalformedError(f"expected a byte string of 1 to {_MAX_SIGNATURE} bytes", where="signature")
    alg, kid, origin, sub = _read_header(protected)
    return Receipt(raw, protected, alg, kid, origin, sub, _read_proofs(unprotected), signature)


def verify_inclusion_receipt(
    receipt: Receipt, leaf: bytes, alg: int, key: bytes, *, origin: str, sub: str | None = None
) -> bytes:
    """Check that the log `origin`, by `key`, signed a tree that holds leaf hash `leaf`; returns that tree's root.

    `sub` is the subject of the statement at hand, where the caller has one: the receipt must name the same.

    Raises:
        ReceiptKeyError: it is by another key than this one.
        ReceiptError: it does not prove it.
        MalformedError: an unknown algorithm or a leaf hash of another length.

    """
    check_hashes((leaf,), "leaf")
    proof = receipt.proof
    if not isinstance(proof, InclusionPath):
        raise ReceiptError("this is a receipt of consistency: it proves no statement", where="unprotected.396")
    _check_names(receipt, alg, key, origin, sub)
    try:
        root = root_from_inclusion(leaf, proof.index, proof.size, proof.path)
    except MalformedError as error:
        raise ReceiptError(error.detail, where="unprotected.396") from None
    _check_signature(receipt, key, root)
    return root


def verify_consistency_receipt(
    receipt: Receipt, old: int, old_root: bytes, alg: int, key: bytes, *, origin: str
) -> bytes:
    """Check that the log `origin`, by `key`, signed a tree that begins with the tree (`old`, `old_root`).

    Returns the root of the larger tree.

    Raises:
        ReceiptKeyError: it is by another key than this one.
        ReceiptError: it does not prove it.
        MalformedError: an unknown algorithm.

    """
    proof = receipt.proof
    if not isinstance(proof, ConsistencyPath):
        raise ReceiptError("this is a receipt of inclusion: it proves no growth", where="unprotected.396")
    _check_names(receipt, alg, key, origin, None)
    if proof.old != old:
        raise ReceiptError(f"it starts from size {proof.old}, not {old}", where="unprotected.396")
    try:
        root = root_from_consistency(proof.old, proof.new, old_root, proof.path)
    except MalformedError as error:
        raise ReceiptError(error.detail, where="unprotected.396") from None
    _check_signature(receipt, key, root)
    return root


def _check_names(receipt: Receipt, alg: int, key: bytes, origin: str, sub: str | None) -> None:
    if receipt.kid != kid_of(key):
        raise ReceiptKeyError(
            "the receipt is by another key",
            where=f"kid {receipt.kid.hex() or 'none'}",
            remedy="Give the log's cose key of the time, which the log's key set keeps",
        )
    if receipt.alg != alg:
        raise ReceiptError(f"algorithm {receipt.alg} is not that of the key, {alg}", where="protected.1")
    if receipt.origin != origin:
        raise ReceiptError(f"it is of {str(receipt.origin)[:80]!r}, not of {origin!r}", where="protected.15.1")
    if sub is not None and receipt.sub != sub:
        raise ReceiptError("it names another subject than the statement's", where="protected.15.2")


def _check_signature(receipt: Receipt, key: bytes, root: bytes) -> None:
    if not suite_by_alg(receipt.alg).verify(key, sig_structure(receipt.protected, root), receipt.signature):
        raise ReceiptError(
            "the log's key did not sign the root that the proof leads to",
            where="signature",
            remedy="Statement and receipt may belong to different entries; fetch both again",
        )


# -- reading -----------------------------------------------------------------------------------------------------------


def _members(data: bytes) -> dict[Any, Any]:
    """Decode a map whose members may stand in any order, each once; everything inside it is deterministic."""
    count = data[0] - 0xA0 if data else -1
    if not 0 <= count <= _MAX_MEMBERS:
        raise MalformedError(f"expected a map of at most {_MAX_MEMBERS} members", where="protected")
    members: dict[Any, Any] = {}
    at = 1
    try:
        for _ in range(count):
            label, at = decode_item(data, at, 1)
            if type(label) not in (int, str) or label in members:
                raise MalformedError("a label stands twice, or is neither number nor text", where="protected")
            members[label], at = decode_item(data, at, 1)
    except IndexError:
        at = -1
    if at != len(data):
        raise MalformedError("the header ends inside an item, or bytes follow it", where="protected")
    return members


def _read_header(protected: bytes) -> tuple[int, bytes, str | None, str | None]:
    members = _members(protected)
    vds = members.get(_VDS)
    if type(vds) is not int or vds != RFC9162_SHA256:
        raise UnknownStructureError(
            "not a receipt over the tree of RFC 9162",
            where=f"protected.{_VDS}",
            remedy="Receipts of other verifiable data structures are checked by tools of their own",
        )
    for label in members:
        if label not in (_ALG, _KID, _CLAIMS, _VDS):
            raise MalformedError("a receipt has no such header member", where=f"protected.{str(label)[:40]}")
    alg, kid = members.get(_ALG), members.get(_KID, b"")
    if type(alg) is not int:
        raise MalformedError("expected an algorithm number", where=f"protected.{_ALG}")
    if type(kid) is not bytes or len(kid) > MAX_KID or (not kid and _KID in members):
        raise MalformedError(f"expected a key identifier of 1 to {MAX_KID} bytes", where=f"protected.{_KID}")
    claims = members.get(_CLAIMS, {})
    if type(claims) is not dict or not claims.keys() <= {_ISS, _SUB}:
        raise MalformedError("expected the claims 1 and 2 and no others", where=f"protected.{_CLAIMS}")
    return alg, kid, _claim(claims, _ISS, MAX_NAME), _claim(claims, _SUB, MAX_SUBJECT)


def _claim(claims: dict[Any, Any], label: int, limit: int) -> str | None:
    value = claims.get(label)
    if label in claims and (type(value) is not str or not 1 <= len(value) <= limit):
        raise MalformedError(f"expected a text of 1 to {limit} characters", where=f"protected.{_CLAIMS}.{label}")
    return value


def _read_proofs(unprotected: Any) -> InclusionPath | ConsistencyPath:
    where = f"unprotected.{_VDP}"
    proofs = unprotected.get(_VDP) if type(unprotected) is dict and set(unprotected) == {_VDP} else None
    if type(proofs) is not dict or len(proofs) != 1 or not proofs.keys() <= {_INCLUSION, _CONSISTENCY}:
        raise MalformedError("expected proofs (396) of one kind, inclusion or consistency, alone", where="unprotected")
    ((kind, listed),) = proofs.items()
    if type(listed) is not list or len(listed) != 1 or type(listed[0]) is not bytes:
        raise MalformedError("expected an array with one proof in a byte string", where=f"{where}.{kind}")
    try:
        proof = decode(listed[0])
    except MalformedError as error:
        raise MalformedError(error.detail, where=f"{where}.{kind}.0, {error.where}") from None
    if type(proof) is not list or len(proof) != 3:
        raise MalformedError("a proof is an array of two numbers and a path", where=f"{where}.{kind}.0")
    first, second, path = proof
    if any(type(number) is not int or number < 0 for number in (first, second)):
        raise MalformedError("sizes and indexes are unsigned integers", where=f"{where}.{kind}.0")
    hashes = _path(path, f"{where}.{kind}.0.2")
    if kind == _INCLUSION:
        if second >= first:
            raise MalformedError(f"a tree of size {first} has no leaf {second}", where=f"{where}.{kind}.0")
        return InclusionPath(first, second, hashes)
    if not 0 < first < second:
        raise MalformedError(f"no proof leads from size {first} to size {second}", where=f"{where}.{kind}.0")
    return ConsistencyPath(first, second, hashes)


def _path(path: Sequence[Any] | Any, where: str) -> tuple[bytes, ...]:
    if not isinstance(path, (list, tuple)) or not 1 <= len(path) <= MAX_PATH:
        raise MalformedError(
            f"a path has 1 to {MAX_PATH} hashes", where=where, remedy="A tree of one leaf has no receipt: let it grow"
        )
    if any(type(value) is not bytes or len(value) != HASH_SIZE for value in path):
        raise MalformedError(f"a hash has {HASH_SIZE} bytes", where=where)
    return tuple(path)
