"""Making a log, cut off at every step: the next try finishes it, and another genesis is refused."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import RefusedStartError, Rejection
from ledger.statements import decode_statement
from ledger.store.journal import look_at
from node.genesis import Policy, Predecessor, RootMember, create_log, draft_genesis
from node.recovery import DataFolder
from tests.nodes import ORIGIN, Party
from tests.world import key

NOW = int(time.time())


def make(base: Path, *, now: int = NOW, predecessor: Predecessor | None = None) -> bytes:
    roots = [Party(f"root {n}") for n in range(3)]
    members = [RootMember(p.did, "ed25519", p.signer.public_key) for p in roots]
    cose, note = key("cose"), key("note")
    draft = draft_genesis(ORIGIN, cose, note, members, 2, Policy(), now, predecessor=predecessor)
    digest = draft.consent_digest(cose)
    consents = [p.consent(digest) for p in roots[:2]]
    return create_log(DataFolder(base / "data"), base / "lock" / "checkpoint.lock", draft, cose, consents)


def lose_instance(base: Path) -> None:
    (base / "data" / "instance").unlink()


def lose_lock(base: Path) -> None:
    lose_instance(base)
    shutil.rmtree(base / "lock")


def lose_served(base: Path) -> None:
    lose_lock(base)
    (base / "data" / "log").rmdir()


def tear_journal(base: Path) -> None:
    lose_served(base)
    (segment,) = (base / "data" / "journal").iterdir()
    segment.write_bytes(segment.read_bytes()[:-1])


def empty_journal(base: Path) -> None:
    lose_served(base)
    shutil.rmtree(base / "data" / "journal")


CRASHES = [lose_instance, lose_lock, lose_served, tear_journal, empty_journal]


@pytest.mark.parametrize("crash", CRASHES, ids=lambda f: f.__name__)
def test_a_log_whose_making_was_cut_off_is_finished_by_the_same_genesis(tmp_path: Path, crash: Callable[[Path], None]):
    log_id = make(tmp_path)
    crash(tmp_path)
    assert make(tmp_path) == log_id
    journal = look_at(tmp_path / "data" / "journal")
    assert [decode_statement(raw).leaf for _, raw in journal.entries(0)] == [log_id]
    assert len((tmp_path / "data" / "instance").read_bytes()) == 16


@pytest.mark.parametrize("crash", CRASHES[:3], ids=lambda f: f.__name__)
def test_another_genesis_in_a_half_made_folder_is_refused(tmp_path: Path, crash: Callable[[Path], None]):
    make(tmp_path)
    crash(tmp_path)
    with pytest.raises(RefusedStartError, match="begun here and not finished"):
        make(tmp_path, now=NOW - 1)


def test_a_finished_log_is_never_made_again(tmp_path: Path):
    make(tmp_path)
    with pytest.raises(RefusedStartError, match="not empty"):
        make(tmp_path)


def test_a_folder_with_tiles_is_not_taken_for_half_made(tmp_path: Path):
    make(tmp_path)
    lose_lock(tmp_path)
    (tmp_path / "data" / "log" / "checkpoint").write_text("something")
    with pytest.raises(RefusedStartError, match="not empty"):
        make(tmp_path)


def test_a_predecessor_is_part_of_the_log_id_and_has_a_signed_size(tmp_path: Path):
    before = Predecessor(bytes(32), 7, b"\x01" * 32)
    assert make(tmp_path / "a") != make(tmp_path / "b", predecessor=before)
    with pytest.raises(Rejection, match="signed size"):
        make(tmp_path / "c", predecessor=Predecessor(bytes(32), 1, bytes(32)))
