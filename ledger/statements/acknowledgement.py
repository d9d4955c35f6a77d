"""Signed acknowledgements and refusals: what a submitter holds against a log that forgets (DESIGN section 6).

An acknowledgement covers a *group*: entries at consecutive indexes that became durable together. It signs the array
["tial-ack-v1", log id, first index, size, root of the group's leaf hashes, log time, publish-by] as a COSE_Sign1 of its
own type; a submitter's run inside the group is proven by a range proof (`ledger.log.proofs`). A checkpoint signed after
publish-by whose tree lacks the entry contradicts it. A refusal signs ["tial-refusal-v1", log id, act, reason, size, log
time]: what was refused, why, and on top of which log size.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.crypto.digests import kid
from ledger.crypto.suites import Signer, suite_by_alg
from ledger.errors import MalformedError
from ledger.statements import cose
from ledger.statements.cbor import decode, encode

ACK_TYPE = "application/vnd.tial.ack+cose"
REFUSAL_TYPE = "application/vnd.tial.refusal+cose"
MAX_PROMISE = 86_400
"""Seconds from log time to publish-by at most: a promise for some year is none."""
_ACK = "tial-ack-v1"
_REFUSAL = "tial-refusal-v1"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A group of `size` durable entries from index `first`: root of its leaf hashes, log time and publish-by (Unix s).

    The size is signed because one path can lead to the same root in trees of several sizes.
    """

    log_id: bytes
    first: int
    size: int
    root: bytes
    log_time: int
    publish_by: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A statement (by the SHA-256 of its Sig_structure) refused for `reason` on top of `size` entries at log time."""

    log_id: bytes
    act: bytes
    reason: str
    size: int
    log_time: int


def sign_acknowledgement(signer: Signer, ack: Acknowledgement) -> bytes:
    """Return the acknowledgement as a tagged COSE_Sign1."""
    return _sign(signer, ACK_TYPE, [_ACK, ack.log_id, ack.first, ack.size, ack.root, ack.log_time, ack.publish_by])


def open_acknowledgement(raw: bytes, alg: int, key: bytes) -> Acknowledgement:
    """Check the signature by the log's cose key and return the content; MalformedError where anything is off."""
    match _open(raw, ACK_TYPE, alg, key):
        case [str(name), bytes(log_id), int(first), int(size), bytes(root), int(time), int(by)] if name == _ACK:
            return Acknowledgement(log_id, first, size, root, time, by)
        case _:
            raise MalformedError("This is not an acknowledgement", where="payload")


def require_bounded(ack: Acknowledgement) -> None:
    """Refuse a promise that binds nobody: MalformedError where publish-by is not within a day after log time."""
    if not 0 <= ack.publish_by - ack.log_time <= MAX_PROMISE:
        raise MalformedError(
            f"The acknowledgement promises publication by {ack.publish_by}, but its log time is {ack.log_time}: "
            f"at most {MAX_PROMISE} s may lie between them",
            where="publish_by",
            remedy="Ask the operator: [log] publish_within is at most a day",
        )


def sign_refusal(signer: Signer, refusal: Refusal) -> bytes:
    """Return the refusal as a tagged COSE_Sign1."""
    content = [_REFUSAL, refusal.log_id, refusal.act, refusal.reason, refusal.size, refusal.log_time]
    return _sign(signer, REFUSAL_TYPE, content)


def open_refusal(raw: bytes, alg: int, key: bytes) -> Refusal:
    """Check the signature by the log's cose key and return the content; MalformedError where anything is off."""
    match _open(raw, REFUSAL_TYPE, alg, key):
        case [str(name), bytes(log_id), bytes(act), str(reason), int(size), int(time)] if name == _REFUSAL:
            return Refusal(log_id, act, reason, size, time)
        case _:
            raise MalformedError("This is not a refusal", where="payload")


def signed_by(raw: bytes) -> bytes:
    """Kid of the key that an acknowledgement or refusal says it is signed by; MalformedError where it says none."""
    header = decode(cose.split(raw).protected)
    match header:
        case {4: bytes(found)}:
            return found
        case _:
            raise MalformedError("The protected header names no key", where="protected.4")


def _sign(signer: Signer, typ: str, content: list[object]) -> bytes:
    protected = encode({1: signer.suite.alg, 4: signer.kid, 16: typ})
    payload = encode(content)
    return cose.join(protected, payload, signer.sign(cose.sig_structure(protected, payload)))


def _open(raw: bytes, typ: str, alg: int, key: bytes) -> object:
    parts = cose.split(raw)
    header = decode(parts.protected)
    if not isinstance(header, dict) or header != {1: alg, 4: kid(key), 16: typ}:
        raise MalformedError(f"The protected header is not that of {typ} by this key", where="protected")
    if not suite_by_alg(alg).verify(key, parts.signed, parts.signature):
        raise MalformedError("The signature is not the log's", where="signature")
    return decode(parts.payload)
