"""What the anchor worker writes into its outbox, made from what was published and what the chain says.

Owns how the two are put together, nothing else: no chain is asked here and no file written. The chain's words are
taken as its node said them; the worker has compared sizes and roots before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from node.chain.protocol import Anchored, AnchorEvidence, ChainIdentity, Head
from node.outbox import AnchorRecord, AnchorState, Attempt
from node.publisher import Published

MAX_ATTEMPTS = 20
"""Transactions that are kept, and made, for one anchor."""


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
