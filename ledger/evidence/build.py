"""Making a bundle: the verifier's own questions, asked of the log, and everything that was read put in.

Owns no list of what a story needs: the steps of `ledger.evidence.story` run over a view and a history that note what
they are asked for. So whatever the rules read, now or in a later version, is in the bundle. Trusts its source, which a
node brings; a source that lies makes a bundle that does not verify.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from ledger.errors import MalformedError
from ledger.evidence.bundle import MAX_CLAIMS, MAX_TOUCHES, Bundle, ChainPart, Claim, Document
from ledger.evidence.container import MAX_CONTENT
from ledger.evidence.history import batch_of
from ledger.evidence.past import Past, TooLongError, batch_after
from ledger.evidence.story import Story, absence, may_be_absent, remembering
from ledger.evidence.whole import REMEDY, WholeStory
from ledger.log.multiproof import MAX_LEAVES, inclusion_multiproof
from ledger.state.places import place_of_statement
from ledger.state.proofs import StateProof
from ledger.state.records import KIND_OF, BatchRecord, CredentialRecord, LogRecord, Part, decode_record, record_key
from ledger.state.transition import verify_signature
from ledger.state.view import Place
from ledger.statements import Statement, decode_statement

R = TypeVar("R")


class Source(Protocol):
    """A log as of one published checkpoint whose last entry is a manifest."""

    @property
    def log_id(self) -> bytes:
        """The log's id."""
        ...

    @property
    def size(self) -> int:
        """The checkpoint's size."""
        ...

    @property
    def checkpoint(self) -> bytes:
        """The checkpoint note, with its cosignatures."""
        ...

    def record(self, place: Place) -> bytes | None:
        """The encoded record after entry size-2, None where there is none."""
        ...

    def touches(self, place: Place) -> list[int]:
        """Every entry below size-1 that touched the record, ascending."""
        ...

    def entry(self, index: int) -> bytes:
        """Bytes of an entry."""
        ...

    def closing(self, index: int) -> int:
        """Index of the manifest that closes the batch of an entry; a manifest closes its own."""
        ...

    def node(self, level: int, index: int) -> bytes:
        """A node of the log's tree, as `ledger.log.proofs` asks for it."""
        ...

    def prove(self, keys: Iterable[bytes]) -> StateProof:
        """The state proof for these keys under the root in the manifest at size-1."""
        ...

    def document(self, digest: bytes) -> Document | None:
        """The document with this digest, as far as it may be shown."""
        ...


def build(
    source: Source,
    about: str,
    index: int | None,
    *,
    chain: ChainPart | None = None,
    audits: Iterable[bytes] = (),
    whole: bool = False,
) -> Bundle:
    """Make the bundle about the statement at `index`, or about the absence of `about` where `index` is None.

    With `whole` every statement about `about` is in it, and what is needed to run them all again: its whole history.

    Raises:
        TooLongError: the whole history passes what a bundle may hold.
        MalformedError: `about` is not the statement's subject, or is nothing that can be absent.
        LedgerError: what the source raises for the log itself; what it refuses of the story is left out, and the
            verifier says that it is missing.

    """
    asked = _Asked(source)
    past = Past(asked, verify=remembering(verify_signature))
    past.record((LogRecord,), source.size)
    documents: list[Document] = []
    if index is None:
        if not may_be_absent(about):
            raise MalformedError("the absence of this cannot be proven", where=about[:80])
        absence(asked, about, source.size, ())
    else:
        statement = asked.statement(index)
        if statement.sub != about:
            raise MalformedError(f"entry {index} is about {statement.sub}", where="about")
        asked.batch_before(index)
        document = None if statement.digest is None else source.document(statement.digest)
        documents = [] if document is None else [document]
        asked.read(*place_of_statement(statement))
        story = Story(asked, past, remembering(verify_signature), (), 0)
        story.steps(statement, index, documents)
        if whole:
            WholeStory(asked, past, asked).read(about, index, source.size)
            asked.check_bounds(about)
    return asked.bundle(about, index, documents, chain, tuple(audits))


class _Asked:
    """The log as a view and as a history, noting every record, entry and list that is asked for."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._records: dict[Place, bytes | None] = {}
        self._touches: dict[Place, list[int]] = {}
        self._statements: dict[int, Statement] = {}
        self.statement(0)
        self._last = self.statement(source.size - 1)

    # -- the view -------------------------------------------------------------------------------------------------

    def read(self, kind: type[R], *parts: Part) -> R | None:
        """The record at the checkpoint."""
        if kind is BatchRecord:
            return batch_after(self._last, self._source.size - 1)  # type: ignore[return-value]
        raw = self._record((kind, *parts))
        return None if raw is None else decode_record(KIND_OF[kind], raw)

    def _record(self, place: Place) -> bytes | None:
        if place not in self._records:
            self._records[place] = self._source.record(place)
        return self._records[place]

    # -- the history ----------------------------------------------------------------------------------------------

    def touches(self, place: Place, start: int, limit: int) -> list[int]:
        """Entries that touched a record."""
        if place not in self._touches:
            raw = self._record(place)
            if raw is not None and (count := decode_record(KIND_OF[place[0]], raw).touches) > MAX_TOUCHES:
                # Before any is read: somebody may have made them so many, and nobody could read such a bundle.
                raise TooLongError(f"{count} statements touched a record; a bundle lists at most {MAX_TOUCHES}")
            self._touches[place] = [] if raw is None else self._source.touches(place)
        return self._touches[place][start - 1 :][:limit]

    def statement(self, index: int) -> Statement:
        """An entry, decoded."""
        if index not in self._statements:
            self._statements[index] = decode_statement(self._source.entry(index))
        return self._statements[index]

    def batch_before(self, index: int) -> BatchRecord | None:
        """From the manifest that closes the entry's batch."""
        if index == 0:
            return None
        return batch_of(self.statement(self._source.closing(index)))

    def status_index(self, index: int) -> int:
        """From the credential's record where that is asked for anyway; else 0, for no rule looks at it."""
        raw = self._records.get((CredentialRecord, self.statement(index).sub))
        return 0 if raw is None else int(decode_record("credential", raw).status_index)

    # -- what came of it ------------------------------------------------------------------------------------------

    def check_bounds(self, about: str) -> None:
        """TooLongError where what was asked for is more than a bundle may hold."""
        size = sum(len(statement.raw) for statement in self._statements.values())
        size += sum(len(record or b"") for record in self._records.values())
        if len(self._statements) > MAX_LEAVES or len(self._records) > MAX_CLAIMS or size > MAX_CONTENT // 2:
            counts = f"{len(self._statements)} entries and {len(self._records)} records"
            raise TooLongError(f"The history takes {counts}, more than a bundle holds", where=about, remedy=REMEDY)

    def bundle(
        self,
        about: str,
        index: int | None,
        documents: list[Document],
        chain: ChainPart | None,
        audits: tuple[bytes, ...],
    ) -> Bundle:
        """Put together what was asked for, with its proofs."""
        source = self._source
        named = {record_key(KIND_OF[place[0]], *place[1:]): place for place in self._records}
        keys = sorted(named)
        claims = tuple(Claim(KIND_OF[named[key][0]], named[key][1:], self._records[named[key]]) for key in keys)
        numbers = {named[key]: number for number, key in enumerate(keys)}
        histories: list[tuple[int, Any]] = []
        for place, touched in self._touches.items():
            if self._records[place] is not None:
                histories.append((numbers[place], tuple((at, self._leaf(at)) for at in touched)))
        indexes = sorted(self._statements)
        return Bundle(
            log_id=source.log_id,
            about=about,
            index=index,
            documents=tuple(documents),
            entries=tuple((at, self._statements[at].raw) for at in indexes),
            inclusion=tuple(inclusion_multiproof(indexes, source.size, source.node)),
            claims=claims,
            state=source.prove(keys).to_cbor_object(),
            touches=tuple(sorted(histories)),
            checkpoint=source.checkpoint,
            chain=chain,
            audits=audits,
        )

    def _leaf(self, index: int) -> bytes | None:
        """The leaf hash of an entry that the bundle does not hold."""
        return None if index in self._statements else self._source.node(0, index)
