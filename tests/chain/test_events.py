"""What a node tells of the contract's events is taken only in the form, and from the place, that was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from node.chain.artifact import load_artifact
from node.chain.events import AnchoredEvent, anchored_events
from node.chain.protocol import ChainUnavailableError
from node.chain.rpc import JsonRpc
from tests.chain_world import World
from tests.lying_rpc import LyingRpc


def unasked(size: int) -> int:
    raise AssertionError(f"the log told the time of size {size}")


def events(world: World, url: str, size: int | None = 9, time_of: Any = unasked) -> list[AnchoredEvent]:
    block = world.backend().head(world.log.id).block
    return anchored_events(
        JsonRpc(url, timeout=3), load_artifact(), world.deployment.contract, world.log.id, (0, block),
        size=size, time_of=time_of,
    )  # fmt: skip


def rewritten(lying: LyingRpc, **changes: object) -> None:
    """Change the first log; a field of None is left out."""

    def change(_asked: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        first = {key: value for key, value in (answer["result"][0] | changes).items() if value is not None}
        return answer | {"result": [first, *answer["result"][1:]]}

    lying.rewrite("eth_getLogs", change)


def test_an_event_tells_of_anchor_block_and_transaction(world: World) -> None:
    tx = world.anchor_as(world.log, 9)
    (event,) = events(world, world.chain.url)
    evidence = world.backend().evidence(world.log.id, 9)
    assert evidence is not None
    found = event.anchored
    assert (found.size, found.root, found.tx, found.sender) == (9, evidence.root, tx, world.sender.address)
    assert (found.block, found.time, event.block_hash) == (evidence.block, evidence.time, evidence.block_hash)
    assert events(world, world.chain.url, size=8) == []


def test_where_a_node_leaves_out_the_time_it_is_asked_for(world: World) -> None:
    world.anchor_as(world.log, 9)
    with LyingRpc(world.chain.url) as lying:
        rewritten(lying, blockTimestamp=None)
        (event,) = events(world, lying.url, time_of=lambda size: 1_000 + size)
        assert event.anchored.time == 1_009


OTHER = "0x" + "ee" * 32


@pytest.mark.parametrize(
    "changes",
    [
        {"topics": None},
        {"topics": []},
        {"topics": OTHER},
        {"topics": [OTHER] * 3},
        {"topics": [1, 2, 3]},
        {"address": None},
        {"address": "0x" + "ee" * 20},
        {"data": "0x"},
        {"data": "0x" + "ee" * 65},
        {"data": 5},
        {"blockNumber": None},
        {"blockNumber": "0xffffffff"},
        {"blockNumber": "9"},
        {"blockTimestamp": "soon"},
        {"transactionHash": None},
        {"blockHash": "0x12"},
    ],
    ids=str,
)
def test_a_log_that_was_not_asked_for_or_is_malformed_is_no_answer(world: World, changes: dict[str, Any]) -> None:
    world.anchor_as(world.log, 9)
    with LyingRpc(world.chain.url) as lying:
        rewritten(lying, **changes)
        with pytest.raises(ChainUnavailableError, match="the chain gave"):
            events(world, lying.url)


@pytest.mark.parametrize("result", [None, {}, "0x", [None], [[]], 7], ids=str)
def test_what_is_no_list_of_logs_is_no_answer(world: World, result: object) -> None:
    with LyingRpc(world.chain.url) as lying:
        lying.result(result, "eth_getLogs")
        with pytest.raises(ChainUnavailableError, match="no list of logs"):
            events(world, lying.url)


def test_the_anchor_at_another_size_is_no_answer_to_one(world: World) -> None:
    world.anchor_as(world.log, 9)
    with LyingRpc(world.chain.url) as lying:
        honest = events(world, lying.url, size=None)
        assert [event.anchored.size for event in honest] == [9]
        (log,) = JsonRpc(lying.url).call(
            "eth_getLogs", {"address": world.deployment.contract, "fromBlock": "0x0", "toBlock": "latest",
                            "topics": ["0x" + load_artifact().topics["Anchored"].hex()]},
        )  # fmt: skip
        lying.result([log], "eth_getLogs")
        with pytest.raises(ChainUnavailableError, match="not asked for"):
            events(world, lying.url, size=8)
