"""`tial anchor`, `tial index` and `tial log`: the operator's hand on a node and its folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from api.cli.consortium import chain_key
from api.cli.context import Session, command, table
from api.cli.errors import Exit, UsageError
from api.cli.folder import LogCard

if TYPE_CHECKING:
    from node.chain.deploy import Deployer

_AdminKey = Annotated[Path, typer.Option("--admin", metavar="FILE", help="Key file of the contract's admin")]

anchor_app = typer.Typer(help="Anchor checkpoints on the chain.", no_args_is_help=True)
index_app = typer.Typer(help="The index, which can always be made again.", no_args_is_help=True)
log_app = typer.Typer(help="The log's own files.", no_args_is_help=True)


def add(app: typer.Typer) -> None:
    """Add the groups."""
    import api.cli.log_changes  # noqa: F401, PLC0415 - the rest of the group `log`; it imports this module

    for name, group in (("anchor", anchor_app), ("index", index_app), ("log", log_app)):
        app.add_typer(group, name=name, rich_help_panel="The node")


@command(anchor_app, "now")
def anchor_now(session: Session) -> None:
    """Publish what is durable, anchor it, and wait until the anchor is final (operator)."""
    with session.client(operator=True) as client:
        told = client.anchor_now()
    session.out(told, table(("anchor", ""), list(told.items())))


@command(anchor_app, "resolve")
def anchor_resolve(session: Session) -> None:
    """Take up anchoring again after a dispute with the chain that you have judged (operator); the evidence stays."""
    with session.client(operator=True) as client:
        told = client.resolve_dispute()
    session.out(told, table(("anchor", ""), list(told.items())))


@command(anchor_app, "register")
def anchor_register(session: Session, *, admin: _AdminKey) -> None:
    """Register this log with the contract in tial.toml, and let its sender anchor: a successor's first step there."""
    with _chain_hand(session, admin) as hand:
        hand.deployer.register_log(hand.contract, hand.log, hand.card.origin, hand.authoriser)
        hand.deployer.grant(hand.contract, "ANCHORER_ROLE", hand.sender)
    told = {"log": hand.log.hex(), "contract": hand.contract, "sender": hand.sender, "authoriser": hand.authoriser}
    session.out(told, table(("registered", ""), list(told.items())))


@command(anchor_app, "seal")
def anchor_seal(
    session: Session,
    *,
    admin: _AdminKey,
    size: Annotated[
        int, typer.Option(min=0, help="Last size that counts (default: the sealed log's, from the node)")
    ] = 0,
    root: Annotated[str, typer.Option(help="Root at that size, 64 hex digits")] = "",
    successor: Annotated[str, typer.Option(metavar="ID", help="Log that goes on (default: as the log says)")] = "",
) -> None:
    """Close the log on the chain for ever, with the key of the contract's admin.

    After `tial log seal` the node tells size, root and successor. Where the log is lost or forked, give the last size
    and root that can be shown: anchors above it become disputed.
    """
    if not (size and root):
        with session.client(operator=True) as client:
            info = client.log()
            if info.raw["successor"] is None:
                raise UsageError(
                    "The log is not sealed", where="log", remedy="Run tial log seal first, or give --size and --root"
                )
            published = client.publish()
            client.anchor_now()
        size, root, successor = int(published["size"]), str(published["root"]), successor or str(info.raw["successor"])
    try:
        values = (bytes.fromhex(root), bytes.fromhex(successor or "00" * 32))
    except ValueError:
        values = (b"", b"")
    if (len(values[0]), len(values[1])) != (32, 32):
        raise UsageError("A root and a log id are 64 hexadecimal digits", where="--root, --successor")
    with _chain_hand(session, admin) as hand:
        hand.deployer.seal(hand.contract, hand.log, size, *values)
    told = {"log": hand.log.hex(), "size": size, "root": root, "successor": values[1].hex(), "contract": hand.contract}
    session.out(told, table(("sealed", ""), list(told.items())))


@dataclass(frozen=True, slots=True)
class _ChainHand:
    """The contract's admin at work on one log."""

    deployer: Deployer
    contract: str
    log: bytes
    card: LogCard
    sender: str
    authoriser: str


@contextmanager
def _chain_hand(session: Session, admin: Path) -> Iterator[_ChainHand]:
    # The chain's libraries take a second to load: for these commands only.
    from node.chain.accounts import Role, account_address  # noqa: PLC0415
    from node.chain.deploy import Deployer  # noqa: PLC0415
    from node.chain.endpoints import connect  # noqa: PLC0415

    config = session.config
    chain = config.chain
    if not chain.url:
        raise UsageError("No chain is configured", where="chain.url", remedy="Put its address into tial.toml")
    card = LogCard.load(config.base)
    addresses = [account_address(config, role) for role in (Role.SENDER, Role.AUTHORISER)]
    rpc = connect(chain.url, timeout=chain.timeout)
    try:
        deployer = Deployer(rpc, chain_key(session, admin), gas_price=chain.fixed_gas_price, chain_id=chain.chain_id)
        yield _ChainHand(deployer, chain.contract, bytes.fromhex(card.log_id), card, *addresses)
    finally:
        rpc.close()


@command(index_app, "rebuild")
def index_rebuild(session: Session) -> None:
    """Build the index anew from the log; the node must not run."""
    from node.rebuild import rebuild  # noqa: PLC0415 - for this command only

    with progress_bar(session) as bar:
        report = rebuild(session.config, lambda done, total: bar("entries", done, total))
    told = report.as_json()
    session.out(told, table(("index rebuilt", ""), list(told.items())))


@command(log_app, "fsck")
def log_fsck(
    session: Session,
    *,
    deep: Annotated[bool, typer.Option("--deep", help="Check every signature and run every rule again")] = False,
) -> None:
    """Check the log's files against each other and the signed checkpoint; the node must not run."""
    from node.fsck import check  # noqa: PLC0415 - for this command only

    with progress_bar(session) as bar:
        report = check(session.config, deep, bar)
    session.out(report.as_json(), report.as_text().rstrip())
    if not report.ok:
        raise typer.Exit(Exit.REFUSED)


@contextmanager
def progress_bar(session: Session) -> Iterator[Any]:
    """A progress bar on a terminal's stderr: a function of (what, done, in all)."""
    shown = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=session.progress, transient=True, disable=session.as_json or not session.progress.is_terminal,
    )  # fmt: skip
    tasks: dict[str, Any] = {}

    def advance(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = shown.add_task(what, total=total)
        shown.update(tasks[what], completed=done, total=total)

    with shown:
        yield advance
