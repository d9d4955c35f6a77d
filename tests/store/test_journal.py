"""The journal keeps what was acknowledged and stops where it cannot tell."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import google_crc32c
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import CorruptError, MalformedError
from ledger.store.durable import StorageError
from ledger.store.journal import Journal

ROOT = Path(__file__).resolve().parents[2]
GROUPS = st.lists(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5), min_size=1, max_size=6)
FAST = settings(max_examples=60, deadline=None)


def held(folder: Path, start: int = 0) -> list[bytes]:
    with Journal.open(folder) as journal:
        pairs = list(journal.replay(start))
    assert [index for index, _ in pairs] == list(range(start, start + len(pairs)))
    return [entry for _, entry in pairs]


def fill(folder: Path, groups: list[list[bytes]], **options: int) -> list[bytes]:
    with Journal.open(folder, **options) as journal:
        for group in groups:
            journal.append(group)
    return [entry for group in groups for entry in group]


def only_segment(folder: Path) -> Path:
    (path,) = folder.glob("*.journal")
    return path


def test_a_record_is_length_checksum_and_entry(tmp_path: Path):
    fill(tmp_path, [[b"entry"]])
    length = struct.pack(">I", 5)
    assert (tmp_path / "00000000000000000000.journal").read_bytes() == (
        length + struct.pack(">I", google_crc32c.value(length + b"entry")) + b"entry"
    )


def test_groups_get_consecutive_indexes_and_survive_reopening(tmp_path: Path):
    with Journal.open(tmp_path) as journal:
        assert journal.append([b"a", b"b"]) == 0
        assert journal.append([]) == 2
        assert journal.append([b"c" * 65535]) == 2
        assert (journal.first_index, journal.next_index) == (0, 3)
    assert held(tmp_path) == [b"a", b"b", b"c" * 65535]
    assert held(tmp_path, 2) == [b"c" * 65535]
    assert held(tmp_path, 3) == []


def test_a_journal_may_begin_at_any_index(tmp_path: Path):
    fill(tmp_path, [[b"x"]], start=1_000_000)
    with Journal.open(tmp_path) as journal:
        assert list(journal.replay(1_000_000)) == [(1_000_000, b"x")]
        for outside in (999_999, 1_000_002):
            with pytest.raises(CorruptError, match="outside the journal"):
                journal.replay(outside)


@pytest.mark.parametrize("entry", [b"", b"x" * 65536])
def test_an_entry_of_impossible_length_is_refused_and_harms_nothing(tmp_path: Path, entry: bytes):
    with Journal.open(tmp_path) as journal:
        with pytest.raises(MalformedError, match="1 to 65535"):
            journal.append([b"good", entry])
        assert journal.append([b"next"]) == 0
    assert held(tmp_path) == [b"next"]


def test_segments_rotate_by_size_and_are_dropped_whole(tmp_path: Path):
    entries = fill(tmp_path, [[b"%03d" % n] for n in range(100)], segment_size=100)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 10
    assert names[1] == f"{10:020d}.journal"
    assert held(tmp_path) == entries
    assert held(tmp_path, 57) == entries[57:]
    with Journal.open(tmp_path) as journal:
        assert journal.drop_before(29) == 2
        assert journal.first_index == 20
        assert journal.drop_before(30) == 1
        assert journal.drop_before(30) == 0
        assert journal.drop_before(10**9) == 6
        assert (journal.first_index, journal.next_index) == (90, 100)
        journal.append([b"after"])
    assert held(tmp_path, 90) == [*entries[90:], b"after"]


def test_replay_shows_what_was_there_when_it_was_asked_for(tmp_path: Path):
    with Journal.open(tmp_path, segment_size=64) as journal:
        journal.append([b"x" * 30, b"y" * 30])
        replay = journal.replay(0)
        journal.append([b"z"])
        assert [entry for _, entry in replay] == [b"x" * 30, b"y" * 30]


@FAST
@given(groups=GROUPS, data=st.data())
def test_any_cut_at_the_tail_leaves_a_prefix(tmp_path_factory, groups, data):
    folder = tmp_path_factory.mktemp("journal")
    entries = fill(folder, groups)
    path = only_segment(folder)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    with Journal.open(folder) as journal:
        found = [entry for _, entry in journal.replay(0)]
        assert found == entries[: len(found)]
        assert sum(8 + len(entry) for entry in found) + journal.torn_bytes == cut
        journal.append([b"goes on"])
    assert held(folder) == [*found, b"goes on"]


@FAST
@given(groups=GROUPS, data=st.data())
def test_any_flipped_bit_is_damage_or_a_torn_tail_never_a_wrong_entry(tmp_path_factory, groups, data):
    folder = tmp_path_factory.mktemp("journal")
    entries = fill(folder, groups)
    path = only_segment(folder)
    raw = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(raw)
    in_last_record = place >= len(raw) - 8 - len(entries[-1])
    if in_last_record:
        assert held(folder) == entries[:-1]
    else:
        with pytest.raises(CorruptError, match="not a torn tail"):
            Journal.open(folder)
        assert path.read_bytes() == bytes(raw), "a damaged journal is left as it is"


@FAST
@given(tail=st.binary(min_size=1, max_size=200))
def test_garbage_after_the_last_record_is_cut(tmp_path_factory, tail):
    folder = tmp_path_factory.mktemp("journal")
    fill(folder, [[b"one", b"two"]])
    with only_segment(folder).open("ab") as file:
        file.write(tail)
    assert held(folder) == [b"one", b"two"]
    assert only_segment(folder).stat().st_size == 22


def test_a_torn_entry_that_contains_a_record_stops_the_node_rather_than_guess(tmp_path: Path):
    inner = struct.pack(">II", 1, google_crc32c.value(struct.pack(">I", 1) + b"x")) + b"x"
    fill(tmp_path, [[b"one"], [b"begins" + inner + b"ends"]])
    path = only_segment(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptError, match="not a torn tail"):
        Journal.open(tmp_path)


def test_a_tail_of_zeros_is_cut_and_reported(tmp_path: Path):
    fill(tmp_path, [[b"one"]])
    with only_segment(tmp_path).open("ab") as file:
        file.write(bytes(5000))
    with Journal.open(tmp_path) as journal:
        assert journal.torn_bytes == 5000
    with Journal.open(tmp_path) as journal:
        assert journal.torn_bytes == 0


def test_a_torn_tail_of_an_earlier_segment_is_damage(tmp_path: Path):
    fill(tmp_path, [[b"%02d" % n] for n in range(20)], segment_size=50)
    first = min(tmp_path.iterdir())
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(CorruptError, match="not a torn tail") as caught:
        Journal.open(tmp_path)
    assert first.name in caught.value.where


def test_a_missing_segment_is_damage(tmp_path: Path):
    fill(tmp_path, [[b"%02d" % n] for n in range(20)], segment_size=50)
    sorted(tmp_path.iterdir())[1].unlink()
    with pytest.raises(CorruptError, match="goes on at 10"):
        Journal.open(tmp_path)


def test_a_shortened_earlier_segment_is_damage(tmp_path: Path):
    fill(tmp_path, [[b"%02d" % n] for n in range(20)], segment_size=50)
    first = min(tmp_path.iterdir())
    first.write_bytes(first.read_bytes()[:-10])
    with pytest.raises(CorruptError, match="goes on at 5"):
        Journal.open(tmp_path)


def test_a_misnamed_segment_is_refused(tmp_path: Path):
    (tmp_path / "7.journal").write_bytes(b"")
    with pytest.raises(CorruptError, match="not the name"):
        Journal.open(tmp_path)


def test_damage_after_opening_stops_the_replay(tmp_path: Path):
    fill(tmp_path, [[b"one", b"two", b"three"]])
    with Journal.open(tmp_path) as journal:
        path = only_segment(tmp_path)
        path.write_bytes(path.read_bytes().replace(b"two", b"TWO"))
        replay = journal.replay(0)
        assert next(replay) == (0, b"one")
        with pytest.raises(CorruptError, match="went bad"):
            list(replay)


def test_a_segment_longer_than_the_read_buffer_is_read_whole(tmp_path: Path):
    entries = fill(tmp_path, [[bytes([n]) * 65000 for n in range(1, 60)]])
    assert held(tmp_path) == entries


def test_a_closed_journal_takes_nothing(tmp_path: Path):
    journal = Journal.open(tmp_path)
    journal.close()
    with pytest.raises(StorageError, match="it was closed"):
        journal.append([b"x"])


def test_an_io_error_poisons_the_journal(tmp_path: Path):
    journal = Journal.open(tmp_path)
    journal.append([b"good"])
    # A descriptor that cannot be synced stands for the failing disk: fdatasync of a pipe is EINVAL.
    reading, writing = os.pipe()
    real = os.dup(journal._descriptor)
    os.dup2(writing, journal._descriptor)
    with pytest.raises(StorageError, match="cannot append"):
        journal.append([b"lost"])
    assert journal.failed
    os.dup2(real, journal._descriptor)
    with pytest.raises(StorageError, match="unusable since an earlier failure"):
        journal.append([b"later"])
    journal.close()
    for descriptor in (reading, writing, real):
        os.close(descriptor)
    assert held(tmp_path) == [b"good"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from ledger.store.journal import Journal
from ledger.store.durable import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal.open(Path(sys.argv[1]))
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
done = 0
try:
    while True:
        journal.append([b"%06d" % done + bytes(300) for _ in range(7)])
        done += 7
except StorageError as error:
    assert journal.failed
try:
    journal.append([b"x"])
except StorageError as error:
    assert "unusable" in str(error)
else:
    raise SystemExit("a poisoned journal took an entry")
print(done)
"""


def fill_the_disk(*arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, *arguments], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    )
    return int(done.stdout)


def test_a_file_size_limit_leaves_exactly_the_acknowledged_entries(tmp_path: Path):
    done = fill_the_disk(str(tmp_path), "100000")
    assert done > 0
    with Journal.open(tmp_path) as journal:
        assert (journal.next_index, journal.torn_bytes) == (done, 0)


def test_a_full_disk_leaves_exactly_the_acknowledged_entries(tmp_path: Path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(tmp_path)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs rights that this user has not")
    try:
        done = fill_the_disk(str(tmp_path / "journal"))
        assert done > 0
        with Journal.open(tmp_path / "journal") as journal:
            assert (journal.next_index, journal.torn_bytes) == (done, 0)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


APPENDING = """
import sys
from pathlib import Path
from ledger.store.journal import Journal
journal = Journal.open(Path(sys.argv[1]), segment_size=200_000)
while True:
    first = journal.next_index
    journal.append([b"entry %d " % n + bytes(n % 700) for n in range(first, first + 50)])
    sys.stdout.write(f"{journal.next_index}\\n")
    sys.stdout.flush()
"""


def test_a_killed_writer_loses_nothing_acknowledged(tmp_path: Path):
    acknowledged = 0
    for round_ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", APPENDING, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(3 + round_ * 4):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split("\n")
        writer.wait()
        writer.stdout.close()
        acknowledged = max([acknowledged, *map(int, filter(None, rest[:-1]))])
        entries = held(tmp_path)
        assert len(entries) >= acknowledged
        assert entries == [b"entry %d " % n + bytes(n % 700) for n in range(len(entries))]
