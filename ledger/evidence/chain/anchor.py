"""What chain evidence proves of the anchor contract, whatever the chain: the words looked up, their order, their sense.

Owns the members that all kinds of evidence share, the order in which storage is looked up, and the judgement of what
was found. How a word is proven is each kind's own. Trusts nothing. Follows DESIGN section 8, step 10, and
contracts/STORAGE.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ledger.errors import MalformedError
from ledger.evidence.chain import storage
from ledger.evidence.chain.facts import (
    MAX_CHAIN_ID,
    ChainFacts,
    ChainInvalidError,
    ChainPolicy,
    ChainRequest,
    ChainSeal,
)

MAX_REQUESTS: Final = 64
_MAX_SIZE: Final = (1 << 63) - 1
_ZERO: Final = bytes(32)


class Subject(NamedTuple):
    """What evidence is about: chain, contract (20 bytes), log, size, and the leaves whose requests it tells of."""

    chain_id: int
    contract: bytes
    log_id: bytes
    size: int
    requested: list[bytes]

    def check(self) -> None:
        """Raise MalformedError unless every member has its form; leaf hashes ascend, each once."""
        number("chain id", self.chain_id, MAX_CHAIN_ID)
        number("size", self.size, _MAX_SIZE)
        for name, value, size in (("contract", self.contract, 20), ("log id", self.log_id, 32)):
            if type(value) is not bytes or len(value) != size:
                raise MalformedError(f"{size} bytes belong here", where=name)
        requested = byte_strings("leaf hashes", self.requested, MAX_REQUESTS)
        if any(len(leaf_hash) != 32 for leaf_hash in requested) or requested != sorted(set(requested)):
            raise MalformedError("leaf hashes of 32 bytes, ascending, each once, belong here", where="leaf hashes")

    def compare(self, policy: ChainPolicy, log_id: bytes) -> None:
        """Raise ChainInvalidError unless this is what the verifier asks about."""
        compare("chain", self.chain_id, policy.chain_id)
        compare("contract", self.contract.hex(), policy.contract.hex())
        compare("log", self.log_id.hex(), log_id.hex())


class Proven(NamedTuple):
    """What is proven of the contract, read."""

    code_hash: bytes
    root: bytes
    meta: storage.Meta
    head: storage.HeadWord
    seal: ChainSeal | None
    requested: tuple[ChainRequest, ...]


class Under(NamedTuple):
    """The header under which all is proven: height, hash, time, and the last block whose effects it commits to."""

    block: int
    block_hash: bytes
    time: int
    last: int


def number(name: str, value: object, most: int) -> None:
    """MalformedError unless `value` is a number from 1 to `most`."""
    if type(value) is not int or not 0 < value <= most:
        raise MalformedError(f"a number from 1 to {most} belongs here", where=name)


def byte_strings(name: str, values: object, most: int) -> list[bytes]:
    """The byte strings of an array of at most `most`; MalformedError for anything else."""
    if type(values) is not list or len(values) > most or any(type(value) is not bytes for value in values):
        raise MalformedError(f"an array of at most {most} byte strings belongs here", where=name)
    return values


def compare(name: str, found: int | str, wanted: int | str) -> None:
    """ChainInvalidError unless what was found is what was wanted."""
    if found != wanted:
        raise ChainInvalidError(f"the evidence is about another {name}: {found}, not {wanted}", where=name)


def slots(log_id: bytes, size: int, requested: Sequence[bytes] = ()) -> list[bytes]:
    """Slots, 32 bytes each, whose proofs evidence may need: the seal's three too, which only a sealed log uses."""
    return [
        storage.root_slot(log_id, size),
        storage.meta_slot(log_id, size),
        storage.head_slot(log_id),
        *storage.seal_slots(log_id),
        *(storage.request_slot(log_id, leaf_hash) for leaf_hash in requested),
    ]


def walk(subject: Subject, code_hash: bytes, load: Callable[[bytes], bytes]) -> Proven:
    """Look everything up that the evidence is about, in the order of the format; `load` gives the word in a slot."""
    log_id, size = subject.log_id, subject.size
    root = load(storage.root_slot(log_id, size))
    meta = storage.Meta.unpack(load(storage.meta_slot(log_id, size)))
    head = storage.HeadWord.unpack(load(storage.head_slot(log_id)))
    seal = None
    if head.sealed:
        sealed_root, successor, word = (load(slot) for slot in storage.seal_slots(log_id))
        when = storage.Meta.unpack(word)
        seal = ChainSeal(
            head.sealed_size, sealed_root, None if successor == _ZERO else successor, when.block, when.time
        )
    requested = []
    for leaf_hash in subject.requested:
        made = storage.Meta.unpack(load(storage.request_slot(log_id, leaf_hash)))
        requested.append(ChainRequest(leaf_hash, made.block, made.time, made.sender if made.block else b""))
    return Proven(code_hash, root, meta, head, seal, tuple(requested))


def judge(subject: Subject, proven: Proven, policy: ChainPolicy, under: Under) -> None:
    """Refuse what a contract with the right code cannot hold, and what is no anchor."""
    meta, head = proven.meta, proven.head
    size, last, time = subject.size, under.last, under.time
    if proven.code_hash != policy.code_hash:
        problem = f"the code at the contract's address has the hash {proven.code_hash.hex()}"
    elif head.size == 0:
        problem = "the log is not registered in the contract"
    elif proven.root == _ZERO:
        problem = f"nothing is anchored at size {size}"
    elif size > head.size or (size == 1 and proven.root != subject.log_id):
        problem = "the contract's head and root contradict each other"
    elif not (0 < meta.block <= last and meta.time <= time and head.time <= time):
        problem = "the anchor is later than the header"
    elif proven.seal is not None and not 0 < proven.seal.size <= head.size:
        problem = "the log is sealed at a size that it never had"
    elif any(request.block > last or request.time > time for request in proven.requested):
        problem = "a request is later than the header"
    else:
        return
    raise ChainInvalidError(problem, where=f"block {under.block}")


def facts(
    kind: str, subject: Subject, proven: Proven, under: Under, rests_on: str, trusted_since: int = 0
) -> ChainFacts:
    """What was proven and judged, for the verifier."""
    return ChainFacts(
        kind=kind,
        block=under.block,
        block_hash=under.block_hash,
        time=under.time,
        size=subject.size,
        root=proven.root,
        anchored_block=proven.meta.block,
        anchored_time=proven.meta.time,
        anchored_by=proven.meta.sender,
        head_size=proven.head.size,
        head_time=proven.head.time,
        seal=proven.seal,
        requested=proven.requested,
        rests_on=(rests_on,),
        trusted_since=trusted_since,
    )
