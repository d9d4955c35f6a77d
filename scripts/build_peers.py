"""Builds other people's tools that check our log or are compared with it, and tells where they are.

Owns folders of its own in the user's cache, one for each tool, version and toolchain; nothing of it enters `.venv` or
what ships. It trusts scripts/peers/tessera/go.sum and tests/interop/requirements-aics.txt: a module or package whose
hash does not stand there is refused. From where they come is left to the ordinary configuration of Go and pip. It uses
the standard library alone.

    scripts/build-peers                  all of them
    scripts/build-peers tessera-fsck     those named

Prints one JSON object: name -> version, licence, program (its path, empty where it is absent), absent (why). A tool
whose toolchain this machine lacks is absent, which is no failure; one that cannot be built although its toolchain is
here is.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import bootstrap

TESSERA = bootstrap.ROOT / "scripts" / "peers" / "tessera"
TESSERA_PACKAGE = "github.com/transparency-dev/tessera"
TESSERA_PROGRAMS = {"tessera-fsck": "cmd/fsck", "tessera-posix": "cmd/conformance/posix"}
OLDEST_GO = (1, 24)  # what go.mod of Tessera asks for
AICS = "aics-tlog"
AICS_WITNESS = "aics-witness"
AICS_LOCK = bootstrap.ROOT / "tests" / "interop" / "requirements-aics.txt"
AICS_PYTHONS = ((3, 12), (3, 14))
ASK_PYTHON = "import ensurepip, sys, venv; print(sys.executable, *sys.version_info[:2])"
PEERS = (*TESSERA_PROGRAMS, AICS, AICS_WITNESS)


@dataclass(frozen=True, slots=True)
class Peer:
    """One tool: `program` is the path of its executable, empty where `absent` says why there is none."""

    version: str
    licence: str
    program: str = ""
    absent: str = ""


def tessera(names: Sequence[str]) -> dict[str, Peer]:
    """Build the programs of Tessera named, both in one folder."""
    found = re.search(rf"{re.escape(TESSERA_PACKAGE)} (v\S+)", (TESSERA / "go.mod").read_text(encoding="utf-8"))
    version = found[1] if found else "unknown"
    go = shutil.which("go")
    told = _say_version(go, "version") if go else ""
    match = re.search(r"go(\d+)\.(\d+)", told)
    absent = ""
    if go is None or match is None:
        absent = "Go is not installed"
    elif (int(match[1]), int(match[2])) < OLDEST_GO:
        absent = f"{match[0]} is older than Go {OLDEST_GO[0]}.{OLDEST_GO[1]}"
    if go is None or absent:
        return {name: Peer(version, "Apache-2.0", absent=absent) for name in names}
    stamp = bootstrap.key(TESSERA / "go.mod", TESSERA / "go.sum", told)
    folder = bootstrap.cache() / f"tessera-{version}-{stamp[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    programs = {name: folder / name for name in names}
    with bootstrap.only_one(folder):
        for name, program in programs.items():
            if not program.exists():
                _go_build(go, f"{TESSERA_PACKAGE}/{TESSERA_PROGRAMS[name]}", program)
    return {name: Peer(version, "Apache-2.0", str(program)) for name, program in programs.items()}


def _go_build(go: str, package: str, program: Path) -> None:
    """Build one program; it takes its name only when it is whole."""
    bootstrap.say(f"{package} into {program.parent}")
    unfinished = program.with_suffix(".new")
    # No other toolchain than the one here, and nothing that the committed go.mod and go.sum do not name.
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"}
    command = [go, "build", "-mod=readonly", "-trimpath", "-o", str(unfinished), package]
    bootstrap.run(command, cwd=TESSERA, env=environment)
    unfinished.replace(program)


def aics(name: str) -> Peer:
    """Install aics-tlog and aics-witness into one environment of their own; returns the one that is named."""
    versions = dict(re.findall(r"^([a-z-]+)==(\S+)", AICS_LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    version = versions.get(name, "unknown")
    python = next(_pythons(), None)
    if python is None:
        oldest, newest = (".".join(map(str, bound)) for bound in AICS_PYTHONS)
        return Peer(version, "Apache-2.0", absent=f"no Python {oldest} to {newest} with the module venv is installed")
    stamp = bootstrap.key(AICS_LOCK, str(python), _say_version(str(python), "--version"))
    folder = bootstrap.cache() / f"{AICS}-{versions.get(AICS, 'unknown')}-{stamp[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with bootstrap.only_one(folder):
        if bootstrap.read(folder / ".complete") != stamp:
            bootstrap.say(f"{AICS} and {AICS_WITNESS} into {folder}")
            environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
            bootstrap.run([str(python), "-m", "venv", str(folder)], cwd=folder, env=environment)
            bootstrap.pip(folder, "install", "--require-hashes", "--requirement", str(AICS_LOCK))
            bootstrap.write(folder / ".complete", stamp)
    return Peer(version, "Apache-2.0", str(folder / "bin" / name))


def _pythons() -> Iterator[Path]:
    """Yield the interpreters that can make an environment for aics-tlog: those on PATH, then those that pyenv keeps."""
    oldest, newest = AICS_PYTHONS
    names = [f"python{oldest[0]}.{minor}" for minor in range(oldest[1], newest[1] + 1)]
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    on_path = [Path(found) for name in (*names, "python3") if (found := shutil.which(name))]
    for candidate in (*on_path, *(found for name in names for found in sorted(kept.glob(f"*/bin/{name}")))):
        # A name on PATH may be a shim that runs nothing: ask it, and take the interpreter itself.
        told = _say_version(str(candidate), "-c", ASK_PYTHON)
        match = re.fullmatch(r"(\S+) (\d+) (\d+)", told)
        if match and oldest <= (int(match[2]), int(match[3])) <= newest:
            yield Path(match[1])


def _say_version(*command: str) -> str:
    """Return what a command prints, empty where it cannot be run or fails."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""


def build(names: Sequence[str]) -> dict[str, Peer]:
    """Build the peers named; BootstrapError where one cannot be although its toolchain is here."""
    peers = tessera([name for name in names if name in TESSERA_PROGRAMS])
    return peers | {name: aics(name) for name in (AICS, AICS_WITNESS) if name in names}


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what is asked for and print where it is; 1 when a build failed."""
    parser = argparse.ArgumentParser(prog="scripts/build-peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("peer", nargs="*", help=f"any of {', '.join(PEERS)} (default: all)")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.peer) - set(PEERS))
    if unknown:
        parser.error(f"no such peer: {', '.join(unknown)}")
    try:
        peers = build(options.peer or PEERS)
    except (bootstrap.BootstrapError, OSError) as error:
        bootstrap.say(f"failed: {error}")
        return 1
    print(json.dumps({name: asdict(peer) for name, peer in peers.items()}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
