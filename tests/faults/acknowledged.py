"""What submitters hold against a log: every acknowledgement that they got, and the check that a log keeps them all."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.notes import ED25519, Vkey
from ledger.log.proofs import consistency_proof, root_from_range, verify_consistency
from ledger.log.tree import CompactRange, leaf_hash, root_of
from ledger.statements import decode_statement
from ledger.statements.acknowledgement import Acknowledgement, open_acknowledgement
from ledger.store.index import Index
from ledger.store.replay import replay
from ledger.store.tiles import TileReader
from node.config import Config
from node.node import Node
from node.recovery import DataFolder
from tests.nodes import ORIGIN
from tests.world import key

COSE = key("cose")
VKEY = Vkey(ORIGIN, ED25519, key("note").public_key)


@dataclass
class Acknowledged:
    """All that was acknowledged and published so far, over every life of the node."""

    places: dict[bytes, int] = field(default_factory=dict)
    """Leaf hash to index, as answered; two answers that differ are caught at once."""
    end: int = 0
    """The log must hold at least so many entries: whole groups were durable before the first of their answers."""
    runs: list[tuple[int, int, Acknowledgement, list[bytes]]] = field(default_factory=list)
    published: Checkpoint | None = None
    leaves: list[bytes] = field(default_factory=list)
    acts: set[bytes] = field(default_factory=set)
    verified: int = 0
    """Acknowledgements checked."""

    def hear(self, line: dict[str, Any]) -> None:
        """Take one line of answers."""
        assert not line["refused"], line["refused"][0]
        for index, leaf, _ in line["answers"]:
            known = self.places.setdefault(bytes.fromhex(leaf), index)
            assert known == index, f"one statement was answered with two places, {known} and {index}"
        for first, count, raw, proof in line["runs"]:
            ack = open_acknowledgement(bytes.fromhex(raw), COSE.suite.alg or 0, COSE.public_key)
            self.end = max(self.end, ack.first + ack.size)
            self.runs.append((first, count, ack, [bytes.fromhex(p) for p in proof]))

    def see_published(self, config: Config) -> None:
        """Read the published checkpoint as a stranger would: it must extend every one seen before."""
        raw = (DataFolder(config.data_path).served / "checkpoint").read_bytes()
        seen = open_checkpoint(raw, VKEY)
        if self.published is not None:
            assert seen.size >= self.published.size, "what was published is gone"
            if seen.size == self.published.size:
                assert seen.root == self.published.root, "two roots of one size"
            if len(self.leaves) >= self.published.size:
                assert root_of(self.leaves[: self.published.size]) == self.published.root
        self._extends(seen, config)
        self.published = seen

    def _extends(self, seen: Checkpoint, config: Config) -> None:
        """Check the consistency proof from the newest checkpoint seen to this one, made from the tiles served."""
        if self.published is None:
            return
        reader = TileReader(DataFolder(config.data_path).served)
        old = self.published
        proof = consistency_proof(old.size, seen.size, reader.nodes(seen.size).get_node)
        assert verify_consistency(old.size, seen.size, old.root, seen.root, proof)

    async def check(self, config: Config, *, rebuild: Path | None = None) -> None:
        """Open the log and hold everything against it; `rebuild` names a folder to build the index in anew."""
        self.see_published(config)
        async with Node(config) as node:
            published = node.publisher.published
            self.see_published(config)
            assert self.published == Checkpoint(ORIGIN, published.size, published.root)
            assert published.size == node.admission.size, "a started node has published all that is durable"
            self._check_entries(node)
            self._check_acknowledgements(node)
            if rebuild is not None:
                with Index.open(rebuild) as fresh:
                    tree = CompactRange()
                    replay(fresh, node.reader.iter_entries(0, published.size), tree=tree)
                    assert tree.root() == published.root
                    assert fresh.checksum() == node.index.checksum(), "the index differs from a rebuilt one"

    def _check_entries(self, node: Node) -> None:
        size = node.publisher.published.size
        for raw in node.reader.iter_entries(len(self.leaves), size):
            st = decode_statement(raw)
            assert st.act not in self.acts, f"{st.sub} is there twice"
            self.acts.add(st.act)
            self.leaves.append(leaf_hash(raw))
        assert len(self.leaves) == size
        assert root_of(self.leaves) == node.publisher.published.root
        for leaf, index in self.places.items():
            assert self.leaves[index] == leaf, f"the acknowledged entry {index} is not there"

    def _check_acknowledgements(self, node: Node) -> None:
        for first, count, ack, proof in self.runs:
            assert ack.log_id == node.log_id
            assert ack.log_time < ack.publish_by
            run = self.leaves[first : first + count]
            assert root_from_range(first - ack.first, run, ack.size, proof) == ack.root
            assert root_of(self.leaves[ack.first : ack.first + ack.size]) == ack.root, "it contradicts the log"
        self.verified += len(self.runs)
        self.runs.clear()


def journal_records(path: Path) -> list[tuple[int, bytes]]:
    """The whole records of a journal segment: (offset behind it, entry)."""
    data = path.read_bytes()
    found: list[tuple[int, bytes]] = []
    at = 0
    while at + 8 <= len(data):
        length = struct.unpack_from(">I", data, at)[0]
        if at + 8 + length > len(data):
            break
        found.append((at + 8 + length, data[at + 8 : at + 8 + length]))
        at += 8 + length
    return found


def cut_power(config: Config, acknowledged_end: int, chance: Any) -> int:
    """Lose what a power cut may lose beyond a kill: entries that nobody was told of and no manifest closed.

    Cuts the last journal segment at any byte behind them; returns how many bytes went.
    """
    last = max(DataFolder(config.data_path).journal.glob("*.journal"))
    first = int(last.name[:20])
    keep = 0
    for number, (end, entry) in enumerate(journal_records(last)):
        if first + number < acknowledged_end or decode_statement(entry).type == "manifest":
            keep = end
    whole = last.stat().st_size
    cut: int = chance.randint(keep, whole)
    with last.open("r+b") as file:
        file.truncate(cut)
    return whole - cut
