"""Step 10 online, from kept chain evidence: anchored, not that far, forked, the chain down, and whose word it is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from ledger.evidence.chain import ChainPolicy, block_hashes
from ledger.evidence.policy import LogTrust, Policy
from ledger.evidence.policy_text import dump_policy
from ledger.evidence.report import Report, Verdict
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import Note
from ledger.log.tree import leaf_hash
from ledger.store.tiles import TileReader
from node.anchor.status import WorkerState
from node.anchor.worker import AnchorWorker
from node.evidence import evidence, stand_of
from node.node import Node
from node.verification import OnlineVerifier, examine, own_trust
from node.verification_request import Request
from tests import chain_world
from tests.chain_world import TinyLog, World
from tests.evidence.bundles import SUITES
from tests.node.made_log import ITEM, Made
from tests.waiting import wait_until

world = chain_world.world
BY_NODE = "the word of the chain's node that this node asks"


class Anchored(TinyLog):
    """What the chain gets to see as our log: the leaves of `made` up to `keep`, invented ones after."""

    def __init__(self, made: Made, keep: int | None = None) -> None:
        super().__init__("invented")
        folder = made.config.data_path / "log"
        self.size = Checkpoint.parse(Note.parse((folder / "checkpoint").read_bytes()).text).size
        self.leaves = [leaf_hash(raw) for raw in TileReader(folder).iter_entries(0, self.size)][:keep]


def working(made: Made, world: World, keep: int | None = None) -> tuple[Anchored, AnchorWorker]:
    world.log = log = Anchored(made, keep)
    world.deployment = world.deploy()
    return log, world.running()


def anchor(log: TinyLog, worker: AnchorWorker, size: int) -> None:
    log.publish(size)
    wait_until(lambda: (worker.evidence_for(size) or (0,))[0] == size)


def ask(made: Made, worker: AnchorWorker, *requests: Request) -> list[Report]:
    async def story() -> list[Report]:
        async with Node(made.config) as node:
            node.anchors = worker
            verifier = OnlineVerifier(node)
            return [await verifier.verify(lambda: request) for request in requests]  # noqa: B023 - awaited here

    return asyncio.run(story())


def step(report: Report, number: int = 10) -> tuple[Verdict, str]:
    found = report.step(number)
    assert found is not None
    return found.verdict, found.reason


def test_the_chain_is_believed_only_as_far_as_it_goes(made: Made, world: World):
    log, worker = working(made, world)
    about, later = Request(subject=ITEM), Request(subject=made.certification.sub)
    (waiting,) = ask(made, worker, about)
    assert step(waiting)[0] is Verdict.CANNOT_TELL
    assert waiting.overall is Verdict.CANNOT_TELL
    worker = world.running()  # the node's end stopped the other
    anchor(log, worker, log.size - 4)
    anchored, beyond = ask(made, worker, about, later)
    assert anchored.overall is Verdict.VALID, anchored.as_text()
    assert 10 in anchored.required
    assert BY_NODE in anchored.rests_on
    assert step(beyond)[0] is Verdict.CANNOT_TELL
    assert "waits for the next anchor" in step(beyond)[1]


def test_the_answer_needs_no_chain_once_the_evidence_is_kept(made: Made, world: World):
    log, worker = working(made, world)
    anchor(log, worker, log.size - 1)
    worker.stop()
    world.chain.stop()
    (report,) = ask(made, world.worker(), Request(subject=ITEM))
    assert report.overall is Verdict.VALID, report.as_text()


def test_a_chain_that_holds_another_tree_is_a_contradiction(made: Made, world: World):
    log, worker = working(made, world, keep=40)
    anchor(log, worker, 60)
    (report,) = ask(made, worker, Request(subject=ITEM))
    assert step(report)[0] is Verdict.INVALID
    assert report.overall is Verdict.INVALID


def test_a_chain_in_dispute_with_the_log_vouches_for_nothing(made: Made, world: World):
    log, worker = working(made, world)
    anchor(log, worker, log.size - 4)
    (before,) = ask(made, worker, Request(subject=ITEM))
    assert before.overall is Verdict.VALID
    world.anchor_as(Anchored(made, keep=log.size - 4), log.size + 3)  # somebody else's continuation
    worker = world.running()
    wait_until(lambda: worker.status().state is WorkerState.DISPUTED)
    (report,) = ask(made, worker, Request(subject=ITEM))
    assert step(report)[0] is Verdict.CANNOT_TELL
    assert "nobody vouches" in step(report)[1]
    assert report.overall is Verdict.CANNOT_TELL


def test_a_bundle_taken_away_is_valid_while_its_block_is_remembered_and_under_a_policy_that_pins_it(
    made: Made, world: World
):
    log, worker = working(made, world)
    anchor(log, worker, log.size - 1)

    async def story() -> tuple[bytes, Report, Report, Report]:
        async with Node(made.config) as node:
            node.anchors = worker
            raw = await evidence(node, ITEM, None)
            found = worker.evidence_for(log.size)
            assert found is not None
            world.rpc().call("anvil_mine", "0x3")
            wait_until(lambda: worker.evidence_for(log.size) != found)
            chain = ChainPolicy(
                "ethereum", worker.identity.chain_id, bytes.fromhex(worker.identity.contract[2:]),
                worker.identity.code_hash, block_hashes(found[1]),
            )  # fmt: skip
            given = Policy((LogTrust(node.log_id, None, SUITES),), chains=(chain,), trust_operator_state=True)
            verifier = OnlineVerifier(node)
            own = await verifier.verify(lambda: Request(bundle=raw))
            pinned = await verifier.verify(lambda: Request(bundle=raw, policy=dump_policy(given)))
            stand, trust = stand_of(node), replace(own_trust(node), blocks=())
            forgotten = await asyncio.to_thread(examine, stand, trust, Request(bundle=raw), made.world.now)
            return raw, own, pinned, forgotten

    _, own, pinned, forgotten = asyncio.run(story())
    assert own.overall is Verdict.VALID, own.as_text()
    assert pinned.overall is Verdict.VALID, pinned.as_text()
    assert BY_NODE in own.rests_on
    assert BY_NODE not in pinned.rests_on
    assert step(forgotten)[0] is Verdict.CANNOT_TELL
