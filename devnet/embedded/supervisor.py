"""The process that keeps one anvil alive: `python -m devnet.embedded.supervisor FOLDER`.

It runs detached, restarts anvil whenever that dies or stops answering, loads the newest whole snapshot before anvil
opens its port, and saves a new one whenever the chain's head has changed. It trusts nothing in the folder but what
hashes to its name. Everything it knows is told in `status.json`; SIGTERM ends it and its anvil.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from devnet.embedded.binary import find_anvil
from devnet.embedded.snapshots import SnapshotStore
from devnet.processes import bound_log, spawn, supervise
from devnet.rpc import call
from ledger.errors import LedgerError, UnavailableError
from ledger.store.durable import StorageError, replace_file

POLL = 0.2
HANG = 20.0
LOG_LIMIT = 4 << 20
BALANCE = 10**24
# Each state that anvil keeps in memory costs space; the contract and its readers only ever ask for the latest ones.
KEPT_STATES = 256

log = logging.getLogger("devnet.embedded")


@dataclass(slots=True)
class Report:
    """What `status.json` says. Times are Unix seconds; `saved` is the file name of the last snapshot."""

    state: str
    supervisor: int
    anvil: int
    port: int
    chain_id: int
    block: int
    restarts: int
    saved: str
    error: str
    since: int


class Supervisor:
    """One anvil, its snapshots and its status file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        config = json.loads((folder / "chain.json").read_bytes())
        self.port: int = config["port"]
        self.chain_id: int = config["chain_id"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.store = SnapshotStore(folder)
        self.anvil: subprocess.Popen[bytes] | None = None
        self.stopping = False
        self.report = Report("starting", os.getpid(), 0, self.port, self.chain_id, 0, 0, "", "", int(time.time()))
        self.saved_head: tuple[str, str] | None = None
        self.next_save = 0.0
        self.last_answer = 0.0

    def run(self) -> None:
        """Keep anvil alive until a signal asks to stop."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        pause = POLL
        while not self.stopping:
            try:
                if self.anvil is None or self.anvil.poll() is not None:
                    self._start()
                self._watch()
                pause = POLL
            except LedgerError as error:
                log.warning("embedded chain: %s", error)
                self._tell(error=str(error))
                if self.anvil is None or self.anvil.poll() is not None:
                    self._tell(state="failing")
                    pause = min(pause * 2, 5.0)
            time.sleep(pause)
        self._end()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stopping = True

    def _tell(self, **changes: Any) -> None:
        before = asdict(self.report)
        for name, value in changes.items():
            setattr(self.report, name, value)
        if "state" in changes and changes["state"] != before["state"]:
            self.report.since = int(time.time())
        if asdict(self.report) != before or not (self.folder / "status.json").exists():
            try:
                replace_file(self.folder / "status.json", json.dumps(asdict(self.report)).encode())
            except StorageError as error:
                log.warning("the status cannot be told: %s", error)

    def _start(self) -> None:
        """Start anvil from the newest whole snapshot, or from genesis where there never was one."""
        restarts = self.report.restarts + (self.anvil is not None)
        if self.anvil is not None:
            log.warning("anvil ended with status %s, starting it again", self.anvil.returncode)
        self._tell(state="starting", anvil=0, restarts=restarts)
        snapshot = self.store.newest()
        if snapshot is None:
            genesis = self.folder / "genesis.json"
            replace_file(genesis, json.dumps(self._genesis()).encode())
            origin = ["--init", str(genesis)]
        else:
            origin = ["--load-state", str(snapshot)]
        program = [
            str(find_anvil()),
            *("--host", "127.0.0.1", "--port", str(self.port), "--chain-id", str(self.chain_id)),
            *("--accounts", "0", "--prune-history", str(KEPT_STATES), "--color", "never"),
            *origin,
        ]
        log_path = self.folder / "anvil.log"
        start = log_path.stat().st_size if log_path.exists() else 0
        self.anvil = spawn(program, self.folder / "anvil.pid", log_path)
        self._await_listening(log_path, start)
        # A snapshot may be older than an address that was funded after it: give what is missing.
        for address in self._funded():
            if int(call(self.url, "eth_getBalance", address, "latest"), 16) < BALANCE // 2:
                call(self.url, "anvil_setBalance", address, hex(BALANCE))
        self.saved_head = self._head() if snapshot is not None else None
        self.last_answer = time.monotonic()
        self._tell(state="running", anvil=self.anvil.pid, saved=snapshot.name if snapshot else "", error="")

    def _await_listening(self, log_path: Path, start: int, seconds: float = 30.0) -> None:
        """Wait until this very anvil says that it has its port: an answer alone could come from a stranger there."""
        assert self.anvil is not None
        end = time.monotonic() + seconds
        while not self.stopping:
            with log_path.open("rb") as stream:
                stream.seek(start)
                said = stream.read(1 << 20)
            if b"Listening on 127.0.0.1:" in said:
                return
            if self.anvil.poll() is not None:
                last = said.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
                raise UnavailableError(f"anvil ended at once and said: {last[0]}", where=str(log_path))
            if time.monotonic() > end:
                self.anvil.kill()
                raise UnavailableError(f"anvil did not open its port in {seconds:.0f} s", where=str(log_path))
            time.sleep(0.01)

    def _genesis(self) -> dict[str, object]:
        zero = "0x0"
        return {
            "config": {"chainId": self.chain_id},
            "alloc": {address: {"balance": hex(BALANCE)} for address in self._funded()},
            "timestamp": hex(int(time.time())),
            "gasLimit": hex(30_000_000),
            "difficulty": zero,
            "nonce": zero,
            "extraData": "0x",
            "mixHash": "0x" + "00" * 32,
            "coinbase": "0x" + "00" * 20,
        }

    def _funded(self) -> list[str]:
        path = self.folder / "funded.json"
        return list(json.loads(path.read_bytes())) if path.exists() else []

    def _head(self) -> tuple[str, str]:
        block = call(self.url, "eth_getBlockByNumber", "latest", False)  # noqa: FBT003 - JSON-RPC is positional
        try:
            return block["number"], block["hash"]
        except (KeyError, TypeError) as error:
            raise UnavailableError("the embedded chain gave no block", where=self.url) from error

    def _watch(self) -> None:
        """Look at the head once: save it when it is new, kill an anvil that has not answered for long."""
        assert self.anvil is not None
        try:
            head = self._head()
        except UnavailableError:
            if self.anvil.poll() is None and time.monotonic() - self.last_answer > HANG:
                log.warning("anvil does not answer: it is killed and started again")
                self.anvil.kill()
                self.anvil.wait()
            return
        now = self.last_answer = time.monotonic()
        if head != self.saved_head and now >= self.next_save:
            path = self.store.save_from(self.url)
            took = time.monotonic() - now
            # A state grows with every transaction and is written whole: spend at most a tenth of the time on it.
            self.next_save = now + 10 * took
            self.saved_head = head
            self._tell(block=int(head[0], 16), saved=path.name)
        bound_log(self.folder / "anvil.log", LOG_LIMIT)

    def _end(self) -> None:
        if self.anvil is not None and self.anvil.poll() is None:
            try:
                self._tell(saved=self.store.save_from(self.url, timeout=10).name)
            except LedgerError as error:
                log.warning("the last state could not be saved: %s", error)
            self.anvil.terminate()
            try:
                self.anvil.wait(5)
            except subprocess.TimeoutExpired:
                self.anvil.kill()
                self.anvil.wait()
        self._tell(state="stopped", anvil=0)


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1]), lambda folder: Supervisor(folder).run()))
