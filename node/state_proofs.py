"""Proofs of the state as of a closed batch, from the index's state tree and the published log (DESIGN section 5).

A proof needs the records themselves as they were at the batch's end. The index has the newest ones; where one changed
since, its old content is derived from the entries that touched it (`ledger.evidence.past`). Whatever is answered was
checked against the tree first. Blocking: to be used in a thread. Trusts the stores; who checks the answer need not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import LedgerError, MalformedError
from ledger.log.proofs import inclusion_proof
from ledger.state.proofs import StateProof, root_from_state_proof
from ledger.state.records import KIND_OF, record_key
from ledger.state.view import Place
from ledger.store.index import Index
from ledger.store.state_tree import NotRetainedError
from node.log_reading import LogTree, NamelessRecordError, PastRecords
from node.publisher import Published

MAX_ASKED = 64
"""Records that one request may ask for: an old record may take some hundred statements to be derived."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A record that is asked for: its key, and its place where a subject named it."""

    key: bytes
    place: Place | None = None

    @classmethod
    def at(cls, place: Place) -> Asked:
        """The record at a place."""
        return cls(record_key(KIND_OF[place[0]], *place[1:]), place)

    @property
    def kind(self) -> str | None:
        """Kind of the record, None where only its key is known."""
        return None if self.place is None else KIND_OF[self.place[0]]


@dataclass(frozen=True, slots=True)
class StateAnswer:
    """What the state held under the keys asked for when `batch` ended, and what shows it.

    `records`: encoded, None where absent, in the order of the question. `proof` leads from them to `root`, which the
    manifest at entry `manifest` names. `inclusion` (siblings from the leaf up) leads from that entry to the root of
    the published `checkpoint` of `size`. Where `manifest` is `size` - 1, this is the state that the checkpoint commits
    to; else it is a past one.
    """

    batch: int
    manifest: int
    root: bytes
    asked: tuple[Asked, ...]
    records: tuple[bytes | None, ...]
    proof: StateProof
    size: int
    inclusion: tuple[bytes, ...]
    checkpoint: bytes


def prove_state(
    index: Index, served: Path, published: Published, asked: Sequence[Asked], batch: int | None = None
) -> StateAnswer:
    """Prove records as of the end of `batch`, by default of the newest published one.

    Raises:
        MalformedError: nothing is asked for, or too much.
        NotRetainedError: that batch is not published, its tree is not kept any more, or an old record cannot be given.

    """
    if not 1 <= len(asked) <= MAX_ASKED:
        raise MalformedError(f"one request asks for 1 to {MAX_ASKED} records, not {len(asked)}", where="key")
    number, manifest = _closed(index, published, batch)
    tree = LogTree(served, published.size)
    past = PastRecords(index, tree, manifest)
    proof, root = index.tree.prove([one.key for one in asked], number)
    records = tuple(_record(past, one) for one in asked)
    claims = {one.key: record for one, record in zip(asked, records, strict=True)}
    if root_from_state_proof(claims, proof) != root:
        raise _not_derivable("The records as of then cannot be given from here")
    inclusion = inclusion_proof(manifest, published.size, tree.reader.nodes(published.size).get_node)
    return StateAnswer(
        number, manifest, root, tuple(asked), records, proof, published.size, tuple(inclusion), published.checkpoint
    )


def _closed(index: Index, published: Published, batch: int | None) -> tuple[int, int]:
    """(batch number, index of its manifest) for a published batch, by default the newest."""
    found: tuple[int, int] | None
    if batch is None:
        found = index.batch_of_entry(published.size - 1) if published.size else None
    else:
        manifest = index.manifest_of_batch(batch)
        found = None if manifest is None else (batch, manifest)
    if found is None or found[1] >= published.size:
        raise NotRetainedError(
            "No checkpoint is published yet" if batch is None else f"Batch {batch} is not closed and published",
            where="batch",
            remedy="The state can be proven once a checkpoint ends in the batch's manifest; ask again in a second",
        )
    return found


def _record(past: PastRecords, asked: Asked) -> bytes | None:
    """The encoded record as of then, None where it was absent."""
    try:
        return past.record(asked.key, asked.place)
    except NamelessRecordError as error:
        raise _not_derivable(error.detail, error.remedy) from error
    except LedgerError as error:
        raise _not_derivable(f"A record changed since, and cannot be derived: {error.detail}") from error


def _not_derivable(detail: str, remedy: str = "Ask for a newer batch, or replay the log up to that one") -> LedgerError:
    return NotRetainedError(detail, where="batch", remedy=remedy)
