"""Builds `bft-chain`, the program that runs the nodes of a BFT network, and tells where it is.

Owns a folder in the user's cache for each state of the sources and each toolchain; nothing of it enters the tree, and
the folders of the two newest states are kept. It trusts go.mod and go.sum of devnet/bft/chain: a module whose hash does
not stand there is refused. From where modules come is left to the ordinary configuration of Go. It uses the standard
library alone.

    scripts/build-bft-chain              builds unless it is there: minutes and 1.4 GB of Go's cache at the first time
    scripts/build-bft-chain --find       only tells where it is
    scripts/build-bft-chain --check      builds it, then checks its sources: gofmt, go vet, go test

Prints one JSON object: program (its path, empty where it is absent), absent (why), version (of cosmos/evm). A machine
that lacks Go or gcc has no program, which is no failure; a build that fails is.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import bootstrap

SOURCES = bootstrap.ROOT / "devnet" / "bft" / "chain"
NAME = "bft-chain"
OLDEST_GO = (1, 25, 9)  # what go.mod asks for
# With these for every command of Go, nothing is compiled twice.
SHARED_FLAGS = ("-mod=readonly", "-tags", "netgo", "-trimpath")
FLAGS = (*SHARED_FLAGS, "-ldflags", "-s -w")


@dataclass(frozen=True, slots=True)
class Program:
    """`program` is the path of the executable, empty where `absent` says why there is none."""

    version: str
    program: str = ""
    absent: str = ""


def version() -> str:
    """Return the version of cosmos/evm that go.mod names."""
    found = re.search(r"github\.com/cosmos/evm (v\S+)", (SOURCES / "go.mod").read_text(encoding="utf-8"))
    return found[1] if found else "unknown"


def toolchain() -> tuple[str, str, str]:
    """Return the path of Go, what it says of its version, and why a build is impossible, empty where it is not."""
    go = shutil.which("go")
    if go is None:
        return "", "", "Go is not installed"
    # No other toolchain than the one here, and nothing that the committed go.mod and go.sum do not name.
    run = subprocess.run([go, "version"], capture_output=True, text=True, env=_environment(), timeout=60, check=False)
    told = run.stdout.strip()
    match = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", told)
    if match is None:
        return go, told, "Go does not tell its version"
    if tuple(int(part or 0) for part in match.groups()) < OLDEST_GO:
        return go, told, f"{match[0]} is older than Go {'.'.join(map(str, OLDEST_GO))}"
    if shutil.which("gcc") is None:
        return go, told, "gcc is not installed"
    return go, told, ""


def _environment() -> dict[str, str]:
    return {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "", "CGO_ENABLED": "1"}


def place(told: str) -> Path:
    """Return where the program of these sources and this toolchain lies, built or not."""
    sources = sorted(path for path in SOURCES.glob("*.go") if not path.name.endswith("_test.go"))
    names = " ".join(path.name for path in sources)
    stamp = bootstrap.key(*sources, SOURCES / "go.mod", SOURCES / "go.sum", names, told, " ".join(FLAGS))
    return bootstrap.cache() / f"{NAME}-{stamp[:16]}" / NAME


def build(*, only_find: bool = False) -> Program:
    """Return the program, after building it where it is not there; BootstrapError where that fails."""
    go, told, absent = toolchain()
    if absent:
        return Program(version(), absent=absent)
    program = place(told)
    if not program.exists():
        if only_find:
            return Program(version(), absent="it is not built: run scripts/build-bft-chain")
        program.parent.mkdir(parents=True, exist_ok=True)
        with bootstrap.only_one(program.parent):
            if not program.exists():
                _go_build(go, program)
        _forget(program.parent)
    return Program(version(), str(program))


def _go_build(go: str, program: Path) -> None:
    """Build the program; it takes its name only when it is whole."""
    bootstrap.say(f"{NAME} into {program.parent}; the first time takes minutes")
    unfinished = program.with_suffix(".new")
    bootstrap.run([go, "build", *FLAGS, "-o", str(unfinished), "."], cwd=SOURCES, env=_environment())
    unfinished.replace(program)


def check(go: str) -> None:
    """Check the sources: form, what the compiler's vet finds, tests; BootstrapError where one fails."""
    gofmt = Path(go).resolve().with_name("gofmt")
    run = subprocess.run([str(gofmt), "-l", "."], cwd=SOURCES, capture_output=True, text=True, timeout=60, check=False)
    if run.returncode or run.stdout:
        raise bootstrap.BootstrapError(f"gofmt would change {run.stdout.split()}: run gofmt -w there{run.stderr}")
    for command in ("vet", "test"):
        bootstrap.run([go, command, *SHARED_FLAGS, "./..."], cwd=SOURCES, env=_environment())


def _forget(newest: Path) -> None:
    """Delete the programs of older sources but the newest: each is some 95 MB."""
    built = [path for path in newest.parent.glob(f"{NAME}-*/{NAME}") if path.parent != newest]
    for path in sorted(built, key=lambda path: path.stat().st_mtime)[:-1]:
        shutil.rmtree(path.parent)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the program and print where it is; 1 when the build failed."""
    parser = argparse.ArgumentParser(prog="scripts/build-bft-chain", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--find", action="store_true", help="build nothing, only tell where the program is")
    parser.add_argument("--check", action="store_true", help="check the sources, too")
    options = parser.parse_args(arguments)
    try:
        program = build(only_find=options.find)
        if options.check and program.program:
            check(toolchain()[0])
    except (bootstrap.BootstrapError, OSError, subprocess.TimeoutExpired) as error:
        bootstrap.say(f"failed: {error}")
        return 1
    print(json.dumps(asdict(program), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
