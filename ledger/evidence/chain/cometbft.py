"""Evidence of kind "cometbft": storage of the anchor contract on a chain of CometBFT with the EVM of the Cosmos SDK.

Owns the form of the evidence, what it must prove, and when its header is trusted. The evidence is deterministic CBOR:

    ["cometbft", chain id, contract, log id, size, header, commit, validators, [link, ..], store proof,
     [leaf hash, ..], [proof, ..]]

`chain id` is the EVM's. The header of height H + 1 commits to the state after block H. `store proof` leads from its
`app_hash` to the root of the store "evm"; the proofs lead from there to the hash of the contract's code, to
`root[log][size]`, `meta[log][size]`, `head[log]`, the three words of `seals[log]` where the head says that the log is
sealed, and `requests[log][leaf hash]` for each leaf hash. A word of zero is proven by the absence of its key.

Trusts the policy alone: a block hash that it pins, or its validators at a height. From those on, each link shows whom
the validators themselves announced as their successors. Everything in the evidence is checked, the part before the
trusted height too. Follows DESIGN section 8, step 10, contracts/STORAGE.md, and the modules of `comet`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from ledger.errors import MalformedError
from ledger.evidence.chain.anchor import Proven, Subject, Under, compare, facts, judge, slots, walk
from ledger.evidence.chain.comet.commit import MAX_LINKS, Commit, Link, verify_links
from ledger.evidence.chain.comet.header import Header
from ledger.evidence.chain.comet.ics23 import (
    Absence,
    Existence,
    Proof,
    iavl_root,
    proof_from_items,
    store_root,
)
from ledger.evidence.chain.comet.validators import ValidatorSet
from ledger.evidence.chain.comet.values import items_of
from ledger.evidence.chain.facts import (
    COMETBFT,
    ChainFacts,
    ChainInvalidError,
    ChainPolicy,
    ChainUntrustedError,
)
from ledger.statements import cbor

__all__ = ["KIND", "STORE", "block_hashes", "check", "code_key", "make_evidence", "slots", "storage_key"]

KIND: Final = COMETBFT
STORE: Final = b"evm"
"""Name of the store that holds contracts."""
MAX_PROOFS: Final = 128
_CODE_HASHES: Final = b"\4"
_STORAGE: Final = b"\2"
_COUNT: Final = 12
_WORD: Final = 32


class _Claim(NamedTuple):
    """The evidence as it stands: what it is about, and its material. The last link is the header itself."""

    subject: Subject
    links: tuple[Link, ...]
    store: Existence
    proofs: tuple[Proof, ...]

    @property
    def header(self) -> Header:
        """The header under which all is proven."""
        return self.links[-1].header

    def items(self) -> list[Any]:
        """The array that is encoded."""
        chain_id, contract, log_id, size, requested = self.subject
        return [
            KIND, chain_id, contract, log_id, size, *self.links[-1].to_items(),
            [link.to_items() for link in self.links[:-1]], self.store.to_items(), requested,
            [proof.to_items() for proof in self.proofs],
        ]  # fmt: skip


def code_key(contract: bytes) -> bytes:
    """Key in the store of the Keccak-256 of a contract's code; `contract` is its address, 20 bytes."""
    return _CODE_HASHES + contract


def storage_key(contract: bytes, slot: bytes) -> bytes:
    """Key in the store of the word in a slot (32 bytes) of a contract."""
    return _STORAGE + contract + slot


def check(items: list[Any], policy: ChainPolicy, log_id: bytes) -> ChainFacts:
    """Check decoded evidence; see `ledger.evidence.chain.check_chain_evidence`."""
    claim = _read(items)
    claim.subject.compare(policy, log_id)
    header = claim.header
    if policy.comet is not None:
        compare("chain", header.chain_id, policy.comet.chain_name)
    signers = verify_links(claim.links)
    given = iter(claim.proofs)
    proven = _walk(claim, lambda _: next(given, None))
    if next(given, None) is not None:
        raise MalformedError("proofs are left over", where="proofs")
    block_hash = header.hash()
    rests_on, since = _trust(claim, block_hash, signers, policy)
    under = Under(header.height, block_hash, header.seconds, header.height - 1)
    judge(claim.subject, proven, policy, under)
    return facts(KIND, claim.subject, proven, under, rests_on, since)


def block_hashes(items: list[Any]) -> tuple[bytes, ...]:
    """The hash of the evidence's block; see `ledger.evidence.chain.block_hashes`."""
    return (_read(items).header.hash(),)


def make_evidence(
    *,
    chain_id: int,
    contract: bytes,
    log_id: bytes,
    size: int,
    header: Header,
    commit: Commit,
    validators: ValidatorSet,
    store: Existence,
    proofs: Iterable[Proof],
    links: Sequence[Link] = (),
    requested: Iterable[bytes] = (),
) -> bytes:
    """Encode evidence from a signed header and any pile of proofs that holds those needed, in any order.

    `links` lead from the set that verifiers are to trust to `validators`, one for each change. Raises MalformedError or
    ChainInvalidError where the proofs do not lead to what is to be proven. Whether the header is final, and the values
    please anybody, is for `check_chain_evidence`.
    """
    subject = Subject(chain_id, contract, log_id, size, sorted(set(requested)))
    subject.check()
    pile = {proof.key: proof for proof in proofs}
    whole = _Claim(subject, (*links, Link(header, commit, validators)), store, ())
    used: dict[bytes, Proof] = {}

    def take(key: bytes) -> Proof | None:
        if key in pile:
            used[key] = pile[key]
        return used.get(key)

    _walk(whole, take)
    items = whole._replace(proofs=tuple(used.values())).items()
    _read(items)
    return cbor.encode(items)


def _read(items: list[Any]) -> _Claim:
    if len(items) != _COUNT:
        raise MalformedError(f"cometbft evidence has {_COUNT} items, not {len(items)}")
    _, chain_id, contract, log_id, size, header, commit, validators, links, store, requested, proofs = items
    subject = Subject(chain_id, contract, log_id, size, requested)
    subject.check()
    return _Claim(
        subject,
        (
            *(Link.from_items(link) for link in items_of("links", links, MAX_LINKS)),
            Link.from_items([header, commit, validators]),
        ),
        Existence.from_items(store),
        tuple(proof_from_items(proof) for proof in items_of("proofs", proofs, MAX_PROOFS)),
    )


def _walk(claim: _Claim, take: Callable[[bytes], Proof | None]) -> Proven:
    """Look everything up that the evidence is about, in the order of the format; `take` gives the proof for a key."""
    where = f"block {claim.header.height}"
    if claim.store.key != STORE or store_root(claim.store) != claim.header.app_hash:
        raise ChainInvalidError("the store's proof does not lead to the header's state", where=where)

    def load(key: bytes) -> bytes | None:
        """The value of 32 bytes under a key, None where the store has none."""
        proof = take(key)
        if proof is None or proof.key != key:
            raise ChainInvalidError(f"the proof for the key {key.hex()} is not where it belongs", where=where)
        if iavl_root(proof) != claim.store.value:
            raise ChainInvalidError(f"the proof for the key {key.hex()} does not lead to the store's root", where=where)
        if isinstance(proof, Absence):
            return None
        if len(proof.value) != _WORD:
            raise ChainInvalidError(f"the value under the key {key.hex()} has not {_WORD} bytes", where=where)
        return proof.value

    def word(slot: bytes) -> bytes:
        """A word of storage. A key that is absent is zero; so is one stored as zero, which genesis may have done."""
        return load(storage_key(contract, slot)) or bytes(_WORD)

    contract = claim.subject.contract
    code_hash = load(code_key(contract))
    if code_hash is None:
        raise ChainInvalidError(f"the chain has no contract 0x{contract.hex()}", where="contract")
    return walk(claim.subject, code_hash, word)


def _trust(claim: _Claim, block_hash: bytes, signers: tuple[int, ...], policy: ChainPolicy) -> tuple[str, int]:
    """Who vouches for the header, in words, and since when trusted; ChainUntrustedError where nobody does."""
    height = claim.header.height
    if block_hash in policy.headers:
        return f"block {height}, hash {block_hash.hex()}, pinned by the policy", 0
    pin = policy.comet
    if pin is None:
        raise ChainUntrustedError(
            f"nobody vouches for block {height}, hash {block_hash.hex()}",
            remedy="Name the chain's validators at a height, which you have from a source of your own",
        )
    place = _in_force(claim.links, pin.height)
    if claim.links[place].validators != pin.validators:
        raise ChainUntrustedError(
            f"the evidence does not begin with the validators that the policy trusts at block {pin.height}",
            remedy="Ask for evidence with the changes of validators since that block, or bring the policy up to date",
        )
    members = claim.links[-1].validators.members
    names = ", ".join("0x" + members[signer].key.hex() for signer in signers)
    changes = len(claim.links) - 1 - place
    since = f", who follow those of block {pin.height} by {changes} changes" if changes else ""
    return f"block {height}, signed by {len(signers)} of {len(members)} validators{since}: {names}", pin.time


def _in_force(links: Sequence[Link], height: int) -> int:
    """Place of the link whose validators the evidence shows in force at a height.

    A set is in force from the height after the link before it. The last one has no end: whoever is trusted later is
    trusted with what they signed earlier.
    """
    return sum(1 for link in links[:-1] if link.header.height < height)
