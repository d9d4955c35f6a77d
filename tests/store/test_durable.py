"""Files are replaced whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import CorruptError
from ledger.store.durable import (
    StagedFile,
    StorageError,
    make_directories,
    read_bounded,
    remove_file,
    remove_leftovers,
    replace_file,
    replace_files,
    sync_directory,
)


def test_files_are_written_with_their_directories_and_nothing_else(tmp_path: Path):
    files = [(tmp_path / "a" / f"{n % 3}" / f"{n}", b"%d" % n) for n in range(150)]
    replace_files(files)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == dict(files)


def test_a_file_that_is_there_is_replaced_and_open_readers_keep_the_old_one(tmp_path: Path):
    path = tmp_path / "f"
    replace_file(path, b"old")
    with path.open("rb") as reader:
        replace_file(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"


def test_a_failed_replacement_leaves_the_old_file_and_no_temporary_one(tmp_path: Path):
    replace_file(tmp_path / "f", b"old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot write"):
        replace_files([(tmp_path / "folder", b"x"), (tmp_path / "f", b"new")])
    assert (tmp_path / "f").read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f", "folder"]


def test_the_mode_is_the_one_asked_for(tmp_path: Path):
    replace_file(tmp_path / "f", b"", 0o600)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o600


def test_reading_is_bounded(tmp_path: Path):
    replace_file(tmp_path / "f", b"12345")
    assert read_bounded(tmp_path / "f", 5) == b"12345"
    assert read_bounded(tmp_path / "absent", 5) is None
    assert read_bounded(tmp_path / "f" / "below", 5) is None
    with pytest.raises(CorruptError, match="larger than 4 bytes"):
        read_bounded(tmp_path / "f", 4)
    with pytest.raises(StorageError):
        read_bounded(tmp_path, 5)


def test_leftovers_of_a_crash_are_removed_by_name(tmp_path: Path):
    staged = StagedFile(tmp_path / "a")
    StagedFile(tmp_path / "b").write(b"x")
    staged.write(b"half")
    assert remove_leftovers(tmp_path, "a") == 1
    assert remove_leftovers(tmp_path) == 1
    assert remove_leftovers(tmp_path / "absent") == 0
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_system_name_action_and_place(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="create the directory"):
        make_directories(tmp_path / "file" / "below")
    with pytest.raises(StorageError, match="absent"):
        sync_directory(tmp_path / "absent")
    assert remove_file(tmp_path / "file")
    assert not remove_file(tmp_path / "file")
