"""Makes what the other scripts need: `.venv`, the locked Python packages, Node where it is absent, contracts/.

Owns `.venv`, `contracts/node_modules` and the project's folder in the user's cache. It uses the standard library alone:
it runs before anything is installed. It trusts the files under requirements/ and contracts/package-lock.json: a package
is refused unless its hash stands there. Which registry, mirror or proxy they come from is left to the ordinary
configuration of pip and npm.

    python3 scripts/bootstrap.py                what a node needs: extra `node`, and Node's packages for the contracts
    python3 scripts/bootstrap.py --extra dev    that and the developer's tools
    python3 scripts/bootstrap.py --extra base   the light verifier; no Node

Each step leaves a stamp made of the hashes of its inputs: a second run does nothing and takes a fraction of a second.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
CONTRACTS = ROOT / "contracts"
SUPPORTED = ((3, 11), (3, 13))
OLDEST_NODE = 20  # what the packages of contracts/ ask for
# An environment with the right-hand set also has all of the left-hand one.
CONTAINED_IN: Mapping[str, tuple[str, ...]] = {
    "base": ("base", "node", "dev"),
    "node": ("node", "dev"),
    "dev": ("dev",),
}


class BootstrapError(Exception):
    """Why the environment cannot be made; the text says how to mend it."""


def key(*parts: Path | str) -> str:
    """Return a hash over texts and the bytes of files (an absent file counts as empty)."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part.read_bytes() if part.is_file() else b""
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def environment() -> dict[str, str]:
    """Return the caller's environment with `.venv/bin` first, so that a Node installed there is found by its name."""
    values = {name: value for name, value in os.environ.items() if name not in {"PYTHONHOME", "PYTHONPATH"}}
    values["VIRTUAL_ENV"] = str(VENV)
    values["PATH"] = f"{VENV / 'bin'}{os.pathsep}{values.get('PATH', os.defpath)}"
    return values


def cache() -> Path:
    """Return the project's folder in the user's cache; what lies there may be deleted at any time."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "tial"


def say(text: str) -> None:
    """Tell what is being done, at once: the steps take seconds to minutes."""
    print(f"set-up: {text}", file=sys.stderr, flush=True)


def prepare(extra: str, *, contracts: bool) -> None:
    """Bring `.venv` and, where asked, Node and contracts/node_modules up to date; only one caller at a time."""
    check_interpreter()
    with only_one(ROOT):
        make_venv(VENV)
        install_packages(extra)
        install_project()
        if contracts:
            install_node()
            install_contracts()


def tools_environment() -> Path:
    """Return an environment with the analysers whose versions exclude ours, made in the cache when it is not there."""
    return _environment("tools", "analysis tools", "tools")


def fuzz_environment() -> Path:
    """Return an environment with the fuzzer and the light verifier's packages, made in the cache like the tools'."""
    if sys.version_info[:2] >= (3, 13):
        raise BootstrapError("the fuzzer has no wheel for Python 3.13: set TIAL_PYTHON to a Python 3.11 or 3.12")
    return _environment("fuzz", "fuzzer", "base", "fuzz")


def _environment(name: str, what: str, *requirements: str) -> Path:
    """Return an environment of its own in the cache, named by the hashes of these files under requirements/."""
    check_interpreter()
    locked = [ROOT / "requirements" / f"{one}.txt" for one in requirements]
    stamp = key(*locked, sys.version)
    folder = cache() / f"{name}-{stamp[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with only_one(folder):
        if read(folder / ".complete") != stamp:
            say(f"{what} into {folder}")
            make_venv(folder)
            for path in locked:
                pip(folder, "install", "--require-hashes", "--requirement", str(path))
            (folder / ".complete").write_text(stamp, encoding="utf-8")
    return folder


def check_interpreter() -> None:
    """Refuse a Python that is not supported, or that cannot make environments."""
    oldest, newest = (".".join(map(str, version)) for version in SUPPORTED)
    if not SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
        raise BootstrapError(f"{sys.executable} is Python {sys.version.split()[0]}; {oldest} to {newest} are supported")
    try:
        import ensurepip  # noqa: F401, PLC0415  its absence is what we ask about
    except ImportError:
        short = ".".join(map(str, sys.version_info[:2]))
        raise BootstrapError(
            f"{sys.executable} cannot make virtual environments: the module ensurepip is missing. "
            f"On Debian and Ubuntu install it with: apt-get install python{short}-venv"
        ) from None


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the advisory lock of a folder, so that two scripts started together do not install into each other."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def make_venv(folder: Path) -> None:
    """Make an environment unless a working one of a supported Python is there; a broken one is replaced."""
    if _works(folder / "bin" / "python"):
        return
    if (folder / "pyvenv.cfg").is_file():
        say(f"{folder} is broken or of an unsupported Python: making it anew")
    elif folder.is_dir() and any(folder.iterdir()):
        raise BootstrapError(f"{folder} exists and is no virtual environment: move it away")
    venv.create(folder, with_pip=True, clear=True)


def _works(python: Path) -> bool:
    """Return whether this interpreter runs, is supported, and has pip."""
    script = "import sys, pip; print(*sys.version_info[:2])"
    try:
        run = subprocess.run([python, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = tuple(int(part) for part in run.stdout.split())
    return run.returncode == 0 and SUPPORTED[0] <= version <= SUPPORTED[1]


def install_packages(extra: str) -> None:
    """Install the locked packages of an extra, unless they or those of a larger one are there."""
    version = (VENV / "pyvenv.cfg").read_text(encoding="utf-8")

    def stamp_of(name: str) -> str:
        return key(ROOT / "requirements" / f"{name}.txt", ROOT / "requirements" / "build.txt", version)

    if any(read(_stamp(f"packages-{name}")) == stamp_of(name) for name in CONTAINED_IN[extra]):
        return
    for name in CONTAINED_IN["base"]:
        _stamp(f"packages-{name}").unlink(missing_ok=True)
    say(f"locked Python packages ({extra}) into {VENV}")
    try:
        for name in (extra, "build"):
            pip(VENV, "install", "--require-hashes", "--requirement", str(ROOT / "requirements" / f"{name}.txt"))
    except BootstrapError as error:
        raise BootstrapError(f"{error}{_hint(version)}") from None
    write(_stamp(f"packages-{extra}"), stamp_of(extra))


def _hint(configuration: str) -> str:
    """Return what most likely helps where the packages could not be installed."""
    if "version = 3.13" not in configuration:
        return ""
    return (
        "\nplyvel has no wheel for Python 3.13 and is built from its source, which needs a C++ compiler and the "
        "headers of Python and LevelDB (on Debian: apt-get install g++ python3-dev libleveldb-dev). Or remove "
        ".venv and set TIAL_PYTHON to a Python 3.11 or 3.12."
    )


def install_project() -> None:
    """Install the project itself, editable: modules from this tree, the command `tial` in `.venv/bin`."""
    stamp = key(ROOT / "pyproject.toml", ROOT / "requirements" / "build.txt", str(ROOT))
    if read(_stamp("project")) == stamp and (VENV / "bin" / "tial").exists():
        return
    say("the project itself, editable")
    pip(VENV, "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    write(_stamp("project"), stamp)


def install_node() -> None:
    """See to it that `node` and `npm` are found: the machine's own, else those of the PyPI wheel, in `.venv`."""
    if _node_major() >= OLDEST_NODE:
        return
    say(f"npm with Node {OLDEST_NODE} or newer is not here: Node from its PyPI wheel into {VENV}")
    pip(VENV, "install", "--require-hashes", "--requirement", str(ROOT / "requirements" / "nodejs.txt"))
    if _node_major() < OLDEST_NODE:
        raise BootstrapError(f"the wheel gave no usable Node for this machine: install npm and Node {OLDEST_NODE}+")


def _node_major() -> int:
    """Return the major version of the Node that would be run, 0 where it or npm is missing."""
    values = environment()
    node, npm = (shutil.which(name, path=values["PATH"]) for name in ("node", "npm"))
    if node is None or npm is None:
        return 0
    try:
        run = subprocess.run([node, "--version"], capture_output=True, text=True, env=values, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.match(r"v(\d+)\.", run.stdout)
    return int(match[1]) if match else 0


def install_contracts() -> None:
    """Install the locked Node packages of contracts/: the contract's compiler and libraries, forge and anvil.

    Not by `npm ci`: it refuses the lock because some of forge's and anvil's optional packages for other platforms are
    in no registry, so that no lock can have them. What `npm install` put there is therefore compared with the lock.
    """
    manifest, lock = CONTRACTS / "package.json", CONTRACTS / "package-lock.json"
    stamp = key(manifest, lock, CONTRACTS / ".npmrc", str(_node_major()))
    modules = CONTRACTS / "node_modules"
    if read(modules / ".complete") == stamp:
        return
    say("Node packages of contracts/")
    wanted, locked = (json.loads(path.read_text(encoding="utf-8")) for path in (manifest, lock))
    for section in ("dependencies", "devDependencies", "optionalDependencies"):
        if wanted.get(section) != locked["packages"][""].get(section):
            raise BootstrapError(f"contracts/package-lock.json is out of step with the {section} of package.json")
    values = environment()
    npm = shutil.which("npm", path=values["PATH"]) or "npm"
    shutil.rmtree(modules, ignore_errors=True)
    run([npm, "install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"], cwd=CONTRACTS, env=values)
    installed = json.loads((modules / ".package-lock.json").read_text(encoding="utf-8"))["packages"]
    for path, package in installed.items():
        if package.get("integrity") != locked["packages"].get(path, {}).get("integrity", ""):
            shutil.rmtree(modules)
            raise BootstrapError(f"contracts/package-lock.json has no such hash for {path}: nothing was kept")
    write(modules / ".complete", stamp)


def pip(folder: Path, *arguments: str) -> None:
    """Run an environment's own pip, quietly."""
    command = [str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    run(command, cwd=ROOT, env=environment())


def run(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
    """Run a command whose output is for people; raise BootstrapError naming it when it fails."""
    done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode:
        raise BootstrapError(f"this failed with exit code {done.returncode}, see above: {' '.join(command)}")


def _stamp(name: str) -> Path:
    return VENV / ".stamps" / name


def read(path: Path) -> str:
    """Return a stamp, empty where there is none."""
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def write(path: Path, text: str) -> None:
    """Write a stamp."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare what the options ask for; 0 when all is there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--extra", choices=sorted(CONTAINED_IN), default="node", help="what to install (default: node)")
    parser.add_argument("--no-contracts", action="store_true", help="leave out Node and contracts/node_modules")
    options = parser.parse_args(arguments)
    try:
        prepare(options.extra, contracts=options.extra != "base" and not options.no_contracts)
    except (BootstrapError, OSError, subprocess.CalledProcessError) as error:
        say(f"failed: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
