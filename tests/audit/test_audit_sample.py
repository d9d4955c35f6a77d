"""A sample can be drawn again by anybody, finds what a single entry shows, and claims no more."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.audit.sample import audit_sample, draw
from ledger.errors import MalformedError
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.statements import decode_statement
from ledger.store.tiles import write_checkpoint
from tests.audit.served import NOTE, ORIGIN, opened, serve
from tests.audit.test_audit_engine import HONEST, registration_at, rewritten_content, rewritten_nonsense
from tests.world import PREFIX, Consortium, key

ALL = 2_000
"""Draws that reach every entry of a log of a few dozen."""


@given(st.binary(min_size=1, max_size=64), st.integers(1, 200), st.integers(1, 10_000))
def test_the_draw_is_by_the_formula(seed: bytes, draws: int, size: int) -> None:
    numbers = [int.from_bytes(sha256(seed + k.to_bytes(8, "big")).digest(), "big") % size for k in range(draws)]
    assert draw(seed, draws, size) == sorted(set(numbers))


@pytest.mark.parametrize(("seed", "draws", "size"), [(b"", 1, 1), (b"s", 0, 1), (b"s", 1, 0), (bytes(65), 1, 1)])
def test_a_draw_out_of_bounds_is_refused(seed: bytes, draws: int, size: int) -> None:
    with pytest.raises(MalformedError):
        draw(seed, draws, size)


def test_a_sample_of_an_honest_log_is_clean(tmp_path: Path) -> None:
    serve(tmp_path, HONEST)
    reader, note = opened(tmp_path)
    found = audit_sample(reader, note, b"block", 10)
    assert not found.failures
    assert found.checked == len(draw(b"block", 10, len(HONEST))) == found.counts.total()
    assert found.state == decode_statement(HONEST[-1]).body["state"]
    assert audit_sample(reader, note, b"block", ALL).checked == len(HONEST)


@pytest.mark.parametrize("tamper", [rewritten_content, rewritten_nonsense])
def test_a_bad_entry_is_found_when_it_is_drawn(tmp_path: Path, tamper: object) -> None:
    entries = list(HONEST)
    code, index = tamper(entries)  # type: ignore[operator]
    serve(tmp_path, entries)
    found = audit_sample(*opened(tmp_path), b"block", ALL)
    assert [(f.code, f.index) for f in found.failures] == [(code, index)]


def test_a_bad_entry_is_missed_when_it_is_not_drawn(tmp_path: Path) -> None:
    entries = list(HONEST)
    _, index = rewritten_content(entries)
    serve(tmp_path, entries)
    seed = next(s for s in (bytes([n]) for n in range(256)) if index not in draw(s, 3, len(entries)))
    assert not audit_sample(*opened(tmp_path), seed, 3).failures


def test_an_entry_that_is_not_in_the_tree_is_found(tmp_path: Path) -> None:
    checkpoint = serve(tmp_path, HONEST)
    write_checkpoint(tmp_path, sign_checkpoint(NOTE, Checkpoint(ORIGIN, checkpoint.size, bytes(32))))
    found = audit_sample(*opened(tmp_path), b"block", 2)
    assert {failure.code for failure in found.failures} == {"root"}


def test_a_checkpoint_by_another_key_is_found(tmp_path: Path) -> None:
    serve(tmp_path, HONEST, key("another"))
    assert audit_sample(*opened(tmp_path), b"block", 2).failures[0].code == "checkpoint"


def test_a_key_that_nobody_introduced_is_found(tmp_path: Path) -> None:
    c = Consortium()
    index = len(c.entries)
    c.registrar.signer = key("nobody's")
    c.entries.append(c.registration(c.registrar, "vaa:88.118.8/X", PREFIX))
    c.entries.append(HONEST[-1])
    serve(tmp_path, c.entries)
    found = audit_sample(*opened(tmp_path), b"block", ALL)
    assert ("unknown_key", index) in [(f.code, f.index) for f in found.failures]


def test_the_helper_names_the_entry_that_the_tests_alter() -> None:
    assert decode_statement(HONEST[registration_at(HONEST)]).type == "registration"
