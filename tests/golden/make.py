"""Make the golden replay log of rules version 1 anew, byte for byte: `python -m tests.golden.make`.

A log of all types and all states, in both suites. `rules-1.hex` holds one entry a line; `rules-1.json` the tree root,
and the digest of the whole state after every manifest and at the end. Once a log runs under these rules, neither file
ever changes: a changed rule is a new version with a golden log of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ledger.log.tree import leaf_hash, root_of
from ledger.state.records import AccreditationRecord, ActorRecord, CredentialRecord, DelegationRecord, IdentifierRecord
from ledger.state.transition import transition
from ledger.state.view import MemoryState
from ledger.statements import decode_statement, subjects
from tests.world import DAY, ITEM, PREFIX, Consortium, Party, credential, key, state_digest

FOLDER = Path(__file__).parent
LOG, RESULT = FOLDER / "rules-1.hex", FOLDER / "rules-1.json"
GTIN = "gs1:01/06901234567892/21/A1"


def build() -> list[bytes]:
    """The entries of the golden log."""
    c = Consortium()
    _rights(c)
    _items(c)
    _statuses(c)
    _keys(c)
    _ending(c)
    return c.entries


def _move(c: Consortium, by: Party, sub: str, state: str, role: str, place: Sequence[Any], **more: Any) -> None:
    c.put(c.status(by, sub, state, role, c.touches(*place), **more))


def _rights(c: Consortium) -> None:
    workshop = Party("workshop", "es256")
    c.enrol(workshop, "registrar", by=c.enroller, uscc="91110000600037341L")
    c.delegate(workshop, "vaa/88.118.9", by=c.registrar, parent=PREFIX, rights=["register"], exp=c.now + 20 * DAY)
    c.delegate(c.registrar, "gs1/6901234", exp=c.now + 9 * DAY)
    c.put(c.template(c.authority, "emc/1", body={"classes": ["lamp", "power-supply"], "standards": ["*"]}))
    c.put(c.template(c.authority, "emc/0"))
    c.put(c.template(c.authority, "emc/0", state="withdrawn", seq=1))
    c.accredit(c.accreditor, c.certifier, 2, scope={"templates": ["*"], "standards": ["*"], "sites": ["*"]})
    c.later(60)
    c.put(c.registration(workshop, "vaa:88.118.9/W1", "vaa/88.118.9"))
    sub, place = subjects.delegation("vaa", "88.118.9"), (DelegationRecord, "vaa", "88.118.9")
    _move(c, c.registrar, sub, "revoked", "delegator", place)
    again = {"seq": c.touches(*place), "reclaim": True}
    c.put(c.delegation(c.stranger, "vaa/88.118.9", by=c.registrar, parent=PREFIX, claims=again, exp=c.now + 9 * DAY))
    _given_anew(c)


def _given_anew(c: Consortium) -> None:
    """A delegation that its holder gave away below ends when its own is given anew, and is reclaimed."""
    c.delegate(c.registrar, "vaa/88.200")
    c.delegate(c.stranger, "vaa/88.200.1", by=c.registrar, parent="vaa/88.200")
    above = subjects.delegation("vaa", "88.200")
    _move(c, c.roots[0], above, "revoked", "root", (DelegationRecord, "vaa", "88.200"))
    c.put(c.delegation(c.registrar, "vaa/88.200", claims={"seq": 2, "reclaim": True}, exp=c.now + 9 * DAY))
    again = {"seq": 1, "reclaim": True}
    c.put(c.delegation(
        c.holder, "vaa/88.200.1", by=c.registrar, parent="vaa/88.200", claims=again, exp=c.now + 9 * DAY
    ))  # fmt: skip


def _items(c: Consortium) -> None:
    for n in range(2, 6):
        c.put(c.registration(c.registrar, f"vaa:88.118.8/A{n}", PREFIX, c.holder))
    c.put(c.registration(c.registrar, GTIN, "gs1/6901234", c.holder))
    c.later(1)
    c.put(c.certification(c.certifier, GTIN, 2, claims={"template": "emc/1", "accreditation": 2}))
    c.put(c.certification(c.certifier, "vaa:88.118.8/A2", 3))
    c.put(c.transfer(c.holder, "vaa:88.118.8/A3", c.stranger, seq=1))
    _move(c, c.holder, "vaa:88.118.8/A4", "retired", "holder", (IdentifierRecord, "vaa:88.118.8/A4"))
    again = {"seq": 2, "generation": 2}
    c.put(c.registration(c.registrar, "vaa:88.118.8/A4", PREFIX, c.holder, claims=again))
    c.put(c.certification(c.certifier, "vaa:88.118.8/A4", 4, claims={"generation": 2}))
    c.put(c.transfer(c.holder, "vaa:88.118.8/A4", c.stranger, seq=4, claims={"generation": 2}))
    c.later(3600)


def _statuses(c: Consortium) -> None:
    for by, role in ((c.regulator, "regulator"), (c.registrar, "delegation-holder")):
        for state in ("blocked", "live"):
            _move(c, by, ITEM, state, role, (IdentifierRecord, ITEM))
    _move(c, c.regulator, "vaa:88.118.8/A5", "blocked", "regulator", (IdentifierRecord, "vaa:88.118.8/A5"))
    _move(c, c.holder, GTIN, "retired", "holder", (IdentifierRecord, GTIN))
    first, second, third = ((CredentialRecord, credential(n)) for n in (1, 2, 3))
    earlier = {"effective": c.now - 3000}
    _move(c, c.certifier, credential(1), "suspended", "issuer", first, claims=earlier, body={"note": "recall"})
    _move(c, c.certifier, credential(1), "active", "issuer", first)
    _move(c, c.regulator, credential(2), "suspended", "regulator", second, claims={"reason": "safety"})
    _move(c, c.certifier, credential(2), "revoked", "issuer", second, claims=earlier)
    sub, place = subjects.accreditation(c.certifier.did, 1), (AccreditationRecord, c.certifier.did, 1)
    _move(c, c.accreditor, sub, "suspended", "accreditor", place)
    _move(c, c.accreditor, sub, "active", "accreditor", place)
    _move(c, c.regulator, sub, "revoked", "regulator", place)
    _move(c, c.accreditor, credential(3), "suspended", "accreditor", third)
    sub = subjects.delegation("gs1", "6901234")
    _move(c, c.roots[0], sub, "revoked", "root", (DelegationRecord, "gs1", "6901234"))
    c.later(10)


def _keys(c: Consortium) -> None:
    second, third = key("registrar second", "es256"), key("registrar third")
    c.put(c.rotation(c.registrar, add=[second, third]))
    c.later(DAY)
    c.put(c.rotation(c.registrar, remove=[second]))
    cancel = {"cancel": len(c.entries) - 1}
    seq = {"seq": c.touches(ActorRecord, c.registrar.did)}
    c.put(c.act("rotation", c.registrar, c.registrar.did, seq, cancel, signer=second))
    leaf = decode_statement(c.entries[13]).leaf
    bad = [{"kid": c.registrar.signer.kid, "from": c.now - DAY}]
    body = {"bad": bad, "confirmed": [second.kid], "reconfirmed": [leaf]}
    seq = {"seq": c.touches(ActorRecord, c.registrar.did)}
    c.put(c.act("compromise", c.enroller, c.registrar.did, seq, body))
    c.registrar.signer = second
    c.put(c.registration(c.registrar, "vaa:88.118.8/A6", PREFIX, c.holder))
    new = key("stranger, recovered", "es256")
    bad = [{"kid": c.stranger.signer.kid, "from": c.now}]
    seq = {"seq": c.touches(ActorRecord, c.stranger.did)}
    c.put(c.act("compromise", c.enroller, c.stranger.did, seq, {"bad": bad, "confirmed": []}))
    c.put(c.recovery(c.stranger, new, by=c.enroller))
    c.later(DAY)
    c.stranger.signer = new
    c.put(c.transfer(c.stranger, "vaa:88.118.8/A3", c.holder, seq=2))


def _ending(c: Consortium) -> None:
    c.put(c.log_change(policy={"skew": 120, "max_age": DAY, "rotation_delay": 2 * DAY}))
    c.put(c.log_change(roles={c.stranger.did: ["auditor", "owner"]}, witnesses=[f"witness+{'0' * 8}+{'A' * 44}"]))
    c.later(5)
    c.put(c.new_log_keys(key("cose 2", "es256"), key("note 2")))
    c.later(5)
    c.put(c.log_change(seal={"successor": "5a" * 32}))
    c.later(5)


def replay(entries: Sequence[bytes], state: MemoryState | None = None, first: int = 0) -> tuple[str, dict[str, str]]:
    """Digest of the state after all entries, and after each manifest by its index; raises what the rules raise."""
    state = state or MemoryState()
    manifests = {}
    for index, raw in enumerate(entries, first):
        statement = decode_statement(raw)
        state.apply(transition(state, statement, index))
        if statement.type == "manifest":
            manifests[str(index)] = state_digest(state)
    return state_digest(state), manifests


def result(entries: Sequence[bytes]) -> dict[str, Any]:
    """What stands in the file beside the log."""
    final, manifests = replay(entries)
    return {
        "entries": len(entries),
        "sha256": hashlib.sha256(b"".join(entries)).hexdigest(),
        "root": root_of([leaf_hash(raw) for raw in entries]).hex(),
        "state": final,
        "state_after_manifest": manifests,
    }


def main() -> None:
    """Write both files."""
    entries = build()
    LOG.write_text("".join(f"{raw.hex()}\n" for raw in entries))
    RESULT.write_text(json.dumps(result(entries), indent=2) + "\n")


if __name__ == "__main__":
    main()
