"""What all acts share under rules version 1: the envelope, the signer, consents, and touching records.

An `Act` is one statement on its way through the function. It reads through the view, collects changes, and never writes
anywhere else. Log time is the time of the last manifest (DESIGN rule 4); a statement's own iat only bounds its age.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ledger.crypto.digests import kid as kid_of
from ledger.errors import MalformedError
from ledger.identifiers import SCHEMES, Identifier, parse_subject
from ledger.state.reasons import Reason, refuse
from ledger.state.records import (
    ZERO_HEAD,
    ActorKey,
    ActorRecord,
    BatchRecord,
    KeyRecord,
    LogRecord,
    Member,
    Part,
    Pending,
    Record,
    next_head,
)
from ledger.state.view import Place, Verify, View
from ledger.statements import Consent, Statement, expected_consent_digest

ROOT = ""
"""How records name the root threshold where they otherwise name an actor."""


class Stated(NamedTuple):
    """Consents before their signatures are checked: kids by DID, and (consent, algorithm, key, place) of each."""

    parties: dict[str, set[bytes]]
    checks: list[tuple[Consent, int, bytes, str]]


class Act:
    """One statement, the state before it, and the changes that it makes."""

    __slots__ = ("batches", "changes", "index", "log", "st", "time", "verify", "view")

    def __init__(self, view: View, st: Statement, index: int, verify: Verify, log: LogRecord) -> None:
        self.view = view
        self.st = st
        self.index = index
        self.verify = verify
        self.log = log
        self.changes: dict[Place, Record] = {}
        batch = view.read(BatchRecord)
        self.time, self.batches = (0, 0) if batch is None else (batch.time, batch.number)

    # -- the envelope ---------------------------------------------------------------------------------------------

    def check_envelope(self) -> None:
        """Check what every statement after genesis must satisfy, whoever signed it."""
        st, log = self.st, self.log
        if st.type == "genesis":  # first, for it alone names no log
            raise refuse(Reason.GENESIS_MISPLACED)
        if st.aud != log.log_id.hex():
            raise refuse(Reason.WRONG_LOG, f"It names {st.aud}, this log is {log.log_id.hex()}.", where="claims.aud")
        if st.alg not in log.suites:
            raise refuse(Reason.UNKNOWN_SUITE, f"Algorithm {st.alg}.", where="protected.1")
        if st.type == "manifest":
            return  # its iat is log time itself and has a rule of its own
        if self.batches == 0:
            raise refuse(Reason.MANIFEST_FIRST, where="protected.16")
        if log.successor is not None:
            follower = f"Its successor is {log.successor.hex()}." if any(log.successor) else "It has no successor."
            raise refuse(Reason.LOG_SEALED, follower)
        if st.iat > self.time + log.skew:
            raise refuse(Reason.IAT_AHEAD, f"iat {st.iat}, log time {self.time}.", where="claims.iat")
        if st.iat < self.time - log.max_age:
            raise refuse(Reason.IAT_TOO_OLD, f"iat {st.iat}, log time {self.time}.", where="claims.iat")

    def check_sequence(self, record: Record | None) -> None:
        """`seq` must equal the count of the record that sub names, and be absent where there is none."""
        expected = None if record is None else record.touches
        if self.st.seq != expected:
            raise refuse(Reason.STALE_SEQUENCE, f"seq {self.st.seq}, expected {expected}.", where="claims.seq")

    def check_period(self) -> None:
        """A validity must be a non-empty period that is not over at log time."""
        st = self.st
        assert st.nbf is not None
        assert st.exp is not None
        if st.exp <= st.nbf or st.exp <= self.time:
            detail = f"nbf {st.nbf}, exp {st.exp}, log time {self.time}."
            raise refuse(Reason.INVALID_PERIOD, detail, where="claims.exp")

    # -- who signed -----------------------------------------------------------------------------------------------

    def actor(self, did: str) -> ActorRecord | None:
        """The actor's record, with a rotation whose delay is over put in force."""
        record = self.view.read(ActorRecord, did)
        if record is not None and record.pending is not None and record.pending.effective <= self.time:
            record = put_in_force(record, record.pending)
        return record

    def usable_key(self, actor: ActorRecord, kid: bytes, purpose: str) -> ActorKey:
        """The actor's key `kid`, if it may serve `purpose` at log time."""
        for key in actor.keys:
            if key.kid == kid:
                break
        else:
            raise refuse(Reason.UNKNOWN_KEY, f"kid {kid.hex()}.", where="protected.4")
        if key.bad is not None:
            raise refuse(Reason.KEY_COMPROMISED, f"kid {kid.hex()}, from {key.bad}.", where="protected.4")
        now = self.time
        if now < key.nbf or (key.exp is not None and now >= key.exp) or (key.off is not None and now >= key.off):
            raise refuse(Reason.KEY_NOT_VALID, f"kid {kid.hex()} at {now}.", where="protected.4")
        if purpose not in key.purposes:
            raise refuse(Reason.KEY_PURPOSE, f"kid {kid.hex()} is for {', '.join(key.purposes)}.", where="protected.4")
        return key

    def check_signature(self, alg: int, key: bytes) -> None:
        """The statement's signature by a key that is already known to be the right one."""
        st = self.st
        if alg != st.alg:
            raise refuse(Reason.UNKNOWN_SUITE, f"The key is of algorithm {alg}, not {st.alg}.", where="protected.1")
        if not self.verify(alg, key, st.signed, st.signature):
            raise refuse(Reason.BAD_SIGNATURE)

    def signed_by_actor(self) -> ActorRecord:
        """The enrolled actor that issued and signed the statement."""
        st = self.st
        actor = self.actor(st.iss)
        if actor is None:
            raise refuse(Reason.UNKNOWN_ACTOR, st.iss, where="claims.iss")
        key = self.usable_key(actor, st.kid, "statement")
        self.check_signature(key.alg, key.key)
        return actor

    def require_role(self, actor: ActorRecord, role: str) -> None:
        """The signer must hold `role`."""
        if role not in actor.roles:
            raise refuse(Reason.MISSING_ROLE, f"{self.st.iss} is not {role}.", where="claims.iss")

    def root_member(self) -> Member | None:
        """The root authority that issued the statement, if one did with its root key."""
        for member in self.log.members:
            if member.did == self.st.iss and kid_of(member.key) == self.st.kid:
                return member
        return None

    def signed_by_root(self, member: Member) -> None:
        """`member` signed, and with the consenting members the threshold is reached."""
        self.check_signature(member.alg, member.key)
        self.require_threshold({member.did}, self.consents())

    # -- consents -------------------------------------------------------------------------------------------------

    def consents(self, new_keys: Iterable[tuple[str, int, bytes]] = ()) -> dict[str, set[bytes]]:
        """Check all consents; return the kids that consented, by DID. See `stated_consents`."""
        stated = self.stated_consents(new_keys)
        self.verify_consents(stated)
        return stated.parties

    def stated_consents(self, new_keys: Iterable[tuple[str, int, bytes]] = ()) -> Stated:
        """Check all of the consents but their signatures, which cost most and come last: see `verify_consents`.

        A consenting key is a root member's, one of `new_keys` (DID, algorithm, key: keys that this very act
        introduces), or an enrolled actor's key for consents. Each DID and key counts once, in whatever order they come;
        only new keys consent each.
        """
        fresh = {(did, kid_of(key)): (alg, key) for did, alg, key in new_keys}
        found: dict[str, set[bytes]] = {}
        known: list[tuple[Consent, int, bytes, str]] = []
        new: list[tuple[Consent, int, bytes, str]] = []
        if not self.st.consents:
            return Stated(found, known)
        digest = expected_consent_digest(self.st)
        kids: set[bytes] = set()
        settled: set[str] = set()
        for number, consent in enumerate(self.st.consents):
            where = f"body.consents[{number}]"
            check_consent(consent, digest, self.time, where)
            alg, key = self._consenting_key(consent, fresh, where)
            is_new = (consent.iss, consent.kid) in fresh
            if consent.kid in kids or (consent.iss in settled and not is_new):
                raise refuse(Reason.CONSENT_REPEATED, consent.iss, where=where)
            if alg != consent.alg:
                detail = f"The key is of algorithm {alg}, not {consent.alg}."
                raise refuse(Reason.UNKNOWN_SUITE, detail, where=where)
            kids.add(consent.kid)
            if not is_new:
                settled.add(consent.iss)
            (new if is_new else known).append((consent, alg, key, where))
            found.setdefault(consent.iss, set()).add(consent.kid)
        return Stated(found, known + new)

    def verify_consents(self, stated: Stated) -> None:
        """Check the signatures: those of known parties first, because anybody can make new keys that sign well."""
        for consent, alg, key, where in stated.checks:
            if not self.verify(alg, key, consent.signed, consent.signature):
                raise refuse(Reason.BAD_SIGNATURE, f"Consent of {consent.iss}.", where=where)

    def _consenting_key(
        self, consent: Consent, fresh: dict[tuple[str, bytes], tuple[int, bytes]], where: str
    ) -> tuple[int, bytes]:
        if (consent.iss, consent.kid) in fresh:
            return fresh[consent.iss, consent.kid]
        if consent.alg not in self.log.suites:
            raise refuse(Reason.UNKNOWN_SUITE, f"Algorithm {consent.alg}.", where=where)
        for member in self.log.members:
            if member.did == consent.iss and kid_of(member.key) == consent.kid:
                return member.alg, member.key
        actor = self.actor(consent.iss)
        if actor is None:
            raise refuse(Reason.CONSENT_UNKNOWN_PARTY, consent.iss, where=where)
        key = self.usable_key(actor, consent.kid, "consent")
        return key.alg, key.key

    def require_threshold(self, already: set[str], consents: dict[str, set[bytes]]) -> None:
        """Distinct root members in `already` and `consents` must reach the threshold."""
        agreed = already | {m.did for m in self.log.members if kid_of(m.key) in consents.get(m.did, ())}
        if len(agreed) < self.log.threshold:
            raise refuse(Reason.THRESHOLD_NOT_MET, f"{len(agreed)} of {self.log.threshold}.", where="body.consents")

    # -- changes --------------------------------------------------------------------------------------------------

    def touch(self, record: Record, *parts: Part) -> None:
        """Write `record` as touched by this entry: its touches, head and last advance."""
        kind = type(record)
        touches, head, _, *rest = record  # every record begins with these three; `_replace` takes three times as long
        following = (touches + 1, next_head(head, self.index, self.st.leaf), self.index)
        self.changes[(kind, *parts)] = kind._make((*following, *rest))

    def introduce(self, kid: bytes, owner: str, use: str, where: str) -> None:
        """Take a key into use, or back into the one that it had: it never gets another owner or another use."""
        held = self.view.read(KeyRecord, kid)
        if held is not None and (held.owner, held.use) != (owner, use):
            detail = f"kid {kid.hex()}: {held.use} of {held.owner or 'the log'}."
            raise refuse(Reason.KEY_TAKEN, detail, where=where)
        self.touch(held or KeyRecord(touches=0, head=ZERO_HEAD, last=0, owner=owner, use=use), kid)

    # -- identifiers ----------------------------------------------------------------------------------------------

    def identifier(self, subject: str, where: str) -> Identifier:
        """Parse a subject that must be in normal form."""
        try:
            return parse_subject(subject)
        except MalformedError as error:
            raise refuse(Reason.MALFORMED_SUBJECT, error.explain(), where=where) from error


def first_head(index: int, leaf: bytes) -> bytes:
    """The head of a record that entry `index` creates."""
    return next_head(ZERO_HEAD, index, leaf)


def put_in_force(record: ActorRecord, pending: Pending) -> ActorRecord:
    """The actor's record after `pending` took effect."""
    removed = set(pending.remove)
    keys = tuple(
        k._replace(off=pending.effective) if k.kid in removed and k.off is None else k for k in record.keys
    ) + tuple(k._replace(nbf=max(k.nbf, pending.effective)) for k in pending.add)
    return record._replace(keys=keys, pending=None)


def check_consent(consent: Consent, digest: bytes, time: int, where: str) -> None:
    """A consent must be bound to this very act, and not be over."""
    if consent.digest != digest:
        raise refuse(Reason.CONSENT_ELSEWHERE, consent.iss, where=where)
    if consent.exp <= time:
        raise refuse(Reason.CONSENT_EXPIRED, f"{consent.iss}: exp {consent.exp}, log time {time}.", where=where)


def check_prefix(scheme: str, prefix: str, where: str) -> None:
    """The prefix must be one that can be delegated in its scheme."""
    known = SCHEMES.get(scheme)
    if known is None or not known.is_prefix(prefix):
        raise refuse(Reason.NOT_A_PREFIX, f"{scheme}/{prefix}", where=where)
