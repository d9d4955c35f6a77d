"""`tial chain deploy`: the anchor contract on a chain that others run, such as a Hyperledger Besu network with QBFT.

Owns the deployment record beside tial.toml and the lines of [chain] that follow from it. The contract's admin acts here
once: with the key file of an account that the chain lets deploy and pay. A node needs that key no more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.consortium import chain_key
from api.cli.context import Session, command, table
from api.cli.errors import UsageError
from api.cli.folder import DEPLOYMENT, LogCard, set_chain

FOLLOW = -1


def add(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "deploy")(deploy)


def deploy(
    session: Session,
    *,
    node: Annotated[str, typer.Argument(metavar="RPC", help="JSON-RPC address of a node of the chain")],
    key: Annotated[Path, typer.Option("--key", help="Key file of the contract's admin: an account that can pay")],
    contract: Annotated[
        str, typer.Option("--contract", help="Register the log in this contract, of which the key is the admin")
    ] = "",
    finality: Annotated[
        str, typer.Option("--finality", help="included (QBFT, IBFT 2.0), depth:N, or finalized")
    ] = "included",
    redeploy: Annotated[
        bool, typer.Option("--redeploy", help="Put a new contract where the chain has lost the old one")
    ] = False,
    gas_price: Annotated[
        int,
        typer.Option("--gas-price", min=FOLLOW, help="Wei for a unit of gas: 0 where it is free, -1 asks the chain"),
    ] = FOLLOW,
) -> None:
    """Deploy the contract on a running chain, grant the roles, register this folder's log; write it into tial.toml.

    Run again after a failure, it goes on with the contract that it has put there.
    """
    from api.bft_network import standing  # noqa: PLC0415 - heavy, and for this command only
    from api.cli.chain import chain_addresses  # noqa: PLC0415 - that module adds this command
    from node.chain.deploy import Deployer, Deployment  # noqa: PLC0415 - heavy, and for this command only
    from node.chain.protocol import Finality  # noqa: PLC0415
    from node.chain.rpc import JsonRpc, quantity  # noqa: PLC0415

    Finality.parse(finality)
    card = LogCard.load(session.config.base)
    accounts = chain_addresses(session)
    path = session.config.base / DEPLOYMENT
    rpc = JsonRpc(node)
    try:
        deployer = Deployer(rpc, chain_key(session, key), gas_price=None if gas_price == FOLLOW else gas_price)
        known = Deployment.load(path).chain_id if path.exists() else deployer.chain_id
        if known != deployer.chain_id:
            raise UsageError(
                f"This log was deployed on chain {known}, and {rpc.place} is of chain {deployer.chain_id}",
                where=str(path),
                remedy="Name a node of that chain, or move the record away to deploy on another",
            )
        found = deployer.found(contract) if contract else standing(rpc, path, redeploy=redeploy)
        if found is None:
            session.note("deploying the anchor contract")
            found = deployer.deploy()
            found.save(path)  # whatever fails from here on, it is paid for
        deployer.admit(
            found.contract, log=bytes.fromhex(card.log_id), origin=card.origin,
            sender=accounts["sender"], authoriser=accounts["authoriser"],
        )  # fmt: skip
        found.save(path)  # one that was named by mistake and takes no log of ours is not remembered
        block = quantity(rpc.call("eth_blockNumber"))
    finally:
        rpc.close()
    # Addresses that stand in for this one were written by hand: they stay.
    known_urls = session.config.chain.url.split()
    values = {
        "url": " ".join(known_urls) if node in known_urls else node, "chain_id": found.chain_id,
        "contract": found.contract, "finality": finality, "gas_price": gas_price, "first_block": found.block,
    }  # fmt: skip
    set_chain(session.config_path, values)
    session.note(f"written into {session.config_path}; a running node must be started again")
    told = values | {"code_hash": found.code_hash, "block": block} | accounts
    session.out(told, table(("chain", ""), list(told.items())))
