"""A mirror holds what was signed and nothing else, goes on where it stopped, and keeps the proof of a fork."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ledger.audit.progress import Anchor
from ledger.errors import CorruptError, LedgerError, UnavailableError
from ledger.evidence.audit_report import REPLAYED, SAMPLE
from ledger.evidence.split_view import LogIdentity, verify_split_view
from ledger.log.checkpoint import Checkpoint, make_cosignature, sign_checkpoint
from ledger.log.notes import COSIGNATURE, Note, NoteSignatureError, Vkey
from ledger.log.policy import TlogPolicy
from ledger.log.tiles import TileRef
from ledger.log.tree import leaf_hash, root_of
from ledger.state.records import KeyRef
from ledger.store.tiles import TileReader, write_checkpoint
from node.audit import AuditOptions, audit
from node.follower import UnverifiedError
from node.mirror import MirrorFolder, MirrorOptions, mirror
from node.views import SplitViewError
from tests.audit.served import NOTE, ORIGIN, VKEY, serve, shown
from tests.audit.test_audit_engine import HONEST, rewritten_signature
from tests.world import PREFIX, Consortium, key

ENTRIES = [b"entry %d" % n for n in range(700)]
OTHER = [b"entry %d" % n if n < 300 else b"other %d" % n for n in range(900)]
GIVEN = MirrorOptions(vkeys=(VKEY,))
WITNESS = Vkey("witness.example", COSIGNATURE, key("witness").public_key)


def root_at(entries: list[bytes], size: int) -> bytes:
    return root_of([leaf_hash(raw) for raw in entries[:size]])


def anchors_answer(*anchors: tuple[int, bytes]) -> dict[str, Any]:
    newest_first = sorted(anchors, reverse=True)
    items = [{"size": size, "root": root.hex(), "time": 5, "state": "done"} for size, root in newest_first]
    return {"anchors": items, "next": None}


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_mirror_is_a_log_folder_like_the_logs_own(tmp_path: Path) -> None:
    serve(tmp_path / "log", ENTRIES)
    with shown(tmp_path / "log") as url:
        report = mirror(url, tmp_path / "copy", GIVEN)
    assert (report.old, report.size, report.trusted) == (0, 700, "given")
    assert report.log_id == leaf_hash(ENTRIES[0])
    copied = files(tmp_path / "copy")
    assert {path: copied[path] for path in files(tmp_path / "log")} == files(tmp_path / "log")
    assert list(TileReader(tmp_path / "copy").iter_entries(0, 700)) == ENTRIES
    with shown(tmp_path / "copy") as url:
        assert mirror(url, tmp_path / "second", GIVEN).root == report.root


def test_a_mirror_grows_with_the_log_and_drops_partial_files_that_became_full(tmp_path: Path) -> None:
    for size in (100, 256, 300, 700):
        serve(tmp_path / f"log{size}", ENTRIES[:size])
        with shown(tmp_path / f"log{size}") as url:
            assert mirror(url, tmp_path / "copy", GIVEN).size == size
    assert list(TileReader(tmp_path / "copy").iter_entries(0, 700)) == ENTRIES
    assert not (tmp_path / "copy" / TileRef(None, 0, 1).path).parent.exists()


@pytest.mark.parametrize("path", ["tile/0/001", "tile/entries/001", "tile/0/002.p/188", "tile/entries/002.p/188"])
def test_an_altered_file_is_never_kept_and_the_next_run_goes_on(tmp_path: Path, path: str) -> None:
    serve(tmp_path / "log", ENTRIES)
    good = (tmp_path / "log" / path).read_bytes()
    (tmp_path / "log" / path).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with shown(tmp_path / "log") as url:
        with pytest.raises(UnverifiedError):
            mirror(url, tmp_path / "copy", GIVEN)
        assert MirrorFolder(tmp_path / "copy").note() is None
        (tmp_path / "log" / path).write_bytes(good)
        assert mirror(url, tmp_path / "copy", GIVEN).size == 700
    assert list(TileReader(tmp_path / "copy").iter_entries(0, 700)) == ENTRIES


def test_files_that_an_interrupted_run_left_are_not_fetched_again(tmp_path: Path) -> None:
    serve(tmp_path / "log", ENTRIES)
    with shown(tmp_path / "log") as url:
        mirror(url, tmp_path / "copy", GIVEN)
    (tmp_path / "copy" / "checkpoint").unlink()
    shutil.rmtree(tmp_path / "log" / "tile" / "entries" / "000", ignore_errors=True)
    (tmp_path / "log" / "tile" / "entries" / "000").unlink()
    with shown(tmp_path / "log") as url:
        assert mirror(url, tmp_path / "copy", GIVEN).size == 700


def test_a_log_that_forked_is_refused_and_the_proof_convinces_a_stranger(tmp_path: Path) -> None:
    serve(tmp_path / "log", ENTRIES)
    with shown(tmp_path / "log") as url:
        report = mirror(url, tmp_path / "copy", GIVEN)
    identity = LogIdentity.of(report.log_id, VKEY, KeyRef(0, b""))
    for size in (900, 700, 400):  # it grew, stayed, or shrank
        serve(tmp_path / f"fork{size}", OTHER[:size])
        before = files(tmp_path / "copy")
        with shown(tmp_path / f"fork{size}") as url, pytest.raises(SplitViewError) as caught:
            mirror(url, tmp_path / "copy", GIVEN)
        assert verify_split_view(caught.value.proof, identity).kind == "checkpoints"
        assert Path(caught.value.where).read_bytes() == caught.value.proof
        after = files(tmp_path / "copy")
        assert {path: after[path] for path in before} == before


def test_an_older_checkpoint_changes_nothing(tmp_path: Path) -> None:
    for size in (700, 300):
        serve(tmp_path / f"log{size}", ENTRIES[:size])
        with shown(tmp_path / f"log{size}") as url:
            assert mirror(url, tmp_path / "copy", GIVEN).size == 700


def test_a_checkpoint_by_another_key_is_refused(tmp_path: Path) -> None:
    serve(tmp_path / "log", ENTRIES, key("another"))
    with shown(tmp_path / "log") as url, pytest.raises(NoteSignatureError):
        mirror(url, tmp_path / "copy", GIVEN)


def test_without_a_key_the_first_run_believes_the_node_and_the_next_ones_do_not(tmp_path: Path) -> None:
    serve(tmp_path / "log", ENTRIES)
    with shown(tmp_path / "log", {"/v1/log": {"vkey": VKEY.format()}}) as url:
        assert mirror(url, tmp_path / "copy", MirrorOptions()).trusted == "the node's own word"
    impostor = Vkey(ORIGIN, VKEY.type, key("impostor").public_key)
    serve(tmp_path / "false", OTHER, key("impostor"))
    with shown(tmp_path / "false", {"/v1/log": {"vkey": impostor.format()}}) as url, pytest.raises(NoteSignatureError):
        mirror(url, tmp_path / "copy", MirrorOptions())


def test_anchors_are_compared_with_the_mirror(tmp_path: Path) -> None:
    serve(tmp_path / "log", ENTRIES)
    good = [(1, root_at(ENTRIES, 1)), (300, root_at(ENTRIES, 300)), (9000, bytes(32))]
    with shown(tmp_path / "log", {"/v1/anchors?limit=100": anchors_answer(*good)}) as url:
        assert mirror(url, tmp_path / "copy", GIVEN).anchors == 2
    kept, source = MirrorFolder(tmp_path / "copy").anchors()
    assert ([anchor.size for anchor in kept], source) == ([1, 300, 9000], "node")
    bad = {"/v1/anchors?limit=100": anchors_answer((300, bytes(32)))}
    with shown(tmp_path / "log", bad) as url, pytest.raises(UnverifiedError, match="anchored at size 300"):
        mirror(url, tmp_path / "copy", GIVEN)


def test_anchors_are_asked_page_by_page_and_an_endless_list_is_refused(tmp_path: Path) -> None:
    serve(tmp_path / "log", ENTRIES)
    first = anchors_answer((300, root_at(ENTRIES, 300))) | {"next": 300}
    pages = {
        "/v1/anchors?limit=100": first,
        "/v1/anchors?limit=100&before=300": anchors_answer((1, root_at(ENTRIES, 1))),
    }
    with shown(tmp_path / "log", pages) as url:
        assert mirror(url, tmp_path / "copy", GIVEN).anchors == 2
    pages["/v1/anchors?limit=100&before=300"] = first
    with shown(tmp_path / "log", pages) as url, pytest.raises(UnverifiedError):
        mirror(url, tmp_path / "copy", GIVEN)


def test_a_list_of_anchors_that_goes_on_with_new_pages_is_refused(tmp_path: Path) -> None:
    """It would fill the memory: pages that always name another place to go on at, with anchors in no order."""
    serve(tmp_path / "log", ENTRIES)
    one = (300, root_at(ENTRIES, 300))
    pages = {"/v1/anchors?limit=100": anchors_answer(one) | {"next": 1_000_000}}
    for number in range(1_000_000, 1_000_050):
        pages[f"/v1/anchors?limit=100&before={number}"] = anchors_answer(one) | {"next": number + 1}
    with shown(tmp_path / "log", pages) as url, pytest.raises(UnverifiedError, match="not in order"):
        mirror(url, tmp_path / "copy", GIVEN)


@pytest.mark.parametrize("answer", [{}, {"anchors": 3}, {"anchors": [{}], "next": None}, [1]])
def test_a_list_of_anchors_that_is_none_is_refused(tmp_path: Path, answer: Any) -> None:
    serve(tmp_path / "log", ENTRIES)
    with shown(tmp_path / "log", {"/v1/anchors?limit=100": answer}) as url, pytest.raises(LedgerError):
        mirror(url, tmp_path / "copy", GIVEN)


def test_anchors_from_the_chain_replace_the_nodes_word(tmp_path: Path) -> None:
    serve(tmp_path / "log", ENTRIES)
    asked: list[bytes] = []

    def chain(log_id: bytes) -> list[Anchor]:
        asked.append(log_id)
        return [Anchor(300, root_at(ENTRIES, 300), 9)]

    with shown(tmp_path / "log") as url:
        assert mirror(url, tmp_path / "copy", MirrorOptions((VKEY,), chain_anchors=chain)).anchors == 1
    assert asked == [leaf_hash(ENTRIES[0])]
    assert MirrorFolder(tmp_path / "copy").anchors()[1] == "chain"


def cosigned(folder: Path) -> TlogPolicy:
    """Put a witness's cosignature on the checkpoint; returns the policy that asks for it."""
    note = TileReader(folder).checkpoint() or b""
    parsed = Note.parse(note)
    line = make_cosignature(key("witness"), WITNESS.name, parsed.text, 1_750_000_000)
    write_checkpoint(folder, parsed.with_signatures([line]).serialise())
    return TlogPolicy.parse(f"log {VKEY.format()}\nwitness w {WITNESS.format()}\nquorum w\n".encode())


def test_the_quorum_of_the_policy_is_asked_for(tmp_path: Path) -> None:
    serve(tmp_path / "log", ENTRIES)
    plain = (tmp_path / "log" / "checkpoint").read_bytes()
    policy = cosigned(tmp_path / "log")
    with shown(tmp_path / "log") as url:
        report = mirror(url, tmp_path / "copy", MirrorOptions(policy=policy))
        assert (report.cosignatures, report.quorum) == (1, True)
        write_checkpoint(tmp_path / "log", plain)
        with pytest.raises(UnverifiedError, match="quorum"):
            mirror(url, tmp_path / "other", MirrorOptions(policy=policy))


def test_public_documents_are_fetched_and_checked(tmp_path: Path) -> None:
    document = b'{"a":1}'
    c = Consortium()
    c.put(c.registration(c.registrar, "vaa:88.118.8/D", PREFIX, digest=hashlib.sha256(document).digest()))
    c.later(1)
    serve(tmp_path / "log", c.entries)
    name = hashlib.sha256(document).hexdigest()
    served = tmp_path / "log" / "v1" / "documents"
    served.mkdir(parents=True)
    (served / name).write_bytes(document)
    options = MirrorOptions((VKEY,), documents=True)
    with shown(tmp_path / "log") as url:
        report = mirror(url, tmp_path / "copy", options)
        assert report.documents == 1
        (served / name).write_bytes(b"{}")
        with pytest.raises(UnverifiedError):
            mirror(url, tmp_path / "other", options)
    assert (tmp_path / "copy" / "documents" / name[:2] / name).read_bytes() == document


def test_a_log_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    with shown(tmp_path) as url, pytest.raises(UnavailableError):
        mirror(url, tmp_path / "copy", GIVEN)


def test_a_damaged_description_of_the_mirror_is_said(tmp_path: Path) -> None:
    (tmp_path / "anchors.json").write_text("{}")
    with pytest.raises(CorruptError):
        MirrorFolder(tmp_path).anchors()
    (tmp_path / "mirror.json").write_text("[")
    with pytest.raises(CorruptError):
        MirrorFolder(tmp_path).about()


# -- the auditor's run over a mirror -----------------------------------------------------------------------------------


def copy_of(tmp_path: Path, entries: list[bytes], *anchors: tuple[int, bytes]) -> Path:
    serve(tmp_path / "log", entries)
    with shown(tmp_path / "log", {"/v1/anchors?limit=100": anchors_answer(*anchors)}) as url:
        mirror(url, tmp_path / "copy", GIVEN)
    return tmp_path / "copy"


def test_a_mirror_is_audited_with_verify_processes(tmp_path: Path) -> None:
    copy = copy_of(tmp_path, HONEST, (20, root_at(HONEST, 20)))
    heard: list[tuple[int, int]] = []
    report = audit(copy, AuditOptions(processes=1), lambda: 1_760_000_000, lambda *done: heard.append(done))
    assert report.vouches_for_state
    assert report.checks == REPLAYED | {"anchors"}
    assert (report.anchors and report.anchors.size, report.time) == (20, 1_760_000_000)
    assert heard[-1] == (len(HONEST), len(HONEST))


def test_a_bad_signature_is_found_by_verify_processes_too(tmp_path: Path) -> None:
    entries = list(HONEST)
    code, index = rewritten_signature(entries)
    report = audit(copy_of(tmp_path, entries), AuditOptions(), lambda: 1)
    assert [(failure.code, failure.index) for failure in report.failures] == [(code, index)]
    assert not report.vouches_for_state


def test_a_sampled_audit_says_what_it_left_open(tmp_path: Path) -> None:
    copy = copy_of(tmp_path, HONEST, (20, root_at(HONEST, 20)))
    report = audit(copy, AuditOptions(sample=9, seed=b"block"), lambda: 1)
    assert report.clean
    assert report.mode == SAMPLE
    assert not report.vouches_for_state
    assert report.checks == {"checkpoint", "entries", "signatures", "anchors"}
    assert any("entitled" in note for note in report.notes)
    told = json.loads((copy / "anchors.json").read_text())
    told["anchors"][0]["root"] = "00" * 32
    (copy / "anchors.json").write_text(json.dumps(told))
    assert audit(copy, AuditOptions(sample=9, seed=b"block"), lambda: 1).failures[0].code == "anchor"


def test_another_log_or_key_or_quorum_than_expected_is_refused(tmp_path: Path) -> None:
    copy = copy_of(tmp_path, HONEST)
    stranger = Vkey(ORIGIN, VKEY.type, key("stranger").public_key)
    policy = TlogPolicy.parse(f"log {VKEY.format()}\nwitness w {WITNESS.format()}\nquorum w\n".encode())
    for options in (
        AuditOptions(log_id=bytes(32)), AuditOptions(vkeys=(stranger,)), AuditOptions(policy=policy),
    ):  # fmt: skip
        with pytest.raises(LedgerError):
            audit(copy, options, lambda: 1)
    with pytest.raises(LedgerError):
        audit(tmp_path, AuditOptions(), lambda: 1)
    good = cosigned(copy)
    report = audit(copy, AuditOptions(log_id=leaf_hash(HONEST[0]), vkeys=(VKEY,), policy=good), lambda: 1)
    assert report.vouches_for_state
    assert "cosignatures" in report.checks


def test_a_log_folder_signed_anew_over_other_roots_is_found(tmp_path: Path) -> None:
    checkpoint = serve(tmp_path, HONEST)
    write_checkpoint(tmp_path, sign_checkpoint(NOTE, Checkpoint(ORIGIN, checkpoint.size, bytes(32))))
    assert [failure.code for failure in audit(tmp_path, AuditOptions(), lambda: 1).failures] == ["root"]
