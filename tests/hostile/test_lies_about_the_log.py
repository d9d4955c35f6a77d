"""Lies about what stands in the log: rewritten, dropped, forked, replayed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import LedgerError, MalformedError
from ledger.evidence.split_view import NoContradictionError, broken_promise, late_promise, verify_split_view
from ledger.log.checkpoint import Checkpoint
from ledger.log.group import GroupTree
from ledger.log.notes import Note
from ledger.log.proofs import inclusion_proof
from ledger.log.tree import leaf_hash
from ledger.statements import decode_statement
from ledger.statements.acknowledgement import Acknowledgement, sign_acknowledgement
from ledger.store.tiles import TileReader
from node.mirror import MirrorOptions, mirror
from node.monitor import Monitor, MonitorOptions, Scan
from node.views import SplitViewError
from tests.audit.served import serve, shown
from tests.evidence.bundles import step, verdict
from tests.hostile.liar import ALONE, CANNOT_TELL, INVALID, VALID, Operator, split_of
from tests.world import DAY, key


def test_the_operator_rewrites_an_old_entry(operator: Operator, tmp_path: Path) -> None:
    honest = operator.show()
    first = operator.verified(honest.about(operator.certification))
    assert (first.report.overall, honest.refused) == (VALID, {})
    options = MirrorOptions((operator.vkey,))
    assert mirror(operator.url, tmp_path / "mirror", options).size == honest.source.size

    old = next(i for i, raw in enumerate(operator.world.entries) if decode_statement(raw).sub == "vaa:88.118.8/B5")
    enterprise = operator.parties["enterprise"]
    liar = operator.rewritten(old, operator.world.registration(enterprise, "vaa:88.118.8/INSTEAD", "vaa/88.118.8"))
    other = liar.show()
    assert len(other.refused) == 3  # no witness cosigns another tree than the one that it knows
    again = other.about(operator.certification)
    told = operator.judged(again)
    assert (verdict(told, 5), verdict(told, 8)) == (VALID, VALID)  # it holds together, and the log signed it
    assert (verdict(told, 7), verdict(told, 9), told.overall) == (CANNOT_TELL, CANNOT_TELL, CANNOT_TELL)

    assert first.checkpoint is not None
    remembered = operator.verified(again, memory={operator.world.log_id: first.checkpoint})
    assert (verdict(remembered.report, 8), remembered.report.overall) == (INVALID, INVALID)
    assert remembered.conflict == (honest.note, other.note)

    liar.world.later(10)
    longer = liar.show()
    with pytest.raises(SplitViewError) as caught:
        mirror(operator.url, tmp_path / "mirror", options)
    (kept,) = (tmp_path / "mirror" / "evidence").iterdir()
    for proof in (split_of(honest, other), split_of(honest, longer), caught.value.proof, kept.read_bytes()):
        assert verify_split_view(proof, operator.identity).kind == "checkpoints"

    operator.pass_time(10)
    with pytest.raises(NoContradictionError):  # a log that only grew is not accused of it
        verify_split_view(split_of(honest, operator.show()), operator.identity)
    liar.world.note = key("stranger")
    with pytest.raises(LedgerError):  # nor by somebody who has none of its keys
        verify_split_view(split_of(honest, liar.show()), operator.identity)


class Submitter:
    """Somebody who holds an acknowledgement for three statements, and reads the log that is served."""

    def __init__(self, operator: Operator) -> None:
        enterprise = operator.parties["enterprise"]
        world = operator.world
        self.operator = operator
        self.statements = [world.registration(enterprise, f"vaa:88.118.8/F{n}", "vaa/88.118.8") for n in range(3)]
        self.first = len(world.entries)
        self.group = GroupTree([leaf_hash(raw) for raw in self.statements])
        promise = Acknowledgement(world.log_id, self.first, 3, self.group.root, world.now, world.now + 60)
        self.ack = sign_acknowledgement(world.cose, promise)

    def reader(self) -> tuple[TileReader, bytes, int]:
        reader = TileReader(self.operator.folder)
        note = reader.checkpoint()
        assert note is not None
        return reader, note, Checkpoint.parse(Note.parse(note).text).size

    def other_entry(self, place: int) -> bytes:
        """The file that shows what stands where the statement at `place` was promised."""
        reader, note, size = self.reader()
        index = self.first + place
        return broken_promise(
            self.ack, note, index=index, leaf=leaf_hash(self.statements[place]),
            group_proof=self.group.range_proof(place, 1), logged=leaf_hash(reader.entry(index)),
            proof=inclusion_proof(index, size, reader.nodes(size).get_node),
        )  # fmt: skip

    def too_late(self) -> bytes:
        """The file that shows a log which went on without what it promised."""
        reader, note, size = self.reader()
        proof = inclusion_proof(size - 1, size, reader.nodes(size).get_node)
        return late_promise(self.ack, note, manifest=reader.entry(size - 1), proof=proof)


def test_the_operator_drops_an_acknowledged_entry(operator: Operator) -> None:
    submitter = Submitter(operator)
    honest, dropping, replacing = operator, operator.twin(), operator.twin()
    for raw in submitter.statements:
        honest.world.put(raw)
    honest.world.later(60)
    honest.world.later(60)
    bundle = honest.show().about(decode_statement(submitter.statements[1]))
    assert operator.judged(bundle, operator.policy(**ALONE)).overall is VALID
    for accusation in (submitter.other_entry(1), submitter.too_late()):
        with pytest.raises(NoContradictionError):  # it kept its promise
            verify_split_view(accusation, operator.identity)

    dropping.world.later(60)
    dropping.show()
    with pytest.raises(NoContradictionError):  # there is time until the very second that was promised
        verify_split_view(submitter.too_late(), operator.identity)
    dropping.world.later(1)
    dropping.show()
    assert "ends before them" in verify_split_view(submitter.too_late(), operator.identity).detail

    for n in range(3):
        enterprise = replacing.parties["enterprise"]
        replacing.world.put(replacing.world.registration(enterprise, f"vaa:88.118.8/G{n}", "vaa/88.118.8"))
    replacing.world.later(10)
    replacing.show()
    proof = submitter.other_entry(1)
    assert "acknowledged" in verify_split_view(proof, operator.identity).detail
    submitter.ack = sign_acknowledgement(key("stranger"), Acknowledgement(
        operator.world.log_id, submitter.first, 3, submitter.group.root, operator.world.now, operator.world.now
    ))  # fmt: skip
    with pytest.raises(MalformedError):  # a promise that the log did not make
        verify_split_view(submitter.other_entry(1), operator.identity)


def scanned(operator: Operator, folder: Path, *urls: str) -> Scan:
    return Monitor(urls, folder, MonitorOptions((operator.vkey,))).scan()


def test_the_operator_shows_two_people_different_logs(operator: Operator, tmp_path: Path) -> None:
    enterprise = operator.parties["enterprise"]
    one, two = operator, operator.twin()
    for log, name in ((one, "ONE"), (two, "TWO")):
        log.world.put(log.world.registration(enterprise, f"vaa:88.118.8/{name}", "vaa/88.118.8"))
        log.world.later(10)
    first, second = one.show(), two.show()
    bundles = [shown.about(operator.certification) for shown in (first, second)]
    alone = operator.policy(**ALONE)
    assert [operator.judged(raw, alone).overall for raw in bundles] == [
        VALID,
        VALID,
    ]  # who trusts nobody else is fooled
    assert [operator.judged(raw).overall for raw in bundles] == [VALID, CANNOT_TELL]  # witnesses see one log
    assert [verdict(operator.judged(raw), 9) for raw in bundles] == [VALID, CANNOT_TELL]

    for name, log in (("a", one), ("b", two), ("c", two.twin())):
        if name == "c":
            log.world.later(10)
        serve(tmp_path / name, log.world.entries)
    with shown(tmp_path / "a") as a, shown(tmp_path / "b") as b, shown(tmp_path / "c") as c:
        for number, other in enumerate((b, c)):
            scan = scanned(operator, tmp_path / f"monitor{number}", a, other)
            ((_, path),) = scan.contradictions
            assert verify_split_view(Path(path).read_bytes(), operator.identity).kind == "checkpoints"
        agreed = scanned(operator, tmp_path / "monitor", b, c)  # one log at two sizes
    assert (agreed.contradictions, agreed.troubles) == ([], [])
    seen = operator.verified(bundles[0], alone).checkpoint
    assert seen is not None
    met = operator.verified(bundles[1], alone, memory={operator.world.log_id: seen})  # the two people meet
    assert met.conflict is not None
    assert verify_split_view(split_of(first, second), operator.identity).kind == "checkpoints"


def test_the_operator_replays_an_old_bundle_as_new(operator: Operator) -> None:
    old = operator.show().about(operator.certification)
    assert operator.judged(old).overall is VALID
    certifier, sub = operator.parties["certifier"], operator.certification.sub
    operator.pass_time(10)
    revoked = operator.world.put(operator.world.status(certifier, sub, "revoked", "issuer", 1))
    operator.pass_time(DAY + 1)
    shown_now = operator.show()
    assert shown_now.refused == {}
    replayed = operator.judged(old)
    assert (verdict(replayed, 13), verdict(replayed, 14), replayed.overall) == (VALID, CANNOT_TELL, CANNOT_TELL)
    assert [found.number for found in replayed.steps if found.verdict is not VALID and found.number != 10] == [14]

    # What was hidden is in the newer bundle, by the same policy, and in that of the revocation itself.
    fresh = operator.judged(shown_now.about(operator.certification))
    assert (verdict(fresh, 13), verdict(fresh, 14), fresh.overall) == (INVALID, VALID, INVALID)
    assert operator.judged(shown_now.about(revoked)).overall is VALID
    assert (step(fresh, 14).time or 0) > (step(replayed, 14).time or 0)
    still = operator.judged(shown_now.about(operator.registration))  # a log that hides nothing: new is valid, old stale
    assert still.overall is VALID
