"""The command line run inside the test's process, against a real node in a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.cli.main import main
from tests.running import Running, running


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        assert self.out.count("\n") == 1, "machine output is one line, and nothing else"
        told: dict[str, Any] = json.loads(self.out)
        return told


def tial(*arguments: object) -> Ran:
    """Run a command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    assert "Traceback" not in err.getvalue()
    return Ran(int(code), out.getvalue(), err.getvalue())


class Town:
    """A node's folder made by `tial init`, the running node, and the keys of its parties."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "tial.toml"
        self.card: dict[str, Any] = {}
        self.dids: dict[str, str] = {}
        self.node: Running | None = None

    def key(self, name: str) -> Path:
        return self.folder / "keys" / f"{name}.key"

    def roots(self, count: int = 2) -> list[object]:
        return [part for n in range(1, count + 1) for part in ("--root", self.key(f"root-{n}"))]

    def run(self, *arguments: object) -> Ran:
        """A command on this node."""
        url = [] if self.node is None else ["--url", self.node.url]
        return tial(*arguments, "--config", self.config, *url)

    def ok(self, *arguments: object) -> dict[str, Any]:
        """A command that must end well: its machine output."""
        ran = self.run(*arguments, "--json")
        assert ran.code == 0, ran
        return ran.json

    def party(self, name: str, *roles: str) -> str:
        """Make a key and enrol its owner."""
        made = self.ok("key", "new", self.key(name))
        given = [part for role in roles for part in ("--role", role)]
        self.ok("actor", "enrol", "--key", self.key(name), "--name", name, *given, *self.roots())
        self.dids[name] = made["did"]
        return self.dids[name]


def waited(town: Town, *arguments: object) -> dict[str, Any]:
    """A command that is asked again while the entry is not published."""
    for _ in range(50):
        ran = town.run(*arguments, "--json")
        if ran.code == 0:
            return ran.json
        time.sleep(0.2)
    raise AssertionError(ran)


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Init, serve, parties, a delegation, a template and an accreditation: all by commands."""
    folder = tmp_path_factory.mktemp("town") / "node"
    made = Town(folder)
    ran = tial("init", "--origin", "node.example.org/assets", "--folder", folder, "--port", 0, "--json")
    assert ran.code == 0, ran
    made.card = ran.json
    with running(made.config, environment={"TIAL_LOG_INTERVAL": "0.2", "TIAL_HTTP_RATE": "0"}) as made.node:
        acme = made.party("acme", "registrar")
        made.party("authority", "accreditor", "template-authority")
        certifier = made.party("certifier", "certifier")
        made.party("buyer", "owner")
        made.ok("delegate", "vaa/88.118.8", acme, *made.roots())
        made.ok("delegate", "gs1/6901234", acme, *made.roots())
        schema = folder / "schema.json"
        schema.write_text('{"type": "object"}')
        made.ok(
            "template", "add", "product-safety/1", "--key", made.key("authority"), "--name", "Product safety",
            "--industry", "c39", "--schema", schema, "--map", "identifier=/credentialSubject/id",
            "--map", "class=/class", "--map", "exp=/validUntil", "--standard", "*", "--class", "*",
        )  # fmt: skip
        made.ok(
            "accredit", certifier, "--key", made.key("authority"), "--template", "product-safety/1",
            "--standard", "GB 4943.1", "--class", "power-supply", "--site", "S1",
        )  # fmt: skip
        yield made
