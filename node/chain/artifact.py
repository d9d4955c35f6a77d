"""The compiled contracts: their ABI for encoding calls, their code for deploying and for recognising them.

Trusts the committed artifacts that the contracts' own build reproduces byte for byte. Encoding is eth_abi's with the
ABI's types, looked up once: web3.py searches for a function longer than the chain takes to answer. Runtime code
has no immutables, so one hash identifies a contract on every chain. No function here has two forms.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_utils.abi import abi_to_signature, get_abi_input_types
from eth_utils.crypto import keccak

from ledger.errors import CorruptError

NAME = "LedgerAnchor"
CONSORTIUM = "Consortium"
ROLES = ("REGISTRY_ROLE", "ANCHORER_ROLE", "PAUSER_ROLE")


@dataclass(frozen=True)
class Artifact:
    """One compiled contract. `bytecode` creates it, `runtime` is what then stands on the chain."""

    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime: bytes

    @cached_property
    def code_hash(self) -> bytes:
        """Keccak-256 of the runtime code, 32 bytes."""
        return keccak(self.runtime)

    @cached_property
    def _functions(self) -> dict[str, tuple[bytes, list[str]]]:
        """First four bytes of a call, and types of the arguments, by name."""
        return {
            item["name"]: (_selector(item)[:4], get_abi_input_types(item))  # type: ignore[arg-type]
            for item in self.abi
            if item["type"] == "function"
        }

    def encode(self, function: str, *arguments: object) -> bytes:
        """Encode a call of `function`."""
        selector, types = self._functions[function]
        return selector + encode(types, arguments)

    def creation(self, *arguments: object) -> bytes:
        """Encode the creation of the contract with its constructor's arguments."""
        types = next((get_abi_input_types(item) for item in self.abi if item["type"] == "constructor"), [])  # type: ignore[arg-type]
        return self.bytecode + encode(types, arguments)

    @cached_property
    def errors(self) -> dict[bytes, str]:
        """Names of the contract's errors by their first four bytes."""
        return {_selector(item)[:4]: item["name"] for item in self.abi if item["type"] == "error"}

    @cached_property
    def topics(self) -> dict[str, bytes]:
        """First topics of the contract's events by name."""
        return {item["name"]: _selector(item) for item in self.abi if item["type"] == "event"}


def _selector(item: Any) -> bytes:
    return keccak(text=abi_to_signature(item))


def role(name: str) -> bytes:
    """Return the id of a role as OpenZeppelin's AccessControl has it."""
    return keccak(text=name)


def _parse(content: bytes, name: str) -> Artifact:
    document = json.loads(content)
    if document["contractName"] != name:
        raise ValueError("another contract")
    return Artifact(
        abi=document["abi"],
        bytecode=bytes.fromhex(document["bytecode"].removeprefix("0x")),
        runtime=bytes.fromhex(document["deployedBytecode"].removeprefix("0x")),
    )


def load_artifact(path: Path | None = None, *, name: str = NAME) -> Artifact:
    """Read the artifact of the contract `name` at `path`, else the one packaged here, else the source tree's.

    Raises:
        CorruptError: none there, or not an artifact of this contract.

    """
    packaged = resources.files("node.chain").joinpath(f"{name}.json")
    source = Path(__file__).resolve().parents[2] / "contracts" / "artifacts" / f"{name}.json"
    try:
        if path is not None:
            content = path.read_bytes()
        else:
            content = packaged.read_bytes() if packaged.is_file() else source.read_bytes()
        return _parse(content, name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptError(
            f"the compiled contract {name} cannot be used: {error}",
            where=str(path or source),
            remedy="Build it in contracts/, or set the path of the artifact in the configuration",
        ) from error
