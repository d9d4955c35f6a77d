"""One tree of errors; each can explain itself to a person.

Every error that leaves a public function of this project is a `LedgerError`. It carries what is wrong (`detail`), the
place (`where`: a field path, an offset, a file) and how to mend it (`remedy`). The class attribute `code` is stable:
the API puts it into problem details, the command line maps it to an exit code, tests match it and never the words.
"""

from __future__ import annotations

from typing import ClassVar


class LedgerError(Exception):
    """Base of all errors of this project."""

    code: ClassVar[str] = "error"

    def __init__(self, detail: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.where = where
        self.remedy = remedy

    def explain(self) -> str:
        """One paragraph for a person: what, where, and how to mend it."""
        place = f" (at {self.where})" if self.where else ""
        mend = f". {self.remedy}" if self.remedy else ""
        detail = self.detail.removesuffix(".") if place or mend else self.detail
        return f"{detail}{place}{mend}"

    def __str__(self) -> str:
        return self.explain()


class MalformedError(LedgerError):
    """Input that is not in the one form that we accept (DESIGN rule 11: refuse, do not repair)."""

    code = "malformed"


class CorruptError(LedgerError):
    """Stored data that contradicts itself: the process stops rather than guess."""

    code = "corrupt"


class RefusedStartError(LedgerError):
    """The node will not acknowledge or sign: state, lock, chain or clock leave a doubt (DESIGN rule 6)."""

    code = "refused-start"


class UnavailableError(LedgerError):
    """Something outside did not answer. Never a verdict: callers answer "cannot tell"."""

    code = "unavailable"


class KeyFileError(LedgerError):
    """A key file that cannot or must not be used (wrong passphrase, readable by others, altered)."""

    code = "key-file"


class Rejection(LedgerError):  # noqa: N818 - the field's word for the function's refusal is "rejection"
    """The transition function refused a statement. `reason` is one of the names in ledger.state.reasons."""

    code = "rejected"

    def __init__(self, reason: str, detail: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(detail, where=where, remedy=remedy)
        self.reason = reason
