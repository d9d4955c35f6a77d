"""A chain that is down, killed, emptied, another one, ahead or forked: admission goes on, or the node refuses to start.

Real anvil, real contract, real node. What the chain must be able to tell at a start is DESIGN rule 6; what it must
never do to admission is the rule's last sentence.
"""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from devnet.embedded.binary import AnvilNotFoundError, find_anvil
from devnet.embedded.chain import EmbeddedChain
from devnet.processes import send_signal
from ledger.crypto import secp256k1
from ledger.errors import CorruptError, MalformedError, RefusedStartError
from ledger.log.tree import leaf_hash
from ledger.store import lock as lock_file
from node.anchor.records import AnchorState
from node.anchor.status import AnchorStatus, WorkerState
from node.chain.artifact import load_artifact
from node.chain.deploy import Deployer
from node.chain.evm import EvmChain
from node.chain.protocol import ChainMismatchError, Finality, Head
from node.chain.rpc import JsonRpc
from node.config import ChainConfig, Config
from node.node import Node
from node.publisher import Published
from tests.faults.acknowledged import Acknowledged, journal_records
from tests.faults.load import Orders, told
from tests.faults.nursery import Nursery, nursery
from tests.lying_rpc import LyingRpc
from tests.nodes import ORIGIN, NodeWorld, Party, make_log, registrations, save_keys, settle

__all__ = ["nursery"]

PARTY = Party("enterprise")


class Anchoring:
    """A log, a chain with its contract, and what was acknowledged so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chain = EmbeddedChain(folder / "chain")
        self.sender = self.chain.key("sender").signer
        self.admin = self.chain.key("deployer").signer
        self.authoriser = secp256k1.SUITE.generate()
        self.bare = make_log(folder / "node", interval=0.05)
        save_keys(self.bare.base, anchor_sender=self.sender, anchor_authoriser=self.authoriser, admin=self.admin)
        first = next((self.bare.data_path / "journal").glob("*.journal"))
        self.log_id = leaf_hash(journal_records(first)[0][1])
        self.chain.start()
        self.deployment = Deployer(self.rpc(), self.admin).establish(
            log=self.log_id, origin=ORIGIN, sender=self.sender.address, authoriser=self.authoriser.address
        )
        self.chain.save()
        self.config = replace(self.bare, chain=self.chain_config())
        self.held = Acknowledged()
        self.number = 0

    def chain_config(self, **changes: Any) -> ChainConfig:
        settings: dict[str, Any] = {
            "url": self.chain.url, "chain_id": self.deployment.chain_id, "contract": self.deployment.contract,
            "interval": 0.2, "timeout": 3.0, "admin": "keys/admin.key",
        }  # fmt: skip
        return ChainConfig(**settings | changes)

    def rpc(self) -> JsonRpc:
        return JsonRpc(self.chain.url, timeout=3)

    def head(self, contract: str = "") -> Head:
        """What the chain has, asked by nobody's worker."""
        backend = EvmChain(
            self.rpc(), chain_id=self.deployment.chain_id, contract=contract or self.deployment.contract,
            finality=Finality.parse("included"),
        )  # fmt: skip
        return backend.head(self.log_id)

    async def grow(self, node: Node, count: int = 3) -> Published:
        """Register and publish."""
        world = NodeWorld(node.log_id)
        if node.admission.size <= 2:
            await settle(node, world, PARTY)
        self.number += 1
        names = [f"B{self.number}N{n}" for n in range(count)]
        self.held.hear(told(await node.sequencer.submit(registrations(world, PARTY, names))))
        return await node.publisher.publish_now(node.sequencer)

    def run(self, config: Config | None = None, *, anchored: bool = False, count: int = 3) -> Published:
        """A node's life in good order: grow, publish, wait for the anchor where asked to."""

        async def story() -> Published:
            async with Node(config or self.config) as node:
                published = await self.grow(node, count)
                if anchored:
                    await is_anchored(node)
                return published

        return asyncio.run(story())

    def empty_the_chain(self) -> None:
        self.chain.stop()
        for path in self.chain.folder.glob("state-*.json"):
            path.unlink()
        self.chain.start()


@pytest.fixture
def anchoring(tmp_path: Path) -> Iterator[Anchoring]:
    try:
        find_anvil()
        load_artifact()
    except (AnvilNotFoundError, CorruptError) as error:
        pytest.skip(str(error))
    made = Anchoring(tmp_path)
    try:
        yield made
    finally:
        made.chain.stop()


def status(node: Node) -> AnchorStatus:
    assert node.anchors is not None
    return node.anchors.status()


async def within(seconds: float, true: Callable[[], bool], node: Node) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, status(node)
        await asyncio.sleep(0.02)


async def is_anchored(node: Node, seconds: float = 30) -> None:
    size = node.publisher.published.size
    await within(seconds, lambda: status(node).anchored_size >= size, node)


def image(config: Config, to: Path) -> None:
    """Copy data directory and lock, as a snapshot of the whole disk would."""
    shutil.copytree(config.data_path, to / "data")
    shutil.copytree(config.path(config.lock).parent, to / "lock")


def restore(config: Config, backup: Path) -> None:
    """Put both back so that the lock cannot know it: its guard is made to agree, as in a snapshot of the whole disk."""
    lock = config.path(config.lock)
    for folder, name in ((config.data_path, "data"), (lock.parent, "lock")):
        shutil.rmtree(folder)
        shutil.copytree(backup / name, folder)
    found = lock_file._find(lock)
    assert found is not None
    lock_file._guard_path(lock).write_bytes(lock_file._encode_guard(found.identity))


def test_a_chain_down_for_the_whole_run_never_stops_admission_and_gets_the_backlog(anchoring: Anchoring):
    anchoring.chain.stop()

    async def story() -> None:
        for _ in range(2):  # also over a restart of the node
            async with Node(anchoring.config) as node:
                for _ in range(4):
                    await anchoring.grow(node)
                    assert node.not_ready() is None
                await within(10, lambda: status(node).state is WorkerState.CHAIN_DOWN, node)
                assert status(node).anchored_size == 0
        async with Node(anchoring.config) as node:
            published = await anchoring.grow(node)
            await asyncio.get_running_loop().run_in_executor(None, anchoring.chain.start)
            await is_anchored(node)
            head = anchoring.head()
            assert (head.size, head.root) == (published.size, published.root)
            assert status(node).backlog == 0

    asyncio.run(story())
    asyncio.run(anchoring.held.check(anchoring.bare))


def test_node_and_chain_killed_again_and_again_end_with_all_of_it_anchored(anchoring: Anchoring, nursery: Nursery):
    anchoring.run()
    chance = random.Random(5)
    held = anchoring.held
    chain = asdict(anchoring.config.chain)
    previous, now = 0, int(time.time())
    for number in range(1, 6):
        before = len(held.places)
        orders = Orders(
            str(anchoring.config.base), now, 1000 + number, previous, number, chain=chain, pause=0.05,
        )  # fmt: skip
        timer = threading.Timer(chance.uniform(0.2, 1.2), kill_anvil, (anchoring.chain,))
        timer.start()
        ended = nursery.life(orders, held.hear, after="up", delay=chance.uniform(0.3, 1.5))
        timer.join()
        assert ended == signal.SIGKILL, nursery.errors.read_text()[-2000:]
        previous = max(1, len(held.places) - before)

    async def story() -> None:
        async with Node(anchoring.config) as node:
            await is_anchored(node)
            published = node.publisher.published
            head = anchoring.head()
            assert (head.size, head.root) == (published.size, published.root)
            assert node.anchors is not None
            assert all(a.state is AnchorState.DONE for a in node.anchors.anchors() if a.size == published.size)

    asyncio.run(story())
    asyncio.run(held.check(anchoring.bare))


def kill_anvil(chain: EmbeddedChain) -> None:
    send_signal(chain.folder / "anvil.pid", signal.SIGKILL)


def test_anchors_that_the_chain_lost_are_made_again(anchoring: Anchoring):
    anchoring.run(anchored=True)
    older = anchoring.chain.save()
    kept = anchoring.folder / older.name
    shutil.copy(older, kept)
    lost = anchoring.run(anchored=True)
    anchoring.chain.stop()
    for path in anchoring.chain.folder.glob("state-*.json"):
        path.unlink()
    shutil.copy(kept, anchoring.chain.folder / kept.name)
    anchoring.chain.start()
    assert anchoring.head().size < lost.size

    async def story() -> None:
        async with Node(anchoring.config) as node:
            await within(20, lambda: anchoring.head().size == lost.size, node)
            await is_anchored(node)
            assert status(node).lost_total == 1

    asyncio.run(story())
    assert anchoring.head().root == lost.root


def test_a_chain_restarted_empty_is_recognised_and_only_a_flag_deploys_again(anchoring: Anchoring):
    published = anchoring.run(anchored=True)
    anchoring.empty_the_chain()

    async def refused() -> None:
        async with Node(anchoring.config) as node:
            await within(10, lambda: status(node).state is WorkerState.CHAIN_LOST, node)
            await anchoring.grow(node)
            assert node.not_ready() is None, "admission goes on"
            assert status(node).state is WorkerState.CHAIN_LOST

    asyncio.run(refused())
    again = replace(anchoring.bare, chain=anchoring.chain_config(redeploy=True))

    async def redeployed() -> None:
        async with Node(again) as node:
            await is_anchored(node)
            head = anchoring.head(status(node).contract)
            assert (head.size, head.root) == (node.publisher.published.size, node.publisher.published.root)
            assert head.size > published.size

    asyncio.run(redeployed())


def test_another_chain_is_refused_at_start(anchoring: Anchoring):
    other = replace(anchoring.bare, chain=anchoring.chain_config(chain_id=1))
    with pytest.raises(ChainMismatchError, match="serves chain"):
        start(other)
    strange = anchoring.chain_config(contract=anchoring.sender.address)
    anchoring.run(replace(anchoring.bare, chain=strange))  # no contract at all: as after a reset, anchoring is held up
    anchoring.run(anchored=True)


def test_a_node_starts_and_anchors_over_the_second_address_while_the_first_is_dead_or_strange(anchoring: Anchoring):
    with LyingRpc(anchoring.chain.url) as strange:
        strange.result("0x1", "eth_chainId")
        urls = f"http://user:secret@127.0.0.1:1/secret {strange.url} {anchoring.chain.url}"
        config = replace(anchoring.bare, chain=anchoring.chain_config(url=urls, timeout=1.0, max_gas_price=10**12))

        async def story() -> None:
            async with Node(config) as node:
                published = await anchoring.grow(node)
                await is_anchored(node)
                assert anchoring.head().root == published.root
                assert [each.state for each in status(node).nodes] == ["down", "strange", "well"]
                assert "secret" not in repr(status(node))

        asyncio.run(story())
    with pytest.raises(MalformedError, match="1 to 16 addresses"):
        start(replace(anchoring.bare, chain=anchoring.chain_config(url=" ")))


def test_data_and_lock_rolled_back_together_are_refused_because_the_chain_is_ahead(anchoring: Anchoring):
    anchoring.run(anchored=True)
    image(anchoring.config, anchoring.folder / "image")
    ahead = anchoring.run(anchored=True)
    restore(anchoring.config, anchoring.folder / "image")
    before = everything(anchoring.config)
    for recover in (False, True):
        with pytest.raises(RefusedStartError, match=f"chain holds an anchor of size {ahead.size}"):
            start(anchoring.config, recover_lock=recover)
    assert everything(anchoring.config) == before, "nothing was signed or acknowledged"


def test_a_fork_is_refused_because_the_chain_has_another_root_of_that_size(anchoring: Anchoring):
    anchoring.run(anchored=True)
    image(anchoring.config, anchoring.folder / "image")
    ahead = anchoring.run(anchored=True)
    for count in (4, 3, 2, 1):  # a careless operator lets it run without the chain, to the very same size
        restore(anchoring.config, anchoring.folder / "image")
        forked = anchoring.run(anchoring.bare, count=count)
        if forked.size == ahead.size:
            break
    assert (forked.size, forked.root != ahead.root) == (ahead.size, True)
    with pytest.raises(RefusedStartError, match=f"chain's root at size {ahead.size} is {ahead.root.hex()}"):
        start(anchoring.config)
    anchoring.run(anchoring.bare)  # and longer than what is anchored
    with pytest.raises(RefusedStartError, match="This log forked"):
        start(anchoring.config)


def test_a_lost_lock_is_recovered_only_on_word_and_with_the_chain_agreeing(
    anchoring: Anchoring, caplog: pytest.LogCaptureFixture
):
    published = anchoring.run(anchored=True)
    lock = anchoring.config.path(anchoring.config.lock)
    lock.unlink()
    with pytest.raises(RefusedStartError, match="absent"):
        start(anchoring.config)
    anchoring.chain.stop()
    with pytest.raises(RefusedStartError, match="chain does not answer"):
        start(anchoring.config, recover_lock=True)
    assert not lock.exists()
    anchoring.chain.start()
    with caplog.at_level(logging.WARNING):
        assert start(anchoring.config, recover_lock=True) == published
    said = [record for record in caplog.records if "lock recovered on the operator's word" in record.message]
    assert [vars(record)["size"] for record in said] == [published.size]
    assert "absent" in vars(said[0])["doubt"]
    assert start(anchoring.config) == published, "from here on without a word"


def test_a_lock_is_not_recovered_where_the_chain_disagrees(anchoring: Anchoring):
    anchoring.run(anchored=True)
    image(anchoring.config, anchoring.folder / "image")
    anchoring.run(anchored=True)
    restore(anchoring.config, anchoring.folder / "image")
    anchoring.config.path(anchoring.config.lock).unlink()
    with pytest.raises(RefusedStartError, match="rolled back together"):
        start(anchoring.config, recover_lock=True)


def start(config: Config, *, recover_lock: bool = False) -> Published:
    async def story() -> Published:
        async with Node(config, recover_lock=recover_lock) as node:
            return node.publisher.published

    return asyncio.run(story())


def everything(config: Config) -> dict[str, bytes]:
    """What was signed or made durable: journal, served log and lock."""
    folders = (config.data_path / "journal", config.data_path / "log", config.path(config.lock).parent)
    return {str(path): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def test_a_lost_lock_is_not_recovered_from_an_anchor_that_is_not_final(anchoring: Anchoring):
    """The newest head agrees, but a reorganisation could still take it back: only a final one stands for the log."""
    published = anchoring.run(anchored=True)
    anchoring.config.path(anchoring.config.lock).unlink()
    waiting = replace(anchoring.bare, chain=anchoring.chain_config(finality="depth:5"))
    with pytest.raises(RefusedStartError, match="no final anchor of this log"):
        start(waiting, recover_lock=True)
    assert not anchoring.config.path(anchoring.config.lock).exists()
    anchoring.rpc().call("anvil_mine", "0x10")
    assert start(waiting, recover_lock=True) == published
