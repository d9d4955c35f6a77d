"""Whole processes: a node with a plain and a replaying witness, made and run by the command line."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from api.answers import check_inclusion
from api.cli.main import main
from api.client import Client
from ledger.log.checkpoint import open_cosigned
from ledger.log.notes import COSIGNATURE, ED25519, Vkey
from ledger.log.policy import TlogPolicy
from node.config import load_config
from node.fsck import check
from node.witness.folder import WitnessFolder
from tests.running import ORIGIN, REPOSITORY, Acts, Running, make_log
from tests.world import Party, key

VKEY = Vkey(ORIGIN, ED25519, key("note").public_key)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextlib.contextmanager
def witness_process(folder: Path) -> Iterator[str]:
    """`tial witness run` as a process; yields its URL once it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "api.cli.main", "witness", "run", str(folder)],
        cwd=REPOSITORY, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    told: queue.Queue[str] = queue.Queue()

    def follow() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            with contextlib.suppress(ValueError):
                if "url" in (entry := json.loads(line)):
                    told.put(entry["url"])

    threading.Thread(target=follow, daemon=True).start()
    try:
        yield told.get(timeout=30)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def init_witness(folder: Path, name: str, url: str, *options: str) -> Vkey:
    log = f"{VKEY.format()}={url}" if url else VKEY.format()
    assert main(["witness", "init", str(folder), "--name", name, "--port", "0", "--log", log, *options]) == 0
    home = WitnessFolder(folder)
    return Vkey(name, COSIGNATURE, home.signer(home.settings()).public_key)


def policy_file(path: Path, vkey: Vkey, url: str) -> None:
    text = f"witness W {vkey.format()} {url}\nquorum W\n"
    assert TlogPolicy.parse(text.encode()).satisfied([vkey])
    path.write_text(text)


def wait_for(client: httpx.Client, wanted: str, seconds: float = 30.0) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        health: dict[str, Any] = client.get("/healthz").json()["witnesses"]
        if health["state"] == wanted:
            return health
        time.sleep(0.1)
    raise AssertionError(health)


def admit(node: Running, acts: Acts, names: list[str]) -> None:
    party = Party("enterprise")
    acts.enrol(party, "owner")
    node.admit(*acts.take())
    acts.delegate(party, "vaa/88.118.8")
    node.admit(*acts.take())
    node.admit(*[acts.registration(party, f"vaa:88.118.8/{name}", "vaa/88.118.8") for name in names])


def test_a_log_with_a_plain_and_a_replaying_witness(tmp_path: Path):
    """The replaying one reads the log from the node that waits for it: tiles are served before the checkpoint is."""
    port = free_port()
    config, acts = make_log(
        tmp_path / "node",
        http={"port": port},
        witnesses={"policy": "plain.policy", "replaying": "replaying.policy"},
    )
    url = f"http://127.0.0.1:{port}"
    plain = init_witness(tmp_path / "plain", "plain.example", "")
    replaying = init_witness(tmp_path / "replaying", "replaying.example", url, "--replaying")
    with witness_process(tmp_path / "plain") as first, witness_process(tmp_path / "replaying") as second:
        policy_file(tmp_path / "node" / "plain.policy", plain, first)
        policy_file(tmp_path / "node" / "replaying.policy", replaying, second)
        node = Running(config)
        try:
            wait_for(node.client, "cosigned")
            admit(node, acts, ["A", "B", "C"])
            node.publish()
            note = node.client.get("/checkpoint").content
            checkpoint, cosigned = open_cosigned(note, VKEY, [plain, replaying])
            assert {one.vkey for one in cosigned} == {plain, replaying}
            with Client(url) as client:
                inclusion = client.inclusion(3)
                assert check_inclusion(client.log(), client.entry(3), inclusion).size == checkpoint.size
        finally:
            assert node.stop() == 0
    assert check(load_config(config), deep=True).ok
    assert not list((tmp_path / "replaying").glob("logs/*/evidence/*"))
