"""From what a person wants to the statement that says it: drafts of every act, and acts on their way between parties.

Owns the look-ups that an act needs and nobody should have to type: the log's id, the sequence number of a record, its
generation, a time in which a change may take effect, the delegation that covers an identifier. Decides nothing: the
node's transition function does. An `Act` is a statement that still lacks its signature and perhaps consents; it travels
as a small file (deterministic CBOR) between the parties that must agree (DESIGN section 4).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from api.answers import LogInfo, RecordView
from api.client import Client
from ledger.crypto.suites import Signer
from ledger.errors import MalformedError
from ledger.identifiers import SCHEMES, Identifier, identify, parse, parse_subject, subject
from ledger.identifiers.did_key import did_key
from ledger.statements import (
    Draft,
    cbor,
    consent_digest,
    cose,
    decode_consent,
    decode_statement,
    make_consent,
    subjects,
)
from ledger.statements.header import read_header

FORMAT: Final = "tial-act-v1"
DAY: Final = 86_400
MAX_ACT: Final = 1 << 17
EFFECTIVE_SLACK: Final = 60
"""Seconds that a change lies back when the log has been idle: inside the skew, and never ahead of log time."""
VALID_SLACK: Final = 5
"""Seconds by which a validity that begins now begins earlier: log time, which judges it, may be two seconds behind."""
_REMEMBERED: Final = 1 << 16


# -- acts of several parties -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Act:
    """A statement before its signature: header and payload as they will be signed, and the consents so far.

    `log_id` has 32 bytes, none for a genesis. `body` is the payload map without consents, encoded. The header names the
    key that must sign, so whoever consents knows by whom.
    """

    log_id: bytes
    protected: bytes
    body: bytes
    consents: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, draft: Draft, signer: Signer) -> Act:
        """Fix a draft that `signer` is going to sign."""
        return cls(bytes.fromhex(draft.aud or ""), draft.protected(signer), cbor.encode(dict(draft.body or {})))

    @property
    def digest(self) -> bytes:
        """What every consent signs, 32 bytes."""
        return consent_digest(self.log_id, self.protected, self.body)

    def describe(self) -> dict[str, Any]:
        """Say what a party is asked to agree to; raises MalformedError for anything but a header of the profile."""
        name, _, kid, claims = read_header(self.protected)
        named = {1: "iss", 2: "sub", 3: "aud", 4: "exp", 5: "nbf", 6: "iat"}
        return {
            "type": name,
            "kid": kid,
            "claims": {named.get(key, key): value for key, value in claims.items()},
            "body": cbor.decode(self.body),
            "consents": [decode_consent(raw).iss for raw in self.consents],
            "digest": self.digest,
        }

    def consented(self, signer: Signer, iss: str, exp: int) -> Act:
        """Add the consent of party `iss`, good until `exp`; one by the same key takes the place of an older one."""
        others = [raw for raw in self.consents if decode_consent(raw).kid != signer.kid]
        return replace(self, consents=(*others, make_consent(signer, iss, exp, self.digest)))

    def signed(self, signer: Signer) -> bytes:
        """Sign: the statement's bytes. MalformedError where the header names another key."""
        _, _, kid, _ = read_header(self.protected)
        if kid != signer.kid:
            raise MalformedError(
                f"This act is to be signed by key {kid.hex()[:16]}, not {signer.kid.hex()[:16]}",
                where="key",
                remedy="Sign with the key that made the draft",
            )
        body = cbor.decode(self.body)
        payload = cbor.encode({**body, "consents": list(self.consents)} if self.consents else body)
        raw = cose.join(self.protected, payload, signer.sign(cose.sig_structure(self.protected, payload)))
        decode_statement(raw)  # what the log would call malformed is told before it is sent
        return raw

    def encode(self) -> bytes:
        """Write the act as a file's content."""
        return cbor.encode(
            {
                "format": FORMAT,
                "log": self.log_id,
                "protected": self.protected,
                "body": self.body,
                "consents": list(self.consents),
            }
        )

    @classmethod
    def load(cls, path: Path) -> Act:
        """Read an act's file, strictly; MalformedError for anything else."""
        try:
            with path.open("rb") as stream:
                raw = stream.read(MAX_ACT + 1)
        except OSError as error:
            raise MalformedError(f"The act cannot be read: {error.strerror}", where=str(path)) from error
        try:
            act = cls._decode(cbor.decode(raw, max_size=MAX_ACT))
            act.describe()
        except MalformedError as error:
            raise MalformedError(
                f"This is no act on its way: {error.detail}",
                where=f"{path} {error.where}".rstrip(),
                remedy="Give a file that was written with --draft",
            ) from error
        return act

    @classmethod
    def _decode(cls, content: Any) -> Act:
        match content:
            case {
                "format": str(name),
                "log": bytes(log_id),
                "protected": bytes(protected),
                "body": bytes(body),
                "consents": list(consents),
            } if name == FORMAT and len(content) == 5 and all(type(raw) is bytes for raw in consents):
                return cls(log_id, protected, body, tuple(consents))
            case _:
                raise MalformedError(f"not in the format {FORMAT}")


def party_of(signer: Signer) -> str:
    """The did:key of a key, which is its owner's DID unless another is given."""
    if signer.suite.alg is None:
        raise MalformedError(
            f"A {signer.suite.name} key signs on the chain only", where="key", remedy="Use an ed25519 or es256 key"
        )
    return did_key(signer.public_key, signer.suite.name)


# -- drafts ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Period:
    """A validity in Unix seconds: from `nbf`, up to but not at `exp`."""

    nbf: int
    exp: int


class Desk:
    """Drafts acts for one party on one log, looking up what they need. `now` gives Unix seconds."""

    def __init__(self, client: Client, iss: str, *, now: Callable[[], float] = time.time) -> None:
        self.client = client
        self.iss = iss
        self._now = now
        self.info: LogInfo = client.log()
        self._known: dict[tuple[str, str], bool] = {}

    def now(self) -> int:
        """The time for iat."""
        return int(self._now())

    def begin(self) -> int:
        """The time from which something is valid that is to be valid at once."""
        return self.now() - VALID_SLACK

    def period(self, days: int, start: int | None = None) -> Period:
        """A validity of so many days, from now on or from `start`."""
        begin = self.begin() if start is None else start
        return Period(begin, begin + days * DAY)

    def record(self, wanted: str, what: str) -> RecordView:
        """Look up a record that must exist; MalformedError names it where there is none."""
        view = self.client.lookup(wanted)
        if view is None:
            raise MalformedError(
                f"The log knows no {what} {wanted}", where=what, remedy="Check its spelling with `tial show`"
            )
        return view

    def enrol(self, keys: Sequence[Signer], name: str, roles: Sequence[str], *, uscc: str = "", lei: str = "") -> Draft:
        """Enrol the party under its keys, the first of which signs."""
        body: dict[str, Any] = {
            "keys": [_key_entry(key) for key in keys],
            "roles": sorted(set(roles)),
            "name": name,
        }
        body |= {key: value for key, value in (("uscc", uscc), ("lei", lei)) if value}
        return self._draft("actor", self.iss, body=body)

    def rotate(self, add: Sequence[Signer], remove: Sequence[bytes], cancel: int | None, of: str = "") -> Draft:
        """Change the party's keys, or cancel a rotation that waits; `of` is another's DID, for its enroller or root."""
        did = of or self.iss
        body: dict[str, Any] = {}
        if add:
            body["add"] = [_key_entry(key) for key in add]
        if remove:
            body["remove"] = list(remove)
        if cancel is not None:
            body["cancel"] = cancel
        view = self.client.actor(did)
        if view is None:
            raise MalformedError(f"The log knows no actor {did}", where="actor", remedy="Enrol it first")
        return self._draft("rotation", did, {"seq": view.touches}, body)

    def delegate(
        self,
        prefix: str,
        holder: str,
        rights: Sequence[str],
        period: Period,
        *,
        parent: str = "",
        reclaim: bool = False,
    ) -> Draft:
        """Delegate `scheme/prefix` to `holder`: under `parent`, a delegation that the party holds, or by the root."""
        sub = subjects.delegation(*_split_prefix(prefix))
        claims: dict[str, Any] = {"holder": holder, "rights": sorted(set(rights))}
        if parent:
            claims["delegation"] = _reference(parent)
        if reclaim:
            claims["reclaim"] = True
        return self._draft("delegation", sub, claims | self._sequence(sub), {}, period=period)

    def parent_of(self, prefix: str) -> str:
        """The delegation next above `scheme/prefix`, found on the log."""
        scheme, own = _split_prefix(prefix)
        return self.covering(scheme, SCHEMES[scheme].parent_prefixes(own))

    def within(self, delegation: str, validity: Period) -> Period:
        """The part of a validity that lies inside the delegation's own."""
        above = self.record(f"delegation:{delegation}", "delegation").record
        return Period(max(validity.nbf, int(above["nbf"])), min(validity.exp, int(above["exp"])))

    def template(self, ref: str, industry: str, schema: bytes, body: Mapping[str, Any]) -> Draft:
        """Approve a template version; `body` holds name, mapping, standards, classes."""
        claims = {"industry": industry, "schema": schema, "state": "approved"}
        sub = subjects.template(*subjects.parse_template_ref(ref))
        return self._draft("template", sub, claims | self._sequence(sub), body)

    def withdraw_template(self, ref: str) -> Draft:
        """Withdraw a template version: the statement repeats what was approved."""
        sub = subjects.template(*subjects.parse_template_ref(ref))
        view = self.record(sub, "template")
        held = view.record
        claims = {
            "industry": held["industry"], "schema": bytes.fromhex(held["schema"]), "state": "withdrawn",
            "seq": view.touches,
        }  # fmt: skip
        body = {
            "name": held["name"], "mapping": dict(held["mapping"]), "standards": held["standards"],
            "classes": held["classes"],
        }  # fmt: skip
        return self._draft("template", sub, claims, body)

    def accredit(self, certifier: str, number: int, scope: Mapping[str, Sequence[str]], period: Period) -> Draft:
        """Give a certifier its scope: templates, standards, classes, sites."""
        sub = subjects.accreditation(certifier, number)
        body = {name: list(values) for name, values in scope.items()}
        return self._draft("accreditation", sub, {"certifier": certifier}, body, period=period)

    def register(self, identifier: Identifier, digest: bytes, holder: str = "", delegation: str = "") -> Draft:
        """Register an identifier for `holder` (else the party itself), anew where it was retired: looks it up."""
        sub = subject(identifier)
        claims = self.registration_claims(identifier, holder, delegation)
        view = self.client.lookup(sub)
        if view is not None and view.kind == "identifier" and view.state == "retired":
            claims |= {"generation": int(view.record["generation"]) + 1, "seq": view.touches}
        return self._draft("registration", sub, claims, digest=digest)

    def first_registration(
        self, identifier: Identifier, digest: bytes, holder: str = "", delegation: str = ""
    ) -> Draft:
        """Register an identifier that is new: asks the node for nothing but the delegation, once a prefix."""
        claims = self.registration_claims(identifier, holder, delegation)
        return self._draft("registration", subject(identifier), claims, digest=digest)

    def registration_claims(self, identifier: Identifier, holder: str = "", delegation: str = "") -> dict[str, Any]:
        """Claims of a first registration; finds the covering delegation where none is named."""
        if delegation:
            named = _reference(delegation)
        else:
            scheme = SCHEMES[identifier.scheme]
            named = self.covering(identifier.scheme, scheme.prefixes(identifier.normal))
        return {"holder": holder or self.iss, "delegation": named}

    def transfer(self, sub: str, holder: str) -> Draft:
        """Pass an identifier to a new holder."""
        view = self.record(sub, "identifier")
        return self._draft("transfer", view.subject, {"holder": holder, "seq": view.touches} | _generation(view), {})

    def certify(self, credential: str, claims: Mapping[str, Any], digest: bytes, period: Period) -> Draft:
        """Certify an identifier; `claims` as the type asks, without generation for the first."""
        return self._draft("certification", credential, claims, digest=digest, period=period)

    def status(
        self, sub: str, state: str, reason: str, *, role: str = "", effective: int | None = None, note: str = ""
    ) -> Draft:
        """Change the state of a record; finds the role in which the party may do so, and a lawful time."""
        view = self.record(sub, "record")
        claims: dict[str, Any] = {
            "state": state,
            "reason": reason,
            "role": role or self._role_for(view),
            "effective": self._effective(view) if effective is None else effective,
            "seq": view.touches,
        }
        return self._draft("status", view.subject, claims, {"note": note} if note else {})

    # -- what they share ------------------------------------------------------------------------------------------

    def _draft(
        self,
        kind: str,
        sub: str,
        claims: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        digest: bytes | None = None,
        period: Period | None = None,
    ) -> Draft:
        nbf, exp = (None, None) if period is None else (period.nbf, period.exp)
        aud = self.info.log_id.hex()
        return Draft(kind, self.iss, sub, aud, self.now(), nbf, exp, claims or {}, body, digest)

    def _sequence(self, sub: str) -> dict[str, int]:
        view = self.client.lookup(sub)
        return {} if view is None else {"seq": view.touches}

    def _effective(self, view: RecordView) -> int:
        """A moment not ahead of log time, and not further back than any move allows (rules version 1, status)."""
        return max(view.log_time, self.now() - EFFECTIVE_SLACK)

    def _role_for(self, view: RecordView) -> str:
        """The role in which the party may change this record; the node judges whether it holds it."""
        held = view.record
        if view.kind == "credential":
            if held["issuer"] == self.iss:
                return "issuer"
            accreditation = self.client.lookup(subjects.accreditation(held["issuer"], int(held["accreditation"])))
            accreditor = accreditation is not None and accreditation.record["accreditor"] == self.iss
            return "accreditor" if accreditor else "regulator"
        if view.kind == "accreditation":
            return "accreditor" if held["accreditor"] == self.iss else "regulator"
        if view.kind == "delegation":
            return "delegator" if held["delegator"] == self.iss else "root"
        if held.get("holder") == self.iss:
            return "holder"
        actor = self.client.actor(self.iss)
        regulator = actor is not None and "regulator" in actor.record["roles"]
        return "regulator" if regulator else "delegation-holder"

    def covering(self, scheme: str, prefixes: tuple[str, ...]) -> str:
        """The longest delegation among `prefixes`, whatever its state: what it covers falls to no other."""
        for prefix in prefixes:
            if self._exists(scheme, prefix):
                return subjects.delegation_ref(scheme, prefix)
        raise MalformedError(
            f"No delegation covers {scheme}/{prefixes[0] if prefixes else ''}",
            where="delegation",
            remedy="Ask the holder of a shorter prefix, or the root, for one",
        )

    def _exists(self, scheme: str, prefix: str) -> bool:
        known = self._known.get((scheme, prefix))
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[scheme, prefix] = self.client.lookup(subjects.delegation(scheme, prefix)) is not None
        return known


# -- reading what people write -----------------------------------------------------------------------------------------


def read_identifier(text: str, scheme: str = "") -> Identifier:
    """Read an identifier: a subject, or any spelling of `scheme`, or one that a single scheme recognises."""
    if scheme:
        return parse(scheme, text)
    tag = text.partition(":")[0]
    if tag in SCHEMES:
        try:
            return parse_subject(text)
        except MalformedError as refused:
            try:
                return parse(tag, text[len(tag) + 1 :])
            except MalformedError:
                raise refused from None
    found = identify(text)
    if len(found) == 1:
        return found[0]
    if not found:
        raise MalformedError(
            f"No scheme recognises the identifier {text[:80]!r}",
            where="identifier",
            remedy=f"Name its scheme with --scheme: {', '.join(SCHEMES)}",
        )
    raise MalformedError(
        f"The identifier {text[:80]!r} could be of {len(found)} schemes",
        where="identifier",
        remedy=f"Name one with --scheme: {', '.join(sorted({one.scheme for one in found}))}",
    )


def credential_subject(*parts: str) -> str:
    """The subject of a new credential: a random UUID, or the same one for the same parts (RFC 9562 version 5)."""
    made = uuid.uuid5(uuid.NAMESPACE_URL, "urn:tial:" + "\x1f".join(parts)) if parts else uuid.uuid4()
    return subjects.credential(str(made))


def _key_entry(signer: Signer) -> dict[str, Any]:
    party_of(signer)  # refuses chain keys
    return {"alg": signer.suite.alg, "key": signer.public_key, "purposes": ["consent", "statement"]}


def _generation(view: RecordView) -> dict[str, int]:
    generation = int(view.record["generation"])
    return {"generation": generation} if generation > 1 else {}


def _split_prefix(text: str) -> tuple[str, str]:
    """Split `scheme/prefix` as people write it, checked against the scheme."""
    scheme, slash, prefix = text.partition("/")
    if not slash or scheme not in SCHEMES or not SCHEMES[scheme].is_prefix(prefix):
        raise MalformedError(
            f"{text[:80]!r} is no prefix that can be delegated",
            where="prefix",
            remedy="Write <scheme>/<prefix>, such as vaa/88.118.8 or gs1/6901234",
        )
    return scheme, prefix


def _reference(text: str) -> str:
    """How a claim names the delegation `scheme/prefix`."""
    return subjects.delegation_ref(*_split_prefix(text))
