"""The fuzzer's targets stand on their feet: each has honest files, reads them, and only ever refuses what is altered.

`scripts/fuzz` searches for a fixed time with coverage; here each target takes a few hundred altered files.
"""

from __future__ import annotations

from random import Random

import pytest

from ledger.errors import LedgerError
from tests.fuzz.seeds import seeds, trusted
from tests.fuzz.targets import Trust, targets
from tests.mutations.honest import Honest
from tests.mutations.mutators import alter_bytes

REFUSED = {"disclosures", "trie"}
"""Targets whose honest files lead somewhere, but not to an end: the rest is for the fuzzer to find."""
SEEDS = seeds()
TARGETS = targets(Trust(trusted(Honest())))
ALTERED = 100


def refused(target: str, raw: bytes) -> bool:
    try:
        TARGETS[target](raw)
    except LedgerError as error:
        return bool(error.explain())
    return False


def test_every_target_has_honest_files() -> None:
    assert set(SEEDS) == set(TARGETS)
    assert all(SEEDS.values())


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_target_reads_what_is_honest_and_refuses_what_is_altered_by_name(target: str) -> None:
    assert target in REFUSED or any(not refused(target, raw) for raw in SEEDS[target])
    draw = Random(target)
    for _ in range(ALTERED):
        raw = alter_bytes(draw.choice(SEEDS[target]), draw, draw.choice(SEEDS[target]))
        refused(target, raw)
