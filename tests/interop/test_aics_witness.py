"""aics-witness, a witness written by others, cosigns our checkpoints as they grow and after it was away."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.log.checkpoint import Checkpoint as LogCheckpoint
from ledger.log.checkpoint import open_cosigned, sign_checkpoint
from ledger.log.notes import Vkey
from node.config import WitnessesConfig
from node.cosigning import QuorumError
from node.node import Node
from node.witness.request import write_request
from tests.interop.live_log import ORIGIN, MadeLog, make_log
from tests.world import key

pytestmark = pytest.mark.timeout(900)


class Peer:
    """The witness in a folder of its own, on a port that it keeps."""

    def __init__(self, program: Path, folder: Path, log: MadeLog) -> None:
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = int(taken.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.program, self.config = program, folder / "witness.json"
        self.log = log
        self.run("init", "--name", "peer.example/w1", "--listen", f"127.0.0.1:{self.port}")
        self.run("add-log", "--origin", ORIGIN, "--vkey", log.vkey)
        self.vkey = Vkey.parse(json.loads(self.run("status", "--json"))["witness"]["vkey"])

    def run(self, command: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self.program), command, "--config", str(self.config), *arguments],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def serving(self) -> Iterator[None]:
        process = subprocess.Popen(
            [str(self.program), "serve", "--config", str(self.config)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ},
        )  # fmt: skip
        try:
            for _ in range(400):
                try:
                    socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                    break
                except OSError:
                    assert process.poll() is None
                    time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture
def log(tmp_path: Path) -> MadeLog:
    return make_log(tmp_path / "log")


@pytest.fixture
def witness(peer: Callable[[str], Path], log: MadeLog, tmp_path: Path) -> Peer:
    return Peer(peer("aics-witness"), tmp_path / "witness", log)


def test_our_checkpoints_are_cosigned_as_the_log_grows(witness: Peer, log: MadeLog) -> None:
    (log.base / "p").write_text(f"witness W {witness.vkey.format()} {witness.url}\nquorum W\n")
    config = replace(log.config(), witnesses=WitnessesConfig(policy="p", timeout=20.0))

    async def story() -> None:
        with witness.serving():
            async with Node(config) as node:
                await log.batch(node, [log.enrolment()])
                await log.batch(node, [log.delegation()])
                await log.batch(node, log.registrations(300))
        async with Node(config) as node:
            with pytest.raises(QuorumError):
                await log.batch(node, log.registrations(50))
            with witness.serving():
                await node.publisher.publish_now(node.sequencer)
            published = node.publisher.published
            assert published.size == node.publisher.signed_size > log.size
            _, (one,) = open_cosigned(published.checkpoint, Vkey.parse(log.vkey), [witness.vkey])
            assert abs(one.time - time.time()) < 60

    asyncio.run(story())
    told = json.loads(witness.run("status", "--json"))
    assert told["logs"][0]["size"] > log.size


def test_it_refuses_what_ours_refuses(witness: Peer, log: MadeLog) -> None:
    """The peer and our own witness answer the same to the same requests."""
    import httpx  # noqa: PLC0415

    from tests.witness.serving import witness_at  # noqa: PLC0415
    from tests.witness.witness_world import ToyLog, make_witness  # noqa: PLC0415

    toy = ToyLog(ORIGIN)
    toy.signer = key("note")
    fork = ToyLog(ORIGIN, salt=b"fork")
    fork.signer = toy.signer
    make_witness(log.base / "ours", (Vkey.parse(log.vkey), ""))
    note, proof = toy.note(20), toy.proof(10, 20)
    empty = sign_checkpoint(toy.signer, LogCheckpoint(ORIGIN, 5, bytes(32)))
    requests = [
        toy.request(0, 10), toy.request(0, 12), toy.request(10, 10), fork.request(10, 10),
        write_request(10, fork.proof(10, 20), fork.note(20)), write_request(10, [], note),
        write_request(21, [], note), write_request(10, [*proof, bytes(32)], note), toy.request(4, 5),
        write_request(10, proof, note), write_request(10, proof, note), b"", b"old 1\n", b"old 01\n\n" + note,
        write_request(20, [], ToyLog("elsewhere.example").note(20)), write_request(0, [], empty),
        write_request(20, [bytes(32)] * 64, toy.note(30)), toy.request(20, 30),
    ]  # fmt: skip
    with witness.serving(), witness_at(log.base / "ours") as (ours, _):
        for number, body in enumerate(requests):
            answers = [
                httpx.post(f"{url}/add-checkpoint", content=body, trust_env=False) for url in (witness.url, ours)
            ]
            theirs, own = ((one.status_code, one.text if one.status_code == 409 else "") for one in answers)
            assert theirs == own, (number, answers[0].text, answers[1].text)
