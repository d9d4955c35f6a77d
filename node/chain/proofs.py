"""Chain evidence from an EVM chain's node: header and storage proofs, gathered and put into one form.

Asks for a block and for the proofs of eth_getProof (EIP-1186), rebuilds the header from the block's fields, and hands
over only what leads from that header to the contract's storage. The node may say anything: what does not hash to the
block it names, or does not prove what was asked, is no answer. Whether anybody trusts the block is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ledger.errors import MalformedError
from ledger.evidence.chain import ChainInvalidError, ChainPolicy, check_chain_evidence
from ledger.evidence.chain import ethereum as form
from ledger.evidence.chain.header import MIN_FIELDS, Header
from ledger.evidence.chain.rlp import encode, encode_number
from node.chain.protocol import ChainIdentity, ChainUnavailableError, ProvenAnchor
from node.chain.rpc import quantity, unhex

Ask = Callable[..., Any]
"""A JSON-RPC call: method and parameters to the result; raises ChainUnavailableError."""

# Members of a block in JSON, in the order of the header's fields: the size of data, 0 for any, None for a quantity.
_MEMBERS: Final[tuple[tuple[str, int | None], ...]] = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", None),
    ("number", None),
    ("gasLimit", None),
    ("gasUsed", None),
    ("timestamp", None),
    ("extraData", 0),
    ("mixHash", 32),
    ("nonce", 8),
    ("baseFeePerGas", None),
    ("withdrawalsRoot", 32),
    ("blobGasUsed", None),
    ("excessBlobGas", None),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
)


def header_of(block: dict[str, Any]) -> tuple[bytes, bytes]:
    """Rebuild a block's header, RLP, from its members in JSON; it and its hash.

    Raises ChainUnavailableError unless the two agree.
    """
    fields: list[bytes] = []
    for name, size in _MEMBERS:
        value = block.get(name)
        if value is None and len(fields) >= MIN_FIELDS:
            break  # the chain has not had the fork that appends this field
        fields.append(encode_number(quantity(value, bits=256)) if size is None else unhex(value, size or None))
    header = encode(fields)
    block_hash = unhex(block.get("hash"), 32)
    try:
        known = block_hash in Header.decode(header).hashes
    except MalformedError as error:
        raise ChainUnavailableError(f"the chain gave a block that is none: {error}") from error
    if not known:
        raise ChainUnavailableError(
            "the block's fields do not have its hash: the chain's node is at fault, or the chain has other fields"
        )
    return header, block_hash


def gather(
    ask: Ask,
    *,
    identity: ChainIdentity,
    log_id: bytes,
    size: int,
    block: int,
    requested: Sequence[bytes] = (),
) -> ProvenAnchor:
    """Ask for the proofs of one anchor under the header of `block`, and check them as if that block were trusted.

    Raises ChainUnavailableError for no answer, or one that does not prove the values at this block.
    """
    found = ask("eth_getBlockByNumber", hex(block), False)  # noqa: FBT003 - JSON-RPC is positional
    if not isinstance(found, dict) or quantity(found.get("number")) != block:
        raise ChainUnavailableError(f"the chain gave no block {block}")
    header, block_hash = header_of(found)
    contract = unhex(identity.contract, 20)
    keys = ["0x" + slot.hex() for slot in form.slots(log_id, size, requested)]
    proof = ask("eth_getProof", identity.contract, keys, hex(block))
    try:
        evidence = form.make_evidence(
            chain_id=identity.chain_id,
            contract=contract,
            log_id=log_id,
            size=size,
            header=header,
            nodes=_nodes(proof),
            requested=requested,
        )
        policy = ChainPolicy(form.KIND, identity.chain_id, contract, identity.code_hash, headers=(block_hash,))
        return ProvenAnchor(evidence, check_chain_evidence(evidence, policy, log_id))
    except (MalformedError, ChainInvalidError) as error:
        raise ChainUnavailableError(f"the chain's node gave no proof for block {block}: {error}") from error


def _nodes(proof: object) -> list[bytes]:
    """All the trie nodes in an answer to eth_getProof."""
    if not isinstance(proof, dict):
        raise ChainUnavailableError("the chain gave no proof")
    storage = proof.get("storageProof")
    parts = [proof.get("accountProof")]
    if isinstance(storage, list):
        parts += [part.get("proof") if isinstance(part, dict) else None for part in storage]
    nodes = []
    for part in parts:
        if not isinstance(part, list):
            raise ChainUnavailableError("the chain gave a proof in another form than EIP-1186 has")
        nodes += [unhex(node) for node in part]
    return nodes
