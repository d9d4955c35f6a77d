"""Commands as somebody else would run them: a process of its own, by its words, where asked for without any network.

Owns how such a command is started and shown. A network namespace of its own has no interface that is up, not even
loopback: what runs in it can ask nobody. Where the system permits no such namespace, the caller is told.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from api.demo.processes import environment
from ledger.errors import UnavailableError

PATIENCE: Final = 120.0
_CUT_OFF: Final = ("unshare", "--user", "--map-root-user", "--net")


@dataclass(frozen=True, slots=True)
class Ran:
    """A command as it is shown, its exit code, and what it said."""

    shown: str
    code: int
    said: str
    complaint: str

    @property
    def json(self) -> dict[str, Any]:
        """What it said, as JSON; empty where it is none."""
        try:
            found = json.loads(self.said)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@cache
def can_cut_off() -> bool:
    """Whether this system lets us start a process without a network."""
    if shutil.which(_CUT_OFF[0]) is None:
        return False
    return subprocess.run([*_CUT_OFF, "true"], capture_output=True, check=False).returncode == 0  # noqa: S603


def run(
    arguments: Sequence[str], folder: Path, *, shown: str, cut_off: bool = False, more: Mapping[str, str] | None = None
) -> Ran:
    """Run `python ARGUMENTS` in `folder`, cut off from every network if asked for and possible.

    `shown` is the command as a person would write it, `more` goes into its environment.

    Raises:
        UnavailableError: it does not end.

    """
    prefix = _CUT_OFF if cut_off and can_cut_off() else ()
    command = [*prefix, sys.executable, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - our own modules
            command, cwd=folder, env={**environment(), **(more or {})}, capture_output=True, text=True,
            timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"This does not end: {shown}", where=str(folder)) from error
    return Ran(("unshare -rn " if prefix else "") + shown, done.returncode, done.stdout, done.stderr)
