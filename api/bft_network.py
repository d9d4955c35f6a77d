"""Taking a log to a BFT network of this machine: the contract, the sender's right and role, the registration, the pin.

Owns the order of these steps and what a node's configuration then says. Every step may be repeated: what is done
already is left. The administrators' keys in the network's folder act; where they are too few the rest is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from api.cli.folder import DEPLOYMENT
from devnet.bft.network import BftNetwork
from ledger.errors import LedgerError, RefusedStartError
from ledger.evidence.chain import CometTrust
from ledger.evidence.chain.comet.validators import Validator, ValidatorSet
from ledger.store.durable import replace_file
from node.chain.comet_trust import pin_document
from node.chain.consortium import MAY_SEND, Consortium
from node.chain.deploy import Deployer, Deployment
from node.chain.endpoints import connect
from node.chain.listing import call_of
from node.chain.protocol import ChainSigner, ChainUnavailableError
from node.chain.rpc import Rpc
from node.config import COMETBFT

TRUST: Final = "chain-trust.json"
SECONDS: Final = 15.0
"""For one call: this chain's nodes answer some questions only after seconds."""


@dataclass(frozen=True, slots=True)
class LogOnChain:
    """What a contract must know of a log: id (32 bytes), origin, and the addresses of its two chain accounts."""

    log_id: bytes
    origin: str
    sender: str
    authoriser: str


def take_in(
    network: BftNetwork,
    log: LogOnChain,
    folder: Path,
    note: Callable[[str], None] = lambda _: None,
    *,
    redeploy: bool = False,
) -> dict[str, Any]:
    """Let a log anchor on a running network; the lines of [chain] for its node, whose pin is written into `folder`.

    `note` hears what takes long.

    Raises:
        RefusedStartError: the chain has lost the contract, and `redeploy` was not said.
        LedgerError: the keys in the network's folder are too few for the sender's right.

    """
    deployment = admit(network, log, note, redeploy=redeploy)
    document = orjson.dumps(pin_document(genesis_pin(network)), option=orjson.OPT_INDENT_2)
    replace_file(folder / TRUST, document + b"\n")
    return {
        "kind": COMETBFT,
        "url": " ".join(network.eth_urls),
        "comet": " ".join(network.comet_urls),
        "chain_id": deployment.chain_id,
        "contract": deployment.contract,
        "consortium": network.description.consortium,
        "trust": TRUST,
        "gas_price": 0,
        "finality": "included",
        "first_block": deployment.block,
    }


def admit(
    network: BftNetwork, log: LogOnChain, note: Callable[[str], None] = lambda _: None, *, redeploy: bool = False
) -> Deployment:
    """Deploy the contract where there is none, let the log's sender anchor, register the log; raises as `take_in`."""
    with network.administration(), opened(network.eth_urls) as rpc:
        deployer = Deployer(rpc, network.deployer().signer, gas_price=0)
        path = network.folder / DEPLOYMENT
        deployment = standing(rpc, path, redeploy=redeploy)
        if deployment is None:
            note("deploying the anchor contract")
            deployment = deployer.deploy()
            deployment.save(path)
        let_send(network, rpc, log.sender, note)
        deployer.admit(
            deployment.contract, log=log.log_id, origin=log.origin, sender=log.sender, authoriser=log.authoriser
        )
    return deployment


def genesis_pin(network: BftNetwork) -> CometTrust:
    """The validators of the genesis, from the network's own folder: whom a log on it trusts to begin with."""
    description = network.description
    validators = [Validator(node.key, node.power) for node in description.nodes if node.power]
    return CometTrust(description.chain_name, 1, network.first_time(), ValidatorSet.of(validators))


def standing(rpc: Rpc, path: Path, *, redeploy: bool) -> Deployment | None:
    """The contract's record; None where none was deployed, or with `redeploy` where the chain has lost it."""
    deployment = Deployment.load(path) if path.exists() else None
    if deployment is not None and rpc.call("eth_getCode", deployment.contract, "latest") in {"0x", ""}:
        if not redeploy:
            raise RefusedStartError(
                f"The chain has no contract at {deployment.contract} any more",
                where=str(path),
                remedy="Restore the chain's folder, or start anew with --redeploy",
            )
        return None
    return deployment


def let_send(network: BftNetwork, rpc: Rpc, account: str, note: Callable[[str], None]) -> None:
    """Give an account the right to send, by the administrators' keys in the network's folder.

    LedgerError where they are too few; what others then have to do is its remedy.
    """
    description = network.description
    consortium = Consortium(rpc, description.evm_chain_id, address=description.consortium, gas_price=0)
    consortium.check()
    rights = consortium.rights(account)
    if rights & MAY_SEND:
        return
    note(f"giving {account} the right to send")
    signers: list[ChainSigner] = [key.signer for key in network.administrators()]
    administrators = consortium.administrators()
    call = consortium.call_set_rights(account, rights | MAY_SEND)
    if {signer.address for signer in signers}.intersection(administrators):
        missing = perform(consortium, signers, call)["missing"]
    else:
        missing = consortium.threshold() - consortium.confirmations(consortium.act_id(call))
    if missing:
        who = "1 more administrator" if missing == 1 else f"{missing} more administrators"
        raise LedgerError(
            f"{account} may not send transactions yet: {who} must confirm it",
            where="the consortium",
            remedy=f"Each runs tial chain anchorer add {account} --key FILE; then run this again. "
            f"The administrators are {', '.join(administrators)}",
        )


def perform(consortium: Consortium, signers: list[ChainSigner], call: bytes) -> dict[str, Any]:
    """Confirm an act with every key at hand until it is carried out; says how far it came.

    Raises LedgerError where none of the keys is an administrator's.
    """
    administrators = set(consortium.administrators())
    entitled = [signer for signer in signers if signer.address in administrators]
    if not entitled:
        raise LedgerError(
            "None of the keys at hand is an administrator's",
            where="the consortium",
            remedy=f"Give --key; the administrators are {', '.join(sorted(administrators))}",
        )
    act_id = consortium.act_id(call)
    told: dict[str, Any] = {}
    for signer in entitled:
        if consortium.confirmed(act_id, signer.address):
            continue
        act = consortium.act(signer, call)
        told = {"tx": "0x" + act.tx.hex(), "block": act.block}
        if act.executed:
            return {"act": act_id.hex(), "executed": True, "missing": 0} | told
    missing = consortium.threshold() - consortium.confirmations(act_id)
    return {"act": act_id.hex(), "executed": False, "missing": missing} | told


def withdraw(consortium: Consortium, signers: list[ChainSigner], act_id: bytes) -> dict[str, Any]:
    """Take back the confirmations of an act (id of 32 bytes) by every key at hand; who did, and how many are left.

    Raises LedgerError where none of the keys has confirmed it, or it waits no more.
    """
    confirmed = [signer for signer in signers if consortium.confirmed(act_id, signer.address)]
    if not confirmed:
        raise LedgerError(
            "None of the keys at hand has confirmed this act",
            where="the consortium",
            remedy="Give the key that did by --key, and the act as the command told it",
        )
    call = call_of(consortium.rpc, consortium.address, act_id)
    if call is None:
        raise ChainUnavailableError("the chain's node does not tell what the act calls", where=consortium.rpc.place)
    if consortium.act_id(call) != act_id:
        raise LedgerError(
            "This act waits no more: since then it was carried out, or another was, which voids it",
            where="the consortium",
        )
    for signer in confirmed:
        consortium.withdraw(signer, call)
    return {
        "act": act_id.hex(),
        "withdrawn": [signer.address for signer in confirmed],
        "confirmations": consortium.confirmations(act_id),
    }


@contextmanager
def opened(urls: list[str]) -> Iterator[Rpc]:
    """Connections to the nodes of a chain, closed at the end."""
    rpc = connect(" ".join(urls), timeout=SECONDS)
    try:
        yield rpc
    finally:
        rpc.close()
