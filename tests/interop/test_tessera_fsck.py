"""Tessera's fsck reads our log over HTTP, builds the tree again from the entries, and compares every tile."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.log.tiles import entries_path, tile_path
from ledger.log.tree import leaf_hash
from tests.interop.live_log import ORIGIN, MadeLog, fill, make_log, served

# Building the tool for the first time takes a minute or two of the fixture's time.
pytestmark = pytest.mark.timeout(900)
SUCCESS = "Successfully fsck'd log"
# A worker of fsck that finds a fault ends, and once none is left the tool waits for ever instead of failing: a few more
# than there can be faults, and a time limit all the same.
WORKERS = 16
SECONDS = 60

Fsck = Callable[..., str]


@pytest.fixture
def fsck(peer: Callable[[str], Path], made_log: MadeLog, tmp_path: Path) -> Fsck:
    """Return a function that gives what fsck says about a folder; its exit code is always 0, so the text decides."""
    program = peer("tessera-fsck")
    key_file = tmp_path / "log.vkey"

    def run(folder: Path, *, vkey: str = made_log.vkey, origin: str = ORIGIN) -> str:
        key_file.write_text(vkey)
        with served(folder) as url:
            options = ["--storage_url", url, "--public_key", str(key_file), "--origin", origin, "--ui=false"]
            command = [str(program), *options, f"--N={WORKERS}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        return str(done.stdout) + str(done.stderr)

    return run


@pytest.fixture
def copy(made_log: MadeLog, tmp_path: Path) -> Path:
    """Return a copy of the served folder, to be damaged."""
    return Path(shutil.copytree(made_log.served, tmp_path / "copy"))


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_our_log_passes(fsck: Fsck, made_log: MadeLog) -> None:
    text = fsck(made_log.served)
    newest = made_log.checkpoints[-1]
    assert f"{SUCCESS} with size {newest.size}" in text, text
    assert newest.root.hex() in text
    assert "fsck failed" not in text


def test_the_log_it_read_has_full_and_partial_tiles_and_bundles(made_log: MadeLog) -> None:
    full, rest = divmod(made_log.size, 256)
    assert full
    assert rest
    expected = [tile_path(0, 0), tile_path(0, full, rest), tile_path(1, 0, full), entries_path(0)]
    for path in (*expected, entries_path(full, rest)):
        assert (made_log.served / path).is_file(), path


def test_every_published_size_passes_with_the_tiles_that_are_left(fsck: Fsck, made_log: MadeLog, copy: Path) -> None:
    """A reader that kept an old checkpoint finds all it needs, although narrower partial tiles were removed."""
    for checkpoint in made_log.checkpoints:
        (copy / "checkpoint").write_bytes(checkpoint.note)
        text = fsck(copy)
        assert f"{SUCCESS} with size {checkpoint.size}" in text, text


@pytest.mark.parametrize("where", ["first entry", "full bundle", "partial bundle"])
def test_a_tampered_entry_fails(fsck: Fsck, made_log: MadeLog, copy: Path, where: str) -> None:
    full, rest = divmod(made_log.size, 256)
    path = {
        "first entry": entries_path(0), "full bundle": entries_path(full // 2),
        "partial bundle": entries_path(full, rest),
    }[where]  # fmt: skip
    # Bytes 0 and 1 are the first entry's length; what follows is its content.
    flip(copy / path, 40 if where == "first entry" else -40)
    text = fsck(copy)
    assert SUCCESS not in text
    assert "fsck failed" in text


@pytest.mark.parametrize("level", [0, 1])
def test_a_tampered_tile_fails(fsck: Fsck, made_log: MadeLog, copy: Path, level: int) -> None:
    flip(copy / (tile_path(0, 1) if level == 0 else tile_path(1, 0, made_log.size // 256)), 33)
    text = fsck(copy)
    assert SUCCESS not in text
    assert "fsck failed" in text


def test_a_tampered_entry_whose_tile_was_changed_to_match_fails(fsck: Fsck, copy: Path) -> None:
    """The root of the signed checkpoint decides, not the tiles' agreement with the entries."""
    bundle = copy / entries_path(0)
    flip(bundle, 40)
    data = bundle.read_bytes()
    length = int.from_bytes(data[:2], "big")
    tile = copy / tile_path(0, 0)
    tile.write_bytes(leaf_hash(data[2 : 2 + length]) + tile.read_bytes()[32:])
    text = fsck(copy)
    assert SUCCESS not in text
    assert "fsck failed" in text


def test_another_key_or_origin_fails(fsck: Fsck, made_log: MadeLog) -> None:
    stranger = "interop.example/log+17f9e0ad+AcCGXZBvfcH7yUeewOFx/RICCbU7YNk772WjOPOkK8va"
    for text in (fsck(made_log.served, vkey=stranger), fsck(made_log.served, origin="other.example/log")):
        assert SUCCESS not in text
        assert "failed to fetch and verify checkpoint" in text


@pytest.mark.slow
def test_a_log_with_a_full_tile_at_level_one_passes(fsck: Fsck, tmp_path: Path) -> None:
    log = make_log(tmp_path / "large")
    asyncio.run(fill(log, (40_000, 25_000, 1_500)))
    assert (log.served / tile_path(1, 0)).is_file()
    assert (log.served / tile_path(2, 0, 1)).is_file()
    text = fsck(log.served)
    assert f"{SUCCESS} with size {log.size}" in text, text
