"""Verifying a proof online: the numbered steps, with the node's own log and by asking the chain (DESIGN section 8).

Given a statement, a place in the log or a subject, it finds the statement and answers the steps that this release has.
Inclusion, checkpoint and chain are checked as a stranger would check them; current state is the operator's word until
there are state proofs, and each step that rests on it says so. Everything that reads files or asks the chain runs in
a thread, with a tile reader of its own: the event loop only takes the snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.errors import LedgerError, MalformedError, UnavailableError
from ledger.evidence import steps
from ledger.evidence.past import Past
from ledger.evidence.report import Report, Step, Verdict
from ledger.evidence.signers import possible_keys
from ledger.evidence.standing import compromised, entitled_now, entitled_then, log_time, status_now
from ledger.evidence.steps import PublicKey
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import Note, Vkey
from ledger.state.log_keys import LogKeys
from ledger.state.places import place_of_statement
from ledger.state.records import KIND_OF, LogRecord, TemplateRecord, record_key
from ledger.state.view import Overlay, Place, View
from ledger.statements import Statement
from ledger.store.documents import DocumentFolder
from ledger.store.index import Index
from node.chain.evm import EvmChain
from node.chain.protocol import Chain, Finality
from node.chain.rpc import JsonRpc
from node.config import ChainConfig
from node.finding import Stores
from node.log_reading import LogHistory, LogTree
from node.node import Node
from node.queries import NotFoundError
from node.verification_chain import check_chain
from node.verification_request import Request

OPERATOR_STATE: Final = "the operator's current state (no state proof yet)"
OWN_TILES: Final = "this log's own tiles"
NOT_CHECKED: Final = {
    7: "not checked here: this log does not prove its state yet, so current state is the operator's word",
    9: "not checked here: no witnesses cosign this log yet",
    14: "not checked here: without witnesses nothing shows how fresh the checkpoint is",
}
"""Steps that this release cannot answer, with the reason."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a verification reads: the stores, and the log as it was published when the question came.

    `raw` is the entry at the index asked for, where it is not published yet. `chain` is None where none is configured.
    """

    log_id: bytes
    keys: LogKeys
    index: Index
    documents: DocumentFolder
    served: Path
    size: int
    checkpoint: bytes
    chain: Chain | None
    raw: bytes | None = None


async def verify(node: Node, request: Any, *, chain: Chain | None = None) -> Report:
    """Verify what `request` (see `node.verification_request.Request`) asks about.

    `chain` replaces the configured backend, which is asked through a connection of its own.

    Raises:
        MalformedError: the request is not in its form.
        NotFoundError: the index or subject asked about is not in the log.

    """
    parsed = request if isinstance(request, Request) else Request.parse(request)
    published = node.publisher.published
    raw = None
    if parsed.index is not None and published.size <= parsed.index < node.publisher.size:
        raw = node.publisher.entry_at(parsed.index)
    own = None if chain is not None else open_chain(node.config.chain)
    snapshot = Snapshot(
        log_id=node.log_id, keys=node.keys, index=node.index, documents=node.documents, served=node.served,
        size=published.size, checkpoint=published.checkpoint, chain=chain or own, raw=raw,
    )  # fmt: skip
    try:
        return await asyncio.to_thread(
            lambda: examine(snapshot, parsed, lambda: LogTree(node.served, node.publisher.published.size))
        )
    finally:
        if own is not None:
            own.rpc.close()


def open_chain(config: ChainConfig) -> EvmChain | None:
    """Open a backend that only reads, None where no chain is configured."""
    if not config.url:
        return None
    rpc = JsonRpc(config.url, timeout=config.timeout)
    return EvmChain(rpc, chain_id=config.chain_id, contract=config.contract, finality=Finality.parse(config.finality))


def examine(snapshot: Snapshot, request: Request, newest: Any = None) -> Report:
    """Answer the steps: blocking. `newest` gives the tree as it is published after the chain was asked."""
    return _Examination(snapshot, request).report(newest)


class _Examination:
    """One question on its way through the steps."""

    def __init__(self, snapshot: Snapshot, request: Request) -> None:
        self._snapshot = snapshot
        self._request = request
        self._tree = LogTree(snapshot.served, snapshot.size)
        self._view: View = Overlay(snapshot.index.record)
        self._past = Past(LogHistory(snapshot.index, self._tree))
        self._log = self._view.read(LogRecord)

    def report(self, newest: Any) -> Report:
        """All steps, and which of them are required."""
        raw, index = self._find()
        assert self._log is not None, "a node has its log record"
        statement, suites = steps.check_suites(raw, self._log.suites)
        if statement is None:
            return Report.of("bytes that are no statement", [suites], required={2})
        if index is None:
            index = self._place_of(statement)
        checkpoint, signed = self._checkpoint()
        found = [suites, self._signatures(statement, index), self._inclusion(statement, index, checkpoint), signed]
        found += [Step(number, Verdict.CANNOT_TELL, reason) for number, reason in NOT_CHECKED.items()]
        found.append(self._chain(newest, checkpoint, index))
        found.append(self._entitled_then(statement, index))
        required = {2, 4, 5, 8, 11}
        document = self._document(statement)
        now = entitled_now(self._view, statement, (OPERATOR_STATE,))
        status = status_now(self._view, statement, index, (OPERATOR_STATE,))
        found += [step for step in (document, now, status) if step is not None]
        if self._snapshot.chain is not None:
            required.add(10)
        needs_document = statement.type == "certification" or self._request.document is not None
        if document is not None and needs_document:
            required.add(3)
        if status is not None:
            required.add(13)
        place = "not found in the log" if index is None else f"entry {index}"
        about = f"{statement.type} of {statement.sub} by {statement.iss} ({place})"
        # What was done within a right outlives it, unless somebody says so by a change of status (step 13): that an
        # accreditation or delegation has ended since is told, and does not decide.
        return Report.of(about, found, required, {12})

    # -- what it is about -----------------------------------------------------------------------------------------

    def _find(self) -> tuple[bytes, int | None]:
        request = self._request
        if request.statement is not None:
            return request.statement, request.index
        index = request.index
        if request.subject is not None:
            index = Stores(self._snapshot.index, self._tree).entry_about(request.subject)
        assert index is not None
        return self._entry(index), index

    def _entry(self, index: int) -> bytes:
        if index < self._tree.size:
            return self._tree.reader.entry(index)
        if self._snapshot.raw is not None:
            return self._snapshot.raw
        raise NotFoundError(f"No published entry {index}: the log shows {self._tree.size} entries", where="index")

    def _place_of(self, statement: Statement) -> int | None:
        """The entry that holds this very statement: the touch after `seq` of the record that it names."""
        for index in self._touches(place_of_statement(statement), (statement.seq or 0) + 1, 1):
            if index < self._tree.size and self._tree.reader.entry(index) == statement.raw:
                return index
        return None

    def _touches(self, place: Place, start: int, limit: int) -> list[int]:
        return self._snapshot.index.history(record_key(KIND_OF[place[0]], *place[1:]), start, limit)

    # -- the steps ------------------------------------------------------------------------------------------------

    def _document(self, statement: Statement) -> Step | None:
        """Step 3. A document that is not public is compared only with one that the asker has."""
        if statement.digest is None:
            return None
        document = self._request.document
        if document is None:
            try:
                if self._snapshot.documents.grade(statement.digest) != "public":
                    reason = "The document is private: give the copy that you hold"
                    return Step(3, Verdict.CANNOT_TELL, reason)
                document = self._snapshot.documents.get(statement.digest)
            except LedgerError as error:
                return Step(3, Verdict.CANNOT_TELL, f"No document to compare with: {error.explain()}")
        mapping = None
        if statement.type == "certification":
            template = self._view.read(TemplateRecord, *statement.claims["template"].split("/", 1))
            if template is None:
                reason = f"There is no template {statement.claims['template']}"
                return Step(3, Verdict.INVALID, reason, (OPERATOR_STATE,))
            mapping = template.mapping
        return steps.check_document(statement, document, mapping, rests_on=(OPERATOR_STATE,) if mapping else ())

    def _signatures(self, statement: Statement, index: int | None) -> Step:
        """Step 4, with every key that ever was the signers', then the reports of compromise."""
        step = steps.check_signatures(statement, self._keys(statement, index), rests_on=(OPERATOR_STATE,))
        if step.verdict is not Verdict.VALID:
            return step
        time = log_time(self._view) if index is None else self._time_at(index)
        why = compromised(self._view, statement, time)
        return step if why is None else Step(4, Verdict.INVALID, why, (OPERATOR_STATE,))

    def _time_at(self, index: int) -> int:
        try:
            return log_time(self._past.before(index))
        except LedgerError:
            return log_time(self._view)  # later than the entry: a report of compromise counts rather than not

    def _keys(self, statement: Statement, index: int | None) -> list[PublicKey]:
        logs = [self._log]
        if index is not None:
            try:
                logs.append(self._past.before(index).read(LogRecord))
            except LedgerError:
                logs.append(None)  # step 11 reports what is wrong with the history
        return possible_keys(statement, self._view, logs)

    def _checkpoint(self) -> tuple[Checkpoint | None, Step]:
        """Step 8: the checkpoint given, or our own; signed by the log, and of this very tree."""
        note = self._request.checkpoint or self._snapshot.checkpoint
        if not note:
            return None, Step(8, Verdict.CANNOT_TELL, "No checkpoint is published yet")
        checkpoint, step = steps.check_checkpoint(note, self._vkey(note))
        if checkpoint is None or self._request.checkpoint is None:
            return checkpoint, step
        if checkpoint.size > self._tree.size:
            reason = f"Signed by the log, but for size {checkpoint.size}; published here are {self._tree.size}"
            return checkpoint, Step(8, Verdict.CANNOT_TELL, reason, (), checkpoint.size)
        try:
            same = checkpoint.size > 0 and self._tree.root(checkpoint.size) == checkpoint.root
        except LedgerError as error:
            return checkpoint, Step(8, Verdict.CANNOT_TELL, f"The tree cannot be read: {error.detail}")
        if not same:
            reason = f"The log signed another root for size {checkpoint.size} than it shows: keep this as evidence"
            return checkpoint, Step(8, Verdict.INVALID, reason, (OWN_TILES,), checkpoint.size)
        return checkpoint, step

    def _vkey(self, note: bytes) -> Vkey:
        """The key in force at the checkpoint's size; the newest for what is no checkpoint, which the step then says."""
        try:
            size = Checkpoint.parse(Note.parse(note).text).size
        except MalformedError:
            size = self._tree.size
        return self._snapshot.keys.vkey_for(size)

    def _inclusion(self, statement: Statement, index: int | None, checkpoint: Checkpoint | None) -> Step:
        """Step 5: by the proof given, or by our own."""
        request = self._request
        if index is None:
            reason = "This log's index does not hold the statement; absence is not proven in this release"
            return Step(5, Verdict.CANNOT_TELL, reason, (OPERATOR_STATE,))
        size = request.size if request.size is not None else self._tree.size if checkpoint is None else checkpoint.size
        if index >= size:
            if request.proof is None:
                return Step(5, Verdict.CANNOT_TELL, f"Entry {index} is not under size {size} yet; ask again later")
            return Step(5, Verdict.INVALID, f"A tree of size {size} has no entry {index}", (), size)
        try:
            proof: Sequence[bytes] = self._tree.inclusion(index, size) if request.proof is None else request.proof
            signed = checkpoint is not None and checkpoint.size == size
            root = checkpoint.root if checkpoint is not None and signed else self._own_root(size)
        except LedgerError as error:
            return Step(5, Verdict.CANNOT_TELL, f"The tree cannot be read: {error.detail}", (), size)
        return steps.check_inclusion(statement.leaf, index, size, proof, root, rests_on=() if signed else (OWN_TILES,))

    def _own_root(self, size: int) -> bytes:
        if size > self._tree.size:
            raise UnavailableError(f"size {size} is not published here; give the checkpoint of that size")
        return self._tree.root(size)

    def _chain(self, newest: Any, checkpoint: Checkpoint | None, index: int | None) -> Step:
        chain = self._snapshot.chain
        if chain is None:
            return Step(10, Verdict.CANNOT_TELL, "not checked here: this node anchors on no chain")
        tree = (lambda: self._tree) if newest is None else newest
        return check_chain(chain, self._snapshot.log_id, tree, checkpoint, index)

    def _entitled_then(self, statement: Statement, index: int | None) -> Step:
        if index is None:
            return Step(11, Verdict.CANNOT_TELL, "The statement was not found in the log, so nothing was ever issued")
        return entitled_then(self._past, statement, index)
