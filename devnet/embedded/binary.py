"""Finds the anvil program.

Owns the order of places that are looked at: the environment variable TIAL_ANVIL, the npm folder of `contracts/` beside
this package, the PATH. npm puts a small Node script in front of the native program; that script cannot be killed
without leaving its child behind, so the native program itself is returned wherever one is found.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from ledger.errors import LedgerError

NPM_FOLDER = Path(__file__).resolve().parents[2] / "contracts" / "node_modules"
REMEDY = "Run `npm ci` in contracts/, or install anvil elsewhere and set TIAL_ANVIL to the path of the program"


class AnvilNotFoundError(LedgerError):
    """No usable anvil program on this machine."""

    code = "anvil-not-found"


def find_anvil() -> Path:
    """Return the path of the native anvil program; raises AnvilNotFoundError with the places looked at."""
    named = os.environ.get("TIAL_ANVIL", "")
    if named:
        found = _native(Path(named))
        if found is None:
            raise AnvilNotFoundError(f"{named} is no program", where="TIAL_ANVIL", remedy=REMEDY)
        return found
    on_path = shutil.which("anvil")
    for candidate in (NPM_FOLDER / ".bin" / "anvil", Path(on_path) if on_path else None):
        found = _native(candidate) if candidate is not None else None
        if found is not None:
            return found
    raise AnvilNotFoundError("the program anvil is not installed", where=f"{NPM_FOLDER}/.bin, PATH", remedy=REMEDY)


def _native(path: Path) -> Path | None:
    """Follow npm's start script to the program that it would start; None where nothing can be run."""
    if not path.is_file() or not os.access(path, os.X_OK):
        return None
    real = path.resolve()
    with real.open("rb") as stream:
        if stream.read(2) != b"#!":
            return real
    # .../node_modules/@foundry-rs/anvil/bin.mjs -> .../node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil
    known = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    machine = known.get(platform.machine().lower())
    native = real.parent.parent / f"anvil-{sys.platform}-{machine}" / "bin" / "anvil"
    return native if native.is_file() and os.access(native, os.X_OK) else None
