"""Finding the entry that a question is about.

Owns what a subject stands for: the entry that made it as it is now. Reads the index, and the published tree where only
an entry's own type can tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ledger.errors import MalformedError
from ledger.state.places import place_of_subject
from ledger.state.records import KIND_OF, ActorRecord, record_key
from ledger.state.view import Overlay, Place
from ledger.statements import decode_statement, subjects
from ledger.store.index import Index
from node.log_reading import LogTree
from node.queries import NotFoundError

_RECENT: Final = 100


@dataclass(frozen=True, slots=True)
class Stores:
    """What is read: the index and the published tree."""

    index: Index
    tree: LogTree

    def touches(self, place: Place, start: int, limit: int) -> list[int]:
        """Entries that touched a record, durable ones included that are not published yet."""
        return self.index.history(record_key(KIND_OF[place[0]], *place[1:]), start, limit)

    def entry_about(self, subject: str) -> int:
        """The entry that made what `subject` names, as it is now.

        Raises:
            MalformedError: not a subject.
            NotFoundError: there is no record of it.

        """
        try:
            parsed = subjects.parse(subject)
        except MalformedError as error:
            raise MalformedError(error.detail, where="subject", remedy=error.remedy) from None
        if parsed[0] == "batch":
            manifest = self.index.manifest_of_batch(parsed[1])
            if manifest is not None:
                return manifest
            raise NotFoundError(f"No batch {parsed[1]} is closed", where="subject")
        view = Overlay(self.index.record)
        place = place_of_subject(parsed, subject)
        record: Any = view.read(*place)
        if record is None and parsed[0] == "actor":
            place = (ActorRecord, subject)
            record = view.read(*place)
        if record is None:
            raise NotFoundError(f"There is no record of {subject}", where="subject")
        if hasattr(record, "entry"):
            return int(record.entry)
        if parsed[0] == "delegation":
            return self._newest_delegation(place, record.touches)
        return self.touches(place, 1, 1)[0]

    def _newest_delegation(self, place: Place, touches: int) -> int:
        """A prefix may have been delegated again: the last delegation among the recent touches."""
        for index in reversed(self.touches(place, max(1, touches - _RECENT), _RECENT + 1)):
            if index < self.tree.size and decode_statement(self.tree.reader.entry(index)).type == "delegation":
                return index
        raise NotFoundError("The delegation lies too far back in its history; give its index", where="subject")
