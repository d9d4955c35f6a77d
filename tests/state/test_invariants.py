"""Whatever happens on a log: counts and heads follow from the entries alone, and every view shows the same state."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto.digests import kid as kid_of
from ledger.errors import Rejection
from ledger.state.records import (
    KIND_OF,
    ActorRecord,
    BatchRecord,
    CredentialRecord,
    DelegationRecord,
    IdentifierRecord,
    encode_record,
    record_key,
)
from ledger.state.transition import transition
from ledger.state.view import Changes, MemoryState, Overlay, View
from ledger.statements import Statement, decode_statement, subjects
from tests.golden import make
from tests.world import DAY, PREFIX, Consortium, Party, credential, key

BASE = Consortium()
Name = tuple[Any, ...]


class Chain:
    """An independent book-keeper: which records each entry touches, by the statement's type alone."""

    def __init__(self) -> None:
        self.records: dict[Name, tuple[int, bytes, int]] = {}
        self.lengths: set[tuple[str, int]] = set()
        self.certified: dict[str, str] = {}
        self.log_keys: set[tuple[str, bytes]] = set()

    def touched(self, statement: Statement) -> list[Name]:
        sub, kind, parts = statement.sub, statement.subject[0], statement.subject[1:]
        match statement.type:
            case "genesis":
                return [("log",), ("batch",), *self.new_log_keys(statement.body)]
            case "log":
                roles = (("actor", did) for did in statement.body.get("roles", {}))
                return [("log",), *roles, *self.new_log_keys(statement.body)]
            case "manifest":
                return [("batch",)]
            case "actor" | "rotation":
                new = [*statement.body.get("keys", []), *statement.body.get("add", [])]
                return [("actor", sub), *(("key", kid_of(entry["key"])) for entry in new)]
            case "compromise":
                return [("actor", sub), *(("reconfirmed", sub, leaf) for leaf in statement.body.get("reconfirmed", []))]
            case "delegation":
                scheme, prefix = parts
                new = (scheme, len(prefix)) not in self.lengths
                self.lengths.add((scheme, len(prefix)))
                return [("delegation", scheme, prefix), *([("delegation-lengths", scheme)] if new else [])]
            case "template":
                return [("template", *parts)]
            case "accreditation":
                return [("accreditation", *parts), ("actor", parts[0])]
            case "certification":
                self.certified[sub] = statement.claims["identifier"]
                return [("credential", sub), ("identifier", self.certified[sub]), ("status-index", statement.iss)]
            case "status" if kind == "credential":
                return [("credential", sub), ("identifier", self.certified[sub])]
            case "status" if kind == "accreditation":
                return [("accreditation", *parts), ("actor", parts[0])]
            case "status" if kind == "delegation":
                return [("delegation", *parts)]
        return [("identifier", sub)]

    def new_log_keys(self, body: dict[str, Any]) -> list[Name]:
        """The keys that genesis or a change of the log brings, and that the log does not use already."""
        held = {use: {item for item in self.log_keys if item[0] == use} for use in ("cose", "note", "root")}
        if "keys" in body:
            for use in ("cose", "note"):
                held[use] = {(use, body["keys"][use]["key"])}
        if "root" in body:
            held["root"] = {("root", entry["key"]) for entry in body["root"]["members"]}
        now = held["cose"] | held["note"] | held["root"]
        new, self.log_keys = now - self.log_keys, now
        return [("key", kid_of(raw)) for _, raw in new]

    def add(self, index: int, raw: bytes) -> None:
        statement = decode_statement(raw)
        leaf = hashlib.sha256(b"\x00" + raw).digest()
        for name in self.touched(statement):
            count, head, _ = self.records.get(name, (0, bytes(32), 0))
            link = b"\x12" + head + index.to_bytes(8, "big") + leaf
            self.records[name] = (count + 1, hashlib.sha256(link).digest(), index)


def assert_chained(state: MemoryState, entries: list[bytes]) -> None:
    chain = Chain()
    for index, raw in enumerate(entries):
        chain.add(index, raw)
    found = {(KIND_OF[place[0]], *place[1:]): tuple(record[:3]) for place, record in state.records.items()}
    assert found == chain.records


# Moves of the random player: each takes the world and three small numbers. Many are refused, as they should be.
def _seq(c: Consortium, kind: type[Any], *parts: Any) -> int:
    record = c.state.read(kind, *parts)
    return 1 if record is None else int(record.touches)


def _party(c: Consortium, n: int) -> Party:
    return (c.registrar, c.holder, c.stranger, c.certifier, c.enroller)[n % 5]


def _item(n: int) -> str:
    return f"vaa:88.118.{8 + n % 2}/R{n % 3}"


def _register(c: Consortium, a: int, b: int, n: int) -> bytes:
    record = c.state.read(IdentifierRecord, _item(a))
    again = {} if record is None else {"seq": record.touches, "generation": record.generation + 1}
    by, ref = (c.registrar, PREFIX) if n % 2 else (c.holder, "vaa/88.118.9")
    return c.registration(by, _item(a), ref, _party(c, b), claims=again)


def _transfer(c: Consortium, a: int, b: int, n: int) -> bytes:
    record = c.state.read(IdentifierRecord, _item(a))
    again = {"generation": record.generation} if record is not None and record.generation > 1 else {}
    seq = _seq(c, IdentifierRecord, _item(a))
    return c.transfer(_party(c, b), _item(a), _party(c, n), seq=seq, claims=again)


def _certify(c: Consortium, a: int, b: int, n: int) -> bytes:
    return c.certification(c.certifier, _item(a), 2 + b % 3, claims={"site": "S1" if n % 4 else "S9"})


def _credential(c: Consortium, a: int, b: int, n: int) -> bytes:
    sub, by = credential(1 + a % 4), c.certifier if n % 2 else c.regulator
    role = "issuer" if n % 2 else "regulator"
    return c.status(by, sub, ("suspended", "active", "revoked")[b % 3], role, _seq(c, CredentialRecord, sub))


def _block(c: Consortium, a: int, b: int, n: int) -> bytes:
    seq = _seq(c, IdentifierRecord, _item(a))
    if n % 3 == 0:
        return c.status(_party(c, b), _item(a), "retired", "holder", seq)
    return c.status(c.regulator, _item(a), ("blocked", "live")[b % 2], "regulator", seq)


def _delegate(c: Consortium, a: int, b: int, n: int) -> bytes:
    record = c.state.read(DelegationRecord, "vaa", "88.118.9")
    if record is not None and record.state == "live" and n % 3 == 0:
        return c.status(c.registrar, subjects.delegation("vaa", "88.118.9"), "revoked", "delegator", record.touches)
    again = {} if record is None else {"seq": record.touches, "reclaim": True}
    return c.delegation(c.holder, "vaa/88.118.9", by=c.registrar, parent=PREFIX, claims=again, exp=c.now + DAY + a + b)


def _rotate(c: Consortium, a: int, b: int, n: int) -> bytes:
    return c.rotation(_party(c, a), add=[key(f"spare {a} {b} {n}")])


def _compromise(c: Consortium, a: int, b: int, n: int) -> bytes:
    keys = c.state.records[ActorRecord, c.stranger.did].keys
    body = {
        "bad": [{"kid": keys[-1].kid, "from": c.now - b}], "confirmed": [k.kid for k in keys[:-1]],
        "reconfirmed": [bytes([a % 2]) * 32, bytes([2 + n % 2]) * 32],
    }  # fmt: skip
    return c.act("compromise", c.enroller, c.stranger.did, {"seq": _seq(c, ActorRecord, c.stranger.did)}, body)


def _parameters(c: Consortium, a: int, b: int, n: int) -> bytes:
    if n % 2:
        return c.log_change(roles={_party(c, a).did: ["owner"], _party(c, b).did: ["auditor"]})
    return c.log_change(policy={"skew": 300 + a, "max_age": DAY, "rotation_delay": b})


def _enrol(c: Consortium, a: int, b: int, n: int) -> bytes:
    party = Party(f"random {a % 3}", "es256" if a % 2 else "ed25519")
    return c.enrolment(party, consents=[_party(c, 4 if b else n)])


def _accredit(c: Consortium, a: int, b: int, n: int) -> bytes:
    return c.accreditation(c.accreditor, c.certifier if n % 2 else _party(c, b), 1 + a % 3)


def _template(c: Consortium, a: int, b: int, n: int) -> bytes:
    return c.template(c.authority, f"t{a % 2}/{b % 2}", **({"state": "withdrawn", "seq": 1} if n % 3 == 0 else {}))


def _manifest(c: Consortium, a: int, b: int, n: int) -> bytes:
    return c.manifest(c.now + 10_000 * (a % 4) + b + n)


MOVES: list[Callable[[Consortium, int, int, int], bytes]] = [
    _register, _register, _transfer, _certify, _credential, _block, _delegate, _rotate, _compromise, _parameters,
    _enrol, _accredit, _template, _manifest,
]  # fmt: skip
NUMBER = st.integers(0, 11)


def decide(view: View, statement: Statement, index: int) -> Changes | str:
    """What the function makes of a statement: changes, or the name of the rejection."""
    try:
        return dict(transition(view, statement, index))
    except Rejection as error:
        return error.reason


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(MOVES), NUMBER, NUMBER, NUMBER), min_size=10, max_size=50), st.integers(1, 7))
def test_random_histories_keep_every_invariant(moves: list[Any], every: int):
    c: Consortium = BASE.fork()
    stored = {record_key(KIND_OF[p[0]], *p[1:]): encode_record(r) for p, r in c.state.records.items()}
    overlay = Overlay(stored.get)
    waiting: list[tuple[Any, Any]] = []
    for move, a, b, n in moves:
        raw = move(c, a, b, n)
        statement, before = decode_statement(raw), dict(c.state.records)
        decided = decide(c.state, statement, len(c.entries))
        assert c.state.records == before  # deciding changes nothing, whatever comes of it
        assert decide(overlay, statement, len(c.entries)) == decided
        if isinstance(decided, str):
            continue
        c.put(raw)
        if statement.type == "manifest":
            c.counts.clear()
        overlay.apply(decided)
        waiting += decided.items()
        if len(c.entries) % every == 0:
            stored |= {record_key(KIND_OF[p[0]], *p[1:]): encode_record(r) for p, r in waiting}
            overlay.stored(waiting)
            waiting = []
    assert_chained(c.state, c.entries)
    for place, record in c.state.records.items():
        assert overlay.read(*place) == record
    newest = stored | {record_key(KIND_OF[p[0]], *p[1:]): encode_record(r) for p, r in waiting}
    assert newest == {record_key(KIND_OF[p[0]], *p[1:]): encode_record(r) for p, r in c.state.records.items()}


def test_the_histories_are_not_idle():
    """The random player's moves are possible: played once each with good numbers, most are admitted."""
    c: Consortium = BASE.fork()
    admitted = set()
    good = [(_register, 0, 1, 1), (_transfer, 0, 1, 2), (_certify, 0, 0, 1), (_credential, 1, 0, 1), (_block, 0, 0, 1),
            (_delegate, 0, 0, 1), (_rotate, 2, 0, 0), (_compromise, 0, 0, 0), (_parameters, 0, 1, 1), (_enrol, 0, 1, 4),
            (_accredit, 1, 0, 1), (_template, 0, 0, 1), (_manifest, 1, 0, 0)]  # fmt: skip
    for move, a, b, n in good:
        admitted.add(c.put(move(c, a, b, n)).type)
        if move is _manifest:
            c.counts.clear()
    assert len(admitted) == 12  # all types but genesis: status is counted once
    assert_chained(c.state, c.entries)


def test_the_golden_log_touches_what_each_type_says():
    """It holds what the random player does not do: new keys of the log, a recovery, delegations given anew."""
    entries = [bytes.fromhex(line) for line in make.LOG.read_text().splitlines()]
    state = MemoryState()
    for index, raw in enumerate(entries):
        state.apply(transition(state, decode_statement(raw), index))
    assert_chained(state, entries)


def test_the_batch_record_follows_the_manifests():
    batch = BASE.state.read(BatchRecord)
    assert batch is not None
    assert batch.touches == batch.number + 1
