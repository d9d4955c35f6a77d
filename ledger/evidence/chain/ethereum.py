"""Evidence of kind "ethereum": storage of the anchor contract, proven under one block header.

Owns the form of the evidence, what it must prove, and when its header is trusted. The evidence is deterministic CBOR:

    ["ethereum", chain id, contract, log id, size, header, [leaf hash, ..], [node, ..]]

Header and nodes are RLP as the chain hashes them. The nodes lead, in this order and each once, from the header's
state root to the contract's account, and from its storage root to `root[log][size]`, `meta[log][size]`, `head[log]`,
the three words of `seals[log]` where the head says that the log is sealed, and `requests[log][leaf hash]` for each leaf
hash.

Trusts the policy alone: a block hash that it pins, or the seals of a quorum of its validators. A header has no chain
id: what is pinned stands for the chain. Follows DESIGN section 8, step 10, and contracts/STORAGE.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from ledger.errors import MalformedError
from ledger.evidence.chain import storage, trie
from ledger.evidence.chain.facts import (
    MAX_CHAIN_ID,
    ChainFacts,
    ChainInvalidError,
    ChainPolicy,
    ChainRequest,
    ChainSeal,
    ChainUntrustedError,
)
from ledger.evidence.chain.header import MAX_HEADER, Header
from ledger.statements import cbor

KIND: Final = "ethereum"
MAX_REQUESTS: Final = 64
MAX_NODES: Final = 1024
_MAX_SIZE: Final = (1 << 63) - 1
_ZERO: Final = bytes(32)


class _Claim(NamedTuple):
    """The evidence as it stands: what it is about, and its material."""

    chain_id: int
    contract: bytes
    log_id: bytes
    size: int
    header: bytes
    requested: list[bytes]
    nodes: list[bytes]


class _Proven(NamedTuple):
    """What the nodes prove under the header's state root."""

    code_hash: bytes
    root: bytes
    meta: storage.Meta
    head: storage.HeadWord
    seal: ChainSeal | None
    requested: tuple[ChainRequest, ...]


def check(items: list[Any], policy: ChainPolicy, log_id: bytes) -> ChainFacts:
    """Check decoded evidence; see `ledger.evidence.chain.check_chain_evidence`."""
    claim = _read(items)
    _compare("chain", claim.chain_id, policy.chain_id)
    _compare("contract", claim.contract.hex(), policy.contract.hex())
    _compare("log", claim.log_id.hex(), log_id.hex())
    header = Header.decode(claim.header)
    nodes = trie.Nodes(claim.nodes)
    proven = _walk(header, claim, nodes)
    nodes.finish()
    block_hash, rests_on = _trust(header, policy)
    _judge(claim, header, proven, policy)
    return ChainFacts(
        kind=KIND,
        block=header.number,
        block_hash=block_hash,
        time=header.time,
        size=claim.size,
        root=proven.root,
        anchored_block=proven.meta.block,
        anchored_time=proven.meta.time,
        anchored_by=proven.meta.sender,
        head_size=proven.head.size,
        head_time=proven.head.time,
        seal=proven.seal,
        requested=proven.requested,
        rests_on=(rests_on,),
    )


def block_hashes(items: list[Any]) -> tuple[bytes, ...]:
    """The hashes that the evidence's block may have; see `ledger.evidence.chain.block_hashes`."""
    return Header.decode(_read(items).header).hashes


def slots(log_id: bytes, size: int, requested: Sequence[bytes] = ()) -> list[bytes]:
    """Slots, 32 bytes each, whose proofs the evidence may need: the seal's three too, which only a sealed log uses."""
    return [
        storage.root_slot(log_id, size),
        storage.meta_slot(log_id, size),
        storage.head_slot(log_id),
        *storage.seal_slots(log_id),
        *(storage.request_slot(log_id, leaf_hash) for leaf_hash in requested),
    ]


def make_evidence(
    *,
    chain_id: int,
    contract: bytes,
    log_id: bytes,
    size: int,
    header: bytes,
    nodes: Iterable[bytes],
    requested: Iterable[bytes] = (),
) -> bytes:
    """Encode evidence from a header and any pile of nodes that holds those needed, in any order.

    Raises MalformedError or ChainInvalidError where the nodes do not lead to what is to be proven. Whether the values
    please anybody is for `check_chain_evidence`.
    """
    claim = _Claim(chain_id, contract, log_id, size, header, sorted(set(requested)), list(dict.fromkeys(nodes)))
    pile = trie.Nodes(claim.nodes)
    _walk(Header.decode(header), claim, pile)
    needed = [chain_id, contract, log_id, size, header, claim.requested, pile.used]
    _read([KIND, *needed])
    return cbor.encode([KIND, *needed])


def _read(items: list[Any]) -> _Claim:
    if len(items) != 1 + len(_Claim._fields):
        raise MalformedError(f"ethereum evidence has {1 + len(_Claim._fields)} items, not {len(items)}")
    claim = _Claim(*items[1:])
    _number("chain id", claim.chain_id, MAX_CHAIN_ID)
    _number("size", claim.size, _MAX_SIZE)
    for name, value, size in (("contract", claim.contract, 20), ("log id", claim.log_id, 32)):
        if type(value) is not bytes or len(value) != size:
            raise MalformedError(f"{size} bytes belong here", where=name)
    if type(claim.header) is not bytes or len(claim.header) > MAX_HEADER:
        raise MalformedError(f"a header of at most {MAX_HEADER} bytes belongs here", where="header")
    requested = _byte_strings("leaf hashes", claim.requested, MAX_REQUESTS)
    if any(len(leaf_hash) != 32 for leaf_hash in requested) or requested != sorted(set(requested)):
        raise MalformedError("leaf hashes of 32 bytes, ascending, each once, belong here", where="leaf hashes")
    _byte_strings("nodes", claim.nodes, MAX_NODES)
    return claim


def _number(name: str, value: object, most: int) -> None:
    if type(value) is not int or not 0 < value <= most:
        raise MalformedError(f"a number from 1 to {most} belongs here", where=name)


def _byte_strings(name: str, values: object, most: int) -> list[bytes]:
    if type(values) is not list or len(values) > most or any(type(value) is not bytes for value in values):
        raise MalformedError(f"an array of at most {most} byte strings belongs here", where=name)
    return values


def _compare(name: str, found: int | str, wanted: int | str) -> None:
    if found != wanted:
        raise ChainInvalidError(f"the evidence is about another {name}: {found}, not {wanted}", where=name)


def _walk(header: Header, claim: _Claim, nodes: trie.Nodes) -> _Proven:
    """Look everything up that the evidence is about, in the order of the format."""
    account = storage.account(header.state_root, claim.contract, nodes)

    def load(slot: bytes) -> bytes:
        return storage.load(account.storage_root, slot, nodes)

    log_id, size = claim.log_id, claim.size
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
    for leaf_hash in claim.requested:
        made = storage.Meta.unpack(load(storage.request_slot(log_id, leaf_hash)))
        requested.append(ChainRequest(leaf_hash, made.block, made.time, made.sender if made.block else b""))
    return _Proven(account.code_hash, root, meta, head, seal, tuple(requested))


def _trust(header: Header, policy: ChainPolicy) -> tuple[bytes, str]:
    """Hash of the block and who vouches for it; ChainUntrustedError where the policy names nobody who does."""
    for block_hash in header.hashes:
        if block_hash in policy.headers:
            return block_hash, f"block {header.number}, hash {block_hash.hex()}, pinned by the policy"
    if header.sealed is None or not policy.validators:
        raise ChainUntrustedError(
            f"nobody vouches for block {header.number}, hash {header.hashes[-1].hex()}",
            remedy="Pin a header's hash that you have from a source of your own, and ask for evidence under that block",
        )
    signers = [signer for signer in header.sealed.signers() if signer in policy.validators]
    if len(signers) < policy.needed:
        raise ChainUntrustedError(
            f"{len(signers)} of {len(policy.validators)} validators sealed block {header.number}; "
            f"{policy.needed} are needed",
            remedy="Check the validators in the policy: the chain may have others by now",
        )
    names = ", ".join("0x" + signer.hex() for signer in signers)
    told = f"block {header.number}, sealed by {len(signers)} of {len(policy.validators)} validators: {names}"
    return header.sealed.block_hash, told


def _judge(claim: _Claim, header: Header, proven: _Proven, policy: ChainPolicy) -> None:
    """Refuse what a contract with the right code cannot hold, and what is no anchor."""
    meta, head = proven.meta, proven.head
    size = claim.size
    if proven.code_hash != policy.code_hash:
        problem = f"the code at the contract's address has the hash {proven.code_hash.hex()}"
    elif head.size == 0:
        problem = "the log is not registered in the contract"
    elif proven.root == _ZERO:
        problem = f"nothing is anchored at size {size}"
    elif size > head.size or (size == 1 and proven.root != claim.log_id):
        problem = "the contract's head and root contradict each other"
    elif not (0 < meta.block <= header.number and meta.time <= header.time and head.time <= header.time):
        problem = "the anchor is later than the header"
    elif proven.seal is not None and not 0 < proven.seal.size <= head.size:
        problem = "the log is sealed at a size that it never had"
    elif any(request.block > header.number or request.time > header.time for request in proven.requested):
        problem = "a request is later than the header"
    else:
        return
    raise ChainInvalidError(problem, where=f"block {header.number}")
