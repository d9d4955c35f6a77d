"""Locks what pyproject.toml asks for into requirements/*.txt, with a hash for every file that may be installed.

Owns the form of those files: one pin a package, SHA-256 hashes, and nothing that names a host, so that whoever installs
keeps the choice of registry. Each file's first line carries a digest of the requirements that it was made from; a
requirement changed in pyproject.toml without locking again is thereby found without any network (`--check`).

    python scripts/lock.py            lock what changed, keep the pins that still fit
    python scripts/lock.py --upgrade  lock the newest versions
    python scripts/lock.py --check    say whether the files are in step and clean, change nothing

Locking runs pip-compile (dev extra) and must be done with the oldest Python that we support.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST_PYTHON = (3, 11)
# The order matters: a later set shares an environment with the set named, and so must agree with its pins.
SHARES_PINS_WITH: Mapping[str, str | None] = {
    "dev": None,
    "node": "dev",
    "base": "dev",
    "build": "dev",
    "fuzz": "dev",
    "nodejs": None,
    "tools": None,
}
HEADER = re.compile(r"# locked by scripts/lock\.py from requirements with SHA-256 ([0-9a-f]{64})")
PIN = re.compile(r"([a-z0-9][a-z0-9-]*)==([0-9][0-9A-Za-z.+!]*)( ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
PIP_COMPILE_OPTIONS = (
    "--allow-unsafe",
    "--generate-hashes",
    "--no-annotate",
    "--no-config",
    "--no-emit-options",
    "--no-header",
    "--quiet",
    "--strip-extras",
)


class LockError(Exception):
    """Why a requirement file cannot be made or used; the text says how to mend it."""


def wanted(root: Path) -> dict[str, list[str]]:
    """Return the requirements of each set as pyproject.toml states them, sorted.

    `node` includes the base requirements and `dev` both: each file describes one whole environment.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    base: list[str] = project["project"]["dependencies"]
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    groups: dict[str, list[str]] = project["dependency-groups"]
    sets = {"base": base, "node": base + extras["node"], "dev": base + extras["node"] + extras["dev"], **groups}
    if set(sets) != set(SHARES_PINS_WITH):
        raise LockError(f"pyproject.toml has the sets {sorted(sets)}, lock.py knows {sorted(SHARES_PINS_WITH)}")
    return {name: sorted(sets[name]) for name in SHARES_PINS_WITH}


def digest(requirements: Sequence[str]) -> str:
    """Return what a lock file's first line must carry for these requirements."""
    return hashlib.sha256("\n".join(requirements).encode()).hexdigest()


def pins(text: str) -> dict[str, str]:
    """Return name -> version of every pin in the text of a lock file."""
    return {match[1]: match[2] for line in text.splitlines() if (match := PIN.fullmatch(line))}


def faults(root: Path) -> list[str]:
    """Return what is wrong with the lock files, a sentence each; empty when they are in step and clean."""
    found = []
    texts: dict[str, str] = {}
    for name, requirements in wanted(root).items():
        path = root / "requirements" / f"{name}.txt"
        if not path.is_file():
            found.append(f"requirements/{name}.txt is missing: run scripts/lock.py")
            continue
        texts[name] = path.read_text(encoding="utf-8")
        first, *lines = texts[name].splitlines() or [""]
        header = HEADER.fullmatch(first)
        if header is None or header[1] != digest(requirements):
            found.append(f"requirements/{name}.txt is out of step with pyproject.toml: run scripts/lock.py")
        found.extend(_malformed_lines(name, lines))
        names = {re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower() for requirement in requirements}
        found.extend(
            f"requirements/{name}.txt pins no {missing}: run scripts/lock.py"
            for missing in sorted(names - set(pins(texts[name])))
        )
    for name, other in SHARES_PINS_WITH.items():
        if other in texts and name in texts:
            theirs = pins(texts[other])
            found.extend(
                f"requirements/{name}.txt has {package} {version}, requirements/{other}.txt {theirs[package]}"
                for package, version in pins(texts[name]).items()
                if theirs.get(package, version) != version
            )
    return found


def _malformed_lines(name: str, lines: Sequence[str]) -> list[str]:
    """Return a sentence for each line that is neither a pin followed by hashes nor one of its hashes."""
    found = []
    continued = False
    for number, line in enumerate(lines, start=2):
        if (HASH if continued else PIN).fullmatch(line) is None:
            found.append(f"requirements/{name}.txt line {number} is neither a pin nor a hash of one: {line.strip()!r}")
        continued = line.endswith("\\")
    if continued:
        found.append(f"requirements/{name}.txt ends in the middle of a pin")
    return found


def lock(root: Path, *, upgrade: bool) -> None:
    """Write every lock file anew; pins that still fit are kept unless `upgrade`."""
    if sys.version_info[:2] != OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise LockError(f"lock with Python {oldest}: the newest versions that it can take run on the later ones too")
    made: dict[str, str] = {}
    for name, requirements in wanted(root).items():
        path = root / "requirements" / f"{name}.txt"
        shared = SHARES_PINS_WITH[name]
        constraints = pins(made[shared]) if shared else {}
        keep = path.read_text(encoding="utf-8") if path.is_file() and not upgrade else ""
        header = HEADER.match(keep)
        fits = all(constraints.get(package, version) == version for package, version in pins(keep).items())
        if header and header[1] == digest(requirements) and fits:
            made[name] = keep
            continue
        body = _compile(requirements, constraints=constraints, keep=keep)
        made[name] = f"# locked by scripts/lock.py from requirements with SHA-256 {digest(requirements)}\n{body}"
    for name, text in made.items():
        path = root / "requirements" / f"{name}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"requirements/{name}.txt: {len(pins(text))} packages")


def _compile(requirements: Sequence[str], *, constraints: Mapping[str, str], keep: str) -> str:
    """Return the pins and hashes that pip-compile chooses, without its comments (they name files and hosts)."""
    with tempfile.TemporaryDirectory() as scratch:
        source, limits, output = (Path(scratch) / name for name in ("wanted.in", "limits.txt", "locked.txt"))
        source.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        limits.write_text("".join(f"{name}=={version}\n" for name, version in constraints.items()), encoding="utf-8")
        output.write_text(keep, encoding="utf-8")
        command = [sys.executable, "-m", "piptools", "compile", *PIP_COMPILE_OPTIONS]
        command += ["--constraint", str(limits), "--output-file", str(output), str(source)]
        if subprocess.run(command, check=False).returncode:
            raise LockError(f"pip-compile found no set of versions for: {', '.join(requirements)}")
        lines = output.read_text(encoding="utf-8").splitlines()
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Lock, or check; 0 when the files are good, 1 when they are not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="say whether the files are in step and clean")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder")
    options = parser.parse_args(arguments)
    try:
        if not options.check:
            lock(options.root, upgrade=options.upgrade)
        found = faults(options.root)
    except LockError as error:
        found = [str(error)]
    for fault in found:
        print(fault, file=sys.stderr)
    if not found:
        print("requirement files: in step with pyproject.toml, no host named")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
