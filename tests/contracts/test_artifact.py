"""The committed artifact: its interface is the agreed one, its code holds nothing that could replace or betray it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from web3 import Web3

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"

FORBIDDEN = {
    0x49: "BLOBHASH",
    0x4A: "BLOBBASEFEE",
    0x5C: "TLOAD",
    0x5D: "TSTORE",
    0x5E: "MCOPY",
    0x5F: "PUSH0",
    0xF0: "CREATE",
    0xF1: "CALL",
    0xF2: "CALLCODE",
    0xF4: "DELEGATECALL",
    0xF5: "CREATE2",
    0xFF: "SELFDESTRUCT",
}
STATICCALL = 0xFA
LARGEST_CODE = 24_576  # EIP-170

FUNCTIONS = {
    "anchor(bytes32,uint64,bytes32,bytes32[],bytes)",
    "authorisationDigest(bytes32,uint64,bytes32)",
    "head(bytes32)",
    "logOf(string)",
    "logs(bytes32)",
    "mapPrefix(string,bytes32)",
    "meta(bytes32,uint64)",
    "pause()",
    "prefixHistory(string)",
    "registerLog(bytes32,string,address)",
    "request(bytes32,bytes32)",
    "requests(bytes32,bytes32)",
    "root(bytes32,uint64)",
    "seal(bytes32,uint64,bytes32,bytes32)",
    "seals(bytes32)",
    "setAuthoriser(bytes32,address)",
    "unpause()",
    "verifyInclusion(bytes32,uint64,uint64,bytes32,bytes32[])",
}
EVENTS = {
    "Anchored(bytes32 indexed log,uint64 indexed size,bytes32 root,address sender)",
    "AuthoriserChanged(bytes32 indexed log,address previous,address authoriser)",
    "LogRegistered(bytes32 indexed log,string origin,address authoriser)",
    "PrefixMapped(bytes32 indexed prefixHash,bytes32 indexed log,bytes32 indexed previous,string prefix)",
    "Requested(bytes32 indexed log,bytes32 indexed leafHash,address sender)",
    "Sealed(bytes32 indexed log,uint64 indexed size,bytes32 root,bytes32 indexed successor)",
}


def opcodes(code: bytes) -> Iterator[int]:
    """Yield the opcodes of EVM code, stepping over what PUSH1 to PUSH32 carry."""
    at = 0
    while at < len(code):
        yield code[at]
        at += 1 + (code[at] - 0x5F if 0x60 <= code[at] <= 0x7F else 0)


def forbidden_in(code: bytes) -> set[str]:
    """Return the names of the forbidden instructions that the code has."""
    return {FORBIDDEN[op] for op in opcodes(code) if op in FORBIDDEN}


def runtime(artifact: dict[str, Any]) -> bytes:
    return bytes.fromhex(artifact["deployedBytecode"].removeprefix("0x"))


def code_hash(artifact: dict[str, Any]) -> bytes:
    return bytes(Web3.keccak(runtime(artifact)))


def creation(artifact: dict[str, Any]) -> bytes:
    return bytes.fromhex(artifact["bytecode"].removeprefix("0x"))


def written(entry: dict[str, Any], *, names: bool) -> str:
    """Write an ABI entry as a signature, with names and `indexed` for events."""
    inputs = [
        " ".join([i["type"], *(["indexed"] if i.get("indexed") else []), i["name"]]) if names else i["type"]
        for i in entry["inputs"]
    ]
    return f"{entry['name']}({','.join(inputs)})"


def test_the_artifact_has_its_six_members_and_names_its_compiler(artifact: dict[str, Any]) -> None:
    assert list(artifact) == ["contractName", "abi", "bytecode", "deployedBytecode", "compiler", "evmVersion"]
    assert artifact["contractName"] == "LedgerAnchor"
    assert artifact["evmVersion"] == "paris"
    pinned = orjson.loads((CONTRACTS / "package.json").read_bytes())["dependencies"]["solc"]
    assert artifact["compiler"].startswith(f"{pinned}+commit.")


def test_the_code_is_small_enough_to_deploy_and_contains_its_runtime(artifact: dict[str, Any]) -> None:
    assert 0 < len(runtime(artifact)) <= LARGEST_CODE
    assert runtime(artifact) in creation(artifact)


def test_the_code_has_no_instruction_that_replaces_destroys_calls_out_or_is_too_new(
    artifact: dict[str, Any],
) -> None:
    assert forbidden_in(runtime(artifact)) == set()
    assert forbidden_in(creation(artifact)) == set()


def test_the_code_calls_nothing_but_three_precompiles(artifact: dict[str, Any]) -> None:
    """SHA-256 of a node, SHA-256 of an origin, ecrecover: the sources hold no other call."""
    assert list(opcodes(runtime(artifact))).count(STATICCALL) == 3


@pytest.mark.parametrize("name", sorted(set(FORBIDDEN.values())))
def test_a_forbidden_instruction_is_found_and_its_byte_inside_a_push_is_not(name: str) -> None:
    op = next(op for op, known in FORBIDDEN.items() if known == name)
    assert forbidden_in(bytes([0x60, 0x00, op])) == {name}
    assert forbidden_in(bytes([0x60, op, 0x61, op, op])) == set()


def test_the_interface_is_the_agreed_one(artifact: dict[str, Any]) -> None:
    functions = {written(e, names=False) for e in artifact["abi"] if e["type"] == "function"}
    events = {written(e, names=True) for e in artifact["abi"] if e["type"] == "event"}
    assert functions >= FUNCTIONS
    assert events >= EVENTS


def test_nobody_can_send_it_money_or_reach_a_fallback(artifact: dict[str, Any]) -> None:
    assert {e["type"] for e in artifact["abi"]} == {"constructor", "function", "event", "error"}
    assert all(e["stateMutability"] != "payable" for e in artifact["abi"] if "stateMutability" in e)


def test_the_deployed_code_is_the_committed_runtime_code_byte_for_byte(chain: Web3, artifact: dict[str, Any]) -> None:
    admin = chain.eth.accounts[0]
    factory = chain.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
    receipt = chain.eth.wait_for_transaction_receipt(factory.constructor(86_400, admin).transact({"from": admin}))
    assert receipt["contractAddress"] is not None
    deployed = bytes(chain.eth.get_code(receipt["contractAddress"]))
    assert deployed == runtime(artifact)


def test_the_documentation_states_the_code_hash_and_a_true_example(artifact: dict[str, Any]) -> None:
    text = (CONTRACTS / "STORAGE.md").read_text("utf-8")
    stated = re.findall(r"`(0x[0-9a-f]{64})`", text)
    slot = Web3.keccak((1).to_bytes(32, "big") + (2).to_bytes(32, "big"))
    head = 9 | 1_800_000_000 << 64 | 7 << 104 | 3 << 168
    assert stated == [f"0x{word.hex()}" for word in (bytes(slot), head.to_bytes(32, "big"), code_hash(artifact))]


def test_the_lock_file_names_no_registry() -> None:
    lock = (CONTRACTS / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock
    assert "registry" not in lock


def test_the_gas_of_an_anchor_is_on_record() -> None:
    lines = (CONTRACTS / ".gas-snapshot").read_text("utf-8").splitlines()
    assert any("anchor" in line for line in lines)
