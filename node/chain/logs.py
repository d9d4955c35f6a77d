"""The logs of one contract, as eth_getLogs gives them: asked for in steps, taken only if they are what was asked for.

Logs are the node's word, and it can leave some out. What is in their data is read by who asked. Follows EIP-1474.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from node.chain.protocol import ChainUnavailableError
from node.chain.rpc import Rpc, quantity, unhex

STEP: Final = 2_000
"""Blocks asked for at once: many nodes refuse more."""


def steps(first: int, last: int, *, newest_first: bool = False) -> Iterator[tuple[int, int]]:
    """Ranges of at most `STEP` blocks from `first` to `last`, both included; in reverse order if `newest_first`."""
    begins = range(first, last + 1, STEP)
    for begin in reversed(begins) if newest_first else begins:
        yield begin, min(begin + STEP - 1, last)


def logs_of(rpc: Rpc, contract: str, topics: Sequence[bytes | None], blocks: tuple[int, int]) -> list[dict[str, Any]]:
    """Logs of a contract in a range of blocks, both ends included, oldest first: with as many topics, None for any.

    Raises:
        ChainUnavailableError: no node gave an answer, or it holds what was not asked for.
        RpcError: the node refused.

    """
    first, last = blocks
    asked = {
        "address": contract,
        "fromBlock": hex(first),
        "toBlock": hex(last),
        "topics": [None if topic is None else "0x" + topic.hex() for topic in topics],
    }
    found = rpc.call("eth_getLogs", asked)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ChainUnavailableError("the chain gave no list of logs", where=rpc.place)
    address = unhex(contract, 20)
    for entry in found:
        told = topics_of(entry)
        if (
            len(told) != len(topics)
            or any(wanted not in (None, topic) for wanted, topic in zip(topics, told, strict=True))
            or unhex(entry.get("address"), 20) != address
            or not first <= quantity(entry.get("blockNumber")) <= last
        ):
            raise ChainUnavailableError("the chain gave a log that was not asked for", where=rpc.place)
    return found


def topics_of(entry: dict[str, Any]) -> list[bytes]:
    """Topics of a log, 32 bytes each; ChainUnavailableError for what is none."""
    told = entry.get("topics")
    return [unhex(topic, 32) for topic in told] if isinstance(told, list) else []
