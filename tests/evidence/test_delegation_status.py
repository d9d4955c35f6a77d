"""Step 13 for a delegation: it is worth what it and all above it are, up to the root."""

from __future__ import annotations

import pytest

from ledger.evidence.report import Verdict
from ledger.state.records import DelegationRecord
from ledger.statements import Statement, decode_statement, subjects
from tests.evidence.bundles import Scene, step, verdict
from tests.world import DAY

VALID, INVALID = Verdict.VALID, Verdict.INVALID


@pytest.fixture
def scene() -> Scene:
    return Scene()


def below(scene: Scene) -> Statement:
    """The delegation under another: `vaa/88.118.8` under `vaa/88.118`."""
    found = (decode_statement(raw) for raw in scene.world.entries)
    return next(one for one in found if one.sub == subjects.delegation("vaa", "88.118.8"))


def touches(scene: Scene) -> int:
    record = scene.world.state.read(DelegationRecord, "vaa", "88.118")
    assert record is not None
    return record.touches


def test_a_delegation_under_a_live_one_is_live(scene: Scene):
    made = below(scene)
    scene.world.later(10)
    report = scene.verify(scene.bundle(made))
    assert report.overall is VALID, report.as_text()


def test_a_delegation_under_a_revoked_one_is_not_live(scene: Scene):
    made = below(scene)
    above = subjects.delegation("vaa", "88.118")
    scene.world.put(scene.world.status(scene.world.roots[0], above, "revoked", "root", touches(scene)))
    scene.world.later(10)
    report = scene.verify(scene.bundle(made))
    assert verdict(report, 13) is INVALID
    assert "above it" in step(report, 13).reason
    assert "revoked" in step(report, 13).reason


def test_an_orphaned_delegation_is_not_live_although_the_prefix_above_is(scene: Scene):
    """Revoked and given anew, to the same holder: what was given before ended with it."""
    made = below(scene)
    above = subjects.delegation("vaa", "88.118")
    root = scene.world.roots[0]
    scene.world.put(scene.world.status(root, above, "revoked", "root", touches(scene)))
    again = scene.world.delegate(
        scene.parties["enterprise"], "vaa/88.118", claims={"reclaim": True, "seq": touches(scene)}
    )
    scene.world.later(10)
    report = scene.verify(scene.bundle(made))
    assert verdict(report, 13) is INVALID
    assert "given anew" in step(report, 13).reason
    assert "终止" in report.as_text("zh")
    assert scene.verify(scene.bundle(again)).overall is VALID


def test_a_delegation_ends_with_the_one_above_it(scene: Scene):
    world, enterprise = scene.world, scene.parties["enterprise"]
    world.delegate(enterprise, "vaa/88.200", exp=world.now + DAY)
    made = world.delegate(enterprise, "vaa/88.200.1", by=enterprise, parent="vaa/88.200", exp=world.now + DAY)
    world.later(10)
    late = scene.bundle(made)
    assert verdict(scene.verify(late), 13) is VALID
    assert verdict(scene.verify(late, now=world.now + 2 * DAY), 13) is INVALID
