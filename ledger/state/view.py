"""Views of the state: what the transition function reads through, and the overlay that a writer works on.

`View` is the function's only window. `Overlay` puts decided but not yet stored changes in front of a store of encoded
records, so that statements of one group see each other, and keeps the few records that every statement needs (log,
actors, delegations, templates, accreditations) decoded in a bounded cache. Identifiers and credentials pass through and
are not cached: their number grows with the log, memory must not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

from ledger.state.records import (
    KIND_OF,
    AccreditationRecord,
    ActorRecord,
    BatchRecord,
    DelegationRecord,
    LengthsRecord,
    LogRecord,
    Part,
    Record,
    StatusIndexRecord,
    TemplateRecord,
    decode_record,
    record_key,
)

R = TypeVar("R")
Place: TypeAlias = tuple[Any, ...]
"""Where a record lives: its type, then the parts of its name."""
Changes = Mapping[Place, Record]

CACHED = frozenset(
    {
        LogRecord,
        BatchRecord,
        ActorRecord,
        DelegationRecord,
        LengthsRecord,
        TemplateRecord,
        AccreditationRecord,
        StatusIndexRecord,
    }
)
CACHE_LIMIT = 20_000
_UNKNOWN: Any = object()


Verify: TypeAlias = Callable[[int, bytes, bytes, bytes], bool]
"""(COSE algorithm, public key, message, signature) -> whether the signature is good."""


class View(Protocol):
    """Read access to the state at one point of the log."""

    def read(self, kind: type[R], *parts: Part) -> R | None:
        """Return the record of `kind` named by `parts`, or None."""


class Overlay:
    """A view over `load` (key -> encoded record or None) with changes that are not stored yet in front."""

    def __init__(self, load: Callable[[bytes], bytes | None]) -> None:
        self._load = load
        self._pending: dict[Place, Any] = {}
        # Pending changes and cached records together, so that a read is one look-up; None: known to be absent.
        self._known: dict[Place, Any] = {}

    def read(self, kind: type[R], *parts: Part) -> R | None:
        """Return the newest record: a pending change, a cached one, or the stored one."""
        place: Place = (kind, *parts)
        found = self._known.get(place, _UNKNOWN)
        if found is not _UNKNOWN:
            return found  # type: ignore[no-any-return]
        record = self._fetch(kind, parts)
        if kind in CACHED:
            if len(self._known) - len(self._pending) >= CACHE_LIMIT:
                self._known = dict(self._pending)  # rare; the working set is refilled in a few thousand reads
            self._known[place] = record
        return record

    def _fetch(self, kind: type[R], parts: tuple[Part, ...]) -> R | None:
        raw = self._load(record_key(KIND_OF[kind], *parts))
        return None if raw is None else decode_record(KIND_OF[kind], raw)

    def apply(self, changes: Changes) -> None:
        """Put decided changes in front; later reads see them."""
        self._pending.update(changes)
        self._known.update(changes)

    def stored(self, changes: Iterable[tuple[Place, Record]]) -> None:
        """Forget pending changes that the store now holds, unless a newer change replaced them."""
        pending, known = self._pending, self._known
        for place, record in changes:
            if pending.get(place) is record:
                del pending[place]
                if place[0] not in CACHED:
                    del known[place]


class MemoryState:
    """A whole state in memory: for genesis drafts, audits of small logs and tests of the rules."""

    def __init__(self) -> None:
        self.records: dict[Place, Any] = {}

    def read(self, kind: type[R], *parts: Part) -> R | None:
        """Return the record or None."""
        return self.records.get((kind, *parts))

    def apply(self, changes: Changes) -> None:
        """Take over decided changes."""
        self.records.update(changes)
