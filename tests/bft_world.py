"""A BFT network for tests: what is asked of it, how it is mended between tests, and the anchor contract on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from devnet.bft.description import Description, Node
from devnet.bft.health import NetworkHealth, ask
from devnet.bft.network import BftNetwork
from devnet.locks import is_held
from ledger.evidence.chain.comet.validators import Validator
from node.chain.consortium import Consortium
from node.chain.rpc import JsonRpc
from tests.waiting import wait_until

STEADY = {"growing"}


def described(count: int = 4) -> Description:
    """A network that nobody made: four ports from 20000 on for each node, keys of one byte."""
    nodes = []
    for number in range(count):
        p2p, rpc, eth, ws = range(20_000 + 4 * number, 20_004 + 4 * number)
        nodes.append(Node(f"node{number}", f"{number:040x}", p2p, rpc, eth, ws, bytes([number]) * 32, 10))
    return Description("tial-bft-1", 31_991, "0x0000000000000000000000000000000000000C05", "1s", tuple(nodes))


def height(network: BftNetwork, index: int = 0) -> int:
    """Height of one node, 0 where it does not answer."""
    told = ask(network.description.nodes[index])
    return told.height if told else 0


def grow(network: BftNetwork, blocks: int = 1, *, index: int = 0, seconds: float = 30) -> int:
    """Wait until a node has so many more blocks; the height then."""
    goal = height(network, index) + blocks
    wait_until(lambda: height(network, index) >= goal, seconds)
    return height(network, index)


def heal(network: BftNetwork, seconds: float = 60) -> NetworkHealth:
    """Bring every node of a network back, and wait until all make blocks together."""
    if not is_held(network.folder / "supervisor.pid"):
        network.start()
    for index, node in enumerate(network.status().nodes):
        if node.state == "killed":  # before anything is waited for: a network without them may not grow
            network.restart(index)
    wait_until(lambda: {node.state for node in network.status().nodes} == STEADY, seconds)
    goal = network.status().height + 2  # a node that was just started refuses transactions until it has seen a block
    wait_until(lambda: min(node.height for node in network.status().nodes) >= goal, seconds)
    first = {node: node.power for node in network.description.nodes if node.power}
    if {v.key: v.power for v in network.status().validators} != {node.key: power for node, power in first.items()}:
        block = set_validators(network, first)
        wait_until(lambda: height(network) > block + 2, seconds)
    return network.status()


@contextmanager
def rpc_of(network: BftNetwork, index: int = 0) -> Iterator[JsonRpc]:
    """A connection to the Ethereum JSON-RPC of one node."""
    rpc = JsonRpc(network.description.nodes[index].eth_url, timeout=20)
    try:
        yield rpc
    finally:
        rpc.close()


@contextmanager
def consortium_of(network: BftNetwork, index: int = 0) -> Iterator[Consortium]:
    """The consortium contract through one node."""
    with rpc_of(network, index) as rpc:
        yield Consortium(rpc, network.description.evm_chain_id, address=network.description.consortium, gas_price=0)


def let_send(network: BftNetwork, account: str, rights: int = 1) -> None:
    """Give an account rights by the first administrator's key."""
    with consortium_of(network) as consortium, network.administration():
        if consortium.rights(account) != rights:
            consortium.act(network.administrators()[0].signer, consortium.call_set_rights(account, rights))


def set_validators(network: BftNetwork, powers: dict[Node, int]) -> int:
    """Replace the validators; the block of the act."""
    with consortium_of(network) as consortium, network.administration():
        call = consortium.call_set_validators([Validator(node.key, power) for node, power in powers.items()])
        return consortium.act(network.administrators()[0].signer, call).block
