"""Anchoring goes on over nodes of the chain that die, hang or lie, over rights that come and go, and over prices."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from eth_utils.address import to_canonical_address
from eth_utils.crypto import keccak

from devnet.embedded.chain import EmbeddedChain
from devnet.rpc import call
from ledger.crypto import secp256k1
from ledger.errors import CorruptError, UnavailableError
from node.anchor.outbox import Outbox
from node.anchor.status import WorkerState
from node.anchor.worker import AnchorWorker
from node.chain.artifact import CONSORTIUM, load_artifact
from node.chain.consortium import ADDRESS
from node.chain.deploy import Deployer
from node.chain.endpoints import Endpoints
from node.chain.evm import EvmChain
from node.chain.protocol import Finality
from node.chain.rpc import JsonRpc, Rpc
from tests.anchor.test_anchor_worker import anchored, in_state
from tests.chain_world import World, wait_until
from tests.lying_rpc import LyingRpc


@pytest.fixture
def two(world: World) -> Iterator[list[LyingRpc]]:
    with ExitStack() as stack:
        yield [stack.enter_context(LyingRpc(world.chain.url)) for _ in range(2)]


def over(world: World, rpc: Rpc, **changes: Any) -> EvmChain:
    settings: dict[str, Any] = {"sender": world.sender, "finality": Finality.parse("included")} | changes
    return EvmChain(rpc, chain_id=world.deployment.chain_id, contract=world.deployment.contract, **settings)


def running(world: World, two: list[LyingRpc], *, timeout: float = 0.5, **changes: Any) -> AnchorWorker:
    return world.running(chain=over(world, Endpoints([proxy.url for proxy in two], timeout=timeout)), **changes)


def mine(world: World, automatically: bool) -> None:
    call(world.chain.url, "evm_setAutomine", automatically)


def states(worker: AnchorWorker) -> list[str]:
    return [node.state for node in worker.status().nodes]


def pool_loses(world: World) -> None:
    pending = Outbox(world.outbox, world.log.id).pending()
    assert pending is not None
    call(world.chain.url, "anvil_dropTransaction", "0x" + pending.attempts[-1].hash.hex())


# --- nodes -----------------------------------------------------------------------------------------------------------


def test_a_node_killed_while_anchoring_is_replaced_and_the_same_transaction_sent_there(
    world: World, two: list[LyingRpc]
) -> None:
    mine(world, automatically=False)
    worker = running(world, two)
    world.log.publish(5)
    wait_until(lambda: worker.status().pending_size == 5 and "eth_sendRawTransaction" in two[0].asked)
    two[0].kill()
    pool_loses(world)  # what the first node's pool held went with it
    wait_until(lambda: "eth_sendRawTransaction" in two[1].asked)
    mine(world, automatically=True)
    call(world.chain.url, "evm_mine")
    assert worker.anchor_now(20).size == 5
    status = worker.status()
    assert (status.sent_total, status.switches_total) == (1, 1)
    assert status.resent_total >= 1
    assert [(node.place, node.used) for node in status.nodes] == [(two[0].url, False), (two[1].url, True)]


def test_nodes_killed_by_turns_never_end_anchoring_and_nothing_is_paid_twice(world: World, two: list[LyingRpc]) -> None:
    worker = running(world, two)
    for turn in range(1, 7):
        two[turn % 2].revive()
        world.log.publish(10 * turn)
        worker.wake()
        time.sleep(0.02 * turn)
        two[(turn + 1) % 2].kill()
        wait_until(anchored(worker, 10 * turn))
    anchors = list(world.backend().scan(world.log.id))
    assert [each.size for each in anchors] == [10, 20, 30, 40, 50, 60]
    assert worker.status().lost_total == 0


def test_a_node_that_hangs_for_ever_holds_nothing_up(world: World, two: list[LyingRpc]) -> None:
    worker = running(world, two)
    world.log.publish(5)
    worker.anchor_now(20)
    two[0].hang()
    world.log.publish(9)
    begin = time.monotonic()
    assert worker.anchor_now(20).size == 9
    assert time.monotonic() - begin < 3
    two[1].hang()
    wait_until(in_state(worker, WorkerState.CHAIN_DOWN))
    begin = time.monotonic()
    worker.stop()
    assert time.monotonic() - begin < 3
    assert worker.status().anchored_size == 9


def test_a_receipt_that_is_held_back_for_a_minute_is_not_waited_for(world: World, two: list[LyingRpc]) -> None:
    """As some nodes do for a transaction that waits: it is asked for only once a block has it."""
    mine(world, automatically=False)
    two[0].hang("eth_getTransactionReceipt")
    worker = world.running(chain=over(world, JsonRpc(two[0].url, timeout=3)))
    world.log.publish(5)
    wait_until(lambda: two[0].asked.count("eth_getTransactionByHash") > 3)
    assert "eth_getTransactionReceipt" not in two[0].asked
    two[0].honest()
    mine(world, automatically=True)
    call(world.chain.url, "evm_mine")
    assert worker.anchor_now(20).size == 5


def test_a_node_of_another_chain_among_the_nodes_is_skipped_and_named(world: World, two: list[LyingRpc]) -> None:
    two[0].result("0x7", "eth_chainId")
    worker = running(world, two)
    world.log.publish(5)
    assert worker.anchor_now(20).size == 5
    assert states(worker) == ["strange", "well"]
    assert "serves chain 7" in worker.status().nodes[0].error
    assert "eth_sendRawTransaction" not in two[0].asked
    two[1].result("0x7", "eth_chainId")
    wait_until(in_state(worker, WorkerState.CHAIN_MISMATCH))


def swallow(proxy: LyingRpc) -> None:
    """Take transactions, send them nowhere, and tell of a block for each."""
    proxy.result("0x" + "00" * 32, "eth_sendRawTransaction")
    block = {"blockNumber": "0x1", "status": "0x1", "gasUsed": "0x5208"}

    def tell(name: str) -> Any:
        return lambda asked, answer: answer | {"result": block | {name: asked["params"][0]}}

    proxy.rewrite("eth_getTransactionByHash", tell("hash"))
    proxy.rewrite("eth_getTransactionReceipt", tell("transactionHash"))


def test_a_block_that_storage_never_shows_is_a_lie_and_the_next_node_gets_the_transaction(
    world: World, two: list[LyingRpc]
) -> None:
    swallow(two[0])
    worker = running(world, two, patience=0.5)
    world.log.publish(5)
    assert worker.anchor_now(20).size == 5
    assert states(worker) == ["condemned", "well"]
    assert "storage does not show" in worker.status().nodes[0].error
    assert worker.status().sent_total == 1


def test_a_lying_node_without_another_gets_the_transaction_again_until_it_is_honest(
    world: World, two: list[LyingRpc]
) -> None:
    swallow(two[0])
    worker = world.running(chain=over(world, JsonRpc(two[0].url, timeout=1)), patience=0.2)
    world.log.publish(5)
    wait_until(lambda: worker.status().resent_total >= 2)
    assert worker.status().anchored_size == 0
    two[0].honest()
    assert worker.anchor_now(20).size == 5
    assert worker.status().sent_total == 1


def failed(_: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    return answer | {"result": answer["result"] and answer["result"] | {"status": "0x0"}}


def of_another(_: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    return answer | {"result": answer["result"] and answer["result"] | {"transactionHash": "0x" + "11" * 32}}


def garbage(_: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    return answer | {"result": answer["result"] and answer["result"] | {"status": [], "gasUsed": "lots"}}


@pytest.mark.parametrize("lie", [failed, of_another, garbage])
def test_wrong_receipts_mislead_nobody(world: World, two: list[LyingRpc], lie: Any) -> None:
    two[0].rewrite("eth_getTransactionReceipt", lie)
    worker = running(world, two)
    for size in (5, 9):
        published = world.log.publish(size)
        assert worker.anchor_now(20).root == published.root
    assert [each.size for each in world.backend().scan(world.log.id)] == [5, 9]


def test_answers_without_sense_send_the_worker_to_the_next_node(world: World, two: list[LyingRpc]) -> None:
    two[0].result("nonsense", "eth_blockNumber")
    worker = running(world, two)
    world.log.publish(5)
    assert worker.anchor_now(20).size == 5
    assert states(worker) == ["condemned", "well"]


# --- the chain itself ------------------------------------------------------------------------------------------------


def test_a_chain_whose_folder_is_removed_under_a_running_worker_counts_as_lost(world: World) -> None:
    worker = world.running()
    world.log.publish(5)
    worker.anchor_now(20)
    port = int(world.chain.url.rpartition(":")[2])
    world.chain.stop()
    shutil.rmtree(world.chain.folder)
    wait_until(in_state(worker, WorkerState.CHAIN_DOWN))
    world.chain = EmbeddedChain(world.chain.folder, port=port)
    world.chain.start()
    wait_until(in_state(worker, WorkerState.CHAIN_LOST))
    world.log.publish(9)
    status = worker.status()
    assert (status.anchored_size, status.sent_total) == (5, 1), "what was anchored is remembered, nothing is paid for"


def test_an_anchor_under_the_depth_that_a_reorganisation_takes_was_never_called_final(world: World) -> None:
    worker = world.running(chain=world.backend(finality=Finality.parse("depth:3")))
    snapshot = call(world.chain.url, "evm_snapshot")
    world.log.publish(5)
    wait_until(lambda: world.backend().head(world.log.id).size == 5)
    with pytest.raises(UnavailableError):
        worker.anchor_now(0.4)
    assert call(world.chain.url, "evm_revert", snapshot) is True
    wait_until(lambda: world.backend().head(world.log.id).size == 5)  # sent again by itself
    status = worker.status()
    assert (status.anchored_size, status.lost_total) == (0, 0)
    call(world.chain.url, "anvil_mine", "0x3")
    assert worker.anchor_now(20).size == 5


def test_another_sender_with_our_authorisation_anchors_for_us(world: World) -> None:
    other = secp256k1.SUITE.generate()
    world.chain.fund(other.address)
    Deployer(world.rpc(), world.admin).grant(world.deployment.contract, "ANCHORER_ROLE", other.address)
    ours, world.sender = world.sender, other
    world.anchor_as(world.log, 5)
    world.sender = ours
    worker = world.running()
    record = worker.anchor_now(20)
    assert (record.size, record.sender, worker.status().sent_total) == (5, other.address, 0)
    world.log.publish(9)
    assert worker.anchor_now(20).sender == ours.address


# --- rights ----------------------------------------------------------------------------------------------------------


def give_right(world: World, rights: int) -> None:
    """Write what the consortium's contract says of our sender, as an act of its administrators would."""
    slot = keccak(to_canonical_address(world.sender.address).rjust(32, b"\0") + bytes(32))
    call(world.chain.url, "anvil_setStorageAt", ADDRESS, "0x" + slot.hex(), "0x" + rights.to_bytes(32, "big").hex())


@pytest.fixture
def consortium(world: World) -> EvmChain:
    try:
        code = load_artifact(name=CONSORTIUM).runtime
    except CorruptError as error:
        pytest.skip(str(error))
    call(world.chain.url, "anvil_setCode", ADDRESS, "0x" + code.hex())
    give_right(world, 1)
    return world.backend(consortium=ADDRESS)


def test_a_right_that_is_withdrawn_holds_anchoring_up_until_it_is_back(world: World, consortium: EvmChain) -> None:
    worker = world.running(chain=consortium)
    world.log.publish(5)
    worker.anchor_now(20)
    give_right(world, 2)
    world.log.publish(9)
    wait_until(in_state(worker, WorkerState.REFUSED))
    status = worker.status()
    assert f"the consortium does not let {world.sender.address} send" in status.last_error
    assert (status.backlog, status.sent_total) == (4, 1)
    world.log.publish(12)
    give_right(world, 3)
    wait_until(anchored(worker, 12))
    assert worker.status().last_error == ""


def test_a_right_that_is_withdrawn_under_way_leaves_the_transaction_to_be_sent_later(
    world: World, consortium: EvmChain
) -> None:
    mine(world, automatically=False)
    worker = world.running(chain=consortium)
    world.log.publish(5)
    wait_until(lambda: worker.status().pending_size == 5)
    give_right(world, 0)
    pool_loses(world)  # a permissioned chain drops it without a word
    wait_until(in_state(worker, WorkerState.REFUSED))
    assert worker.status().pending_size == 5
    give_right(world, 1)
    mine(world, automatically=True)
    wait_until(anchored(worker, 5))
    assert worker.status().sent_total == 1


def test_a_consortium_that_is_none_is_no_answer(world: World) -> None:
    worker = world.running(chain=world.backend(consortium=ADDRESS))
    world.log.publish(5)
    wait_until(in_state(worker, WorkerState.CHAIN_DOWN))
    assert "no answer of a consortium contract" in worker.status().last_error


# --- prices ----------------------------------------------------------------------------------------------------------


def dear(_: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    return answer | {"result": answer["result"] | {"baseFeePerGas": hex(10**12)}}


def test_a_price_above_the_limit_is_waited_for_and_said_so(world: World, two: list[LyingRpc]) -> None:
    two[0].rewrite("eth_getBlockByNumber", dear)
    cap = 10**11
    worker = world.running(chain=over(world, JsonRpc(two[0].url, timeout=3), max_gas_price=cap))
    world.log.publish(5)
    wait_until(in_state(worker, WorkerState.REFUSED))
    assert f"at most {cap} may be paid" in worker.status().last_error
    assert worker.status().sent_total == 0
    two[0].honest()
    wait_until(anchored(worker, 5))
    (attempt,) = Outbox(world.outbox, world.log.id).anchors()[0].attempts
    assert attempt.price <= cap


@pytest.mark.parametrize("fixed", [True, False])
def test_where_no_more_may_be_offered_the_same_transaction_is_sent_again(world: World, fixed: bool) -> None:
    mine(world, automatically=False)
    price = 5 * 10**9
    prices: dict[str, Any] = {"gas_price": price} if fixed else {"max_gas_price": price}
    worker = world.running(chain=world.backend(**prices), patience=0.2)
    world.log.publish(5)
    wait_until(lambda: worker.status().resent_total >= 2)
    pending = Outbox(world.outbox, world.log.id).pending()
    assert pending is not None
    assert len({attempt.nonce for attempt in pending.attempts}) == 1
    assert max(attempt.price for attempt in pending.attempts) <= price
    sent = worker.status().sent_total
    wait_until(lambda: worker.status().resent_total >= 4)
    assert worker.status().sent_total == sent
    mine(world, automatically=True)
    call(world.chain.url, "evm_mine")
    assert worker.anchor_now(20).size == 5


def test_a_node_that_does_not_know_its_own_transaction_again_is_borne_with(world: World, two: list[LyingRpc]) -> None:
    mine(world, automatically=False)
    price = int(call(world.chain.url, "eth_gasPrice"), 16)
    worker = world.running(chain=over(world, JsonRpc(two[0].url, timeout=3), gas_price=price))
    two[0].result(None, "eth_getTransactionByHash")
    world.log.publish(5)
    wait_until(lambda: worker.status().pending_size == 5 and "eth_sendRawTransaction" in two[0].asked)
    two[0].error("replacement transaction underpriced", "eth_sendRawTransaction")
    sent = two[0].asked.count("eth_sendRawTransaction")
    wait_until(lambda: two[0].asked.count("eth_sendRawTransaction") > sent)
    assert worker.status().state is WorkerState.ANCHORING
    mine(world, automatically=True)
    call(world.chain.url, "evm_mine")
    assert worker.anchor_now(20).size == 5
    assert worker.status().failures_total == 0


def test_a_place_that_stays_taken_is_a_refusal_in_the_end(world: World, two: list[LyingRpc]) -> None:
    price = int(call(world.chain.url, "eth_gasPrice"), 16)
    two[0].error("replacement transaction underpriced", "eth_sendRawTransaction")
    worker = world.running(chain=over(world, JsonRpc(two[0].url, timeout=3), gas_price=price), patience=0.5)
    world.log.publish(5)
    wait_until(in_state(worker, WorkerState.REFUSED))
    two[0].honest()
    assert worker.anchor_now(20).size == 5
