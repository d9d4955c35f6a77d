"""Promises that a log kept, broke, or was late with, read from what it published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto.suites import Signer
from ledger.errors import MalformedError
from ledger.evidence.promise import MAX_LINE, Kept, Promised
from ledger.evidence.split_view import LogIdentity, verify_split_view
from ledger.log.group import GroupTree, single_proof
from ledger.log.notes import NoteSignatureError
from ledger.log.proofs import root_from_range
from ledger.log.tree import leaf_hash
from ledger.statements.acknowledgement import MAX_PROMISE, Acknowledgement, sign_acknowledgement
from node.follower import UnverifiedError
from node.promises import Judged, PublishedLog, Standing, judge, read_folder
from tests.audit.served import serve, shown
from tests.world import Consortium, key

PREFIX = "vaa/88.118"
LEAF = leaf_hash(b"x")


class Promising:
    """A log that acknowledged a group of five entries, of which a submitter holds three."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.c = Consortium()
        self.group = [self.c.registration(self.c.registrar, f"vaa:88.118.8/P{n}", PREFIX) for n in range(5)]
        self.due = self.c.now + 60
        self.first = len(self.c.entries)
        self.tree = GroupTree([leaf_hash(raw) for raw in self.group])

    def kept(self, place: int = 1, count: int = 3, signer: Signer | None = None, **changes: int) -> Kept:
        ack = replace(Acknowledgement(self.c.log_id, self.first, 5, self.tree.root, self.due - 60, self.due), **changes)
        leaves = tuple(leaf_hash(raw) for raw in self.group[place : place + count])
        signed = sign_acknowledgement(signer or self.c.cose, ack)
        run = Promised(self.first + place, leaves, signed, tuple(self.tree.range_proof(place, count)))
        return Kept(self.c.log_id, promised=run)

    def publish(self, *raws: bytes, seconds: int) -> None:
        for raw in raws:
            self.c.put(raw)
        self.c.close(self.due - 60 + seconds)
        serve(self.folder, self.c.entries, self.c.note)

    def log(self) -> PublishedLog:
        return PublishedLog(read_folder(self.folder), self.c.log_id)

    def judged(self, kept: Kept, now: int = 0) -> Judged:
        return judge(kept, self.log(), now or self.due)

    def convicted(self, told: Judged) -> str:
        assert told.proof is not None
        return verify_split_view(told.proof, LogIdentity(self.c.log_id, self.log().keys)).detail


@pytest.fixture
def log(tmp_path: Path) -> Promising:
    return Promising(tmp_path)


def test_what_was_published_in_time_is_kept(log: Promising) -> None:
    log.publish(*log.group, seconds=60)
    log.publish(seconds=1000)  # that more came later changes nothing
    assert log.judged(log.kept()).standing is Standing.KEPT
    assert log.judged(log.kept(4, 1)).standing is Standing.KEPT


def test_what_is_not_there_yet_is_not_due_until_the_promised_time(log: Promising) -> None:
    log.publish(seconds=60)
    assert log.judged(log.kept(), log.due).standing is Standing.NOT_DUE
    silent = log.judged(log.kept(), log.due + 1)  # a log that falls silent signs nothing against itself
    assert (silent.standing, silent.proof) == (Standing.CANNOT_TELL, None)


def test_a_log_that_went_on_without_the_entries_is_convicted(log: Promising) -> None:
    log.publish(seconds=61)
    told = log.judged(log.kept())
    assert told.standing is Standing.LATE
    assert "ends before them" in log.convicted(told)


def test_entries_that_came_too_late_convict_the_log(log: Promising) -> None:
    log.publish(*log.group, seconds=61)
    told = log.judged(log.kept())
    assert told.standing is Standing.LATE
    assert "only at" in log.convicted(told)


@pytest.mark.parametrize("place", range(5))
def test_another_entry_in_the_promised_place_convicts_the_log(log: Promising, place: int) -> None:
    entries = list(log.group)
    entries[place] = log.c.registration(log.c.registrar, "vaa:88.118.8/OTHER", PREFIX)
    log.publish(*entries, seconds=10)
    for kept in (log.kept(0, 5), log.kept(place, 1), log.kept(max(place - 1, 0), 2)):
        told = log.judged(kept)
        assert told.standing is Standing.BROKEN
        assert f"entry {log.first + place}" in log.convicted(told)


def test_a_statement_without_an_answer_was_not_promised(log: Promising) -> None:
    log.publish(seconds=1)
    assert log.judged(Kept(log.c.log_id, log.group[0])).standing is Standing.CANNOT_TELL


def test_what_the_log_did_not_sign_is_no_promise(log: Promising) -> None:
    log.publish(seconds=61)
    with pytest.raises(MalformedError, match="no key"):
        log.judged(log.kept(signer=key("stranger")))
    with pytest.raises(MalformedError, match="at most"):
        log.judged(log.kept(publish_by=log.due + MAX_PROMISE))
    good = log.kept()
    assert good.promised is not None
    for changes in ({"first": log.first}, {"leaves": good.promised.leaves[:2]}, {"proof": ()}, {"first": 0}):
        with pytest.raises(MalformedError):
            log.judged(replace(good, promised=replace(good.promised, **changes)))


def test_another_log_or_a_stranger_s_checkpoint_tells_nothing(log: Promising, tmp_path: Path) -> None:
    log.publish(*log.group, seconds=10)
    with pytest.raises(UnverifiedError, match="promise is of"):
        PublishedLog(read_folder(log.folder), bytes(32))
    serve(tmp_path / "forged", log.c.entries, key("stranger"))
    with pytest.raises(NoteSignatureError):
        PublishedLog(read_folder(tmp_path / "forged"), log.c.log_id)


def test_keys_that_the_log_changed_are_followed(log: Promising) -> None:
    log.publish(*log.group, seconds=10)
    old = log.kept()
    log.c.put(log.c.new_log_keys(key("cose 2"), key("note 2")))
    log.c.cose, log.c.note = key("cose 2"), key("note 2")
    log.publish(seconds=20)
    change = next(at for at, raw in enumerate(log.c.entries) if b"tial.log+cose" in raw)
    assert log.judged(old).standing is Standing.KEPT
    told = {"keys": {"cose": [{"first": 0}, {"first": change + 1}], "note": [{"first": 0}, {"first": change + 1}]}}
    hidden = {"keys": {"cose": [{"first": 0}], "note": [{"first": 0}]}}
    for answer, fine in ((told, True), (hidden, False)):
        with shown(log.folder, {"/v1/log": answer}) as url:
            assert read_by(url, old) is fine


def read_by(url: str, kept: Kept) -> bool:
    from node.follower import HttpLog  # noqa: PLC0415

    with HttpLog(url) as served:
        try:
            return judge(kept, PublishedLog(served.fetch, kept.log_id), 0).standing is Standing.KEPT
        except NoteSignatureError:
            return False


# -- lines and proofs --------------------------------------------------------------------------------------------------


@given(st.data())
def test_the_proof_of_one_leaf_follows_from_that_of_its_run(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 40))
    first = data.draw(st.integers(0, size - 1))
    count = data.draw(st.integers(1, size - first))
    at = data.draw(st.integers(first, first + count - 1))
    leaves = [leaf_hash(bytes([n])) for n in range(size)]
    tree = GroupTree(leaves)
    run = leaves[first : first + count]
    single = single_proof(at, first, run, size, tree.range_proof(first, count))
    assert single == tree.range_proof(at, 1)
    assert root_from_range(at, [leaves[at]], size, single) == tree.root
    with pytest.raises(MalformedError):
        single_proof(first + count, first, run, size, tree.range_proof(first, count))


_hashes = st.binary(min_size=32, max_size=32)
_runs = st.builds(
    Promised,
    st.integers(0, 2**64 - 1),
    st.lists(_hashes, min_size=1, max_size=4, unique=True).map(tuple),
    st.binary(min_size=1, max_size=300),
    st.lists(_hashes, max_size=4, unique=True).map(tuple),
)


@given(_hashes, st.binary(max_size=300), st.none() | _runs)
def test_a_line_reads_back_as_it_was_written(log_id: bytes, statement: bytes, run: Promised | None) -> None:
    kept = Kept(log_id, statement, run)
    if run is None and not statement:
        with pytest.raises(MalformedError):
            kept.encode()
        return
    assert Kept.decode(kept.encode()) == kept


@given(st.binary(max_size=200))
def test_a_foreign_line_is_refused(line: bytes) -> None:
    with pytest.raises(MalformedError):
        Kept.decode(line)


def lines() -> Sequence[bytes]:
    good = Kept(bytes(32), b"statement", Promised(1, (LEAF,), b"ack", ())).encode()
    return [good[:-5], good[4:], good.replace(b"=", b"") + b"!", b"\n" + good, good + good, b"A" * (MAX_LINE + 1)]


@pytest.mark.parametrize("line", lines())
def test_a_line_that_is_not_in_its_one_form_is_refused(line: bytes) -> None:
    with pytest.raises(MalformedError):
        Kept.decode(line)
