"""Drafts of statements about the log itself: a change of its keys, and its seal (DESIGN section 4).

Owns what such a draft must repeat of the log's present state, and which of the log's own keys consent to it. The root
threshold consents as to any act of several parties (`api.acts`).
"""

from __future__ import annotations

from typing import Any

from api.acts import Act
from api.answers import LogInfo
from api.client import Client
from ledger.crypto.suites import Signer
from ledger.errors import MalformedError
from ledger.identifiers.did_key import did_key
from ledger.log.note_key import prove_note_key
from ledger.statements import Draft

CONSENT_SECONDS = 30 * 86_400


def change_keys(client: Client, current: Signer, cose: Signer | None, note: Signer | None, now: int) -> Act:
    """A change of the log's keys to `cose` and `note`, those not given staying; `current` is the cose key in force.

    A new cose key has consented in it already, a new note key has signed its proof.

    Raises:
        MalformedError: nothing is to change, or the node does not tell what the log is.

    """
    info = client.log()
    keys = _present_keys(info)
    if cose is not None:
        keys["cose"] = {"alg": cose.suite.alg, "key": cose.public_key}
    if note is not None:
        proof = prove_note_key(note, info.origin, info.log_id, keys["cose"]["key"])
        keys["note"] = {"alg": note.suite.alg, "key": note.public_key, "proof": proof}
    if cose is None and note is None:
        raise MalformedError("There is no new key", where="keys", remedy="Run `tial log next-keys` first")
    act = Act.of(_about_log(client, info, {"keys": keys}, now), current)
    if cose is not None:
        act = act.consented(cose, did_key(cose.public_key, cose.suite.name), now + CONSENT_SECONDS)
    return act


def seal(client: Client, current: Signer, successor: bytes, now: int) -> Act:
    """The seal of the log, in favour of the log `successor` (its id; 32 zero bytes: none)."""
    info = client.log()
    if successor == info.log_id:
        raise MalformedError("A log cannot follow itself", where="successor", remedy="Make the successor first")
    return Act.of(_about_log(client, info, {"seal": {"successor": successor.hex()}}, now), current)


def _present_keys(info: LogInfo) -> dict[str, Any]:
    note = info.raw["keys"]["note"][-1]
    return {
        "cose": {"alg": info.cose_alg, "key": info.cose_key},
        "note": {"alg": int(note["alg"]), "key": bytes.fromhex(note["key"])},
    }


def _about_log(client: Client, info: LogInfo, body: dict[str, Any], now: int) -> Draft:
    subject = f"log:{info.log_id.hex()}"
    view = client.lookup(subject)
    if view is None:
        raise MalformedError("The node knows no record of its own log", where=subject)
    return Draft(
        type="log", iss=str(info.raw["cose"]["did"]), sub=subject, aud=info.log_id.hex(), iat=now,
        claims={"seq": view.touches}, body=body,
    )  # fmt: skip
