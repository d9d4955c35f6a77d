"""Building, signing and sending EVM transactions; nothing here knows the anchor contract.

A transaction is signed first and sent afterwards, so that its caller can keep it in between: the same bytes can then be
sent again after any failure without being paid for twice. Follows EIP-155 (legacy) and EIP-1559 (type 2), both RLP.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import rlp  # type: ignore[import-untyped]
from eth_utils.address import to_canonical_address
from eth_utils.crypto import keccak

from node.chain.protocol import (
    ChainSigner,
    ChainUnavailableError,
    SignedTransaction,
    TransactionRefusedError,
    TxState,
    TxStatus,
)
from node.chain.rpc import JsonRpc, RpcError, quantity, unhex

GAS_MARGIN = 1.2
GAS_LIMIT = 10_000_000


@dataclass(frozen=True, slots=True)
class Fees:
    """What a transaction offers for a unit of gas, in wei. `tip` None: a legacy transaction at `price`."""

    price: int
    tip: int | None


def fees(rpc: JsonRpc, fixed: int | None, floor: int = 0) -> Fees:
    """Return the fixed price where one is set (0 on many permissioned chains), else twice what the chain asks now."""
    if fixed is not None:
        return Fees(max(fixed, floor), None)
    block = rpc.call("eth_getBlockByNumber", "latest", False)  # noqa: FBT003 - JSON-RPC is positional
    if not isinstance(block, dict):
        raise ChainUnavailableError("the chain gave no latest block", where=rpc.place)
    if block.get("baseFeePerGas") is None:
        return Fees(max(quantity(rpc.call("eth_gasPrice"), bits=128), floor), None)
    base = quantity(block["baseFeePerGas"], bits=128)
    try:
        tip = quantity(rpc.call("eth_maxPriorityFeePerGas"), bits=128)
    except RpcError:
        tip = 0
    price = max(2 * base + tip, floor)
    # To take the place of an earlier transaction its tip must grow too.
    return Fees(price, max(tip, min(price, floor)))


def estimate(rpc: JsonRpc, sender: str, to: str | None, data: bytes) -> int:
    """Ask what gas a call needs, with a margin; RpcError with the revert data where it would fail."""
    call = {"from": sender, "data": "0x" + data.hex(), **({"to": to} if to else {})}
    # On the latest block: left to itself a node may count what waits in its pool, and an anchor that repeats one
    # waiting there costs far less than the one that is to take its place.
    return min(int(quantity(rpc.call("eth_estimateGas", call, "latest")) * GAS_MARGIN), GAS_LIMIT)


def sign(
    signer: ChainSigner, *, chain_id: int, nonce: int, gas: int, offer: Fees, to: str | None, data: bytes
) -> SignedTransaction:
    """Sign a transaction that carries no value. `to` None creates a contract."""
    target = to_canonical_address(to) if to else b""
    if offer.tip is None:
        fields: list[object] = [nonce, offer.price, gas, target, 0, data]
        r, s, parity = _signature(signer, keccak(rlp.encode([*fields, chain_id, 0, 0])))
        raw = rlp.encode([*fields, chain_id * 2 + 35 + parity, r, s])
    else:
        fields = [chain_id, nonce, offer.tip, offer.price, gas, target, 0, data, []]
        r, s, parity = _signature(signer, keccak(b"\x02" + rlp.encode(fields)))
        raw = b"\x02" + rlp.encode([*fields, parity, r, s])
    return SignedTransaction(raw, keccak(raw), nonce, offer.price)


def _signature(signer: ChainSigner, digest: bytes) -> tuple[int, int, int]:
    signature = signer.sign_digest(digest)
    v = signature[64]
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), v - 27 if v >= 27 else v


def next_nonce(rpc: JsonRpc, address: str) -> int:
    """Return the nonce that the chain's latest block expects: one in the pool, ours or a ghost, is to be replaced."""
    return quantity(rpc.call("eth_getTransactionCount", address, "latest"))


def send(rpc: JsonRpc, raw: bytes) -> None:
    """Send a signed transaction. One that is known already is no error; others are TransactionRefusedError."""
    try:
        rpc.call("eth_sendRawTransaction", "0x" + raw.hex())
    except RpcError as error:
        reason = refusal(error.message)
        if reason != "already-known":
            raise TransactionRefusedError(reason, error.message, where=rpc.place) from error


def refusal(message: str) -> str:
    """Sort the message of a refusal; nodes have no common codes for them, only similar words."""
    words = message.lower()
    for reason, parts in (
        ("already-known", ("already known", "already imported", "already in cache", "known transaction")),
        ("nonce-too-low", ("nonce too low", "nonce is too low", "invalid nonce", "nonce mismatch")),
        ("underpriced", ("underpriced", "fee too low", "less than block base fee", "insufficient fee")),
        ("insufficient-funds", ("insufficient funds", "insufficient balance")),
        ("reverted", ("revert",)),
    ):
        if any(part in words for part in parts):
            return reason
    return "other"


def status(rpc: JsonRpc, tx: bytes, sender: str) -> TxStatus:
    """Ask for the receipt, then the pool, of a transaction."""
    receipt = rpc.call("eth_getTransactionReceipt", "0x" + tx.hex())
    if isinstance(receipt, dict) and receipt.get("blockNumber") is not None:
        state = TxState.INCLUDED if quantity(receipt.get("status")) == 1 else TxState.FAILED
        return TxStatus(state, quantity(receipt["blockNumber"]), quantity(receipt.get("gasUsed")))
    known = rpc.call("eth_getTransactionByHash", "0x" + tx.hex())
    state = TxState.PENDING if isinstance(known, dict) else TxState.VANISHED
    return TxStatus(state, nonce=next_nonce(rpc, sender))


def transact(
    rpc: JsonRpc, signer: ChainSigner, *, chain_id: int, to: str | None, data: bytes, price: int | None, seconds: float
) -> tuple[bytes, dict[str, object]]:
    """Send a transaction and wait until a block includes it; its hash and receipt.

    For work done once, under a person's eyes (deploying, granting roles). Raises TransactionRefusedError when it
    fails, ChainUnavailableError when it is not included in time.
    """
    try:
        gas = estimate(rpc, signer.address, to, data)
    except RpcError as error:
        raise TransactionRefusedError("reverted", error.message, where=rpc.place) from error
    offer = fees(rpc, price)
    nonce = next_nonce(rpc, signer.address)
    transaction = sign(signer, chain_id=chain_id, nonce=nonce, gas=gas, offer=offer, to=to, data=data)
    send(rpc, transaction.raw)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        receipt = rpc.call("eth_getTransactionReceipt", "0x" + transaction.hash.hex())
        if isinstance(receipt, dict) and receipt.get("blockNumber") is not None:
            if quantity(receipt.get("status")) != 1:
                raise TransactionRefusedError("reverted", "the transaction failed", where=transaction.hash.hex())
            # A node may show a receipt a moment before its latest state: what follows must see this nonce used.
            if next_nonce(rpc, signer.address) > nonce:
                return transaction.hash, receipt
        time.sleep(0.02)
    raise ChainUnavailableError(
        f"no block included the transaction within {seconds:.0f} s", where=transaction.hash.hex()
    )


def created(receipt: dict[str, object]) -> bytes:
    """Address of the contract that a transaction created, 20 bytes."""
    return unhex(receipt.get("contractAddress"), 20)
