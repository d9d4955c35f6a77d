"""What one node of a chain says alone: refusals that the others do not know of, and a nonce that leads nowhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger.crypto import secp256k1
from node.anchor.status import WorkerState
from node.chain.endpoints import Endpoints
from node.chain.evm import EvmChain
from node.chain.protocol import Finality
from node.chain.rpc import JsonRpc, Rpc
from tests.chain_world import World, wait_until
from tests.lying_rpc import LyingRpc

LIES: dict[str, Callable[[LyingRpc], None]] = {
    "no role": lambda proxy: proxy.rewrite("eth_call", no_role),
    "every call reverts": lambda proxy: proxy.error("execution reverted", "eth_estimateGas", number=3),
}


def no_role(asked: dict[str, object], answer: dict[str, object]) -> dict[str, object]:
    """Only a view of one word that is one, which is what `hasRole` answers, becomes zero."""
    return answer | {"result": "0x" + "00" * 32} if answer.get("result") == "0x" + "00" * 31 + "01" else answer


def over(world: World, rpc: Rpc) -> EvmChain:
    return EvmChain(
        rpc, chain_id=world.deployment.chain_id, contract=world.deployment.contract,
        finality=Finality.parse("included"), sender=world.sender,
    )  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_refusal_that_one_node_alone_knows_of_lasts_until_the_next_is_asked(world: World, lie: str) -> None:
    with LyingRpc(world.chain.url) as liar, LyingRpc(world.chain.url) as honest:
        LIES[lie](liar)
        worker = world.running(chain=over(world, Endpoints([liar.url, honest.url], timeout=2)))
        world.log.publish(5)
        wait_until(lambda: worker.status().anchored_size == 5)
        status = worker.status()
        assert "eth_sendRawTransaction" not in liar.asked
        assert [node.state for node in status.nodes] == ["well", "well"], "to refuse is no fault"
        assert status.switches_total == 0


def test_a_refusal_that_all_nodes_know_of_stays_one(world: World) -> None:
    stranger = secp256k1.SUITE.generate()
    world.chain.fund(stranger.address)
    world.sender = stranger
    with LyingRpc(world.chain.url) as one, LyingRpc(world.chain.url) as two:
        worker = world.running(chain=over(world, Endpoints([one.url, two.url], timeout=2)))
        world.log.publish(5)
        wait_until(lambda: worker.status().state is WorkerState.REFUSED and worker.status().failures_total > 4)
        assert "ANCHORER_ROLE" in worker.status().last_error
        assert {node.state for node in worker.status().nodes} == {"well"}
        assert "eth_sendRawTransaction" not in one.asked + two.asked


def test_a_transaction_whose_nonce_is_ahead_is_given_up(world: World) -> None:
    with LyingRpc(world.chain.url) as node:
        node.result("0xff", "eth_getTransactionCount")
        worker = world.running(chain=over(world, JsonRpc(node.url, timeout=2)), patience=0.5)
        world.log.publish(5)
        wait_until(lambda: worker.status().pending_size == 5)
        node.honest()
        wait_until(lambda: worker.status().anchored_size == 5)
        assert [each.size for each in world.backend().scan(world.log.id)] == [5]
