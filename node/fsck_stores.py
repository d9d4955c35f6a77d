"""The part of `tial log fsck --deep` that looks at what lies beside the log: documents, and the outbox's anchors.

Neither decides about the log: a document can be put again, an anchor asked from the chain again (DESIGN section 9). So
a finding here says what is wrong with the copy. Reads only; trusts the tiles, which were compared with the entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import orjson

from ledger.errors import LedgerError, MalformedError
from ledger.state.log_keys import LogKeys
from ledger.statements import decode_statement
from ledger.store.documents import DocumentAlteredError, DocumentErasedError, DocumentFolder
from ledger.store.durable import read_bounded, reporting
from ledger.store.tiles import TileReader
from node.anchor.outbox import FILE_LIMIT
from node.anchor.records import AnchorRecord, AnchorState

_EVERY: Final = 1024
Add = Callable[[str, object, str], None]
"""Notes a finding: code, where, what it means."""
Tell = Callable[[str, int, int], None]


class DocumentCheck:
    """All documents of a store against their digests, and the log's digests against the store."""

    def __init__(self, folder: Path, add: Add, tell: Tell) -> None:
        self._folder = folder
        self._store = DocumentFolder(folder) if folder.is_dir() else None
        self._add = add
        self._tell = tell
        self.missing = 0
        """Digests in the log without a document here."""

    def stored(self) -> int:
        """Digest every stored document; returns how many there are."""
        store, count = self._store, 0
        if store is None:
            return 0
        with reporting("list the documents", self._folder):
            paths = sorted(self._folder.glob("*/*"))
        for count, path in enumerate(paths, 1):
            if path.name.startswith("."):
                continue
            try:
                store.get(bytes.fromhex(path.name) if path.parent.name == path.name[:2] else b"")
            except DocumentErasedError:
                continue
            except (ValueError, MalformedError):
                self._add("document", path, "no document has this name")
            except (DocumentAlteredError, LedgerError) as error:
                self._add("document", path, error.detail)
            if count % _EVERY == 0:
                self._tell("documents", count, len(paths))
        return count

    def mentioned(self, entries: Iterable[bytes]) -> Iterator[bytes]:
        """Pass entries on, counting the documents that they name and that are not here."""
        for raw in entries:
            try:
                digest = decode_statement(raw).digest
            except MalformedError:
                digest = None  # the rules report it
            if digest is not None and not (self._folder / digest.hex()[:2] / digest.hex()).exists():
                self.missing += 1
            yield raw


def check_anchors(outbox: Path, log_id: bytes, size: int, reader: TileReader, keys: LogKeys, add: Add) -> int:
    """Compare every anchor that is kept with the log's own roots; returns how many there are."""
    if not outbox.is_dir():
        return 0
    with reporting("list the anchors", outbox):
        paths = sorted([*outbox.glob("[0-9]*.json"), *outbox.glob("pending.json")])
    for path in paths:
        try:
            record = AnchorRecord.from_json(orjson.loads(read_bounded(path, FILE_LIMIT) or b""))
        except (LedgerError, ValueError) as error:
            add("anchor", path, f"it cannot be read: {error}")
            continue
        if record.log != log_id:
            add("anchor", path, "it is of another log")
        elif record.size > size and record.state is not AnchorState.LOST:
            add("anchor", path, f"size {record.size} was anchored, the log is signed up to {size}: it was rolled back")
        elif record.size <= size:
            _check_anchor(path, record, reader, keys, add)
    for path in sorted((outbox / "disputes").glob("*.json")):
        add("dispute", path, "the chain contradicts the log, and nobody has resolved it")
    return len(paths)


def _check_anchor(path: Path, record: AnchorRecord, reader: TileReader, keys: LogKeys, add: Add) -> None:
    root = reader.root(record.size)
    if root != record.root:
        add("anchor", path, f"size {record.size} was anchored with root {record.root.hex()}, the log has {root.hex()}")
        return
    try:
        signed = keys.open_checkpoint(record.checkpoint)
    except LedgerError as error:
        add("anchor", path, f"its checkpoint is not this log's: {error.detail}")
        return
    if (signed.size, signed.root) != (record.size, record.root):
        add("anchor", path, "its checkpoint is of another tree")
