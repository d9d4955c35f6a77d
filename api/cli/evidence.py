"""`tial evidence`, `tial policy`: files with which a stranger verifies without the node.

Owns how a bundle is fetched, and completed with its holder's documents, a seal and auditors' reports, which need no
signature in it; and how a first policy is written. A policy that
is written from a node's words is a draft: whoever trusts it has to compare its log id and keys with what they know from
elsewhere, and the command says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from api.cli.context import Session, command
from api.cli.proofs import is_index, read_bounded
from api.files import reading
from ledger.crypto.suites import SUITES
from ledger.errors import MalformedError
from ledger.evidence.audit_report import auditor_kid
from ledger.evidence.bundle import MAX_AUDIT, MAX_DOCUMENT, MAX_SEAL, Bundle, Document
from ledger.evidence.chain import ChainPolicy, CometTrust, require_kind
from ledger.evidence.chain.comet.validators import Validator, ValidatorSet
from ledger.evidence.chain.facts import COMETBFT
from ledger.evidence.container import MAX_BUNDLE
from ledger.evidence.policy import PLAIN, REPLAYING, LogTrust, Policy, Witnesses
from ledger.evidence.policy_text import dump_policy
from ledger.evidence.seal import Seal
from ledger.log.notes import COSIGNATURE, Vkey

app = typer.Typer(help="Evidence bundles: one file that proves without a network.", no_args_is_help=True)
policy_app = typer.Typer(help="Policies: whom a verifier trusts, and for what.", no_args_is_help=True)

DAY: Final = 86_400


def add(main: typer.Typer) -> None:
    """Add the commands."""
    main.add_typer(app, name="evidence", rich_help_panel="Questions and proofs")
    main.add_typer(policy_app, name="policy", rich_help_panel="Questions and proofs")


Documents = Annotated[
    list[Path] | None, typer.Option("--document", help="A document of yours to add, as it was registered; repeatable")
]
Disclosures = Annotated[
    Path | None, typer.Option(help="File with the disclosures to show of the first document, one a line")
]
SealFile = Annotated[Path | None, typer.Option(help="The consortium's seal over its checkpoint: tial seal")]
OutFile = Annotated[Path, typer.Option("--out", "-o", help="Where to write the bundle")]


@command(app, "get")
def fetch(
    session: Session,
    *,
    what: Annotated[str, typer.Argument(metavar="SUBJECT|ENTRY", help="A subject, or an entry's index")],
    out: OutFile,
    document: Documents = None,
    disclosures: Disclosures = None,
    seal: SealFile = None,
) -> None:
    """Write an evidence bundle: one file that proves a certificate, a registration or an absence without a network."""
    with session.client() as client:
        raw = client.evidence(index=int(what)) if is_index(what) else client.evidence(subject=what)
    _write(session, _completed(Bundle.decode(raw), document or (), disclosures, seal, ()), out)


@command(app, "attach")
def attach(
    session: Session,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle of `tial evidence get`")],
    out: OutFile,
    document: Documents = None,
    disclosures: Disclosures = None,
    seal: SealFile = None,
    report: Annotated[
        list[Path] | None, typer.Option(help="An auditor's signed report on the log of its very size; repeatable")
    ] = None,
) -> None:
    """Complete a bundle with documents, a seal, auditors' reports: what they are worth is for `tial verify` to say."""
    with reading(file, "evidence bundle", "Give a file of tial evidence get"):
        bundle = Bundle.decode(read_bounded(file, MAX_BUNDLE))
    _write(session, _completed(bundle, document or (), disclosures, seal, report or ()), out)


def _completed(
    bundle: Bundle, documents: Sequence[Path], disclosures: Path | None, seal: Path | None, reports: Sequence[Path]
) -> Bundle:
    if documents:
        bundle = with_documents(bundle, documents, disclosures)
    if seal is not None:
        raw = read_bounded(seal, MAX_SEAL)
        with reading(seal, "seal", "Give a file of tial seal join"):
            Seal.decode(raw)
        bundle = replace(bundle, seal=raw)
    added = [read_bounded(path, MAX_AUDIT) for path in reports]
    for path, raw in zip(reports, added, strict=True):
        with reading(path, "auditor's report", "Give a file of tial audit --key"):
            auditor_kid(raw)
    return replace(bundle, audits=(*bundle.audits, *(raw for raw in added if raw not in bundle.audits)))


def _write(session: Session, bundle: Bundle, out: Path) -> None:
    raw = bundle.encode()
    session.write(out, raw)
    claim = "absence" if bundle.index is None else f"entry {bundle.index}"
    told = {"file": str(out), "about": bundle.about, "index": bundle.index, "bytes": len(raw)}
    session.out(told, f"{out}: {bundle.about} ({claim}), {len(raw)} bytes")


def with_documents(bundle: Bundle, files: Sequence[Path], disclosures: Path | None) -> Bundle:
    """The bundle with these documents in it; disclosures belong to the first of them."""
    shown = () if disclosures is None else tuple(read_bounded(disclosures, MAX_DOCUMENT).decode("ascii").split())
    added = [Document(read_bounded(file, MAX_DOCUMENT), shown if not at else ()) for at, file in enumerate(files)]
    given = {document.raw for document in added}
    return replace(bundle, documents=(*added, *(kept for kept in bundle.documents if kept.raw not in given)))


def draft_policy(
    session: Session,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the policy")] = Path("policy.toml"),
    replaying: Annotated[
        list[str] | None, typer.Option(help="Verifier key of a replaying witness; may be repeated")
    ] = None,
    trust_operator_state: Annotated[
        bool, typer.Option("--trust-operator-state", help="Take the operator's word for the current state")
    ] = False,
) -> None:
    """Write a first policy from what the node says of its log. Compare its id and keys with what you know, then use it.

    The log's own witnesses become plain ones, with a quorum of more than half. Of its chain the policy names the
    contract, and the validators where the chain has some: compare these too.
    """
    with session.client() as client:
        info = client.log()
    suites = frozenset(suite.alg for suite in SUITES.values() if suite.alg in info.raw["suites"])
    again = [Vkey.parse(text) for text in replaying or ()]
    named = [Vkey.parse(text) for text in info.raw.get("witnesses", ())]
    plain = [vkey for vkey in named if vkey.type == COSIGNATURE and vkey.key not in {other.key for other in again}]
    policy = Policy(
        logs=(LogTrust(info.log_id, info.origin, frozenset(alg for alg in suites if alg is not None)),),
        plain=_majority(PLAIN, plain),
        replaying=_majority(REPLAYING, again),
        chains=_chains(info.raw.get("chain")),
        max_age=DAY if plain or again else None,
        trust_operator_state=trust_operator_state,
    )
    session.write(out, dump_policy(policy).encode())
    told = {"file": str(out), "log": info.log_id.hex(), "witnesses": len(plain), "replaying": len(again)}
    said = f"{out}: trusts log {info.log_id.hex()}. Compare this id with what its members published."
    for chain in policy.chains:
        told |= {"chain": chain.kind, "validators": 0 if chain.comet is None else len(chain.comet.validators.members)}
        said += _advice(chain)
    session.out(told, said)


def _chains(told: Any) -> tuple[ChainPolicy, ...]:
    """The chain that a node tells of, as it tells of it; MalformedError where that is in another form."""
    if told is None:
        return ()
    try:
        comet = None
        kind = require_kind(told["kind"], "chain.kind")
        if kind == COMETBFT:
            given = [Validator(bytes.fromhex(entry["key"]), entry["power"]) for entry in told["validators"]]
            comet = CometTrust(told["chain_name"], told["height"], told["time"], ValidatorSet.of(given))
        contract = bytes.fromhex(told["contract"].removeprefix("0x"))
        return (ChainPolicy(kind, told["chain_id"], contract, bytes.fromhex(told["code_hash"]), comet=comet),)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedError(f"the node tells of its chain in another form: {error!r}", where="chain") from error


def _advice(chain: ChainPolicy) -> str:
    if chain.comet is None:
        return "\nIt names the chain's contract, and no block of it: pin a header that you have from elsewhere."
    count, height = len(chain.comet.validators.members), chain.comet.height
    return (
        f"\nIt trusts {count} validators of the chain {chain.comet.chain_name} from block {height} on, as the node "
        "names them: compare them with what you know."
    )


def _majority(kind: str, vkeys: Sequence[Vkey]) -> Witnesses:
    return Witnesses(kind, tuple(vkeys), len(vkeys) // 2 + 1 if vkeys else 0)


command(policy_app, "init")(draft_policy)
