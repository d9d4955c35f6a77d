"""An audit replays a log from its served files: an honest one is clean, and each lie is found at its entry."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.audit import engine
from ledger.audit.engine import Audit, audit_log
from ledger.audit.progress import Anchor
from ledger.errors import CorruptError, MalformedError
from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.tiles import TileRef
from ledger.log.tree import leaf_hash, root_of
from ledger.statements import decode_statement
from ledger.store import replay as replay_module
from ledger.store.tiles import TileReader, write_checkpoint
from tests.audit.served import NOTE, ORIGIN, opened, serve
from tests.world import PREFIX, Consortium, Party, key

FOLDERS = itertools.count()


def town() -> Consortium:
    """A consortium with some batches of registrations behind it."""
    c = Consortium()
    for n in range(12):
        c.put(c.registration(c.registrar, f"vaa:88.118.8/B{n}", PREFIX))
        if n % 4 == 3:
            c.later(5)
    return c


HONEST = town().entries
ANCHORS = [Anchor(size, root_of([leaf_hash(raw) for raw in HONEST[:size]])) for size in (1, 2, 20, len(HONEST))]


def audited(folder: Path, entries: list[bytes], **options: Any) -> Audit:
    serve(folder / "log", entries)
    return audit_log(*opened(folder / "log"), folder / "work", **options)


def registration_at(entries: list[bytes]) -> int:
    """The index of a registration in the middle of a batch."""
    return next(n for n, raw in enumerate(entries) if decode_statement(raw).sub == "vaa:88.118.8/B5")


def manifest_after(entries: list[bytes], index: int) -> int:
    return next(n for n in range(index, len(entries)) if decode_statement(entries[n]).type == "manifest")


def only(found: Audit) -> tuple[str, int | None]:
    (failure,) = found.failures
    return failure.code, failure.index


def test_an_honest_log_is_clean_and_its_state_root_is_the_manifests(tmp_path: Path) -> None:
    found = audited(tmp_path, HONEST, anchors=ANCHORS)
    assert not found.failures
    assert found.checked == found.size == len(HONEST)
    assert found.counts == Counter(decode_statement(raw).type for raw in HONEST)
    assert found.root == root_of([leaf_hash(raw) for raw in HONEST])
    assert found.state == decode_statement(HONEST[-1]).body["state"]
    assert found.log_id == leaf_hash(HONEST[0])
    assert (found.anchors, found.newest, found.beyond) == (4, ANCHORS[-1], 0)


def rewritten_signature(entries: list[bytes]) -> tuple[str, int]:
    index = registration_at(entries)
    raw = bytearray(entries[index])
    raw[-1] ^= 1
    entries[index] = bytes(raw)
    return "bad_signature", index


def rewritten_content(entries: list[bytes]) -> tuple[str, int]:
    """Another identifier under the signature of the first."""
    index = registration_at(entries)
    entries[index] = entries[index].replace(b"88.118.8/B5", b"88.118.8/Z5")
    return "bad_signature", index


def rewritten_nonsense(entries: list[bytes]) -> tuple[str, int]:
    index = registration_at(entries)
    entries[index] = b"nothing"
    return "malformed", index


def dropped_act(entries: list[bytes]) -> tuple[str, int]:
    index = registration_at(entries)
    del entries[index]
    return "batch_mismatch", manifest_after(entries, index)


def act_twice(entries: list[bytes]) -> tuple[str, int]:
    index = registration_at(entries)
    entries.insert(index + 1, entries[index])
    return "already_registered", index + 1


def swapped(entries: list[bytes]) -> tuple[str, int]:
    index = manifest_after(entries, registration_at(entries))
    entries[index - 1], entries[index] = entries[index], entries[index - 1]
    return "batch_mismatch", index - 1


@pytest.mark.parametrize(
    "tamper", [rewritten_signature, rewritten_content, rewritten_nonsense, dropped_act, act_twice, swapped]
)
def test_tampering_with_served_entries_is_found_at_the_entry(
    tmp_path: Path, tamper: Callable[[list[bytes]], tuple[str, int]]
) -> None:
    """The tiles and the checkpoint are made anew and signed by the log's own key: only the rules can tell."""
    entries = list(HONEST)
    expected = tamper(entries)
    found = audited(tmp_path, entries)
    assert only(found) == expected
    assert found.checked == expected[1] == found.counts.total()
    assert found.state is None


def closed(c: Consortium, **changes: Any) -> list[bytes]:
    """The entries with one more manifest by the log's own key, which lies."""
    c.put(c.registration(c.registrar, "vaa:88.118.8/LAST", PREFIX))
    c.put(c.registration(c.registrar, "vaa:88.118.8/LAST2", PREFIX))
    time = changes.pop("time", c.now + 1)
    return [*c.entries, c.manifest(time, **changes)]


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        ({"counts": {"registration": 1, "transfer": 1}}, "manifest"),
        ({"counts": {"certification": 2}}, "manifest"),
        ({"state": bytes(32)}, "manifest"),
        ({"first": 3}, "batch_mismatch"),
        ({"count": 1}, "batch_mismatch"),
        ({"rules": 2}, "batch_mismatch"),
    ],
)
def test_a_manifest_that_lies_is_found(tmp_path: Path, lie: dict[str, Any], code: str) -> None:
    entries = closed(town(), **lie)
    assert only(audited(tmp_path, entries)) == (code, len(entries) - 1)


def test_a_manifest_whose_time_runs_backwards_is_found(tmp_path: Path) -> None:
    c = town()
    entries = closed(c, time=c.now - 1)
    assert only(audited(tmp_path, entries)) == ("time_backwards", len(entries) - 1)


def test_a_manifest_that_claims_another_beginning_of_log_time_is_found(tmp_path: Path) -> None:
    c = town()
    entries = closed(c, began=c.now + 1)
    found = audited(tmp_path, entries)
    assert found.failures[0].index == len(entries) - 1


def test_a_statement_that_the_rules_refuse_is_found_though_it_is_genuinely_signed(tmp_path: Path) -> None:
    c = town()
    c.entries.append(c.registration(c.stranger, "vaa:88.118.8/THEFT", PREFIX))
    c.counts["registration"] += 1
    index = len(c.entries) - 1
    found = audited(tmp_path, [*c.entries, c.manifest(c.now + 1)])
    assert found.failures[0].index == index
    assert found.checked == index


def test_a_wrong_anchor_is_found_and_the_others_are_compared(tmp_path: Path) -> None:
    wrong = Anchor(20, bytes(32), 7)
    beyond = Anchor(len(HONEST) + 5, bytes(32), 7)
    found = audited(tmp_path, HONEST, anchors=[wrong, *ANCHORS, beyond])
    assert [failure.code for failure in found.failures] == ["anchor"]
    assert "size 20" in found.failures[0].detail
    assert (found.anchors, found.beyond) == (5, 1)


def test_a_log_time_after_the_block_that_holds_the_root_is_found(tmp_path: Path) -> None:
    index = manifest_after(HONEST, 20)
    iat, size = decode_statement(HONEST[index]).iat, index + 1
    root = root_of([leaf_hash(raw) for raw in HONEST[:size]])
    for time, expected in ((iat - 301, ("time", index)), (iat - 300, None), (iat + 9, None)):
        found = audited(tmp_path / str(time), HONEST, anchors=[Anchor(size, root, time)])
        assert (only(found) if found.failures else None) == expected
        assert found.lag == max(0, time - iat)


def test_a_signed_root_that_the_entries_do_not_give_is_found(tmp_path: Path) -> None:
    checkpoint = serve(tmp_path / "log", HONEST)
    forged = Checkpoint(ORIGIN, checkpoint.size, bytes(31) + b"\x01")
    write_checkpoint(tmp_path / "log", sign_checkpoint(NOTE, forged))
    found = audit_log(*opened(tmp_path / "log"), tmp_path / "work")
    assert only(found) == ("root", None)


def test_a_checkpoint_by_another_key_is_found(tmp_path: Path) -> None:
    serve(tmp_path / "log", HONEST, key("another"))
    found = audit_log(*opened(tmp_path / "log"), tmp_path / "work")
    assert only(found) == ("checkpoint", None)
    assert found.checked == len(HONEST)


def test_a_checkpoint_that_ends_in_no_manifest_is_found(tmp_path: Path) -> None:
    found = audited(tmp_path, HONEST[:-1])
    assert only(found) == ("checkpoint", len(HONEST) - 2)


def test_an_incomplete_mirror_is_no_finding_about_the_log(tmp_path: Path) -> None:
    checkpoint = serve(tmp_path / "log", HONEST)
    (tmp_path / "log" / TileRef(None, 0, checkpoint.size).path).unlink()
    with pytest.raises(CorruptError, match="lacks this file"):
        audit_log(*opened(tmp_path / "log"), tmp_path / "work")


def test_an_empty_log_is_refused(tmp_path: Path) -> None:
    note = sign_checkpoint(NOTE, Checkpoint(ORIGIN, 0, root_of([])))
    with pytest.raises(MalformedError):
        audit_log(TileReader(tmp_path), note, tmp_path / "work")


class Killed(BaseException):
    """Stands for the end of the process."""


def killed_at(done: int) -> Callable[[int, int], None]:
    def heard(size: int, _total: int) -> None:
        if size >= done:
            raise Killed

    return heard


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, len(HONEST)), max_size=3), st.sampled_from([1, 3, 7]), st.sampled_from([1, 5, 10_000]))
def test_an_audit_that_was_killed_goes_on_to_the_same_result(
    tmp_path: Path, ends: list[int], group: int, save_every: int
) -> None:
    folder = tmp_path / str(next(FOLDERS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay_module, "GROUP", group)
        patch.setattr(engine, "SAVE_EVERY", save_every)
        for done in ends:
            with suppress(Killed):  # one that came further before has no more to say
                audited(folder, HONEST, anchors=ANCHORS, progress=killed_at(min(done, len(HONEST) - group)))
        resumed = audited(folder, HONEST, anchors=ANCHORS)
    assert resumed == audited(tmp_path / str(next(FOLDERS)), HONEST, anchors=ANCHORS)


def test_a_killed_audit_finds_the_same_failure_when_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "GROUP", 3)
    entries = list(HONEST)
    expected = rewritten_signature(entries)
    wrong = Anchor(2, bytes(32))
    with pytest.raises(Killed):
        audited(tmp_path / "killed", entries, anchors=[wrong], progress=killed_at(9))
    resumed = audited(tmp_path / "killed", entries, anchors=[wrong])
    assert resumed == audited(tmp_path / "whole", entries, anchors=[wrong])
    assert {(f.code, f.index) for f in resumed.failures} == {expected, ("anchor", None)}


def test_a_finished_audit_checks_no_signature_again_and_a_grown_log_only_the_new_ones(tmp_path: Path) -> None:
    asked: list[int] = []

    class Counting:
        def begin(self, checks: Any) -> Any:
            asked.append(len(checks))
            return engine.VerifyHere().begin(checks)

    c = town()
    audited(tmp_path, c.entries, verifier=Counting())
    asked.clear()
    assert not audited(tmp_path, c.entries, verifier=Counting()).failures
    assert asked == []
    c.put(c.registration(c.registrar, "vaa:88.118.8/NEW", PREFIX))
    c.later(1)
    grown = audited(tmp_path, c.entries, verifier=Counting())
    assert not grown.failures
    assert grown.checked == len(c.entries)
    assert len(asked) == 1


def test_other_anchors_or_another_log_begin_anew(tmp_path: Path) -> None:
    audited(tmp_path, HONEST, anchors=ANCHORS)
    wrong = [Anchor(1, bytes(32)), *ANCHORS[1:]]
    found = audit_log(*opened(tmp_path / "log"), tmp_path / "work", anchors=wrong)
    assert [failure.code for failure in found.failures] == ["anchor"]
    other = Consortium()
    other.put(other.registration(other.registrar, "vaa:88.118.8/OTHER", PREFIX))
    other.later(3)
    serve(tmp_path / "other", other.entries)
    found = audit_log(*opened(tmp_path / "other"), tmp_path / "work")
    assert not found.failures
    assert found.checked == len(other.entries)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b'{"format": 2, "log": ""}'])
def test_a_progress_file_that_does_not_fit_is_no_harm(tmp_path: Path, content: bytes) -> None:
    expected = audited(tmp_path, HONEST, anchors=ANCHORS)
    (tmp_path / "work" / "progress.json").write_bytes(content)
    assert audited(tmp_path, HONEST, anchors=ANCHORS) == expected


def test_keys_that_an_actor_rotates_in_are_checked_too(tmp_path: Path) -> None:
    c = Consortium()
    fresh = key("registrar, second", "es256")
    c.put(c.rotation(c.registrar, add=[fresh]))
    c.later(2 * 86_400)
    before = len(c.entries)
    claims = c.registration(c.registrar, "vaa:88.118.8/R1", PREFIX)
    c.put(claims)
    c.later(1)
    assert not audited(tmp_path / "good", c.entries).failures
    entries = list(c.entries)
    entries[before] = entries[before][:-1] + bytes([entries[before][-1] ^ 1])
    assert only(audited(tmp_path / "bad", entries)) == ("bad_signature", before)


def test_the_note_key_of_a_rotated_log_is_the_one_in_force(tmp_path: Path) -> None:
    c = town()
    c.put(c.new_log_keys(key("cose 2", "es256"), key("note 2")))
    c.later(1)
    serve(tmp_path / "log", c.entries, key("note 2"))
    assert not audit_log(*opened(tmp_path / "log"), tmp_path / "work").failures
    serve(tmp_path / "old", c.entries, NOTE)
    assert only(audit_log(*opened(tmp_path / "old"), tmp_path / "work2")) == ("checkpoint", None)


def test_a_party_that_signs_for_another_is_found(tmp_path: Path) -> None:
    c = town()
    thief = Party("thief")
    c.enrol(thief, "registrar", by=c.enroller)
    c.later(1)
    raw = c.registration(c.registrar, "vaa:88.118.8/S1", PREFIX)
    forged = raw[:-64] + thief.signer.sign(decode_statement(raw).signed)
    found = audited(tmp_path, [*c.entries, forged, c.manifest(c.now + 1)])
    assert found.failures[0].code == "bad_signature"
