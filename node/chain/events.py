"""The contract's `Anchored` events, out of raw logs: an event decoder for every log would be the slowest part of all.

Events are the node's word. They tell where an anchor is and which transaction brought it; what it holds is read from
the contract. Follows EIP-1474 for the call, contracts/src for the event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from node.chain.artifact import Artifact
from node.chain.protocol import Anchored, ChainUnavailableError
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

    `time_of` gives the time of the anchor at a size: nodes older than eth_getLogs with blockTimestamp leave it out.

    Raises:
        ChainUnavailableError: no node gave an answer, or it is not of this form.

    """
    topics = ["0x" + artifact.topics["Anchored"].hex(), "0x" + log.hex()]
    if size is not None:
        topics.append("0x" + size.to_bytes(32, "big").hex())
    first, last = blocks
    wanted = {"address": contract, "fromBlock": hex(first), "toBlock": hex(last), "topics": topics}
    found = guarded(rpc, lambda node: node.call("eth_getLogs", wanted))
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ChainUnavailableError("the chain gave no list of logs", where=rpc.place)
    return [_decode(entry, log, rpc.place, time_of) for entry in found]


def _decode(entry: dict[str, object], log: bytes, place: str, time_of: Callable[[int], int]) -> AnchoredEvent:
    topics = entry.get("topics")
    if not isinstance(topics, list) or len(topics) != 3 or unhex(topics[1], 32) != log:
        raise ChainUnavailableError("the chain gave a log that is no anchor of this log", where=place)
    data = unhex(entry.get("data"), 64)
    size = int.from_bytes(unhex(topics[2], 32), "big")
    told = entry.get("blockTimestamp")
    anchored = Anchored(
        size=size,
        root=data[:32],
        block=quantity(entry.get("blockNumber")),
        time=time_of(size) if told is None else quantity(told),
        sender=to_checksum_address("0x" + data[44:].hex()),
        tx=unhex(entry.get("transactionHash"), 32),
    )
    return AnchoredEvent(anchored, unhex(entry.get("blockHash"), 32))
