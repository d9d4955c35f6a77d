"""Where each microsecond of one registration goes: every step of the write path alone, on the same statements.

Each step runs in this process without the others beside it, so the sum is what one statement costs the machine, not how
long it takes. Groups have 512 statements, batches 16 groups.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import common

from api.http.answers import encode_outcomes
from api.http.splitter import Splitter
from ledger.errors import LedgerError
from ledger.identifiers.did_key import did_key
from ledger.log.group import GroupTree
from ledger.log.tree import EMPTY_ROOT
from ledger.state.transition import transition
from ledger.state.view import Overlay
from ledger.statements import Statement, decode_statement
from ledger.store.index import Index
from ledger.store.journal import Journal
from ledger.store.replay import changes_of, index_update, trust
from ledger.store.tiles import TileWriter
from node.config import load_config
from node.recovery import DataFolder, open_log
from node.submission import Admitted, Outcome
from node.verifiers import check_batch

GROUP = 512
GROUPS = 32


def timed(name: str, count: int, work: Callable[[], object], table: dict[str, float]) -> None:
    """Run `work` once and note its cost for each of `count` statements, in microseconds of wall time."""
    begun = time.perf_counter()
    work()
    table[name] = round((time.perf_counter() - begun) / count * 1e6, 2)


def main() -> None:
    """Run and report."""
    table: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="tial-bench-") as temporary:
        folder = Path(temporary)
        config_path = common.make_log(folder / "node")
        server = common.start(config_path)
        signer = common.enterprise(server)
        count = GROUP * GROUPS
        raws = list(common.registrations(server.log_id, signer, 0, count))
        server.stop()
        config = load_config(config_path)
        recovered = open_log(DataFolder(config.data_path), config.path(config.lock), None, recover_lock=False)
        try:
            measure(raws, signer.public_key, recovered.index, recovered.journal.next_index, folder, table)
        finally:
            recovered.close()
    common.report(
        "steps", microseconds=table, sum=round(sum(table.values()), 1), statement_bytes=len(raws[0]), group=GROUP,
        issuer=did_key(signer.public_key, "ed25519")[:16],
    )  # fmt: skip


def measure(raws: list[bytes], key: bytes, index: Index, size: int, folder: Path, table: dict[str, float]) -> None:
    """Take all statements through every step in turn."""
    count = len(raws)
    body = b"".join(raws)
    blocks = [body[start : start + 65_536] for start in range(0, len(body), 65_536)]
    splitter = Splitter()
    timed("split the stream", count, lambda: [splitter.feed(block) for block in blocks], table)
    statements: list[Statement] = []
    timed("decode strictly", count, lambda: statements.extend(map(decode_statement, raws)), table)
    checks = [(st.alg, key, st.signed, st.signature) for st in statements]
    timed("verify the signature", count, lambda: check_batch(checks), table)
    view = Overlay(index.record)
    decided: list[list[tuple[object, object, int | None]]] = []

    def decide() -> None:
        at = size
        for first in range(0, count, GROUP):
            group: list[tuple[object, object, int | None]] = []
            for st in statements[first : first + GROUP]:
                changes = transition(view, st, at, trust)
                group += changes_of(view, changes)
                view.apply(changes)
                at += 1
            decided.append(group)

    timed("decide (transition function)", count, decide, table)
    leaves = [st.leaf for st in statements]
    groups = [leaves[first : first + GROUP] for first in range(0, count, GROUP)]
    timed("group tree for the acknowledgement", count, lambda: [GroupTree(group).root for group in groups], table)
    journal = Journal.open(folder / "journal")
    timed(
        "journal: append and fdatasync", count,
        lambda: [journal.append(raws[first : first + GROUP]) for first in range(0, count, GROUP)], table,
    )  # fmt: skip
    journal.close()
    updates = []

    def encode() -> None:
        at = size
        for group in decided:
            at += GROUP
            updates.append(index_update(at, group, []))  # type: ignore[arg-type]

    timed("encode records and keys", count, encode, table)

    def apply() -> None:
        for update in updates:
            index.apply(update)

    timed("index: LevelDB and filter", count, apply, table)
    outcomes: list[Outcome] = [Admitted(at, leaf) for at, leaf in enumerate(leaves)]
    timed("encode the answers", count, lambda: encode_outcomes(outcomes), table)
    writer = TileWriter.open(folder / "log", 0, EMPTY_ROOT)

    def publish() -> None:
        for first in range(0, count, GROUP * 16):
            writer.extend(raws[first : first + GROUP * 16], leaves[first : first + GROUP * 16])
            if not writer.flush():
                raise LedgerError("nothing was written")

    timed("tree, tiles and bundles, durable", count, publish, table)


if __name__ == "__main__":
    main()
