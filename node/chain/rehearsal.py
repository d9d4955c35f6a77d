"""Trying a call of a contract before it is sent, so that a refusal has its name and words that help.

For work done once, under a person's eyes: a failed transaction has no reason, and not every chain's node gives one when
it is asked for the gas. Where it does, that refusal has the same words. What the node answers is its word alone, and
only told.
"""

from __future__ import annotations

import re
from typing import Final

from node.chain import transactions
from node.chain.artifact import ROLES, Artifact, role
from node.chain.protocol import TransactionRefusedError
from node.chain.rpc import Rpc, RpcError

_NO_ROLE: Final = "AccessControlUnauthorizedAccount"
"""OpenZeppelin's error: four bytes, the account's word, the role's word."""
_ROLE: Final = slice(36, 68)


def rehearse(rpc: Rpc, artifact: Artifact, sender: str, to: str, data: bytes) -> None:
    """Try a call on the latest state; TransactionRefusedError where the contract refuses, by the error's name."""
    try:
        rpc.call("eth_call", {"from": sender, "to": to, "data": "0x" + data.hex()}, "latest")
    except RpcError as error:
        raise refused(error, artifact, sender, rpc.place) from error


def refused(error: RpcError, artifact: Artifact, sender: str, where: str) -> TransactionRefusedError:
    """The refusal that a node's error to a call tells of: by the contract's error where it names one."""
    name = artifact.errors.get(error.data[:4], "")
    if name == _NO_ROLE:
        held = {role(each): each for each in ROLES}.get(error.data[_ROLE], "role of an admin")
        return TransactionRefusedError(
            "no-role",
            f"{sender} does not have the contract's {held}",
            where=where,
            remedy="Use the key of the contract's admin, or of an account to which the admin gave the role",
        )
    if not name:
        reason = "reverted" if "revert" in error.message.lower() else transactions.refusal(error.message)
        return TransactionRefusedError(reason, error.message, where=where)
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    return TransactionRefusedError(name, f"the contract refuses: {words}", where=where)
