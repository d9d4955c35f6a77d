"""One running node for the tests of this folder, with a registrar, a certifier and a few records in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx
import orjson
import pytest

from tests.running import OPERATOR_TOKEN, Acts, Running, make_log, running
from tests.world import Party


@dataclass
class Site:
    """The node, the consortium, and counters that keep tests out of each other's way."""

    node: Running
    acts: Acts
    registrar: Party
    certifier: Party
    folder: Path
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def client(self) -> httpx.Client:
        return self.node.client

    @property
    def operator(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {OPERATOR_TOKEN}"}

    def subject(self) -> str:
        """An identifier that nobody has registered yet."""
        return f"vaa:88.118.8/T{next(self.numbers)}"

    def registration(self, subject: str | None = None) -> bytes:
        return self.acts.registration(self.registrar, subject or self.subject(), "vaa/88.118.8")

    def log_time(self) -> int:
        """Log time, after a batch was closed just now: what takes effect may not be later."""
        self.node.admit(self.registration())
        self.node.publish()
        time: int = self.client.get("/v1/log").json()["log_time"]
        return time

    def document(self, **members: object) -> tuple[bytes, str]:
        """A document nobody has stored yet, and its digest in hex."""
        data = orjson.dumps({"number": next(self.numbers), **members}, option=orjson.OPT_SORT_KEYS)
        return data, hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("node")
    config, acts = make_log(folder)
    with running(config) as node:
        registrar, certifier, accreditor = Party("registrar"), Party("certifier"), Party("accreditor")
        acts.enrol(registrar, "registrar")
        acts.enrol(certifier, "certifier")
        acts.enrol(accreditor, "accreditor", "template-authority")
        acts.delegate(registrar, "vaa/88.118.8")
        acts.approve_template(accreditor)
        acts.accredit(accreditor, certifier)
        node.admit(*acts.take())
        yield Site(node, acts, registrar, certifier, folder)
