"""A running node to test against: a log in a folder, a server process over it, and what a consortium does through it.

`make_log` writes keys, configuration and genesis; `Running` starts `python -m api.http.server` as a process of its own,
on an ephemeral loopback port, and can stop, kill and start it again on the same data. `Acts` signs statements for the
log by the parties of `world`. Other suites build fault tests on these three.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from ledger.crypto import keyfile
from ledger.state.view import MemoryState
from ledger.statements import Statement, decode_statement
from node.genesis import Policy, RootMember, create_log, draft_genesis
from node.recovery import DataFolder
from tests.world import Party, World, key

REPOSITORY = Path(__file__).resolve().parents[1]
ORIGIN = "example.org/log"
PASSPHRASE = "x"
OPERATOR_TOKEN = "operator-token-for-tests"
COSE = {"Content-Type": "application/cose"}
SEQUENCE = {"Content-Type": "application/cbor-seq"}


class Acts(World):
    """Statements for a real log: as `World`, but `put` only collects what would be submitted.

    There is no local state: every party is taken as enrolled, and log time as the clock's.
    """

    def __init__(self, log_id: bytes, roots: Sequence[Party]) -> None:
        self.state = MemoryState()
        self.roots = list(roots)
        self.log_id = log_id
        self.cose, self.note = key("cose"), key("note")
        self.collected: list[bytes] = []

    @property
    def now(self) -> int:
        return int(time.time())

    def put(self, raw: bytes) -> Statement:
        self.collected.append(raw)
        return decode_statement(raw)

    def take(self) -> list[bytes]:
        """What was collected since the last call."""
        taken, self.collected = self.collected, []
        return taken


def make_log(folder: Path, origin: str = ORIGIN, **sections: dict[str, Any]) -> tuple[Path, Acts]:
    """Make a log in `folder`: returns the configuration file and the consortium. `sections` override settings."""
    (folder / "keys").mkdir(parents=True)
    cose, note = key("cose"), key("note")
    keyfile.save(folder / "keys/cose.key", cose, PASSPHRASE)
    keyfile.save(folder / "keys/note.key", note, PASSPHRASE)
    for name, secret in (("passphrase", PASSPHRASE), ("operator", OPERATOR_TOKEN)):
        (folder / "keys" / name).touch(0o600)
        (folder / "keys" / name).write_text(secret)
    settings: dict[str, dict[str, Any]] = {
        "http": {"port": 0, "rate": 0.0, "operator_token_file": "keys/operator"},
        "log": {"verifiers": 1, "interval": 0.3},
        "keys": {},
    }
    for name, values in sections.items():
        settings.setdefault(name, {}).update(values)
    lines: list[str] = []
    for name, values in settings.items():
        lines += [f"[{name}]", *(f"{option} = {json.dumps(value)}" for option, value in values.items()), ""]
    path = folder / "tial.toml"
    path.write_text("\n".join(lines))
    roots = [Party(f"root {n}") for n in range(3)]
    members = [RootMember(p.did, "ed25519", p.signer.public_key) for p in roots]
    draft = draft_genesis(origin, cose, note, members, 2, Policy(), int(time.time()))
    digest = draft.consent_digest(cose)
    consents = [p.consent(digest) for p in roots[:2]]
    log_id = create_log(DataFolder(folder / "data"), folder / "lock/checkpoint.lock", draft, cose, consents)
    return path, Acts(log_id, roots)


class Running:
    """A server process over a configuration. `url` is known once it listens; log lines are kept in `lines`."""

    def __init__(self, config: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.config = config
        self.arguments = arguments
        self.environment = environment or {}
        self.lines: list[dict[str, Any]] = []
        self.start()

    def start(self, timeout: float = 30.0) -> None:
        """Start the process and wait until it listens; AssertionError with its log where it does not."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "api.http.server", str(self.config), *self.arguments],
            cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, env={**os.environ, **self.environment},
        )  # fmt: skip
        listening: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._follow, args=(self.process, listening), daemon=True).start()
        url = listening.get(timeout=timeout)
        assert url is not None, self.lines[-5:]
        self.url = url
        self.client = httpx.Client(base_url=url, timeout=20, trust_env=False)

    def _follow(self, process: subprocess.Popen[str], listening: queue.Queue[str | None]) -> None:
        assert process.stderr is not None
        for text in process.stderr:
            with contextlib.suppress(ValueError):
                line = json.loads(text)
                self.lines.append(line)
                if line.get("message") == "listening":
                    listening.put(line["url"])
        listening.put(None)

    def stop(self, timeout: float = 30.0) -> int:
        """SIGTERM, and wait: the exit code."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self) -> None:
        """SIGKILL."""
        self.client.close()
        self.process.kill()
        self.process.wait(10)

    def submit(self, *raws: bytes) -> list[httpx.Response]:
        """Submit statements one by one."""
        return [self.client.post("/v1/statements", content=raw, headers=COSE) for raw in raws]

    def admit(self, *raws: bytes) -> list[dict[str, Any]]:
        """Submit statements that must be admitted: their answers."""
        answers = self.submit(*raws)
        for answer in answers:
            assert answer.status_code in {200, 201}, answer.text
        return [answer.json() for answer in answers]

    def publish(self) -> dict[str, Any]:
        """Publish now, as the operator."""
        answer = self.client.post("/v1/publish", headers={"Authorization": f"Bearer {OPERATOR_TOKEN}"})
        assert answer.status_code == 200, answer.text
        published: dict[str, Any] = answer.json()
        return published


@contextlib.contextmanager
def running(config: Path, *arguments: str, environment: dict[str, str] | None = None) -> Iterator[Running]:
    """A running node for the length of a block; stopped, or killed when it does not stop."""
    node = Running(config, *arguments, environment=environment)
    try:
        yield node
    finally:
        if node.process.poll() is None:
            try:
                node.stop()
            except subprocess.TimeoutExpired:
                node.kill()
