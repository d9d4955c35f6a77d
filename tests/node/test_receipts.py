"""Receipts of a real node: which key signs them, which keys stay known, and who waits for a checkpoint."""

from __future__ import annotations

import asyncio

import pytest
from test_key_rotation import change, registrations, with_next

from ledger.crypto.cose_key import from_cose_key
from ledger.crypto.digests import kid
from ledger.errors import MalformedError
from ledger.log.receipts import ReceiptKeyError, decode_receipt, verify_inclusion_receipt
from ledger.statements import decode
from node.config import Config
from node.node import Node
from node.queries import NotFoundError, Queries
from node.receipts import Receipts
from tests.nodes import ORIGIN, NodeWorld, Party, admitted, make_log, save_keys, settle
from tests.world import key

ENTERPRISE = Party("enterprise")


@pytest.fixture
def config(tmp_path) -> Config:
    made = make_log(tmp_path, interval=3600)
    save_keys(tmp_path, cose_next=key("cose 2"), note_next=key("note 2"))
    return made


async def started(node: Node) -> Receipts:
    await settle(node, NodeWorld(node.log_id), ENTERPRISE)
    await node.publisher.publish_now(node.sequencer)
    return Receipts(node, Queries(node))


def test_after_a_change_of_keys_the_new_one_signs_and_the_old_one_stays_known(config: Config) -> None:
    async def story() -> None:
        async with Node(with_next(config, "keys/cose-next.key", "keys/note-next.key")) as node:
            receipts = await started(node)
            (first,) = admitted(await node.sequencer.submit(registrations(node, ["A"])))
            await node.publisher.publish_now(node.sequencer)
            old = decode_receipt(receipts.inclusion(first.index))
            assert [ref.key for ref in receipts.known_keys()] == [key("cose").public_key]
            admitted(await node.sequencer.submit([change(node, key("cose 2"), key("note 2"))]))
            await node.publisher.publish_now(node.sequencer)
            new = decode_receipt(receipts.inclusion(first.index))
            listed = [from_cose_key(one) for one in decode(receipts.key_set())]
            assert [public for _, public in listed] == [key("cose 2").public_key, key("cose").public_key]
            for receipt, ref in ((old, listed[1]), (new, listed[0])):
                verify_inclusion_receipt(receipt, first.leaf, *ref, origin=ORIGIN)
                assert from_cose_key(decode(receipts.key(receipt.kid))) == ref
            with pytest.raises(ReceiptKeyError):
                verify_inclusion_receipt(new, first.leaf, *listed[1], origin=ORIGIN)
            with pytest.raises(NotFoundError):
                receipts.key(kid(b"no key"))

    asyncio.run(story())


def test_no_receipt_is_made_of_what_is_not_published(config: Config) -> None:
    async def story() -> None:
        async with Node(config) as node:
            receipts = await started(node)
            (entry,) = admitted(await node.sequencer.submit(registrations(node, ["A"])))
            assert not receipts.is_published(entry.index)
            for ask in (receipts.inclusion, receipts.transparent, receipts.proof_file):
                with pytest.raises(NotFoundError):
                    ask(entry.index)
            assert not await receipts.published(entry.index, 0.1)
            for size in (0, 1):
                with pytest.raises(MalformedError):
                    receipts.inclusion(0, size)
            await node.publisher.publish_now(node.sequencer)
            assert await receipts.published(entry.index, 0)
            receipts.transparent(entry.index)

    asyncio.run(story())


def test_publishing_beside_another_publication_takes_in_what_was_acknowledged_before(config: Config) -> None:
    async def story() -> None:
        async with Node(config) as node:
            receipts = await started(node)
            for turns in range(20):  # one of them meets the manifest between its decision and its fsync
                (entry,) = admitted(await node.sequencer.submit(registrations(node, [f"P{turns}"])))
                other = asyncio.create_task(node.publisher.publish_now(node.sequencer))
                for _ in range(turns):
                    await asyncio.sleep(0)
                published = await node.publisher.publish_now(node.sequencer)
                assert published.size > entry.index, turns
                assert receipts.is_published(entry.index)
                await other

    asyncio.run(story())


def test_all_who_wait_for_a_checkpoint_are_woken_by_it(config: Config) -> None:
    async def story() -> None:
        async with Node(config) as node:
            receipts = await started(node)
            names = [f"W{n}" for n in range(30)]
            entries = admitted(await node.sequencer.submit(registrations(node, names)))
            begun = asyncio.get_running_loop().time()
            waiting = [asyncio.create_task(receipts.published(one.index, 10)) for one in entries]
            await asyncio.sleep(0.2)
            assert not any(task.done() for task in waiting)
            looking = [task for task in asyncio.all_tasks() if "_look_out" in repr(task)]
            assert len(looking) == 1
            await node.publisher.publish_now(node.sequencer)
            assert all(await asyncio.gather(*waiting))
            assert asyncio.get_running_loop().time() - begun < 5

    asyncio.run(story())
