"""`tial chain` on a BFT network: make it, start it, take a log in, see how it is, kill and restart its nodes.

The network's folder is `network/` beside tial.toml. Where several logs anchor on one network, the folder is the first
one's and `network` of the others is a link to it. Every step of `up` may be repeated: what is done already is left.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.context import Session, command, table
from api.cli.errors import Exit, UsageError
from api.cli.folder import LogCard, set_chain
from devnet.bft.network import BftNetwork
from ledger.errors import MalformedError, UnavailableError
from node.config import COMETBFT

if TYPE_CHECKING:
    from devnet.bft.health import NetworkHealth

FOLDER = "network"

NetworkOption = Annotated[
    Path | None,
    typer.Option("--network", metavar="DIR", help="Folder of a BFT network (default: the one of this log)"),
]
_Number = Annotated[int, typer.Argument(metavar="N", help="Number of the node, from 0", min=0)]


def wanted(session: Session, *, bft: bool, network: Path | None) -> bool:
    """Tell whether a command is about a BFT network: asked for, or this log's chain is one."""
    return bft or network is not None or (session.has_config and session.config.chain.kind == COMETBFT)


def network_of(session: Session, folder: Path | None) -> BftNetwork:
    """The network of a folder, else the one of this log."""
    return BftNetwork(folder if folder is not None else session.config.base / FOLDER)


# -- up ----------------------------------------------------------------------------------------------------------------


def bring_up(
    session: Session,
    folder: Path | None,
    *,
    validators: int,
    block_time: str,
    administrators: int,
    threshold: int,
    redeploy: bool,
) -> None:
    """Make the network where there is none, start it, take this log in, write tial.toml."""
    from api.bft_network import LogOnChain, take_in  # noqa: PLC0415 - the chain's libraries take a second to load
    from api.cli.chain import chain_addresses  # noqa: PLC0415 - that module adds the commands of this one

    config = session.config
    card = LogCard.load(config.base)
    network = _joined(config.base / FOLDER, folder)
    if not network.made:
        session.note(f"making a network of {validators} validators in {network.folder.resolve()}")
        network.create(validators=validators, block_time=block_time, administrators=administrators, threshold=threshold)
    session.note("starting the network")
    network.start()
    accounts = chain_addresses(session)
    log = LogOnChain(bytes.fromhex(card.log_id), card.origin, accounts["sender"], accounts["authoriser"])
    values = take_in(network, log, config.base, session.note, redeploy=redeploy)
    if values != {name: getattr(config.chain, name) for name in values}:
        set_chain(session.config_path, values)
        session.note(f"written into {session.config_path}; a running node must be started again")
    show(session, network, values["contract"])


def _joined(place: Path, folder: Path | None) -> BftNetwork:
    """The network at its place beside tial.toml, which becomes a link where it lies elsewhere."""
    if folder is not None and folder.resolve() != place.resolve():
        if not folder.is_dir():
            raise UsageError(
                f"There is no folder {folder}",
                where="--network",
                remedy="Correct it; leave --network out to make a network here, or make the folder for it first",
            )
        if place.is_symlink() or (place.exists() and any(place.iterdir())):
            raise UsageError(
                f"This log is on the network in {place.resolve()}", where="--network", remedy="Leave --network out"
            )
        if place.exists():
            place.rmdir()
        place.symlink_to(folder.resolve(), target_is_directory=True)
    return BftNetwork(place)


# -- down, status, single nodes ----------------------------------------------------------------------------------------


def take_down(session: Session, folder: Path | None) -> None:
    """Stop a network for all logs that anchor on it."""
    network = network_of(session, folder)
    ran = network.status().state != "stopped"
    network.stop()
    session.out({"stopped": ran, "folder": str(network.folder)}, "stopped" if ran else "It was not running.")


def show_status(session: Session, folder: Path | None) -> None:
    """Say how a network is; ends with 4 where its height does not grow."""
    network = network_of(session, folder)
    contract = session.config.chain.contract if session.has_config else ""
    if show(session, network, contract).state != "growing":
        raise typer.Exit(Exit.UNAVAILABLE)


def show(session: Session, network: BftNetwork, contract: str) -> NetworkHealth:
    """Print how a network is."""
    description, health = network.description, network.status()
    summary = {
        "state": health.state,
        "height": health.height,
        "folder": str(network.folder.resolve()),
        "chain_name": description.chain_name,
        "chain_id": description.evm_chain_id,
        "contract": contract,
        "consortium": description.consortium,
    }
    nodes = [
        asdict(node) | {"url": place.eth_url, "comet": place.comet_url}
        for node, place in zip(health.nodes, description.nodes, strict=True)
    ]
    total = sum(validator.power for validator in health.validators)
    validators = [asdict(validator) for validator in health.validators]
    told: dict[str, Any] = summary | {"nodes": nodes, "validators": validators}
    columns = ("name", "state", "height", "lag", "peers", "age", "restarts", "pid", "url", "comet", "error")
    session.out(
        told,
        table(("chain", ""), list(summary.items())),
        table(columns, [[node[name] for name in columns] for node in nodes]),
        table(
            ("validator", "power", "share", "node"),
            [(v.key.hex(), v.power, f"{100 * v.power / total:.1f} %", v.node) for v in health.validators],
        ),
    )
    return health


def add(app: typer.Typer) -> None:
    """Add the commands that only a BFT network has."""
    command(app, "kill")(kill)
    command(app, "restart")(restart)
    command(app, "add-node")(add_node)


def kill(session: Session, *, number: _Number, network: NetworkOption = None) -> None:
    """Kill one node of the BFT network as a power cut would; it stays down until restart."""
    net = network_of(session, network)
    if net.status().state == "stopped":
        raise UnavailableError("The network is stopped", where=str(net.folder), remedy="Run tial chain up --bft first")
    net.kill(number)
    session.out({"killed": f"node{number}"}, f"node{number} is killed, and stays so until tial chain restart {number}")


def restart(session: Session, *, number: _Number, network: NetworkOption = None) -> None:
    """Start one node of the BFT network again, whether it runs or was killed."""
    health = network_of(session, network).restart(number)
    session.out(asdict(health), f"{health.name}: {health.state} at height {health.height}")


def add_node(session: Session, *, network: NetworkOption = None) -> None:
    """Add a node to the BFT network; it follows the chain and validates once `validator set` gives it power."""
    net = network_of(session, network)
    if net.status().state == "stopped":
        raise UnavailableError("The network is stopped", where=str(net.folder), remedy="Run tial chain up --bft first")
    health = net.add_node()
    key = net.description.nodes[-1].key.hex()
    told = asdict(health) | {"key": key}
    session.out(told, f"{health.name}: {health.state}; to make it a validator: tial chain validator set {key} POWER")


def address_of(text: str) -> str:
    """Check an address as people write it."""
    from eth_utils.address import is_address, to_checksum_address  # noqa: PLC0415 - for commands that need it only

    if not (text.startswith("0x") and is_address(text)):
        raise MalformedError(f"{text[:80]!r} is no address", remedy="Write 0x and 40 hexadecimal digits")
    return str(to_checksum_address(text))
