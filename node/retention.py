"""Which closed batches stay provable: the last ones, by configuration, those of the newest anchors, the published one.

An anchor's checkpoint is what somebody without the network trusts longest, so the state as of then is kept while newer
batches come and go (`ledger.store.state_tree`). Trusts the outbox for what is anchored; a wrong word there keeps a
batch too many or too few, nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Final

from ledger.errors import LedgerError
from ledger.state.records import LogRecord
from ledger.state.view import Overlay
from ledger.store.index import Index
from ledger.store.state_tree import Retention
from node.anchor.outbox import Outbox
from node.anchor.records import AnchorRecord, AnchorState
from node.config import StateConfig

log = logging.getLogger(__name__)

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
        parameters = Overlay(index.record).read(LogRecord)
        if parameters is None or not outbox.is_dir():
            return []
        return Outbox(outbox, parameters.log_id).anchors(limit=ANCHORS)

    return read


def pins_of(
    index: Index, anchors: Callable[[], Iterable[AnchorRecord]], sizes: Callable[[], Iterable[int]]
) -> Callable[[], Collection[int]]:
    """The batches whose manifest is the last entry of an anchored checkpoint, or of one of `sizes`, as far as indexed.

    `sizes` are those of the published and of the signed checkpoint: while witnesses are away, batches go on being
    closed, and what is published stays provable. Asked on the way to an acknowledgement, which an outbox that cannot
    be read must not stop: the anchors that it told of last then stand.
    """
    known: list[int] = []

    def pins() -> set[int]:
        try:
            known[:] = [record.size for record in anchors() if record.state is AnchorState.DONE]
        except (LedgerError, OSError):
            log.exception("the outbox cannot be read: the anchors that it told of last stay pinned")
        found = [(size, index.batch_of_entry(size - 1)) for size in (*known, *sizes()) if size]
        return {batch[0] for size, batch in found if batch is not None and batch[1] == size - 1}

    return pins
