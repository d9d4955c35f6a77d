"""Fuzzes every decoder of bytes from outside, for a fixed time, two targets at once.

    ./scripts/fuzz [SECONDS] [TARGET...]

SECONDS (default 600) are shared out evenly among the targets (default: all of tests/fuzz/targets.py) and over two
processes; the start of each target, a few seconds, is not counted. What is found interesting is kept in the user's
cache, so that the next run goes on from there. A finding is any exception but `LedgerError`, an input that takes more
than five seconds, or memory above a bound: it is kept beside, its name is printed, and the exit code is 1.

atheris has packages for few Pythons and is not needed for anything else: it lives in an environment of its own.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import bootstrap

ROOT = Path(__file__).resolve().parents[1]
PROCESSES = 2
MEMORY_MIB = 1_024
SLOW_SECONDS = 5
MAX_LENGTH = 65_536
_DONE = re.compile(r"^Done (\d+) (?:runs )?in (\d+) second", re.MULTILINE)
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s+(\d+)")


class Outcome(NamedTuple):
    """What came of a target: executions, files in its corpus, and what was found, empty for nothing."""

    target: str
    executions: int
    corpus: int
    finding: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz; 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("seconds", nargs="?", type=int, default=600, help="for all targets together (default 600)")
    parser.add_argument("target", nargs="*", help="targets (default: all)")
    options = parser.parse_args(arguments)
    folder = bootstrap.cache() / "fuzz-corpus"
    seeds = folder / "honest"
    subprocess.run([sys.executable, "-m", "tests.fuzz.seeds", str(seeds)], cwd=ROOT, check=True)
    known = sorted(path.name for path in seeds.iterdir() if path.is_dir())
    unknown = sorted(set(options.target) - set(known))
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}; there are: {', '.join(known)}")
    python = bootstrap.fuzz_environment() / "bin" / "python"
    chosen = options.target or known
    each = max(1, options.seconds * min(PROCESSES, len(chosen)) // len(chosen))
    print(f"{len(chosen)} targets, {each} s each, {PROCESSES} at once", flush=True)
    found = 0
    with ThreadPoolExecutor(PROCESSES) as pool:
        for outcome in pool.map(lambda target: fuzz(python, folder, target, each), chosen):
            verdict = "nothing" if not outcome.finding else "FOUND"
            print(f"{outcome.target:18}{outcome.executions:10} inputs{outcome.corpus:7} kept  {verdict}", flush=True)
            if outcome.finding:
                found += 1
                print(outcome.finding, flush=True)
    print(f"{len(chosen)} targets, {found} with findings")
    return 1 if found else 0


def fuzz(python: Path, folder: Path, target: str, seconds: int) -> Outcome:
    """Run one target."""
    corpus, findings = folder / "corpus" / target, folder / "findings"
    for path in (corpus, findings):
        path.mkdir(parents=True, exist_ok=True)
    command = [
        str(python), "-m", "tests.fuzz", target, str(folder / "honest" / "policy.toml"), str(corpus),
        str(folder / "honest" / target), f"-max_total_time={seconds}", f"-timeout={SLOW_SECONDS}",
        f"-rss_limit_mb={MEMORY_MIB}", f"-max_len={MAX_LENGTH}", f"-artifact_prefix={findings / target}-",
        "-print_final_stats=1", "-verbosity=0",
    ]  # fmt: skip
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    executed = _EXECUTED.search(run.stderr) or _DONE.search(run.stderr)
    finding = "" if run.returncode == 0 else f"exit code {run.returncode}\n{_last(run.stdout)}\n{_last(run.stderr)}"
    return Outcome(target, int(executed[1]) if executed else 0, sum(1 for _ in corpus.iterdir()), finding)


def _last(output: str) -> str:
    return "\n".join(output.splitlines()[-40:])


if __name__ == "__main__":
    sys.exit(main())
