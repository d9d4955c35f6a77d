"""The outbox: what the anchor worker has sent or is about to send, and what it knows to be anchored.

Owns one folder: `pending.json`, the one anchor under way with its signed transactions, written durably before anything
is sent; one file per anchor with its size as name, and beside it the chain evidence for it; `disputes/`, evidence of a
chain that contradicts the log. It trusts its own files only as far as they parse: a damaged one is put aside and its
anchor asked from the chain again, because all of it can be rebuilt from checkpoints and chain (DESIGN section 9).
"""

from __future__ import annotations

import bisect
import logging
import re
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from ledger.errors import MalformedError
from ledger.evidence.chain import MAX_EVIDENCE
from ledger.store.durable import remove_leftovers, replace_file, sync_directory
from node.anchor.records import AnchorRecord, AnchorState
from node.chain.protocol import ChainIdentity

FILE_LIMIT = 1 << 20
_NAME = re.compile(r"(\d{20})\.(json|evidence)")

log = logging.getLogger("node.outbox")


class Outbox:
    """The outbox of one log in one folder. One thread writes; any thread may read. Everything here may be lost."""

    def __init__(self, folder: Path, log_id: bytes) -> None:
        self.folder = folder
        self.log_id = log_id
        self.incomplete = False
        self._lock = threading.Lock()
        (folder / "disputes").mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)  # of a process that was killed while it wrote
        names = [match for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
        self._sizes = sorted(int(match[1]) for match in names if match[2] == "json")
        self._proven = sorted(int(match[1]) for match in names if match[2] == "evidence")
        self._pending = self._read(folder / "pending.json")

    def pending(self) -> AnchorRecord | None:
        """Return the anchor under way."""
        return self._pending

    def begin(self, record: AnchorRecord) -> None:
        """Keep an anchor under way, durably; it replaces the one before it."""
        self._write(self.folder / "pending.json", record)
        self._pending = record

    def drop(self) -> None:
        """Give up the anchor under way."""
        (self.folder / "pending.json").unlink(missing_ok=True)
        sync_directory(self.folder)
        self._pending = None

    def keep(self, record: AnchorRecord) -> None:
        """Keep an anchor that is final or lost; the one under way ends when it has this size."""
        self._write(self._path(record.size), record)
        with self._lock:
            place = bisect.bisect_left(self._sizes, record.size)
            if place == len(self._sizes) or self._sizes[place] != record.size:
                self._sizes.insert(place, record.size)
        if self._pending is not None and self._pending.size == record.size:
            self.drop()

    def get(self, size: int) -> AnchorRecord | None:
        """Return the anchor kept for a size."""
        return self._read(self._path(size))

    def anchors(self, *, limit: int = 100, before: int | None = None) -> list[AnchorRecord]:
        """List anchors kept, DONE and LOST, newest first, at most `limit`, of sizes below `before` where given."""
        with self._lock:
            end = len(self._sizes) if before is None else bisect.bisect_left(self._sizes, before)
            sizes = self._sizes[max(0, end - limit) : end]
        found = (self.get(size) for size in reversed(sizes))
        return [record for record in found if record is not None]

    def covering(self, size: int, chain: ChainIdentity) -> AnchorRecord | None:
        """Return this chain's smallest DONE anchor whose log holds the first `size` entries."""
        with self._lock:
            sizes = self._sizes[bisect.bisect_left(self._sizes, size) :]
        return next((record for each in sizes if (record := self.done(each, chain)) is not None), None)

    def newest(self, chain: ChainIdentity) -> AnchorRecord | None:
        """Return this chain's largest DONE anchor."""
        with self._lock:
            sizes = list(self._sizes)
        return next((record for each in reversed(sizes) if (record := self.done(each, chain)) is not None), None)

    def done(self, size: int, chain: ChainIdentity) -> AnchorRecord | None:
        """Return the anchor kept for a size where it is DONE on this chain."""
        record = self.get(size)
        return record if record is not None and record.state is AnchorState.DONE and record.on(chain) else None

    def keep_evidence(self, size: int, evidence: bytes) -> None:
        """Keep chain evidence for an anchor, durably, in the place of older evidence."""
        replace_file(self._evidence_path(size), evidence)
        with self._lock:
            place = bisect.bisect_left(self._proven, size)
            if place == len(self._proven) or self._proven[place] != size:
                self._proven.insert(place, size)

    def drop_evidence(self, size: int) -> None:
        """Give up the chain evidence for an anchor: the anchor is another one now."""
        with self._lock:
            if size in self._proven:
                self._proven.remove(size)
        self._evidence_path(size).unlink(missing_ok=True)

    def evidence(self, size: int, chain: ChainIdentity) -> tuple[int, bytes] | None:
        """Return the size of this chain's largest DONE anchor, at most `size`, that has chain evidence, and that."""
        with self._lock:
            sizes = self._proven[: bisect.bisect_right(self._proven, size)]
        for each in reversed(sizes):
            if self.done(each, chain) is not None:
                with suppress(FileNotFoundError), self._evidence_path(each).open("rb") as stream:
                    return each, stream.read(MAX_EVIDENCE)
        return None

    def unproven(self) -> list[int]:
        """List the sizes of anchors without chain evidence, whatever their state."""
        with self._lock:
            return sorted(set(self._sizes) - set(self._proven))

    def lose_above(self, size: int, chain: ChainIdentity) -> int:
        """Mark as LOST this chain's DONE anchors above a size that it has as its newest; how many they were."""
        lost = 0
        with self._lock:
            above = self._sizes[bisect.bisect_right(self._sizes, size) :]
        for each in above:
            record = self.done(each, chain)
            if record is not None:
                self._write(self._path(each), replace(record, state=AnchorState.LOST))
                lost += 1
        return lost

    def dispute(self, now: int, evidence: dict[str, Any]) -> Path:
        """Keep evidence of a contradiction, durably, for people to judge."""
        path = self.folder / "disputes" / f"{now:012d}-{int(evidence['size']):020d}.json"
        replace_file(path, orjson.dumps(evidence, option=orjson.OPT_INDENT_2))
        return path

    def disputes(self) -> list[Path]:
        """List contradictions that nobody has resolved."""
        return sorted((self.folder / "disputes").glob("*.json"))

    def resolve(self) -> int:
        """Mark all contradictions as resolved; their evidence stays. How many there were."""
        open_disputes = self.disputes()
        for path in open_disputes:
            path.rename(path.with_suffix(".resolved"))
        sync_directory(self.folder / "disputes")
        return len(open_disputes)

    def _path(self, size: int) -> Path:
        return self.folder / f"{size:020d}.json"

    def _evidence_path(self, size: int) -> Path:
        return self.folder / f"{size:020d}.evidence"

    def _write(self, path: Path, record: AnchorRecord) -> None:
        replace_file(path, orjson.dumps(record.to_json(), option=orjson.OPT_INDENT_2))

    def _check(self, record: AnchorRecord, name: str) -> None:
        pending = name == "pending.json"
        if record.log != self.log_id or name not in {"pending.json", self._path(record.size).name}:
            raise MalformedError("this is the record of another log or size", where=name)
        if pending != (record.state is AnchorState.PENDING) or (pending and not record.attempts):
            raise MalformedError("this record is not in the state that its name says", where=name)

    def _read(self, path: Path) -> AnchorRecord | None:
        """Read one record; a damaged one, or one of another log, is put aside and makes the outbox incomplete."""
        try:
            with path.open("rb") as stream:
                record = AnchorRecord.from_json(orjson.loads(stream.read(FILE_LIMIT)))
            self._check(record, path.name)
        except FileNotFoundError:
            return None
        except (ValueError, MalformedError) as error:
            log.warning("an outbox record is damaged", extra={"path": str(path), "error": str(error)})
            self.incomplete = True
            with suppress(OSError):
                path.rename(path.with_suffix(".damaged"))
            return None
        return record
