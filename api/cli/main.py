"""The command `tial`: puts the groups together, and turns every error into a line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from api.cli import (
    assets,
    audit,
    backup,
    chain,
    changes,
    demo,
    evidence,
    init,
    keys,
    log_changes,
    operate,
    parties,
    proofs,
    receipts,
    rights,
    state,
    witness,
)
from api.cli.errors import EXIT_CODES, Exit, exit_code, report
from ledger import __version__
from ledger.errors import LedgerError

_EPILOG = "Exit codes: " + "; ".join(f"{code.value} {meaning}" for code, meaning in EXIT_CODES.items()) + "."

app = typer.Typer(
    name="tial",
    help="Trusted industrial asset ledger: run a node, register identifiers, certify assets, prove it.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tial {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Trusted industrial asset ledger: run a node, register identifiers, certify assets, prove it."""
    del version  # its callback has answered


init.add(app)
operate.add(app)
log_changes.add(operate.log_app)
backup.add(app)
app.add_typer(chain.app, name="chain", rich_help_panel="The node")
app.add_typer(witness.app, name="witness", rich_help_panel="The node")
app.add_typer(keys.app, name="key", rich_help_panel="Parties and keys")
app.add_typer(parties.app, name="actor", rich_help_panel="Parties and keys")
rights.add(app)
assets.add(app)
changes.add(app)
proofs.add(app)
evidence.add(app)
audit.add(app)
app.add_typer(receipts.app, name="receipt", rich_help_panel="Questions and proofs")
app.add_typer(state.app, name="proof", rich_help_panel="Questions and proofs")
demo.add(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code and raises nothing."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(given, prog_name="tial")
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
