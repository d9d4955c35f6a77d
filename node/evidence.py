"""Evidence bundles from a node's own stores (DESIGN section 8).

Owns the choice of what a bundle is made at: the newest published checkpoint, the manifest that ends it, the public
documents, the newest chain evidence. Blocking but for `evidence`, which takes a snapshot on the event loop and works in
a thread. Trusts the stores; the verifier, whoever runs it, need not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ledger.crypto.suites import SUITES
from ledger.errors import CorruptError, LedgerError, MalformedError, UnavailableError
from ledger.evidence.build import build
from ledger.evidence.bundle import Bundle, ChainPart, Document
from ledger.evidence.past import BrokenHistoryError
from ledger.evidence.policy import LogTrust, Policy
from ledger.evidence.report import ABSENCE
from ledger.evidence.story import may_be_absent
from ledger.evidence.verifier import verify_history
from ledger.evidence.whole import Whole
from ledger.state.proofs import StateProof
from ledger.state.records import KIND_OF, record_key
from ledger.state.view import Place
from ledger.statements import decode_statement
from ledger.store.documents import DocumentFolder
from ledger.store.index import Index
from node.finding import Stores
from node.log_reading import LogTree, PastRecords
from node.node import Node
from node.queries import NotFoundError

_PAGE = 1_000
ChainEvidence = Callable[[int], tuple[int, bytes] | None]
"""(anchored size, evidence) of the largest anchored size at or below a size, None where there is none."""


@dataclass(frozen=True, slots=True)
class Stand:
    """A node's stores, and the log as it was published when the question came."""

    log_id: bytes
    index: Index
    documents: DocumentFolder
    served: Path
    size: int
    checkpoint: bytes
    chain: ChainEvidence | None = None


def stand_of(node: Node) -> Stand:
    """How the node stands now: to be taken on the event loop."""
    published, worker = node.publisher.published, node.anchors
    return Stand(
        node.log_id, node.index, node.documents, node.served, published.size, published.checkpoint,
        None if worker is None else worker.evidence_for,
    )  # fmt: skip


async def evidence(node: Node, subject: str | None, index: int | None, *, whole: bool = False) -> bytes:
    """The bundle about a subject, present or absent, or about an entry; encoded. `whole`: with its whole history.

    Raises:
        TooLongError: the whole history is more than a bundle holds.
        CorruptError: the whole history does not hold together: the node's own stores contradict each other.
        MalformedError: neither or both are given, or the subject is none.
        NotFoundError: there is no such published entry.
        UnavailableError: nothing is published, or not yet what was asked for; or too many ask at once.

    """
    with node.questions.place():
        async with node.questions.turn:
            stand = stand_of(node)
            return await asyncio.to_thread(lambda: make(stand, subject, index, whole=whole).encode())


async def history(node: Node, subject: str) -> Whole:
    """What the bundle with the whole history of a subject tells, for those who take the node's word for it.

    Raises:
        MalformedError, TooLongError, CorruptError, UnavailableError: as `evidence`.
        NotFoundError: there is no record of it.

    """
    raw = await evidence(node, subject, None, whole=True)
    suites = frozenset(suite.alg for suite in SUITES.values() if suite.alg is not None)
    own = Policy((LogTrust(node.log_id, None, suites),), trust_operator_state=True)
    with node.questions.place():
        async with node.questions.turn:
            found = await asyncio.to_thread(verify_history, raw, own, 0)
    if found.report.claim == ABSENCE:
        raise NotFoundError(f"There is no record of {subject}", where="subject")
    if found.whole is None:
        raise _corrupt(subject, found.report.as_text())
    return found.whole


def _corrupt(subject: str, why: str) -> CorruptError:
    return CorruptError(f"The history does not hold together: {why}", where=subject, remedy="Run tial log fsck --deep")


def make(stand: Stand, subject: str | None, index: int | None, *, whole: bool = False) -> Bundle:
    """Make the bundle: blocking. Errors as `evidence`."""
    if (subject is None) is (index is None):
        raise MalformedError("Give a subject or an index", where="subject, index")
    if not stand.checkpoint:
        raise UnavailableError("Nothing is published yet", remedy="Ask again in a second")
    source = NodeSource(stand)
    if subject is not None:
        try:
            index = Stores(stand.index, source.tree).entry_about(subject)
        except NotFoundError:
            if not may_be_absent(subject):
                raise
        else:
            if index >= stand.size:
                raise UnavailableError(f"Entry {index} is not published yet", remedy="Ask again in a second")
    if index is None:
        assert subject is not None, "one of both is given"
        return build(source, subject, None, chain=source.chain())
    if stand.size <= index < stand.index.covers:
        raise UnavailableError(f"Entry {index} is not published yet", remedy="Ask again in a second")
    if index >= stand.size:
        raise NotFoundError(f"No published entry {index}: the log shows {stand.size} entries", where="index")
    about = decode_statement(source.entry(index)).sub
    try:
        return build(source, about, index, chain=source.chain(), whole=whole)
    except BrokenHistoryError as error:
        raise _corrupt(about, error.explain()) from error


class NodeSource:
    """The window of `ledger.evidence.build` over a node's stores, as of one published checkpoint."""

    def __init__(self, stand: Stand) -> None:
        """UnavailableError where the index does not cover the checkpoint yet."""
        self._stand = stand
        self.tree = LogTree(stand.served, stand.size)
        if stand.index.covers < stand.size:
            raise UnavailableError("The index does not cover the checkpoint yet", remedy="Ask again in a second")
        self._past = PastRecords(stand.index, self.tree, stand.size - 1)
        self._batch: int = decode_statement(self.entry(stand.size - 1)).subject[1]
        self._node = self.tree.reader.nodes(stand.size).get_node

    @property
    def log_id(self) -> bytes:
        """The log's id."""
        return self._stand.log_id

    @property
    def size(self) -> int:
        """The checkpoint's size."""
        return self._stand.size

    @property
    def checkpoint(self) -> bytes:
        """The published note, with its cosignatures."""
        return self._stand.checkpoint

    def record(self, place: Place) -> bytes | None:
        """The record at the checkpoint."""
        return self._past.record(record_key(KIND_OF[place[0]], *place[1:]), place)

    def touches(self, place: Place) -> list[int]:
        """Every entry below size-1 that touched the record."""
        key = record_key(KIND_OF[place[0]], *place[1:])
        found: list[int] = []
        while page := self._stand.index.history(key, len(found) + 1, _PAGE):
            found += [index for index in page if index < self.size - 1]
            if len(page) < _PAGE or page[-1] >= self.size - 1:
                break
        return found

    def entry(self, index: int) -> bytes:
        """Bytes of a published entry."""
        return self.tree.reader.entry(index)

    def closing(self, index: int) -> int:
        """The manifest that closes the entry's batch."""
        found = self._stand.index.batch_of_entry(index)
        if found is None:
            raise UnavailableError(f"The batch of entry {index} is not closed", remedy="Ask again in a second")
        return found[1]

    def node(self, level: int, index: int) -> bytes:
        """A node of the published tree."""
        return self._node(level, index)

    def prove(self, keys: Iterable[bytes]) -> StateProof:
        """The state proof against the manifest that ends the checkpoint."""
        return self._stand.index.tree.prove(keys, self._batch)[0]

    def document(self, digest: bytes) -> Document | None:
        """The document, where it is public and here; a private one is for its holder to add."""
        documents = self._stand.documents
        try:
            return Document(documents.get(digest)) if documents.grade(digest) == "public" else None
        except LedgerError:
            return None  # step 3 says that it is missing, with its digest

    def chain(self) -> ChainPart | None:
        """The newest chain evidence at or below the checkpoint, None where there is none."""
        found = None if self._stand.chain is None else self._stand.chain(self.size)
        if found is None:
            return None
        size, raw = found
        return ChainPart(raw, size, tuple(self.tree.consistency(size, self.size)))
