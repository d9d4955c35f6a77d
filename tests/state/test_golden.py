"""The golden replay log of each rules version is decided today as it was on the day it was made (DESIGN rule 3)."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from ledger.errors import MalformedError, Rejection
from ledger.state.records import (
    AccreditationRecord,
    CredentialRecord,
    DelegationRecord,
    IdentifierRecord,
    TemplateRecord,
)
from ledger.state.transition import transition
from ledger.state.view import MemoryState
from ledger.statements import decode_statement
from ledger.statements.types import TYPES
from tests.golden import make
from tests.world import state_digest

ENTRIES = [bytes.fromhex(line) for line in make.LOG.read_text().splitlines()]
GOLDEN = json.loads(make.RESULT.read_text())


def states() -> list[MemoryState]:
    """The state before each entry."""
    found, state = [], MemoryState()
    for index, raw in enumerate(ENTRIES):
        before = MemoryState()
        before.records = dict(state.records)
        found.append(before)
        state.apply(transition(state, decode_statement(raw), index))
    return found


STATES = states()


def outcome(entries: list[bytes], first: int) -> str:
    """The digest at the end of a log that differs from entry `first` on, or why it is no log."""
    state = MemoryState()
    state.records = dict(STATES[first].records)
    try:
        return make.replay(entries[first:], state, first)[0]
    except (MalformedError, Rejection) as error:
        return f"refused: {error.code}"


def test_the_golden_log_replays_to_the_golden_states():
    assert make.result(ENTRIES) == GOLDEN
    assert len(GOLDEN["state_after_manifest"]) >= 8


def test_the_golden_log_is_made_again_byte_for_byte():
    assert make.build() == ENTRIES


def test_the_golden_log_holds_every_type_suite_and_state():
    statements = [decode_statement(raw) for raw in ENTRIES]
    assert set(Counter(s.type for s in statements)) == set(TYPES)
    assert {s.alg for s in statements} == {-7, -8}
    seen: dict[type, set[str]] = {}
    for state in STATES:
        for place, record in state.records.items():
            if hasattr(record, "state"):
                seen.setdefault(place[0], set()).add(record.state)
    assert seen == {
        CredentialRecord: {"active", "suspended", "revoked"},
        AccreditationRecord: {"active", "suspended", "revoked"},
        DelegationRecord: {"live", "revoked"},
        IdentifierRecord: {"live", "blocked", "retired"},
        TemplateRecord: {"approved", "withdrawn"},
    }


def test_an_outcome_of_the_whole_log_is_its_digest():
    assert outcome(ENTRIES, 0) == outcome(ENTRIES, len(ENTRIES) - 1) == GOLDEN["state"]


@pytest.mark.parametrize("index", range(len(ENTRIES)))
def test_no_entry_can_be_altered_dropped_swapped_or_repeated(index: int):
    raw = ENTRIES[index]
    for position in {1, len(raw) // 3, len(raw) // 2, len(raw) - 70, len(raw) - 1}:
        flipped = raw[:position] + bytes([raw[position] ^ 1 << index % 8]) + raw[position + 1 :]
        assert outcome([*ENTRIES[:index], flipped, *ENTRIES[index + 1 :]], index) != GOLDEN["state"]
    assert outcome(ENTRIES[:index] + ENTRIES[index + 1 :], index - (index == len(ENTRIES) - 1)) != GOLDEN["state"]
    if index + 1 < len(ENTRIES):
        swapped = [*ENTRIES[:index], ENTRIES[index + 1], raw, *ENTRIES[index + 2 :]]
        assert outcome(swapped, index) != GOLDEN["state"]
    assert outcome([*ENTRIES[: index + 1], raw, *ENTRIES[index + 1 :]], index).startswith("refused")


def test_a_state_digest_sees_every_record():
    state = MemoryState()
    state.records = dict(STATES[-1].records)
    whole = state_digest(state)
    for place in list(state.records):
        record = state.records.pop(place)
        assert state_digest(state) != whole
        state.records[place] = record._replace(touches=record.touches + 1)
        assert state_digest(state) != whole
        state.records[place] = record
    assert state_digest(state) == whole
