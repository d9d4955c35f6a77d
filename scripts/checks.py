"""Runs every check of the project, one after the other, and closes with what passed, failed and was left out, and why.

Owns the list of checks and nothing of what they check. `./scripts/test` calls it with `.venv` prepared.
All checks run even when an early one fails; the exit code is 1 when any did.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bootstrap
import build_bft_chain

ROOT = bootstrap.ROOT
CONTRACTS = bootstrap.CONTRACTS
PACKAGES = ("ledger", "node", "api", "devnet")
BFT = "tests/bft"
FORGE = CONTRACTS / "node_modules" / ".bin" / "forge"
# Tests start nodes and chains of their own: more workers than this contend for the disk and gain nothing.
MOST_WORKERS = 4


@dataclass(frozen=True, slots=True)
class Check:
    """One command; `skip` is why it is left out this time, empty when it runs; `analysers` are put on its PATH."""

    name: str
    command: tuple[str, ...]
    folder: Path = ROOT
    skip: str = ""
    analysers: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a check: `state` is ok, FAILED or skipped; `note` is the reason or the exit code."""

    name: str
    state: str
    seconds: float
    note: str = ""


def checks(*, fast: bool, slow: bool, reports: Path) -> list[Check]:
    """Return the checks in the order of what fails soonest; `reports` is where pytest writes JUnit files."""
    python = sys.executable
    workers = min(MOST_WORKERS, os.cpu_count() or 1)
    chosen = () if slow else ("-m", "not slow")
    pytest = (python, "-m", "pytest", *chosen)
    spread = (f"--numprocesses={workers}", "--dist=loadfile", f"--ignore={BFT}", f"--junitxml={reports / 'tests.xml'}")
    return [
        Check("requirement files", (python, "scripts/lock.py", "--check")),
        Check("ruff check", (python, "-m", "ruff", "check", ".")),
        Check("ruff format", (python, "-m", "ruff", "format", "--check", ".")),
        Check("mypy --strict", (python, "-m", "mypy", "--strict", *PACKAGES, "scripts")),
        Check("lint-imports", (str(ROOT / ".venv" / "bin" / "lint-imports"),)),
        contract_check(fast=fast),
        Check("bft-chain", (python, "scripts/build_bft_chain.py", "--check"), skip=build_bft_chain.toolchain()[2]),
        Check("pytest", (*pytest, *spread)),
        # Four validators and a node under load want the machine for themselves.
        Check(f"pytest {BFT}", (*pytest, BFT, f"--junitxml={reports / 'bft.xml'}")),
    ]


def contract_check(*, fast: bool) -> Check:
    """Return the check of contracts/: formatting, tests, gas, artifact and slither, as contracts/check has them."""
    absent = "" if FORGE.exists() else "contracts/node_modules has no forge"
    return Check("contracts/check", ("./check",), CONTRACTS, "--fast" if fast else absent, analysers=True)


def perform(check: Check) -> Outcome:
    """Run one check with its output on the terminal."""
    if check.skip:
        return Outcome(check.name, "skipped", 0.0, check.skip)
    print(f"\n== {check.name}", flush=True)
    environment = bootstrap.environment()
    started = time.monotonic()
    try:
        if check.analysers:
            environment["PATH"] += f"{os.pathsep}{bootstrap.tools_environment() / 'bin'}"
        run = subprocess.run(check.command, cwd=check.folder, env=environment, stdin=subprocess.DEVNULL, check=False)
    except (OSError, bootstrap.BootstrapError) as error:
        return Outcome(check.name, "FAILED", time.monotonic() - started, str(error))
    code = run.returncode
    seconds = time.monotonic() - started
    return Outcome(check.name, "FAILED", seconds, f"exit code {code}") if code else Outcome(check.name, "ok", seconds)


def skipped_tests(reports: Path) -> Counter[str]:
    """Return reason -> how many tests pytest skipped for it, of all the reports that it left."""
    found: Counter[str] = Counter()
    for report in reports.glob("*.xml"):
        elements = ET.parse(report).iter("skipped")  # noqa: S314  the file is our own pytest's
        found.update(element.get("message") or "no reason given" for element in elements)
    return found


def summary(outcomes: Sequence[Outcome], skips: Counter[str], *, slow: bool) -> str:
    """Return the closing table: each check, then what was not tested and why."""
    lines = ["", "== summary"]
    lines += [f"{outcome.state:8} {outcome.name:18} {outcome.seconds:7.1f} s  {outcome.note}" for outcome in outcomes]
    lines += [f"skipped  {count} tests: {reason}" for reason, count in sorted(skips.items())]
    if not slow:
        lines.append("skipped  tests marked slow: run ./scripts/test --slow for them too")
    failed = [outcome.name for outcome in outcomes if outcome.state == "FAILED"]
    lines.append(f"FAILED: {', '.join(failed)}" if failed else "all checks that ran are good")
    return "\n".join(line.rstrip() for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks; 0 when none failed."""
    parser = argparse.ArgumentParser(prog="./scripts/test", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="leave out contracts/: forge and slither")
    parser.add_argument("--slow", action="store_true", help="run the tests marked slow too")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        reports = Path(scratch)
        outcomes = [perform(check) for check in checks(fast=options.fast, slow=options.slow, reports=reports)]
        skips = skipped_tests(reports)
    print(summary(outcomes, skips, slow=options.slow), flush=True)
    return int(any(outcome.state == "FAILED" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
