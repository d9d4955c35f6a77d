"""The consortium's code on a chain: the bytes that stand there, the slots it writes, and what its transactions cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from web3 import Web3

STORAGE = Path(__file__).resolve().parents[2] / "contracts" / "STORAGE.md"
ANYBODY = Web3.to_checksum_address("0x" + "5a" * 20)


def validators(count: int) -> list[tuple[bytes, int]]:
    return [((0xABCDEF00 + i).to_bytes(32, "little"), 10 + i) for i in range(count)]


def deploy(chain: Web3, consortium: dict[str, Any]) -> tuple[Any, int]:
    """Deploy with the chain's first three accounts as administrators, two of whom act; the contract and the gas."""
    people = chain.eth.accounts[:3]
    factory = chain.eth.contract(abi=consortium["abi"], bytecode=consortium["bytecode"])
    sent = factory.constructor(people, 2, validators(4)).transact({"from": people[0]})
    receipt = chain.eth.wait_for_transaction_receipt(sent)
    assert receipt["status"] == 1
    return chain.eth.contract(address=receipt["contractAddress"], abi=consortium["abi"]), int(receipt["gasUsed"])


def send(chain: Web3, call: Any, person: int) -> int:
    """Send a transaction, require its success and return the gas it used."""
    receipt = chain.eth.wait_for_transaction_receipt(call.transact({"from": chain.eth.accounts[person]}))
    assert receipt["status"] == 1
    return int(receipt["gasUsed"])


def encoded(contract: Any, function: str, *arguments: object) -> bytes:
    return bytes.fromhex(contract.encode_abi(function, list(arguments))[2:])


def test_the_deployed_code_is_the_committed_runtime_code_byte_for_byte(chain: Web3, consortium: dict[str, Any]) -> None:
    contract, _ = deploy(chain, consortium)
    assert "0x" + bytes(chain.eth.get_code(contract.address)).hex() == consortium["deployedBytecode"]


def test_the_slots_are_those_of_the_documentation(chain: Web3, consortium: dict[str, Any]) -> None:
    contract, _ = deploy(chain, consortium)

    def word(slot: int) -> int:
        return int.from_bytes(chain.eth.get_storage_at(contract.address, slot), "big")

    def start(*words: int) -> int:
        return int.from_bytes(Web3.keccak(b"".join(each.to_bytes(32, "big") for each in words)), "big")

    first, data = int(chain.eth.accounts[0], 16), start(1)
    assert word(start(first, 0)) == 1
    assert [word(i) for i in range(8)] == [0, 4, 3, 2, 0, 0, 0, 0]
    slots = [word(data + i) for i in range(9)]
    assert slots == [*(value for key, power in validators(4) for value in (int.from_bytes(key, "big"), power)), 0]
    assert [word(start(2) + i) for i in range(4)] == [*(int(each, 16) for each in chain.eth.accounts[:3]), 0]
    call = encoded(contract, "setRights", ANYBODY, 3)
    send(chain, contract.functions.act(call), 0)
    act = int.from_bytes(Web3.keccak(bytes(32) + call), "big")
    assert (word(start(first, start(act, 5))), word(start(act, 6))) == (1, 1)
    send(chain, contract.functions.act(call), 1)
    assert (word(4), word(start(int(ANYBODY, 16), 0))) == (1, 3)


def test_the_documentation_states_what_transactions_cost(chain: Web3, consortium: dict[str, Any]) -> None:
    contract, deployment = deploy(chain, consortium)
    rights = encoded(contract, "setRights", ANYBODY, 1)
    many = encoded(contract, "setValidators", validators(64))
    confirmed = send(chain, contract.functions.act(rights), 0)
    withdrawn = send(chain, contract.functions.withdraw(rights), 0)
    send(chain, contract.functions.act(rights), 0)
    carried_out = send(chain, contract.functions.act(rights), 1)
    send(chain, contract.functions.act(many), 0)
    replaced = send(chain, contract.functions.act(many), 1)
    assert len(contract.functions.validators().call()) == 64
    text = STORAGE.read_text("utf-8").partition("## Consortium")[2]
    stated = [line.split("|")[2].strip() for line in text.partition("### Gas")[2].splitlines() if "|" in line][2:]
    assert stated == [f"{gas:,}" for gas in (confirmed, carried_out, replaced, withdrawn, deployment)]
