"""`tial seal`: the consortium's seal over a checkpoint: enrol, sign a share, join shares, check.

Owns the files: who seals checks the checkpoint first, so `sign` takes one only where the log signed it. The keys for
that come from an evidence bundle, which shows them itself; for a bare checkpoint from the caller, or else the node is
asked. All judgement of seals is `ledger.evidence.seal`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from api.cli.context import Session, command
from api.cli.errors import UsageError
from api.cli.proofs import read_bounded
from api.offline import is_bundle
from ledger.crypto import bls12381
from ledger.crypto.suites import SUITES
from ledger.errors import MalformedError
from ledger.evidence.bundle import MAX_SEAL, Bundle
from ledger.evidence.container import MAX_BUNDLE
from ledger.evidence.policy import MAX_POLICY, LogTrust, Policy, parse_policy
from ledger.evidence.policy_text import member_text
from ledger.evidence.report import Verdict
from ledger.evidence.seal import Roster, Seal, Sealed, SealMember, Share, check_seal, join, sign_share
from ledger.evidence.verifier import verify
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.notes import MAX_NOTE, Note, Vkey

app = typer.Typer(help="The consortium's seal over a checkpoint: one signature of many members.", no_args_is_help=True)

BlsKey = Annotated[Path, typer.Option("--key", metavar="FILE", help="Key file of suite bls12-381")]
RosterFile = Annotated[Path, typer.Option("--policy", metavar="FILE", help="Policy file with the roster, [seal]")]
OutFile = Annotated[Path, typer.Option("--out", "-o", help="Where to write it")]

_MUST_HOLD: Final = (1, 2, 5, 6, 7, 8)
"""Steps that show a bundle's checkpoint to be the log's, signed by the key that it has at that size."""


@command(app, "enrol")
def enrol(session: Session, *, key: BlsKey, did: Annotated[str, typer.Option(help="The member's DID")]) -> None:
    """Print a member's lines of the roster, with the proof that it holds its key: for the policies of those who verify.

    The order of the members is part of the roster; all who seal and verify use the same.
    """
    if not did.startswith("did:"):
        raise UsageError(f"{did[:80]!r} is no DID", where="--did")
    signer = _signer(session, key)
    member = SealMember(did, signer.public_key, bls12381.prove_possession(signer))
    session.out(
        {"did": did, "key": member.key.hex(), "proof": member.proof.hex()}, Text(member_text(member).rstrip("\n"))
    )


@command(app, "sign")
def sign(
    session: Session,
    *,
    file: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A checkpoint, or an evidence bundle with one")],
    key: BlsKey,
    out: OutFile,
    log: Annotated[str, typer.Option(metavar="ID", help="Id of the log (default: the bundle's, or the node's)")] = "",
    vkey: Annotated[str, typer.Option(help="Key of the log for a bare checkpoint (default: the node is asked)")] = "",
) -> None:
    """Sign a member's share of a seal, over a checkpoint that the log signed. Check what it commits to before.

    Compare the log's id, which is printed, with what its members published.
    """
    log_id, checkpoint = _signed(session, file, log, vkey)
    share = sign_share(_signer(session, key), log_id, checkpoint)
    session.write(out, share.encode())
    session.out(_told(out, share.sealed), f"{out}: {_line(share.sealed)}")


@command(app, "join")
def join_shares(
    session: Session,
    *,
    shares: Annotated[list[Path], typer.Argument(metavar="SHARE...", help="Files of `tial seal sign`")],
    policy: RosterFile,
    out: OutFile,
) -> None:
    """Add the members' shares up to a seal; each is checked."""
    seal = join([Share.decode(read_bounded(path, MAX_SEAL)) for path in shares], _roster(policy))
    session.write(out, seal.encode())
    session.out(_told(out, seal.sealed) | {"shares": len(shares)}, f"{out}: {_line(seal.sealed)}")


@command(app, "check")
def check(
    session: Session,
    *,
    file: Annotated[Path, typer.Argument(metavar="SEAL", help="A file of `tial seal join`")],
    policy: RosterFile,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Checkpoint, or bundle with one, that it must be over")
    ] = None,
) -> None:
    """Check a seal and tell who sealed what. Ends with 0 where it holds."""
    seal = Seal.decode(read_bounded(file, MAX_SEAL))
    expected = seal.sealed
    if checkpoint is not None:
        found, log_id = _checkpoint(checkpoint)
        expected = Sealed.of(log_id or seal.sealed.log_id, found)
    members = check_seal(seal, _roster(policy), expected)
    told = _told(file, seal.sealed) | {"members": list(members)}
    session.out(told, f"{file}: {_line(seal.sealed)}; sealed by {', '.join(members)}")


def _signer(session: Session, path: Path) -> bls12381.Bls12381Signer:
    signer = session.key(path)
    if not isinstance(signer, bls12381.Bls12381Signer):
        remedy = "Make one: tial key new --suite bls12-381"
        detail = f"A seal is signed with a key of suite bls12-381, not {signer.suite.name}"
        raise UsageError(detail, where="--key", remedy=remedy)
    return signer


def _roster(path: Path) -> Roster:
    try:
        text = read_bounded(path, MAX_POLICY).decode()
    except UnicodeDecodeError as error:
        raise MalformedError("The file is not UTF-8", where=str(path)) from error
    roster = parse_policy(text).roster
    if roster is None:
        raise UsageError("The policy names no consortium", where=str(path), remedy="Add [seal] and its members")
    return roster


def _signed(session: Session, file: Path, log: str, vkey: str) -> tuple[bytes, Checkpoint]:
    """The log's id and a checkpoint that it signed."""
    checkpoint, log_id = _checkpoint(file)
    if log_id is not None:
        _require_sound(file, log_id)
    elif log and vkey:
        log_id, checkpoint = _id(log), open_checkpoint(read_bounded(file, MAX_NOTE), Vkey.parse(vkey))
    else:
        with session.client() as client:
            info = client.log()
        log_id = info.log_id
        checkpoint = open_checkpoint(read_bounded(file, MAX_NOTE), Vkey.parse(vkey or info.vkey))
    if log and log_id != _id(log):
        raise UsageError(f"This is a checkpoint of log {log_id.hex()}", where="--log")
    return log_id, checkpoint


def _require_sound(file: Path, log_id: bytes) -> None:
    """MalformedError unless the bundle shows that its log signed its checkpoint."""
    suites = frozenset(suite.alg for suite in SUITES.values() if suite.alg is not None)
    policy = Policy((LogTrust(log_id, None, suites),), trust_operator_state=True)
    report = verify(read_bounded(file, MAX_BUNDLE), policy, 0).report
    for number in _MUST_HOLD:
        step = report.step(number)
        if step is None or step.verdict is not Verdict.VALID:
            why = "it is not even read" if step is None else step.reason
            raise MalformedError(f"The bundle does not hold: {why}", where=f"step {number}")


def _checkpoint(file: Path) -> tuple[Checkpoint, bytes | None]:
    """The checkpoint in a file, and the log's id where the file is a bundle. No signature is checked."""
    if is_bundle(file):
        bundle = Bundle.decode(read_bounded(file, MAX_BUNDLE))
        return Checkpoint.parse(Note.parse(bundle.checkpoint).text), bundle.log_id
    return Checkpoint.parse(Note.parse(read_bounded(file, MAX_NOTE)).text), None


def _id(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(text) != 64 or len(raw) != 32:
        raise UsageError(f"{text[:80]!r} is no log id", where="--log", remedy="Give 64 hexadecimal digits")
    return raw


def _told(file: Path, sealed: Sealed) -> dict[str, object]:
    return {"file": str(file), "log": sealed.log_id.hex(), "size": sealed.size, "root": sealed.root.hex()}


def _line(sealed: Sealed) -> str:
    return f"size {sealed.size} of log {sealed.log_id.hex()}, root {sealed.root.hex()}"
