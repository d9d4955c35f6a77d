"""A small consortium to test with: root authorities, a log, and parties that act on it.

Real statements through the real codec and the real transition function; the only thing left out is a node. Keys come
from fixed seeds so that golden logs can be made again byte for byte.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec

import pytest

from ledger.crypto.suites import Signer, suite_by_name
from ledger.errors import Rejection
from ledger.identifiers.did_key import did_key
from ledger.log.note_key import note_key_text
from ledger.state.reasons import Reason
from ledger.state.records import KIND_OF, ActorRecord, BatchRecord, LogRecord, Part, encode_record, record_key
from ledger.state.rules1.log import log_did
from ledger.state.transition import transition
from ledger.state.tree import fold, leaf_hash, record_hash
from ledger.state.view import MemoryState
from ledger.statements import Draft, Statement, decode_statement, make_consent, sign, subjects

P = ParamSpec("P")
START = 1_750_000_000
DAY = 86_400
YEAR = 365 * DAY
FOREVER = START + 50 * YEAR
ITEM = "vaa:88.118.8/A1"
PREFIX = "vaa/88.118"
ADMITTED: Counter[str] = Counter()
"""How many statements of each type all worlds of this process admitted."""


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


def note_entry(note: Signer, cose: Signer, log_id: bytes = b"") -> dict[str, Any]:
    """A note key with its proof: for a genesis, or for a change of the log with this id."""
    proof = note.sign(note_key_text("example.org/log", log_id, cose.public_key))
    return {"alg": note.suite.alg, "key": note.public_key, "proof": proof}


def genesis_draft(cose: Signer, note: Signer, roots: Sequence[Party], threshold: int = 2, **body: Any) -> Draft:
    """The genesis of a test log; `body` may override any member."""
    return Draft(
        type="genesis", iss=did_key(cose.public_key, cose.suite.name), sub=subjects.origin("example.org/log"),
        aud=None, iat=START,
        body={
            "origin": "example.org/log",
            "keys": {
                "cose": {"alg": cose.suite.alg, "key": cose.public_key},
                "note": note_entry(note, cose),
            },
            "root": {"members": [member(p) for p in roots], "threshold": threshold},
            "suites": [-8, -7],
            "policy": {"skew": 300, "max_age": DAY, "rotation_delay": DAY},
            "rules": 1,
            **body,
        },
    )  # fmt: skip


class World:
    """A log under construction, entry by entry, with log time under the test's control."""

    def __init__(self, threshold: int = 2, members: int = 3, skew: int = 300, rotation_delay: int = DAY) -> None:
        self.state = MemoryState()
        self.entries: list[bytes] = []
        self.counts: Counter[str] = Counter()
        self.roots = [Party(f"root {n}") for n in range(members)]
        self.cose, self.note = key("cose"), key("note")
        self.log_id = b""
        draft = genesis_draft(
            self.cose, self.note, self.roots, threshold,
            policy={"skew": skew, "max_age": DAY, "rotation_delay": rotation_delay},
        )  # fmt: skip
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
        ADMITTED[st.type] += 1
        return st

    def fork(self) -> Any:
        """A twin that goes its own way from here."""
        twin = copy.copy(self)
        twin.state = MemoryState()
        twin.state.records = dict(self.state.records)
        twin.entries, twin.counts = list(self.entries), Counter(self.counts)
        return twin

    def touches(self, kind: type[Any], *parts: Part) -> int:
        """The count of a record that must exist: what the next statement about it says as seq."""
        record = self.state.read(kind, *parts)
        assert record is not None
        return int(record.touches)

    def close(self, time: int, **changes: Any) -> None:
        """Close the open batch at `time`, which becomes log time."""
        self.put(self.manifest(time, **changes))
        self.counts = Counter()

    def manifest(self, time: int, *, sub: str = "", signer: Signer | None = None, **changes: Any) -> bytes:
        """The manifest of the open batch; `changes` may override any member of its body."""
        batch = self.state.read(BatchRecord)
        assert batch is not None
        body = {
            "first": batch.first, "count": len(self.entries) - batch.first, "counts": dict(self.counts),
            "rules": self.log.rules, "state": state_root(self.state), "began": batch.time, **changes,
        }  # fmt: skip
        sub = sub or f"batch:{batch.number + 1}"
        draft = Draft("manifest", log_did(self.log), sub, self.log_id.hex(), time, body=body)
        return sign(draft, signer or self.cose)

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

    def act(
        self,
        kind: str,
        by: Party,
        sub: str,
        claims: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        consents: Iterable[Party] = (),
        signer: Signer | None = None,
        **fields: Any,
    ) -> bytes:
        """Any statement, signed by `by` (with `signer` where given), with the consents of these parties."""
        draft = self.draft(kind, by.did, sub, claims, body, **fields)
        signer = signer or by.signer
        digest = draft.consent_digest(signer) if consents else b""
        return sign(draft, signer, [p.consent(digest) for p in consents])

    def log_change(
        self, *, consents: Iterable[Party] | None = None, seq: int | None = None, signer: Signer | None = None,
        sub: str = "", **body: Any,
    ) -> bytes:  # fmt: skip
        """A `log` statement that changes what `body` names."""
        log = Party("cose")
        log.did = log_did(self.log)
        return self.act(
            "log", log, sub or f"log:{self.log_id.hex()}", {"seq": self.log.touches if seq is None else seq}, body,
            consents=self.roots[:2] if consents is None else consents, signer=signer or self.cose,
        )  # fmt: skip

    def new_log_keys(self, cose: Signer, note: Signer, *, proof: Mapping[str, Any] | None = None) -> bytes:
        """A change of the log's keys, which this world signs with from now on."""
        new = Party("new cose")
        new.signer, new.did = cose, did_key(cose.public_key, cose.suite.name)
        keys = {
            "cose": {"alg": cose.suite.alg, "key": cose.public_key},
            "note": proof or note_entry(note, cose, self.log_id),
        }
        consents = self.roots[:2] if cose.kid == self.cose.kid else [*self.roots[:2], new]
        raw = self.log_change(consents=consents, keys=keys)
        self.cose, self.note = cose, note
        return raw

    def root_consents(self, draft: Draft, signer: Signer, roots: Sequence[Party] | None = None) -> list[bytes]:
        digest = draft.consent_digest(signer)
        return [p.consent(digest) for p in (self.roots[:2] if roots is None else roots)]

    # -- common acts -----------------------------------------------------------------------------------------------

    def enrol(self, party: Party, *roles: str, by: Party | None = None, **body: Any) -> Statement:
        """Enrol a party by the root threshold, or by an enroller."""
        return self.put(self.enrolment(party, *roles, consents=[by] if by else self.roots[:2], **body))

    def enrolment(
        self, party: Party, *roles: str, consents: Iterable[Party], signer: Signer | None = None, sub: str = "",
        **body: Any,
    ) -> bytes:  # fmt: skip
        """An enrolment with the consents of these parties."""
        whole = {"keys": [key_entry(party.signer)], "roles": list(roles), "name": party.name, **body}
        return self.act("actor", party, sub or party.did, body=whole, consents=consents, signer=signer)

    def rotation(
        self, party: Party, *, add: Sequence[Signer] = (), remove: Sequence[Signer] = (), seq: int | None = None,
        consents: Sequence[Signer] | None = None, signer: Signer | None = None, entries: Any = None,
    ) -> bytes:  # fmt: skip
        """A rotation, each new key consenting unless `consents` says otherwise."""
        body: dict[str, Any] = {}
        if add or entries:
            body["add"] = entries or [key_entry(s) for s in add]
        if remove:
            body["remove"] = [s.kid for s in remove]
        claims = {"seq": self.touches(ActorRecord, party.did) if seq is None else seq}
        draft = self.draft("rotation", party.did, party.did, claims, body)
        signer = signer or party.signer
        digest = draft.consent_digest(signer)
        agreeing = add if consents is None else consents
        return sign(draft, signer, [make_consent(s, party.did, FOREVER, digest) for s in agreeing])

    def recovery(
        self, party: Party, new: Signer, *, by: Party, consents: Sequence[Party] | None = None,
        agreeing: Sequence[Signer] | None = None, **body: Any,
    ) -> bytes:  # fmt: skip
        """A rotation that somebody else asks for: one new key, with the consents of root authorities."""
        claims = {"seq": self.touches(ActorRecord, party.did)}
        draft = self.draft("rotation", by.did, party.did, claims, {"add": [key_entry(new)], **body})
        digest = draft.consent_digest(by.signer)
        new_keys = [make_consent(s, party.did, FOREVER, digest) for s in ([new] if agreeing is None else agreeing)]
        roots = self.roots[:2] if consents is None else consents
        return sign(draft, by.signer, [*new_keys, *(p.consent(digest) for p in roots)])

    def delegate(
        self, holder: Party, prefix: str, *, by: Party | None = None, parent: str | None = None, **more: Any
    ) -> Statement:
        """Delegate `scheme/prefix` to `holder`: by the root, or by the holder of `parent`."""
        return self.put(self.delegation(holder, prefix, by=by, parent=parent, **more))

    def delegation(
        self, holder: Party, prefix: str, *, by: Party | None = None, parent: str | None = None, **more: Any
    ) -> bytes:
        """A delegation; `claims` and fields of the draft may be overridden."""
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
        return sign(draft, actor.signer, consents)

    def registration(self, by: Party, sub: str, delegation: str, holder: Party | None = None, **more: Any) -> bytes:
        claims = {"holder": (holder or by).did, "delegation": delegation, **more.pop("claims", {})}
        digest = more.pop("digest", hashlib.sha256(sub.encode()).digest())
        return sign(self.draft("registration", by.did, sub, claims, digest=digest, **more), by.signer)

    def approve_template(self, by: Party, ref: str = "product-safety/1", **claims: Any) -> Statement:
        return self.put(self.template(by, ref, **claims))

    def template(
        self, by: Party, ref: str = "product-safety/1", *, body: Mapping[str, Any] | None = None, **claims: Any
    ) -> bytes:
        template_id, version = ref.split("/")
        whole = {
            "name": "Product safety", "mapping": {"identifier": "/credentialSubject/id"}, "standards": ["GB 4943.1"],
            "classes": ["*"], **(body or {}),
        }  # fmt: skip
        return self.act(
            "template", by, subjects.template(template_id, version),
            {"industry": "c39", "schema": bytes(32), "state": "approved", **claims}, whole,
        )  # fmt: skip

    def accredit(self, by: Party, certifier: Party, number: int = 1, **more: Any) -> Statement:
        return self.put(self.accreditation(by, certifier, number, **more))

    def accreditation(self, by: Party, certifier: Party, number: int = 1, **more: Any) -> bytes:
        scope: dict[str, Any] = {
            "templates": ["product-safety/1"], "standards": ["GB 4943.1"], "classes": ["power-supply"], "sites": ["S1"],
        }  # fmt: skip
        scope |= more.pop("scope", {})
        return self.act(
            "accreditation", by, subjects.accreditation(certifier.did, number),
            {"certifier": certifier.did, **more.pop("claims", {})}, scope,
            **{"nbf": self.now - DAY, "exp": self.now + YEAR, **more},
        )  # fmt: skip

    def transfer(self, by: Party, sub: str, holder: Party, **more: Any) -> bytes:
        claims = {"holder": holder.did, "seq": more.pop("seq"), **more.pop("claims", {})}
        return self.act("transfer", by, sub, claims, {}, **{"consents": [holder], **more})

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


class Consortium(World):
    """A log with a party in every role, a delegation, a template, an accreditation, an item and its certificate."""

    def __init__(self, **policy: int) -> None:
        super().__init__(**policy)
        self.enroller, self.accreditor = Party("enroller"), Party("accreditor")
        self.authority, self.regulator = Party("authority"), Party("regulator")
        self.registrar, self.certifier = Party("registrar"), Party("certifier")
        self.holder, self.stranger = Party("holder", "es256"), Party("stranger")
        self.enrol(self.enroller, "enroller")
        self.enrol(self.accreditor, "accreditor")
        self.enrol(self.authority, "template-authority")
        self.enrol(self.regulator, "regulator")
        self.enrol(self.registrar, "registrar", by=self.enroller)
        self.enrol(self.certifier, "certifier", by=self.enroller)
        self.enrol(self.holder, "owner", by=self.enroller)
        self.enrol(self.stranger, by=self.enroller)
        self.delegate(self.registrar, PREFIX)
        self.approve_template(self.authority)
        self.accredit(self.accreditor, self.certifier)
        self.put(self.registration(self.registrar, ITEM, PREFIX, self.holder))
        self.put(self.certification(self.certifier, ITEM))
        self.close(self.now)


def state_digest(state: MemoryState) -> str:
    """SHA-256 over all records, encoded, in the order of their keys."""
    rows = {record_key(KIND_OF[place[0]], *place[1:]): encode_record(record) for place, record in state.records.items()}
    return hashlib.sha256(b"".join(k + hashlib.sha256(v).digest() for k, v in sorted(rows.items()))).hexdigest()


def state_root(state: MemoryState) -> bytes:
    """Root of the state tree over all records."""
    rows = {record_key(KIND_OF[place[0]], *place[1:]): encode_record(record) for place, record in state.records.items()}
    keys = sorted(rows)
    leaves = [leaf_hash(key, record_hash(rows[key])) for key in keys]
    return fold([int.from_bytes(key, "big") for key in keys], leaves, 0)


def must_refuse(reason: Reason, world: World, raw: bytes) -> Rejection:
    """Assert that `world` refuses the statement for exactly this reason, and stays as it was."""
    before = dict(world.state.records)
    with pytest.raises(Rejection) as caught:
        world.put(raw)
    assert caught.value.reason == reason.value, caught.value.explain()
    assert world.state.records == before
    return caught.value


def accepts(*types: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Mark a test that must see statements of these types admitted; it fails if none was."""

    def mark(test: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(test)
        def checked(*args: P.args, **kwargs: P.kwargs) -> None:
            before = Counter(ADMITTED)
            test(*args, **kwargs)
            assert not [name for name in types if ADMITTED[name] == before[name]]

        return checked

    return mark
