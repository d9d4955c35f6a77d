"""A node anchors on a real network whose validators die, halt and change, and whose consortium takes rights away.

Statements come in all the time; each must be acknowledged soon, whatever the chain does. In the end all of them are
under an anchor that is proven to whoever knows the validators of the genesis, and no anchor is there twice.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from pathlib import Path

import pytest

from devnet.bft.network import BftNetwork
from ledger.crypto import secp256k1
from ledger.log.proofs import consistency_proof
from ledger.statements import cbor
from tests.bft_node import AnchoringLog
from tests.bft_world import grow, height, let_send, set_validators
from tests.running import Running, running
from tests.waiting import wait_until

figures = logging.getLogger("figures")
LINKS = 8
"""Place of the changes of validators in evidence."""


@pytest.fixture
def log(network: BftNetwork, tmp_path: Path) -> AnchoringLog:
    return AnchoringLog(network, tmp_path)


def halted(log: AnchoringLog, node: Running) -> int:
    """Wait until the node sees that the chain stands still; the size that was anchored until then."""
    return int(log.until(node, lambda status: status["chain_halted"])["anchored_size"])


# --- validators that die ---------------------------------------------------------------------------------------------


def test_one_validator_killed_under_load_holds_no_anchor_up(network: BftNetwork, log: AnchoringLog) -> None:
    with log.node() as node, log.load(node) as load:
        load.goes_on()
        log.anchored(node)
        network.kill(log.in_use(node))  # the very one that the node asks
        for _ in range(2):
            load.goes_on(50)
            log.anchored(node)
        assert log.in_use(node) != 0
        load.stop()
        log.check(node)
        if log.refusals:  # while a node lags behind what is proven already; it passes by itself
            figures.warning("refusals in passing: %s", log.refusals)


def test_two_validators_killed_stop_anchors_and_nothing_else_until_they_are_back(
    network: BftNetwork, log: AnchoringLog
) -> None:
    with log.node() as node, log.load(node) as load:
        load.goes_on()
        log.anchored(node)
        network.kill(2)
        network.kill(3)
        anchored = halted(log, node)
        for _ in range(3):
            load.goes_on(50)
            assert log.status(node)["anchored_size"] == anchored, "nothing is final while no block is"
        node.publish()
        assert log.status(node)["backlog"] >= 100
        assert node.client.get("/readyz").status_code == 200
        for shown in log.shown(node):
            _, facts = log.evidence(node, shown["size"])
            assert (facts.root.hex(), facts.anchored_block) == (shown["root"], shown["block"])
        assert node.client.get(f"/v1/anchors/{node.publish()['size']}").status_code == 404
        begun = time.monotonic()
        network.restart(2)
        network.restart(3)
        back = time.monotonic()
        log.anchored(node)
        now = time.monotonic()
        figures.warning(
            "backlog anchored %.1f s after both were back, %.1f s after the first began", now - back, now - begun
        )
        load.stop()
        log.check(node)


def test_all_validators_killed_under_load_lose_nothing(network: BftNetwork, log: AnchoringLog) -> None:
    with log.node() as node, log.load(node) as load:
        load.goes_on()
        log.anchored(node)
        for index in range(4):
            network.kill(index)
        log.until(node, lambda status: status["state"] == "chain-down")
        load.goes_on(50)
        for index in range(4):
            network.restart(index)
        log.anchored(node)
        log.until(node, lambda status: not status["chain_halted"])
        load.stop()
        log.check(node)


def test_a_node_killed_with_an_anchor_under_way_on_a_halted_chain_goes_on(
    network: BftNetwork, log: AnchoringLog
) -> None:
    with log.node() as node:
        log.grow(node)
        log.anchored(node)
        network.kill(2)
        network.kill(3)
        before = halted(log, node)
        size = log.grow(node, 5)
        log.until(node, lambda status: status["pending_size"] == size)
        node.kill()
    with running(log.config) as node:
        log.grow(node, 5)
        assert halted(log, node) == before
        assert log.status(node)["pending_size"] == size
        network.restart(2)
        network.restart(3)
        log.anchored(node)
        log.check(node)


# --- rights ----------------------------------------------------------------------------------------------------------


def test_a_right_taken_away_is_named_and_anchoring_resumes_when_it_is_given_back(
    network: BftNetwork, log: AnchoringLog
) -> None:
    account = log.sender.address
    with log.node() as node, log.load(node, 0.1) as load:
        log.anchored(node)
        for take, give, reason in (
            (partial(let_send, network, account, 0), partial(let_send, network, account), "consortium does not let"),
            (partial(log.take_role, account), partial(log.give_role, account), "ANCHORER_ROLE"),
        ):
            take()
            status = log.until(node, lambda status: status["state"] == "refused")
            assert reason in status["last_error"]
            assert account in status["last_error"]
            load.goes_on(10)
            status = log.status(node)
            assert (status["state"], status["backlog"] > 0) == ("refused", True)
            give()
            log.anchored(node)
        load.stop()
        log.check(node)


def test_an_anchor_by_somebody_else_with_our_authorisation_is_taken_as_ours(
    network: BftNetwork, log: AnchoringLog
) -> None:
    other = secp256k1.SUITE.generate()
    let_send(network, other.address)
    log.give_role(other.address)
    with log.node() as node:
        log.anchored(node)
        log.take_role(log.sender.address)
        size = log.grow(node, 5)
        log.until(node, lambda status: status["state"] == "refused")
        chain = log.backend(other)
        head = chain.head(log.id)
        proof = consistency_proof(head.size, size, log.reader().nodes(size).get_node)
        root = bytes.fromhex(node.client.get("/v1/log").json()["published"]["root"])
        authorisation = log.authoriser.sign_keccak(chain.authorisation_payload(log.id, size, root))
        chain.submit(chain.prepare(log.id, head.size, size, root, proof, authorisation).raw)
        log.until(node, lambda status: (status["state"], status["anchored_size"]) == ("idle", size))
        assert log.shown(node)[0]["sender"] == other.address
        assert log.check(node).anchored_by.hex() == other.address[2:].lower()
        log.give_role(log.sender.address)
        log.grow(node)
        assert log.check(node).anchored_by.hex() == log.sender.address[2:].lower()


# --- validators that change ------------------------------------------------------------------------------------------


def test_validators_that_change_are_followed_while_the_node_runs_and_while_it_does_not(
    network: BftNetwork, log: AnchoringLog
) -> None:
    nodes = network.description.nodes[:4]
    equal = dict.fromkeys(nodes, 10)
    three = dict.fromkeys(nodes[:3], 10)
    try:
        with log.node() as node:
            log.anchored(node)
            before, facts = log.evidence(node, log.status(node)["anchored_size"])
            known = len(cbor.decode(before, max_size=1 << 20)[LINKS])
            for number, powers in enumerate((equal | {nodes[0]: 12}, three, equal), 1):
                changed = set_validators(network, powers)
                wait_until(lambda at=changed: height(network) > at + 2)  # type: ignore[misc]
                size = log.grow(node)
                log.anchored(node, size)
                raw, facts = log.evidence(node, size)
                assert facts.block > changed
                assert len(cbor.decode(raw, max_size=1 << 20)[LINKS]) == known + number
            told = node.client.get("/v1/log").json()["chain"]
            assert {bytes.fromhex(v["key"]): v["power"] for v in told["validators"]} == {n.key: 10 for n in nodes}
        for powers in (three, equal | {nodes[1]: 13}):
            changed = set_validators(network, powers)
            wait_until(lambda at=changed: height(network) > at + 2)  # type: ignore[misc]
        with running(log.config) as node:
            log.grow(node)
            facts = log.check(node)
            assert facts.block > changed
            raw, _ = log.evidence(node, facts.size)
            assert len(cbor.decode(raw, max_size=1 << 20)[LINKS]) > known + 3
    finally:
        set_validators(network, equal)
        grow(network, 3)
