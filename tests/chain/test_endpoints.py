"""Several nodes of one chain: one is used, another takes over, none that is strange, behind or silent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ledger.errors import MalformedError
from node.chain import endpoints as module
from node.chain import transactions
from node.chain.endpoints import Endpoints, connect
from node.chain.evm import EvmChain
from node.chain.protocol import (
    ChainMismatchError,
    ChainUnavailableError,
    ContractMissingError,
    Finality,
    NodeBehindError,
    NodeStatus,
)
from node.chain.rpc import JsonRpc, Rpc, RpcError, quantity
from node.chain.standing import PATIENCE, Standing
from tests.chain_world import World
from tests.lying_rpc import LyingRpc


@pytest.fixture
def three(world: World) -> Iterator[list[LyingRpc]]:
    with ExitStack() as stack:
        yield [stack.enter_context(LyingRpc(world.chain.url)) for _ in range(3)]


def over(world: World, proxies: list[LyingRpc], timeout: float = 1.0) -> tuple[Endpoints, EvmChain]:
    rpc = Endpoints([proxy.url for proxy in proxies], timeout=timeout)
    chain = EvmChain(
        rpc, chain_id=world.deployment.chain_id, contract=world.deployment.contract,
        finality=Finality.parse("included"), sender=world.sender,
    )  # fmt: skip
    return rpc, chain


def used(rpc: Rpc) -> int:
    return next(at for at, node in enumerate(rpc.nodes()) if node.used)


def states(rpc: Rpc) -> list[str]:
    return [node.state for node in rpc.nodes()]


def test_one_node_is_used_as_long_as_it_answers(world: World, three: list[LyingRpc]) -> None:
    rpc, chain = over(world, three)
    for _ in range(3):
        chain.check()
        chain.head(world.log.id)
    assert "eth_call" in three[0].asked
    assert not {"eth_call", "eth_sendRawTransaction"} & {*three[1].asked, *three[2].asked}
    assert (used(rpc), rpc.switches) == (0, 0)


def test_a_dead_node_is_replaced_within_the_call_and_not_returned_to(world: World, three: list[LyingRpc]) -> None:
    rpc, chain = over(world, three)
    chain.check()
    three[0].kill()
    assert chain.head(world.log.id).size == 1
    assert (used(rpc), rpc.switches, states(rpc)[0]) == (1, 1, "down")
    three[0].revive()
    three[1].kill()
    assert chain.head(world.log.id).size == 1
    assert used(rpc) == 2, "in turn, and the first one rests"


def test_a_node_that_takes_over_is_looked_at_first(world: World, three: list[LyingRpc]) -> None:
    rpc, chain = over(world, three)
    chain.check()
    three[1].result("0x1", "eth_chainId")
    three[0].kill()
    assert chain.head(world.log.id).size == 1
    assert used(rpc) == 2
    assert states(rpc)[:2] == ["down", "strange"]
    assert "serves chain 1" in rpc.nodes()[1].error
    assert "eth_call" not in three[1].asked


def test_a_strange_node_among_several_is_skipped_and_only_all_of_them_are_a_mismatch(
    world: World, three: list[LyingRpc]
) -> None:
    rpc, chain = over(world, three)
    three[0].result("0x7", "eth_chainId")
    chain.check()
    assert (used(rpc), states(rpc)[0]) == (1, "strange")
    three[1].result("0x", "eth_getCode")
    three[2].kill()
    with pytest.raises(ChainMismatchError) as mismatch:
        chain.check()
    assert not isinstance(mismatch.value, ContractMissingError), "a silent node may know the contract"
    for proxy in three:
        assert proxy.url in str(mismatch.value)


def test_a_contract_is_missing_only_where_every_node_says_so(world: World, three: list[LyingRpc]) -> None:
    _, chain = over(world, three)
    for proxy in three:
        proxy.result("0x", "eth_getCode")
    with pytest.raises(ContractMissingError):
        chain.check()


def test_nobody_there_is_unavailable_and_over_when_one_is_back(world: World, three: list[LyingRpc]) -> None:
    rpc, chain = over(world, three)
    chain.check()
    for proxy in three:
        proxy.kill()
    for _ in range(3):
        with pytest.raises(ChainUnavailableError, match="no node of the chain can be used"):
            chain.head(world.log.id)
    three[2].revive()
    assert chain.head(world.log.id).size == 1, "all rest, so all are asked"
    assert used(rpc) == 2


def test_an_error_of_the_node_is_an_answer_and_no_reason_to_switch(world: World, three: list[LyingRpc]) -> None:
    rpc, _ = over(world, three)
    with pytest.raises(RpcError):
        rpc.call("no_such_method")
    assert (used(rpc), rpc.switches, states(rpc)[0]) == (0, 0, "well")


def test_hanging_nodes_cost_a_call_no_more_than_two_timeouts(world: World, three: list[LyingRpc]) -> None:
    rpc, chain = over(world, three, timeout=0.4)
    chain.check()
    for proxy in three[:2]:
        proxy.hang()
    begin = time.monotonic()
    with pytest.raises(ChainUnavailableError):
        chain.head(world.log.id)
    assert time.monotonic() - begin < 1.2
    begin = time.monotonic()
    assert chain.head(world.log.id).size == 1, "those two rest"
    assert time.monotonic() - begin < 0.5
    assert used(rpc) == 2


def test_a_node_slow_in_each_call_may_not_spin_out_the_look_at_it(world: World, three: list[LyingRpc]) -> None:
    _, chain = over(world, three[:2], timeout=0.5)
    chain.check()
    three[0].kill()
    three[1].delay(0.3)
    begin = time.monotonic()
    with pytest.raises(ChainUnavailableError):
        chain.head(world.log.id)
    assert time.monotonic() - begin < 1.2


def test_a_condemned_node_rests_and_a_single_one_stays(world: World, three: list[LyingRpc]) -> None:
    rpc, chain = over(world, three)
    chain.check()
    assert chain.condemn("it lies")
    assert rpc.nodes()[0] == NodeStatus(
        three[0].url, used=True, state="condemned", error="it lies", since=rpc.nodes()[0].since
    )
    chain.head(world.log.id)
    assert used(rpc) == 1
    alone, chain = over(world, three[:1])
    chain.check()
    assert not chain.condemn("it lies")
    assert states(alone) == ["well"]
    assert not JsonRpc(three[0].url).condemn("it lies")


def test_a_node_that_lacks_our_transactions_does_not_take_over(world: World, three: list[LyingRpc]) -> None:
    world.anchor_as(world.log, 5)
    rpc, chain = over(world, three)
    chain.check()
    three[1].result("0x0", "eth_getTransactionCount")
    three[2].result({"currentBlock": "0x1", "highestBlock": "0x100"}, "eth_syncing")
    three[0].kill()
    with pytest.raises(ChainUnavailableError):
        chain.head(world.log.id)
    assert states(rpc) == ["down", "behind", "behind"]
    three[2].honest()
    assert chain.head(world.log.id).size == 5
    assert used(rpc) == 2


def test_a_chain_that_went_back_as_a_whole_is_believed_after_a_while(world: World) -> None:
    now = [0.0]
    standing = Standing(world.sender.address, clock=lambda: now[0])
    standing.note(7)
    rpc = world.rpc()
    for moment in (0.0, PATIENCE - 1):
        now[0] = moment
        with pytest.raises(NodeBehindError):
            standing.require(rpc)
    now[0] = PATIENCE + 1
    standing.require(rpc)
    assert standing.nonce == 0


def test_the_others_are_looked_at_now_and_then_so_that_people_know(
    world: World, three: list[LyingRpc], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK", 0.0)
    three[1].kill()
    three[2].result("0x7", "eth_chainId")
    rpc, chain = over(world, three)
    for _ in range(2):
        chain.check()
    assert (used(rpc), states(rpc), rpc.switches) == (0, ["well", "down", "strange"], 0)


def test_apart_goes_on_at_the_node_in_use_and_knows_the_others(world: World, three: list[LyingRpc]) -> None:
    rpc, chain = over(world, three)
    chain.check()
    three[0].kill()
    chain.check()
    reader = chain.apart()
    assert reader.rpc.place == rpc.place == three[1].url
    three[1].kill()
    assert reader.head(world.log.id).size == 1
    assert reader.rpc.place == three[2].url
    assert rpc.place == three[1].url, "each goes its own way"


def test_a_transaction_is_sent_on_at_the_next_node(world: World, three: list[LyingRpc]) -> None:
    world.anchor_as(world.log, 2)
    _, chain = over(world, three)
    chain.check()
    published = world.log.publish(4)
    three[0].hang("eth_sendRawTransaction")
    authorisation = world.authoriser.sign_keccak(chain.authorisation_payload(world.log.id, 4, published.root))
    made = chain.prepare(world.log.id, 2, 4, published.root, world.log.consistency(2, 4), authorisation)
    chain.submit(made.raw)
    assert three[1].asked.count("eth_sendRawTransaction") == 1
    assert three[1].asked.index("eth_getTransactionCount") < three[1].asked.index("eth_sendRawTransaction")
    assert quantity(world.rpc().call("eth_getTransactionCount", world.sender.address, "latest")) == 2


def test_secrets_in_addresses_are_shown_to_nobody(world: World) -> None:
    secret = world.chain.url.replace("http://", "http://user:swordfish@") + "/?key=swordfish"
    rpc = connect(f"{secret} http://user:swordfish@127.0.0.1:1/swordfish", timeout=1)
    assert quantity(rpc.call("eth_chainId")) == 31990
    rpc.condemn("because")
    with pytest.raises(ChainUnavailableError) as refusal:
        rpc.call("eth_chainId")
    assert "swordfish" not in refusal.value.explain()
    assert "swordfish" not in repr(rpc.nodes())
    for url in ("http://user:swordfish@127.0.0.1:1/swordfish", "ftp://user:swordfish@host/", "http://swordfish@[::1"):
        with pytest.raises(ChainUnavailableError) as refusal:
            connect(url).call("eth_chainId")
        assert "swordfish" not in refusal.value.explain()


def test_no_address_and_too_many_are_refused() -> None:
    for urls in ("", " ", "http://127.0.0.1:1 " * 17):
        with pytest.raises(MalformedError):
            connect(urls)


def test_prices_of_one_chain_are_asked_of_one_node(world: World, three: list[LyingRpc]) -> None:
    rpc, _ = over(world, three)
    assert transactions.fees(rpc, None).price > 0
    assert rpc.switches == 0
