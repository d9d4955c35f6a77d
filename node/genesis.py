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
from ledger.log.tree import EMPTY_ROOT
from ledger.state.transition import transition
from ledger.state.view import MemoryState
from ledger.statements import Draft, decode_statement, sign, subjects
from ledger.store.durable import make_directories, replace_file
from ledger.store.journal import Journal
from ledger.store.lock import CheckpointLock, LockState
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


def draft_genesis(
    origin: str, cose: Signer, note: Signer, members: Sequence[RootMember], threshold: int, policy: Policy, now: int
) -> Draft:
    """The genesis of a log before consents: Ed25519 and ES256 admitted, rules version 1."""
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
                "note": {"alg": note.suite.alg, "key": note.public_key},
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
        },
    )


def create_log(folder: DataFolder, lock_path: Path, draft: Draft, cose: Signer, consents: Sequence[bytes]) -> bytes:
    """Sign the genesis, make it the durable entry 0, and return the log id (32 bytes).

    Raises:
        RefusedStartError: there is something in the data directory already.
        Rejection: the rules refuse this genesis.

    """
    if folder.path.exists() and any(folder.path.iterdir()):
        raise RefusedStartError(
            "The data directory is not empty", where=str(folder.path), remedy="Choose another, or remove what is there"
        )
    genesis = decode_statement(sign(draft, cose, consents))
    transition(MemoryState(), genesis, 0)
    make_directories(folder.path, 0o700)
    instance = secrets.token_bytes(16)
    with CheckpointLock.open(lock_path, folder.path) as lock:
        journal = Journal.open(folder.journal)
        journal.append([genesis.raw])
        journal.close()
        make_directories(folder.served)
        lock.create(LockState(genesis.leaf, instance, 0, EMPTY_ROOT, b""))
        replace_file(folder.instance, instance, 0o600)  # last: from here on there is a log
    return genesis.leaf
