"""The embedded chain as the rest of the project sees it: start, stop, status, save, keys, funds.

Owns the folder of one chain: `chain.json` (port, chain id), snapshots, process files, development keys. A chain
outlives the process that started it, because a detached supervisor keeps it; `stop` ends only processes that hold this
folder's locks, which are the ones started for it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devnet.embedded.binary import find_anvil
from devnet.embedded.snapshots import SnapshotStore
from devnet.embedded.supervisor import BALANCE
from devnet.keys import DevelopmentKey, development_key
from devnet.locks import held, is_held
from devnet.processes import end, free_port, last_words, launch, pid_of
from devnet.rpc import call
from ledger.errors import LedgerError, MalformedError, UnavailableError
from ledger.store.durable import replace_file

DEFAULT_CHAIN_ID = 31_990


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """How the embedded chain is. `state`: stopped, starting, running, failing. Process numbers are 0 when absent."""

    state: str
    url: str
    chain_id: int
    supervisor: int
    anvil: int
    block: int
    restarts: int
    saved: str
    error: str


class EmbeddedChain:
    """One development chain in one folder, on loopback only.

    `port` 0 lets the system choose one at the first start; it is kept from then on. `chain_id` is fixed by the first
    start too. All methods may be called from any process.
    """

    def __init__(self, folder: Path, *, port: int = 0, chain_id: int = DEFAULT_CHAIN_ID) -> None:
        self.folder = folder
        self._port = port
        self._chain_id = chain_id
        self._store = SnapshotStore(folder)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The JSON-RPC address; MalformedError before the first start."""
        return f"http://127.0.0.1:{self._config()['port']}"

    def start(self, *, timeout: float = 30.0) -> ChainStatus:
        """Start the chain unless it runs, and return once it answers; UnavailableError when it does not in time."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with held(self.folder / "start.lock", seconds=timeout):
            if not self._supervised():
                self._launch()
            until = time.monotonic() + timeout
            while True:
                status = self.status()
                if status.state == "running":
                    return status
                dead = self._child is not None and self._child.poll() is not None
                if dead or status.state == "failing" or time.monotonic() > until:
                    error = status.error or last_words(self.folder / "supervisor.log")
                    self.stop()
                    raise UnavailableError(f"the embedded chain did not start: {error}", where=str(self.folder))
                time.sleep(0.02)

    def stop(self, *, timeout: float = 20.0) -> None:
        """End the supervisor and its anvil, after saving the state. Nothing happens where none runs."""
        if self._supervised():
            end(self.folder / "supervisor.pid", timeout, number=signal.SIGTERM)
            end(self.folder / "supervisor.pid", timeout)
        end(self.folder / "anvil.pid", timeout)
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(1)
            self._child = None

    def status(self) -> ChainStatus:
        """Say how the chain is, from its locks and its status file; never raises for a chain that is not there."""
        told: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            told = json.loads((self.folder / "status.json").read_bytes())
        alive = self._supervised()
        # A status file left by a supervisor that was killed speaks of the past.
        current = alive and told.get("supervisor") == pid_of(self.folder / "supervisor.pid")
        state = str(told.get("state", "starting")) if current else ("starting" if alive else "stopped")
        try:
            config = self._config()
            url, chain_id = f"http://127.0.0.1:{config['port']}", int(config["chain_id"])
        except MalformedError:
            url, chain_id = "", self._chain_id
        return ChainStatus(
            state=state,
            url=url,
            chain_id=chain_id,
            supervisor=pid_of(self.folder / "supervisor.pid") if alive else 0,
            anvil=pid_of(self.folder / "anvil.pid") if is_held(self.folder / "anvil.pid") else 0,
            block=self._block(url) if state == "running" else int(told.get("block", 0)),
            restarts=int(told.get("restarts", 0)),
            saved=str(told.get("saved", "")),
            error=str(told.get("error", "")),
        )

    def save(self) -> Path:
        """Save the state now, durably, and return the snapshot; UnavailableError while the chain does not answer."""
        return self._store.save_from(self.url)

    def fund(self, address: str) -> None:
        """Give `address` play money now and at every later start. Before the first start it becomes part of genesis."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.folder / "funded.json"
        with held(self.folder / "funded.lock", seconds=10):
            known = list(json.loads(path.read_bytes())) if path.exists() else []
            if address not in known:
                replace_file(path, json.dumps([*known, address]).encode())
        if self.status().state == "running":
            call(self.url, "anvil_setBalance", address, hex(BALANCE))
            self.save()

    def key(self, name: str) -> DevelopmentKey:
        """Return the development key `name` of this chain, made and funded on first use."""
        key = development_key(self.folder / "keys", name)
        path = self.folder / "funded.json"
        if not path.exists() or key.address not in json.loads(path.read_bytes()):
            self.fund(key.address)
        return key

    def _launch(self) -> None:
        end(self.folder / "anvil.pid", 10)  # left over where a supervisor was killed
        find_anvil()
        self._store.newest()
        self._choose()
        (self.folder / "status.json").unlink(missing_ok=True)
        self._child = launch("devnet.embedded.supervisor", self.folder, self.folder / "supervisor.log")

    def _choose(self) -> None:
        """Fix port and chain id in `chain.json`, refusing a chain id other than the one of the saved chain."""
        path = self.folder / "chain.json"
        known: dict[str, Any] = self._config() if path.exists() else {}
        if known and known["chain_id"] != self._chain_id:
            raise LedgerError(
                f"this folder holds chain {known['chain_id']}, not {self._chain_id}",
                where=str(path),
                remedy="Use another folder, or the chain id of this one",
            )
        wanted = self._port or int(known.get("port", 0))
        port = free_port(wanted)
        if port is None and self._port:
            raise UnavailableError(
                f"port {self._port} is in use by another program", where="127.0.0.1", remedy="Choose another port"
            )
        replace_file(path, json.dumps({"port": port or free_port(0), "chain_id": self._chain_id}).encode())

    def _config(self) -> dict[str, Any]:
        path = self.folder / "chain.json"
        try:
            config = json.loads(path.read_bytes())
            return {"port": int(config["port"]), "chain_id": int(config["chain_id"])}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MalformedError("no embedded chain was started here", where=str(path), remedy="Start it") from error

    def _supervised(self) -> bool:
        return is_held(self.folder / "supervisor.pid")

    def _block(self, url: str) -> int:
        try:
            return int(call(url, "eth_blockNumber", timeout=1), 16)
        except (UnavailableError, ValueError, TypeError):
            return 0
