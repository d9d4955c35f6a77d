"""`tial chain`: a chain on this machine with the anchor contract on it, for development or of several validators.

The embedded chain's folder is `chain/` beside tial.toml; a BFT network is the matter of api.cli.bft. A chain that lost
the contract (it was removed, or another stands at its address) is recognised and refused; only --redeploy puts a new
contract there, on which the log begins again.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from api.cli import anchorers, bft, consortium, deploy, prefix, validators
from api.cli.bft import NetworkOption
from api.cli.context import Session, command, table
from api.cli.errors import Exit
from api.cli.folder import DEPLOYMENT, LogCard, set_chain
from devnet.embedded.chain import EmbeddedChain

app = typer.Typer(
    help="A chain on loopback: the embedded one for development, or a BFT network of several validators.",
    no_args_is_help=True,
)


@command(app, "up")
def up(
    session: Session,
    *,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port at the first start; 0 takes a free one")] = 0,
    redeploy: Annotated[
        bool, typer.Option("--redeploy", help="Put a new contract where the chain has lost the old one")
    ] = False,
    with_bft: Annotated[bool, typer.Option("--bft", help="A BFT network instead of the embedded chain")] = False,
    network: NetworkOption = None,
    count: Annotated[int, typer.Option("--validators", min=1, max=64, help="Validators of a new BFT network")] = 4,
    block_time: Annotated[str, typer.Option(help="Pause between blocks of a new BFT network")] = "1s",
    administrators: Annotated[int, typer.Option(min=1, max=16, help="Administrators of a new BFT network")] = 1,
    threshold: Annotated[int, typer.Option(min=0, help="How many of them a change needs (default: a majority)")] = 0,
) -> None:
    """Start the chain; at the first start deploy the contract, register the log, and write both into tial.toml.

    With --bft: a network of several validators. Other logs join it by the same command with its folder as --network.
    """
    if bft.wanted(session, bft=with_bft, network=network):
        bft.bring_up(
            session,
            network,
            validators=count,
            block_time=block_time,
            administrators=administrators,
            threshold=threshold,
            redeploy=redeploy,
        )
        return
    # The chain's libraries take a second to load: for this command only.
    from api.bft_network import standing  # noqa: PLC0415
    from node.chain.deploy import Deployer  # noqa: PLC0415
    from node.chain.rpc import JsonRpc  # noqa: PLC0415

    config = session.config
    chain = _chain(session, port)
    card = LogCard.load(config.base)
    addresses = chain_addresses(session)
    for address in addresses.values():
        chain.fund(address)
    status = chain.start()
    told: dict[str, Any] = asdict(status)
    path = chain.folder / DEPLOYMENT
    rpc = JsonRpc(chain.url)
    try:
        deployment = standing(rpc, path, redeploy=redeploy)
        if deployment is None:
            session.note("deploying the anchor contract")
            deployer = Deployer(rpc, chain.key("admin").signer)
            deployment = deployer.establish(
                log=bytes.fromhex(card.log_id),
                origin=card.origin,
                sender=addresses["sender"],
                authoriser=addresses["authoriser"],
            )
            deployment.save(path)
            chain.save()
    finally:
        rpc.close()
    values = {"url": chain.url, "chain_id": deployment.chain_id, "contract": deployment.contract}
    if values != {"url": config.chain.url, "chain_id": config.chain.chain_id, "contract": config.chain.contract}:
        set_chain(session.config_path, values)
        session.note(f"written into {session.config_path}; a running node must be started again")
    _show(session, told | {"contract": deployment.contract, "block": chain.status().block})


@command(app, "down")
def down(session: Session, *, network: NetworkOption = None) -> None:
    """Stop the chain; its state is kept. A BFT network stops for all logs that anchor on it."""
    if bft.wanted(session, bft=False, network=network):
        bft.take_down(session, network)
        return
    chain = _chain(session, 0)
    ran = chain.status().state != "stopped"
    chain.stop()
    session.out({"stopped": ran, "folder": str(chain.folder)}, "stopped" if ran else "It was not running.")


@command(app, "status")
def status(session: Session, *, network: NetworkOption = None) -> None:
    """Say how the chain is; ends with 4 where it does not run, or, a BFT network, makes no new blocks."""
    if bft.wanted(session, bft=False, network=network):
        bft.show_status(session, network)
        return
    chain = _chain(session, 0)
    told: dict[str, Any] = asdict(chain.status())
    told["contract"] = session.config.chain.contract
    _show(session, told)
    if told["state"] != "running":
        raise typer.Exit(Exit.UNAVAILABLE)


def _chain(session: Session, port: int) -> EmbeddedChain:
    return EmbeddedChain(session.config.base / "chain", port=port)


def chain_addresses(session: Session) -> dict[str, str]:
    """Addresses of this log's chain accounts: sender and authoriser."""
    from node.chain.accounts import Role, account_address  # noqa: PLC0415 - the chain's libraries take a second to load

    return {role.value: account_address(session.config, role) for role in Role}


def _show(session: Session, told: dict[str, Any]) -> None:
    session.out(told, table(("chain", ""), list(told.items())))


for part in (bft, validators, anchorers, consortium, prefix, deploy):
    part.add(app)
