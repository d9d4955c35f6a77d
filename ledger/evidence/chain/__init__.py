"""Chain evidence: proofs, checked offline, of what the anchor contract holds under a header that the verifier trusts.

Owns the table of kinds; each kind has a module of its own. Evidence is deterministic CBOR, an array that begins with
its kind as text. Trusts nothing but the policy. Follows DESIGN section 8, step 10; docs/formats.md has the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ledger.errors import MalformedError
from ledger.evidence.chain import cometbft, ethereum
from ledger.evidence.chain.facts import (
    MAX_EVIDENCE,
    ChainFacts,
    ChainInvalidError,
    ChainPolicy,
    ChainRequest,
    ChainSeal,
    ChainUntrustedError,
    CometTrust,
)
from ledger.statements import cbor

__all__ = [
    "KINDS",
    "MAX_EVIDENCE",
    "ChainFacts",
    "ChainInvalidError",
    "ChainPolicy",
    "ChainRequest",
    "ChainSeal",
    "ChainUntrustedError",
    "CometTrust",
    "block_hashes",
    "check_chain_evidence",
    "check_request",
    "require_kind",
]

KINDS: Final[dict[str, Callable[[list[Any], ChainPolicy, bytes], ChainFacts]]] = {
    ethereum.KIND: ethereum.check,
    cometbft.KIND: cometbft.check,
}
"""Checkers by kind: the decoded array, the policy, the log id."""
BLOCKS: Final[dict[str, Callable[[list[Any]], tuple[bytes, ...]]]] = {
    ethereum.KIND: ethereum.block_hashes,
    cometbft.KIND: cometbft.block_hashes,
}
"""Readers of the block's hashes by kind: the decoded array."""


def require_kind(kind: object, where: str) -> str:
    """The kind again; MalformedError for one without a checker: a policy of that kind would trust nothing, unsaid."""
    if isinstance(kind, str) and kind in KINDS:
        return kind
    raise MalformedError(
        f"{kind[:40]!r} is no kind of chain that is known here" if isinstance(kind, str) else "expected a text",
        where=where,
        remedy=f"The known kinds are {' and '.join(sorted(KINDS))}",
    )


def check_chain_evidence(evidence: bytes, policy: ChainPolicy, log_id: bytes) -> ChainFacts:
    """Return what `evidence` proves about the log under a header that `policy` trusts.

    Raises:
        MalformedError: not in the one form of its kind, or too long.
        ChainInvalidError: it contradicts itself, the policy, or is about another log, contract or chain.
        ChainUntrustedError: nobody whom the policy names vouches for the header, or the kind is not the policy's.

    """
    items = _read(evidence)
    check = KINDS.get(items[0])
    if check is None or items[0] != policy.kind:
        raise ChainUntrustedError(
            f"this is evidence of the kind {items[0][:40]!r}; the policy wants {policy.kind!r}",
            remedy="Ask for evidence of the chain that the policy names",
        )
    return check(items, policy, log_id)


def block_hashes(evidence: bytes) -> tuple[bytes, ...]:
    """The hashes of the block under which evidence was taken, for those who pin it; MalformedError for another form.

    Nothing is checked. What a kind hashes in one way only has one hash.
    """
    items = _read(evidence)
    find = BLOCKS.get(items[0])
    if find is None:
        raise MalformedError(f"no block of evidence of the kind {items[0][:40]!r} can be pinned")
    return find(items)


def _read(evidence: bytes) -> list[Any]:
    items = cbor.decode(evidence, max_size=MAX_EVIDENCE)
    if type(items) is not list or not items or type(items[0]) is not str:
        raise MalformedError("chain evidence is an array that begins with its kind")
    return items


def check_request(
    evidence: bytes, policy: ChainPolicy, log_id: bytes, leaf_hash: bytes
) -> tuple[ChainFacts, ChainRequest]:
    """Return when the admission of a leaf was requested on the chain, with all that `evidence` proves.

    A node that ignores a statement can so be shown to have been told in public: the request's block and time, beside
    the size of the log that the head has under a later header.

    Raises:
        ChainUntrustedError: the evidence does not ask about this leaf, or see `check_chain_evidence`.
        ChainInvalidError: the evidence proves that there was no request, or see `check_chain_evidence`.
        MalformedError: see `check_chain_evidence`.

    """
    facts = check_chain_evidence(evidence, policy, log_id)
    request = facts.request(leaf_hash)
    if request is None:
        raise ChainUntrustedError(f"the evidence does not ask about the leaf {leaf_hash.hex()}")
    if not request.made:
        raise ChainInvalidError(f"up to block {facts.block} nobody requested the leaf {leaf_hash.hex()}")
    return facts, request
