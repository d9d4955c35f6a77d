"""Admission between the stores: what the index knows before the publisher does, and documents at their turn."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ledger.credentials.mapping import ContradictionError
from ledger.crypto.canonical import canonical_json
from ledger.statements import decode_statement
from ledger.store.documents import DocumentFolder
from node.admission import Admission
from node.document_check import DocumentCheck
from node.keyring import KeyRing
from node.node import Node
from node.recovery import DataFolder, Recovered, open_log
from node.submission import Admitted, Refused
from tests.nodes import NodeWorld, Party, admitted, make_log, settle
from tests.world import ITEM, key

PARTY = Party("enterprise")


def opened(tmp_path: Path) -> tuple[Recovered, NodeWorld]:
    config = make_log(tmp_path)

    async def story() -> bytes:
        async with Node(config) as node:
            await settle(node, NodeWorld(node.log_id), PARTY)
            return node.log_id

    log_id = asyncio.run(story())
    recovered = open_log(DataFolder(config.data_path), config.path(config.lock), None, recover_lock=False)
    return recovered, NodeWorld(log_id)


def unreachable(index: int) -> bytes:
    raise AssertionError(f"entry {index} is not to be asked for: nobody can answer yet")


def test_a_refusal_about_an_entry_that_is_just_being_stored_asks_nobody_for_it(tmp_path: Path):
    """The writer's thread applies a group to the index before the loop hears of it; decisions go on meanwhile."""
    recovered, world = opened(tmp_path)
    try:
        admission = Admission(
            recovered.index, KeyRing((key("cose"),), (key("note"),)), recovered.journal.next_index, recovered.counts,
            entry_at=unreachable, documents=DocumentCheck(DocumentFolder(tmp_path / "documents")),
        )  # fmt: skip
        first = decode_statement(world.registration(PARTY, ITEM, "vaa/88.118.8"))
        other = decode_statement(world.registration(PARTY, ITEM, "vaa/88.118.8", digest=bytes(32)))
        assert isinstance(admission.admit(first, b"", good=False), Admitted)
        group = admission.take_group()
        recovered.index.apply(group.index_update())
        refused = admission.admit(other, b"", good=False)
        assert isinstance(refused, Refused)
        assert refused.reason == "already_registered"
        again = admission.admit(first, b"", good=False)
        assert isinstance(again, Admitted)
        assert again.duplicate
    finally:
        recovered.close()


@pytest.mark.parametrize("stored", [True, False])
def test_a_certification_needs_its_document_also_beside_its_template(tmp_path: Path, stored: bool):
    config = make_log(tmp_path)

    async def story() -> None:
        async with Node(config) as node:
            world = NodeWorld(node.log_id)
            await settle(node, world, PARTY)
            authority, certifier = Party("authority"), Party("certifier")
            world.enrol(authority, "accreditor", "template-authority")
            world.enrol(certifier, "certifier")
            admitted(await node.sequencer.submit(world.take()))
            document = canonical_json({"credentialSubject": {"id": ITEM}})
            digest = node.documents.put(document, "public") if stored else bytes(32)
            world.approve_template(authority)
            world.accredit(authority, certifier)
            world.put(world.registration(PARTY, ITEM, "vaa/88.118.8"))
            raw = world.certification(certifier, ITEM, digest=digest)
            *others, last = (await node.sequencer.submit([*world.take(), raw])).outcomes
            assert all(isinstance(outcome, Admitted) for outcome in others)
            if not stored:
                assert isinstance(last, Refused)
                assert last.reason == "document-missing"
                return
            assert isinstance(last, Admitted)
            node.documents.erase(digest, 1, "asked for by its holder")
            (again,) = admitted(await node.sequencer.submit([raw]))
            assert (again.index, again.duplicate) == (last.index, True), "the first place, whatever became of it"

    asyncio.run(story())


def test_junk_does_not_make_the_log_grow(tmp_path: Path):
    config = make_log(tmp_path)

    async def story() -> None:
        async with Node(config) as node:
            await asyncio.sleep(3.2)  # log time is behind by more than a group may see
            size = node.admission.size
            (outcome,) = (await node.sequencer.submit([b"junk"])).outcomes
            assert isinstance(outcome, Refused)
            assert node.admission.size == size

    asyncio.run(story())


def test_the_error_of_a_contradiction_is_its_own(tmp_path: Path):
    config = make_log(tmp_path)

    async def story() -> None:
        async with Node(config) as node:
            world = NodeWorld(node.log_id)
            await settle(node, world, PARTY)
            authority, certifier = Party("authority"), Party("certifier")
            world.enrol(authority, "accreditor", "template-authority")
            world.enrol(certifier, "certifier")
            world.approve_template(authority)
            world.accredit(authority, certifier)
            world.put(world.registration(PARTY, ITEM, "vaa/88.118.8"))
            admitted(await node.sequencer.submit(world.take()))
            digest = node.documents.put(canonical_json({"credentialSubject": {"id": "vaa:88.118.8/other"}}), "public")
            (outcome,) = (await node.sequencer.submit([world.certification(certifier, ITEM, digest=digest)])).outcomes
            assert isinstance(outcome, Refused)
            assert outcome.reason == ContradictionError.code

    asyncio.run(story())
