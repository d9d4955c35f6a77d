"""The evidence bundle: one file that proves a statement, or an absence, without a network (DESIGN section 8).

Owns the content of a bundle, its bounds and its strict reading: one map in deterministic CBOR, which travels in the
file of `ledger.evidence.container`. Nothing is judged here: entries, notes, documents and proofs are carried as bytes,
and the steps of the verifier say what they are worth. Nothing in a bundle is trusted because it says so; what it says
twice (an index and an entry, a claim and its history) is compared by the steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, NamedTuple

from ledger.credentials.disclosure import MAX_DISCLOSURE, MAX_DISCLOSURES
from ledger.errors import MalformedError
from ledger.evidence.container import MAX_CONTENT, pack, unpack
from ledger.log.multiproof import MAX_LEAVES, MAX_MULTIPROOF
from ledger.log.notes import MAX_NOTE
from ledger.log.proofs import MAX_CONSISTENCY_PROOF
from ledger.state.records import KINDS, Part, record_key
from ledger.statements import MAX_STATEMENT_SIZE
from ledger.statements.cbor import check_count, decode, encode
from ledger.statements.subjects import MAX_LENGTH as MAX_SUBJECT

MEDIA_TYPE: Final = "application/vnd.tial.evidence+cbor"
MAX_ITEMS: Final = 1 << 21
"""CBOR items in a bundle: in the shortest form a file of this size has eight times as many, which take a gigabyte."""
MAX_DOCUMENTS: Final = 64
MAX_DOCUMENT: Final = 4 << 20
MAX_CLAIMS: Final = 1_024
MAX_RECORD: Final = 1 << 20
MAX_TOUCHES: Final = 65_536
"""Touches of one record; a record with a longer history is not proven by a file."""
MAX_CHAIN: Final = 1 << 20
MAX_AUDITS: Final = 16
MAX_AUDIT: Final = 1 << 20
MAX_SEAL: Final = 1_024
MAX_UINT: Final = 2**64 - 1
_HASH: Final = 32
_PARTS: Final = 2
_MEMBERS: Final = frozenset(
    {
        "log", "about", "index", "documents", "entries", "inclusion", "claims", "state", "touches", "checkpoint",
        "chain", "audits", "seal",
    }
)  # fmt: skip


class Document(NamedTuple):
    """A document as it was digested (JSON bytes), and the disclosures that go with it."""

    raw: bytes
    disclosures: tuple[str, ...] = ()


class Claim(NamedTuple):
    """What the state holds under a record's name: its encoded record, None where there is none."""

    kind: str
    parts: tuple[Part, ...]
    record: bytes | None

    @property
    def key(self) -> bytes:
        """The record's key in the state tree."""
        return record_key(self.kind, *self.parts)

    @property
    def label(self) -> str:
        """The record's name for people."""
        return "/".join([self.kind, *(part.hex() if isinstance(part, bytes) else str(part) for part in self.parts)])


Touch = tuple[int, bytes | None]
"""A touching entry: its index, and its leaf hash where the entry itself is not in the bundle."""


class ChainPart(NamedTuple):
    """Chain evidence, the size that it anchors, and the consistency proof from there to the checkpoint's size."""

    evidence: bytes
    size: int
    consistency: tuple[bytes, ...]


@dataclass(frozen=True)
class Bundle:
    """A bundle as read. `index` is None where it proves an absence; `state` is the state proof, not yet read."""

    log_id: bytes
    about: str
    index: int | None
    documents: tuple[Document, ...]
    entries: tuple[tuple[int, bytes], ...]
    inclusion: tuple[bytes, ...]
    claims: tuple[Claim, ...]
    state: Any
    touches: tuple[tuple[int, tuple[Touch, ...]], ...]
    checkpoint: bytes
    chain: ChainPart | None = None
    audits: tuple[bytes, ...] = ()
    seal: bytes | None = None

    @cached_property
    def by_index(self) -> dict[int, bytes]:
        """Entries by index."""
        return dict(self.entries)

    def encode(self) -> bytes:
        """Write the bundle as a file; `Bundle.decode` gives it back. MalformedError where it passes a bound."""
        content = self.content()
        Bundle.read(content)
        return pack(content)

    @classmethod
    def decode(cls, raw: bytes) -> Bundle:
        """Read a file; MalformedError as `read`, and where it is no such file."""
        return cls.read(unpack(raw))

    def content(self) -> bytes:
        """What the file holds: the map in deterministic CBOR."""
        chain = None if self.chain is None else [self.chain.evidence, self.chain.size, self.chain.consistency]
        return encode(
            {
                "log": self.log_id, "about": self.about, "index": self.index, "documents": self.documents,
                "entries": self.entries, "inclusion": self.inclusion, "claims": self.claims, "state": self.state,
                "touches": self.touches, "checkpoint": self.checkpoint, "chain": chain, "audits": self.audits,
                "seal": self.seal,
            }
        )  # fmt: skip

    @classmethod
    def read(cls, content: bytes) -> Bundle:
        """Read the content strictly.

        Raises:
            MalformedError: not the one form: a member missing or unknown, of another type, out of order or beyond its
                bound, or not deterministic CBOR.

        """
        check_count(content[:MAX_CONTENT], MAX_ITEMS)
        members = decode(content, max_size=MAX_CONTENT)
        if not isinstance(members, dict):
            raise MalformedError("a bundle holds a map", where="content")
        odd = sorted(str(name)[:40] for name in members.keys() ^ _MEMBERS)
        if odd:
            raise MalformedError("a member is missing or unknown", where=odd[0])
        entries = _entries(members["entries"])
        claims = _claims(members["claims"])
        return cls(
            log_id=_bytes(members["log"], "log", _HASH, exact=True),
            about=_text(members["about"], "about", MAX_SUBJECT),
            index=None if members["index"] is None else _uint(members["index"], "index"),
            documents=_documents(members["documents"]),
            entries=entries,
            inclusion=_hashes(members["inclusion"], "inclusion", MAX_MULTIPROOF),
            claims=claims,
            state=members["state"],
            touches=_touches(members["touches"], len(claims), dict(entries)),
            checkpoint=_bytes(members["checkpoint"], "checkpoint", MAX_NOTE),
            chain=None if members["chain"] is None else _chain(members["chain"]),
            audits=_each(members["audits"], "audits", MAX_AUDITS, lambda item, at: _bytes(item, at, MAX_AUDIT)),
            seal=None if members["seal"] is None else _bytes(members["seal"], "seal", MAX_SEAL),
        )


def _entries(value: Any) -> tuple[tuple[int, bytes], ...]:
    entries = _each(value, "entries", MAX_LEAVES, _entry)
    if not entries:
        raise MalformedError("a bundle holds entries", where="entries")
    if any(later[0] <= earlier[0] for earlier, later in pairwise(entries)):
        raise MalformedError("the entries ascend by index", where="entries")
    return entries


def _entry(item: Any, at: str) -> tuple[int, bytes]:
    index, raw = _array(item, at, 2)
    return _uint(index, at), _bytes(raw, at, MAX_STATEMENT_SIZE)


def _documents(value: Any) -> tuple[Document, ...]:
    documents = _each(value, "documents", MAX_DOCUMENTS, _document)
    if len({document.raw for document in documents}) != len(documents):
        raise MalformedError("a document stands here twice", where="documents")
    return documents


def _document(item: Any, at: str) -> Document:
    raw, disclosures = _array(item, at, 2)
    limit = 2 * MAX_DISCLOSURE
    shown = _each(disclosures, at, MAX_DISCLOSURES, lambda text, place: _text(text, place, limit))
    return Document(_bytes(raw, at, MAX_DOCUMENT), shown)


def _claims(value: Any) -> tuple[Claim, ...]:
    claims = _each(value, "claims", MAX_CLAIMS, _claim)
    if any(later.key <= earlier.key for earlier, later in pairwise(claims)):
        raise MalformedError("the claims ascend by their records' keys", where="claims")
    return claims


def _claim(item: Any, at: str) -> Claim:
    kind, parts, record = _array(item, at, 3)
    if not isinstance(kind, str) or kind not in KINDS:
        raise MalformedError("a claim names a kind of record", where=at)
    if not isinstance(parts, list) or len(parts) > _PARTS or not all(_is_part(part) for part in parts):
        raise MalformedError(f"a record's name has at most {_PARTS} parts: texts, numbers or byte strings", where=at)
    return Claim(kind, tuple(parts), None if record is None else _bytes(record, at, MAX_RECORD))


def _is_part(part: Any) -> bool:
    if type(part) is int:
        return 0 <= part <= MAX_UINT
    return isinstance(part, str | bytes)


def _touches(value: Any, claims: int, entries: dict[int, bytes]) -> tuple[tuple[int, tuple[Touch, ...]], ...]:
    def one(item: Any, at: str) -> tuple[int, tuple[Touch, ...]]:
        number, touched = _array(item, at, 2)
        if _uint(number, at) >= claims:
            raise MalformedError(f"there is no claim {number}", where=at)
        found = _each(touched, at, MAX_TOUCHES, _touch)
        for index, leaf in found:
            if (leaf is None) is not (index in entries):
                raise MalformedError("a touch has a leaf hash exactly where its entry is not here", where=at)
        return number, found

    lists = _each(value, "touches", MAX_CLAIMS, one)
    if any(later[0] <= earlier[0] for earlier, later in pairwise(lists)):
        raise MalformedError("the histories ascend by claim", where="touches")
    return lists


def _touch(item: Any, at: str) -> Touch:
    index, leaf = _array(item, at, 2)
    return _uint(index, at), None if leaf is None else _bytes(leaf, at, _HASH, exact=True)


def _chain(value: Any) -> ChainPart:
    evidence, size, proof = _array(value, "chain", 3)
    consistency = _hashes(proof, "chain", MAX_CONSISTENCY_PROOF)
    return ChainPart(_bytes(evidence, "chain", MAX_CHAIN), _uint(size, "chain"), consistency)


def _array(value: Any, where: str, length: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != length:
        raise MalformedError(f"expected an array of {length}", where=where)
    return value


def _each(value: Any, where: str, limit: int, read: Callable[[Any, str], Any]) -> tuple[Any, ...]:
    if not isinstance(value, list) or len(value) > limit:
        raise MalformedError(f"expected an array of at most {limit}", where=where)
    return tuple(read(item, f"{where}[{place}]") for place, item in enumerate(value))


def _hashes(value: Any, where: str, limit: int) -> tuple[bytes, ...]:
    return _each(value, where, limit, lambda item, at: _bytes(item, at, _HASH, exact=True))


def _bytes(value: Any, where: str, limit: int, *, exact: bool = False) -> bytes:
    if not isinstance(value, bytes) or len(value) > limit or (exact and len(value) != limit):
        raise MalformedError(f"expected {'' if exact else 'at most '}{limit} bytes", where=where)
    return value


def _text(value: Any, where: str, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise MalformedError(f"expected a text of at most {limit} characters", where=where)
    return value


def _uint(value: Any, where: str) -> int:
    if type(value) is not int or not 0 <= value <= MAX_UINT:
        raise MalformedError("expected an unsigned integer of 64 bits", where=where)
    return value
