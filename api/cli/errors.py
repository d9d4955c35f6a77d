"""How a command ends: the one place where errors become exit codes and a line for a person or a program.

The codes are part of the interface (see `EXIT_CODES`, which the help text prints): scripts rely on them.
"""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import Any

import orjson

from ledger.errors import LedgerError, RefusedStartError, UnavailableError


class Exit(IntEnum):
    """Exit codes of `tial`."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    REFUSED_START = 3
    UNAVAILABLE = 4
    PARTLY = 5
    INTERRUPTED = 130


EXIT_CODES = {
    Exit.OK: "done; or: valid",
    Exit.REFUSED: "refused, or the input is wrong; or: invalid",
    Exit.USAGE: "the command line or the configuration is wrong",
    Exit.REFUSED_START: "the node refuses to start on this data",
    Exit.UNAVAILABLE: "something did not answer; or: cannot tell",
    Exit.PARTLY: "some rows were rejected, the others are done",
    Exit.INTERRUPTED: "interrupted",
}


class UsageError(LedgerError):
    """Options that do not go together, or one that is missing."""

    code = "usage"


def exit_code(error: LedgerError) -> Exit:
    """The exit code for an error."""
    from node.config import ConfigError  # noqa: PLC0415 - a verifier has no configuration

    if isinstance(error, (ConfigError, UsageError)):
        return Exit.USAGE
    if isinstance(error, RefusedStartError):
        return Exit.REFUSED_START
    if isinstance(error, UnavailableError) or getattr(error, "passing", False):  # the latter: of an ApiError
        return Exit.UNAVAILABLE
    return Exit.REFUSED


def problem(error: LedgerError) -> dict[str, Any]:
    """What a program is told about an error."""
    reason = getattr(error, "reason", "") or error.code
    return {"error": reason, "detail": error.detail, "where": error.where, "remedy": error.remedy}


def report(error: LedgerError, *, as_json: bool) -> None:
    """Tell about an error: one JSON object on stdout for a program, one line on stderr for a person."""
    if as_json:
        sys.stdout.write(orjson.dumps(problem(error)).decode() + "\n")
        sys.stdout.flush()
        return
    told = problem(error)
    name = "" if told["error"] in {"error", "malformed"} else f" [{told['error']}]"
    sys.stderr.write(printable(f"tial:{name} {' '.join(error.explain().split())}") + "\n")


def printable(text: str) -> str:
    """Take out what would steer a terminal: texts come from files and from the node."""
    return "".join(character if character >= " " and character != "\x7f" else "\ufffd" for character in text)
