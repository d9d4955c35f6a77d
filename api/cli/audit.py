"""`tial mirror`, `tial audit`, `tial monitor`, and the check of what they write: reports and split-view proofs."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.context import Session, command, dated, plain, table
from api.cli.errors import Exit, UsageError
from api.cli.operate import progress_bar
from api.cli.options import NO_TEXTS
from api.files import reading
from ledger.audit.progress import Anchor
from ledger.crypto.canonical import canonical_json
from ledger.crypto.suites import SUITES
from ledger.errors import MalformedError
from ledger.evidence.audit_report import (
    CHECKS,
    AuditReport,
    auditor_kid,
    open_audit_report,
    sign_audit_report,
)
from ledger.evidence.chain import ChainPolicy
from ledger.evidence.split_view import LogIdentity, verify_split_view
from ledger.log.notes import Vkey
from ledger.log.policy import MAX_POLICY, TlogPolicy
from ledger.state.records import KeyRef
from ledger.store.durable import read_bounded
from node.config import COMETBFT, ETHEREUM

VkeyTexts = Annotated[
    list[str], typer.Option("--vkey", metavar="VKEY", help="Verifier key of the log; repeatable after a change of keys")
]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", metavar="FILE", help="A tlog-policy: the log's key, its witnesses, a quorum")
]
_CHAIN = "The chain"
ChainUrl = Annotated[
    str, typer.Option("--chain", metavar="RPC", help="JSON-RPC address of a node of the chain", rich_help_panel=_CHAIN)
]
ChainId = Annotated[int, typer.Option("--chain-id", min=0, help="Its chain id", rich_help_panel=_CHAIN)]
Contract = Annotated[str, typer.Option("--contract", help="Address of the anchor contract", rich_help_panel=_CHAIN)]
_MAX_FILE = 1 << 20


def add(app: typer.Typer) -> None:
    """Add the commands."""
    named: dict[str, Callable[..., None]] = {
        "mirror": mirror, "audit": audit, "audit-report": audit_report, "monitor": monitor, "split-view": split_view,
    }  # fmt: skip
    for name, function in named.items():
        command(app, name, rich_help_panel="Auditors")(function)


def mirror(
    session: Session,
    *,
    source: Annotated[str, typer.Argument(metavar="URL", help="The log's address")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to keep the copy")],
    vkey: VkeyTexts = NO_TEXTS,
    policy: PolicyFile = None,
    chain: ChainUrl = "",
    chain_id: ChainId = 0,
    contract: Contract = "",
    documents: Annotated[str, typer.Option(help="Documents to fetch, too: none or public")] = "none",
) -> None:
    """Copy a log and check every byte: tiles and entries under the signed root, cosignatures, anchors.

    Run it again to bring the copy up to date, or to go on after an interruption. Without --vkey or --policy the first
    run believes the node which key is the log's, and says so.
    """
    from node import mirror as mirroring  # noqa: PLC0415 - for this command only

    if documents not in {"none", "public"}:
        raise UsageError(f"{documents[:20]!r} is neither none nor public", where="--documents")
    options = mirroring.MirrorOptions(
        _vkeys(vkey), _policy(policy), _chain_anchors(chain, chain_id, contract), documents == "public"
    )
    with progress_bar(session) as bar:
        report = mirroring.mirror(source, folder, options, bar)
    told = report.as_json()
    session.out(told, table((f"mirror {folder}", ""), [(name, _line(value)) for name, value in told.items()]))


def audit(
    session: Session,
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A mirror, or a log's folder of served files")],
    key: Annotated[Path | None, typer.Option("--key", help="The auditor's key file: sign the report")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write the signed report")] = None,
    document: Annotated[
        Path | None, typer.Option("--document", help="Write a document that carries the report, to be registered")
    ] = None,
    log_id: Annotated[str, typer.Option("--log", metavar="LOG", help="The log id that is expected")] = "",
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="Check so many random entries only")] = None,
    seed: Annotated[str, typer.Option("--seed", metavar="HEX", help="For --sample: hash of a later block")] = "",
    vkey: VkeyTexts = NO_TEXTS,
    policy: PolicyFile = None,
    chain: ChainUrl = "",
    chain_id: ChainId = 0,
    contract: Contract = "",
    work: Annotated[Path | None, typer.Option("--work", help="The auditor's folder (default: DIR/audit)")] = None,
) -> None:
    """Replay a log: every signature, every rule, the state tree, every manifest and anchor. Resumes after a stop.

    With --sample only drawn entries are checked, and the report says what that leaves open. Ends with 1 when anything
    was found.
    """
    from node import audit as auditing  # noqa: PLC0415 - for this command only

    if (sample is None) != (not seed):
        raise UsageError("--sample and --seed go together", where="--sample")
    if key is None and (out is not None or document is not None):
        raise UsageError("A report is written only when it is signed", where="--key", remedy="Give the auditor's key")
    signer = None if key is None else session.key(key)
    options = auditing.AuditOptions(
        log_id=_hex(log_id, "--log", 32) if log_id else None,
        vkeys=_vkeys(vkey),
        policy=_policy(policy),
        chain_anchors=_chain_anchors(chain, chain_id, contract),
        sample=sample,
        seed=_hex(seed.removeprefix("0x"), "--seed"),
        work=work,
    )
    with progress_bar(session) as bar:
        report = auditing.audit(
            folder, options, lambda: int(time.time()), lambda done, total: bar("entries", done, total)
        )
    told = _told(report)
    if signer is not None:
        raw = sign_audit_report(signer, report)
        path = folder / "audit-report.cose" if out is None else out
        session.write(path, raw)
        told |= {"file": str(path), "sha256": hashlib.sha256(raw).hexdigest(), "auditor": signer.public_key.hex()}
        if document is not None:
            session.write(document, _document(report, raw))
    _show(session, told, report)


def audit_report(
    session: Session,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A signed report")],
    auditor: Annotated[
        list[str], typer.Option("--auditor", metavar="HEX", help="Public key of an auditor that you trust; repeatable")
    ] = NO_TEXTS,
) -> None:
    """Check an auditor's signed report, and show what was checked and found."""
    raw = _read(file)
    with reading(file, "auditor's report", "Give a file of tial audit --key"):
        named = auditor_kid(raw)
    known = [_auditor(text) for text in auditor]
    if not known:
        raise UsageError(
            f"Whose report is this? It names the key {named.hex()} (SHA-256 of the public key)",
            where="--auditor",
            remedy="Give the public key of an auditor that you trust",
        )
    with reading(file, "report that can be trusted"):
        report = open_audit_report(raw, known)
    _show(session, _told(report) | {"auditor": named.hex()}, report)


def monitor(
    session: Session,
    *,
    sources: Annotated[list[str], typer.Argument(metavar="URL...", help="Addresses of the log: nodes and mirrors")],
    folder: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Memory and proofs")] = Path("monitor"),
    note: Annotated[
        list[str], typer.Option("--note", metavar="FILE|URL", help="A checkpoint from elsewhere, as from a witness")
    ] = NO_TEXTS,
    vkey: VkeyTexts = NO_TEXTS,
    policy: PolicyFile = None,
    chain: ChainUrl = "",
    chain_id: ChainId = 0,
    contract: Contract = "",
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two scans")] = 60.0,
    once: Annotated[bool, typer.Option("--once", help="One scan: 1 for a contradiction, 4 for what is open")] = False,
) -> None:
    """Watch one log from several sides; where two contradict each other, write the split-view proof."""
    from node import monitor as monitoring  # noqa: PLC0415 - for this command only

    read = _policy(policy)
    vkeys = _vkeys(vkey) or (() if read is None else tuple(log.vkey for log in read.logs))
    if not vkeys:
        raise UsageError("Whose log is this?", where="--vkey", remedy="Give the log's verifier key, or a --policy")
    opened = _chain(chain, chain_id, contract)
    watch = monitoring.Monitor(sources, folder, monitoring.MonitorOptions(vkeys, tuple(note), read, opened))
    while True:
        scan = watch.scan()
        told = scan.as_json()
        session.out(told, *_lines(told))
        if once:
            if scan.contradictions:
                raise typer.Exit(Exit.REFUSED)
            if scan.troubles or scan.waiting or scan.agreed is None:
                raise typer.Exit(Exit.UNAVAILABLE)
            return
        time.sleep(every)


def split_view(
    session: Session,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A split-view proof")],
    log_id: Annotated[
        str, typer.Option("--log", metavar="LOG", help="Log id: for acknowledgements and the chain")
    ] = "",
    vkey: Annotated[str, typer.Option("--vkey", metavar="VKEY", help="Verifier key of the log")] = "",
    cose: Annotated[str, typer.Option("--cose", metavar="HEX", help="The log's cose key: for acknowledgements")] = "",
    chain_id: ChainId = 0,
    contract: Contract = "",
    code_hash: Annotated[
        str, typer.Option("--code-hash", metavar="HEX", help="Code hash of the contract", rich_help_panel=_CHAIN)
    ] = "",
    header: Annotated[
        list[str],
        typer.Option("--header", metavar="HEX", help="Block hash that you trust; repeatable", rich_help_panel=_CHAIN),
    ] = NO_TEXTS,
    trust: Annotated[
        Path | None,
        typer.Option("--trust", help="A CometBFT chain: file with a height and its validators", rich_help_panel=_CHAIN),
    ] = None,
) -> None:
    """Check a split-view proof, offline, with the keys of the log alone. Ends with 0 when it proves a contradiction."""
    if not vkey:
        raise UsageError("Whose log is this?", where="--vkey", remedy="Give the log's verifier key")
    policy = None
    if header or trust is not None:
        sized = (_hex(contract.removeprefix("0x"), "--contract", 20), _hex(code_hash.removeprefix("0x"), "--code-hash"))
        pinned = tuple(_hex(text.removeprefix("0x"), "--header", 32) for text in header)
        from node.chain.comet_trust import read_pin  # noqa: PLC0415 - heavy, and for this option only

        pin = None if trust is None else read_pin(trust)
        kind = ETHEREUM if trust is None else COMETBFT
        policy = ChainPolicy(kind, chain_id, *sized, headers=pinned, comet=pin)
    alg, public = _auditor(cose) if cose else (0, b"")
    identity = LogIdentity.of(
        _hex(log_id, "--log", 32) if log_id else b"", Vkey.parse(vkey), KeyRef(alg, public), policy
    )
    with reading(file, "split-view proof"):
        finding = verify_split_view(_read(file), identity)
    session.out({"kind": finding.kind, "detail": finding.detail}, f"CONTRADICTION ({finding.kind}): {finding.detail}")


# -- what the commands share -------------------------------------------------------------------------------------------


def _vkeys(texts: list[str]) -> tuple[Vkey, ...]:
    return tuple(Vkey.parse(text) for text in texts)


def _policy(path: Path | None) -> TlogPolicy | None:
    if path is None:
        return None
    raw = read_bounded(path, MAX_POLICY)
    if raw is None:
        raise UsageError("There is no such file", where=str(path))
    with reading(path, "tlog-policy"):
        return TlogPolicy.parse(raw)


def _chain(url: str, chain_id: int, contract: str) -> Any:
    """The chain that was named, None where none was."""
    if not url:
        return None
    if not (chain_id and contract):
        raise UsageError("A chain is named by its id and the contract, too", where="--chain-id, --contract")
    from node.chain.endpoints import connect  # noqa: PLC0415 - for runs with a chain only
    from node.chain.evm import EvmChain  # noqa: PLC0415
    from node.chain.protocol import Finality, FinalityKind  # noqa: PLC0415

    finality = Finality(FinalityKind.INCLUDED)
    return EvmChain(connect(url), chain_id=chain_id, contract=contract, finality=finality)


def _chain_anchors(url: str, chain_id: int, contract: str) -> Callable[[bytes], list[Anchor]] | None:
    chain = _chain(url, chain_id, contract)
    if chain is None:
        return None

    def read(log_id: bytes) -> list[Anchor]:
        chain.check()
        return [Anchor(found.size, found.root, found.time) for found in chain.scan(log_id)]

    return read


def _hex(text: str, where: str, size: int | None = None) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = None
    if value is None or (size is not None and len(value) != size):
        wanted = "hexadecimal" if size is None else f"{2 * size} hexadecimal digits"
        raise UsageError(f"expected {wanted}", where=where)
    return value


def _auditor(text: str) -> tuple[int, bytes]:
    """A public key and the algorithm that its form belongs to."""
    key = _hex(text, "--auditor")
    for suite in SUITES.values():
        if suite.alg is None:
            continue
        try:
            suite.check_public_key(key)
        except MalformedError:
            continue
        return suite.alg, key
    raise UsageError("This is no public key of a known suite", where=text[:80])


def _read(path: Path) -> bytes:
    raw = read_bounded(path, _MAX_FILE)
    if raw is None:
        raise UsageError("There is no such file", where=str(path))
    return raw


def _document(report: AuditReport, raw: bytes) -> bytes:
    """A document whose digest a registration puts into the log: so the report itself can be logged."""
    return canonical_json(
        {
            "type": "audit-report",
            "log": report.log_id.hex(),
            "size": report.size,
            "root": report.root.hex(),
            "sha256": hashlib.sha256(raw).hexdigest(),
            "report": base64.b64encode(raw).decode(),
        }
    )


def _told(report: AuditReport) -> dict[str, Any]:
    told: dict[str, Any] = {
        "clean": report.clean,
        "log": report.log_id,
        "size": report.size,
        "root": report.root,
        "state": report.state,
        "mode": report.mode,
        "checked": report.checked,
        "counts": dict(report.counts),
        "checks": sorted(report.checks),
        "not_checked": sorted(set(CHECKS) - report.checks),
        "time": report.time,
        "software": report.software,
        "failed": report.failed,
        "failures": [{"code": f.code, "detail": f.detail, "index": f.index} for f in report.failures],
        "notes": list(report.notes),
    }
    if report.anchors is not None:
        told["anchors"] = {"count": report.anchors.count, "size": report.anchors.size, "root": report.anchors.root}
    if report.sample is not None:
        told["sample"] = {"seed": report.sample.seed, "draws": report.sample.draws}
    return told


def _show(session: Session, told: dict[str, Any], report: AuditReport) -> None:
    shown = {name: value for name, value in plain(told).items() if name != "failures"}
    rows = [(name, _line(dated(name, value))) for name, value in shown.items()]
    findings = [
        f"FOUND {failure.code}"
        + ("" if failure.index is None else f" at entry {failure.index}")
        + f": {failure.detail}"
        for failure in report.failures
    ]
    session.out(told, table(("audit", ""), rows), *findings)
    if not report.clean:
        raise typer.Exit(Exit.REFUSED)


def _lines(told: dict[str, Any]) -> Iterator[object]:
    yield table(("view", "size", "root"), [(v["name"], str(v["size"]), v["root"]) for v in told["views"]])
    for found in told["contradictions"]:
        yield f"CONTRADICTION: {found['detail']}; proof: {found['proof'] or 'none'}"
    for found in (*told["troubles"], *told["waiting"]):
        yield f"cannot tell: {found['name']}: {found['detail']}"
    if told["agreed"] is not None:
        yield f"agreed up to size {told['agreed']['size']}; anchored {told['anchored']}"


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
