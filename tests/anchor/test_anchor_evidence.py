"""The worker keeps chain evidence beside its anchors: taken, renewed, caught up with, never in the way of anchoring."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from ledger.errors import UnavailableError
from ledger.evidence.chain import ChainFacts, ChainPolicy, check_chain_evidence
from node.anchor.evidence import EvidenceKeeper
from node.anchor.outbox import Outbox
from node.anchor.status import WorkerState
from node.anchor.worker import AnchorWorker
from node.chain import transactions
from node.chain.rpc import JsonRpc
from tests.chain_world import World, wait_until


class Relay:
    """A chain's node that passes everything on, but refuses some methods."""

    def __init__(self, url: str) -> None:
        self.refused: set[str] = set()
        self.asked: list[str] = []
        relay = self
        self.client = client = httpx.Client(trust_env=False)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                asked = json.loads(body)
                relay.asked.append(asked["method"])
                if asked["method"] in relay.refused:
                    error = {"code": -32601, "message": "the method does not exist"}
                    answer = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": error}).encode()
                else:
                    answer = client.post(url, content=body, headers={"Content-Type": "application/json"}).content
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def relay(world: World) -> Iterator[Relay]:
    made = Relay(world.chain.url)
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.client.close()


def anchor(world: World, worker: AnchorWorker, size: int) -> None:
    world.log.publish(size)
    worker.anchor_now(20)


def facts_of(world: World, worker: AnchorWorker, size: int, under: int | None = None) -> tuple[int, ChainFacts]:
    """Check the evidence kept for a log of `size`, pinning the newest block of the chain, or the one given."""
    found = worker.evidence_for(size)
    assert found is not None
    identity = world.backend().identity
    block = world.rpc().call("eth_getBlockByNumber", hex(under) if under else "latest", False)  # noqa: FBT003
    policy = ChainPolicy(
        "ethereum",
        identity.chain_id,
        bytes.fromhex(identity.contract[2:]),
        identity.code_hash,
        headers=(bytes.fromhex(block["hash"][2:]),),
    )
    return found[0], check_chain_evidence(found[1], policy, world.log.id)


def test_each_anchor_has_evidence_as_soon_as_it_is_final(world: World) -> None:
    worker = world.running(interval=60)
    assert worker.evidence_for(100) is None
    anchor(world, worker, 5)
    assert facts_of(world, worker, 5)[1].root == world.log.published.root
    under = world.backend().final_block()
    anchor(world, worker, 9)
    assert worker.evidence_for(4) is None
    for size, anchored, block in ((5, 5, under), (8, 5, under), (9, 9, None), (10_000, 9, None)):
        found, facts = facts_of(world, worker, size, block)
        assert (found, facts.size) == (anchored, anchored)
    assert worker.evidence_status().size == 9
    assert worker.evidence_status().error == ""


def test_evidence_is_served_after_a_restart_without_the_chain(world: World) -> None:
    worker = world.running()
    anchor(world, worker, 5)
    kept = worker.evidence_for(5)
    worker.stop()
    world.chain.stop()
    again = world.running()
    wait_until(lambda: again.status().state is WorkerState.CHAIN_DOWN)
    assert again.evidence_for(5) == kept
    with pytest.raises(UnavailableError):
        again.prove(5)


def test_the_newest_anchor_is_proven_again_under_newer_headers_while_all_rests(world: World) -> None:
    worker = world.running(interval=0.1)
    anchor(world, worker, 5)
    first = world.backend().final_block()
    wait_until(lambda: worker.evidence_status().block == first)
    world.rpc().call("evm_increaseTime", 3_600)
    world.rpc().call("anvil_mine", "0x3")
    wait_until(lambda: worker.evidence_status().block == first + 3)
    _, facts = facts_of(world, worker, 5)
    assert (facts.newest, facts.block) == (True, first + 3)
    assert facts.time >= facts.anchored_time + 3_600


def test_a_chain_that_stands_still_is_not_asked_for_the_same_proof_again(world: World, relay: Relay) -> None:
    chain = world.backend()
    chain.rpc = JsonRpc(relay.url, timeout=3)
    worker = world.running(chain=chain, interval=0.05)
    anchor(world, worker, 5)
    wait_until(lambda: relay.asked.count("eth_getCode") > 12)
    assert relay.asked.count("eth_getProof") == 1


def test_a_chain_that_gives_no_proofs_does_not_hold_up_anchoring_and_is_asked_again(world: World, relay: Relay) -> None:
    relay.refused.add("eth_getProof")
    chain = world.backend()
    chain.rpc = JsonRpc(relay.url, timeout=3)
    worker = world.running(chain=chain, interval=0.1)
    for size in (5, 9, 12):
        anchor(world, worker, size)
    assert worker.status().state is WorkerState.IDLE
    assert worker.evidence_for(12) is None
    assert "does not exist" in worker.evidence_status().error
    relay.refused.clear()
    for size in (12, 9, 5):
        wait_until(lambda size=size: (worker.evidence_for(size) or (0,))[0] == size)
        assert facts_of(world, worker, size)[1].size == size
    assert worker.evidence_status().error == ""


def test_anchors_listed_from_the_chain_get_their_evidence_too(world: World) -> None:
    worker = world.running()
    for size in (5, 9):
        anchor(world, worker, size)
    worker.stop()
    for path in world.outbox.glob("*"):
        if path.is_file():
            path.unlink()
    again = world.running(interval=0.1)
    for size in (5, 9):
        wait_until(lambda size=size: (again.evidence_for(size) or (0,))[0] == size)


def test_evidence_of_an_anchor_that_the_chain_lost_is_not_given_out(world: World) -> None:
    worker = world.running()
    anchor(world, worker, 5)
    anchor(world, worker, 9)
    worker.stop()  # else it finds the anchor again
    outbox = Outbox(world.outbox, world.log.id)
    here = world.backend().identity
    assert outbox.evidence(9, here) is not None
    assert outbox.lose_above(5, here) == 1
    found = outbox.evidence(9, here)
    assert found is not None
    assert found[0] == 5
    outbox.drop_evidence(5)
    assert outbox.evidence(9, here) is None
    assert outbox.unproven() == [5]
    assert Outbox(world.outbox, world.log.id).unproven() == [5]


def test_a_proof_under_a_block_of_the_askers_choice_comes_over_another_connection(world: World) -> None:
    worker = world.running(interval=0.1)
    anchor(world, worker, 5)
    block = world.backend().final_block()
    anchor(world, worker, 9)
    proven = worker.prove(5, block=block, requested=(bytes(31) + b"\1",))
    assert (proven.facts.block, proven.facts.head_size) == (block, 5)
    assert not proven.facts.requested[0].made
    assert worker.status().state is WorkerState.IDLE


def test_several_proofs_on_demand_wait_for_each_other_and_too_many_are_refused(world: World) -> None:
    worker = world.running(interval=60)
    anchor(world, worker, 9)
    results: list[int | str] = []

    def ask() -> None:
        try:
            results.append(worker.prove(9).facts.size)
        except UnavailableError as error:
            results.append(error.detail)

    worker._evidence._lock.acquire()
    try:
        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(results) == 2)
        assert set(results) == {"the chain is being asked for other proofs"}
    finally:
        worker._evidence._lock.release()
    for thread in threads:
        thread.join(20)
    assert results[2:] == [9, 9, 9]


def test_a_proof_of_another_root_than_the_anchors_is_not_kept(world: World) -> None:
    worker = world.running(interval=60)
    anchor(world, worker, 5)
    outbox = Outbox(world.outbox, world.log.id)
    record = outbox.get(5)
    assert record is not None
    keeper = EvidenceKeeper(outbox, world.log.id)
    keeper.take(world.backend(), replace(record, root=bytes(32)))
    assert outbox.evidence(5, world.backend().identity) is None
    assert "another root" in keeper.status.error
    keeper.take(world.backend(), record)
    assert outbox.evidence(5, world.backend().identity) is not None
    assert keeper.status.error == ""


def test_the_evidence_of_a_log_that_was_sealed_tells_of_the_seal(world: World) -> None:
    worker = world.running(interval=0.1)
    anchor(world, worker, 5)
    chain = world.backend()
    transactions.transact(
        world.rpc(),
        world.admin,
        chain_id=chain.identity.chain_id,
        to=chain.identity.contract,
        data=chain.artifact.encode("seal", world.log.id, 5, world.log.published.root, bytes(32)),
        price=None,
        seconds=20,
    )
    world.log.publish(9)
    wait_until(lambda: worker.status().state is WorkerState.SEALED)
    sealed = chain.final_block()
    wait_until(lambda: worker.evidence_status().block == sealed)
    assert facts_of(world, worker, 9)[1].sealed
