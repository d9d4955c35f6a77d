"""What an anchor costs as a real transaction, at the sizes a busy log has."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from web3 import Web3

LIMIT = 130_000
AUTHORISER = Account.from_key(b"\x11" * 32)


def deploy(chain: Web3, artifact: dict[str, Any], log_id: bytes) -> Any:
    """Deploy the contract with every role at the first account, and register the log."""
    admin = chain.eth.accounts[0]
    factory = chain.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
    receipt = chain.eth.wait_for_transaction_receipt(factory.constructor(86_400, admin).transact({"from": admin}))
    contract = chain.eth.contract(address=receipt["contractAddress"], abi=artifact["abi"])
    for role in ("REGISTRY_ROLE", "ANCHORER_ROLE"):
        send(chain, contract.functions.grantRole(contract.functions[role]().call(), admin))
    send(chain, contract.functions.registerLog(log_id, "log.example/gas", AUTHORISER.address))
    return contract


def send(chain: Web3, call: Any) -> int:
    """Send a transaction, require its success and return the gas it used."""
    sent = call.transact({"from": chain.eth.accounts[0]})
    receipt = chain.eth.wait_for_transaction_receipt(sent)
    assert receipt["status"] == 1
    return int(receipt["gasUsed"])


def authorise(chain: Web3, contract: Any, log_id: bytes, size: int, root: bytes) -> bytes:
    """Sign a checkpoint as EIP-712 typed data, with a library that knows nothing of the contract."""
    domain = {
        "name": "LedgerAnchor",
        "version": "1",
        "chainId": chain.eth.chain_id,
        "verifyingContract": contract.address,
    }
    members = [
        {"name": "log", "type": "bytes32"},
        {"name": "size", "type": "uint64"},
        {"name": "root", "type": "bytes32"},
    ]
    message = {"log": log_id, "size": size, "root": root}
    typed = encode_typed_data(domain, {"Anchor": members}, message)
    return bytes(AUTHORISER.sign_message(typed).signature)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (1, 1_000_000),
        ((1 << 19) - 1, 1_000_000),  # the most hashes of any step to a million: 38
        ((1 << 19) + 1, 1_000_000),
        (999_936, 1_000_000),
        (999_999, 1_000_000),
        ((1 << 20) - 1, 1 << 20),  # the most hashes of any pair up to 2^20: 39
        ((1 << 20) - 1, (1 << 20) + 1),
    ],
)
def test_an_anchor_at_a_million_entries_costs_less_than_the_limit(
    chain: Web3, artifact: dict[str, Any], growing_log: Any, old: int, new: int
) -> None:
    log_id = growing_log.genesis
    contract = deploy(chain, artifact, log_id)
    previous = 1
    used = 0
    for size in [old, new] if old > 1 else [new]:
        root = growing_log.root(size)
        proof = growing_log.consistency(previous, size)
        signature = authorise(chain, contract, log_id, size, root)
        used = send(chain, contract.functions.anchor(log_id, size, root, proof, signature))
        previous = size
    assert used < LIMIT, f"{used} gas for a proof of {len(proof)} nodes"
    assert contract.functions.head(log_id).call()[0] == new
    assert contract.functions.root(log_id, new).call() == growing_log.root(new)
