"""The signed-checkpoint lock lets one writer go forward and stops it on any doubt."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.errors import MalformedError, RefusedStartError
from ledger.store.lock import CheckpointLock, LockState, LockStatus

ROOT = Path(__file__).resolve().parents[2]


def state(size: int, label: str = "") -> LockState:
    root = sha256(f"{size}{label}".encode()).digest()
    return LockState(sha256(b"log").digest(), bytes(16), size, root, f"origin\n{size}\n\n— note".encode())


def step(lock: CheckpointLock, old: int, new: int) -> None:
    lock.compare_and_swap((old, state(old).root), state(new))


@pytest.fixture
def lock(tmp_path: Path):
    with CheckpointLock.open(tmp_path / "outside" / "lock", tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outside" / "lock"


def status(lock: CheckpointLock) -> LockStatus:
    return lock.read().status


def test_a_lock_goes_forward_and_is_read_back(lock: CheckpointLock, tmp_path: Path, path: Path):
    assert status(lock) is LockStatus.ABSENT
    lock.create(state(2))
    for size in range(3, 20):
        step(lock, size - 1, size)
        assert lock.read().state == state(size)
        assert status(lock) is LockStatus.INTACT
    lock.close()
    with CheckpointLock.open(path, tmp_path / "data") as again:
        assert again.read().state == state(19)
        assert status(again) is LockStatus.INTACT
        step(again, 19, 20)
    assert sorted(p.name for p in path.parent.iterdir()) == ["lock", "lock.guard"]


def test_the_same_checkpoint_may_be_signed_again(lock: CheckpointLock):
    lock.create(state(2))
    lock.compare_and_swap((2, state(2).root), replace(state(2), checkpoint=b"with cosignatures"))
    assert lock.read().state == replace(state(2), checkpoint=b"with cosignatures")


@pytest.mark.parametrize(
    ("expected", "new"),
    [
        ((4, state(4).root), state(6)),
        ((5, state(4).root), state(6)),
        ((5, state(5).root), state(4)),
        ((5, state(5).root), state(5, "other root")),
        ((5, state(5).root), replace(state(6), log=bytes(32))),
        ((5, state(5).root), replace(state(6), instance=b"x" * 16)),
    ],
)
def test_a_swap_from_another_checkpoint_backwards_or_aside_is_refused(lock: CheckpointLock, expected, new):
    lock.create(state(5))
    with pytest.raises(RefusedStartError):
        lock.compare_and_swap(expected, new)
    assert lock.read().state == state(5)
    assert status(lock) is LockStatus.INTACT


def test_nothing_is_swapped_or_created_out_of_turn(lock: CheckpointLock, path: Path):
    with pytest.raises(RefusedStartError, match="no lock"):
        step(lock, 2, 3)
    lock.create(state(2))
    with pytest.raises(RefusedStartError, match="new lock was asked for"):
        lock.create(state(3))
    path.unlink()
    assert lock.read().detail == "the lock was here and is gone"
    with pytest.raises(RefusedStartError, match="here before"):
        lock.create(state(3))
    with pytest.raises(RefusedStartError, match="is gone"):
        step(lock, 2, 3)


def copied_aside(path: Path) -> Path:
    aside = path.parent.parent / "backup"
    shutil.copytree(path.parent, aside)
    return aside


def restore_in_place(aside: Path, path: Path) -> None:
    for name in ("lock", "lock.guard"):
        (path.parent / name).write_bytes((aside / name).read_bytes())  # what cp does: same inode, other bytes


def restore_after_removal(aside: Path, path: Path) -> None:
    path.unlink()
    shutil.copy2(aside / "lock", path)  # the file system may well hand out the same inode number
    (path.parent / "lock.guard").write_bytes((aside / "lock.guard").read_bytes())


def restore_the_lock_only(aside: Path, path: Path) -> None:
    shutil.copy2(aside / "lock", path)


def restore_by_renaming(aside: Path, path: Path) -> None:
    restore_in_place(aside, path)
    (aside / "lock").replace(path)


@pytest.mark.parametrize(
    "restore", [restore_in_place, restore_after_removal, restore_the_lock_only, restore_by_renaming]
)
@pytest.mark.parametrize("advanced", [0, 1, 2, 5])
def test_a_restored_copy_is_recognised(lock: CheckpointLock, path: Path, restore, advanced: int):
    lock.create(state(2))
    step(lock, 2, 10)
    aside = copied_aside(path)
    time.sleep(0.02)  # longer than the tick of the file system's clock
    for size in range(10, 10 + advanced):
        step(lock, size, size + 1)
    restore(aside, path)
    reading = lock.read()
    assert reading.status is LockStatus.COPIED
    assert reading.state == state(10)
    with pytest.raises(RefusedStartError, match="copied, restored or changed"):
        step(lock, 10, 11)


def test_a_whole_copied_folder_is_recognised(lock: CheckpointLock, path: Path, tmp_path: Path):
    lock.create(state(2))
    aside = copied_aside(path)
    with CheckpointLock.open(aside / "lock", tmp_path / "other data") as other:
        assert status(other) is LockStatus.COPIED


def test_a_lock_without_its_guard_is_a_copy(lock: CheckpointLock, path: Path, tmp_path: Path):
    lock.create(state(2))
    lock.close()
    (path.parent / "lock.guard").unlink()
    with CheckpointLock.open(path, tmp_path / "data") as again:
        assert status(again) is LockStatus.COPIED


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:0],
        lambda raw: raw[:-1],
        lambda raw: raw + b"\n",
        lambda raw: raw.replace(b'"size": 2', b'"size": 9'),
        lambda raw: raw.replace(b'"size": 2', b'"size": Infinity'),
        lambda raw: b"\xff" + raw,
        lambda raw: b"[" * (len(raw) * 10),
    ],
)
def test_an_unreadable_lock_is_reported_and_left_alone(lock: CheckpointLock, path: Path, damage):
    lock.create(state(2))
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    reading = lock.read()
    assert (reading.status, reading.state) == (LockStatus.UNREADABLE, None)
    for act in (lambda: step(lock, 2, 3), lambda: lock.create(state(3))):
        with pytest.raises(RefusedStartError):
            act()
    assert path.read_bytes() == damaged


def test_an_unreadable_guard_is_reported(lock: CheckpointLock, path: Path):
    lock.create(state(2))
    (path.parent / "lock.guard").write_bytes(b"{}")
    assert status(lock) is LockStatus.UNREADABLE


def test_a_crash_between_lock_and_guard_is_no_doubt(lock: CheckpointLock, path: Path):
    lock.create(state(2))
    before = (path.parent / "lock.guard").read_bytes()
    step(lock, 2, 3)
    (path.parent / "lock.guard").write_bytes(before)
    assert lock.read().state == state(3)
    assert status(lock) is LockStatus.INTACT
    step(lock, 3, 4)
    step(lock, 4, 5)
    assert status(lock) is LockStatus.INTACT
    (path.parent / "lock.guard").write_bytes(before)
    assert status(lock) is LockStatus.COPIED, "the guard is never more than one lock behind"


def test_recovery_is_explicit_keeps_the_old_bytes_and_never_goes_back(lock: CheckpointLock, path: Path):
    lock.create(state(5))
    with pytest.raises(RefusedStartError, match="nothing to recover"):
        lock.recover(state(9))
    old = path.read_bytes()
    path.unlink()
    path.write_bytes(old)
    assert status(lock) is LockStatus.COPIED
    with pytest.raises(RefusedStartError, match="does not extend"):
        lock.recover(state(4))
    lock.recover(state(9))
    assert lock.read().state == state(9)
    assert status(lock) is LockStatus.INTACT
    assert path.with_name("lock.before-recovery").read_bytes() == old
    step(lock, 9, 10)
    path.unlink()
    lock.recover(state(10))
    step(lock, 10, 11)


def test_the_lock_must_lie_outside_the_data_directory(tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for inside in (tmp_path / "data" / "lock", tmp_path / "link" / "deep" / "lock"):
        with pytest.raises(RefusedStartError, match="inside the data directory"):
            CheckpointLock.open(inside, tmp_path / "data")


def test_a_second_writer_is_refused_by_lock_and_by_data_directory(lock: CheckpointLock, tmp_path: Path, path: Path):
    with pytest.raises(RefusedStartError, match=rf"data directory is in use.*process {os.getpid()}"):
        CheckpointLock.open(tmp_path / "elsewhere" / "lock", tmp_path / "data")
    with pytest.raises(RefusedStartError, match="lock is held by another process"):
        CheckpointLock.open(path, tmp_path / "other data")
    lock.close()
    CheckpointLock.open(path, tmp_path / "data").close()


HOLDING = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_lock import CheckpointLock, state, step
lock = CheckpointLock.open(Path(sys.argv[1]) / "outside" / "lock", Path(sys.argv[1]) / "data")
size = lock.read().state
size = size.size if size else 1
if size == 1:
    lock.create(state(2))
    size = 2
while True:
    step(lock, size, size + 1)
    size += 1
    sys.stdout.write(f"{size}\\n")
    sys.stdout.flush()
"""


def test_a_killed_writer_frees_the_lock_and_leaves_it_intact(tmp_path: Path):
    for round_ in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", HOLDING, str(tmp_path), str(Path(__file__).parent)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert writer.stdout is not None
        for _ in range(2 + 7 * round_):
            published = int(writer.stdout.readline())
        with pytest.raises(RefusedStartError, match=rf"process {writer.pid}"):
            CheckpointLock.open(tmp_path / "outside" / "lock", tmp_path / "data")
        writer.send_signal(signal.SIGKILL)
        rest = writer.communicate()[0].split("\n")[:-1]
        published = max([published, *map(int, rest)])
        with CheckpointLock.open(tmp_path / "outside" / "lock", tmp_path / "data") as lock:
            reading = lock.read()
            assert reading.status is LockStatus.INTACT
            assert reading.state is not None
            assert reading.state.size >= published


@pytest.mark.parametrize(
    "change", [{"log": b""}, {"instance": b""}, {"root": bytes(31)}, {"size": -1}, {"size": 2**64}]
)
def test_what_could_not_be_a_lock_is_refused(change):
    with pytest.raises(MalformedError):
        replace(state(2), **change)
