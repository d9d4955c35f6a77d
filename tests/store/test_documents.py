"""Documents come back as they were put, or with the reason why not."""

from __future__ import annotations

import os
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from ledger.errors import CorruptError, MalformedError
from ledger.store.documents import (
    DocumentAlteredError,
    DocumentErasedError,
    DocumentFolder,
    DocumentGradeError,
    DocumentMissingError,
    DocumentsFullError,
)
from ledger.store.durable import StagedFile

DATA = b'{"a":1}'
DIGEST = sha256(DATA).digest()


@pytest.fixture
def store(tmp_path: Path) -> DocumentFolder:
    return DocumentFolder(tmp_path / "documents")


def path_of(tmp_path: Path) -> Path:
    name = DIGEST.hex()
    return tmp_path / "documents" / name[:2] / name


def test_a_document_is_stored_under_its_digest(store: DocumentFolder, tmp_path: Path):
    assert store.put(DATA, "public") == DIGEST
    assert store.get(DIGEST) == DATA
    assert (store.grade(DIGEST), store.state(DIGEST)) == ("public", "present")
    assert path_of(tmp_path).read_bytes() == b'{"grade": "public"}\n' + DATA
    assert path_of(tmp_path).stat().st_mode & 0o077 == 0


def test_the_same_document_again_changes_nothing_and_another_grade_is_refused(store: DocumentFolder, tmp_path: Path):
    store.put(DATA, "private")
    before = path_of(tmp_path).stat().st_ino
    assert store.put(DATA, "private") == DIGEST
    assert path_of(tmp_path).stat().st_ino == before
    with pytest.raises(DocumentGradeError):
        store.put(DATA, "public")
    assert store.grade(DIGEST) == "private"


def test_sizes_grades_and_digests_are_bounded(store: DocumentFolder):
    store.put(bytes(2**20), "public")
    for data, grade in [(b"", "public"), (bytes(2**20 + 1), "public"), (b"x", "secret")]:
        with pytest.raises(MalformedError):
            store.put(data, grade)
    for use in (store.get, store.grade, lambda digest: store.erase(digest, 1, "r")):
        with pytest.raises(MalformedError):
            use(b"short")


def test_missing_erased_and_altered_are_told_apart(store: DocumentFolder, tmp_path: Path):
    assert store.state(DIGEST) == "missing"
    for use in (store.get, store.grade, lambda digest: store.erase(digest, 1, "never stored")):
        with pytest.raises(DocumentMissingError):
            use(DIGEST)
    store.put(DATA, "public")
    path_of(tmp_path).write_bytes(path_of(tmp_path).read_bytes() + b" ")
    assert store.state(DIGEST) == "altered"
    with pytest.raises(DocumentAlteredError):
        store.get(DIGEST)
    store.put(DATA, "public")
    assert store.get(DIGEST) == DATA
    path_of(tmp_path).unlink()
    assert store.state(DIGEST) == "missing"
    store.put(DATA, "public")
    store.erase(DIGEST, 1_700_000_000, "holder's request")
    assert store.state(DIGEST) == "erased"


def test_an_erased_document_is_gone_and_stays_gone(store: DocumentFolder, tmp_path: Path):
    store.put(DATA, "private")
    half = StagedFile(path_of(tmp_path))
    half.write(DATA)
    store.erase(DIGEST, 1_700_000_000, "holder's request")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and DATA in path.read_bytes()]
    for use in (lambda: store.get(DIGEST), lambda: store.put(DATA, "private")):
        with pytest.raises(DocumentErasedError) as caught:
            use()
        assert (caught.value.at, caught.value.reason) == (1_700_000_000, "holder's request")
    store.erase(DIGEST, 1_800_000_000, "again")
    with pytest.raises(DocumentErasedError, match="1700000000: holder's request"):
        store.get(DIGEST)
    assert store.grade(DIGEST) == "private"


def test_many_are_stored_together_and_each_has_its_own_answer(store: DocumentFolder):
    store.put(DATA, "private")
    store.put(b"gone", "public")
    store.erase(sha256(b"gone").digest(), 5, "erased")
    answers = store.put_many([b"one", b"", DATA, b"gone", b"one", b"two"], "public")
    assert [type(answer).__name__ for answer in answers] == [
        "bytes", "MalformedError", "DocumentGradeError", "DocumentErasedError", "bytes", "bytes",
    ]  # fmt: skip
    assert (store.get(sha256(b"one").digest()), store.get(sha256(b"two").digest())) == (b"one", b"two")
    with pytest.raises(MalformedError):
        store.put_many([b"three"], "secret")


@pytest.mark.parametrize(("at", "reason"), [(-1, "r"), (1, ""), (1, "x" * 201), (1, "two\nlines")])
def test_a_tombstone_needs_a_time_and_a_reason(store: DocumentFolder, at: int, reason: str):
    store.put(DATA, "public")
    with pytest.raises(MalformedError):
        store.erase(DIGEST, at, reason)
    assert store.get(DIGEST) == DATA


@pytest.mark.parametrize(
    "note",
    [b"{}", b"[1]", b"null", b'{"grade": "secret"}', b'{"grade": "public"} ',
     b'{"erased": [5, "r"], "grade": "public"}',
     b'{"erased": [], "grade": "public"}',
     b'{"erased": [Infinity, "r"], "grade": "public"}', b"\xff", b"[" * 4000],
)  # fmt: skip
def test_an_unreadable_note_is_damage_not_a_guess(store: DocumentFolder, tmp_path: Path, note: bytes):
    store.put(DATA, "public")
    path_of(tmp_path).write_bytes(note + b"\n" + DATA)
    for use in (store.get, store.grade):
        with pytest.raises(CorruptError, match="unreadable"):
            use(DIGEST)


def test_putting_and_erasing_at_once_ends_erased(store: DocumentFolder):
    store.put(DATA, "public")

    def put() -> None:
        for _ in range(20):
            try:
                store.put(DATA, "public")
            except DocumentErasedError:
                return

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    store.erase(DIGEST, 1, "race")
    for thread in threads:
        thread.join()
    assert store.state(DIGEST) == "erased"


def test_documents_leave_the_reserve_of_the_disk_to_the_log(tmp_path) -> None:
    disk = os.statvfs(tmp_path)
    everything = disk.f_blocks * disk.f_frsize
    full = DocumentFolder(tmp_path / "documents", reserve=everything)
    with pytest.raises(DocumentsFullError) as refused:
        full.put(b"{}", "public")
    assert "log.reserve" in refused.value.remedy
    DocumentFolder(tmp_path / "documents", reserve=1).put(b"{}", "public")
    full.put(b"{}", "public")  # what is here already takes no room
