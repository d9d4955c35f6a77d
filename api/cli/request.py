"""`tial request`: ask for the admission of a statement in public, and show that the log went on without it.

Owns where the statement, the chain and the files come from. What the three files show together is
`ledger.evidence.ignored`'s judgement; the evidence of a request is made by `node.chain`, or asked from the node.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from api.cli.consortium import chain_key
from api.cli.context import Session, command
from api.cli.errors import Exit, UsageError, report
from api.cli.options import KeyFile
from api.cli.proofs import read_bounded
from api.promises import read_promises
from ledger.errors import MalformedError
from ledger.evidence.chain import MAX_EVIDENCE, ChainUntrustedError, block_hashes
from ledger.evidence.container import MAX_BUNDLE
from ledger.evidence.ignored import check_ignored
from ledger.evidence.messages import moment
from ledger.evidence.policy import MAX_POLICY, parse_policy
from ledger.evidence.promise import Kept
from ledger.statements import MAX_STATEMENT_SIZE, Statement, decode_statement

if TYPE_CHECKING:
    from node.chain.evm import EvmChain
    from node.chain.protocol import ChainSigner

app = typer.Typer(help="Statements that the log ignores: ask on the chain, and prove it.", no_args_is_help=True)
DAY: Final = 86_400
_COSE: Final = b"\xd2"
_LEAF_DIGITS: Final = 64
_CHAIN: Final = "The chain"

StatementFile = Annotated[
    Path, typer.Argument(metavar="STATEMENT", help="File with the signed statement, or one that --receipt wrote")
]
ChainUrl = Annotated[
    str,
    typer.Option(
        "--chain", metavar="RPC", help="JSON-RPC address of a node (default: configured)", rich_help_panel=_CHAIN
    ),
]
ChainId = Annotated[int, typer.Option("--chain-id", min=0, help="Its chain id", rich_help_panel=_CHAIN)]
Contract = Annotated[str, typer.Option("--contract", help="Address of the anchor contract", rich_help_panel=_CHAIN)]


@command(app, "send")
def send(
    session: Session,
    *,
    file: StatementFile,
    key: KeyFile,
    chain: ChainUrl = "",
    chain_id: ChainId = 0,
    contract: Contract = "",
) -> None:
    """Ask for the admission of a statement on the chain. Anybody may; the first request for a statement stands.

    --key is a key of a chain account that can pay for the transaction: tial key new --suite secp256k1.
    """
    statement = _statement(file)
    opened = _chain(session, chain, chain_id, contract, chain_key(session, key))
    opened.check()
    log_id = _log_of(statement)
    block, when = opened.requested(log_id, statement.leaf)
    tx = None
    if not block:
        tx = opened.request(log_id, statement.leaf)
        block, when = opened.requested(log_id, statement.leaf)
    told: dict[str, Any] = {
        "log": log_id, "leaf": statement.leaf, "block": block, "time": when, "tx": tx, "earlier": tx is None,
    }  # fmt: skip
    asked = "was requested before" if tx is None else "is requested"
    session.out(told, f"leaf {statement.leaf.hex()} {asked}: block {block}, {moment(when)}")


@command(app, "prove")
def prove(
    session: Session,
    *,
    what: Annotated[str, typer.Argument(metavar="LEAF|STATEMENT", help="A leaf hash, or a file as for `send`")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the chain evidence")],
    block: Annotated[
        int | None, typer.Option(min=0, help="Number of the block that you trust (default: the newest final one)")
    ] = None,
    chain: ChainUrl = "",
    chain_id: ChainId = 0,
    contract: Contract = "",
) -> None:
    """Write the chain evidence of a request. Asks the chain that is named or configured, else the node.

    Pin the hash of its block in your policy after you saw it on a node of the chain that you trust.
    """
    leaf, log_id = _leaf(what)
    if chain or _configured(session):
        opened = _chain(session, chain, chain_id, contract, None)
        opened.check()
        evidence = opened.prove_request(log_id or _log_id(session), leaf, block=block).evidence
    else:
        with session.client() as client:
            newest = client.anchors(limit=1)
            if not newest:
                raise MalformedError("The log is not anchored", where="anchors", remedy="Name the chain with --chain")
            evidence = client.anchor_evidence(int(newest[0]["size"]), block, [leaf])
    hashes = block_hashes(evidence)
    session.write(out, evidence)
    told = {"file": str(out), "leaf": leaf, "bytes": len(evidence), "block_hashes": list(hashes)}
    session.out(told, f"{out}: {len(evidence)} bytes, under the block {' or '.join(one.hex() for one in hashes)}")


@command(app, "check")
def check(
    session: Session,
    *,
    file: StatementFile,
    evidence: Annotated[Path, typer.Option(help="Chain evidence of `tial request prove`")],
    bundle: Annotated[Path, typer.Option(help="Whole history of what it is about: tial history SUBJECT --proof FILE")],
    policy: Annotated[Path, typer.Option(help="Whom you trust, the chain included")],
    patience: Annotated[int, typer.Option(min=0, help="Seconds that the log had to admit it")] = DAY,
    now: Annotated[int | None, typer.Option(help="Your clock in Unix seconds (default: this machine's)")] = None,
) -> None:
    """Check offline that a log ignored a statement: it was asked on the chain, the rules admit it, and it is not there.

    Ends with 0 where that is shown, 1 where it is not, 4 where nobody whom the policy names vouches for the block.
    """
    try:
        found = check_ignored(
            _statement(file).raw,
            read_bounded(evidence, MAX_EVIDENCE),
            read_bounded(bundle, MAX_BUNDLE),
            parse_policy(_text(policy)),
            int(time.time()) if now is None else now,
            patience,
        )
    except ChainUntrustedError as error:
        report(error, as_json=session.as_json)
        raise typer.Exit(Exit.UNAVAILABLE) from error
    asked = found.request
    told = {
        "ignored": True, "type": found.statement.type, "subject": found.statement.sub, "leaf": found.statement.leaf,
        "requested": {"block": asked.block, "time": asked.time, "by": "0x" + asked.sender.hex()},
        "size": found.size, "time": found.shown,
    }  # fmt: skip
    session.out(
        told,
        f"IGNORED: {found.statement.type} of {found.statement.sub}, requested {moment(asked.time)} in block "
        f"{asked.block}, is not in the log of size {found.size} at {moment(found.shown)}",
    )


# -- what the commands share -------------------------------------------------------------------------------------------


def _statement(path: Path) -> Statement:
    """The statement in a file: itself, or the newest one that a promise file keeps."""
    with _opened(path) as stream:
        bare = stream.read(1) == _COSE
    if bare:
        return decode_statement(read_bounded(path, MAX_STATEMENT_SIZE))
    kept = [one for one in read_promises(path) if isinstance(one, Kept) and one.statement]
    if not kept:
        raise MalformedError("The file holds no statement", where=str(path), remedy="Give a file that --receipt wrote")
    return decode_statement(kept[-1].statement)


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageError(f"The file cannot be read: {error.strerror}", where=str(path)) from error


def _leaf(what: str) -> tuple[bytes, bytes]:
    """Leaf hash, and the log's id where a statement names it."""
    if len(what) == _LEAF_DIGITS and not Path(what).exists():
        try:
            return bytes.fromhex(what), b""
        except ValueError as error:
            raise UsageError("A leaf hash is 64 hex digits", where="LEAF") from error
    statement = _statement(Path(what))
    return statement.leaf, _log_of(statement)


def _log_of(statement: Statement) -> bytes:
    if statement.aud is None:
        raise MalformedError("A genesis is for no log: nobody can ask for it", where="STATEMENT")
    return bytes.fromhex(statement.aud)


def _log_id(session: Session) -> bytes:
    with session.client() as client:
        return client.log().log_id


def _configured(session: Session) -> bool:
    return session.has_config and bool(session.config.chain.url)


def _chain(session: Session, url: str, chain_id: int, contract: str, sender: ChainSigner | None) -> EvmChain:
    """The chain that was named, else the configured one."""
    from node.chain.endpoints import connect  # noqa: PLC0415 - the chain's libraries take a second to load
    from node.chain.evm import EvmChain  # noqa: PLC0415
    from node.chain.protocol import Finality, FinalityKind  # noqa: PLC0415

    finality = Finality(FinalityKind.INCLUDED)
    settings: dict[str, Any] = {}
    if not url:
        if not _configured(session):
            raise UsageError("No chain is configured", where="--chain", remedy="Give --chain, --chain-id, --contract")
        chain = session.config.chain
        url, chain_id, contract = chain.url, chain_id or chain.chain_id, contract or chain.contract
        finality = Finality.parse(chain.finality)
        settings = {
            "gas_price": chain.fixed_gas_price, "max_gas_price": chain.max_gas_price, "consortium": chain.consortium,
        }  # fmt: skip
    if not (chain_id and contract):
        raise UsageError("A chain is named by its id and the contract, too", where="--chain-id, --contract")
    return EvmChain(connect(url), chain_id=chain_id, contract=contract, finality=finality, sender=sender, **settings)


def _text(path: Path) -> str:
    try:
        return read_bounded(path, MAX_POLICY).decode()
    except UnicodeDecodeError as error:
        raise MalformedError("The policy is not UTF-8", where=str(path)) from error
