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

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from ledger.errors import MalformedError
from ledger.evidence.chain import storage, trie
from ledger.evidence.chain.anchor import Proven, Subject, Under, byte_strings, facts, judge, slots, walk
from ledger.evidence.chain.facts import ChainFacts, ChainPolicy, ChainUntrustedError
from ledger.evidence.chain.header import MAX_HEADER, Header
from ledger.statements import cbor

__all__ = ["KIND", "MAX_NODES", "block_hashes", "check", "make_evidence", "slots"]

KIND: Final = "ethereum"
MAX_NODES: Final = 1024
_COUNT: Final = 8


class _Claim(NamedTuple):
    """The evidence as it stands: what it is about, and its material."""

    subject: Subject
    header: bytes
    nodes: list[bytes]

    def items(self) -> list[Any]:
        """The array that is encoded."""
        chain_id, contract, log_id, size, requested = self.subject
        return [KIND, chain_id, contract, log_id, size, self.header, requested, self.nodes]


def check(items: list[Any], policy: ChainPolicy, log_id: bytes) -> ChainFacts:
    """Check decoded evidence; see `ledger.evidence.chain.check_chain_evidence`."""
    claim = _read(items)
    claim.subject.compare(policy, log_id)
    header = Header.decode(claim.header)
    nodes = trie.Nodes(claim.nodes)
    proven = _walk(header, claim.subject, nodes)
    nodes.finish()
    block_hash, rests_on = _trust(header, policy)
    under = Under(header.number, block_hash, header.time, header.number)
    judge(claim.subject, proven, policy, under)
    return facts(KIND, claim.subject, proven, under, rests_on)


def block_hashes(items: list[Any]) -> tuple[bytes, ...]:
    """The hashes that the evidence's block may have; see `ledger.evidence.chain.block_hashes`."""
    return Header.decode(_read(items).header).hashes


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
    subject = Subject(chain_id, contract, log_id, size, sorted(set(requested)))
    subject.check()
    pile = trie.Nodes(list(dict.fromkeys(nodes)))
    _walk(Header.decode(header), subject, pile)
    items = _Claim(subject, header, pile.used).items()
    _read(items)
    return cbor.encode(items)


def _read(items: list[Any]) -> _Claim:
    if len(items) != _COUNT:
        raise MalformedError(f"ethereum evidence has {_COUNT} items, not {len(items)}")
    _, chain_id, contract, log_id, size, header, requested, nodes = items
    claim = _Claim(Subject(chain_id, contract, log_id, size, requested), header, nodes)
    claim.subject.check()
    if type(claim.header) is not bytes or len(claim.header) > MAX_HEADER:
        raise MalformedError(f"a header of at most {MAX_HEADER} bytes belongs here", where="header")
    byte_strings("nodes", claim.nodes, MAX_NODES)
    return claim


def _walk(header: Header, subject: Subject, nodes: trie.Nodes) -> Proven:
    account = storage.account(header.state_root, subject.contract, nodes)
    return walk(subject, account.code_hash, lambda slot: storage.load(account.storage_root, slot, nodes))


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
