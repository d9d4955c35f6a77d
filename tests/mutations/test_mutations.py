"""Altered files: none comes out valid and untrue, none crashes a verifier. `scripts/mutate` makes many more of them."""

from __future__ import annotations

import pytest

from ledger.errors import MalformedError
from tests.mutations import run as runner
from tests.mutations.kinds import Kind, Sample
from tests.mutations.run import RSS, all_kinds, run

COUNT = 4_000
SEED = 20_26


def test_no_altered_file_is_valid_and_untrue_and_none_crashes_its_verifier() -> None:
    kinds = all_kinds()
    tally = run(SEED, range(COUNT), kinds)
    assert not tally.survivors, "\n".join(survivor.dump() for survivor in tally.survivors)
    assert tally.tried.total() == COUNT
    assert set(tally.tried) == {kind.name for kind in kinds}
    assert tally.peak < RSS or tally.peak == runner.run(SEED, [], kinds).peak  # a whole suite runs in this process


def test_a_mutation_is_had_again_from_its_seed_and_number() -> None:
    made = [[kind.altered(runner.Random("9:9"))[2] for kind in all_kinds()] for _ in range(2)]
    assert made[0] == made[1]
    assert made[0] != [kind.altered(runner.Random("9:10"))[2] for kind in all_kinds()]


def believing(raw: bytes) -> bytes:
    """A verifier that believes everything."""
    return raw


def stumbling(raw: bytes) -> bytes:
    """A verifier with a mistake that a few files show."""
    if len(raw) % 2:
        raise MalformedError("odd")
    return {None: raw}[raw]


def endless(_: bytes) -> bytes:
    """A verifier that hangs."""
    while True:
        pass


def greedy(raw: bytes) -> bytes:
    """A verifier that takes what a file says that it needs."""
    return bytes(1 << 34) + raw


@pytest.mark.parametrize(
    ("check", "what"),
    [
        (believing, "valid, and says"),
        (stumbling, "KeyError"),
        (endless, "TooSlowError"),
        (greedy, "MemoryError"),
    ],
)
def test_a_verifier_that_does_wrong_is_found(check, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SECONDS", 0.05)
    kind = Kind("made", 1, [Sample("one", b"\x82\x01\x02", "its claim")], check)
    tally = run(1, range(20), [kind])
    assert tally.survivors
    assert all(what in survivor.what for survivor in tally.survivors)
    assert str(tally.survivors[0].number) in tally.survivors[0].dump()
