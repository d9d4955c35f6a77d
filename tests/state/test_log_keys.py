"""Periods of the log's keys: who signs which index and size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.notes import NoteSignatureError
from ledger.state.log_keys import LogKeys
from ledger.statements import decode_statement
from tests.world import World, key


def rotated() -> tuple[World, LogKeys, int]:
    """A log whose keys changed once, its keys, and the change's index."""
    world = World()
    index = len(world.entries)
    world.put(world.new_log_keys(key("cose 2"), key("note 2")))
    return world, keys_of(world), index


def keys_of(world: World) -> LogKeys:
    return LogKeys.of(
        (at, statement)
        for at, statement in enumerate(map(decode_statement, world.entries))
        if statement.type in {"genesis", "log"}
    )


def test_a_change_is_in_force_from_the_next_index_and_the_size_that_covers_it():
    _, keys, index = rotated()
    assert keys.cose_at(index).key == key("cose").public_key, "the change itself is the old key's"
    assert keys.cose_at(index + 1).key == key("cose 2").public_key
    assert keys.note_for(index).key == key("note").public_key
    assert keys.note_for(index + 1).key == key("note 2").public_key


def test_an_acknowledgement_may_be_by_any_key_that_had_not_ended_before_the_entry():
    _, keys, index = rotated()
    assert len(keys.may_acknowledge(index)) == 2
    assert [ref.key for ref in keys.may_acknowledge(index + 1)] == [key("cose 2").public_key]


@pytest.mark.parametrize(("by", "offset", "good"), [
    ("note", 0, True), ("note 2", 1, True), ("note", 1, False), ("note 2", 0, False), ("stranger", 0, False),
])  # fmt: skip
def test_a_checkpoint_is_good_only_by_the_key_of_its_size(by: str, offset: int, good: bool):
    _, keys, index = rotated()
    note = sign_checkpoint(key(by), Checkpoint(keys.origin, index + offset, bytes(32)))
    if good:
        assert keys.open_checkpoint(note).size == index + offset
    else:
        with pytest.raises(NoteSignatureError):
            keys.open_checkpoint(note)


def test_another_origin_is_refused():
    _, keys, index = rotated()
    with pytest.raises((MalformedError, NoteSignatureError)):
        keys.open_checkpoint(sign_checkpoint(key("note"), Checkpoint("other.example/log", index, bytes(32))))


def test_a_statement_that_repeats_the_keys_changes_no_period():
    world = World()
    before = keys_of(world)
    world.put(world.log_change(suites=[-8]))
    assert keys_of(world) == before


@pytest.mark.parametrize("first", [1, None])
def test_keys_begin_with_a_genesis(first: int | None):
    world, _, index = rotated()
    change = decode_statement(world.entries[index])
    with pytest.raises(MalformedError, match="genesis"):
        LogKeys.of([] if first is None else [(index, change)])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=6), st.integers(0, 60))
def test_periods_join_without_gap_and_one_key_is_in_force_everywhere(changes: list[tuple[bool, bool]], place: int):
    world = World()
    for number, (cose, note) in enumerate(changes):
        if cose or note:
            new_cose = key(f"cose {number}") if cose else world.cose
            new_note = key(f"note {number}") if note else world.note
            world.put(world.new_log_keys(new_cose, new_note))
    keys = keys_of(world)
    for periods, at in ((keys.cose, keys.cose_at), (keys.note, keys.note_for)):
        assert periods[0].first == 0
        assert periods[-1].end is None
        assert [p.end for p in periods[:-1]] == [p.first for p in periods[1:]]
        holding = [p.key for p in periods if p.first <= place and (p.end is None or place < p.end)]
        assert holding == [at(place)]
