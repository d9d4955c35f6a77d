"""Fuzzes one target with atheris: `python -m tests.fuzz TARGET POLICY LIBFUZZER-ARGUMENTS...`, in its environment."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ledger", "node"]):
    from ledger.errors import LedgerError
    from tests.fuzz.targets import Trust, targets


def main() -> None:
    """Run until the time is over or the target raises something else than an error of this project."""
    program, name, policy, *arguments = sys.argv
    target = targets(Trust.read(Path(policy)))[name]

    def once(raw: bytes) -> None:
        try:
            target(raw)
        except LedgerError as error:
            error.explain()

    atheris.Setup([program, *arguments], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
