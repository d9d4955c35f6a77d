"""The demonstration's witnesses: one plain, one replaying, each a process of its own with a key of its own.

In a consortium other members run them, on other machines; here they live in the demonstration's folder. The node
publishes nothing that lacks the cosignature of both.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from api.demo.processes import end, free_port, is_ours, start, wait
from ledger.evidence.policy import PLAIN, REPLAYING
from ledger.log.notes import COSIGNATURE, Vkey
from ledger.store.durable import replace_file
from node.witness.folder import Settings, WitnessFolder

PORTS: Final = {PLAIN: 8091, REPLAYING: 8092}


@dataclass(frozen=True, slots=True)
class DemoWitness:
    """One witness in `folder`/witness-`kind`."""

    folder: Path
    kind: str

    @property
    def home(self) -> Path:
        """The witness's own folder."""
        return self.folder / f"witness-{self.kind}"

    @property
    def url(self) -> str:
        """Where it takes add-checkpoint."""
        return f"http://127.0.0.1:{WitnessFolder(self.home).settings().port}"

    @property
    def vkey(self) -> Vkey:
        """Its verifier key, as others have it."""
        return Vkey.parse((self.home / "vkey").read_text(encoding="utf-8").strip())

    def make(self, vkey: Vkey, node: str) -> None:
        """Make the witness, let it know the log, and write the policy by which the node asks it."""
        home = WitnessFolder(self.home)
        name = f"witness.example.org/{self.kind}"
        own = home.create(Settings(name, replaying=self.kind == REPLAYING, port=free_port(PORTS[self.kind])))
        assert own.type == COSIGNATURE
        home.add_log(vkey, node)
        replace_file(self.home / "vkey", own.format().encode() + b"\n")
        lines = (f"witness {self.kind} {own.format()} {self.url}", f"group all 1 {self.kind}", "quorum all")
        replace_file(self.folder / f"{self.kind}.policy", "\n".join(lines).encode() + b"\n")

    def run(self) -> None:
        """Start it unless it runs, and return once it answers."""
        if self._pid():
            return
        log = self.folder / f"witness-{self.kind}.log"
        child = start(["api.cli.main", "witness", "run", str(self.home)], log)
        replace_file(self.home / "pid", str(child.pid).encode())
        wait(child, f"{self.url}/healthz", log, f"{self.kind} witness")

    def stop(self) -> bool:
        """End it; says whether it ran."""
        pid = self._pid()
        if pid:
            end(pid, self.home)
        return bool(pid)

    def _pid(self) -> int:
        """Its process, 0 where it does not run."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.home / "pid").read_text(encoding="ascii"))
            return pid if is_ours(pid, self.home) else 0
        return 0


def witnesses(folder: Path) -> tuple[DemoWitness, DemoWitness]:
    """Both, the plain one first."""
    return DemoWitness(folder, PLAIN), DemoWitness(folder, REPLAYING)


CONFIG: Final = f"""
[witnesses]
policy = "{PLAIN}.policy"
replaying = "{REPLAYING}.policy"
"""
"""What the node's configuration says of them."""
