"""`tial chain prefix`: which prefixes of identifiers belong to this log, as the anchor contract says.

Works on any chain that the log anchors on. A prefix belongs to one log at a time; who looks for the log of a subject
takes the longest prefix that is mapped. Changes need the contract's registry role.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.bft import FOLDER
from api.cli.consortium import chain_key
from api.cli.context import Session, command, table
from api.cli.errors import UsageError
from api.cli.folder import LogCard
from devnet.bft.network import BftNetwork
from node.config import COMETBFT

if TYPE_CHECKING:
    from node.chain.protocol import ChainSigner

_NO_LOG = bytes(32)


def add(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "prefix")(prefix)


def prefix(
    session: Session,
    *,
    name: Annotated[str, typer.Argument(metavar="[SCHEME/PREFIX]", help="For example vaa/88.118.8")] = "",
    unmap: Annotated[bool, typer.Option("--unmap", help="Take the prefix from this log")] = False,
    admin: Annotated[
        Path | None,
        typer.Option(
            "--admin", metavar="FILE", help="Key with the registry role (default: the chain's on this machine)"
        ),
    ] = None,
) -> None:
    """Give a prefix of identifiers to this log on the chain; without one, list those that it has."""
    from api.bft_network import opened  # noqa: PLC0415 - the chain's libraries take a second to load
    from node.chain.deploy import Deployer  # noqa: PLC0415 - as above
    from node.chain.listing import log_of, prefixes  # noqa: PLC0415 - as above
    from node.chain.prefixes import check_prefix  # noqa: PLC0415 - as above

    chain = session.config.chain
    log = bytes.fromhex(LogCard.load(session.config.base).log_id)
    if not chain.url or not chain.contract:
        raise UsageError("No chain is configured", where="chain.url", remedy="Run tial chain up first")
    if not name:
        if unmap:
            raise UsageError("--unmap needs a prefix", where="SCHEME/PREFIX")
        with opened(chain.url.split()) as rpc:
            found = prefixes(rpc, chain.contract, log, chain.first_block)
        session.out({"log": log.hex(), "prefixes": found}, table(("prefix",), [(each,) for each in found]))
        return
    check_prefix(name)
    with opened(chain.url.split()) as rpc:
        before = log_of(rpc, chain.contract, name)
        if unmap and before not in {log, _NO_LOG}:
            raise UsageError(f"{name} belongs to the log {before.hex()}, not to this one", where="--unmap")
        deployer = Deployer(rpc, _registrar(session, admin), gas_price=chain.fixed_gas_price)
        deployer.map_prefix(chain.contract, name, _NO_LOG if unmap else log)
    told = {"prefix": name, "log": "" if unmap else log.hex(), "previous": "" if before == _NO_LOG else before.hex()}
    session.out(told, f"{name} belongs to " + ("no log now" if unmap else f"this log, {log.hex()}"))


def _registrar(session: Session, file: Path | None) -> ChainSigner:
    """The key given, else that of the chain whose folder lies beside tial.toml."""
    if file is not None:
        return chain_key(session, file)
    base = session.config.base
    if session.config.chain.kind == COMETBFT:
        return BftNetwork(base / FOLDER).deployer().signer
    path = base / "chain" / "keys" / "admin.json"
    if not path.exists():
        raise UsageError("The contract's admin is not on this machine", where="--admin", remedy="Give --admin FILE")
    return chain_key(session, path)
