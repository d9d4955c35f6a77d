"""The state's records and their keys (DESIGN section 5).

A record is a small deterministic CBOR array. Its key is SHA-256 of the deterministic CBOR array [kind, part, ...].
Every record begins with `count`, the number of statements that touched it, and `head`, the hash chain over them:
head' = SHA-256(0x12 || head || uint64 index || leaf hash), from 32 zero bytes. So a list of the statements about
anything is complete, or visibly not. `last` is the index of the newest of them.

Records are named tuples: they are immutable, they encode as arrays without a field table, and the write path makes one
for every entry. Field order is the format; docs/formats.md shows it with examples.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import cbor2

from ledger.errors import MalformedError
from ledger.statements.cbor import decode as decode_cbor

ZERO_HEAD = bytes(32)


def next_head(head: bytes, index: int, leaf: bytes) -> bytes:
    """Chain entry `index` with leaf hash `leaf` (32 bytes) onto `head` (32 bytes)."""
    return hashlib.sha256(b"\x12" + head + index.to_bytes(8, "big") + leaf).digest()


class KeyRef(NamedTuple):
    """A public key of the log: COSE algorithm and canonical bytes."""

    alg: int
    key: bytes


class Member(NamedTuple):
    """A root authority: its DID and its one key."""

    did: str
    alg: int
    key: bytes


class LogRecord(NamedTuple):
    """The log's parameters, changed only by `log` statements."""

    touches: int
    head: bytes
    last: int
    log_id: bytes
    origin: str
    cose: KeyRef
    note: KeyRef
    members: tuple[Member, ...]
    threshold: int
    suites: tuple[int, ...]
    skew: int
    max_age: int
    rotation_delay: int
    rules: int
    witnesses: tuple[str, ...]
    successor: bytes | None


class BatchRecord(NamedTuple):
    """Log time and the open batch, changed only by manifests.

    `number` batches are closed; the open one begins at entry `first`. Kept apart from the log's parameters so that the
    sequence number of a `log` statement, which many parties sign, does not grow stale every second.
    """

    touches: int
    head: bytes
    last: int
    number: int
    time: int
    first: int


class ActorKey(NamedTuple):
    """One key of an actor. `off` and `bad` are log times from which it is switched off or compromised."""

    kid: bytes
    alg: int
    key: bytes
    purposes: tuple[str, ...]
    nbf: int
    exp: int | None
    off: int | None
    bad: int | None


class Pending(NamedTuple):
    """A rotation that waits for its delay: entry `entry`, signed by key `kid`, in force from log time `effective`."""

    entry: int
    effective: int
    kid: bytes
    add: tuple[ActorKey, ...]
    remove: tuple[bytes, ...]


class ActorRecord(NamedTuple):
    """An enrolled actor. `enroller` is the DID of the authority that enrolled it, or "" for the root threshold."""

    touches: int
    head: bytes
    last: int
    keys: tuple[ActorKey, ...]
    roles: tuple[str, ...]
    name: str
    uscc: str
    lei: str
    enroller: str
    since: int
    pending: Pending | None


class KeyRecord(NamedTuple):
    """Whose a key is, and what for: one owner and one use for ever, so that no key serves two purposes.

    `owner` is the DID of an actor or a root authority, or "" for the log; `use` is "actor", "root", "cose" or "note".
    """

    touches: int
    head: bytes
    last: int
    owner: str
    use: str


class DelegationRecord(NamedTuple):
    """The right over a prefix. `delegator` and `parent` are "" where the root delegated.

    `parent_generation` is the generation that the parent had when it gave the prefix away, 0 where the root did: a
    parent that is given anew, be it to the same holder, carries nothing that was given before.
    """

    touches: int
    head: bytes
    last: int
    state: str
    holder: str
    delegator: str
    parent: str
    parent_generation: int
    rights: tuple[str, ...]
    nbf: int
    exp: int
    generation: int
    since: int
    effective: int
    logged: int
    reason: str


class LengthsRecord(NamedTuple):
    """The lengths, in characters, of all prefixes ever delegated in a scheme: what a longest match must look at.

    Schemes without separators, such as GS1 company prefixes, have a boundary after every digit; without this record
    each registration would look up every possible length.
    """

    touches: int
    head: bytes
    last: int
    lengths: tuple[int, ...]


class TemplateRecord(NamedTuple):
    """What a certificate of one kind holds. `mapping` pairs claims with JSON pointers into the document."""

    touches: int
    head: bytes
    last: int
    state: str
    authority: str
    industry: str
    schema: bytes
    name: str
    mapping: tuple[tuple[str, str], ...]
    standards: tuple[str, ...]
    classes: tuple[str, ...]
    since: int


class AccreditationRecord(NamedTuple):
    """A certifier's scope. An array holding "*" covers everything."""

    touches: int
    head: bytes
    last: int
    state: str
    role: str
    accreditor: str
    nbf: int
    exp: int
    templates: tuple[str, ...]
    standards: tuple[str, ...]
    classes: tuple[str, ...]
    sites: tuple[str, ...]
    since: int
    effective: int
    logged: int
    reason: str


class IdentifierRecord(NamedTuple):
    """A registered identifier in its current generation."""

    touches: int
    head: bytes
    last: int
    state: str
    role: str
    generation: int
    holder: str
    delegation: str
    digest: bytes
    entry: int
    since: int
    effective: int
    logged: int
    reason: str


class CredentialRecord(NamedTuple):
    """A certification of an identifier, with its place in the issuer's status list."""

    touches: int
    head: bytes
    last: int
    state: str
    role: str
    issuer: str
    identifier: str
    generation: int
    template: str
    product_class: str
    site: str
    standard: str
    accreditation: int
    nbf: int
    exp: int
    digest: bytes
    status_index: int
    entry: int
    since: int
    effective: int
    logged: int
    reason: str


class StatusIndexRecord(NamedTuple):
    """How many status indexes an issuer's credentials have taken."""

    touches: int
    head: bytes
    last: int
    allotted: int


class ReconfirmedRecord(NamedTuple):
    """A statement by a compromised key that `actor`'s enroller confirmed as genuine."""

    touches: int
    head: bytes
    last: int
    actor: str


Record: TypeAlias = (
    LogRecord
    | BatchRecord
    | ActorRecord
    | KeyRecord
    | DelegationRecord
    | LengthsRecord
    | TemplateRecord
    | AccreditationRecord
    | IdentifierRecord
    | CredentialRecord
    | StatusIndexRecord
    | ReconfirmedRecord
)
Part: TypeAlias = str | bytes | int

KINDS: dict[str, type[Any]] = {
    "log": LogRecord,
    "batch": BatchRecord,
    "actor": ActorRecord,
    "key": KeyRecord,
    "delegation": DelegationRecord,
    "delegation-lengths": LengthsRecord,
    "template": TemplateRecord,
    "accreditation": AccreditationRecord,
    "identifier": IdentifierRecord,
    "credential": CredentialRecord,
    "status-index": StatusIndexRecord,
    "reconfirmed": ReconfirmedRecord,
}
"""Record types by the kind that their keys name."""
KIND_OF: dict[type[Any], str] = {record: kind for kind, record in KINDS.items()}


def _head(major: int, size: int) -> bytes:
    """Deterministic CBOR head (RFC 8949 section 4.2.1)."""
    if size < 24:
        return bytes([major << 5 | size])
    for additional, width in ((24, 1), (25, 2), (26, 4)):
        if size < 1 << 8 * width:
            return bytes([major << 5 | additional]) + size.to_bytes(width, "big")
    return bytes([major << 5 | 27]) + size.to_bytes(8, "big")


_PREFIX = {
    (kind, parts): _head(4, parts + 1) + _head(3, len(kind)) + kind.encode() for kind in KINDS for parts in range(3)
}


@lru_cache(maxsize=8_192)  # asked for when a record is read and again when it is stored, a group of entries later
def record_key(kind: str, *parts: Part) -> bytes:
    """Return the 32-byte key of a record: SHA-256 of the deterministic CBOR array [kind, part, ...].

    Written out by hand because every admission needs several; a test holds it equal to the general encoder.
    """
    preimage = _PREFIX[kind, len(parts)]
    for part in parts:
        if isinstance(part, int):
            preimage += _head(0, part)
        else:
            raw, major = (part.encode(), 3) if isinstance(part, str) else (part, 2)
            preimage += _head(major, len(raw)) + raw
    return hashlib.sha256(preimage).digest()


def encode_record(record: Record) -> bytes:
    """Return the record's deterministic CBOR array."""
    return cbor2.dumps(record)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def decode_record(kind: str, raw: bytes) -> Any:
    """Read a record of `kind` back from its bytes, strictly; MalformedError where they are not CBOR of the profile."""
    values = _tuples(decode_cbor(raw))
    if type(values) is not tuple:
        raise MalformedError(f"A record of kind {kind} is an array, not {type(values).__name__}")
    try:
        record = KINDS[kind]._make(values)
        if kind == "log":
            return record._replace(
                cose=KeyRef(*record.cose), note=KeyRef(*record.note), members=tuple(Member(*m) for m in record.members)
            )
        return _with_keys(record) if kind == "actor" else record
    except (TypeError, ValueError) as error:  # too few or too many members, here or further in
        raise MalformedError(f"This is no record of kind {kind}: {error}") from error


def _with_keys(record: Any) -> Any:
    """An actor's record with its keys, and those of a waiting rotation, as what they are."""
    pending = record.pending
    if pending is not None:
        entry, effective, kid, add, remove = pending
        pending = Pending(entry, effective, kid, tuple(ActorKey(*k) for k in add), remove)
    return record._replace(keys=tuple(ActorKey(*k) for k in record.keys), pending=pending)
