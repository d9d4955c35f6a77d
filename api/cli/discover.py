"""`tial discover`: from a subject to its log, to the log's node, to a verified answer, with no account and no folder.

Owns where chain, policy and addresses come from; the way itself is `api.discovery`'s.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from api.cli.context import Session, command, table
from api.cli.errors import UsageError
from api.cli.options import NO_TEXTS
from api.cli.proofs import read_bounded
from api.files import reading
from api.offline import EXITS
from ledger.errors import MalformedError
from ledger.evidence.messages import ENGLISH
from ledger.evidence.policy import MAX_POLICY, Policy, parse_policy
from ledger.evidence.report import Verdict
from node.config import COMETBFT

if TYPE_CHECKING:
    from api.chain_view import ChainView

_CHAIN: Final = "The chain"
_address = re.compile("0x[0-9a-fA-F]{40}").fullmatch
ChainUrl = Annotated[
    str,
    typer.Option(
        "--chain", metavar="RPC", help="JSON-RPC address of a node (default: configured)", rich_help_panel=_CHAIN
    ),
]
ChainId = Annotated[
    int, typer.Option("--chain-id", min=0, help="Its chain id (default: as it says)", rich_help_panel=_CHAIN)
]
Contract = Annotated[str, typer.Option("--contract", help="Address of the anchor contract", rich_help_panel=_CHAIN)]


Comet = Annotated[
    str,
    typer.Option(metavar="RPC", help="CometBFT address of the same node, on a BFT network", rich_help_panel=_CHAIN),
]
Trust = Annotated[
    Path | None,
    typer.Option(help="File with the validators that you trust: every word is then proven", rich_help_panel=_CHAIN),
]


class _Named(NamedTuple):
    """A chain as options or the configuration name it. Several addresses are separated by spaces."""

    url: str
    chain_id: int
    contract: str
    comet: str
    trust: Path | None
    finality: str = "included"
    timeout: float = 10.0


def add(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "discover", rich_help_panel="Questions and proofs")(discover)


def discover(
    session: Session,
    *,
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="An identifier, a DID or a delegation")],
    policy: Annotated[
        Path | None, typer.Option(help="Whom you trust; the log must stand in it (default: drafted from the chain)")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option(help="TOML file with [[node]] tables of origin and url", rich_help_panel="The node")
    ] = None,
    node: Annotated[
        list[str],
        typer.Option(metavar="ORIGIN=URL", help="Address of a log's node; repeatable", rich_help_panel="The node"),
    ] = NO_TEXTS,
    follow: Annotated[bool, typer.Option("--follow", help="Ask the log that follows, where one is sealed")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write the evidence bundle")] = None,
    trust_operator_state: Annotated[
        bool,
        typer.Option("--trust-operator-state", help="Without --policy: take the operator's word for the current state"),
    ] = False,
    now: Annotated[int | None, typer.Option(help="Your clock in Unix seconds (default: this machine's)")] = None,
    lang: Annotated[str, typer.Option(help="Language of the report, en or zh")] = ENGLISH,
    chain: ChainUrl = "",
    chain_id: ChainId = 0,
    contract: Contract = "",
    comet: Comet = "",
    trust: Trust = None,
) -> None:
    """Find the node that answers for a subject, by prefix through the anchor contract, and verify what it answers.

    The chain names the log, the log's origin is the node's address unless --node or --directory says otherwise, and its
    evidence bundle is verified offline, as by tial verify. Ends with 0 for valid, 1 for invalid, 4 where it cannot be
    told: no prefix is mapped, the log is not in your policy, or a node does not answer.
    """
    from api import discovery  # noqa: PLC0415 - heavy, and for this command only
    from api.directory import read_directory, read_nodes  # noqa: PLC0415

    if policy is not None and trust_operator_state:
        raise UsageError("Your policy says whether it does", where="--trust-operator-state", remedy="Leave it out")
    trusted = None if policy is None else _policy(policy)
    known = {} if directory is None else read_directory(directory)
    known |= read_nodes(node)
    view = _view(session, _Named(chain, chain_id, contract, comet, trust))
    found = discovery.discover(
        view,
        subject,
        known,
        int(time.time()) if now is None else now,
        policy=trusted,
        follow=follow,
        trust_operator_state=trust_operator_state,
    )
    if out is not None:
        session.write(out, found.raw)
    session.out(found.as_json(), table(("", ""), found.as_rows()), found.report.as_text(lang).rstrip())
    if found.behind:
        session.note("The node withholds what is anchored: its answer is never valid.")
    tenth = found.report.step(10)
    if found.drafted and not found.view.vouched and tenth is not None and tenth.verdict is Verdict.CANNOT_TELL:
        session.note("On a BFT network name the validators that you trust: --trust FILE, with --comet RPC.")
    if found.outdated:
        session.note("The chain's nodes show no new header: the prefix may belong to another log by now.")
    code = EXITS[found.verdict]
    if code:
        raise typer.Exit(code)


def _policy(path: Path) -> Policy:
    raw = read_bounded(path, MAX_POLICY)
    with reading(path, "policy", "tial policy init writes one"):
        try:
            return parse_policy(raw.decode())
        except UnicodeDecodeError as error:
            raise MalformedError("it is not UTF-8") from error


def _view(session: Session, named: _Named) -> ChainView:
    """The chain that was named, else the configured one."""
    from api.chain_view import plain_view, proven_view  # noqa: PLC0415 - the chain's libraries take a second to load
    from node.chain.comet_trust import read_pin  # noqa: PLC0415
    from node.chain.endpoints import connect  # noqa: PLC0415
    from node.chain.protocol import ChainMismatchError, ContractMissingError, Finality  # noqa: PLC0415

    if not named.url:
        named = _configured(session, named)
    if not _address(named.contract):
        raise UsageError("The anchor contract is not named", where="--contract", remedy="Write 0x and 40 hex digits")
    if bool(named.comet) is not (named.trust is not None):
        raise UsageError(
            "Headers of the chain are asked for at --comet and trusted through --trust", where="--comet, --trust"
        )
    rpc = connect(named.url, timeout=named.timeout)
    try:
        if named.trust is None:
            return plain_view(rpc, named.contract, named.chain_id, Finality.parse(named.finality))
        pin = read_pin(named.trust)
        return proven_view(rpc, named.url.split(), named.comet.split(), pin, named.contract, named.chain_id)
    except ChainMismatchError as error:  # nothing was judged: never the exit code of "invalid"
        detail = error.detail
        if isinstance(error, ContractMissingError):
            detail = f"There is no contract at {named.contract}"
        remedy = "Compare --chain, --chain-id and --contract with what the consortium published"
        raise UsageError(detail, where=error.where, remedy=remedy) from error


def _configured(session: Session, named: _Named) -> _Named:
    if not (session.has_config and session.config.chain.url):
        raise UsageError("No chain is configured", where="--chain", remedy="Give --chain and --contract")
    config, chain = session.config, session.config.chain
    pinned = config.path(chain.trust) if chain.kind == COMETBFT else None
    return _Named(
        url=chain.url,
        chain_id=named.chain_id or chain.chain_id,
        contract=named.contract or chain.contract,
        comet=named.comet or chain.comet,
        trust=named.trust or pinned,
        finality=chain.finality,
        timeout=chain.timeout,
    )
