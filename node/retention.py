"""Which closed batches stay provable: the last ones, by configuration, and those of the newest anchors.

An anchor's checkpoint is what somebody without the network trusts longest, so the state as of then is kept while newer
batches come and go (`ledger.store.state_tree`). Trusts the outbox for what is anchored; a wrong word there keeps a
batch too many or too few, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Final

from ledger.state.records import LogRecord
from ledger.state.view import Overlay
from ledger.store.index import Index
from ledger.store.state_tree import Retention
from node.config import StateConfig
from node.outbox import AnchorRecord, AnchorState, Outbox

ANCHORS: Final = 8
"""How many of the newest anchors keep their batch."""


def retention_of(config: StateConfig) -> Retention:
    """What the configuration says."""
    return Retention(config.retain, config.retain_bytes)


def anchored(outbox: Path, index: Index) -> Callable[[], list[AnchorRecord]]:
    """The newest anchors of an outbox that nobody writes at the moment; none where there is no outbox.

    They are read when they are first asked for: by then the index knows which log this is.
    """

    @cache
    def read() -> list[AnchorRecord]:
        log = Overlay(index.record).read(LogRecord)
        if log is None or not outbox.is_dir():
            return []
        return Outbox(outbox, log.log_id).anchors(limit=ANCHORS)

    return read


def pins_of(index: Index, anchors: Callable[[], Iterable[AnchorRecord]]) -> Callable[[], Collection[int]]:
    """The batches whose manifest is the last entry of an anchored checkpoint, as far as the index covers them."""

    def pins() -> set[int]:
        sizes = [record.size for record in anchors() if record.state is AnchorState.DONE]
        found = [(size, index.batch_of_entry(size - 1)) for size in sizes]
        return {batch[0] for size, batch in found if batch is not None and batch[1] == size - 1}

    return pins
