"""What can only be told from a contract's events: anchorers, prefixes of a log, the call of an act.

An event says that something was so once; what is listed is asked about again, so that only what holds now is there. A
chain's node can leave entries out; nothing here is evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address

from node.chain.artifact import CONSORTIUM, Artifact, load_artifact, role
from node.chain.logs import logs_of, steps, topics_of
from node.chain.protocol import ChainUnavailableError
from node.chain.rpc import Rpc, quantity, unhex

LIMIT = 10_000
"""Entries of one kind that are listed at most."""


def anchorers(rpc: Rpc, contract: str, first_block: int = 0) -> list[str]:
    """Accounts that have the role ANCHORER_ROLE now, in the order in which they first got it."""
    artifact = load_artifact()
    topics = [artifact.topics["RoleGranted"], role("ANCHORER_ROLE"), None, None]
    found: dict[str, None] = {}
    for entry in _logs(rpc, contract, topics, first_block):
        found[to_checksum_address(topics_of(entry)[2][12:])] = None
        _bound(found)
    return [account for account in found if _has_role(rpc, artifact, contract, account)]


def prefixes(rpc: Rpc, contract: str, log: bytes, first_block: int = 0) -> list[str]:
    """Prefixes that belong to a log now, sorted."""
    artifact = load_artifact()
    topics = [artifact.topics["PrefixMapped"], None, log, None]
    found: dict[str, None] = {}
    for entry in _logs(rpc, contract, topics, first_block):
        try:
            (prefix,) = decode(["string"], unhex(entry.get("data")))
        except (DecodingError, UnicodeDecodeError, OverflowError, ValueError) as error:
            raise ChainUnavailableError("the chain gave an event that is none of the contract's") from error
        found[prefix] = None
        _bound(found)
    return sorted(prefix for prefix in found if log_of(rpc, contract, prefix) == log)


def call_of(rpc: Rpc, consortium: str, act_id: bytes) -> bytes | None:
    """The call that was confirmed as an act (id of 32 bytes), from its newest event; None where there is none."""
    artifact = load_artifact(name=CONSORTIUM)
    topics = [artifact.topics["Confirmed"], act_id, None]
    for entry in _logs(rpc, consortium, topics, 0, newest_first=True):
        try:
            _, call = decode(["uint256", "bytes"], unhex(entry.get("data")))
        except (DecodingError, OverflowError, ValueError) as error:
            raise ChainUnavailableError("the chain gave an event that is none of the contract's") from error
        return bytes(call)
    return None


def log_of(rpc: Rpc, contract: str, prefix: str) -> bytes:
    """The log that a prefix belongs to now, 32 zero bytes for none."""
    return unhex(_call(rpc, contract, load_artifact().encode("logOf", prefix)), 32)


def _has_role(rpc: Rpc, artifact: Artifact, contract: str, account: str) -> bool:
    answer = _call(rpc, contract, artifact.encode("hasRole", role("ANCHORER_ROLE"), account))
    return int.from_bytes(unhex(answer, 32), "big") == 1


def _call(rpc: Rpc, contract: str, data: bytes) -> Any:
    return rpc.call("eth_call", {"to": contract, "data": "0x" + data.hex()}, "latest")


def _logs(
    rpc: Rpc, contract: str, topics: Sequence[bytes | None], first: int, *, newest_first: bool = False
) -> Iterator[dict[str, Any]]:
    """Logs of the contract from a block to the newest, oldest first, else the newest blocks first."""
    for blocks in steps(first, quantity(rpc.call("eth_blockNumber")), newest_first=newest_first):
        yield from logs_of(rpc, contract, topics, blocks)


def _bound(found: dict[str, None]) -> None:
    if len(found) > LIMIT:
        raise ChainUnavailableError(f"the chain gave more than {LIMIT} entries")
