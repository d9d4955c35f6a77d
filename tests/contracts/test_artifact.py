"""The committed artifacts: their interface is the agreed one, their code holds nothing to replace or betray it."""

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
CALL, STATICCALL = 0xF1, 0xFA
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
CONSORTIUM_FUNCTIONS = {
    "act(bytes)",
    "actId(bytes)",
    "administrators()",
    "confirmations(bytes32)",
    "confirmed(bytes32,address)",
    "rights(address)",
    "round()",
    "setAdministrators(address[],uint256)",
    "setRights(address,uint256)",
    "setValidators(tuple[])",
    "threshold()",
    "validators()",
    "withdraw(bytes)",
}
CONSORTIUM_EVENTS = {
    "Acted(bytes32 indexed id,uint256 indexed round,bytes call)",
    "AdministratorsSet(address[] administrators,uint256 threshold)",
    "Confirmed(bytes32 indexed id,address indexed administrator,uint256 count,bytes call)",
    "RightsSet(address indexed account,uint256 rights)",
    "ValidatorsSet(tuple[] validators)",
    "Withdrawn(bytes32 indexed id,address indexed administrator,uint256 count)",
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


def test_the_artifacts_have_their_six_members_and_name_their_compiler(each_artifact: dict[str, Any]) -> None:
    assert list(each_artifact) == ["contractName", "abi", "bytecode", "deployedBytecode", "compiler", "evmVersion"]
    assert each_artifact["contractName"] in {"LedgerAnchor", "Consortium"}
    assert each_artifact["evmVersion"] == "paris"
    pinned = orjson.loads((CONTRACTS / "package.json").read_bytes())["dependencies"]["solc"]
    assert each_artifact["compiler"].startswith(f"{pinned}+commit.")


def test_the_code_is_small_enough_to_deploy_and_contains_its_runtime(each_artifact: dict[str, Any]) -> None:
    assert 0 < len(runtime(each_artifact)) <= LARGEST_CODE
    assert runtime(each_artifact) in creation(each_artifact)


def test_the_code_has_no_instruction_that_replaces_destroys_calls_out_or_is_too_new(
    artifact: dict[str, Any],
) -> None:
    assert forbidden_in(runtime(artifact)) == set()
    assert forbidden_in(creation(artifact)) == set()


def test_the_code_calls_nothing_but_three_precompiles(artifact: dict[str, Any]) -> None:
    """SHA-256 of a node, SHA-256 of an origin, ecrecover: the sources hold no other call."""
    assert list(opcodes(runtime(artifact))).count(STATICCALL) == 3


def test_the_consortium_s_code_has_one_call_to_itself_and_nothing_else_of_the_kind(consortium: dict[str, Any]) -> None:
    """Its target is the contract's own address, as the source says and the tests of acts show."""
    assert forbidden_in(runtime(consortium)) == {"CALL"}
    assert [op for op in opcodes(runtime(consortium)) if op in (CALL, STATICCALL)] == [CALL]
    assert forbidden_in(creation(consortium)) == {"CALL"}


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


def test_the_consortium_s_interface_is_the_agreed_one_and_nothing_else_writes(consortium: dict[str, Any]) -> None:
    functions = [e for e in consortium["abi"] if e["type"] == "function"]
    assert {written(e, names=False) for e in functions} >= CONSORTIUM_FUNCTIONS
    assert {written(e, names=True) for e in consortium["abi"] if e["type"] == "event"} == CONSORTIUM_EVENTS
    writing = {e["name"] for e in functions if e["stateMutability"] not in {"view", "pure"}}
    assert writing == {"act", "withdraw", "setRights", "setValidators", "setAdministrators"}


def test_nobody_can_send_them_money_or_reach_a_fallback(each_artifact: dict[str, Any]) -> None:
    assert {e["type"] for e in each_artifact["abi"]} == {"constructor", "function", "event", "error"}
    assert all(e["stateMutability"] != "payable" for e in each_artifact["abi"] if "stateMutability" in e)


def test_the_deployed_code_is_the_committed_runtime_code_byte_for_byte(chain: Web3, artifact: dict[str, Any]) -> None:
    admin = chain.eth.accounts[0]
    factory = chain.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
    receipt = chain.eth.wait_for_transaction_receipt(factory.constructor(86_400, admin).transact({"from": admin}))
    assert receipt["contractAddress"] is not None
    deployed = bytes(chain.eth.get_code(receipt["contractAddress"]))
    assert deployed == runtime(artifact)


def test_the_documentation_states_the_code_hashes_and_true_examples(
    artifact: dict[str, Any], consortium: dict[str, Any]
) -> None:
    text = (CONTRACTS / "STORAGE.md").read_text("utf-8")
    stated = re.findall(r"`(0x[0-9a-f]{64})`", text)
    one, two = ((i).to_bytes(32, "big") for i in (1, 2))
    head = 9 | 1_800_000_000 << 64 | 7 << 104 | 3 << 168
    anchor = [Web3.keccak(one + two), head.to_bytes(32, "big"), code_hash(artifact)]
    others = [Web3.keccak(one), Web3.keccak(two), Web3.keccak(one + bytes(32)), code_hash(consortium)]
    assert stated == [f"0x{bytes(word).hex()}" for word in (*anchor, *others)]


def test_the_lock_file_names_no_registry() -> None:
    lock = (CONTRACTS / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock
    assert "registry" not in lock


def test_the_gas_of_an_anchor_is_on_record() -> None:
    lines = (CONTRACTS / ".gas-snapshot").read_text("utf-8").splitlines()
    assert any("anchor" in line for line in lines)
