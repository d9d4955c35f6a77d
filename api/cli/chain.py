"""`tial chain`: the embedded development chain, with the anchor contract on it.

Its folder is `chain/` beside tial.toml. A chain that lost the contract (it was removed, or another stands at its
address) is recognised and refused; only --redeploy puts a new contract there, on which the log begins again.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.context import Session, command, table
from api.cli.errors import Exit, UsageError
from api.cli.folder import LogCard, set_chain
from devnet.embedded.chain import EmbeddedChain
from ledger.crypto import keyfile, secp256k1
from ledger.errors import RefusedStartError

app = typer.Typer(help="The embedded chain for development: one node on loopback.", no_args_is_help=True)
_DEPLOYMENT = "deployment.json"


@command(app, "up")
def up(
    session: Session,
    *,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port at the first start; 0 takes a free one")] = 0,
    redeploy: Annotated[
        bool, typer.Option("--redeploy", help="Put a new contract where the chain has lost the old one")
    ] = False,
) -> None:
    """Start the chain; at the first start deploy the contract, register the log, and write both into tial.toml."""
    # The chain's libraries take a second to load: for this command only.
    from node.chain.deploy import Deployer, Deployment  # noqa: PLC0415
    from node.chain.rpc import JsonRpc  # noqa: PLC0415

    config = session.config
    chain = _chain(session, port)
    card = LogCard.load(config.base)
    addresses = {name: _address(config.path(path)) for name, path in _key_files(session).items()}
    for address in addresses.values():
        chain.fund(address)
    status = chain.start()
    told: dict[str, Any] = asdict(status)
    path = chain.folder / _DEPLOYMENT
    rpc = JsonRpc(chain.url)
    try:
        deployment = Deployment.load(path) if path.exists() else None
        lost = deployment is not None and rpc.call("eth_getCode", deployment.contract, "latest") in {"0x", ""}
        if deployment is not None and lost:
            if not redeploy:
                raise RefusedStartError(
                    f"The chain has no contract at {deployment.contract} any more",
                    where=chain.url,
                    remedy="Restore the chain's folder, or start anew with --redeploy",
                )
            deployment = None
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
def down(session: Session) -> None:
    """Stop the chain; its state is kept."""
    chain = _chain(session, 0)
    ran = chain.status().state != "stopped"
    chain.stop()
    session.out({"stopped": ran, "folder": str(chain.folder)}, "stopped" if ran else "It was not running.")


@command(app, "status")
def status(session: Session) -> None:
    """Say how the chain is; ends with 4 where it does not run."""
    chain = _chain(session, 0)
    told: dict[str, Any] = asdict(chain.status())
    told["contract"] = session.config.chain.contract
    _show(session, told)
    if told["state"] != "running":
        raise typer.Exit(Exit.UNAVAILABLE)


def _chain(session: Session, port: int) -> EmbeddedChain:
    return EmbeddedChain(session.config.base / "chain", port=port)


def _key_files(session: Session) -> dict[str, str]:
    chain = session.config.chain
    return {"sender": chain.sender, "authoriser": chain.authoriser}


def _address(path: Path) -> str:
    key = keyfile.describe(path)
    if key.suite != secp256k1.SUITE.name:
        raise UsageError(f"A chain key is of suite secp256k1, not {key.suite}", where=str(path))
    return secp256k1.address(key.public_key)


def _show(session: Session, told: dict[str, Any]) -> None:
    session.out(told, table(("chain", ""), list(told.items())))
