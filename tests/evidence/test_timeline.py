"""What held when, as known when: compared with what really happened, whatever happened."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Rejection
from ledger.evidence.past import BrokenHistoryError, Past
from ledger.evidence.timeline import NONE, AsOf, Timeline, as_of, read_timeline
from ledger.state.records import (
    AccreditationRecord,
    ActorRecord,
    CredentialRecord,
    DelegationRecord,
    IdentifierRecord,
    LogRecord,
    TemplateRecord,
)
from ledger.state.rules1.context import put_in_force
from ledger.state.view import Place
from ledger.statements import subjects
from tests.evidence.test_past import Kept
from tests.world import DAY, PREFIX, Consortium, credential, key

BASE = Consortium(rotation_delay=2 * DAY)
ITEM = "vaa:88.118.8/A1"
CREDENTIAL = credential(1)


class Told:
    """A log that came to an end, and timelines of what is in it."""

    def __init__(self, world: Consortium) -> None:
        world.close(world.now + 10)
        self.world = world
        self.kept = Kept(world.entries)
        self.past = Past(self.kept)
        self.statements = [self.kept.statement(index) for index in range(len(world.entries))]

    def timeline(self, *place: Any) -> Timeline:
        return read_timeline(self.past, self.kept, place, len(self.world.entries))

    def logged(self, index: int) -> int:
        """Log time of an entry, by its own definition: the time in the last manifest before it."""
        earlier = self.statements[:index]
        return [one.iat for one in earlier if one.type in {"manifest", "genesis"}][-1] if earlier else 0


def later(world: Consortium, days: int) -> int:
    world.close(world.now + days * DAY)
    return world.now


def seq(world: Consortium, kind: type[Any], *parts: Any) -> int:
    return world.touches(kind, *parts)


def status(world: Consortium, by: Any, sub: str, state: str, role: str, place: Place, **claims: Any) -> int:
    """Change a status; returns the entry's index."""
    world.put(world.status(by, sub, state, role, seq(world, *place), claims=claims))
    return len(world.entries) - 1


def test_a_retroactive_revocation_holds_from_its_day_and_is_known_from_another():
    world: Consortium = BASE.fork()
    issued = world.now
    first = later(world, 10)
    day = later(world, 20)
    index = status(
        world, world.certifier, CREDENTIAL, "revoked", "issuer", (CredentialRecord, CREDENTIAL), effective=first + 5
    )
    found = Told(world).timeline(CredentialRecord, CREDENTIAL)
    assert as_of(found, first + 5).state == "revoked"
    assert as_of(found, first + 4).state == "active"
    assert as_of(found, first + 5, day - 1).state == "active"  # nobody could know
    answer = as_of(found, first + 6, day)
    assert (answer.state, answer.since) == ("revoked", first + 5)
    assert answer.by is not None
    assert (answer.by.index, answer.by.logged, answer.by.statement.iss) == (index, day, world.certifier.did)
    assert as_of(found, issued).state == "active"
    assert as_of(found, issued - 1) == AsOf(issued - 1, found.log_time, NONE)
    assert as_of(found, day, issued - 1).state == NONE


def test_suspended_lifted_and_expired():
    world: Consortium = BASE.fork()
    place = (CredentialRecord, CREDENTIAL)
    down = later(world, 1)
    status(world, world.regulator, CREDENTIAL, "suspended", "regulator", place)
    up = later(world, 1)
    status(world, world.regulator, CREDENTIAL, "active", "regulator", place)
    found = Told(world).timeline(*place)
    assert [as_of(found, at).state for at in (down - 1, down, up - 1, up)] == [
        "active", "suspended", "suspended", "active",
    ]  # fmt: skip
    exp = found.record.exp
    assert as_of(found, exp - 1).state == "active"
    gone = as_of(found, exp)
    assert (gone.state, gone.since) == ("expired", exp)
    assert [change.statement.type for change in found.changes] == ["certification", "status", "status"]
    assert [change.role for change in found.changes] == ["", "regulator", "regulator"]
    assert found.changes[1].changed.keys() == {"state", "role", "effective", "logged", "reason"}
    assert found.changes[0].changed["issuer"] == (None, world.certifier.did)


def test_an_identifier_that_is_registered_again_has_two_lives():
    world: Consortium = BASE.fork()
    place = (IdentifierRecord, ITEM)
    born = later(world, 3)
    world.put(world.transfer(world.holder, ITEM, world.stranger, seq=seq(world, *place)))
    retired = later(world, 3)
    status(world, world.stranger, ITEM, "retired", "holder", place)
    again = later(world, 3)
    world.put(
        world.registration(
            world.registrar, ITEM, PREFIX, world.holder, claims={"seq": seq(world, *place), "generation": 2}
        )
    )
    found = Told(world).timeline(*place)

    def at(time: int, known: int | None = None) -> tuple[str, int, str]:
        answer = as_of(found, time, known)
        return answer.state, answer.record.generation, answer.record.holder

    assert at(born - 1) == ("live", 1, world.holder.did)
    assert at(born) == ("live", 1, world.stranger.did)
    assert at(retired) == ("retired", 1, world.stranger.did)
    assert at(again) == ("live", 2, world.holder.did)
    assert at(again, again - 1) == ("retired", 1, world.stranger.did)
    assert [change.sets_status for change in found.changes] == [True, False, False, True, True]


def test_keys_of_an_actor_carry_their_own_times():
    world: Consortium = BASE.fork()
    place = (ActorRecord, world.stranger.did)
    spare = key("spare for history")
    asked = later(world, 1)
    world.put(world.rotation(world.stranger, add=[spare]))
    in_force = asked + 2 * DAY
    kids = [k.kid for k in world.state.records[place].keys]
    later(world, 1)
    found = Told(world).timeline(*place)
    assert [k.kid for k in as_of(found, in_force - 1).record.keys] == kids
    added = as_of(found, in_force).record.keys
    assert (len(added), added[-1].nbf) == (2, in_force)
    assert [k.kid for k in as_of(found, in_force, asked - 1).record.keys] == kids
    assert as_of(found, in_force).state == "enrolled"


def test_the_log_itself_has_a_history():
    world: Consortium = BASE.fork()
    before = later(world, 1)
    world.put(world.log_change(policy={"skew": 299, "max_age": DAY, "rotation_delay": DAY}))
    found = Told(world).timeline(LogRecord)
    assert (as_of(found, before - 1).record.skew, as_of(found, before).record.skew) == (300, 299)
    assert [change.index for change in found.changes] == [0, len(world.entries) - 2]


def test_a_log_whose_time_goes_backwards_is_not_believed():
    world: Consortium = BASE.fork()
    place = (IdentifierRecord, ITEM)
    later(world, 1)
    for owner, other in ((world.holder, world.stranger), (world.stranger, world.holder)):
        world.put(world.transfer(owner, ITEM, other, seq=seq(world, *place)))
    told = Told(world)
    newest = world.state.records[place].last

    class Backwards(Kept):
        def batch_before(self, index: int) -> Any:
            batch = super().batch_before(index)
            return batch if batch is None or index < newest else batch._replace(time=batch.time - 1)

    kept = Backwards(told.kept.entries)
    with pytest.raises(BrokenHistoryError, match="backwards"):
        read_timeline(Past(kept), kept, place, len(told.kept.entries))


# -- whatever happens --------------------------------------------------------------------------------------------------

Move = Callable[[Consortium, int, int], bytes]


def _credential(c: Consortium, a: int, b: int) -> bytes:
    back = c.now - (a * DAY) // 3
    by, role = ((c.certifier, "issuer"), (c.regulator, "regulator"))[b % 2]
    state = ("suspended", "active", "suspended", "active", "revoked")[b % 5]
    return c.status(
        by, CREDENTIAL, state, role, seq(c, CredentialRecord, CREDENTIAL),
        claims={"effective": max(back, 0) if state != "active" else c.now - a},
    )  # fmt: skip


def _accreditation(c: Consortium, a: int, b: int) -> bytes:
    sub = subjects.accreditation(c.certifier.did, 1)
    state = ("suspended", "active", "revoked")[b % 3]
    count = seq(c, AccreditationRecord, c.certifier.did, 1)
    return c.status(c.accreditor, sub, state, "accreditor", count, claims={"effective": c.now - a * 600})


def _identifier(c: Consortium, a: int, b: int) -> bytes:
    record = c.state.records[IdentifierRecord, ITEM]
    owner = c.holder if record.holder == c.holder.did else c.stranger
    other = c.stranger if owner is c.holder else c.holder
    if record.state == "retired":
        again = {"seq": record.touches, "generation": record.generation + 1}
        return c.registration(c.registrar, ITEM, PREFIX, owner, claims=again)
    if b % 4 == 0:
        return c.status(owner, ITEM, "retired", "holder", record.touches, claims={"effective": c.now - a})
    if b % 4 == 1:
        generation = {"generation": record.generation} if record.generation > 1 else {}
        return c.transfer(owner, ITEM, other, seq=record.touches, claims=generation)
    state = "live" if record.state == "blocked" else "blocked"
    return c.status(c.regulator, ITEM, state, "regulator", record.touches, claims={"effective": c.now - a})


def _delegation(c: Consortium, a: int, b: int) -> bytes:
    record = c.state.read(DelegationRecord, "vaa", "88.118.9")
    if record is None:
        return c.delegation(c.holder, "vaa/88.118.9", by=c.registrar, parent=PREFIX, exp=c.now + a * DAY // 2)
    if record.state == "live" and b % 2:
        sub = subjects.delegation("vaa", "88.118.9")
        claims = {"effective": c.now - a * 3_000}
        return c.status(c.registrar, sub, "revoked", "delegator", record.touches, claims=claims)
    again = {"seq": record.touches, "reclaim": True}
    holder = c.holder if a % 2 else c.stranger
    return c.delegation(holder, "vaa/88.118.9", by=c.registrar, parent=PREFIX, claims=again, exp=c.now + a * DAY)


def _template(c: Consortium, a: int, b: int) -> bytes:
    return c.template(c.authority, "product-safety/1", state="withdrawn", seq=1)


def _actor(c: Consortium, a: int, b: int) -> bytes:
    if b % 3:
        return c.rotation(c.stranger, add=[key(f"history {a} {b}")])
    record = c.state.records[ActorRecord, c.stranger.did]
    body = {
        "bad": [{"kid": record.keys[-1].kid, "from": c.now - a * DAY}],
        "confirmed": [k.kid for k in record.keys[:-1]],
    }
    return c.act("compromise", c.enroller, c.stranger.did, {"seq": record.touches}, body)


MOVES: list[Move] = [
    _credential, _credential, _accreditation, _identifier, _identifier, _delegation, _delegation, _template, _actor,
]  # fmt: skip
PLACES: list[Place] = [
    (CredentialRecord, CREDENTIAL), (AccreditationRecord, BASE.certifier.did, 1), (IdentifierRecord, ITEM),
    (DelegationRecord, "vaa", "88.118.9"), (TemplateRecord, "product-safety", "1"), (ActorRecord, BASE.stranger.did),
]  # fmt: skip
NUMBER = st.integers(0, 9)
SETS_STATUS = {"certification", "registration", "accreditation", "delegation", "template", "actor"}


def painted(told: Told, logged: list[int], place: Place, points: list[int], known: int) -> dict[int, str]:
    """The stored state at each point: each statement that sets one, as signed, painted over the earlier."""
    found = dict.fromkeys(points, NONE)
    names = {"certification": "active", "registration": "live", "accreditation": "active", "delegation": "live",
             "actor": "enrolled"}  # fmt: skip
    subject = {ActorRecord: lambda: place[1], CredentialRecord: lambda: place[1], IdentifierRecord: lambda: place[1],
               AccreditationRecord: lambda: subjects.accreditation(*place[1:]),
               DelegationRecord: lambda: subjects.delegation(*place[1:]),
               TemplateRecord: lambda: subjects.template(*place[1:])}[place[0]]()  # fmt: skip
    for one, time in zip(told.statements, logged, strict=True):
        if one.sub != subject or one.type not in {*SETS_STATUS, "status"} or time > known:
            continue
        state = one.claims["state"] if one.type in {"status", "template"} else names[one.type]
        effective = one.claims["effective"] if one.type == "status" else time
        for point in points:
            if point >= effective:
                found[point] = state
    return found


def computed(state: str, record: Any, time: int) -> str:
    """Expiry, as DESIGN says it: of what has not ended for good."""
    if state in {NONE, "revoked", "retired", "withdrawn"} or not hasattr(record, "exp"):
        return state
    return "expired" if time >= record.exp else "not-yet-valid" if time < record.nbf else state


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(MOVES), NUMBER, NUMBER, st.integers(0, 3)), min_size=6, max_size=25))
def test_every_answer_is_what_happened(moves: list[Any]):
    world: Consortium = BASE.fork()
    later(world, 2)
    for move, a, b, days in moves:
        try:
            world.put(move(world, a, b))
        except Rejection:
            continue
        finally:
            if days:
                later(world, days)
    told = Told(world)
    logged = [told.logged(index) for index in range(len(world.entries))]
    states = [*told.kept.states[1:], world.state.records]  # after each entry
    for place in PLACES:
        if place not in world.state.records:
            continue
        timeline = told.timeline(*place)
        assert timeline.record == world.state.records[place]
        assert [change.logged for change in timeline.changes] == [logged[change.index] for change in timeline.changes]
        times = {time for change in timeline.changes for time in (change.logged, change.effective)}
        times |= {change.after.exp for change in timeline.changes if hasattr(change.after, "exp")}
        points = sorted({time + off for time in times for off in (-1, 0, 1)})
        for known in points:
            truth = painted(told, logged, place, points, known)
            for at in points:
                answer = as_of(timeline, at, known)
                there = bisect_right(logged, min(at, known))
                record = states[there - 1].get(place) if there else None
                if record is None:
                    assert answer.state == NONE
                    continue
                assert answer.state == computed(truth[at], record, at), (place, at, known)
                assert answer.by is not None
                assert answer.by.logged <= known
                for name in ("holder", "generation", "roles", "delegation", "templates", "since"):
                    assert getattr(answer.record, name, None) == getattr(record, name, None)
                if place[0] is ActorRecord:
                    newest: Any = states[bisect_right(logged, known) - 1][place]
                    if newest.pending is not None and newest.pending.effective <= at:
                        newest = put_in_force(newest, newest.pending)
                    assert answer.record.keys == newest.keys
