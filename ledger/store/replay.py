"""Replay: from log entries to index content, by the same function that admitted them (DESIGN rules 3 and 7).

Used to catch the index up after a crash and to build it anew. Entries come from the node's own log, whose signatures
were checked at admission, so a replay may trust them (`trust`); an auditor passes the real check. The result does not
depend on where groups began or ended: a rebuilt index has the identical sequence of keys and values, and the same tree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ledger.errors import CorruptError, MalformedError, Rejection
from ledger.log.tree import CompactRange
from ledger.state.records import KIND_OF, Record, encode_record, record_key
from ledger.state.transition import transition
from ledger.state.view import Changes, Overlay, Place, Verify, View
from ledger.statements import Statement, decode_statement
from ledger.store.index import Index, IndexUpdate

Change = tuple[Place, Record, int | None]
"""Where a record lives, its content as an entry left it, and the index of the entry that touched it before, if any."""

GROUP = 2_000
"""Entries applied to the index at once: large enough to be quick, small enough for flat memory."""


def trust(alg: int, key: bytes, message: bytes, signature: bytes) -> bool:
    """Take a signature as good: for entries of our own log, which were checked when they were admitted."""
    del alg, key, message, signature
    return True


def changes_of(view: View, decided: Changes) -> list[Change]:
    """The decided changes with what the index must know of the touch before; `view` is still without them."""
    changes: list[Change] = []
    for place, record in decided.items():
        before = view.read(*place) if record.touches > 1 else None
        changes.append((place, record, None if before is None else before.last))
    return changes


def index_update(covers: int, changes: Iterable[Change], batches: Sequence[tuple[int, int]]) -> IndexUpdate:
    """What the index takes over when it comes to cover `covers` entries: last records, earlier touches, manifests."""
    records: dict[Place, tuple[bytes, Record]] = {}
    history: list[tuple[bytes, int, int]] = []
    for place, record, before in changes:
        known = records.get(place)
        key = record_key(KIND_OF[place[0]], *place[1:]) if known is None else known[0]
        records[place] = (key, record)
        if before is not None:
            history.append((key, record.touches - 1, before))
    return IndexUpdate(
        covers=covers,
        records=[(key, encode_record(record)) for key, record in records.values()],
        history=history,
        batches=batches,
    )


def replay(
    index: Index,
    entries: Iterable[bytes | Statement],
    *,
    verify: Verify = trust,
    tree: CompactRange | None = None,
    progress: Callable[[int], None] | None = None,
    counts: Counter[str] | None = None,
) -> int:
    """Feed `entries`, the first of them at `index.covers`, through the function into `index`; returns the new size.

    Entries may come decoded. `tree`, where given, takes every leaf hash, so that the caller can compare roots.
    `progress` hears of each group. `counts` are the types of the open batch's entries that the index covers already:
    without them the first manifest of a replay that starts inside a batch cannot be compared with its batch.

    A manifest is applied behind everything before it, so that the state tree as of then can be compared with its root.

    Raises:
        CorruptError: an entry that the function refuses, or a manifest with other counts or another state root than
            its batch: this is no honest log. An act that is there twice is one of these, because the first made its
            record, or its sequence number stale.

    """
    view = Overlay(index.record)
    size = index.covers
    if counts is None and size == 0:
        counts = Counter()
    changes: list[Change] = []
    batches: list[tuple[int, int]] = []
    leaves: list[bytes] = []

    def flush() -> None:
        index.apply(index_update(size, changes, batches))
        view.stored((place, record) for place, record, _ in changes)
        if tree is not None:
            tree.extend(leaves)
        for held in (changes, batches, leaves):
            held.clear()
        if progress is not None:
            progress(size)

    for raw in entries:
        try:
            st = raw if isinstance(raw, Statement) else decode_statement(raw)
            decided = transition(view, st, size, verify)
        except (MalformedError, Rejection) as error:
            raise CorruptError(
                f"the log holds an entry that its rules refuse: {error.explain()}",
                where=f"entry {size}",
                remedy="Restore the log from a mirror; keep this copy as evidence",
            ) from error
        if st.type == "manifest":
            if leaves:
                flush()
            _check_counts(counts, st, size)
            _check_state(index.tree.current, st, size)
        changes += changes_of(view, decided)
        view.apply(decided)
        leaves.append(st.leaf)
        if st.type == "manifest":
            counts = Counter()
            batches.append((st.subject[1], size))
        elif counts is not None:
            counts[st.type] += 1
        size += 1
        if len(leaves) >= GROUP:
            flush()
    if leaves:
        flush()
    return size


def _check_counts(counts: Counter[str] | None, manifest: Statement, index: int) -> None:
    """A manifest's counts by type must be those of its batch: the function itself cannot know them."""
    if counts is not None and manifest.body["counts"] != counts:
        raise CorruptError(
            f"the manifest counts {manifest.body['counts']}, its batch holds {dict(counts)}", where=f"entry {index}"
        )


def _check_state(root: bytes, manifest: Statement, index: int) -> None:
    """A manifest's state root must be that of the tree after everything before it, for the same reason."""
    if manifest.body["state"] != root:
        raise CorruptError(
            f"the manifest says that the state has root {manifest.body['state'].hex()}, it has {root.hex()}",
            where=f"entry {index}",
            remedy="Whoever signed this manifest had another state than the log gives: keep this copy as evidence",
        )
