"""fsck finds each kind of damage, says where, and changes nothing."""

from __future__ import annotations

import hashlib
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import plyvel
import pytest

from ledger.errors import RefusedStartError
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.notes import Note
from ledger.log.tiles import decode_entry_bundle, encode_entry_bundle
from ledger.log.tree import leaf_hash, root_of
from ledger.store.index import Index
from ledger.store.journal import Journal
from ledger.store.lock import CheckpointLock, LockState
from ledger.store.tiles import TileReader, TileWriter
from node.fsck import FsckReport, LogPaths, check
from tests.node.made_log import Made
from tests.world import key

BUNDLE = "log/tile/entries/000"
TILE = "log/tile/0/000"


def run(made: Made, *, deep: bool = False) -> FsckReport:
    return check(made.config, deep)


def codes(report: FsckReport) -> set[str]:
    return {finding.code for finding in report.findings}


def digest(folder: Path) -> str:
    """All bytes below a folder, the index apart: LevelDB tidies up when it is merely opened."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "index" not in path.parts and path.name != "writer.lock":
            whole.update(str(path).encode() + path.read_bytes())
    return whole.hexdigest()


def test_a_sound_log_passes_deeply_and_is_left_as_it_was(made: Made):
    before = digest(made.config.data_path)
    heard: list[str] = []
    report = check(made.config, deep=True, progress=lambda what, _done, _all: heard.append(what))
    assert report.ok, report.as_text()
    assert report.as_text().startswith("OK: ")
    assert report.size == report.entries > 300
    assert {"tiles", "rules"} <= set(heard)
    assert digest(made.config.data_path) == before


def test_paths_may_be_given_without_a_configuration(made: Made):
    assert check(LogPaths(made.config.data_path, made.config.path(made.config.lock))).ok


def test_it_refuses_to_look_while_the_node_runs(made: Made):
    with (
        CheckpointLock.open(made.config.path(made.config.lock), made.config.data_path),
        pytest.raises(RefusedStartError),
    ):
        run(made)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def damaged_tile(made: Made) -> None:
    flip(made.config.data_path / TILE, 40)


def damaged_upper_tile(made: Made) -> None:
    flip(next((made.config.data_path / "log/tile/1/000.p").iterdir()), 3)


def missing_bundle(made: Made) -> None:
    (made.config.data_path / BUNDLE).unlink()


def damaged_bundle(made: Made) -> None:
    flip(made.config.data_path / BUNDLE, -1)


def swapped_entries(made: Made) -> None:
    path = made.config.data_path / BUNDLE
    entries = decode_entry_bundle(path.read_bytes(), 256)
    entries[20], entries[21] = entries[21], entries[20]
    path.write_bytes(encode_entry_bundle(entries))


def foreign_checkpoint(made: Made) -> None:
    path = made.config.data_path / "log/checkpoint"
    true = Checkpoint.parse(Note.parse(path.read_bytes()).text)
    path.write_bytes(sign_checkpoint(key("somebody else"), true))


def checkpoint_of_another_tree(made: Made) -> None:
    path = made.config.data_path / "log/checkpoint"
    true = Checkpoint.parse(Note.parse(path.read_bytes()).text)
    path.write_bytes(sign_checkpoint(key("note"), Checkpoint(true.origin, true.size, bytes(32))))


def unreadable_checkpoint(made: Made) -> None:
    (made.config.data_path / "log/checkpoint").write_bytes(b"nothing\n")


def truncated_journal(made: Made) -> None:
    path = max((made.config.data_path / "journal").iterdir())
    data = path.read_bytes()
    at = 0
    for _ in range(10):
        at += 8 + struct.unpack_from(">I", data, at)[0]
    path.write_bytes(data[:at])


def damaged_journal(made: Made) -> None:
    flip(max((made.config.data_path / "journal").iterdir()), 100)


def missing_lock(made: Made) -> None:
    made.config.path(made.config.lock).unlink()


def foreign_instance(made: Made) -> None:
    (made.config.data_path / "instance").write_bytes(bytes(16))


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (damaged_tile, "tile"),
        (damaged_upper_tile, "tile"),
        (missing_bundle, "bundle"),
        (damaged_bundle, "leaf"),
        (damaged_bundle, "root"),
        (damaged_bundle, "journal"),
        (swapped_entries, "leaf"),
        (swapped_entries, "root"),
        (foreign_checkpoint, "checkpoint-signature"),
        (checkpoint_of_another_tree, "root"),
        (unreadable_checkpoint, "checkpoint"),
        (truncated_journal, "journal"),
        (damaged_journal, "journal"),
        (missing_lock, "lock"),
        (foreign_instance, "lock"),
    ],
)
def test_damage_is_found(made: Made, damage: Callable[[Made], None], code: str):
    damage(made)
    report = run(made)
    assert not report.ok
    assert code in codes(report), report.as_text()
    assert report.as_text().startswith("NOT OK")
    assert report.as_json()["findings"]


def test_a_swapped_entry_is_named(made: Made):
    swapped_entries(made)
    places = {finding.where.partition(" in ")[0] for finding in run(made).findings}
    assert {"entry 20", "entry 21"} <= places


def tampered_index(made: Made, change: Callable[[object], None]) -> None:
    path = made.config.data_path / "index"
    database = plyvel.DB(str(path), bloom_filter_bits=10, compression=None)
    change(database)
    database.close()


def some_record(database: object) -> tuple[bytes, bytes]:
    return next(iter(database.iterator(prefix=b"r")))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "change",
    [
        lambda db: db.put(some_record(db)[0], some_record(db)[1] + b"\x00"),
        lambda db: db.delete(some_record(db)[0]),
        lambda db: db.put(b"r" + bytes(32), b"\x80"),
    ],
    ids=["altered", "removed", "added"],
)
def test_an_index_that_says_something_else_is_found_by_the_deep_check(made: Made, change: Callable[[object], None]):
    tampered_index(made, change)
    assert run(made).ok
    report = run(made, deep=True)
    assert codes(report) == {"index"}, report.as_text()


def test_a_signature_that_was_never_made_is_found_by_the_deep_check(made: Made):
    """An operator who writes a whole consistent log cannot write the actors' signatures."""
    data = made.config.data_path
    entries = list(TileReader(data / "log").iter_entries(0, 30))
    entries[20] = entries[20][:-1] + bytes([entries[20][-1] ^ 1])
    leaves = [leaf_hash(entry) for entry in entries]
    for name in ("log", "journal", "index"):
        (data / name).rename(data.parent / f"old-{name}")
    writer = TileWriter.open(data / "log", 0, root_of([]))
    writer.extend(entries, leaves)
    writer.flush()
    signed = sign_checkpoint(key("note"), Checkpoint("example.org/log", 30, writer.root()))
    (data / "log/checkpoint").write_bytes(signed)
    with Journal.open(data / "journal") as journal:
        journal.append(entries)
    lock_path = made.config.path(made.config.lock)
    for path in lock_path.parent.iterdir():
        path.unlink()
    state = LockState(leaves[0], (data / "instance").read_bytes(), 0, root_of([]), b"")
    with CheckpointLock.open(lock_path, data) as lock:
        lock.create(state)
        lock.compare_and_swap((0, root_of([])), LockState(leaves[0], state.instance, 30, writer.root(), signed))
    assert run(made).ok
    report = run(made, deep=True)
    assert codes(report) == {"rules"}
    assert report.findings[0].where == "entry 20"


def test_an_act_that_is_there_twice_is_found(made: Made):
    data = made.config.data_path
    with Journal.open(data / "journal") as journal:
        copy = next(raw for index, raw in journal.replay(journal.first_index) if index == 50)
        journal.append([copy])
    report = run(made)
    assert codes(report) == {"duplicate"}
    assert "entry 50" in report.findings[0].detail


def test_an_absent_index_is_no_fault(made: Made):
    Index.destroy(made.config.data_path / "index")
    shutil.rmtree(made.config.data_path / "index")
    report = run(made, deep=True)
    assert report.ok
    assert report.notes
    assert not (made.config.data_path / "index").exists()
