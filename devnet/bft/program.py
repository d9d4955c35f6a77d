"""Finds the `bft-chain` program.

Looks at the environment variable TIAL_BFT_CHAIN, then asks `scripts/build-bft-chain` for what it has built from the
sources of this tree. It builds nothing itself: that takes minutes, and belongs to a person or to the tests' set-up.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from devnet.processes import ROOT
from ledger.errors import LedgerError

VARIABLE = "TIAL_BFT_CHAIN"
SCRIPT = ROOT / "scripts" / "build_bft_chain.py"
REMEDY = (
    "Run scripts/build-bft-chain, which needs Go 1.25.9 or later and gcc and takes some minutes at the first time; or"
    f" build it elsewhere and set {VARIABLE} to the path of the program"
)
_SECONDS = 60.0


class BftChainNotFoundError(LedgerError):
    """No usable bft-chain program on this machine."""

    code = "bft-chain-not-found"


def find_program() -> Path:
    """Return the path of the program; BftChainNotFoundError says what is missing and how to get it."""
    named = os.environ.get(VARIABLE, "")
    if named:
        path = Path(named)
        if not path.is_file() or not os.access(path, os.X_OK):
            raise BftChainNotFoundError(f"{named} is no program", where=VARIABLE, remedy=REMEDY)
        return path.absolute()
    if not SCRIPT.is_file():
        raise BftChainNotFoundError("the program bft-chain is not installed", where=VARIABLE, remedy=REMEDY)
    found, why = ask_script("--find")
    if not found:
        raise BftChainNotFoundError(f"the program bft-chain is not there: {why}", where=str(SCRIPT), remedy=REMEDY)
    return Path(found)


def ask_script(*arguments: str, timeout: float = _SECONDS) -> tuple[str, str]:
    """Run the build script: the path of the program or "", and why there is none. Without --find it builds."""
    try:
        run = subprocess.run(  # noqa: S603 - our own script
            [sys.executable, str(SCRIPT), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"scripts/build-bft-chain took more than {timeout:.0f} s"
    try:
        told = json.loads(run.stdout)
        return str(told["program"]), str(told["absent"])
    except (ValueError, KeyError, TypeError):
        said = run.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        return "", f"scripts/build-bft-chain failed and said: {said[0][:300]}"
