"""Making a log: genesis, its first durable entry, and the lock that belongs to it.

Root authorities consent to the genesis before it is signed. For a consortium their keys are elsewhere: the draft
gives the digest that they sign, `create_log` takes their consents.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.crypto.suites import SUITES, Signer
from ledger.errors import RefusedStartError
from ledger.identifiers.did_key import did_key
from ledger.log.note_key import prove_note_key
from ledger.log.tree import EMPTY_ROOT
from ledger.state.transition import transition
from ledger.state.view import MemoryState
from ledger.statements import Draft, Statement, decode_statement, sign, subjects
from ledger.store.durable import make_directories, replace_file
from ledger.store.journal import Journal, look_at
from ledger.store.lock import WRITER_FILE, CheckpointLock, LockState, LockStatus
from node.recovery import DataFolder


@dataclass(frozen=True, slots=True)
class Policy:
    """Constants of a log: clock skew, oldest iat and rotation delay, all in seconds."""

    skew: int = 300
    max_age: int = 86_400
    rotation_delay: int = 86_400


@dataclass(frozen=True, slots=True)
class RootMember:
    """A root authority: its DID, suite name and public key."""

    did: str
    suite: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The log that this one goes on from: its id, and a signed size and root of it (32 bytes each)."""

    log: bytes
    size: int
    root: bytes


def draft_genesis(
    origin: str,
    cose: Signer,
    note: Signer,
    members: Sequence[RootMember],
    threshold: int,
    policy: Policy,
    now: int,
    *,
    predecessor: Predecessor | None = None,
) -> Draft:
    """The genesis of a log before consents: Ed25519 and ES256 admitted, rules version 1."""
    before: dict[str, object] = {}
    if predecessor is not None:
        before["predecessor"] = {
            "log": predecessor.log.hex(), "size": predecessor.size, "root": predecessor.root
        }  # fmt: skip
    return Draft(
        type="genesis",
        iss=did_key(cose.public_key, cose.suite.name),
        sub=subjects.origin(origin),
        aud=None,
        iat=now,
        body={
            "origin": origin,
            "keys": {
                "cose": {"alg": cose.suite.alg, "key": cose.public_key},
                "note": {
                    "alg": note.suite.alg,
                    "key": note.public_key,
                    "proof": prove_note_key(note, origin, b"", cose.public_key),
                },
            },
            "root": {
                "members": [{"did": m.did, "alg": SUITES[m.suite].alg, "key": m.key} for m in members],
                "threshold": threshold,
            },
            "suites": [-8, -7],
            "policy": {
                "skew": policy.skew,
                "max_age": policy.max_age,
                "rotation_delay": policy.rotation_delay,
            },
            "rules": 1,
            **before,
        },
    )


def create_log(folder: DataFolder, lock_path: Path, draft: Draft, cose: Signer, consents: Sequence[bytes]) -> bytes:
    """Sign the genesis, make it the durable entry 0, and return the log id (32 bytes).

    A crash in the middle leaves a folder without the file `instance`, in which nothing was ever acknowledged: called
    again with the same genesis, it goes on from there.

    Raises:
        RefusedStartError: there is something in the data directory already.
        Rejection: the rules refuse this genesis.

    """
    genesis = decode_statement(sign(draft, cose, consents))
    transition(MemoryState(), genesis, 0)
    genesis = _half_made(folder, genesis) or genesis
    make_directories(folder.path, 0o700)
    with CheckpointLock.open(lock_path, folder.path) as lock:
        with Journal.open(folder.journal) as journal:
            if not journal.next_index:
                journal.append([genesis.raw])
        make_directories(folder.served)
        reading = lock.read()
        if reading.status is LockStatus.INTACT and reading.state is not None and reading.state.log == genesis.leaf:
            instance = reading.state.instance  # written just before the crash
        else:
            instance = secrets.token_bytes(16)
            lock.create(LockState(genesis.leaf, instance, 0, EMPTY_ROOT, b""))
        replace_file(folder.instance, instance, 0o600)  # last: from here on there is a log
    return genesis.leaf


def _half_made(folder: DataFolder, genesis: Statement) -> Statement | None:
    """The genesis that an earlier try made durable, if it is of the same act; RefusedStartError for anything else."""
    known = {folder.journal, folder.served, folder.path / WRITER_FILE}
    if not folder.path.exists() or not (found := set(folder.path.iterdir())):
        return None
    if found <= known and not (folder.served.exists() and any(folder.served.iterdir())):
        journal = look_at(folder.journal)
        entries = [entry for _, entry in journal.entries(0)] if journal.first_index == 0 else [b"", b""]
        if not entries:
            return None
        if len(entries) == 1:
            begun = decode_statement(entries[0])
            if begun.act == genesis.act:
                return begun
            raise RefusedStartError(
                "Another log was begun here and not finished; nothing was ever acknowledged in it",
                where=str(folder.path),
                remedy="Finish it with its own genesis, or remove this directory and its lock",
            )
    raise RefusedStartError(
        "The data directory is not empty", where=str(folder.path), remedy="Choose another, or remove what is there"
    )
