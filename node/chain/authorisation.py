"""What the authoriser of a log signs to let an anchor pass: an EIP-712 encoding, as the contract computes it."""

from __future__ import annotations

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from node.chain.artifact import NAME

DOMAIN_TYPE = keccak(text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
ANCHOR_TYPE = keccak(text="Anchor(bytes32 log,uint64 size,bytes32 root)")


def authorisation_payload(chain_id: int, contract: str, log: bytes, size: int, root: bytes) -> bytes:
    """EIP-712 encoding of an anchor, bound to chain, contract, log, size and root: 0x1901, domain, struct, 66 bytes.

    The authoriser signs its Keccak-256.
    """
    domain = keccak(
        encode(
            ["bytes32", "bytes32", "bytes32", "uint256", "address"],
            [DOMAIN_TYPE, keccak(text=NAME), keccak(text="1"), chain_id, contract],
        )
    )
    message = keccak(encode(["bytes32", "bytes32", "uint64", "bytes32"], [ANCHOR_TYPE, log, size, root]))
    return b"\x19\x01" + domain + message
