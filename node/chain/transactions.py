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
from node.chain.rpc import Rpc, RpcError, quantity, unhex

GAS_MARGIN = 1.2
GAS_LIMIT = 10_000_000


@dataclass(frozen=True, slots=True)
class Fees:
    """What a transaction offers for a unit of gas, in wei. `tip` None: a legacy transaction at `price`."""

    price: int
    tip: int | None


def fees(rpc: Rpc, fixed: int | None, floor: int = 0, cap: int = 0) -> Fees:
    """Return the fixed price where one is set (0 on many permissioned chains), else twice what the chain asks now.

    `floor` is what it takes to replace an earlier transaction, `cap` what is never exceeded, 0 for no limit. The offer
    stays below `floor` where the price is fixed, the chain asks for nothing, or the cap forbids more: what was sent
    cannot be replaced then, only sent again. TransactionRefusedError "too-dear" where the chain asks more than `cap`.
    """
    if fixed is not None:
        _require_cheap(rpc, fixed, cap)
        return Fees(fixed, None)
    block = rpc.call("eth_getBlockByNumber", "latest", False)  # noqa: FBT003 - JSON-RPC is positional
    if not isinstance(block, dict):
        raise ChainUnavailableError("the chain gave no latest block", where=rpc.place)
    if block.get("baseFeePerGas") is None:
        asked = quantity(rpc.call("eth_gasPrice"), bits=128)
        _require_cheap(rpc, asked, cap)
        return Fees(_offer(asked, floor, cap), None)
    base = quantity(block["baseFeePerGas"], bits=128)
    try:
        tip = quantity(rpc.call("eth_maxPriorityFeePerGas"), bits=128)
    except RpcError:
        tip = 0
    _require_cheap(rpc, base + tip, cap)
    price = _offer(2 * base + tip, floor, cap)
    # To take the place of an earlier transaction its tip must grow too.
    return Fees(price, min(price, max(tip, floor)))


def _require_cheap(rpc: Rpc, asked: int, cap: int) -> None:
    if cap and asked > cap:
        raise TransactionRefusedError(
            "too-dear",
            f"a unit of gas costs {asked} wei now, and at most {cap} may be paid",
            where=rpc.place,
            remedy="It is tried again by itself; raise chain.max_gas_price to pay more",
        )


def _offer(asked: int, floor: int, cap: int) -> int:
    if not asked:
        return 0  # a chain that asks for nothing may know accounts that own nothing
    price = max(asked, floor)
    return min(price, cap) if cap else price


def estimate(rpc: Rpc, sender: str, to: str | None, data: bytes) -> int:
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
        r, s, parity = _signature(signer, rlp.encode([*fields, chain_id, 0, 0]))
        raw = rlp.encode([*fields, chain_id * 2 + 35 + parity, r, s])
    else:
        fields = [chain_id, nonce, offer.tip, offer.price, gas, target, 0, data, []]
        r, s, parity = _signature(signer, b"\x02" + rlp.encode(fields))
        raw = b"\x02" + rlp.encode([*fields, parity, r, s])
    return SignedTransaction(raw, keccak(raw), nonce, offer.price)


def _signature(signer: ChainSigner, payload: bytes) -> tuple[int, int, int]:
    signature = signer.sign_keccak(payload)
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64] - 27


def next_nonce(rpc: Rpc, address: str) -> int:
    """Return the nonce that the chain's latest block expects: one in the pool, ours or a ghost, is to be replaced."""
    return quantity(rpc.call("eth_getTransactionCount", address, "latest"))


def send(rpc: Rpc, raw: bytes) -> None:
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


def status(rpc: Rpc, tx: bytes, sender: str) -> TxStatus:
    """Ask for a transaction, and for its receipt once a block has it.

    In this order, because a node may keep the question for the receipt of one that waits open for a minute. A node that
    names a block and gives no receipt has included it, as far as it says.
    """
    known = rpc.call("eth_getTransactionByHash", "0x" + tx.hex())
    if not isinstance(known, dict):
        return TxStatus(TxState.VANISHED, nonce=next_nonce(rpc, sender))
    _require_of(rpc, known.get("hash"), tx)
    if known.get("blockNumber") is None:
        return TxStatus(TxState.PENDING, nonce=next_nonce(rpc, sender))
    receipt = receipt_of(rpc, tx)
    if receipt is None:
        return TxStatus(TxState.INCLUDED, quantity(known["blockNumber"]))
    state = TxState.INCLUDED if quantity(receipt.get("status")) == 1 else TxState.FAILED
    return TxStatus(state, quantity(receipt["blockNumber"]), quantity(receipt.get("gasUsed")))


def receipt_of(rpc: Rpc, tx: bytes) -> dict[str, object] | None:
    """Ask for the receipt of a transaction that a block has; None where the node gives none."""
    receipt = rpc.call("eth_getTransactionReceipt", "0x" + tx.hex())
    if not isinstance(receipt, dict) or receipt.get("blockNumber") is None:
        return None
    _require_of(rpc, receipt.get("transactionHash"), tx)
    return receipt


def _require_of(rpc: Rpc, named: object, tx: bytes) -> None:
    if unhex(named, 32) != tx:
        raise ChainUnavailableError("the chain's node answers for another transaction", where=rpc.place)


def transact(
    rpc: Rpc, signer: ChainSigner, *, chain_id: int, to: str | None, data: bytes, price: int | None, seconds: float
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
    try:
        send(rpc, transaction.raw)
    except TransactionRefusedError as error:
        if error.reason != "insufficient-funds":
            raise
        remedy = f"Give {signer.address} funds; where gas is free, offer nothing for it"
        raise TransactionRefusedError(error.reason, error.detail, where=error.where, remedy=remedy) from error
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        known = rpc.call("eth_getTransactionByHash", "0x" + transaction.hash.hex())
        included = isinstance(known, dict) and known.get("blockNumber") is not None
        receipt = receipt_of(rpc, transaction.hash) if included else None
        if receipt is not None:
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
