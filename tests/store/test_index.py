"""The index answers from one atomic state and says when it must be rebuilt."""

from __future__ import annotations

import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import plyvel
import pytest

from ledger.errors import CorruptError, MalformedError, RefusedStartError
from ledger.statements.cbor import encode
from ledger.store.durable import StorageError
from ledger.store.index import Index, IndexUpdate

ROOT = Path(__file__).resolve().parents[2]
A, B, C = (sha256(name).digest() for name in (b"a", b"b", b"c"))


def update_of(first: int, count: int) -> IndexUpdate:
    keys = [sha256(b"%d" % n).digest() for n in range(first, first + count)]
    return IndexUpdate(
        covers=first + count,
        records=[(key, b"record" + key) for key in keys],
        history=[(A, first + n + 1, first + n) for n in range(count)],
        batches=[(first // count, first + count - 1)],
    )


def test_an_update_is_answered_by_every_lookup(tmp_path: Path):
    with Index.open(tmp_path / "index") as index:
        assert index.covers == 0
        index.apply(IndexUpdate(5, [(A, b"ra"), (B, b"")], [(A, 1, 0)], [(0, 2)]))
        assert index.covers == 5
        assert (index.record(A), index.record(B), index.record(C)) == (b"ra", b"", None)
        assert index.manifest_of_batch(0) == 2
        assert index.manifest_of_batch(1) is None
        assert index.manifest_of_batch(-1) is None
        index.apply(IndexUpdate(6, records=[(A, b"newer")]))
        assert index.record(A) == b"newer"


def test_history_is_paged_in_order_and_never_mixes_records(tmp_path: Path):
    with Index.open(tmp_path) as index:
        records = [(A, encode([301, bytes(32), 903])), (B, encode([2, bytes(32), 8]))]
        index.apply(IndexUpdate(904, records, [(A, n, n * 3) for n in range(1, 301)] + [(B, 1, 7)]))
        assert index.history(A, 0, 1000) == [n * 3 for n in range(1, 302)]
        assert index.history(A, 255, 3) == [765, 768, 771]
        assert index.history(A, 300, 3) == [900, 903]
        assert index.history(A, 301, 10) == [903]
        assert index.history(A, 302, 10) == []
        assert index.history(B, 0, 10) == [7, 8]
        assert index.history(C, 0, 10) == []
        assert index.history(A, 0, 0) == []
        assert index.history(A, -1, 5) == []


def test_the_batch_of_an_entry_is_the_next_manifest(tmp_path: Path):
    with Index.open(tmp_path) as index:
        index.apply(IndexUpdate(400, batches=[(0, 1), (1, 300), (2, 301)]))
        assert [index.batch_of_entry(n) for n in (0, 1, 2, 256, 300, 301, 302)] == [
            (0, 1), (0, 1), (1, 300), (1, 300), (1, 300), (2, 301), None,
        ]  # fmt: skip
        assert index.batch_of_entry(-1) is None
        assert index.batch_of_entry(2**64) is None


def test_grouping_makes_no_difference_to_the_sequence_of_keys_and_values(tmp_path: Path):
    with Index.open(tmp_path / "one") as one, Index.open(tmp_path / "two") as two:
        one.apply(update_of(0, 60))
        for first in range(0, 60, 20):
            part = update_of(first, 20)
            two.apply(IndexUpdate(part.covers, part.records, part.history))
        two.apply(IndexUpdate(60, batches=[(0, 59)]))
        assert list(one.dump()) == list(two.dump())
        assert one.checksum() == two.checksum()
        keys = [key for key, _ in one.dump()]
        assert keys == sorted(keys)
        assert len(keys) == 2 + 60 * 2 + 2
        two.apply(IndexUpdate(60, records=[(C, b"")]))
        assert one.checksum() != two.checksum()


def test_a_refused_update_changes_nothing(tmp_path: Path):
    with Index.open(tmp_path) as index:
        index.apply(update_of(0, 10))
        before = index.checksum()
        for bad in (
            IndexUpdate(20, records=[(A, b"x"), (b"short", b"x")]),
            IndexUpdate(20, history=[(A[:31], 1, 1)]),
            IndexUpdate(20, history=[(A, 1, -1)]),
            IndexUpdate(20, history=[(A, 2**64, 1)]),
            IndexUpdate(20, history=[(b"", 1, 1)]),
            IndexUpdate(2**64, records=[(A, b"x")]),
        ):
            with pytest.raises(MalformedError):
                index.apply(bad)
        with pytest.raises(CorruptError, match="covers 10"):
            index.apply(IndexUpdate(9))
        assert index.checksum() == before
        assert index.covers == 10


def test_the_index_is_there_after_reopening_and_gone_after_destroying(tmp_path: Path):
    with Index.open(tmp_path) as index:
        index.apply(update_of(0, 10))
        before = index.checksum()
    with Index.open(tmp_path) as index:
        assert (index.covers, index.checksum()) == (10, before)
    Index.destroy(tmp_path)
    Index.destroy(tmp_path / "absent")
    with Index.open(tmp_path) as index:
        assert index.covers == 0


def test_a_second_opener_is_refused(tmp_path: Path):
    with Index.open(tmp_path):
        with pytest.raises(RefusedStartError, match="in use"):
            Index.open(tmp_path)
        with pytest.raises(RefusedStartError, match="in use"):
            Index.destroy(tmp_path)
        code = (
            "import sys; from pathlib import Path; from ledger.store.index import Index; Index.open(Path(sys.argv[1]))"
        )
        other = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False, capture_output=True, text=True
        )
        assert other.returncode == 1
        assert "RefusedStartError" in other.stderr


def test_another_layout_asks_for_a_rebuild(tmp_path: Path):
    Index.open(tmp_path).close()
    database = plyvel.DB(str(tmp_path))
    database.put(b"\x00format", (1).to_bytes(8, "big"))
    database.close()
    with pytest.raises(CorruptError, match="tial index rebuild"):
        Index.open(tmp_path)


def test_a_foreign_database_is_not_taken_for_an_index(tmp_path: Path):
    database = plyvel.DB(str(tmp_path), create_if_missing=True)
    database.put(b"key", b"value")
    database.close()
    with pytest.raises(CorruptError, match="tial index rebuild"):
        Index.open(tmp_path)
    Index.destroy(tmp_path)
    Index.open(tmp_path).close()


@pytest.mark.parametrize("pattern", ["*.ldb", "MANIFEST-*", "CURRENT"])
def test_damaged_files_ask_for_a_rebuild(tmp_path: Path, pattern: str):
    with Index.open(tmp_path) as index:
        for first in range(0, 30000, 3000):
            index.apply(update_of(first, 3000))
        index._database.compact_range()
    for path in tmp_path.glob(pattern):
        raw = bytearray(path.read_bytes())
        for place in range(5, len(raw), 512):
            raw[place] ^= 0xFF
        path.write_bytes(raw)
    with pytest.raises((CorruptError, StorageError), match="tial index rebuild"), Index.open(tmp_path) as index:
        index.checksum()


def test_a_closed_index_says_so(tmp_path: Path):
    index = Index.open(tmp_path)
    index.close()
    for use in (lambda: index.record(A), lambda: index.apply(IndexUpdate(1)), index.checksum):
        with pytest.raises(StorageError, match="closed"):
            use()


APPLYING = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_index import Index, update_of
index = Index.open(Path(sys.argv[1]))
while True:
    index.apply(update_of(index.covers, 25))
    sys.stdout.write(f"{index.covers}\\n")
    sys.stdout.flush()
"""


def test_a_killed_writer_leaves_a_whole_index_at_some_size(tmp_path: Path):
    for round_ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", APPLYING, str(tmp_path / "index"), str(Path(__file__).parent)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert writer.stdout is not None
        for _ in range(5 + 30 * round_):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    with Index.open(tmp_path / "index") as index, Index.open(tmp_path / "again") as again:
        assert index.covers > 0
        for first in range(0, index.covers, 25):
            again.apply(update_of(first, 25))
        assert index.checksum() == again.checksum()
