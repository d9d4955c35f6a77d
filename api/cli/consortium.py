"""Changes of a consortium by ordinary transactions, as commands make them; and `tial chain admin`, who decides on them.

Each change is an act of the consortium contract: as many administrators as its threshold says confirm the same call. On
one machine the network's folder holds all their keys and one command does it; elsewhere each administrator runs the
same command with its own --key, and the last confirmation carries the act out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.bft import NetworkOption, address_of, network_of
from api.cli.context import Session, command, table
from api.cli.errors import UsageError
from api.cli.folder import DEPLOYMENT
from api.cli.options import NO_FILES
from devnet.bft.network import BftNetwork
from devnet.keys import is_development_key, read_development_key
from ledger.errors import MalformedError, RefusedStartError

if TYPE_CHECKING:
    from node.chain.consortium import Consortium
    from node.chain.deploy import Deployer
    from node.chain.protocol import ChainSigner
    from node.chain.rpc import Rpc

admin_app = typer.Typer(help="Administrators of the BFT network.", no_args_is_help=True)

AdministratorKeys = Annotated[
    list[Path],
    typer.Option(
        "--key",
        metavar="FILE",
        help="Key of an administrator who confirms; repeatable (default: all in the network's folder)",
    ),
]

_ACT = 32
"""Bytes of the id of an act."""


def add(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(admin_app, name="admin")


@dataclass(frozen=True, slots=True)
class Hand:
    """What a command of this module works with. `network` may hold no keys, or not be here at all."""

    session: Session
    network: BftNetwork
    rpc: Rpc
    chain_id: int
    contract: str
    consortium: Consortium

    def signers(self, files: list[Path]) -> list[ChainSigner]:
        """Keys of administrators: those given, else those in the network's folder."""
        if files:
            return [chain_key(self.session, path) for path in files]
        return [key.signer for key in self.network.administrators()]

    def perform(self, files: list[Path], call: bytes) -> dict[str, Any]:
        """Confirm an act with these keys, or all at hand; see `api.bft_network.perform`."""
        from api.bft_network import perform  # noqa: PLC0415 - the chain's libraries take a second to load

        return perform(self.consortium, self.signers(files), call)

    def withdraw(self, files: list[Path], act_id: bytes) -> dict[str, Any]:
        """Take back the confirmations of an act by these keys, or by all at hand; see `api.bft_network.withdraw`."""
        from api.bft_network import withdraw  # noqa: PLC0415 - the chain's libraries take a second to load

        return withdraw(self.consortium, self.signers(files), act_id)

    def deployer(self, file: Path | None) -> Deployer:
        """The admin of the anchor contract."""
        from node.chain.deploy import Deployer  # noqa: PLC0415 - the chain's libraries take a second to load

        signer = chain_key(self.session, file) if file is not None else self.network.deployer().signer
        return Deployer(self.rpc, signer, gas_price=0)


@contextmanager
def hand(session: Session, folder: Path | None, *, changes: bool = True) -> Iterator[Hand]:
    """Reach the chain: through the network's folder where it is here, else by the addresses in tial.toml."""
    from api.bft_network import opened  # noqa: PLC0415 - the chain's libraries take a second to load
    from node.chain.consortium import Consortium  # noqa: PLC0415 - as above
    from node.chain.deploy import Deployment  # noqa: PLC0415 - as above

    network = network_of(session, folder)
    if network.made or folder is not None:
        description = network.description
        urls, chain_id, address = network.eth_urls, description.evm_chain_id, description.consortium
        record = network.folder / DEPLOYMENT
        contract = Deployment.load(record).contract if record.exists() else ""
    else:
        chain = session.config.chain
        urls, chain_id, address, contract = chain.url.split(), chain.chain_id, chain.consortium, chain.contract
    if not urls or not address:
        raise UsageError(
            "This log's chain has no consortium", where="chain.consortium", remedy="Name a BFT network by --network"
        )
    with opened(urls) as rpc:
        consortium = Consortium(rpc, chain_id, address=address, gas_price=0)
        consortium.check()
        made = Hand(session, network, rpc, chain_id, contract, consortium)
        if changes and network.made:
            with network.administration():  # one account's transactions, one after the other
                yield made
        else:
            yield made


def chain_key(session: Session, path: Path) -> ChainSigner:
    """Read a key of a chain account: a development key, or a key file that a passphrase protects.

    MalformedError for a key of another suite.
    """
    from node.chain.accounts import as_chain_signer  # noqa: PLC0415 - the chain's libraries take a second to load

    if is_development_key(path):
        return read_development_key(path).signer
    try:
        return as_chain_signer(session.key(path))
    except RefusedStartError as error:
        raise MalformedError(error.detail, where=str(path), remedy=error.remedy) from error


def report(session: Session, told: dict[str, Any], done: str) -> None:
    """Print what became of an act."""
    missing = told["missing"]
    who = "1 more administrator" if missing == 1 else f"{missing} more administrators"
    line = done if told["executed"] else f"confirmed act {told['act']}; {who} must run the same command"
    session.out(told, line)


@command(admin_app, "list")
def admin_list(session: Session, *, network: NetworkOption = None) -> None:
    """List the administrators, and how many of them a change needs."""
    with hand(session, network, changes=False) as at:
        told = {
            "administrators": list(at.consortium.administrators()),
            "threshold": at.consortium.threshold(),
            "round": at.consortium.round(),
        }
    session.out(told, table(("consortium", ""), list(told.items())))


@command(admin_app, "set")
def admin_set(
    session: Session,
    *,
    address: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="All administrators from then on")],
    threshold: Annotated[int, typer.Option(min=1, help="How many of them a change needs")],
    key: AdministratorKeys = NO_FILES,
    network: NetworkOption = None,
) -> None:
    """Replace the administrators and the threshold; confirmed by those of now."""
    accounts = [address_of(text) for text in address]
    if threshold > len(accounts):
        raise UsageError(f"The threshold {threshold} is more than {len(accounts)} administrators", where="--threshold")
    with hand(session, network) as at:
        told = at.perform(key, at.consortium.call_set_administrators(accounts, threshold))
    report(session, told, f"{threshold} of {len(accounts)} administrators decide from now on")


@command(admin_app, "withdraw")
def admin_withdraw(
    session: Session,
    *,
    act: Annotated[str, typer.Argument(metavar="ACT", help="The act, as the command that confirmed it told it")],
    key: AdministratorKeys = NO_FILES,
    network: NetworkOption = None,
) -> None:
    """Take back a confirmation of an act that still waits for other administrators."""
    try:
        act_id = bytes.fromhex(act.removeprefix("0x"))
    except ValueError:
        act_id = b""
    if len(act_id) != _ACT:
        raise UsageError(f"{act[:80]!r} is no act", where="ACT", remedy="Write 64 hexadecimal digits")
    with hand(session, network) as at:
        told = at.withdraw(key, act_id)
    count = told["confirmations"]
    who = "1 administrator still stands" if count == 1 else f"{count} administrators still stand"
    session.out(told, f"withdrawn by {', '.join(told['withdrawn'])}; {who} behind it")
