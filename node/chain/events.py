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

    `time_of` gives the time of the anchor at a size: older nodes leave blockTimestamp out of logs.

    Raises:
        ChainUnavailableError: no node gave an answer, or it is not of this form.

    """
    topics = [artifact.topics["Anchored"], log, *([] if size is None else [size.to_bytes(32, "big")])]
    first, last = blocks
    wanted = {
        "address": contract,
        "fromBlock": hex(first),
        "toBlock": hex(last),
        "topics": ["0x" + topic.hex() for topic in topics],
    }
    found = guarded(rpc, lambda node: node.call("eth_getLogs", wanted))
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ChainUnavailableError("the chain gave no list of logs", where=rpc.place)
    events = [_decode(entry, contract, topics, rpc.place, time_of) for entry in found]
    if not all(first <= event.anchored.block <= last for event in events):
        raise ChainUnavailableError(f"the chain gave a log from outside of blocks {first} to {last}", where=rpc.place)
    return events


def _decode(
    entry: dict[str, object], contract: str, wanted: list[bytes], place: str, time_of: Callable[[int], int]
) -> AnchoredEvent:
    told = entry.get("topics")
    topics = [unhex(topic, 32) for topic in told] if isinstance(told, list) else []
    asked_for = len(topics) == 3 and topics[: len(wanted)] == wanted
    if not asked_for or unhex(entry.get("address"), 20) != unhex(contract, 20):
        raise ChainUnavailableError("the chain gave a log that is not the anchor asked for", where=place)
    data = unhex(entry.get("data"), 64)
    size = int.from_bytes(topics[2], "big")
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
