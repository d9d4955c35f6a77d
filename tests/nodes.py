"""Real nodes in a test's own folder: a log of the test consortium, its configuration, and drafts for it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ledger.crypto import keyfile
from ledger.crypto.suites import Signer
from ledger.state.records import BatchRecord
from ledger.statements import decode_statement
from node.config import ChainConfig, Config, HttpConfig, KeysConfig, LogConfig
from node.genesis import Policy, RootMember, create_log, draft_genesis
from node.node import Node
from node.recovery import DataFolder
from node.submission import Admitted, Outcome
from tests.world import FOREVER, Party, World, key

PASSPHRASE = "only a test"
ORIGIN = "example.org/log"


def configuration(base: Path, *, interval: float = 0.1, **sections: Any) -> Config:
    """The configuration of the log in `base`, whether or not it was made yet."""
    return Config(
        base=base,
        keys=KeysConfig(passphrase=PASSPHRASE),
        log=LogConfig(interval=interval, verifiers=1),
        http=sections.get("http", HttpConfig(port=0, rate=0.0)),
        chain=sections.get("chain", ChainConfig()),
    )


def make_log(base: Path, *, now: int | None = None, interval: float = 0.1, **sections: Any) -> Config:
    """Make a log in `base` with two of three root authorities, and return its configuration."""
    save_keys(base, cose=key("cose"), note=key("note"))
    config = configuration(base, interval=interval, **sections)
    roots = [Party(f"root {n}") for n in range(3)]
    members = [RootMember(p.did, "ed25519", p.signer.public_key) for p in roots]
    began = int(time.time()) if now is None else now
    draft = draft_genesis(ORIGIN, key("cose"), key("note"), members, 2, Policy(), began)
    digest = draft.consent_digest(key("cose"))
    consents = [p.consent(digest, began + 50 * 365 * 86_400) for p in roots[:2]]
    create_log(DataFolder(config.data_path), config.path(config.lock), draft, key("cose"), consents)
    return config


def save_keys(base: Path, **signers: Signer) -> None:
    """Save key files under `base`/keys, those that are not there yet; `a_b` becomes `a-b.key`."""
    keys = base / "keys"
    keys.mkdir(parents=True, exist_ok=True)
    for name, signer in signers.items():
        path = keys / f"{name.replace('_', '-')}.key"
        if not path.exists():
            keyfile.save(path, signer, PASSPHRASE)


class NodeWorld(World):
    """The consortium's drafts, for a log that a real node keeps: `take` gathers statements, it does not admit them."""

    def __init__(self, log_id: bytes, now: int | None = None) -> None:
        self.roots = [Party(f"root {n}") for n in range(3)]
        self.log_id = log_id
        self.time = int(time.time()) if now is None else now
        self.gathered: list[bytes] = []

    @property
    def now(self) -> int:
        return self.time

    def put(self, raw: bytes) -> Any:
        self.gathered.append(raw)
        return decode_statement(raw)

    def take(self) -> list[bytes]:
        gathered, self.gathered = self.gathered, []
        return gathered


async def settle(node: Node, world: NodeWorld, enterprise: Party, prefix: str = "vaa/88.118.8") -> None:
    """Enrol an enterprise at a node and delegate a prefix to it."""
    world.enrol(enterprise, "owner")
    admitted(await node.sequencer.submit(world.take()))
    world.delegate(enterprise, prefix)
    admitted(await node.sequencer.submit(world.take()))


def admitted(answer: Any) -> list[Admitted]:
    """All outcomes of an answer, each of which must be an admission."""
    outcomes: Sequence[Outcome] = answer.outcomes
    refused = [o for o in outcomes if not isinstance(o, Admitted)]
    assert not refused, refused[0]
    return [o for o in outcomes if isinstance(o, Admitted)]


def registrations(world: World, by: Party, names: Iterable[object], prefix: str = "vaa/88.118.8") -> list[bytes]:
    """Registrations of one name each, below the prefix that `settle` delegates."""
    scheme, _, tail = prefix.partition("/")
    return [world.registration(by, f"{scheme}:{tail}/{name}", prefix) for name in names]


def log_time(node: Node) -> int:
    batch = node.admission.view.read(BatchRecord)
    assert batch is not None
    return batch.time


__all__ = [
    "FOREVER",
    "NodeWorld",
    "Party",
    "admitted",
    "configuration",
    "log_time",
    "make_log",
    "registrations",
    "replace",
    "save_keys",
    "settle",
]
