"""A CometBFT chain that stands still: stores, validators and signed headers over contract storage, made independently.

Trees, Protocol Buffers and signatures are made here by other code than that which is tested: what stands under a header
is computed from the specifications of CometBFT, IAVL and the simple tree.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.evidence.chain import ChainPolicy, CometTrust
from ledger.evidence.chain.comet.commit import Commit, Link, Signature
from ledger.evidence.chain.comet.header import Header
from ledger.evidence.chain.comet.ics23 import Absence, Existence
from ledger.evidence.chain.comet.validators import Validator, ValidatorSet
from ledger.evidence.chain.cometbft import make_evidence
from tests.evidence.chain_builder import CODE_HASH, CONTRACT, LOG, Still, slot, word

CHAIN_NAME = "tial-test-1"
STORES = ("acc", "bank", "consensus", "evm", "feemarket", "valset")


def digest(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


# --- Protocol Buffers -------------------------------------------------------------------------------------------------


def base128(value: int) -> bytes:
    found = []
    while True:
        value, low = value >> 7, value & 127
        found.append(low + 128 * (value > 0))
        if not value:
            return bytes(found)


def proto(*fields: tuple[int, int | bytes | None]) -> bytes:
    """A message: a number or bytes by field; zero and empty are left out, None is an empty message that stands."""
    raw = b""
    for place, value in fields:
        if isinstance(value, int):
            raw += base128(place * 8) + base128(value) if value else b""
        elif value or value is None:
            raw += base128(place * 8 + 2) + base128(len(value or b"")) + (value or b"")
    return raw


def unproto(raw: bytes) -> dict[int, list[Any]]:
    """Fields of a message by number: what Protocol Buffers of proofs have, numbers and bytes."""
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            value |= (raw[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if raw[at - 1] < 128:
                return value

    found: dict[int, list[Any]] = {}
    while at < len(raw):
        tag = number()
        value: Any = number()
        if tag % 8 == 2:
            value, at = raw[at : at + value], at + value
        found.setdefault(tag // 8, []).append(value)
    return found


def block_id(block_hash: bytes, total: int, parts: bytes) -> bytes:
    return proto((1, block_hash), (2, proto((1, total), (2, parts)) or None))


# --- trees ------------------------------------------------------------------------------------------------------------


def merkle(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return digest(b"\0", leaves[0])
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return digest(b"\1", merkle(leaves[:middle]), merkle(leaves[middle:]))


def merkle_path(leaves: Sequence[bytes], at: int) -> list[tuple[bytes, bytes]]:
    if len(leaves) == 1:
        return []
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = leaves[:middle], leaves[middle:]
    if at < middle:
        return [*merkle_path(left, at), (b"\1", merkle(right))]
    return [*merkle_path(right, at - middle), (b"\1" + merkle(left), b"")]


@dataclass
class Tree:
    """A node of an IAVL tree, or a leaf."""

    prefix: bytes
    root: bytes
    height: int
    size: int
    least: bytes
    value: bytes = b""
    left: Tree | None = None
    right: Tree | None = None

    @classmethod
    def of(cls, values: dict[bytes, bytes], version: int = 300) -> Tree:
        """A balanced tree of these values; versions differ from node to node."""
        return cls._of(sorted(values.items()), version)

    @classmethod
    def _of(cls, pairs: list[tuple[bytes, bytes]], version: int) -> Tree:
        if len(pairs) == 1:
            ((key, value),) = pairs
            prefix = zigzag(0) + zigzag(1) + zigzag(version - len(key) - value[-1] % 7)
            root = digest(prefix, base128(len(key)), key, b"\x20", digest(value))
            return cls(prefix, root, 0, 1, key, value)
        left, right = cls._of(pairs[: len(pairs) // 2], version), cls._of(pairs[len(pairs) // 2 :], version)
        height, size = max(left.height, right.height) + 1, left.size + right.size
        prefix = zigzag(height) + zigzag(size) + zigzag(version + height)
        root = digest(prefix, b"\x20", left.root, b"\x20", right.root)
        return cls(prefix, root, height, size, left.least, b"", left, right)

    def existence(self, key: bytes) -> Existence:
        node: Tree = self
        path: list[tuple[bytes, bytes]] = []
        while node.left and node.right:
            left, right = node.left, node.right
            if key < right.least:
                path.append((node.prefix + b"\x20", b"\x20" + right.root))
                node = left
            else:
                path.append((node.prefix + b"\x20" + left.root + b"\x20", b""))
                node = right
        assert node.least == key
        return Existence(key, node.value, node.prefix, tuple(path[::-1]))

    def keys(self) -> list[bytes]:
        return [*self.left.keys(), *self.right.keys()] if self.left and self.right else [self.least]

    def prove(self, key: bytes) -> Existence | Absence:
        keys = self.keys()
        if key in keys:
            return self.existence(key)
        below, above = [k for k in keys if k < key], [k for k in keys if k > key]
        return Absence(key, self.existence(below[-1]) if below else None, self.existence(above[0]) if above else None)


def zigzag(value: int) -> bytes:
    return base128(2 * value)


# --- validators, headers, commits -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Member:
    """A validator with its secret."""

    name: str
    power: int = 10

    @property
    def secret(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(digest(self.name.encode()))

    @property
    def key(self) -> bytes:
        return self.secret.public_key().public_bytes_raw()


Members = tuple[Member, ...]
FOUR: Members = tuple(Member(name) for name in ("north", "east", "south", "west"))
FIVE: Members = (*FOUR, Member("middle"))


def ordered(members: Members) -> Members:
    return tuple(sorted(members, key=lambda one: (-one.power, digest(one.key)[:20])))


def set_of(members: Members) -> ValidatorSet:
    return ValidatorSet(tuple(Validator(one.key, one.power) for one in ordered(members)))


def set_hash(members: Members) -> bytes:
    return merkle([proto((1, proto((1, one.key))), (2, one.power)) for one in ordered(members)])


def header_hash(header: Header) -> bytes:
    texts = (
        header.last_commit_hash, header.data_hash, header.validators_hash, header.next_validators_hash,
        header.consensus_hash, header.app_hash, header.last_results_hash, header.evidence_hash, header.proposer,
    )  # fmt: skip
    return merkle(
        [
            proto((1, header.block_version), (2, header.app_version)),
            proto((1, header.chain_id.encode())),
            proto((1, header.height)),
            proto((1, header.seconds), (2, header.nanos)),
            block_id(header.last_block_hash, header.last_parts_total, header.last_parts_hash),
            *(proto((1, text)) for text in texts),
        ]
    )


def header(height: int, seconds: int, members: Members, following: Members, **changes: Any) -> Header:
    usual = Header(
        11, 0, CHAIN_NAME, height, seconds, 687_066_665, digest(b"last"), 1, digest(b"parts"), digest(b"commit"),
        digest(), set_hash(members), set_hash(following), digest(b"consensus"), digest(b"state"), digest(b"results"),
        digest(), digest(b"p")[:20],
    )  # fmt: skip
    return replace(usual, **changes)


def commit(over: Header, members: Members, signers: Members | None = None, round_: int = 0) -> Commit:
    """The votes of `signers`, all members without it, for a header."""
    parts = digest(b"its parts")
    given: list[Signature | None] = []
    for place, one in enumerate(ordered(members)):
        if signers is not None and one not in signers:
            given.append(None)
            continue
        vote = proto((1, 2)) + b"\x11" + over.height.to_bytes(8, "little")
        vote += b"\x19" + round_.to_bytes(8, "little") if round_ else b""
        vote += proto((4, block_id(header_hash(over), 1, parts)), (5, proto((1, over.seconds + 1), (2, place))))
        vote += proto((6, over.chain_id.encode()))
        given.append(Signature(over.seconds + 1, place, one.secret.sign(base128(len(vote)) + vote)))
    return Commit(round_, 1, parts, tuple(given))


# --- the whole --------------------------------------------------------------------------------------------------------


def _noise() -> dict[bytes, bytes]:
    """Other keys of the store: code, other contracts' words and codes, parameters."""
    found = {b"\1" + digest(b"code %d" % i): bytes([i + 1]) * 900 for i in range(3)}
    found |= {b"\2" + digest(b"account %d" % i)[:20] + digest(b"slot"): word(i + 1) for i in range(40)}
    found |= {b"\4" + digest(b"account %d" % i)[:20]: digest(b"code %d" % i) for i in range(6)}
    return found | {b"\3": b"parameters", b"\5": b"coin"}


@dataclass
class Comet:
    """The chain. `words`: contract storage by slot; `sets`: the validators, each set until its height in `until`.

    Change what is to be wrong, then make header and evidence. `noise`: other keys of the store.
    """

    words: dict[bytes, bytes] = field(default_factory=lambda: dict(Still.anchored().words))
    code_hash: bytes | None = CODE_HASH
    height: int = 42
    time: int = 2_000
    sets: tuple[Members, ...] = (FOUR,)
    until: tuple[int, ...] = ()
    signers: Members | None = None
    round: int = 0
    noise: dict[bytes, bytes] = field(default_factory=_noise)

    def sealed(self, size: int) -> Comet:
        """The chain with the log closed at a size."""
        return replace(self, words=self.words | Still.anchored().sealed(size).words)

    def requested(self, leaf: bytes) -> Comet:
        """The chain with a request for a leaf."""
        place = slot(5, LOG, leaf)
        return replace(self, words=self.words | {place: Still.anchored().requested(leaf).words[place]})

    def evm(self) -> Tree:
        values = {b"\2" + CONTRACT + place: value for place, value in self.words.items() if any(value)}
        if self.code_hash is not None:
            values[b"\4" + CONTRACT] = self.code_hash
        return Tree.of(self.noise | values)

    def stores(self) -> tuple[bytes, Existence]:
        """The header's app_hash, and the proof of the store "evm" under it."""
        root = self.evm().root
        leaves = []
        for name in STORES:
            value = digest(root if name == "evm" else digest(name.encode()))
            leaves.append(base128(len(name)) + name.encode() + b"\x20" + value)
        at = STORES.index("evm")
        return merkle(leaves), Existence(b"evm", root, b"\0", tuple(merkle_path(leaves, at)))

    def header(self, **changes: Any) -> Header:
        changes = {"app_hash": self.stores()[0]} | changes
        return header(self.height, self.time, self.sets[-1], self.sets[-1], **changes)

    def links(self) -> tuple[Link, ...]:
        """Where each set but the last announces its successor."""
        found = []
        for place, height in enumerate(self.until):
            members, following = self.sets[place], self.sets[place + 1]
            over = header(height, self.time - 2 * self.height + 2 * height, members, following)
            found.append(Link(over, commit(over, members), set_of(members)))
        return tuple(found)

    def parts(self) -> dict[str, Any]:
        """What `make_evidence` takes beside the subject."""
        over = self.header()
        return {
            "header": over,
            "commit": commit(over, self.sets[-1], self.signers, self.round),
            "validators": set_of(self.sets[-1]),
            "store": self.stores()[1],
            "links": self.links(),
        }

    def proofs(self, *slots: bytes) -> list[Existence | Absence]:
        tree = self.evm()
        return [tree.prove(b"\4" + CONTRACT), *(tree.prove(b"\2" + CONTRACT + place) for place in slots)]

    def evidence(self, *, size: int = 9, requested: tuple[bytes, ...] = (), log: bytes = LOG, **changes: Any) -> bytes:
        first = int.from_bytes(slot(4, log), "big")
        seal = [word((first + more) % 2**256) for more in range(3)]
        slots = [slot(0, log, word(size)), slot(1, log, word(size)), slot(2, log), *seal]
        slots += [slot(5, log, leaf) for leaf in requested]
        made: dict[str, Any] = {
            "chain_id": 7,
            "contract": CONTRACT,
            "log_id": log,
            "size": size,
            "requested": requested,
        }
        return make_evidence(**made | self.parts() | {"proofs": self.proofs(*slots)} | changes)

    def trust(self, *, members: Members | None = None, height: int = 1, time: int = 0) -> CometTrust:
        return CometTrust(CHAIN_NAME, height, time, set_of(self.sets[0] if members is None else members))

    def policy(self, **changes: Any) -> ChainPolicy:
        """Return a policy that trusts the first validators from block 1 on."""
        return replace(ChainPolicy("cometbft", 7, CONTRACT, CODE_HASH, comet=self.trust()), **changes)


# --- answers of CometBFT's RPC ----------------------------------------------------------------------------------------


def _time(text: str) -> tuple[int, int]:
    from datetime import datetime  # noqa: PLC0415

    whole, _, part = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()), int(part.ljust(9, "0") or 0)


def rpc_header(found: dict[str, Any]) -> Header:
    last = found["last_block_id"]
    names = (
        "last_commit_hash", "data_hash", "validators_hash", "next_validators_hash", "consensus_hash", "app_hash",
        "last_results_hash", "evidence_hash", "proposer_address",
    )  # fmt: skip
    return Header(
        int(found["version"]["block"]), int(found["version"].get("app", 0)), found["chain_id"], int(found["height"]),
        *_time(found["time"]), bytes.fromhex(last["hash"]), last["parts"]["total"],
        bytes.fromhex(last["parts"]["hash"]), *(bytes.fromhex(found[name]) for name in names),
    )  # fmt: skip


def rpc_commit(found: dict[str, Any]) -> Commit:
    parts = found["block_id"]["parts"]
    given = tuple(
        Signature(*_time(one["timestamp"]), base64.b64decode(one["signature"])) if one["block_id_flag"] == 2 else None
        for one in found["signatures"]
    )
    return Commit(found["round"], parts["total"], bytes.fromhex(parts["hash"]), given)


def rpc_validators(found: list[dict[str, Any]]) -> ValidatorSet:
    return ValidatorSet(
        tuple(Validator(base64.b64decode(one["pub_key"]["value"]), int(one["voting_power"])) for one in found)
    )


def ics23_existence(raw: bytes) -> Existence:
    """The existence proof in an ICS-23 CommitmentProof."""
    (inner,) = unproto(raw)[1]
    fields = unproto(inner)
    path = [unproto(step) for step in fields.get(4, ())]
    (leaf,) = fields[3]
    return Existence(
        fields[1][0],
        fields[2][0],
        unproto(leaf)[5][0],
        tuple((step[2][0], step.get(3, [b""])[0]) for step in path),
    )
