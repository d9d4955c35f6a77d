"""Rules version 1. Frozen once a log runs under it: a changed rule is a new version beside this one.

One module per family of acts; `context` holds what all acts share (envelope, signer, consents, touching records).
"""

from __future__ import annotations

from collections.abc import Callable

from ledger.state.records import LogRecord
from ledger.state.rules1 import actors, assets, log, rights, status
from ledger.state.rules1.context import Act
from ledger.state.view import Changes, Verify, View
from ledger.statements import Statement

DECIDERS: dict[str, Callable[[Act], None]] = {
    "log": log.change,
    "manifest": log.close_batch,
    "actor": actors.enrol,
    "rotation": actors.rotate,
    "compromise": actors.compromise,
    "delegation": rights.delegate,
    "template": rights.template,
    "accreditation": rights.accredit,
    "registration": assets.register,
    "transfer": assets.transfer,
    "certification": assets.certify,
    "status": status.change,
}


def decide(view: View, statement: Statement, index: int, verify: Verify) -> Changes:
    """Apply rules version 1: see `ledger.state.transition.transition`."""
    record = view.read(LogRecord)
    if record is None:
        return log.begin(view, statement, verify)
    act = Act(view, statement, index, verify, record)
    act.check_envelope()
    DECIDERS[statement.type](act)
    return act.changes


__all__ = ["decide"]
