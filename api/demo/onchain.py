"""Reading the anchor contract as anybody would: with web3 and the committed ABI, not through the node's chain backend.

Owns no key and sends nothing. Trusts the chain's node that it asks; whoever runs one of his own trusts nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from eth_typing import HexStr
from web3 import HTTPProvider, Web3
from web3.exceptions import BlockNotFound, Web3Exception

from ledger.crypto.keccak import keccak256
from ledger.errors import UnavailableError
from node.chain.artifact import load_artifact


@dataclass(frozen=True, slots=True)
class ChainAnchor:
    """One anchor as the chain tells it: log size, root, block and its time, transaction, gas of the transaction."""

    size: int
    root: bytes
    block: int
    time: int
    tx: str
    gas: int


class AnchorReader:
    """The anchor contract, read only. Every method raises UnavailableError where the chain does not answer."""

    def __init__(self, url: str, contract: str) -> None:
        self._web3 = Web3(HTTPProvider(url, request_kwargs={"timeout": 10}))
        self._contract = self._web3.eth.contract(address=Web3.to_checksum_address(contract), abi=load_artifact().abi)
        self._where = url

    def anchors(self, log_id: bytes) -> list[ChainAnchor]:
        """List a log's anchors, oldest first, from the contract's events and their transactions' receipts."""
        try:
            events = self._contract.events.Anchored.get_logs(from_block=0, argument_filters={"log": log_id})
            return [self._anchor(event) for event in events]
        except (Web3Exception, OSError) as error:
            raise self._away(error) from error

    def root(self, log_id: bytes, size: int) -> bytes:
        """Ask the contract for the root at a size: 32 bytes, zero where there is none."""
        return cast("bytes", self._call("root", log_id, size))

    def has_block(self, block: bytes) -> bool:
        """Ask the chain whether a block of this hash is on it."""
        try:
            return bytes(self._web3.eth.get_block(HexStr("0x" + block.hex()))["hash"]) == block
        except BlockNotFound:
            return False
        except (Web3Exception, OSError) as error:
            raise self._away(error) from error

    def code_hash(self) -> bytes:
        """Keccak-256 of the contract's code, as the chain has it."""
        try:
            return keccak256(bytes(self._web3.eth.get_code(self._contract.address)))
        except (Web3Exception, OSError) as error:
            raise self._away(error) from error

    def includes(self, log_id: bytes, size: int, index: int, leaf: bytes, proof: tuple[bytes, ...]) -> bool:
        """Have the contract itself verify an inclusion proof against the root that it stores."""
        return bool(self._call("verifyInclusion", log_id, size, index, leaf, list(proof)))

    def _call(self, function: str, *arguments: object) -> Any:
        try:
            return self._contract.functions[function](*arguments).call()
        except (Web3Exception, OSError) as error:
            raise self._away(error) from error

    def _anchor(self, event: Any) -> ChainAnchor:
        arguments = event["args"]
        receipt = self._web3.eth.get_transaction_receipt(HexStr(event["transactionHash"].hex()))
        _, time, _ = self._contract.functions.meta(arguments["log"], arguments["size"]).call()
        return ChainAnchor(
            size=arguments["size"], root=arguments["root"], block=event["blockNumber"], time=time,
            tx="0x" + event["transactionHash"].hex().removeprefix("0x"), gas=receipt["gasUsed"],
        )  # fmt: skip

    def _away(self, error: Exception) -> UnavailableError:
        return UnavailableError(f"The chain does not answer: {error}", where=self._where)
