"""The anchor contract as a reader without any account sees it: words of storage at one block, and who vouches for them.

Owns the opening of such a view on the two kinds of chain. On one of kind "ethereum" the chain's node is believed, which
a report has to say; on one of kind "cometbft" every word is proven under a header that followed validators signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.errors import MalformedError
from ledger.evidence.chain import ChainPolicy, CometTrust, block_hashes, cometbft, ethereum
from ledger.evidence.messages import moment
from node.chain.comet_state import CometNodes
from node.chain.comet_trust import ChainTrust
from node.chain.cometbft import CometChain
from node.chain.evm import EvmChain
from node.chain.prefixes import Ask, Words, asking, plain_words
from node.chain.protocol import ChainIdentity, Finality
from node.chain.rpc import Rpc, quantity, unhex


@dataclass(frozen=True, slots=True)
class ChainView:
    """The contract at one block, `block`, as discovery reads it.

    `kind` is the evidence's. `place` says who tells the words of storage; `vouched` whether they are proven under a
    header that the reader trusts, `time` being that header's (Unix seconds; 0 where they are only told). `trusting` is
    what a drafted policy demands of the chain beside the pinned headers.
    """

    kind: str
    identity: ChainIdentity
    block: int
    words: Words
    ask: Ask
    place: str
    vouched: bool
    trusting: ChainPolicy
    time: int = 0

    @property
    def contract(self) -> str:
        """The contract in words."""
        return f"the contract {self.identity.contract} on chain {self.identity.chain_id}"

    @property
    def basis(self) -> str:
        """What has to be believed for the words of storage to hold."""
        if self.vouched:
            return f"{self.contract}, proven at block {self.block}: {self.place}"
        return f"{self.contract} at block {self.block}, as {self.place} says, unproven"

    def known_blocks(self, evidence: bytes) -> tuple[bytes, ...]:
        """The hash of the evidence's block, where the chain's node has that very block in its chain."""
        try:
            hashes = block_hashes(evidence)
        except MalformedError:
            return ()  # the tenth step says why
        for block_hash in hashes:
            named = self.ask("eth_getBlockByHash", "0x" + block_hash.hex(), False)  # noqa: FBT003 - by position
            if isinstance(named, dict):
                block = self.ask("eth_getBlockByNumber", named.get("number"), False)  # noqa: FBT003 - as above
                if isinstance(block, dict) and unhex(block.get("hash"), 32) == block_hash:
                    return (block_hash,)
        return ()


def plain_view(rpc: Rpc, contract: str, chain_id: int, finality: Finality) -> ChainView:
    """The contract at the newest final block as the chain's node tells it; `chain_id` 0: whichever it serves.

    Raises ChainUnavailableError, and ChainMismatchError for another chain or for other code at the address.
    """
    ask = asking(rpc)
    chain = EvmChain(rpc, chain_id=chain_id or quantity(ask("eth_chainId")), contract=contract, finality=finality)
    chain.check()
    block, identity = chain.final_block(), chain.identity
    return ChainView(
        kind=ethereum.KIND,
        identity=identity,
        block=block,
        words=plain_words(ask, identity.contract, block),
        ask=ask,
        place=f"the chain's node {rpc.place}",
        vouched=False,
        trusting=ChainPolicy(ethereum.KIND, identity.chain_id, unhex(identity.contract, 20), identity.code_hash),
    )


def proven_view(
    rpc: Rpc, urls: Sequence[str], comets: Sequence[str], pin: CometTrust, contract: str, chain_id: int
) -> ChainView:
    """The contract under the newest header that the chain's validators signed, followed from the pinned ones.

    `urls` are those of `rpc`, `comets` the CometBFT addresses of the same nodes. Raises ChainUnavailableError, also
    where a node lies, and ChainMismatchError for another chain or for other code at the address.
    """
    ask = asking(rpc)
    trust = ChainTrust(pin)
    nodes = CometNodes(comets, trust, timeout=rpc.timeout)
    chain = CometChain(rpc, nodes, urls, chain_id=chain_id or quantity(ask("eth_chainId")), contract=contract)
    chain.check()
    block, words = chain.proven_words()
    newest, identity = trust.newest, chain.identity
    assert newest is not None, "the code was proven under a header"
    header = newest.header
    return ChainView(
        kind=cometbft.KIND,
        identity=identity,
        block=block,
        words=words,
        ask=ask,
        place=f"header {header.height} of {header.chain_id}, {moment(header.seconds)}, signed by its validators",
        vouched=True,
        trusting=ChainPolicy(
            cometbft.KIND, identity.chain_id, unhex(identity.contract, 20), identity.code_hash, comet=pin
        ),
        time=header.seconds,
    )
