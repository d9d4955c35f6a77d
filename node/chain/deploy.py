"""Putting the anchor contract on an EVM chain, giving its roles, registering a log: done once, by the admin's key.

Owns the deployment record, the file that tells a node where its contract is. The admin's key is not the sender's and
not the authoriser's; a node that anchors needs neither this key nor this module. Follows DESIGN section 7.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from eth_abi.abi import decode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from ledger.errors import MalformedError
from ledger.store.durable import replace_file
from node.chain import transactions
from node.chain.artifact import ROLES, Artifact, load_artifact, role
from node.chain.protocol import FLAG_SEALED, ChainMismatchError, ChainSigner
from node.chain.rehearsal import rehearse
from node.chain.rpc import Rpc, quantity, require_chain, unhex

FORMAT = "tial-deployment-v1"
ADMIN_DELAY = 86_400


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the contract stands. `code_hash` and `tx` are hex without 0x; `block` is where events may begin."""

    chain_id: int
    contract: str
    code_hash: str
    block: int
    tx: str

    def save(self, path: Path) -> None:
        """Write the record durably."""
        replace_file(path, orjson.dumps({"format": FORMAT, **asdict(self)}, option=orjson.OPT_INDENT_2))

    @classmethod
    def load(cls, path: Path) -> Deployment:
        """Read the record; MalformedError for anything else."""
        try:
            return cls._parse(orjson.loads(path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise MalformedError(
                f"this is no deployment record: {error}", where=str(path), remedy="Deploy the contract first"
            ) from error

    @classmethod
    def _parse(cls, document: dict[str, Any]) -> Deployment:
        if document["format"] != FORMAT:
            raise ValueError("another format")
        contract = to_checksum_address(document["contract"])
        code_hash = bytes.fromhex(document["code_hash"]).hex()
        return cls(int(document["chain_id"]), contract, code_hash, int(document["block"]), str(document["tx"]))


class Deployer:
    """The admin's hand on one chain, the one of `chain_id` where given. `seconds` bounds the wait for a transaction."""

    def __init__(
        self,
        rpc: Rpc,
        admin: ChainSigner,
        *,
        artifact: Artifact | None = None,
        gas_price: int | None = None,
        seconds: float = 60.0,
        chain_id: int | None = None,
    ) -> None:
        self.rpc = rpc
        self.admin = admin
        self.artifact = artifact or load_artifact()
        self.gas_price = gas_price
        self.seconds = seconds
        self.chain_id = quantity(rpc.call("eth_chainId")) if chain_id is None else chain_id
        rpc.guard(self._same_chain)
        rpc.check(self._same_chain)

    def deploy(self, *, admin_delay: int = ADMIN_DELAY) -> Deployment:
        """Create the contract, with the admin's key as its admin; ChainMismatchError where other code then stands."""
        data = self.artifact.creation(admin_delay, self.admin.address)
        tx, receipt = self._transact(None, data)
        contract = to_checksum_address(transactions.created(receipt))
        code = unhex(self.rpc.call("eth_getCode", contract, "latest"))
        if keccak(code) != self.artifact.code_hash:
            raise ChainMismatchError(
                "the chain keeps other code than was sent", where=contract, remedy="Check that it is an EVM chain"
            )
        return Deployment(
            self.chain_id, contract, self.artifact.code_hash.hex(), quantity(receipt["blockNumber"]), tx.hex()
        )

    def found(self, contract: str) -> Deployment:
        """The record of a contract that stands there already; ChainMismatchError for other code, MalformedError."""
        try:
            contract = to_checksum_address(contract)
        except ValueError as error:
            raise MalformedError("an address is 0x and 40 hex digits", where="contract") from error
        if keccak(unhex(self.rpc.call("eth_getCode", contract, "latest"))) != self.artifact.code_hash:
            raise ChainMismatchError("this is not the anchor contract", where=contract, remedy="Correct its address")
        return Deployment(self.chain_id, contract, self.artifact.code_hash.hex(), 0, "")

    def grant(self, contract: str, name: str, account: str) -> None:
        """Give a role, one of ROLES, to an account; nothing happens where it has it."""
        if name not in ROLES:
            raise MalformedError(f"{name!r} is no role", remedy=f"Use one of {', '.join(ROLES)}")
        if not self._bool(contract, "hasRole", role(name), account):
            self._transact(contract, self.artifact.encode("grantRole", role(name), account))

    def revoke(self, contract: str, name: str, account: str) -> None:
        """Take a role, one of ROLES, from an account; nothing happens where it has none."""
        if name not in ROLES:
            raise MalformedError(f"{name!r} is no role", remedy=f"Use one of {', '.join(ROLES)}")
        if self._bool(contract, "hasRole", role(name), account):
            self._transact(contract, self.artifact.encode("revokeRole", role(name), account))

    def register_log(self, contract: str, log: bytes, origin: str, authoriser: str) -> None:
        """Register a log with its authoriser; nothing happens where it is registered with the same one."""
        call = {"to": contract, "data": "0x" + self.artifact.encode("logs", log).hex()}
        _, known = decode(["bytes32", "address"], unhex(self.rpc.call("eth_call", call, "latest"), 64))
        if to_checksum_address(known) != to_checksum_address(authoriser):
            # Registered with another authoriser: the contract refuses, by name.
            self._transact(contract, self.artifact.encode("registerLog", log, origin, authoriser))

    def map_prefix(self, contract: str, prefix: str, log: bytes) -> None:
        """Give a prefix, such as `vaa/88.118.8`, to a registered log that is not sealed; 32 zero bytes: to none.

        Nothing happens where the log has it already. Every change stays readable in the prefix's history.
        """
        call = {"to": contract, "data": "0x" + self.artifact.encode("logOf", prefix).hex()}
        if unhex(self.rpc.call("eth_call", call, "latest"), 32) != log:
            self._transact(contract, self.artifact.encode("mapPrefix", prefix, log))

    def seal(self, contract: str, log: bytes, size: int, root: bytes, successor: bytes) -> None:
        """Close a log for ever at (size, root); `successor` is a log registered here, or 32 zero bytes for none.

        Nothing happens where it is sealed so already. A size below the last anchor's disputes what is above it.
        """
        call = {"to": contract, "data": "0x" + self.artifact.encode("head", log).hex()}
        head = decode(["uint64", "uint40", "uint64", "uint8"], unhex(self.rpc.call("eth_call", call, "latest"), 128))
        call = {"to": contract, "data": "0x" + self.artifact.encode("seals", log).hex()}
        sealed = unhex(self.rpc.call("eth_call", call, "latest"))
        if not head[3] & FLAG_SEALED or (head[2], sealed[:32], sealed[32:64]) != (size, root, successor):
            self._transact(contract, self.artifact.encode("seal", log, size, root, successor))

    def establish(
        self, *, log: bytes, origin: str, sender: str, authoriser: str, admin_delay: int = ADMIN_DELAY
    ) -> Deployment:
        """Deploy, then `admit` the log: all that a new chain needs."""
        deployment = self.deploy(admin_delay=admin_delay)
        self.admit(deployment.contract, log=log, origin=origin, sender=sender, authoriser=authoriser)
        return deployment

    def admit(self, contract: str, *, log: bytes, origin: str, sender: str, authoriser: str) -> None:
        """Give the sender its role and the admin the others, register the log; what is so already is left alone."""
        self.grant(contract, "REGISTRY_ROLE", self.admin.address)
        self.grant(contract, "PAUSER_ROLE", self.admin.address)
        self.grant(contract, "ANCHORER_ROLE", sender)
        self.register_log(contract, log, origin, authoriser)

    def _same_chain(self, rpc: Rpc) -> None:
        require_chain(rpc, self.chain_id)

    def _bool(self, contract: str, function: str, *arguments: object) -> bool:
        call = {"to": contract, "data": "0x" + self.artifact.encode(function, *arguments).hex()}
        return int.from_bytes(unhex(self.rpc.call("eth_call", call, "latest"), 32), "big") == 1

    def _transact(self, to: str | None, data: bytes) -> tuple[bytes, dict[str, object]]:
        if to is not None:
            rehearse(self.rpc, self.artifact, self.admin.address, to, data)
        return transactions.transact(
            self.rpc,
            self.admin,
            chain_id=self.chain_id,
            to=to,
            data=data,
            price=self.gas_price,
            seconds=self.seconds,
        )
