"""`tial chain anchorer`: accounts that may anchor on a BFT network.

An anchorer needs two things: the consortium's leave to send transactions at all, and the role in the anchor contract.
Both are given and taken together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.bft import NetworkOption, address_of
from api.cli.consortium import AdministratorKeys, Hand, hand, report
from api.cli.context import Session, command, table
from api.cli.errors import UsageError
from api.cli.options import NO_FILES

anchorer_app = typer.Typer(help="Accounts that may anchor on the BFT network.", no_args_is_help=True)

_ContractAdmin = Annotated[
    Path | None,
    typer.Option(
        "--contract-admin", metavar="FILE", help="Key of the anchor contract's admin (default: the network's deployer)"
    ),
]
_Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="Account: 0x and 40 hexadecimal digits")]


def add(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(anchorer_app, name="anchorer")


@command(anchorer_app, "list")
def anchorer_list(session: Session, *, network: NetworkOption = None) -> None:
    """List the accounts that may anchor, and whether the consortium lets them send."""
    from node.chain.consortium import MAY_SEND  # noqa: PLC0415 - the chain's libraries take a second to load
    from node.chain.listing import anchorers  # noqa: PLC0415 - as above

    with hand(session, network, changes=False) as at:
        _require_contract(at)
        found = anchorers(at.rpc, at.contract)
        rows = [{"address": each, "may_send": bool(at.consortium.rights(each) & MAY_SEND)} for each in found]
    session.out({"anchorers": rows}, table(("anchorer", "may send"), [tuple(row.values()) for row in rows]))


@command(anchorer_app, "add")
def anchorer_add(
    session: Session,
    *,
    address: _Address,
    key: AdministratorKeys = NO_FILES,
    contract_admin: _ContractAdmin = None,
    network: NetworkOption = None,
) -> None:
    """Let an account send transactions, and anchor on the contract."""
    from node.chain.consortium import MAY_SEND  # noqa: PLC0415 - the chain's libraries take a second to load

    account = address_of(address)
    with hand(session, network) as at:
        _require_contract(at)
        told = _set_rights(at, key, account, at.consortium.rights(account) | MAY_SEND)
        if told["executed"]:
            at.deployer(contract_admin).grant(at.contract, "ANCHORER_ROLE", account)
    report(session, told | {"address": account}, f"{account} may anchor")


@command(anchorer_app, "remove")
def anchorer_remove(
    session: Session,
    *,
    address: _Address,
    key: AdministratorKeys = NO_FILES,
    contract_admin: _ContractAdmin = None,
    network: NetworkOption = None,
) -> None:
    """Take from an account the role of an anchorer, and all rights to send unless it is an administrator."""
    account = address_of(address)
    with hand(session, network) as at:
        _require_contract(at)
        at.deployer(contract_admin).revoke(at.contract, "ANCHORER_ROLE", account)
        if account in at.consortium.administrators():
            told: dict[str, Any] = {"act": "", "executed": True, "missing": 0}
        else:
            told = _set_rights(at, key, account, 0)
    report(session, told | {"address": account}, f"{account} may anchor no more")


def _set_rights(at: Hand, keys: list[Path], account: str, rights: int) -> dict[str, Any]:
    """Set an account's rights where they are others now."""
    if at.consortium.rights(account) == rights:
        return {"act": "", "executed": True, "missing": 0}
    return at.perform(keys, at.consortium.call_set_rights(account, rights))


def _require_contract(at: Hand) -> None:
    if not at.contract:
        raise UsageError(
            "No anchor contract is on this network yet", where=str(at.network.folder), remedy="Run tial chain up --bft"
        )
