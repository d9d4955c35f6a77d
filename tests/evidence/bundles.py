"""Bundles made in tests: a log in memory as the source, witnesses, and policies that trust them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ledger.crypto.canonical import canonical_json
from ledger.crypto.suites import Signer
from ledger.evidence.build import build
from ledger.evidence.bundle import Bundle, Document
from ledger.evidence.policy import PLAIN, REPLAYING, LogTrust, Policy, Witnesses
from ledger.evidence.report import Report, Step, Verdict
from ledger.evidence.verifier import verify
from ledger.log.checkpoint import Checkpoint, make_cosignature, sign_checkpoint
from ledger.log.notes import COSIGNATURE, Note, Vkey
from ledger.log.tree import leaf_hash, root_of
from ledger.state.proofs import StateProof, make_state_proof
from ledger.state.records import KIND_OF, encode_record, record_key
from ledger.state.transition import transition
from ledger.state.tree import record_hash
from ledger.state.view import Changes, MemoryState, Place
from ledger.statements import Statement, decode_statement
from ledger.store.state_nodes import LeavesNode
from tests.world import DAY, Party, World, key

ITEM = "vaa:88.118.8/A1"
DOCUMENT = {"type": "certificate", "identifier": ITEM, "credentialSubject": {"id": ITEM}, "rating": 5}
RAW_DOCUMENT = canonical_json(DOCUMENT)
DIGEST = hashlib.sha256(RAW_DOCUMENT).digest()
ORIGIN = "example.org/log"
SUITES = frozenset({-8, -7})
PLAIN_WITNESSES = [f"plain{n}.example" for n in range(3)]
REPLAYERS = [f"replay{n}.example" for n in range(3)]


@dataclass
class LogSource:
    """A whole log in memory, behind the window that the maker of bundles looks through."""

    entries: Sequence[bytes]
    note: bytes = b""
    documents: dict[bytes, Document] = field(default_factory=dict)
    state: MemoryState = field(default_factory=MemoryState)
    touched: dict[Place, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.leaves = [leaf_hash(raw) for raw in self.entries]
        self.statements = [decode_statement(raw) for raw in self.entries]
        for index, statement in enumerate(self.statements[:-1]):
            changes = self.admit(statement, index)
            self.state.apply(changes)
            for place in changes:
                self.touched.setdefault(place, []).append(index)

    def admit(self, statement: Statement, index: int) -> Changes:
        return transition(self.state, statement, index)

    @property
    def log_id(self) -> bytes:
        return self.leaves[0]

    @property
    def size(self) -> int:
        return len(self.entries)

    @property
    def root(self) -> bytes:
        return root_of(self.leaves)

    @property
    def checkpoint(self) -> bytes:
        return self.note

    def record(self, place: Place) -> bytes | None:
        record = self.state.records.get(place)
        return None if record is None else encode_record(record)

    def touches(self, place: Place) -> list[int]:
        return self.touched.get(place, [])

    def entry(self, index: int) -> bytes:
        return self.entries[index]

    def closing(self, index: int) -> int:
        return next(i for i in range(index, self.size) if self.statements[i].type == "manifest")

    def node(self, level: int, index: int) -> bytes:
        return root_of(self.leaves[index << level : (index + 1) << level])

    def prove(self, keys: Iterable[bytes]) -> StateProof:
        leaves = sorted(
            (record_key(KIND_OF[place[0]], *place[1:]), record_hash(encode_record(record)))
            for place, record in self.state.records.items()
        )
        return make_state_proof(LeavesNode(leaves, 0), keys)

    def document(self, digest: bytes) -> Document | None:
        return self.documents.get(digest)


def signed_note(source: LogSource, signer: Signer, *, root: bytes | None = None) -> bytes:
    return sign_checkpoint(signer, Checkpoint(ORIGIN, source.size, root or source.root))


def cosigned(note: bytes, names: Iterable[str], time: int) -> bytes:
    parsed = Note.parse(note)
    return parsed.with_signatures(make_cosignature(key(name), name, parsed.text, time) for name in names).serialise()


def witness(name: str) -> Vkey:
    return Vkey(name, COSIGNATURE, key(name).public_key)


class Scene:
    """A consortium with one certified item, its log as a source, and a policy that trusts its witnesses."""

    def __init__(self, **genesis: int) -> None:
        self.world = world = World(**genesis)
        self.parties = {name: Party(name) for name in ("enterprise", "accreditor", "authority", "certifier")}
        p = self.parties
        world.enrol(p["enterprise"], "owner")
        world.enrol(p["accreditor"], "accreditor")
        world.enrol(p["authority"], "template-authority")
        world.enrol(p["certifier"], "certifier")
        world.later(10)
        world.delegate(p["enterprise"], "vaa/88.118")
        world.delegate(p["enterprise"], "vaa/88.118.8", by=p["enterprise"], parent="vaa/88.118")
        world.approve_template(p["authority"])
        world.accredit(p["accreditor"], p["certifier"])
        world.later(10)
        self.registration = world.put(world.registration(p["enterprise"], ITEM, "vaa/88.118.8"))
        for n in range(20):
            world.put(world.registration(p["enterprise"], f"vaa:88.118.8/B{n}", "vaa/88.118.8"))
        world.later(10)
        self.certification = world.put(world.certification(p["certifier"], ITEM, 1, digest=DIGEST))
        self.other = world.put(world.certification(p["certifier"], ITEM, 2, digest=bytes(32)))
        world.later(10)
        world.put(world.registration(p["enterprise"], "vaa:88.118.8/LATER", "vaa/88.118.8"))
        world.later(10)

    def source(self, kind: type[LogSource] = LogSource) -> LogSource:
        source = kind(self.world.entries)
        source.documents[DIGEST] = Document(RAW_DOCUMENT)
        note = signed_note(source, self.world.note)
        source.note = cosigned(note, [*PLAIN_WITNESSES[:2], *REPLAYERS[:2]], self.world.now + 5)
        return source

    @property
    def clock(self) -> int:
        return self.world.now + 60

    def policy(self, **changes: Any) -> Policy:
        policy = Policy(
            logs=(LogTrust(self.world.log_id, ORIGIN, SUITES),),
            plain=Witnesses(PLAIN, tuple(map(witness, PLAIN_WITNESSES)), 2),
            replaying=Witnesses(REPLAYING, tuple(map(witness, REPLAYERS)), 2),
            max_age=DAY,
        )
        return replace(policy, **changes)

    def bundle(self, statement: Statement | None = None, source: LogSource | None = None, **more: Any) -> Bundle:
        found = source or self.source()
        told = statement or self.certification
        return build(found, told.sub, list(found.entries).index(told.raw), **more)

    def absence(self, about: str, source: LogSource | None = None) -> Bundle:
        return build(source or self.source(), about, None)

    def verify(self, bundle: Bundle, policy: Policy | None = None, now: int | None = None) -> Report:
        return verify(bundle.encode(), policy or self.policy(), self.clock if now is None else now).report


def step(report: Report, number: int) -> Step:
    found = report.step(number)
    assert found is not None, report.as_text()
    return found


def verdict(report: Report, number: int) -> Verdict:
    return step(report, number).verdict
