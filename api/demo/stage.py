"""The stage of the demonstration: one folder with keys, a log, a chain, two witnesses and a node.

Owns that folder, and the processes that it started: it stops no others, and replaces no folder that it did not make.
The consortium's keys, of which three people at three places would hold one each, all lie in this folder, under one
passphrase, so that the commands in README can be tried on it. Nothing here is how a real log is kept.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import time
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from api.cli.folder import LogCard, config_text, set_chain
from api.demo.cast import ROOT_THRESHOLD, Cast
from api.demo.chains import Bft, DemoChain, Embedded
from api.demo.processes import end, free_port, is_ours, start, wait
from api.demo.witnesses import CONFIG, witnesses
from ledger.crypto import keyfile, secp256k1
from ledger.crypto.suites import suite_by_name
from ledger.errors import LedgerError
from ledger.identifiers.did_key import did_key
from ledger.log.notes import ED25519, Vkey
from ledger.statements import make_consent
from ledger.store.durable import replace_file
from node.genesis import Policy, RootMember, create_log, draft_genesis
from node.recovery import DataFolder

ORIGIN: Final = "demo.example.org/second-level-node-88.118"
FORMAT: Final = "tial-demo-v1"
PREFERRED_PORT: Final = 8080
DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Setting:
    """What a demonstration's folder says about itself; `log_id` and `vkey` are what a checker trusts in advance."""

    url: str
    log_id: str
    vkey: str
    chain_url: str
    chain_id: int
    contract: str
    node_pid: int
    format: str = FORMAT

    def save(self, folder: Path) -> None:
        """Write it durably."""
        replace_file(folder / "demo.json", json.dumps(asdict(self), indent=2).encode() + b"\n")

    @classmethod
    def load(cls, folder: Path) -> Setting | None:
        """Read it; None where the folder holds no demonstration."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            setting = cls(**json.loads((folder / "demo.json").read_bytes()))
            return setting if setting.format == FORMAT else None
        return None


class Stage:
    """A demonstration's folder. `run_node` starts the node, `stop` ends all processes."""

    def __init__(self, folder: Path, *, bft: bool | None = None) -> None:
        """`bft`: anchor on a BFT network; None: as the demonstration that lies in the folder does."""
        self.folder = folder.absolute()
        network = self.folder / "network"
        self.chain: DemoChain = (
            Bft(network) if (network.exists() if bft is None else bft) else Embedded(self.folder / "chain")
        )
        self.witnesses = witnesses(self.folder)

    @property
    def setting(self) -> Setting:
        """What the folder says; LedgerError where nothing was played in it."""
        setting = Setting.load(self.folder)
        if setting is None:
            raise LedgerError(
                "No demonstration was played here", where=str(self.folder), remedy="Start one with `tial demo`"
            )
        return setting

    @property
    def config(self) -> Path:
        """The node's configuration."""
        return self.folder / "tial.toml"

    @property
    def token(self) -> str:
        """The operator's token."""
        return (self.folder / "keys/operator.token").read_text(encoding="utf-8").strip()

    # -- making it ------------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Remove what an earlier demonstration left here, after stopping it. Refuses any other folder with content."""
        if not self.folder.exists() or not any(self.folder.iterdir()):
            return
        if not (self.folder / "keys").is_dir() or not (self.folder / ".demo").exists():
            raise LedgerError(
                "This folder holds something else than a demonstration",
                where=str(self.folder),
                remedy="Choose another with --folder",
            )
        Stage(self.folder).stop()  # its chain may be of the other kind
        shutil.rmtree(self.folder)

    def make_keys(self, cast: Cast) -> None:
        """Write everybody's keys, encrypted, and the passphrase beside them."""
        keys = self.folder / "keys"
        keys.mkdir(parents=True, mode=0o700)
        (self.folder / ".demo").write_text("made by `tial demo`, removed by its next run\n", encoding="utf-8")
        passphrase = secrets.token_urlsafe(24)
        replace_file(keys / "passphrase", passphrase.encode() + b"\n", 0o600)
        replace_file(self.folder / "keys/operator.token", secrets.token_urlsafe(24).encode() + b"\n", 0o600)
        for party in cast.parties:
            keyfile.save(keys / f"{party.slug}.key", party.signer, passphrase)

    def make_log(self, cast: Cast) -> tuple[bytes, Vkey]:
        """Make the log: the root authorities consent to its genesis. Returns log id and verifier key."""
        keys, passphrase = self.folder / "keys", self._passphrase()
        ed25519 = suite_by_name("ed25519")
        cose, note = ed25519.generate(), ed25519.generate()
        keyfile.save(keys / "cose.key", cose, passphrase)
        keyfile.save(keys / "note.key", note, passphrase)
        members = [RootMember(party.did, party.signer.suite.name, party.signer.public_key) for party in cast.root]
        now = int(time.time())
        draft = draft_genesis(ORIGIN, cose, note, members, ROOT_THRESHOLD, Policy(), now)
        digest = draft.consent_digest(cose)
        consents = [make_consent(p.signer, p.did, now + DAY, digest) for p in cast.root[:ROOT_THRESHOLD]]
        data, lock = DataFolder(self.folder / "data"), self.folder / "lock/checkpoint.lock"
        log_id = create_log(data, lock, draft, cose, consents)
        vkey = Vkey(ORIGIN, ED25519, note.public_key)
        LogCard(log_id.hex(), ORIGIN, vkey.format(), did_key(cose.public_key, "ed25519")).save(self.folder)
        return log_id, vkey

    def make_chain(self, log_id: bytes) -> dict[str, Any]:
        """Start the chain, put the contract on it, grant the roles, register the log; the lines of [chain]."""
        keys, passphrase = self.folder / "keys", self._passphrase()
        sender, authoriser = secp256k1.SUITE.generate(), secp256k1.SUITE.generate()
        keyfile.save(keys / "anchor-sender.key", sender, passphrase)
        keyfile.save(keys / "anchor-authoriser.key", authoriser, passphrase)
        self.chain.start()
        return self.chain.take_in(log_id, ORIGIN, sender, authoriser.address)

    def configure(self, log_id: bytes, vkey: Vkey, chain: Mapping[str, Any]) -> Setting:
        """Write the node's configuration and the folder's own record."""
        port = free_port(PREFERRED_PORT)
        self.config.write_text(config_text(port=port, chain=chain), encoding="utf-8")
        setting = Setting(
            url=f"http://127.0.0.1:{port}", log_id=log_id.hex(), vkey=vkey.format(), chain_url=self.chain.url,
            chain_id=chain["chain_id"], contract=chain["contract"], node_pid=0,
        )  # fmt: skip
        setting.save(self.folder)
        return setting

    def make_witnesses(self, vkey: Vkey) -> None:
        """Make and start both witnesses; the node will publish nothing without them."""
        for witness in self.witnesses:
            witness.make(vkey, self.setting.url)
            witness.run()
        with self.config.open("a", encoding="utf-8") as stream:
            stream.write(CONFIG)

    # -- the node's process ---------------------------------------------------------------------------------------

    def run_node(self) -> Setting:
        """Start the node unless it runs, and return once it takes statements."""
        setting = self.setting
        if is_ours(setting.node_pid, self.config):
            return setting
        log = self.folder / "node.log"
        child = start(["api.http.server", str(self.config)], log)
        setting = replace(setting, node_pid=child.pid)
        setting.save(self.folder)
        wait(child, f"{setting.url}/readyz", log, "node")
        return setting

    def stop_node(self) -> bool:
        """End the node alone, and say whether it ran. It drains: nothing acknowledged is lost."""
        setting = Setting.load(self.folder)
        if setting is None or not is_ours(setting.node_pid, self.config):
            return False
        end(setting.node_pid, self.config)
        return True

    def resume(self) -> Setting:
        """Start chain and node of an earlier demonstration again, where they do not run."""
        setting = self.setting  # refuses a folder without one, before anything is started in it
        self.chain.start()
        if self.chain.url != setting.chain_url:  # its port was taken meanwhile
            chain = tomllib.loads(self.config.read_text(encoding="utf-8"))["chain"]
            set_chain(self.config, chain | self.chain.addresses())
            replace(setting, chain_url=self.chain.url).save(self.folder)
        for witness in self.witnesses:
            witness.run()
        return self.run_node()

    def stop(self) -> bool:
        """End the node, then witnesses and chain, and say whether anything ran."""
        ran = [self.chain.running, self.stop_node()]
        ran += [witness.stop() for witness in self.witnesses]
        self.chain.stop()
        return any(ran)

    def _passphrase(self) -> str:
        return (self.folder / "keys/passphrase").read_text(encoding="utf-8").rstrip("\n")


def describe(setting: Setting) -> dict[str, Any]:
    """The setting as the summary shows it."""
    return {name: value for name, value in asdict(setting).items() if name not in {"format", "node_pid"}}
