"""What the outbox keeps: the record of one anchor, its form as JSON, and how it is made from log and chain.

Owns how what was published and what the chain says are put together, nothing else: no chain is asked here and no file
written. The chain's words are taken as its node said them; the worker has compared sizes and roots before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ledger.errors import MalformedError
from node.chain.protocol import Anchored, AnchorEvidence, ChainIdentity, Head
from node.publisher import Published

FORMAT = "tial-anchor-v1"
MAX_ATTEMPTS = 20
"""Transactions that are kept, and made, for one anchor."""


class AnchorState(Enum):
    """PENDING: under way. DONE: final on the chain. LOST: it was final, but the chain does not have it any more."""

    PENDING = "pending"
    DONE = "done"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed transaction for an anchor; `price` is the most it pays for a unit of gas, `created` Unix seconds."""

    raw: bytes
    hash: bytes
    nonce: int
    price: int
    created: int


@dataclass(frozen=True, slots=True)
class AnchorRecord:
    """One anchor. `previous` is the size that its consistency proof starts from.

    `tx`, `block`, `time`, `sender`, `gas`, `fee` (wei) are what the chain says, zero or empty until it is DONE; `tx` is
    empty too where the chain's node has no event for it. `time` is the block's, `created` and `finished` the node's
    clock, all Unix seconds.
    """

    log: bytes
    size: int
    root: bytes
    checkpoint: bytes
    previous: int
    chain_id: int
    contract: str
    state: AnchorState
    created: int
    attempts: tuple[Attempt, ...] = ()
    tx: bytes = b""
    block: int = 0
    time: int = 0
    sender: str = ""
    gas: int = 0
    fee: int = 0
    finished: int = 0

    def on(self, chain: ChainIdentity) -> bool:
        """Tell whether it is of this contract: the configuration may have named another one before."""
        return (self.chain_id, self.contract) == (chain.chain_id, chain.contract)

    def to_json(self) -> dict[str, Any]:
        """As it is kept and shown: bytes in hex, the checkpoint as its text, amounts of wei as decimal text."""
        return {
            "format": FORMAT,
            "log": self.log.hex(),
            "size": self.size,
            "root": self.root.hex(),
            "checkpoint": self.checkpoint.decode(),
            "previous": self.previous,
            "chain_id": self.chain_id,
            "contract": self.contract,
            "state": self.state.value,
            "created": self.created,
            "attempts": [
                {
                    "raw": a.raw.hex(),
                    "hash": a.hash.hex(),
                    "nonce": a.nonce,
                    "price": str(a.price),
                    "created": a.created,
                }
                for a in self.attempts
            ],
            "tx": self.tx.hex(),
            "block": self.block,
            "time": self.time,
            "sender": self.sender,
            "gas": self.gas,
            "fee": str(self.fee),
            "finished": self.finished,
        }

    @classmethod
    def from_json(cls, document: Any) -> AnchorRecord:
        """Read what `to_json` gave; MalformedError for anything else."""
        try:
            if document["format"] != FORMAT:
                raise MalformedError("another format", where="format")
            return cls(
                log=bytes.fromhex(document["log"]),
                size=int(document["size"]),
                root=bytes.fromhex(document["root"]),
                checkpoint=document["checkpoint"].encode(),
                previous=int(document["previous"]),
                chain_id=int(document["chain_id"]),
                contract=str(document["contract"]),
                state=AnchorState(document["state"]),
                created=int(document["created"]),
                attempts=tuple(
                    Attempt(
                        raw=bytes.fromhex(a["raw"]),
                        hash=bytes.fromhex(a["hash"]),
                        nonce=int(a["nonce"]),
                        price=int(a["price"]),
                        created=int(a["created"]),
                    )
                    for a in document["attempts"]
                ),
                tx=bytes.fromhex(document["tx"]),
                block=int(document["block"]),
                time=int(document["time"]),
                sender=str(document["sender"]),
                gas=int(document["gas"]),
                fee=int(document["fee"]),
                finished=int(document["finished"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MalformedError(f"this is no anchor record: {error!r}") from error


def begun(
    before: AnchorRecord | None,
    attempt: Attempt,
    *,
    log_id: bytes,
    published: Published,
    previous: int,
    identity: ChainIdentity,
) -> AnchorRecord:
    """The anchor under way with a new transaction: one more of `before`, where that is the same anchor."""
    if before is not None and (before.size, before.root, before.previous) == (
        published.size,
        published.root,
        previous,
    ):
        return replace(before, attempts=(*before.attempts, attempt)[-MAX_ATTEMPTS:])
    return AnchorRecord(
        log=log_id,
        size=published.size,
        root=published.root,
        checkpoint=published.checkpoint,
        previous=previous,
        chain_id=identity.chain_id,
        contract=identity.contract,
        state=AnchorState.PENDING,
        created=attempt.created,
        attempts=(attempt,),
    )


def done(base: AnchorRecord | None, published: Published, evidence: AnchorEvidence, now: int) -> AnchorRecord:
    """The final anchor; `base` is what the outbox had of it, under way or known before."""
    return AnchorRecord(
        log=evidence.log,
        size=published.size,
        root=published.root,
        checkpoint=published.checkpoint,
        previous=base.previous if base else 0,
        chain_id=evidence.identity.chain_id,
        contract=evidence.identity.contract,
        state=AnchorState.DONE,
        created=base.created if base else now,
        attempts=base.attempts if base else (),
        tx=evidence.tx,
        block=evidence.block,
        time=evidence.time,
        sender=evidence.sender,
        gas=evidence.gas,
        fee=evidence.fee,
        finished=now,
    )


def listed(anchored: Anchored, log_id: bytes, identity: ChainIdentity, now: int) -> AnchorRecord:
    """An anchor that the outbox lost, as the chain's event tells of it."""
    return AnchorRecord(
        log=log_id,
        size=anchored.size,
        root=anchored.root,
        checkpoint=b"",
        previous=0,
        chain_id=identity.chain_id,
        contract=identity.contract,
        state=AnchorState.DONE,
        created=anchored.time,
        tx=anchored.tx,
        block=anchored.block,
        time=anchored.time,
        sender=anchored.sender,
        finished=now,
    )


def dispute(
    detail: str, log_id: bytes, identity: ChainIdentity, head: Head, published: Published | None
) -> dict[str, Any]:
    """Evidence of a contradiction between chain and log, for people to judge."""
    return {
        "format": "tial-dispute-v1",
        "detail": detail,
        "log": log_id.hex(),
        "chain_id": identity.chain_id,
        "contract": identity.contract,
        "block": head.block,
        "size": head.size,
        "root": head.root.hex(),
        "time": head.time,
        "published_size": published.size if published else 0,
        "published_root": published.root.hex() if published else "",
        "checkpoint": published.checkpoint.decode(errors="replace") if published else "",
    }
