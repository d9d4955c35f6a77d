"""What is offered for a unit of gas: the chain's price or a fixed one, never above a limit, none where it is free."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from node.chain.protocol import TransactionRefusedError
from node.chain.rpc import JsonRpc
from node.chain.transactions import Fees, fees
from tests.lying_rpc import LyingRpc


@pytest.fixture
def node() -> Iterator[LyingRpc]:
    with LyingRpc("http://127.0.0.1:1") as made:
        yield made


def asks(node: LyingRpc, *, base: int | None = None, tip: int = 0, price: int = 0) -> JsonRpc:
    node.result({} if base is None else {"baseFeePerGas": hex(base)}, "eth_getBlockByNumber")
    node.result(hex(tip), "eth_maxPriorityFeePerGas")
    node.result(hex(price), "eth_gasPrice")
    return JsonRpc(node.url, timeout=2)


def test_the_chain_s_price_is_followed_with_room_for_it_to_rise(node: LyingRpc) -> None:
    assert fees(asks(node, base=100, tip=3), None) == Fees(203, 3)
    assert fees(asks(node, price=70), None) == Fees(70, None)
    node.error("no such method", "eth_maxPriorityFeePerGas")
    node.result({"baseFeePerGas": "0x64"}, "eth_getBlockByNumber")
    assert fees(JsonRpc(node.url), None) == Fees(200, 0)


def test_a_replacement_pays_more_in_both_prices(node: LyingRpc) -> None:
    assert fees(asks(node, base=100, tip=3), None, 500) == Fees(500, 500)
    assert fees(asks(node, price=70), None, 500) == Fees(500, None)


@pytest.mark.parametrize("floor", [0, 150, 500])
def test_the_limit_is_never_exceeded(node: LyingRpc, floor: int) -> None:
    offer = fees(asks(node, base=100, tip=3), None, floor, 120)
    assert offer.price == 120
    assert offer.tip is not None
    assert offer.tip <= 120
    assert fees(asks(node, price=70), None, floor, 120).price <= 120


def test_a_chain_that_asks_more_than_the_limit_is_too_dear(node: LyingRpc) -> None:
    for rpc in (asks(node, base=118, tip=3), asks(node, price=121)):
        with pytest.raises(TransactionRefusedError) as refusal:
            fees(rpc, None, 0, 120)
        assert refusal.value.reason == "too-dear"
    with pytest.raises(TransactionRefusedError):
        fees(asks(node), 121, 0, 120)
    assert fees(asks(node, base=117, tip=3), None, 0, 120).price == 120


def test_a_fixed_price_stays_what_it_is(node: LyingRpc) -> None:
    for fixed in (0, 7):
        assert fees(asks(node, base=100), fixed, 500) == Fees(fixed, None)
    assert node.asked == []


def test_a_chain_that_asks_for_nothing_is_offered_nothing_even_to_replace(node: LyingRpc) -> None:
    assert fees(asks(node, base=0), None, 1) == Fees(0, 0)
    assert fees(asks(node, price=0), None, 1) == Fees(0, None)
