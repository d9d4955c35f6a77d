"""Step 10 against a real chain: anchored, not anchored that far, forked, rolled back, unknown."""

from __future__ import annotations

import asyncio

from ledger.evidence.report import Report, Verdict
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import Note
from ledger.log.tree import leaf_hash
from ledger.store.tiles import TileReader
from node.chain.protocol import Finality
from node.node import Node
from node.verification import verify
from tests import chain_world
from tests.chain_world import TinyLog, World
from tests.node.made_log import ITEM, Made

world = chain_world.world


class Anchored(TinyLog):
    """What the chain gets to see as our log: the leaves of `made` up to `keep`, invented ones after."""

    def __init__(self, made: Made, keep: int | None = None) -> None:
        super().__init__("invented")
        folder = made.config.data_path / "log"
        self.size = Checkpoint.parse(Note.parse((folder / "checkpoint").read_bytes()).text).size
        self.leaves = [leaf_hash(raw) for raw in TileReader(folder).iter_entries(0, self.size)][:keep]


def ask(made: Made, world: World, *subjects: str, finality: str = "included") -> list[Report]:
    async def story() -> list[Report]:
        async with Node(made.config) as node:
            chain = world.backend(finality=Finality.parse(finality), sender=None)
            return [await verify(node, {"subject": subject}, chain=chain) for subject in subjects]

    return asyncio.run(story())


def step(report: Report) -> tuple[Verdict, str]:
    found = report.step(10)
    assert found is not None
    return found.verdict, found.reason


def test_the_chain_is_asked_and_believed_only_as_far_as_it_goes(made: Made, world: World):
    world.log = log = Anchored(made)
    world.deployment = world.deploy()
    verdict, reason = step(ask(made, world, ITEM)[0])
    assert verdict is Verdict.CANNOT_TELL
    assert "waits for the next anchor" in reason
    world.anchor_as(log, log.size - 4)
    anchored, later = ask(made, world, ITEM, made.certification.sub)
    assert anchored.overall is Verdict.VALID, anchored.as_text()
    assert 10 in anchored.required
    assert step(later)[0] is Verdict.CANNOT_TELL
    assert later.overall is Verdict.CANNOT_TELL
    (waiting,) = ask(made, world, ITEM, finality="depth:1000")
    assert step(waiting)[0] is Verdict.CANNOT_TELL
    assert "not final" in step(waiting)[1]


def test_a_chain_that_holds_another_tree_is_a_contradiction(made: Made, world: World):
    world.log = log = Anchored(made, keep=40)
    world.deployment = world.deploy()
    world.anchor_as(log, 60)
    (report,) = ask(made, world, ITEM)
    assert step(report)[0] is Verdict.INVALID
    assert "forked" in step(report)[1]
    assert report.overall is Verdict.INVALID


def test_a_chain_that_knows_more_shows_a_rollback(made: Made, world: World):
    world.log = log = Anchored(made)
    world.deployment = world.deploy()
    world.anchor_as(log, log.size + 50)
    (report,) = ask(made, world, ITEM)
    assert step(report)[0] is Verdict.INVALID
    assert "rolled back" in step(report)[1]


def test_a_contract_that_does_not_know_the_log_or_is_gone_says_nothing(made: Made, world: World):
    (unknown,) = ask(made, world, ITEM)
    assert step(unknown)[0] is Verdict.CANNOT_TELL
    assert "does not know this log" in step(unknown)[1]
    world.empty_the_chain()
    (gone,) = ask(made, world, ITEM)
    assert step(gone)[0] is Verdict.CANNOT_TELL
    assert gone.overall is Verdict.CANNOT_TELL
