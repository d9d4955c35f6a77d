"""Small logs that sign checkpoints, and a witness in a folder: what the witness tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.http.witness import open_witness
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.notes import ED25519, Vkey
from ledger.log.proofs import consistency_proof
from ledger.log.tiles import TileEdge, TileNodes
from ledger.log.tree import leaf_hash, root_of
from node.clock import Clock, SystemClock
from node.witness.folder import Settings, WitnessFolder
from node.witness.request import write_request
from node.witness.witness import Witness
from tests.world import key

NAME = "witness.example/w"


class ToyLog:
    """A log of arbitrary leaves with a note key: enough for a plain witness."""

    def __init__(self, origin: str = "log.example/toy", salt: bytes = b"") -> None:
        self.origin = origin
        self.signer = key(f"note of {origin}")
        self.vkey = Vkey(origin, ED25519, self.signer.public_key)
        self.leaves = [leaf_hash(b"%d" % index + (salt if index >= 5 else b"")) for index in range(40)]

    def root(self, size: int) -> bytes:
        return root_of(self.leaves[:size])

    def note(self, size: int, root: bytes | None = None) -> bytes:
        return sign_checkpoint(self.signer, Checkpoint(self.origin, size, self.root(size) if root is None else root))

    def proof(self, old: int, size: int) -> list[bytes]:
        edge = TileEdge()
        edge.extend(self.leaves[:size])
        tiles = {(ref.level, ref.index): data for ref, data in edge.partials()}
        nodes = TileNodes(size, lambda level, index, _width: tiles[level, index])
        return consistency_proof(old, size, nodes.get_node)

    def request(self, old: int, size: int) -> bytes:
        return write_request(old, self.proof(old, size), self.note(size))


class StillClock:
    """A clock that a test sets."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.at = now
        self.steady = 0.0

    def wall(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.steady

    def passes(self, seconds: float) -> None:
        self.at += seconds
        self.steady += seconds


def make_witness(folder: Path, *logs: tuple[Vkey, str], replaying: bool = False, name: str = NAME) -> Vkey:
    home = WitnessFolder(folder)
    vkey = home.create(Settings(name, replaying=replaying, port=0))
    for log, url in logs:
        home.add_log(log, url)
    return vkey


@contextmanager
def opened(folder: Path, clock: Clock | None = None) -> Iterator[Witness]:
    """A plain witness over a folder, without HTTP."""
    home = WitnessFolder(folder)
    settings = home.settings()
    with home.open_logs() as logs:
        yield Witness(home.signer(settings), settings.name, logs, clock or SystemClock())


@contextmanager
def replaying(folder: Path, clock: Clock) -> Iterator[Witness]:
    """A replaying witness over a folder, without HTTP of its own."""
    with open_witness(folder, clock) as witness:
        yield witness
