"""Deep fsck looks beside the log, too: documents against digests, kept anchors against the log's roots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from ledger.log.checkpoint import Checkpoint, sign_checkpoint
from ledger.log.notes import Note
from ledger.store.documents import DocumentFolder
from ledger.store.tiles import TileReader
from node.anchor.outbox import Outbox
from node.anchor.records import AnchorRecord, AnchorState
from node.fsck import REMEDIES, FsckReport, check
from tests.node.made_log import Made
from tests.world import key


def deep(made: Made) -> FsckReport:
    return check(made.config, deep=True)


def anchor(made: Made, **changes: Any) -> AnchorRecord:
    """An anchor of the published checkpoint, as the worker keeps it."""
    note = TileReader(made.config.data_path / "log").checkpoint()
    assert note is not None
    signed = Checkpoint.parse(Note.parse(note).text)
    whole: dict[str, Any] = {
        "log": made.world.log_id, "size": signed.size, "root": signed.root, "checkpoint": note, "previous": 1,
        "chain_id": 1, "contract": "0x" + "11" * 20, "state": AnchorState.DONE, "created": 1,
    }  # fmt: skip
    return AnchorRecord(**whole | changes)


def keep(made: Made, record: AnchorRecord) -> Path:
    path = made.config.data_path / "outbox" / f"{record.size:020d}.json"
    Outbox(path.parent, made.world.log_id).keep(record)
    return path


def test_documents_and_anchors_that_agree_pass(made: Made):
    keep(made, anchor(made))
    store = DocumentFolder(made.config.data_path / "documents")
    store.erase(store.put(b"gone", "public"), 1, "asked for")
    report = deep(made)
    assert report.ok, report.as_text()
    assert any("documents that the log names are not here" in note for note in report.notes)
    assert not check(made.config).notes, "only deep looks there"


@pytest.mark.parametrize("name", ["altered", "misnamed", "moved"])
def test_a_document_that_is_not_what_its_name_says_is_found(made: Made, name: str):
    folder = made.config.data_path / "documents"
    digest = DocumentFolder(folder).put(b"as it was", "public").hex()
    path = folder / digest[:2] / digest
    if name == "altered":
        path.write_bytes(path.read_bytes() + b"!")
    elif name == "misnamed":
        path.rename(path.with_name("no digest"))
    else:
        (folder / "00").mkdir(exist_ok=True)
        path.rename(folder / "00" / path.name)
    (found,) = deep(made).findings
    assert found.code == "document"
    assert found.remedy == REMEDIES["document"]
    assert REMEDIES["document"] in deep(made).as_text()


def other_key(made: Made) -> AnchorRecord:
    record = anchor(made)
    return replace(record, checkpoint=sign_checkpoint(key("x"), Checkpoint.parse(Note.parse(record.checkpoint).text)))


ANCHORS: dict[str, Callable[[Made], AnchorRecord]] = {
    "another root": lambda made: anchor(made, root=bytes(32)),
    "a larger log": lambda made: anchor(made, size=10_000),
    "another log": lambda made: anchor(made, log=bytes(32)),
    "another size than its checkpoint's": lambda made: anchor(
        made, size=2, root=TileReader(made.config.data_path / "log").root(2)
    ),
    "another key": other_key,
}


@pytest.mark.parametrize("make", ANCHORS.values(), ids=list(ANCHORS))
def test_an_anchor_that_contradicts_the_log_is_found(made: Made, make: Callable[[Made], AnchorRecord]):
    path = keep(made, make(made))
    (found,) = deep(made).findings
    assert (found.code, found.where) == ("anchor", str(path))


def test_a_lost_anchor_of_a_larger_size_is_no_fault(made: Made):
    keep(made, anchor(made, size=10_000, state=AnchorState.LOST))
    assert deep(made).ok


def test_damaged_anchors_and_open_disputes_are_found(made: Made):
    keep(made, anchor(made)).write_bytes(orjson.dumps({"format": "?"}))
    Outbox(made.config.data_path / "outbox", made.world.log_id).dispute(1, {"size": 3})
    assert [finding.code for finding in deep(made).findings] == ["anchor", "dispute"]


def test_every_finding_has_a_remedy():
    source = (Path(__file__).parents[2] / "node" / "fsck.py").read_text() + (
        Path(__file__).parents[2] / "node" / "fsck_stores.py"
    ).read_text()
    used = {part.split('"')[0] for part in source.replace('self._add("', 'add("').split('add("')[1:]}
    assert used == set(REMEDIES)
