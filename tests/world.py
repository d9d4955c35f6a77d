"""A small consortium to test with: root authorities, a log, and parties that act on it.

Real statements through the real codec and the real transition function; the only thing left out is a node. Keys come
from fixed seeds so that golden logs can be made again byte for byte.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ledger.crypto.suites import Signer, suite_by_name
from ledger.identifiers.did_key import did_key
from ledger.state.records import BatchRecord, LogRecord
from ledger.state.rules1.log import log_did
from ledger.state.transition import transition
from ledger.state.view import MemoryState
from ledger.statements import Draft, Statement, decode_statement, make_consent, sign, subjects

START = 1_750_000_000
DAY = 86_400
YEAR = 365 * DAY
FOREVER = START + 50 * YEAR


class Party:
    """Somebody with keys. `did` is the did:key of the first."""

    def __init__(self, name: str, suite: str = "ed25519") -> None:
        self.name = name
        self.signer = key(name, suite)
        self.did = did_key(self.signer.public_key, suite)

    def consent(self, digest: bytes, exp: int = FOREVER, signer: Signer | None = None) -> bytes:
        return make_consent(signer or self.signer, self.did, exp, digest)


def key(name: str, suite: str = "ed25519") -> Signer:
    """A signer from a fixed seed."""
    return suite_by_name(suite).from_secret(hashlib.sha256(name.encode()).digest())


def member(party: Party) -> dict[str, Any]:
    return {"did": party.did, "alg": party.signer.suite.alg, "key": party.signer.public_key}


def key_entry(signer: Signer, purposes: Sequence[str] = ("consent", "statement"), **dates: int) -> dict[str, Any]:
    return {"alg": signer.suite.alg, "key": signer.public_key, "purposes": list(purposes), **dates}


class World:
    """A log under construction, entry by entry, with log time under the test's control."""

    def __init__(self, threshold: int = 2, members: int = 3, skew: int = 300, rotation_delay: int = DAY) -> None:
        self.state = MemoryState()
        self.entries: list[bytes] = []
        self.counts: Counter[str] = Counter()
        self.roots = [Party(f"root {n}") for n in range(members)]
        self.cose, self.note = key("cose"), key("note")
        self.log_id = b""
        draft = Draft(
            type="genesis",
            iss=did_key(self.cose.public_key, "ed25519"),
            sub=subjects.origin("example.org/log"),
            aud=None,
            iat=START,
            body={
                "origin": "example.org/log",
                "keys": {
                    "cose": {"alg": -8, "key": self.cose.public_key},
                    "note": {"alg": -8, "key": self.note.public_key},
                },
                "root": {"members": [member(p) for p in self.roots], "threshold": threshold},
                "suites": [-8, -7],
                "policy": {"skew": skew, "max_age": DAY, "rotation_delay": rotation_delay},
                "rules": 1,
            },
        )
        self.genesis = draft
        digest = draft.consent_digest(self.cose)
        self.put(sign(draft, self.cose, [p.consent(digest) for p in self.roots[:threshold]]))
        self.log_id = decode_statement(self.entries[0]).leaf
        self.close(START)

    # -- the log ---------------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        batch = self.state.read(BatchRecord)
        return START if batch is None else batch.time

    @property
    def log(self) -> LogRecord:
        record = self.state.read(LogRecord)
        assert record is not None
        return record

    def put(self, raw: bytes) -> Statement:
        """Admit a statement, or raise its rejection; the state changes only when it is admitted."""
        st = decode_statement(raw)
        self.state.apply(transition(self.state, st, len(self.entries)))
        self.entries.append(raw)
        self.counts[st.type] += 1
        return st

    def close(self, time: int, **changes: Any) -> None:
        """Close the open batch at `time`, which becomes log time."""
        batch = self.state.read(BatchRecord)
        assert batch is not None
        body = {
            "first": batch.first, "count": len(self.entries) - batch.first, "counts": dict(self.counts),
            "rules": self.log.rules,
        }  # fmt: skip
        body.update(changes)
        self.put(
            sign(
                Draft("manifest", log_did(self.log), f"batch:{batch.number + 1}", self.log_id.hex(), time, body=body),
                self.cose,
            )
        )
        self.counts = Counter()

    def later(self, seconds: int) -> None:
        """Let log time pass."""
        self.close(self.now + seconds)

    # -- statements ------------------------------------------------------------------------------------------------

    def draft(
        self,
        kind: str,
        iss: str,
        sub: str,
        claims: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Draft:
        """A draft for this log, made now; `fields` may override anything."""
        digest = fields.pop("digest", None)
        if digest is None and body is None:
            body = {}
        return Draft(
            **{
                "type": kind, "iss": iss, "sub": sub, "aud": self.log_id.hex(), "iat": self.now,
                "claims": claims or {}, "body": body, "digest": digest, **fields,
            }
        )  # fmt: skip

    def root_consents(self, draft: Draft, signer: Signer, roots: Sequence[Party] | None = None) -> list[bytes]:
        digest = draft.consent_digest(signer)
        return [p.consent(digest) for p in (self.roots[:2] if roots is None else roots)]

    # -- common acts -----------------------------------------------------------------------------------------------

    def enrol(self, party: Party, *roles: str, by: Party | None = None, **body: Any) -> Statement:
        """Enrol a party by the root threshold, or by an enroller."""
        draft = self.draft(
            "actor", party.did, party.did,
            body={"keys": [key_entry(party.signer)], "roles": list(roles), "name": party.name, **body},
        )  # fmt: skip
        digest = draft.consent_digest(party.signer)
        consents = [by.consent(digest)] if by else [p.consent(digest) for p in self.roots[:2]]
        return self.put(sign(draft, party.signer, consents))

    def delegate(
        self, holder: Party, prefix: str, *, by: Party | None = None, parent: str | None = None, **more: Any
    ) -> Statement:
        """Delegate `scheme/prefix` to `holder`: by the root, or by the holder of `parent`."""
        scheme, _, tail = prefix.partition("/")
        claims: dict[str, Any] = {"holder": holder.did, "rights": more.pop("rights", ["delegate", "register"])}
        if parent is not None:
            claims["delegation"] = parent
        claims |= more.pop("claims", {})
        actor = by or self.roots[0]
        draft = self.draft(
            "delegation", actor.did, subjects.delegation(scheme, tail), claims,
            **{"nbf": self.now - DAY, "exp": self.now + YEAR, **more},
        )  # fmt: skip
        consents = () if by else self.root_consents(draft, actor.signer, self.roots[1:2])
        return self.put(sign(draft, actor.signer, consents))

    def registration(self, by: Party, sub: str, delegation: str, holder: Party | None = None, **more: Any) -> bytes:
        claims = {"holder": (holder or by).did, "delegation": delegation, **more.pop("claims", {})}
        digest = more.pop("digest", hashlib.sha256(sub.encode()).digest())
        return sign(self.draft("registration", by.did, sub, claims, digest=digest, **more), by.signer)

    def approve_template(self, by: Party, ref: str = "product-safety/1", **claims: Any) -> Statement:
        template_id, version = ref.split("/")
        return self.put(
            sign(
                self.draft(
                    "template", by.did, subjects.template(template_id, version),
                    {"industry": "c39", "schema": bytes(32), "state": "approved", **claims},
                    {
                        "name": "Product safety", "mapping": {"identifier": "/credentialSubject/id"},
                        "standards": ["GB 4943.1"], "classes": ["*"],
                    },
                ),
                by.signer,
            )
        )  # fmt: skip

    def accredit(self, by: Party, certifier: Party, number: int = 1, **more: Any) -> Statement:
        scope: dict[str, Any] = {
            "templates": ["product-safety/1"], "standards": ["GB 4943.1"], "classes": ["power-supply"], "sites": ["S1"],
        }  # fmt: skip
        scope |= more.pop("scope", {})
        draft = self.draft(
            "accreditation", by.did, subjects.accreditation(certifier.did, number), {"certifier": certifier.did}, scope,
            **{"nbf": self.now - DAY, "exp": self.now + YEAR, **more},
        )  # fmt: skip
        return self.put(sign(draft, by.signer))

    def certification(self, by: Party, identifier: str, number: int = 1, **more: Any) -> bytes:
        claims = {
            "identifier": identifier, "template": "product-safety/1", "class": "power-supply", "site": "S1",
            "standard": "GB 4943.1", "accreditation": 1, **more.pop("claims", {}),
        }  # fmt: skip
        fields = {"nbf": self.now, "exp": self.now + YEAR, "digest": bytes(32), **more}
        return sign(self.draft("certification", by.did, credential(number), claims, **fields), by.signer)

    def status(self, by: Party, sub: str, state: str, role: str, seq: int, **more: Any) -> bytes:
        claims = {
            "state": state, "reason": "unspecified", "role": role, "effective": self.now, "seq": seq,
            **more.pop("claims", {}),
        }  # fmt: skip
        draft = self.draft("status", by.did, sub, claims, **more)
        consents = self.root_consents(draft, by.signer, self.roots[1:2]) if role == "root" else ()
        return sign(draft, by.signer, consents)


def credential(number: int) -> str:
    """The subject of the `number`-th credential of a test."""
    return subjects.credential(str(uuid.UUID(int=number)))
