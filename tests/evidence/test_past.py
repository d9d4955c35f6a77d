"""The state as of an earlier entry equals what it was, and a history that lies is not believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from ledger.errors import LedgerError, Rejection
from ledger.evidence.past import BrokenHistoryError, Past, TooLongError, batch_after, first_batch
from ledger.evidence.report import Verdict
from ledger.evidence.standing import entitled_now, entitled_then, status_now
from ledger.state.records import (
    KIND_OF,
    AccreditationRecord,
    ActorRecord,
    BatchRecord,
    CredentialRecord,
    IdentifierRecord,
    KeyRecord,
    StatusIndexRecord,
    record_key,
)
from ledger.state.transition import transition
from ledger.state.view import MemoryState, Place
from ledger.statements import Statement, decode_statement, subjects
from tests.world import Party, World

ITEM = "vaa:88.118.8/A1"


@dataclass
class Kept:
    """A whole log's history in memory, with the state before every entry."""

    entries: list[bytes]
    states: list[dict[Place, Any]] = field(default_factory=list)
    touched: dict[bytes, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        state = MemoryState()
        for index, raw in enumerate(self.entries):
            self.states.append(dict(state.records))
            changes = transition(state, decode_statement(raw), index)
            state.apply(changes)
            for kind, *parts in changes:
                self.touched.setdefault(record_key(KIND_OF[kind], *parts), []).append(index)

    def touches(self, place: Place, start: int, limit: int) -> list[int]:
        return self.touched.get(record_key(KIND_OF[place[0]], *place[1:]), [])[start - 1 :][:limit]

    def statement(self, index: int) -> Statement:
        return decode_statement(self.entries[index])

    def batch_before(self, index: int) -> BatchRecord | None:
        manifests = [i for i in range(index) if self.statement(i).type == "manifest"]
        if manifests:
            return batch_after(self.statement(manifests[-1]), manifests[-1])
        return first_batch(self.statement(0)) if index else None

    def status_index(self, index: int) -> int:
        statement = self.statement(index) if index < len(self.entries) else None
        if statement is None or statement.type != "certification":
            return 0
        return self.states[-1][CredentialRecord, statement.sub].status_index


class Play:
    """A consortium in which things happen to a certificate and its certifier."""

    def __init__(self) -> None:
        self.world = world = World()
        self.parties = {name: Party(name) for name in ("enterprise", "accreditor", "authority", "certifier")}
        p = self.parties
        world.enrol(p["enterprise"], "owner")
        world.enrol(p["accreditor"], "accreditor")
        world.enrol(p["authority"], "template-authority")
        world.enrol(p["certifier"], "certifier")
        world.delegate(p["enterprise"], "vaa/88.118")
        world.delegate(p["enterprise"], "vaa/88.118.8", by=p["enterprise"], parent="vaa/88.118")
        world.approve_template(p["authority"])
        world.accredit(p["accreditor"], p["certifier"])
        self.registration = world.put(world.registration(p["enterprise"], ITEM, "vaa/88.118.8"))
        world.later(10)
        self.certified = [world.put(world.certification(p["certifier"], ITEM, n)) for n in (1, 2, 3)]
        world.later(10)
        subject = subjects.accreditation(p["certifier"].did, 1)
        world.put(world.status(p["accreditor"], subject, "revoked", "accreditor", 1))
        world.later(10)
        self.kept = Kept(world.entries)

    def index(self, statement: Statement) -> int:
        return self.world.entries.index(statement.raw)


@pytest.fixture(scope="module")
def play() -> Play:
    return Play()


def test_every_record_before_every_entry_is_what_it_was(play: Play):
    past = Past(play.kept)
    for index, state in enumerate(play.kept.states):
        for place, record in play.kept.states[-1].items():
            found, was = past.record(place, index), state.get(place)
            if place[0] is BatchRecord:  # from one statement: all but the head
                assert (found is None) == (was is None)
                if isinstance(found, BatchRecord):
                    assert found._replace(head=b"") == was._replace(head=b"")
            elif place[0] is StatusIndexRecord:  # asked by certifications only, and only for how many there are
                if decode_statement(play.kept.entries[index]).type == "certification" and found is not None:
                    assert found.allotted == was.allotted  # type: ignore[union-attr]
            elif place[0] is not KeyRecord:  # not looked at, see the module
                assert found == was, (index, place, record)


def test_the_issuer_was_entitled_then_and_is_not_now(play: Play):
    statement = play.certified[1]
    then = entitled_then(Past(play.kept), statement, play.index(statement))
    assert then.verdict is Verdict.VALID, then.reason
    now = entitled_now(play.world.state, statement, ("a word",))
    assert now is not None
    assert now.verdict is Verdict.INVALID
    assert "accreditation_not_active" in now.reason
    status = status_now(play.world.state, statement, play.index(statement), ())
    assert status is not None
    assert status.verdict is Verdict.VALID


def test_what_the_rules_would_not_have_admitted_there_is_invalid(play: Play):
    statement = play.certified[0]
    for index, why in ((play.index(statement) + 1, "credential_exists"), (len(play.kept.entries), "credential_exists")):
        step = entitled_then(Past(play.kept), statement, index)
        assert step.verdict is Verdict.INVALID
        assert why in step.reason
    too_early = entitled_then(Past(play.kept), statement, play.index(play.registration))
    assert "not_registered" in too_early.reason
    forged = decode_statement(statement.raw[:-1] + bytes([statement.raw[-1] ^ 1]))
    assert "bad_signature" in entitled_then(Past(play.kept), forged, play.index(statement)).reason


def without(play: Play, place: Place) -> Kept:
    lying = Kept(play.kept.entries)
    key = record_key(KIND_OF[place[0]], *place[1:])
    lying.touched[key] = lying.touched[key][1:]
    return lying


def reordered(play: Play) -> Kept:
    lying = Kept(play.kept.entries)
    key = record_key("identifier", ITEM)
    lying.touched[key] = lying.touched[key][::-1]
    return lying


def elsewhere(play: Play) -> Kept:
    lying = Kept(play.kept.entries)
    lying.touched[record_key("identifier", ITEM)] = [2]
    return lying


def other_manifest(play: Play) -> Kept:
    lying = Kept(play.kept.entries)
    lying.batch_before = lambda _index: batch_after(lying.statement(3), 3)  # type: ignore[method-assign]
    return lying


@pytest.mark.parametrize(
    "lie",
    [
        lambda play: without(play, (AccreditationRecord, play.parties["certifier"].did, 1)),
        lambda play: without(play, (ActorRecord, play.parties["certifier"].did)),
        lambda play: without(play, (IdentifierRecord, ITEM)),
        reordered,
        elsewhere,
        other_manifest,
    ],
)
def test_a_history_that_leaves_out_or_makes_up_is_never_valid(play: Play, lie: Callable[[Play], Kept]):
    statement = play.certified[2]
    step = entitled_then(Past(lie(play)), statement, play.index(statement))
    assert step.verdict is not Verdict.VALID


def test_a_history_beyond_the_budget_is_not_judged(play: Play):
    statement = play.certified[2]
    with pytest.raises(TooLongError):
        Past(play.kept, budget=3).decide(statement, play.index(statement))
    assert entitled_then(Past(play.kept, budget=3), statement, 12).verdict is Verdict.CANNOT_TELL


def test_errors_of_the_past_are_told_apart(play: Play):
    assert {TooLongError.code, BrokenHistoryError.code} == {"history-too-long", "history-broken"}
    with pytest.raises((Rejection, LedgerError)):
        Past(elsewhere(play)).record((IdentifierRecord, ITEM), 50)
