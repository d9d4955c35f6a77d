"""The command `tial`: puts the groups together, and turns every error into a line and an exit code.

A module of commands is imported when one of its words is given, all of them for the help: most need the node's
packages, which take the better part of a second, and `tial verify` needs none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Annotated, Final, NamedTuple

import typer

from api.cli.errors import EXIT_CODES, Exit, exit_code, report
from ledger import __version__
from ledger.errors import LedgerError

_EPILOG = "Exit codes: " + "; ".join(f"{code.value} {meaning}" for code, meaning in EXIT_CODES.items()) + "."

_NODE: Final = "The node"
_KEYS: Final = "Parties and keys"
_PROOFS: Final = "Questions and proofs"


class _Part(NamedTuple):
    """A module of `api.cli` and the words that it adds: by its `add`, or as one group, its `app`, under `panel`."""

    module: str
    words: tuple[str, ...]
    panel: str | None = None


PARTS: Final = (
    _Part("init", ("init", "serve")),
    _Part("operate", ("anchor", "index", "log")),
    _Part("backup", ("backup", "restore")),
    _Part("chain", ("chain",), _NODE),
    _Part("witness", ("witness",), _NODE),
    _Part("keys", ("key",), _KEYS),
    _Part("parties", ("actor",), _KEYS),
    _Part("rights", ("delegate", "accredit", "template")),
    _Part("assets", ("register", "certify")),
    _Part("changes", ("status", "transfer", "consent")),
    _Part("proofs", ("show", "verify")),
    _Part("discover", ("discover",)),
    _Part("evidence", ("evidence", "policy")),
    _Part("seal", ("seal",), _PROOFS),
    _Part("history", ("history",)),
    _Part("promise", ("promise",), _PROOFS),
    _Part("request", ("request",), _PROOFS),
    _Part("audit", ("mirror", "audit", "audit-report", "monitor", "split-view")),
    _Part("receipts", ("receipt",), _PROOFS),
    _Part("state", ("proof",), _PROOFS),
    _Part("demo", ("demo",)),
)
"""All commands, in the order of the help."""


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tial {__version__}")
        raise typer.Exit


def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Trusted industrial asset ledger: run a node, register identifiers, certify assets, prove it."""
    del version  # its callback has answered


@cache
def assemble(parts: tuple[_Part, ...] = PARTS) -> typer.Typer:
    """Return the command line with these parts."""
    app = typer.Typer(
        name="tial",
        help="Trusted industrial asset ledger: run a node, register identifiers, certify assets, prove it.",
        epilog=_EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )
    app.callback()(options)
    for part in parts:
        module = import_module(f"api.cli.{part.module}")
        if part.panel is None:
            module.add(app)
        else:
            app.add_typer(module.app, name=part.words[0], rich_help_panel=part.panel)
    return app


def _wanted(given: Sequence[str]) -> tuple[_Part, ...]:
    """The part whose word comes first; all of them where that is no command."""
    return tuple(part for part in PARTS if given and given[0] in part.words) or PARTS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code and raises nothing."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        assemble(_wanted(given))(given, prog_name="tial")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except LedgerError as error:
        report(error, as_json="--json" in given)
        return exit_code(error)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except OSError as error:
        place = str(error.filename or "")
        refused = LedgerError(f"The operating system refused: {error.strerror or error}", where=place)
        report(refused, as_json="--json" in given)
        return Exit.REFUSED
    return Exit.OK


def run() -> None:
    """Entry point of the console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()
