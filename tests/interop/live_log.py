"""A log that a real node made, batch by batch, for other people's tools to look at."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ledger.crypto import keyfile
from ledger.statements import Draft, sign, subjects
from node.config import ChainConfig, Config, KeysConfig, LogConfig
from node.genesis import Policy, RootMember, create_log, draft_genesis
from node.node import Node
from node.recovery import DataFolder
from node.submission import Admitted
from tests.world import Party, key, key_entry, member

ORIGIN = "interop.example/log"
PASSPHRASE = "interop"
PREFIX = "88.118.8"
NEVER = 3_600.0
SUBMISSION = 256


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the node published at one moment."""

    size: int
    root: bytes
    note: bytes


@dataclass(slots=True)
class MadeLog:
    """A log's folder with keys, genesis and what is needed to write entries to it."""

    base: Path
    id: bytes
    roots: list[Party]
    enterprise: Party
    checkpoints: list[Checkpoint] = field(default_factory=list)
    registered: int = 0

    @property
    def served(self) -> Path:
        return DataFolder(self.config().data_path).served

    @property
    def size(self) -> int:
        return self.checkpoints[-1].size

    @property
    def vkey(self) -> str:
        from ledger.log.notes import ED25519, Vkey  # noqa: PLC0415

        return Vkey(ORIGIN, ED25519, key("note").public_key).format()

    def config(self, chain: ChainConfig | None = None) -> Config:
        """Batches are closed when a test says so, never by the clock."""
        return Config(
            base=self.base,
            keys=KeysConfig(passphrase=PASSPHRASE),
            log=LogConfig(interval=NEVER, verifiers=1),
            chain=chain or ChainConfig(),
        )

    def _draft(self, kind: str, iss: str, sub: str, **fields: object) -> Draft:
        given = {"iat": int(time.time()), "aud": self.id.hex(), **fields}
        return Draft(type=kind, iss=iss, sub=sub, **given)  # type: ignore[arg-type]

    def enrolment(self) -> bytes:
        party = self.enterprise
        body = {"keys": [key_entry(party.signer)], "roles": [], "name": party.name}
        draft = self._draft("actor", party.did, party.did, body=body)
        digest = draft.consent_digest(party.signer)
        return sign(draft, party.signer, [root.consent(digest) for root in self.roots[:2]])

    def delegation(self) -> bytes:
        now, root = int(time.time()), self.roots[0]
        draft = self._draft(
            "delegation", root.did, subjects.delegation("vaa", PREFIX), body={},
            claims={"holder": self.enterprise.did, "rights": ["delegate", "register"]},
            nbf=now - 86_400, exp=now + 86_400,
        )  # fmt: skip
        return sign(draft, root.signer, [self.roots[1].consent(draft.consent_digest(root.signer))])

    def registrations(self, count: int) -> list[bytes]:
        """The next `count` registrations of the enterprise."""
        made = []
        for number in range(self.registered, self.registered + count):
            sub = f"vaa:{PREFIX}/P{number}"
            claims = {"holder": self.enterprise.did, "delegation": f"vaa/{PREFIX}"}
            digest = sha256(sub.encode()).digest()
            draft = self._draft("registration", self.enterprise.did, sub, claims=claims, digest=digest)
            made.append(sign(draft, self.enterprise.signer))
        self.registered += count
        return made

    async def batch(self, node: Node, statements: Sequence[bytes]) -> Checkpoint:
        """Have statements admitted and published as one batch."""
        for first in range(0, len(statements), SUBMISSION):
            answer = await node.sequencer.submit(list(statements[first : first + SUBMISSION]))
            refused = [outcome for outcome in answer.outcomes if not isinstance(outcome, Admitted)]
            assert not refused, refused[0]
        published = await node.publisher.publish_now(node.sequencer)
        self.checkpoints.append(Checkpoint(published.size, published.root, published.checkpoint))
        return self.checkpoints[-1]


def make_log(base: Path) -> MadeLog:
    """A new log with its keys and genesis; nothing is published yet."""
    (base / "keys").mkdir(parents=True)
    cose, note = key("cose"), key("note")
    keyfile.save(base / "keys" / "cose.key", cose, PASSPHRASE)
    keyfile.save(base / "keys" / "note.key", note, PASSPHRASE)
    log = MadeLog(base, b"", [Party(f"root {number}") for number in range(3)], Party("enterprise"))
    members = [RootMember(member(root)["did"], "ed25519", root.signer.public_key) for root in log.roots]
    draft = draft_genesis(ORIGIN, cose, note, members, 2, Policy(), int(time.time()))
    digest = draft.consent_digest(cose)
    config = log.config()
    log.id = create_log(
        DataFolder(config.data_path), config.path(config.lock), draft, cose,
        [root.consent(digest) for root in log.roots[:2]],
    )  # fmt: skip
    return log


async def fill(log: MadeLog, batches: Sequence[int]) -> None:
    """Run a node on the log: the actors' batch first, then one batch of registrations for each number."""
    async with Node(log.config()) as node:
        await log.batch(node, [log.enrolment(), log.delegation()])
        for count in batches:
            await log.batch(node, log.registrations(count))


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        """Requests are no news in a test."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder as plain files on loopback; the address, ending in a slash."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join(10)
