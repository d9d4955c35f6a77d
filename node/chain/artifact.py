"""The compiled contracts: their ABI for encoding calls, their code for deploying and for recognising them.

Trusts the committed artifacts that the contracts' own build reproduces byte for byte. Encoding is web3.py's, decoding
eth_abi's with explicit types; runtime code has no immutables, so one hash identifies a contract on every chain.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eth_utils.abi import abi_to_signature
from eth_utils.crypto import keccak

from ledger.errors import CorruptError

if TYPE_CHECKING:
    from web3.contract import Contract

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
    def _contract(self) -> type[Contract]:
        from web3 import Web3  # noqa: PLC0415 - takes half a second, and only a node that anchors needs it

        return Web3().eth.contract(abi=self.abi, bytecode=self.bytecode)

    def encode(self, function: str, *arguments: object) -> bytes:
        """Encode a call of `function`."""
        return bytes.fromhex(self._contract.encode_abi(function, list(arguments))[2:])

    def creation(self, *arguments: object) -> bytes:
        """Encode the creation of the contract with its constructor's arguments."""
        encoded = self._contract.constructor(*arguments).data_in_transaction
        return bytes.fromhex(str(encoded)[2:])

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
