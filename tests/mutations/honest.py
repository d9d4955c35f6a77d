"""The honest world whose files are altered: two logs of one operator, at two sizes, with witnesses, auditor and chain.

Both logs have the same origin and keys, which no deployment may do: what one of them signed must still say nothing
about the other. One credential is certified at the smaller size and revoked at the larger. Everything is made from
fixed keys and times, so that it is the same in every process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

from ledger.credentials.disclosure import conceal
from ledger.crypto.canonical import canonical_json, document_digest
from ledger.evidence.audit_report import FULL, REPLAYED, AuditReport, sign_audit_report
from ledger.evidence.build import build
from ledger.evidence.bundle import Bundle, ChainPart, Document
from ledger.evidence.chain import ChainPolicy
from ledger.evidence.chain.ethereum import make_evidence
from ledger.evidence.policy import REPLAYING, Auditor, LogTrust, Policy, Witnesses
from ledger.log.proofs import consistency_proof
from ledger.log.tree import root_of
from ledger.state.records import CredentialRecord, IdentifierRecord
from ledger.statements import Statement
from tests.comet_world import FIVE, FOUR, Comet
from tests.evidence.bundles import (
    DIGEST,
    ITEM,
    ORIGIN,
    PLAIN_WITNESSES,
    RAW_DOCUMENT,
    REPLAYERS,
    SUITES,
    LogSource,
    Scene,
    cosigned,
    signed_note,
)
from tests.evidence.chain_builder import CODE_HASH, CONTRACT, KEYS, VALIDATORS, Still, head, meta, slot, word
from tests.world import DAY, Party, credential, key

CHAIN_ID = 7
NEVER = "vaa:88.118.8/NEVER"


class Town(Scene):
    """A log at two sizes. `early` and `late` are its sources; the third credential is revoked between them."""

    def __init__(self, **genesis: int) -> None:
        super().__init__(**genesis)
        world, p = self.world, self.parties
        self.buyer = Party("buyer", "es256")
        world.enrol(self.buyer, "owner")
        full = {"type": "certificate", "identifier": ITEM, "credentialSubject": {"id": ITEM, "rating": 5, "lot": "L7"}}
        shown, self.disclosures = conceal(full, ["/credentialSubject/rating", "/credentialSubject/lot"], bytes_of)
        self.concealed = canonical_json(shown)
        digest = document_digest(shown)
        self.salted = world.put(world.certification(p["certifier"], ITEM, 3, digest=digest))
        self.sale = world.put(
            world.transfer(p["enterprise"], ITEM, self.buyer, seq=world.touches(IdentifierRecord, ITEM))
        )
        world.later(10)
        self.early_size, self.early_time = len(world.entries), world.now
        seq = world.touches(CredentialRecord, credential(3))
        self.revocation = world.put(world.status(p["certifier"], credential(3), "revoked", "issuer", seq))
        world.later(10)
        self.documents = {
            DIGEST: Document(RAW_DOCUMENT),
            digest: Document(self.concealed, tuple(self.disclosures)),
        }
        self.early = self._at(self.early_size, self.early_time)
        self.late = self._at(len(world.entries), world.now)

    def _at(self, size: int, time: int) -> LogSource:
        source = LogSource(self.world.entries[:size])
        source.documents |= self.documents
        names = [*PLAIN_WITNESSES, *REPLAYERS, "stranger.example"]
        source.note = cosigned(signed_note(source, self.world.note), names, time + 5)
        return source

    def audit(self, source: LogSource) -> bytes:
        """The auditor's report of a whole and clean replay."""
        counts: dict[str, int] = {}
        for statement in source.statements:
            counts[statement.type] = counts.get(statement.type, 0) + 1
        state = source.statements[-1].body["state"]
        report = AuditReport(
            source.log_id, source.size, source.root, state, FULL, source.size, counts, REPLAYED, self.world.now, "tial",
        )  # fmt: skip
        return sign_audit_report(key("auditor"), report)


def bytes_of(size: int) -> bytes:
    """Salt that is the same in every run."""
    return b"\x5a" * size


class Honest:
    """Everything that is altered, and whom the verifiers of it trust."""

    def __init__(self) -> None:
        self.town, self.other = Town(), Town(rotation_delay=2 * DAY)
        self.still = self._anchored()
        self.clock = self.town.clock

    # -- the chain ---------------------------------------------------------------------------------------------------

    def _anchored(self) -> Still:
        """Both logs, anchored at their smaller sizes; the larger ones came later."""
        words = {slot(2, word(i)): head(i + 1, 1_500) for i in range(12)}
        now = self.town.early_time
        for town in (self.town, self.other):
            log, size = town.world.log_id, town.early_size
            words |= {
                slot(0, log, word(1)): log, slot(1, log, word(1)): meta(30, now - 100),
                slot(0, log, word(size)): town.early.root, slot(1, log, word(size)): meta(40, now),
                slot(2, log): head(size, now),
            }  # fmt: skip
        words[slot(5, self.town.world.log_id, self.town.sale.leaf)] = meta(41, now)
        return Still(words, time=now + 20).seal_qbft(keys=KEYS)

    def evidence(self, town: Town, requested: tuple[bytes, ...] = ()) -> bytes:
        """Chain evidence about a log's anchor at its smaller size."""
        accounts, storage = self.still.tries()
        return make_evidence(
            chain_id=CHAIN_ID, contract=CONTRACT, log_id=town.world.log_id, size=town.early_size,
            header=self.still.header(), nodes=[*accounts.nodes, *storage.nodes], requested=requested,
        )  # fmt: skip

    @cached_property
    def pinned(self) -> ChainPolicy:
        """A policy that pins the header."""
        return self.still.policy()

    @cached_property
    def by_validators(self) -> ChainPolicy:
        """A policy that names the validators, three of whom are enough."""
        return ChainPolicy("ethereum", CHAIN_ID, CONTRACT, CODE_HASH, validators=VALIDATORS)

    @cached_property
    def comet(self) -> Comet:
        """A CometBFT chain whose contract holds the same, and whose validators changed once."""
        return Comet(words=self.still.words, time=self.still.time, sets=(FOUR, FIVE), until=(20,))

    def comet_evidence(self, town: Town, requested: tuple[bytes, ...] = ()) -> bytes:
        """Evidence of that chain about a log's anchor at its smaller size."""
        return self.comet.evidence(size=town.early_size, log=town.world.log_id, requested=requested)

    def chain_part(self, town: Town, source: LogSource) -> ChainPart:
        """The chain's member of a bundle."""
        proof = tuple(consistency_proof(town.early_size, source.size, source.node))
        return ChainPart(self.evidence(town), town.early_size, proof)

    # -- bundles -----------------------------------------------------------------------------------------------------

    def policy(self) -> Policy:
        """Both logs, two of three witnesses of each kind, the chain, a day."""
        logs = tuple(LogTrust(town.world.log_id, ORIGIN, SUITES) for town in (self.town, self.other))
        return self.town.policy(logs=logs, chains=(self.pinned,))

    def audited_policy(self) -> Policy:
        """Who names an auditor in place of replaying witnesses, and no chain."""
        auditor = Auditor("the auditor", key("auditor").suite.alg or 0, key("auditor").public_key)
        return replace(self.policy(), replaying=Witnesses(REPLAYING), auditors=(auditor,), chains=())

    def bundles(self, *, audited: bool = False) -> dict[str, Bundle]:
        """Bundles by name; `revoked` tells of what holds no longer and is not valid, all others are."""
        town, other = self.town, self.other
        made = {
            "certified": self._bundle(town, town.early, town.certification, audited),
            "certified later": self._bundle(town, town.late, town.certification, audited),
            "not yet revoked": self._bundle(town, town.early, town.salted, audited),
            "revoked": self._bundle(town, town.late, town.salted, audited),
            "registered": self._bundle(town, town.early, town.registration, audited),
            "sold": self._bundle(town, town.early, town.sale, audited),
            "absent": self._bundle(town, town.early, None, audited),
            "elsewhere": self._bundle(other, other.early, other.certification, audited),
            "elsewhere later": self._bundle(other, other.late, other.certification, audited),
        }
        if not audited:
            return made
        return {name: made[name] for name in ("certified", "certified later", "revoked", "elsewhere")}

    def _bundle(self, town: Town, source: LogSource, about: Statement | None, audited: bool) -> Bundle:
        if about is None:
            return self.bundle_about(town, source, NEVER, None, audited=audited)
        return self.bundle_about(town, source, about.sub, list(source.entries).index(about.raw), audited=audited)

    def bundle_about(self, town: Town, source: LogSource, about: str, index: int | None, *, audited: bool) -> Bundle:
        """The bundle about an entry, or the absence of a subject, at a source's size."""
        audits = (town.audit(source),) if audited else ()
        chain = None if audited else self.chain_part(town, source)
        return build(source, about, index, chain=chain, audits=audits)


def nodes_of(leaves: list[bytes]) -> Callable[[int, int], bytes]:
    """Nodes of the tree over leaf hashes, as the makers of proofs ask for them."""
    return lambda level, index: root_of(leaves[index << level : (index + 1) << level])
