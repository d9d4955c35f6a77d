"""A node anchors through nodes of the chain that lie, hang, or belong to another chain; others are honest, or none.

What the chain holds is proven by the signatures of its validators: a lie costs time at most. Each lie is told by the
very node that is in use.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from devnet.bft.network import BftNetwork
from tests.bft_node import AnchoringLog
from tests.lying_rpc import LyingRpc

figures = logging.getLogger("figures")
Answer = dict[str, Any]

SLOW = 20.0
"""Seconds from which on it is told why an anchor took so long."""


class Pair:
    """The two RPCs of one node of the chain, each behind a proxy."""

    def __init__(self, stack: ExitStack, network: BftNetwork, index: int) -> None:
        self.eth = stack.enter_context(LyingRpc(network.eth_urls[index]))
        self.comet = stack.enter_context(LyingRpc(network.comet_urls[index]))

    def honest(self) -> None:
        self.eth.honest()
        self.comet.honest()

    def hang(self) -> None:
        self.eth.hang()
        self.comet.hang()


@pytest.fixture
def log(network: BftNetwork, tmp_path: Path) -> AnchoringLog:
    return AnchoringLog(network, tmp_path)


@pytest.fixture
def pairs(network: BftNetwork) -> Iterator[list[Pair]]:
    with ExitStack() as stack:
        yield [Pair(stack, network, index) for index in range(4)]


def urls(pairs: list[Pair]) -> tuple[list[str], list[str]]:
    return [pair.eth.url for pair in pairs], [pair.comet.url for pair in pairs]


# --- lies ------------------------------------------------------------------------------------------------------------


def failed(_: Answer, answer: Answer) -> Answer:
    return answer | {"result": answer["result"] and answer["result"] | {"status": "0x0"}}


def elsewhere(_: Answer, answer: Answer) -> Answer:
    where = {"blockNumber": "0x1", "blockHash": "0x" + "11" * 32}
    return answer | {"result": answer["result"] and answer["result"] | where}


def other_events(_: Answer, answer: Answer) -> Answer:
    return answer | {"result": [event | {"blockHash": "0x" + "22" * 32} for event in answer["result"]]}


def other_header(_: Answer, answer: Answer) -> Answer:
    answer["result"]["signed_header"]["header"]["app_hash"] = "AB" * 32
    return answer


def other_signatures(_: Answer, answer: Answer) -> Answer:
    for signature in answer["result"]["signed_header"]["commit"]["signatures"]:
        if signature["signature"]:
            raw = bytearray(base64.b64decode(signature["signature"]))
            raw[7] ^= 1
            signature["signature"] = base64.b64encode(raw).decode()
    return answer


def other_value(_: Answer, answer: Answer) -> Answer:
    """Another value in the proof: the head of the log would be of another size."""
    op = answer["result"]["response"]["proofOps"]["ops"][0]
    raw = bytearray(base64.b64decode(op["data"]))
    raw[len(raw) // 2] ^= 1
    op["data"] = base64.b64encode(raw).decode()
    return answer


def no_such_key(_: Answer, answer: Answer) -> Answer:
    answer["result"]["response"] |= {"value": None, "proofOps": None}
    return answer


ZERO = "0x" + "00" * 32
LIES: dict[str, Callable[[Pair], None]] = {
    "receipts of failures": lambda pair: pair.eth.rewrite("eth_getTransactionReceipt", failed),
    "receipts of another block": lambda pair: pair.eth.rewrite("eth_getTransactionReceipt", elsewhere),
    "events in another block": lambda pair: pair.eth.rewrite("eth_getLogs", other_events),
    "views of zero": lambda pair: pair.eth.result(ZERO, "eth_call"),
    "every call reverts": lambda pair: pair.eth.error("execution reverted", "eth_estimateGas", number=3),
    "no contract": lambda pair: pair.eth.result("0x", "eth_getCode"),
    "another chain": lambda pair: pair.eth.result("0x7", "eth_chainId"),
    "another header": lambda pair: pair.comet.rewrite("commit", other_header),
    "other signatures": lambda pair: pair.comet.rewrite("commit", other_signatures),
    "another value": lambda pair: pair.comet.rewrite("abci_query", other_value),
    "no such key": lambda pair: pair.comet.rewrite("abci_query", no_such_key),
}


def test_each_lie_of_the_node_in_use_costs_time_at_most(log: AnchoringLog, pairs: list[Pair]) -> None:
    eth, comet = urls(pairs)
    took: list[str] = []
    with log.node(eth, comet) as node:
        log.anchored(node)
        for lie, tell in LIES.items():
            liar = pairs[log.in_use(node)]
            tell(liar)
            size = log.grow(node, 2)
            mark = len(node.lines)
            seconds = log.anchored(node, size)
            took.append(f"{lie} {seconds:.1f}")
            if seconds > SLOW:
                figures.warning("%s: %s", lie, node.lines[mark:])
            _, facts = log.evidence(node, size)
            assert facts.size == size
            liar.honest()
        figures.warning("seconds to an anchor: %s", ", ".join(took))
        log.check(node)
        assert log.states <= {"starting", "idle", "anchoring", "chain-down", "refused"}, (
            "a refusal only until the next node is asked"
        )


def test_where_all_nodes_lie_nothing_is_final_and_the_reason_is_told(log: AnchoringLog, pairs: list[Pair]) -> None:
    pairs = pairs[:2]
    eth, comet = urls(pairs)
    with log.node(eth, comet) as node:
        log.anchored(node)
        before = log.status(node)["anchored_size"]
        size = log.grow(node, 3)
        log.anchored(node, size)
        for lie, reason in ((other_signatures, "not the chain's"), (other_header, "not the chain's")):
            anchored = log.status(node)["anchored_size"]
            for pair in pairs:
                pair.comet.rewrite("commit", lie)
            status = log.until(node, lambda status: status["state"] == "chain-down")
            assert reason in status["last_error"]
            log.grow(node, 3)
            time.sleep(2)
            assert log.status(node)["anchored_size"] == anchored
            assert [each.size for each in log.on_chain()][-1] == anchored, "nor is anything sent on their word"
            for pair in pairs:
                pair.honest()
            log.anchored(node)
        assert before < log.check(node).size


# --- nodes that are of no use ----------------------------------------------------------------------------------------


def test_a_node_of_another_chain_is_skipped_and_named(log: AnchoringLog, pairs: list[Pair]) -> None:
    pairs = pairs[:2]
    eth, comet = urls(pairs)
    pairs[0].eth.result("0x7", "eth_chainId")
    with log.node(eth, comet) as node:
        log.anchored(node)
        status = log.status(node)
        assert [(each["state"], each["used"]) for each in status["nodes"]] == [("strange", False), ("well", True)]
        assert "serves chain 7" in status["nodes"][0]["error"]
        assert "eth_sendRawTransaction" not in pairs[0].eth.asked
        log.check(node)
        pairs[1].eth.result("0x8", "eth_chainId")
        log.grow(node)
        status = log.until(node, lambda status: status["state"] == "chain-mismatch")
        assert "serves chain 8" in status["last_error"]
        pairs[1].eth.honest()
        log.check(node)


def test_a_node_that_hangs_for_ever_is_replaced_and_holds_up_neither_admission_nor_the_end(
    log: AnchoringLog, pairs: list[Pair]
) -> None:
    eth, comet = urls(pairs[:3])
    with log.node(eth, comet) as node:
        with log.load(node) as load:
            load.goes_on()
            log.anchored(node)
            hanging = log.in_use(node)
            pairs[hanging].hang()
            took = log.anchored(node)
            assert log.in_use(node) != hanging
            assert took < 10 * log.chain["timeout"]
            for pair in pairs:
                pair.hang()
            log.until(node, lambda status: status["state"] == "chain-down")
            load.goes_on(50)
        begun = time.monotonic()
        assert node.stop() == 0
        ended = time.monotonic() - begun
        assert ended < 6 * log.chain["timeout"]
        figures.warning("anchored by another after %.1f s; ended in %.1f s while all hang", took, ended)
    for pair in pairs:
        pair.honest()
    with log.node(eth, comet) as node:
        log.check(node)
