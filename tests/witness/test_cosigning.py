"""A node publishes what its witnesses cosigned, and nothing else, and goes on taking statements meanwhile."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from ledger.errors import RefusedStartError
from ledger.log.checkpoint import Checkpoint, Cosignature, open_cosigned
from ledger.log.notes import ED25519, Note, Vkey
from ledger.log.tiles import MAX_BUNDLE_BYTES
from ledger.log.tree import leaf_hash
from ledger.store.durable import read_bounded
from ledger.store.lock import CheckpointLock, LockState
from ledger.store.tiles import TileReader
from node import publisher as publisher_module
from node.config import Config, ConfigError, WitnessesConfig
from node.cosigning import WITHOUT_QUORUM, QuorumError, read_policies
from node.follower import Followed
from node.node import Node
from node.recovery import DataFolder
from node.witness.folder import WitnessFolder
from tests.nodes import ORIGIN, NodeWorld, Party, admitted, make_log, registrations, settle
from tests.witness.serving import files_at, serving_app, witness_at
from tests.witness.witness_world import StillClock, make_witness
from tests.world import key

VKEY = Vkey(ORIGIN, ED25519, key("note").public_key)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher_module, "WITNESS_RETRY", 0.2)


def policy_text(witnesses: Sequence[tuple[Vkey, str]], threshold: int) -> str:
    lines = [f"witness W{n} {vkey.format()} {url}\n" for n, (vkey, url) in enumerate(witnesses)]
    names = " ".join(f"W{n}" for n in range(len(witnesses)))
    return "".join(lines) + f"group all-of-them {threshold} {names}\nquorum all-of-them\n"


class Site:
    """A log of a test, and witnesses that can be started and stopped, each at its own port."""

    def __init__(self, base: Path, count: int, threshold: int, **options: object) -> None:
        self.base = base
        self.config = replace(
            make_log(base / "node"), witnesses=WitnessesConfig(policy="witnesses.policy", **options)  # type: ignore[arg-type]
        )  # fmt: skip
        self.running: dict[int, ExitStack] = {}
        self.ports: dict[int, int] = {}
        self.vkeys = [make_witness(base / f"w{n}", (VKEY, ""), name=f"w{n}.example") for n in range(count)]
        for n in range(count):
            self.up(n)
        urls = [f"http://127.0.0.1:{self.ports[n]}" for n in range(count)]
        text = policy_text(list(zip(self.vkeys, urls, strict=True)), threshold)
        (base / "node" / "witnesses.policy").write_text(text)

    def up(self, n: int) -> None:
        stack = ExitStack()
        url, _ = stack.enter_context(witness_at(self.base / f"w{n}", port=self.ports.get(n, 0)))
        self.ports[n] = int(url.rpartition(":")[2])
        self.running[n] = stack

    def down(self, n: int) -> None:
        self.running.pop(n).close()

    def served(self) -> tuple[int, tuple[Cosignature, ...]]:
        """Size and cosignatures of the file that readers get; (0, ()) where there is none."""
        data = read_bounded(self.config.data_path / "log" / "checkpoint", 1 << 20)
        if data is None:
            return 0, ()
        checkpoint, found = open_cosigned(data, VKEY, self.vkeys)
        return checkpoint.size, found


@pytest.fixture
def site(tmp_path: Path):
    made: list[Site] = []

    def make(count: int = 3, threshold: int = 2, **options: object) -> Site:
        made.append(Site(tmp_path, count, threshold, **options))
        return made[-1]

    yield make
    for one in made:
        for n in list(one.running):
            one.down(n)


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what is waited for is on disk
            await asyncio.sleep(0.02)


async def some(node: Node, count: int = 3) -> None:
    world, enterprise = NodeWorld(node.log_id), Party("enterprise")
    await settle(node, world, enterprise)
    for raw in registrations(world, enterprise, [f"P{n}" for n in range(count)]):
        world.gathered.append(raw)
    admitted(await node.sequencer.submit(world.take()))


def running(config: Config, story: Callable[[Node], Awaitable[None]]) -> None:
    async def run() -> None:
        async with Node(config) as node:
            await story(node)

    asyncio.run(run())


def test_a_published_checkpoint_carries_its_quorum(site: Callable[..., Site]):
    here = site()

    async def story(node: Node) -> None:
        await some(node)
        published = await node.publisher.publish_now(node.sequencer)
        size, cosigned = here.served()
        assert size == published.size
        assert len(cosigned) >= 2
        assert node.reader.checkpoint() == published.checkpoint
        assert node.witnesses is not None
        assert node.witnesses.health()["state"] == "cosigned"
        metrics = node.metrics.render().decode()
        assert "tial_witness_quorum 1.0" in metrics

    running(here.config, story)


def test_without_a_quorum_statements_are_taken_and_nothing_is_published(site: Callable[..., Site]):
    here = site()

    async def story(node: Node) -> None:
        before, _ = here.served()
        here.down(1)
        here.down(2)
        await some(node)
        with pytest.raises(QuorumError, match="W1"):
            await node.publisher.publish_now(node.sequencer)
        assert here.served()[0] == before == node.publisher.published.size
        assert node.publisher.signed_size > before
        assert node.not_ready() is None
        assert node.sequencer.held_back is None
        assert node.witnesses is not None
        assert node.witnesses.health()["state"] == "waiting for the witnesses' quorum"
        here.up(2)
        await until(lambda: here.served()[0] == node.publisher.signed_size)
        assert len(here.served()[1]) >= 2

    running(here.config, story)


def test_what_was_signed_and_not_published_is_cosigned_at_the_next_start(site: Callable[..., Site]):
    here = site(1, 1)
    signed = 0

    async def story(node: Node) -> None:
        nonlocal signed
        here.down(0)
        await some(node)
        with pytest.raises(QuorumError):
            await node.publisher.publish_now(node.sequencer)
        signed = node.publisher.signed_size

    running(here.config, story)
    assert here.served()[0] < signed

    async def silent(node: Node) -> None:
        assert node.publisher.published.size < signed
        assert node.publisher.waiting
        assert node.not_ready() is None

    running(here.config, silent)
    here.up(0)

    async def after(node: Node) -> None:
        assert here.served()[0] == node.publisher.published.size == signed

    running(here.config, after)


def test_a_node_whose_first_checkpoint_waits_serves_none(site: Callable[..., Site]):
    here = site(1, 1)
    here.down(0)

    async def story(node: Node) -> None:
        assert (node.publisher.published.size, here.served()[0]) == (0, 0)
        assert node.publisher.signed_size == 2
        here.up(0)
        await until(lambda: here.served()[0] == 2)

    running(here.config, story)


def test_the_override_publishes_and_says_so(site: Callable[..., Site], caplog: pytest.LogCaptureFixture):
    here = site(1, 1, required=False)
    here.down(0)

    async def story(node: Node) -> None:
        await some(node)
        published = await node.publisher.publish_now(node.sequencer)
        assert here.served() == (published.size, ())
        assert node.witnesses is not None
        assert node.witnesses.health()["state"] == WITHOUT_QUORUM
        assert "tial_witness_quorum 0.0" in node.metrics.render().decode()

    with caplog.at_level("WARNING"):
        running(here.config, story)
    assert WITHOUT_QUORUM in caplog.text


def test_an_idle_checkpoint_is_cosigned_again(site: Callable[..., Site]):
    here = site(2, 2, refresh=0.3)

    async def story(node: Node) -> None:
        size, first = here.served()
        times = {one.vkey: one.time for one in first}
        await until(lambda: all(one.time > times[one.vkey] for one in here.served()[1]))
        assert here.served()[0] == size == node.publisher.published.size
        assert len(Note.parse(node.publisher.published.checkpoint).signatures) == 3

    running(here.config, story)


def test_a_late_witness_learns_by_proof(site: Callable[..., Site]):
    here = site(3, 2)

    async def story(node: Node) -> None:
        here.down(2)
        for _ in range(2):
            await some_more(node)
        here.up(2)
        await some_more(node)
        assert node.witnesses is not None
        await until(lambda: len(here.served()[1]) == 3 or not node.publisher.waiting)
        note = await node.witnesses.cosign(node.publisher.published.checkpoint, node.publisher.published.size)
        assert len(open_cosigned(note, VKEY, here.vkeys)[1]) == 3

    async def some_more(node: Node) -> None:
        await node.sequencer.close_batch()
        await node.publisher.publish_now(node.sequencer)

    running(here.config, story)


def test_a_node_that_was_rolled_back_is_refused_by_its_witness(site: Callable[..., Site], tmp_path: Path):
    """Data and lock put back together, as by a snapshot of the disk: the witness knows more, the node must not sign."""
    here = site(1, 1)

    async def nothing(node: Node) -> None:
        assert node.publisher.published.size == 2

    running(here.config, nothing)
    state = WitnessFolder(tmp_path / "w0")

    async def grows(node: Node) -> None:
        await some(node)
        await node.publisher.publish_now(node.sequencer)

    elsewhere = tmp_path / "twin"
    shutil.copytree(tmp_path / "node", elsewhere)
    running(here.config, grows)
    assert state.path.exists()
    rolled = replace(here.config, base=elsewhere)
    for lock in (elsewhere / "lock").iterdir():
        lock.unlink()
    shutil.copytree(tmp_path / "node" / "lock", elsewhere / "spare")
    _intact_lock_of(elsewhere, rolled)
    with pytest.raises(RefusedStartError, match="cosigned size"):
        running(rolled, nothing)


def _intact_lock_of(base: Path, config: Config) -> None:
    """Make the lock that a snapshot would have brought back: intact, at the older size."""
    folder = DataFolder(config.data_path)
    note = TileReader(folder.served).checkpoint()
    assert note is not None
    parsed = Note.parse(note)
    checkpoint = Checkpoint.parse(parsed.text)
    bare = Note(parsed.text, parsed.signatures[:1]).serialise()
    log = TileReader(folder.served).entry(0)
    with CheckpointLock.open(config.path(config.lock), folder.path) as lock:
        state = LockState(leaf_hash(log), folder.instance.read_bytes(), checkpoint.size, checkpoint.root, bare)
        lock.recover(state)


def test_two_nodes_witness_each_other_and_are_followed(tmp_path: Path):
    """Each operator runs a witness beside its node and cosigns the other's log."""
    other = Vkey(ORIGIN, ED25519, key("note").public_key)
    for side, peer in (("a", "b"), ("b", "a")):
        make_witness(tmp_path / f"w-{side}", (other, ""), name=f"{side}.example/witness-of-{peer}")
    configs = {}
    with ExitStack() as stack:
        urls = {side: stack.enter_context(witness_at(tmp_path / f"w-{side}"))[0] for side in "ab"}
        for side, peer in (("a", "b"), ("b", "a")):
            configs[side] = replace(
                make_log(tmp_path / side, now=int(time.time()) - ord(side)),
                witnesses=WitnessesConfig(policy="witnesses.policy"),
            )
            home = WitnessFolder(tmp_path / f"w-{peer}")
            vkey = Vkey(home.settings().name, 4, home.signer(home.settings()).public_key)
            (tmp_path / side / "witnesses.policy").write_text(policy_text([(vkey, urls[peer])], 1))

        async def story() -> None:
            async with Node(configs["a"]) as first, Node(configs["b"]) as second:
                for node in (first, second):
                    await some(node, 5)
                    published = await node.publisher.publish_now(node.sequencer)
                    folder = node.config.data_path / "log"
                    followed = Followed(
                        lambda path, limit, folder=folder: read_bounded(folder / path, min(limit, MAX_BUNDLE_BYTES)),
                        published.size, published.root,
                    )  # fmt: skip
                    assert len(list(followed.entries(0, published.size))) == published.size

        asyncio.run(story())


def test_a_manifest_too_old_for_a_replaying_witness_is_followed_by_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The witness was away longer than the skew: what waits is refused, an empty batch of now is not."""
    config = replace(make_log(tmp_path / "node"), witnesses=WitnessesConfig(replaying="p"))
    clock = StillClock(time.time() + 400)  # for it, what the node signs now is 400 s old
    with files_at(config.data_path / "log") as url:
        vkey = make_witness(tmp_path / "w", (VKEY, url), replaying=True)
        with witness_at(tmp_path / "w", clock) as (place, _):
            (tmp_path / "node" / "p").write_text(policy_text([(vkey, place)], 1))

            async def story(node: Node) -> None:
                assert node.witnesses is not None
                await until(node.witnesses.refused)
                assert node.publisher.published.size == 0
                first = node.publisher.signed_size
                await asyncio.sleep(0.5)
                assert node.publisher.signed_size == first  # not a batch a second: only when the skew has passed
                clock.passes(-400)
                later = SimpleNamespace(
                    time=lambda: time.time() + 400, monotonic=time.monotonic, perf_counter=time.perf_counter
                )  # fmt: skip
                monkeypatch.setattr(publisher_module, "time", later)
                await until(lambda: node.publisher.published.size > first)

            running(config, story)


@pytest.mark.parametrize(
    "text", ["quorum none\n", "", "nonsense\n", policy_text([(Vkey("w", 4, key("w").public_key), "")], 1)]
)
def test_a_policy_that_cannot_hold_is_a_configuration_error(tmp_path: Path, text: str):
    config = replace(make_log(tmp_path), witnesses=WitnessesConfig(policy="p"))
    with pytest.raises(ConfigError):
        read_policies(config)
    (tmp_path / "p").write_text(text)
    with pytest.raises(ConfigError):
        read_policies(config)


def test_half_of_the_witnesses_are_no_quorum_and_no_key_serves_twice(tmp_path: Path):
    pairs = [(Vkey(f"w{n}", 4, key(f"w{n}").public_key), "http://127.0.0.1:9") for n in range(4)]
    (tmp_path / "half").write_text(policy_text(pairs, 2))
    (tmp_path / "most").write_text(policy_text(pairs, 3))
    config = make_log(tmp_path)
    with pytest.raises(ConfigError, match="common"):
        read_policies(replace(config, witnesses=WitnessesConfig(policy="half")))
    assert set(read_policies(replace(config, witnesses=WitnessesConfig(policy="most")))) == {"plain"}
    with pytest.raises(ConfigError, match="key of its own"):
        read_policies(replace(config, witnesses=WitnessesConfig(policy="most", replaying="most")))


@pytest.mark.parametrize(
    "answer",
    [
        (200, b""), (200, b"nonsense"), (200, "— w AAAA\n".encode()), (200, b"x" * 200_000), (409, b"seven\n"),
        (409, b"0\n"), (302, b""), (500, b"\xff\xfe"), (418, b""),
    ],
)  # fmt: skip
def test_whatever_a_witness_answers_is_survived(tmp_path: Path, answer: tuple[int, bytes]):
    async def lie(_request: object) -> Response:
        return Response(answer[1], answer[0], {"Location": "/elsewhere"})

    app = Starlette(routes=[Route("/add-checkpoint", lie, methods=["POST"])])
    config = replace(make_log(tmp_path), witnesses=WitnessesConfig(policy="p"))

    async def story(node: Node) -> None:
        assert node.publisher.published.size == 0
        assert node.not_ready() is None
        assert node.witnesses is not None
        (one,) = node.witnesses.health()["witnesses"]
        assert one["error"]

    with serving_app(app) as url:
        (tmp_path / "p").write_text(policy_text([(Vkey("w", 4, key("w").public_key), url)], 1))
        running(config, story)
