"""The contract's `Anchored` events, out of raw logs: an event decoder for every log would be the slowest part of all.

They tell where an anchor is and which transaction brought it; what it holds is read from the contract.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address

from node.chain.artifact import Artifact
from node.chain.logs import logs_of, topics_of
from node.chain.protocol import Anchored
from node.chain.rpc import Rpc, guarded, quantity, unhex


@dataclass(frozen=True, slots=True)
class AnchoredEvent:
    """One event: the anchor that it tells of, and the hash of its block (32 bytes)."""

    anchored: Anchored
    block_hash: bytes


def anchored_events(
    rpc: Rpc, artifact: Artifact, contract: str, log: bytes, blocks: tuple[int, int], *,
    size: int | None = None, time_of: Callable[[int], int],
) -> list[AnchoredEvent]:  # fmt: skip
    """Events of a log from the first to the last of `blocks`, both included; with `size` those at that size.

    `time_of` gives the time of the anchor at a size: older nodes leave blockTimestamp out of logs.

    Raises:
        ChainUnavailableError: no node gave an answer, or it is not of this form.

    """
    topics = [artifact.topics["Anchored"], log, None if size is None else size.to_bytes(32, "big")]
    found = guarded(rpc, lambda node: logs_of(node, contract, topics, blocks))
    return [_decode(entry, time_of) for entry in found]


def _decode(entry: dict[str, Any], time_of: Callable[[int], int]) -> AnchoredEvent:
    data = unhex(entry.get("data"), 64)
    size = int.from_bytes(topics_of(entry)[2], "big")
    time = entry.get("blockTimestamp")
    anchored = Anchored(
        size=size,
        root=data[:32],
        block=quantity(entry.get("blockNumber")),
        time=time_of(size) if time is None else quantity(time),
        sender=to_checksum_address(data[44:]),
        tx=unhex(entry.get("transactionHash"), 32),
    )
    return AnchoredEvent(anchored, unhex(entry.get("blockHash"), 32))
