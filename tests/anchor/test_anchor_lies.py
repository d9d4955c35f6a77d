"""What a lie of a chain's node may cost: some time, some few transactions; never a person's judgement, never a stop."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from devnet.rpc import call
from node.anchor import evidence as anchor_evidence
from node.anchor.status import WorkerState
from node.chain.rpc import JsonRpc
from tests.anchor.test_anchor_survival import mine, over, running, states, two
from tests.anchor.test_anchor_worker import in_state
from tests.chain_world import World, wait_until
from tests.lying_rpc import LyingRpc

__all__ = ["two"]

Answer = dict[str, Any]


def words(*numbers: int) -> str:
    return "0x" + "".join(f"{number:064x}" for number in numbers)


LONE_WORDS = {
    "an anchor beyond the log": (words(1_000, 0, 0, 0), "larger than anything"),
    "no such log": (words(0, 0, 0, 0), "not registered"),
}


@pytest.mark.parametrize("lie", LONE_WORDS)
def test_one_node_among_several_does_not_call_a_person(world: World, two: list[LyingRpc], lie: str) -> None:
    said, reason = LONE_WORDS[lie]
    two[0].result(said, "eth_call")
    worker = running(world, two)
    world.log.publish(5)
    assert worker.anchor_now(20).size == 5
    assert states(worker) == ["condemned", "well"]
    assert reason in worker.status().nodes[0].error
    assert worker.status().state is not WorkerState.DISPUTED
    assert not list((world.outbox / "disputes").iterdir())


@pytest.mark.parametrize(
    ("lie", "state"), [*zip(LONE_WORDS, (WorkerState.DISPUTED, WorkerState.CHAIN_LOST), strict=True)]
)
def test_what_every_node_says_is_for_a_person(world: World, two: list[LyingRpc], lie: str, state: WorkerState) -> None:
    for proxy in two:
        proxy.result(LONE_WORDS[lie][0], "eth_call")
    worker = running(world, two)
    world.log.publish(5)
    wait_until(in_state(worker, state))


def test_a_node_that_tells_of_failures_is_not_given_one_transaction_after_the_other(
    world: World, two: list[LyingRpc]
) -> None:
    """It keeps what it gets, names the next nonce each time, and could have all of it included, and paid for, later."""
    nonces = itertools.count(int(call(world.chain.url, "eth_getTransactionCount", world.sender.address, "latest"), 16))
    two[0].rewrite("eth_getTransactionCount", lambda _, answer: answer | {"result": hex(next(nonces))})
    two[0].result("0x" + "11" * 32, "eth_sendRawTransaction")
    two[0].rewrite("eth_getTransactionByHash", lambda asked, answer: answer | {"result": failed(asked)})
    two[0].rewrite("eth_getTransactionReceipt", lambda asked, answer: answer | {"result": failed(asked)})
    chain = over(world, JsonRpc(two[0].url, timeout=3))
    worker = world.running(chain=chain, poll=0.02, interval=0.5, patience=1)  # for the last one, of too high a nonce
    world.log.publish(5)
    time.sleep(3)
    assert 4 < two[0].asked.count("eth_sendRawTransaction") < 14
    two[0].honest()
    assert worker.anchor_now(20).size == 5


def failed(asked: Answer) -> Answer:
    tx = asked["params"][0]
    return {"hash": tx, "transactionHash": tx, "blockNumber": "0x1", "status": "0x0", "gasUsed": "0x5208"}


def pending(asked: Answer) -> Answer:
    return {"hash": asked["params"][0], "blockNumber": None}


@pytest.mark.parametrize("shown", [True, False])
def test_a_node_that_swallows_transactions_is_left(world: World, two: list[LyingRpc], shown: bool) -> None:
    two[0].result("0x" + "11" * 32, "eth_sendRawTransaction")
    if shown:
        two[0].rewrite("eth_getTransactionByHash", lambda asked, answer: answer | {"result": pending(asked)})
    worker = running(world, two, patience=0.5)
    world.log.publish(5)
    assert worker.anchor_now(20).size == 5
    assert states(worker) == ["condemned", "well"]
    assert len(list(world.backend().scan(world.log.id))) == 1


@pytest.mark.parametrize("times", [1, 10], ids=["for a moment", "for a second"])
@pytest.mark.parametrize("word", ["root", "meta"])
def test_an_answer_out_of_two_states_is_no_contradiction(
    world: World, two: list[LyingRpc], word: str, times: int
) -> None:
    """A node carries out a block while it answers for the one before: the first words are new, the last ones old."""
    selector = world.backend().artifact.encode(word, world.log.id, 5).hex()
    torn = []

    def lag(asked: Answer, answer: Answer) -> Answer:
        if not asked["params"][0]["data"].endswith(selector) or int(answer["result"], 16) == 0 or len(torn) == times:
            return answer
        torn.append(asked)
        return answer | {"result": words(0, 0, 0)}

    two[0].rewrite("eth_call", lag)
    worker = world.running(chain=over(world, JsonRpc(two[0].url, timeout=3)))
    world.log.publish(5)
    record = worker.anchor_now(20)
    assert (record.size, len(torn)) == (5, times)
    assert (worker.status().failures_total > 0) == (times > 1)
    assert record.block > 0
    assert not list((world.outbox / "disputes").iterdir())


def test_an_answer_nested_very_deep_is_none(world: World, two: list[LyingRpc]) -> None:
    deep = b'{"jsonrpc":"2.0","id":$ID,"result":' + b"[" * 1_000 + b"]" * 1_000 + b"}"
    two[0].answer(deep, "eth_chainId", "eth_blockNumber")
    worker = running(world, two)
    world.log.publish(5)
    assert worker.anchor_now(20).size == 5
    mine(world, automatically=True)
    assert worker.status().state is not WorkerState.FAILED
    assert worker.status().nodes[0].error == "the chain gave 'a list' where a number belongs"


def test_a_chain_slow_to_prove_does_not_keep_the_worker_from_the_next_checkpoint(
    world: World, two: list[LyingRpc], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchor_evidence, "CATCH_UP_SECONDS", 0.5)
    worker = world.worker(chain=over(world, JsonRpc(two[0].url, timeout=3)), interval=60)
    two[0].error("no proofs here", "eth_getProof")
    for size in range(2, 12):
        world.log.publish(size)
        while worker.status().anchored_size < size:
            worker.turn()
            time.sleep(0.01)
    two[0].honest()
    two[0].delay(0.4, "eth_getProof")
    begin = time.monotonic()
    worker.turn()
    assert time.monotonic() - begin < 2
    for _ in range(8):
        worker.turn()
    assert all(worker.evidence_for(size) is not None for size in range(2, 12))
    assert len(list(world.outbox.glob("*.evidence"))) == 10
