"""Whether a log kept its promises: kept acknowledgements beside what it has published.

Owns the comparison, and the split-view proof where a promise was broken. Reads a log that is served or mirrored
through `node.follower`, every byte under the checkpoint. Trusts the log's id alone: its genesis hashes to it and names
the first keys, and each later key is in an entry that the key before it signed. A node may hide such a change: then
what it shows is signed by no known key, and nothing can be told. Follows DESIGN section 6, acknowledgements.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

import orjson

from ledger.errors import UnavailableError
from ledger.evidence.promise import Kept, Promised
from ledger.evidence.split_view import LogIdentity, broken_promise, late_promise, verify_split_view
from ledger.log.checkpoint import Checkpoint
from ledger.log.group import single_proof
from ledger.log.notes import MAX_NOTE, Note
from ledger.state.log_keys import LogKeys
from ledger.statements import Statement, decode_statement, verify_statement_signature
from ledger.statements.acknowledgement import Acknowledgement
from ledger.statements.types import media_type
from ledger.store.durable import read_bounded
from node.follower import Fetch, Followed, UnverifiedError

MAX_ANSWER: Final = 1 << 20
MAX_CHANGES: Final = 256
_MANIFEST: Final = media_type("manifest").encode()
_LOG: Final = media_type("log").encode()


class Standing(Enum):
    """How a promise stands."""

    KEPT = "kept"
    LATE = "late"
    BROKEN = "broken"
    NOT_DUE = "not due yet"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a kept line; `proof` is the split-view proof where the log broke its word."""

    standing: Standing
    detail: str
    entries: int = 0
    proof: bytes | None = None


class PublishedLog:
    """A log at the checkpoint that it shows now. For one thread."""

    def __init__(self, fetch: Fetch, log_id: bytes) -> None:
        """`fetch` reads its files, as `node.follower.Fetch`.

        Raises:
            UnavailableError: no answer, or no checkpoint.
            UnverifiedError: it is another log, or what is served is not under its checkpoint.
            MalformedError, NoteSignatureError: the checkpoint is not in form, or signed by no key of the log.

        """
        note = fetch("checkpoint", MAX_NOTE)
        if note is None:
            raise UnavailableError("The log has published no checkpoint", where="checkpoint")
        shown = Checkpoint.parse(Note.parse(note).text)
        self.log_id = log_id
        self.note = note
        self.followed = Followed(fetch, shown.size, shown.root)
        self.keys = _keys(self.followed, fetch, log_id)
        self.size = self.keys.open_checkpoint(note).size
        self._node = self.followed.nodes().get_node
        self._closed: tuple[int, int, Statement] | None = None

    def leaf(self, index: int) -> bytes:
        """The leaf hash at an index below the size."""
        return self._node(0, index)

    def closing(self, index: int) -> tuple[int, Statement]:
        """The manifest that closes an entry's batch, with its index; the entry's own where it is one."""
        if self._closed is None or not self._closed[0] <= index <= self._closed[1]:
            for at, raw in enumerate(self.followed.entries(index, self.size), index):
                found = decode_statement(raw) if _MANIFEST in raw else None
                if found is not None and found.type == "manifest":
                    self._closed = (index, at, found)
                    break
            else:
                raise UnverifiedError("no manifest closes the log", where=f"size {self.size}")
        return self._closed[1:]


def read_folder(path: Path) -> Fetch:
    """Read the files of a mirror as those of a served log."""
    return lambda name, limit: read_bounded(path / name, limit)


def judge(kept: Kept, log: PublishedLog, now: int) -> Judged:
    """Say how a kept promise stands at `now`, Unix seconds of the submitter's clock.

    Raises:
        MalformedError: the acknowledgement is not the log's, or not of these entries.
        UnavailableError, UnverifiedError: the log does not serve what it signed.

    """
    run = kept.promised
    if run is None:
        return Judged(Standing.CANNOT_TELL, "the log has not answered this statement, and so promised nothing", 1)
    ack = run.open(kept.log_id, log.keys)
    told = _judge(run, ack, log, now)
    if told.proof is not None:
        verify_split_view(told.proof, LogIdentity(log.log_id, log.keys))
    return told


def _judge(run: Promised, ack: Acknowledgement, log: PublishedLog, now: int) -> Judged:
    count, end = len(run.leaves), run.first + len(run.leaves)
    span = f"entry {run.first}" if count == 1 else f"entries {run.first} to {end - 1}"
    for index in range(run.first, min(end, log.size)):
        if log.leaf(index) != run.leaves[index - run.first]:
            detail = f"another leaf stands as entry {index} than the log acknowledged"
            return Judged(Standing.BROKEN, detail, count, _other_leaf(run, ack, log, index))
    if not log.size:
        raise UnavailableError("the log is empty", where="checkpoint")
    at, manifest = log.closing(min(end, log.size) - 1)
    if manifest.iat > ack.publish_by:
        detail = f"{span}: promised by {ack.publish_by}, but {'' if end <= log.size else 'not there when '}"
        detail += f"closed only at {manifest.iat}" if end <= log.size else f"the log was closed at {manifest.iat}"
        proof = late_promise(ack=run.ack, note=log.note, manifest=manifest.raw, proof=log.followed.inclusion(at))
        return Judged(Standing.LATE, detail, count, proof)
    if end <= log.size:
        return Judged(Standing.KEPT, f"{span}: published in the batch closed at {manifest.iat}", count)
    if now <= ack.publish_by:
        return Judged(Standing.NOT_DUE, f"{span}: promised by {ack.publish_by}", count)
    detail = f"{span}: promised by {ack.publish_by}, and the log has signed nothing later than {manifest.iat}"
    return Judged(Standing.CANNOT_TELL, detail, count)


def _other_leaf(run: Promised, ack: Acknowledgement, log: PublishedLog, index: int) -> bytes:
    group = single_proof(index - ack.first, run.first - ack.first, run.leaves, ack.size, run.proof)
    return broken_promise(
        run.ack, log.note, index=index, leaf=run.leaves[index - run.first], group_proof=group,
        logged=log.leaf(index), proof=log.followed.inclusion(index),
    )  # fmt: skip


# -- the log's keys ----------------------------------------------------------------------------------------------------


def _keys(followed: Followed, fetch: Fetch, log_id: bytes) -> LogKeys:
    """All the keys that the log had: the genesis, and the entries that changed them."""
    if not followed.size:
        raise UnavailableError("the log is empty", where="checkpoint")
    genesis = decode_statement(followed.entry(0))
    if genesis.leaf != log_id:
        raise UnverifiedError(
            f"this is the log {genesis.leaf.hex()}; the promise is of {log_id.hex()}",
            where="entry 0",
            remedy="Name the node or the mirror of that log",
        )
    keys = LogKeys.of([(0, genesis)])
    for index, raw in _changes(followed, fetch):
        change = decode_statement(raw)
        if change.type != "log":
            continue
        signer = keys.cose_at(index)
        known = (change.aud, change.alg) == (log_id.hex(), signer.alg)
        if not known or not verify_statement_signature(change, signer.key):
            raise UnverifiedError("a change of the log's keys is not signed by the key before it", where=str(index))
        keys = keys.after(index, change)
    return keys


def _changes(followed: Followed, fetch: Fetch) -> Iterator[tuple[int, bytes]]:
    """Entries that may have changed the keys: where the node says so, else wherever a mirror holds one."""
    told = fetch("v1/log", MAX_ANSWER)
    if told is not None:
        yield from ((index, followed.entry(index)) for index in _told(told) if index < followed.size)
        return
    for index, raw in enumerate(followed.entries(1, followed.size), 1):
        if _LOG in raw:  # a statement of another type may hold the text, too
            yield index, raw


def _told(answer: bytes) -> list[int]:
    """Indexes of the `log` statements that began a period of a key."""
    try:
        keys = orjson.loads(answer)["keys"]
        found = {int(period["first"]) - 1 for purpose in ("cose", "note") for period in keys[purpose]}
    except (ValueError, KeyError, TypeError) as error:
        raise UnverifiedError("the node's description of the log cannot be read", where="v1/log") from error
    changes = sorted(index for index in found if index >= 0)
    if len(changes) > MAX_CHANGES:
        raise UnverifiedError(f"the node tells of {len(changes)} changes of keys", where="v1/log")
    return changes
