"""The one function that decides: state x statement -> changes, or a named rejection (DESIGN rule 3).

It does no I/O, reads no clock, draws no random number and never looks at a document: replay from the log alone gives
the same answer for ever. The node runs it to admit, the auditor to check. `rules` in the log record chooses the version
of the rules; every version that was ever in force stays in the code, and an unknown one stops the process.

Signatures are checked through `verify`, a pure function too. A node passes one that already knows the answers computed
by its verify processes; the default checks on the spot.
"""

from __future__ import annotations

from collections.abc import Callable

from ledger.crypto.suites import suite_by_alg
from ledger.errors import LedgerError
from ledger.state import rules1
from ledger.state.reasons import Reason, refuse
from ledger.state.records import LogRecord
from ledger.state.view import Changes, Verify, View
from ledger.statements import Statement

RULES: dict[int, Callable[[View, Statement, int, Verify], Changes]] = {1: rules1.decide}


class UnknownRulesError(LedgerError):
    """The log runs under a rules version that this code does not know: stop, do not guess."""

    code = "unknown-rules"


def verify_signature(alg: int, key: bytes, message: bytes, signature: bytes) -> bool:
    """Check one signature with the suite that `alg` names."""
    return suite_by_alg(alg).verify(key, message, signature)


def transition(view: View, statement: Statement, index: int, verify: Verify = verify_signature) -> Changes:
    """Decide about `statement` as entry `index` on top of the state in `view`.

    Returns every record that the entry touches, with its new content; raises `Rejection` with a name of
    `ledger.state.reasons`, or `UnknownRulesError`.
    """
    log = view.read(LogRecord)
    if log is None:
        if statement.type != "genesis" or index != 0:
            raise refuse(Reason.GENESIS_MISPLACED)
        version = statement.body["rules"]
    else:
        version = log.rules
    rules = RULES.get(version)
    if rules is None:
        raise UnknownRulesError(
            f"the log runs under rules version {version}; this program knows {sorted(RULES)}",
            where=f"entry {index}",
            remedy="Install a release that knows it",
        )
    return rules(view, statement, index, verify)
