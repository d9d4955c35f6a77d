"""The keys that may have signed a statement: what step 4 tries.

Owns where such keys are found: the log's and its root's, those of the actors that signed or consented, and those that
the statement itself introduces. Whether a key was in force is step 11's question. Trusts the view that it is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ledger.evidence.steps import PublicKey
from ledger.state.records import ActorRecord, LogRecord
from ledger.state.view import View
from ledger.statements import Statement


def possible_keys(statement: Statement, view: View, logs: Iterable[LogRecord | None]) -> list[PublicKey]:
    """Every key of the parties to `statement`; `logs` are the log's parameters now and when it was admitted."""
    keys = [PublicKey(member["alg"], member["key"]) for member in _introduced(statement)]
    for log in logs:
        if log is not None:
            keys.append(PublicKey(*log.cose))
            keys += [PublicKey(member.alg, member.key) for member in log.members]
    for did in dict.fromkeys([statement.iss, *(consent.iss for consent in statement.consents)]):
        actor = view.read(ActorRecord, did)
        if actor is not None:
            waiting = actor.pending.add if actor.pending is not None else ()
            keys += [PublicKey(key.alg, key.key) for key in (*actor.keys, *waiting)]
    return keys


def _introduced(statement: Statement) -> list[dict[str, Any]]:
    """Keys that a statement introduces itself; their authority is step 11's question."""
    body = statement.body
    if statement.type == "genesis":
        return [body["keys"]["cose"], *body["root"]["members"]]
    if statement.type == "log":
        keys = [body["keys"]["cose"]] if "keys" in body else []
        return keys + (body["root"]["members"] if "root" in body else [])
    return list(body["keys"] if statement.type == "actor" else body.get("add", ()))
