"""An auditor of the demonstration's log: downloads it, computes the root itself, and replays every entry itself.

Trusts two things, known before the node was ever asked: the log id and the log's verifier key. Reads the public C2SP
paths only (checkpoint and entry bundles), and runs the same transition function as the node, every signature checked.
What it then knows of the state rests on nobody's word.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx

from ledger.errors import CorruptError, UnavailableError
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.notes import Vkey
from ledger.log.tiles import bundles_between, decode_entry_bundle
from ledger.log.tree import leaf_hash, root_of
from ledger.state.records import BatchRecord
from ledger.state.transition import transition, verify_signature
from ledger.state.view import MemoryState, Place
from ledger.statements import Statement, decode_statement

MAX_BUNDLE = 17 << 20


@dataclass(slots=True)
class Audit:
    """A log as the auditor has it. `touches` lists for every record the entries that touched it, oldest first."""

    checkpoint: Checkpoint
    note: bytes
    entries: list[Statement]
    leaves: list[bytes]
    log_times: list[int]
    state: MemoryState
    touches: dict[Place, list[int]]
    signatures: int
    size_bytes: int
    seconds: float

    def root_at(self, size: int) -> bytes:
        """The root over the first `size` leaves, computed from them."""
        return root_of(self.leaves[:size])


def audit(url: str, log_id: bytes, vkey: Vkey) -> Audit:
    """Download and check a whole log.

    Raises:
        CorruptError: the entries are not those of the signed checkpoint, or one was already there.
        Rejection: an entry that the rules refuse stands in the log.
        MalformedError, NoteSignatureError: the checkpoint is not this log's.
        UnavailableError: the node does not answer.

    """
    start = time.perf_counter()
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        note = _get(http, "/checkpoint")
        checkpoint = open_checkpoint(note, vkey)
        raws: list[bytes] = []
        for ref in bundles_between(0, checkpoint.size):
            raws += decode_entry_bundle(_get(http, f"/{ref.path}"), ref.width)
    raws = raws[: checkpoint.size]
    leaves = [leaf_hash(raw) for raw in raws]
    if root_of(leaves) != checkpoint.root or leaves[0] != log_id:
        raise CorruptError("The entries served are not those of the signed checkpoint", where=url)
    found = Audit(checkpoint, note, [], leaves, [], MemoryState(), {}, 0, sum(map(len, raws)), 0.0)
    acts: set[bytes] = set()
    for index, raw in enumerate(raws):
        statement = decode_statement(raw)
        if statement.act in acts:
            raise CorruptError("The same act stands in the log twice", where=f"entry {index}")
        acts.add(statement.act)
        _replay(found, statement, index)
    found.seconds = time.perf_counter() - start
    return found


def _replay(found: Audit, statement: Statement, index: int) -> None:
    def verify(alg: int, key: bytes, message: bytes, signature: bytes) -> bool:
        found.signatures += 1
        return verify_signature(alg, key, message, signature)

    batch = found.state.read(BatchRecord)
    found.log_times.append(statement.iat if batch is None else batch.time)
    changes = transition(found.state, statement, index, verify)
    found.state.apply(changes)
    for place in changes:
        found.touches.setdefault(place, []).append(index)
    found.entries.append(statement)


def _get(http: httpx.Client, path: str) -> bytes:
    try:
        answer = http.get(path)
    except httpx.HTTPError as error:
        raise UnavailableError(f"The node does not answer: {error}", where=path) from error
    if answer.status_code != httpx.codes.OK or len(answer.content) > MAX_BUNDLE:
        raise UnavailableError(f"The node answered {answer.status_code}", where=path)
    return answer.content
