"""Whether the validators that run can carry a new set: power given to others halts a chain, and then no act moves it.

Owns what can be seen of that: the health of the nodes in a network's folder, and the votes in the newest commits for
those elsewhere. A chain's node tells the votes, and nothing of it is proven here: this warns a person, no more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from typing import ClassVar, Final

from devnet.bft.network import BftNetwork
from ledger.errors import LedgerError
from ledger.evidence.chain.comet.validators import Validator
from node.chain.comet_rpc import CometRpc
from node.chain.protocol import ChainUnavailableError

COMMITS: Final = 3
"""Newest commits whose votes count: a vote comes too late now and then."""


class WouldHaltError(LedgerError):
    """A change after which the validators that run could make no blocks."""

    code: ClassVar[str] = "would-halt"


def require_carried(validators: Sequence[Validator], running: Collection[bytes]) -> None:
    """WouldHaltError unless those of a new set whose keys are `running` hold more than two thirds of its power."""
    total = sum(validator.power for validator in validators)
    idle = [validator for validator in validators if validator.key not in running]
    held = total - sum(validator.power for validator in idle)
    if 3 * held > 2 * total:
        return
    raise WouldHaltError(
        f"The chain would halt, and no act could end that: those that run would hold {held} of a power of {total}, "
        f"and blocks need more than two thirds; not seen to run: {', '.join(each.key.hex() for each in idle)}",
        where="the validators",
        remedy="Start these nodes and wait until tial chain status says growing, or change less power at a time; "
        "--may-halt does it nevertheless",
    )


def running(network: BftNetwork, comet: Sequence[str], keys: Collection[bytes]) -> set[bytes]:
    """Which of these validators are seen to run: nodes in the folder that are growing, others by their votes.

    `comet` are CometBFT RPC addresses of the chain. ChainUnavailableError where none of them answers.
    """
    here: dict[bytes, bool] = {}
    if network.made:
        nodes = zip(network.description.nodes, network.status().nodes, strict=True)
        here = {node.key: health.state == "growing" for node, health in nodes}
    elsewhere = set(keys) - here.keys()
    seen = {key for key in keys if here.get(key)}
    return seen | (elsewhere & voters(comet) if elsewhere else set())


def voters(comet: Sequence[str]) -> set[bytes]:
    """Keys of those who signed one of the newest commits, as the first node that answers tells."""
    failure = ChainUnavailableError("no address of a CometBFT node is known", where="chain.comet")
    for url in comet:
        with closing(CometRpc(url)) as rpc:
            try:
                newest = rpc.commit().header.height
                heights = range(max(1, newest - COMMITS + 1), newest + 1)
                return {key for height in heights for key in _signers(rpc, height)}
            except ChainUnavailableError as error:
                failure = error
    raise failure


def _signers(rpc: CometRpc, height: int) -> set[bytes]:
    members, votes = rpc.validators(height).members, rpc.commit(height).commit.signatures
    if len(members) != len(votes):
        raise ChainUnavailableError(f"the commit of block {height} is of other validators", where=rpc.place)
    return {member.key for member, vote in zip(members, votes, strict=True) if vote is not None}
