"""What all benchmarks share: a node to measure, statements to feed it, and results with the machine they came from."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.crypto import keyfile
from ledger.crypto.digests import sha256
from ledger.crypto.suites import Signer, suite_by_name
from ledger.identifiers.did_key import did_key
from ledger.statements import Draft, cose, make_consent, sign, subjects
from node.config import load_config
from node.genesis import Policy, RootMember, create_log, draft_genesis
from node.recovery import DataFolder

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = "benchmark"  # noqa: S105 - protects nothing
YEAR = 365 * 86_400
TICKS = os.sysconf("SC_CLK_TCK")


def key(name: str) -> Signer:
    """An Ed25519 signer from a fixed seed: a benchmark's keys protect nothing."""
    return suite_by_name("ed25519").from_secret(sha256(f"bench {name}".encode()))


def machine() -> dict[str, object]:
    """The machine in words."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return {"cpu": model, "cores": os.cpu_count(), "python": platform.python_version(), "kernel": platform.release()}


def report(name: str, **figures: object) -> None:
    """Print one result as a JSON line, and keep it in the folder TIAL_BENCH_RESULTS if that is set."""
    result = {"benchmark": name, "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **figures, **machine()}
    print(json.dumps(result), flush=True)
    folder = os.environ.get("TIAL_BENCH_RESULTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_log(folder: Path, *, verifiers: int = 0, port: int = 0, origin: str = "bench.example/log") -> Path:
    """Make a log with two root authorities in `folder`; returns the path of its configuration."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "keys").mkdir(parents=True)
    cose_key, note_key = key("cose"), key("note")
    keyfile.save(folder / "keys/cose.key", cose_key, PASSPHRASE)
    keyfile.save(folder / "keys/note.key", note_key, PASSPHRASE)
    path = folder / "tial.toml"
    path.write_text(f"[http]\nport = {port or free_port()}\nrate = 0.0\n[log]\nverifiers = {verifiers}\n")
    secret = folder / "keys/passphrase"
    secret.touch(0o600)
    secret.write_text(PASSPHRASE)
    config = load_config(path)
    roots = [key("root 0"), key("root 1")]
    members = [RootMember(did_key(r.public_key, "ed25519"), "ed25519", r.public_key) for r in roots]
    draft = draft_genesis(origin, cose_key, note_key, members, 2, Policy(max_age=10 * 86_400), int(time.time()))
    digest = draft.consent_digest(cose_key)
    consents = [make_consent(r, m.did, 2**40, digest) for r, m in zip(roots, members, strict=True)]
    create_log(DataFolder(config.data_path), config.path(config.lock), draft, cose_key, consents)
    return path


@dataclass
class Server:
    """A node in a process of its own."""

    config: Path
    process: subprocess.Popen[bytes]
    port: int
    log_id: str

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> bytes:
        """A plain GET."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:  # noqa: S310 - loopback
            body: bytes = answer.read()
            return body

    def post(self, raw: bytes) -> dict[str, object]:
        """Submit one statement."""
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.url}/v1/statements", raw, {"Content-Type": "application/cose"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            result: dict[str, object] = json.loads(answer.read())
            return result

    def published(self) -> int:
        """Size of the newest published checkpoint."""
        size: int = json.loads(self.get("/v1/log"))["published"]["size"]
        return size

    def memory(self) -> dict[str, int]:
        """Resident memory of the main process in MB: all, anonymous, and mapped files."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = {line.split(":")[0]: int(line.split()[1]) // 1024 for line in status.splitlines() if "kB" in line}
        return {name: found[name] for name in ("VmRSS", "RssAnon", "RssFile")}

    def stop(self) -> int:
        """SIGTERM, and wait."""
        self.process.terminate()
        return self.process.wait(120)


def start(config: Path) -> Server:
    """Start a node on `config` and wait until it is ready."""
    port = load_config(config).http.port
    process = subprocess.Popen(
        [sys.executable, "-m", "api.cli.main", "serve", "--config", str(config)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    server = Server(config, process, port, "")
    for _ in range(1200):
        if process.poll() is not None:
            raise SystemExit(f"the node ended with {process.returncode}")
        try:
            server.get("/readyz")
        except OSError:
            time.sleep(0.05)
        else:
            break
    log: dict[str, object] = json.loads(server.get("/v1/log"))
    server.log_id = str(log["log_id"])
    return server


def enterprise(server: Server) -> Signer:
    """Enrol an enterprise and delegate vaa/88.118.8 to it."""
    signer, roots = key("enterprise"), [key("root 0"), key("root 1")]
    did, now = did_key(signer.public_key, "ed25519"), int(time.time())
    root_did = did_key(roots[0].public_key, "ed25519")
    enrol = Draft(
        "actor", did, did, server.log_id, now,
        body={
            "keys": [{"alg": -8, "key": signer.public_key, "purposes": ["statement", "consent"]}],
            "roles": ["owner"], "name": "enterprise",
        },
    )  # fmt: skip
    digest = enrol.consent_digest(signer)
    agreed = [make_consent(r, did_key(r.public_key, "ed25519"), now + YEAR, digest) for r in roots]
    server.post(sign(enrol, signer, agreed))
    delegate = Draft(
        "delegation", root_did, subjects.delegation("vaa", "88.118.8"), server.log_id, now,
        nbf=now - YEAR, exp=now + YEAR, claims={"holder": did, "rights": ["register"]}, body={},
    )  # fmt: skip
    digest = delegate.consent_digest(roots[0])
    agreed = [make_consent(roots[1], did_key(roots[1].public_key, "ed25519"), now + YEAR, digest)]
    server.post(sign(delegate, roots[0], agreed))
    return signer


def processor_time(pid: int) -> float:
    """Processor seconds that a process and those that it started have used so far."""
    used = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            used += int(processor_time(int(child)) * TICKS)
    # Behind the name, which may hold anything: fields 14 to 17 are user and system time, own and of ended children.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (used + sum(map(int, fields[11:15]))) / TICKS


def registrations(log_id: str, signer: Signer, start_at: int, count: int) -> Iterator[bytes]:
    """Signed registrations of consecutive identifiers; made from one draft, so that signing is nearly all the work."""
    did = did_key(signer.public_key, "ed25519")
    stand_in = "P" + "0" * 12
    draft = Draft(
        "registration", did, f"vaa:88.118.8/{stand_in}", log_id, int(time.time()),
        claims={"holder": did, "delegation": "vaa/88.118.8"}, digest=bytes(32),
    )  # fmt: skip
    protected, mark = draft.protected(signer), stand_in.encode()
    for number in range(start_at, start_at + count):
        header = protected.replace(mark, b"P%012d" % number)
        payload = sha256(b"%d" % number)
        yield cose.join(header, payload, signer.sign(cose.sig_structure(header, payload)))
