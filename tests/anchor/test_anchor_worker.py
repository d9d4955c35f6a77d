"""The anchor worker on a real chain: growth, faults of the chain, lies of the chain, thieves."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from collections.abc import Callable

import pytest

from devnet.processes import send_signal
from devnet.rpc import call
from ledger.crypto import secp256k1
from ledger.errors import LedgerError, UnavailableError
from node.anchor.outbox import Outbox
from node.anchor.records import AnchorState
from node.anchor.status import WorkerState
from node.anchor.worker import AnchorWorker
from node.chain import transactions
from node.chain.deploy import Deployer
from node.chain.protocol import ContractMissingError, Finality, TransactionRefusedError
from tests.chain_world import TinyLog, World, wait_until

is_state = Callable[[], bool]


def in_state(worker: AnchorWorker, state: WorkerState) -> is_state:
    return lambda: worker.status().state is state


def anchored(worker: AnchorWorker, size: int) -> is_state:
    return lambda: worker.status().anchored_size == size and worker.status().state is WorkerState.IDLE


def test_a_growing_log_is_anchored_step_by_step(world: World) -> None:
    finals = []
    worker = world.running()
    sizes = [2, 3, 7, 8, 64, 100]
    for size in sizes:
        published = world.log.publish(size)
        record = worker.anchor_now(20)
        finals.append(record)
        assert (record.size, record.root, record.checkpoint) == (size, published.root, published.checkpoint)
        assert record.state is AnchorState.DONE
        assert record.sender == world.sender.address
        assert 0 < record.gas < 130_000
    chain = world.backend()
    assert chain.head(world.log.id).size == 100
    assert [(each.size, each.tx) for each in chain.scan(world.log.id)] == [(each.size, each.tx) for each in finals]
    assert [each.size for each in worker.anchors()] == sizes[::-1]
    assert [each.size for each in worker.anchors(limit=2, before=64)] == [8, 7]
    status = worker.status()
    assert (status.anchored_size, status.pending_size, status.backlog, status.anchors_total) == (100, 0, 0, 6)


def test_the_interval_alone_brings_a_checkpoint_to_the_chain(world: World) -> None:
    worker = world.running()
    world.log.publish(5)
    wait_until(anchored(worker, 5))


def test_an_anchored_checkpoint_is_never_paid_for_twice(world: World) -> None:
    world.log.publish(9)
    world.running().anchor_now(20)
    world.workers[0].stop()
    again = world.running()
    assert again.anchor_now(20).size == 9
    assert again.status().sent_total == 0
    assert len(list(world.backend().scan(world.log.id))) == 1


def test_nothing_published_is_said_so(world: World) -> None:
    with pytest.raises(UnavailableError, match="no checkpoint is published"):
        world.running().anchor_now(1)


def test_a_checkpoint_that_somebody_else_anchored_is_done(world: World) -> None:
    tx = world.anchor_as(world.log, 12)
    record = world.running().anchor_now(20)
    assert (record.size, record.tx) == (12, tx)
    assert world.workers[0].status().sent_total == 0


def test_a_lost_outbox_is_rebuilt_from_the_chain(world: World) -> None:
    for size in (4, 6, 10):
        world.anchor_as(world.log, size)
    worker = world.running()
    wait_until(anchored(worker, 10))
    assert [each.size for each in worker.anchors()] == [10, 6, 4]
    assert worker.status().sent_total == 0
    worker.stop()
    (world.outbox / f"{6:020d}.json").write_text("{")
    assert [each.size for each in Outbox(world.outbox, world.log.id).anchors()] == [10, 4]
    shutil.rmtree(world.outbox)
    again = world.running()
    wait_until(anchored(again, 10))
    assert [each.size for each in again.anchors()] == [10, 6, 4]


def test_anvil_killed_again_and_again_never_ends_anchoring(world: World) -> None:
    worker = world.running()
    for turn in range(1, 5):
        world.chain.start()  # the last one may have been killed after its anchor was final
        world.log.publish(10 * turn)
        worker.wake()
        time.sleep(0.03 * turn)
        send_signal(world.chain.folder / "anvil.pid", signal.SIGKILL)
        assert worker.anchor_now(20).size == 10 * turn
    world.chain.start()
    wait_until(lambda: world.backend().head(world.log.id).size == 40)  # again, where the chain lost it at the end


def test_a_chain_that_lost_its_latest_anchors_gets_them_again(world: World) -> None:
    worker = world.running()
    world.log.publish(10)
    worker.anchor_now(20)
    older = world.chain.save()
    shutil.copy(older, world.folder / older.name)
    for size in (20, 30):
        world.log.publish(size)
        worker.anchor_now(20)
    world.chain.stop()
    wait_until(in_state(worker, WorkerState.CHAIN_DOWN))
    assert [each.size for each in worker.anchors()] == [30, 20, 10]
    for path in world.chain.folder.glob("state-*.json"):
        path.unlink()
    shutil.copy(world.folder / older.name, older)
    world.chain.start()
    wait_until(anchored(worker, 30))
    assert worker.status().lost_total == 2
    states = [(each.size, each.state) for each in worker.anchors()]
    assert states == [(30, AnchorState.DONE), (20, AnchorState.LOST), (10, AnchorState.DONE)]
    assert world.backend().head(world.log.id).size == 30


def test_a_chain_that_restarted_empty_is_recognised_and_refused(world: World) -> None:
    worker = world.running()
    world.log.publish(10)
    worker.anchor_now(20)
    world.empty_the_chain()
    wait_until(in_state(worker, WorkerState.CHAIN_LOST))
    with pytest.raises(ContractMissingError):
        world.backend().check()
    with pytest.raises(LedgerError, match="chain was reset") as refusal:
        worker.anchor_now(5)
    assert refusal.value.where == "chain-lost"
    assert [each.size for each in worker.anchors()] == [10]


def test_an_empty_chain_is_deployed_to_again_where_that_is_asked_for(world: World) -> None:
    world.log.publish(10)
    world.running().anchor_now(20)
    world.workers[0].stop()
    world.empty_the_chain()
    deployments = []

    def redeploy() -> object:
        world.deployment = world.deploy()
        deployments.append(world.deployment)
        return world.backend()

    worker = world.worker(redeploy=redeploy)
    worker.start()
    record = worker.anchor_now(20)
    assert len(deployments) == 1
    assert (record.size, record.contract) == (10, world.deployment.contract)
    assert world.backend().head(world.log.id).size == 10


def test_another_contract_is_anchored_to_from_the_start_and_old_anchors_are_neither_lost_nor_counted(
    world: World,
) -> None:
    before = world.running()
    for size in (5, 9):
        world.log.publish(size)
        before.anchor_now(20)
    before.stop()
    old = world.deployment.contract
    world.deployment = world.deploy()
    worker = world.worker()
    assert worker.status().anchored_size == 0
    assert worker.evidence_for(9) is None
    worker.start()
    assert worker.anchor_now(20).contract == world.deployment.contract
    assert [(each.size, each.state, each.contract) for each in worker.anchors()] == [
        (9, AnchorState.DONE, world.deployment.contract),
        (5, AnchorState.DONE, old),
    ]
    covering = worker.covering(3)
    assert covering is not None
    assert covering.size == 9
    assert worker.status().lost_total == 0


def test_a_log_that_is_not_registered_counts_as_lost(world: World) -> None:
    stranger = TinyLog()
    stranger.leaves[0] = bytes(range(32))
    stranger.publish(2)
    wait_until(in_state(world.running(log=stranger), WorkerState.CHAIN_LOST))


def test_another_chain_id_is_refused(world: World) -> None:
    world.log.publish(4)
    worker = world.running(chain=world.backend(chain_id=1))
    with pytest.raises(LedgerError, match="serves chain 31990, not 1"):
        worker.anchor_now(5)
    assert worker.status().state is WorkerState.CHAIN_MISMATCH
    assert world.backend().head(world.log.id).size == 1


def test_other_code_at_the_address_is_refused(world: World) -> None:
    call(world.chain.url, "anvil_setCode", world.deployment.contract, "0x6001")
    world.log.publish(4)
    wait_until(in_state(world.running(), WorkerState.CHAIN_MISMATCH))


def test_a_chain_down_for_the_whole_run_gets_the_backlog_when_it_is_back(world: World) -> None:
    backend = world.backend()
    world.chain.stop()
    worker = world.running(chain=backend)
    for size in range(2, 30):
        world.log.publish(size)
    with pytest.raises(UnavailableError):
        worker.anchor_now(0.5)
    status = worker.status()
    assert status.state is WorkerState.CHAIN_DOWN
    assert (status.published_size, status.anchored_size) == (0, 0)
    assert worker.anchors() == []
    world.chain.start()
    wait_until(anchored(worker, 29))
    assert len(list(world.backend().scan(world.log.id))) == 1


def test_a_node_restarted_between_keeping_and_sending_sends_the_same_transaction(world: World) -> None:
    world.log.publish(6)
    backend = world.backend()
    call(world.chain.url, "evm_setAutomine", False)  # noqa: FBT003 - positional
    world.worker(chain=backend).turn()
    kept = Outbox(world.outbox, world.log.id).pending()
    assert kept is not None
    call(world.chain.url, "anvil_dropTransaction", "0x" + kept.attempts[0].hash.hex())
    call(world.chain.url, "evm_setAutomine", True)  # noqa: FBT003 - positional
    worker = world.running()
    record = worker.anchor_now(20)
    assert record.tx == kept.attempts[0].hash
    assert worker.status().resent_total == 1
    assert worker.status().sent_total == 0


def test_what_became_of_earlier_transactions_does_not_slow_the_next_one_down(world: World) -> None:
    worker, pauses = world.worker(), []
    for size in range(3, 9):
        world.log.publish(size)
        call(world.chain.url, "evm_setAutomine", False)  # noqa: FBT003 - positional
        worker.turn()
        kept = Outbox(world.outbox, world.log.id).pending()
        assert kept is not None
        call(world.chain.url, "anvil_dropTransaction", "0x" + kept.attempts[0].hash.hex())
        pauses.append(worker.turn())  # a chain may know a transaction a moment after it took it: it is sent again
        call(world.chain.url, "evm_setAutomine", True)  # noqa: FBT003 - positional
        call(world.chain.url, "evm_mine")
        wait_until(lambda: worker.turn() >= 0 and worker.status().pending_size == 0)
    assert worker.status().resent_total == 6
    assert len(set(pauses)) == 1


def test_a_transaction_that_no_block_takes_is_replaced_by_a_dearer_one(world: World) -> None:
    call(world.chain.url, "evm_setAutomine", False)  # noqa: FBT003 - positional
    world.log.publish(6)
    worker = world.running(patience=0.2)
    wait_until(lambda: worker.status().sent_total >= 2)
    pending = Outbox(world.outbox, world.log.id).pending()
    assert pending is not None
    first, second = pending.attempts[:2]
    assert first.nonce == second.nonce
    assert second.price > first.price
    call(world.chain.url, "evm_setAutomine", True)  # noqa: FBT003 - positional
    call(world.chain.url, "evm_mine")
    assert worker.anchor_now(20).size == 6
    assert len(list(world.backend().scan(world.log.id))) == 1


def test_a_reorganisation_that_drops_the_anchor_brings_it_again(world: World) -> None:
    worker = world.running()
    world.log.publish(10)
    worker.anchor_now(20)
    snapshot = call(world.chain.url, "evm_snapshot")
    world.log.publish(20)
    worker.anchor_now(20)
    assert call(world.chain.url, "evm_revert", snapshot) is True
    wait_until(lambda: world.backend().head(world.log.id).size == 20)
    wait_until(anchored(worker, 20))
    assert worker.status().lost_total in {0, 1}  # the next look may already have come after the second anchor


def test_an_anchor_is_not_final_before_the_policy_says_so(world: World) -> None:
    worker = world.running(chain=world.backend(finality=Finality.parse("depth:3")))
    world.log.publish(10)
    with pytest.raises(UnavailableError):
        worker.anchor_now(0.6)
    status = worker.status()
    assert (status.state, status.anchored_size, status.pending_size) == (WorkerState.ANCHORING, 0, 10)
    call(world.chain.url, "anvil_mine", "0x3")
    assert worker.anchor_now(20).size == 10


def test_another_root_on_the_chain_is_a_dispute_and_ends_anchoring(world: World) -> None:
    forged = TinyLog("forged")
    world.anchor_as(forged, 10)  # with both keys stolen the contract alone cannot tell
    world.log.publish(20)
    worker = world.running()
    with pytest.raises(LedgerError, match="another root at size 10") as alarm:
        worker.anchor_now(5)
    assert alarm.value.where == "disputed"
    (path,) = Outbox(world.outbox, world.log.id).disputes()
    evidence = json.loads(path.read_bytes())
    assert evidence["root"] == forged.published.root.hex()
    assert evidence["size"] == 10
    assert evidence["published_root"] == world.log.published.root.hex()
    worker.stop()
    again = world.running()
    wait_until(in_state(again, WorkerState.DISPUTED))
    assert world.backend().head(world.log.id).size == 10
    again.resolve_dispute()
    wait_until(lambda: len(Outbox(world.outbox, world.log.id).disputes()) == 1)
    assert in_state(again, WorkerState.DISPUTED)(), "the chain still contradicts the log"


def test_another_root_at_the_same_size_is_a_dispute(world: World) -> None:
    world.anchor_as(TinyLog("forged"), 10)
    world.log.publish(10)
    wait_until(in_state(world.running(), WorkerState.DISPUTED))


def test_an_anchor_beyond_what_was_published_is_a_dispute(world: World) -> None:
    world.anchor_as(TinyLog(), 10)
    world.log.publish(5)
    worker = world.running()
    wait_until(in_state(worker, WorkerState.DISPUTED))
    assert "larger than anything published" in worker.status().last_error


def test_a_stolen_anchoring_key_cannot_anchor(world: World) -> None:
    thief = secp256k1.SUITE.generate()
    world.log.publish(10)
    published = world.log.published
    assert published is not None
    chain = world.backend()
    proof = world.log.consistency(1, 10)
    payload = chain.authorisation_payload(world.log.id, 10, published.root)
    for key in (thief, world.sender):
        with pytest.raises(TransactionRefusedError) as refusal:
            chain.prepare(world.log.id, 1, 10, published.root, proof, key.sign_keccak(payload))
        assert refusal.value.reason == "AuthorisationRefused"
    worker = world.running(authoriser=thief)
    wait_until(in_state(worker, WorkerState.REFUSED))
    assert chain.head(world.log.id).size == 1


def test_a_sender_without_the_role_is_refused_by_name_and_anchors_once_it_has_it(world: World) -> None:
    world.sender = secp256k1.SUITE.generate()
    world.chain.fund(world.sender.address)
    world.log.publish(10)
    worker = world.running()
    with pytest.raises(LedgerError, match="AccessControlUnauthorizedAccount"):
        worker.anchor_now(5)
    Deployer(world.rpc(), world.admin).grant(world.deployment.contract, "ANCHORER_ROLE", world.sender.address)
    wait_until(anchored(worker, 10))


def test_a_sender_without_funds_is_told_so_and_goes_on_when_it_has_some(world: World) -> None:
    call(world.chain.url, "anvil_setBalance", world.sender.address, "0x0")
    world.log.publish(10)
    worker = world.running()
    wait_until(in_state(worker, WorkerState.REFUSED))
    assert "funds" in worker.status().last_error.lower()
    world.chain.fund(world.sender.address)
    wait_until(anchored(worker, 10))


def test_a_sealed_log_is_not_anchored_any_more(world: World) -> None:
    world.anchor_as(world.log, 5)
    chain = world.backend()
    data = chain.artifact.encode("seal", world.log.id, 5, world.log.published.root, bytes(32))
    transactions.transact(
        chain.rpc, world.admin, chain_id=31990, to=world.deployment.contract, data=data, price=None, seconds=10
    )
    world.log.publish(9)
    wait_until(in_state(world.running(), WorkerState.SEALED))
    assert chain.head(world.log.id).sealed


def test_a_fault_in_the_node_s_own_callback_does_not_end_the_thread(world: World) -> None:
    world.log.publish(5)
    honest = world.log.consistency
    faults = [IndexError("a fault")]

    def consistency(old: int, new: int) -> list[bytes]:
        if faults:
            raise faults[0]
        return honest(old, new)

    world.log.consistency = consistency  # type: ignore[method-assign]
    worker = world.running()
    wait_until(in_state(worker, WorkerState.FAILED))
    faults.clear()
    wait_until(anchored(worker, 5))


def test_stopping_ends_the_thread_and_says_so(world: World) -> None:
    worker = world.running()
    worker.stop()
    assert worker.status().state is WorkerState.STOPPED
    assert not any(thread.name == "anchor" for thread in threading.enumerate())
    world.log.publish(3)
    with pytest.raises(LedgerError):
        worker.anchor_now(1)


def test_a_full_disk_keeps_anything_from_being_sent(world: World) -> None:
    world.log.publish(5)
    worker = world.worker()
    (world.outbox / "pending.json").mkdir()  # cannot be replaced by a file, as on a disk that refuses
    worker.start()
    wait_until(in_state(worker, WorkerState.FAILED))
    chain = world.backend()
    assert transactions.next_nonce(chain.rpc, world.sender.address) == 0
    (world.outbox / "pending.json").rmdir()
    wait_until(anchored(worker, 5))


def test_a_worker_tells_what_each_anchor_took(world: World) -> None:
    worker = world.running()
    spent = []
    for size in range(2, 12):
        world.log.publish(size)
        start = time.monotonic()
        worker.anchor_now(20)
        spent.append(time.monotonic() - start)
    assert sorted(spent)[len(spent) // 2] < 1.0
