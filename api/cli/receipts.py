"""`tial receipt`: fetch what shows that an entry is in the log, and verify it without the node.

Owns which kind of file is which, and how the outcome of a check becomes one of three verdicts. The checks themselves
are those of `ledger.log.receipts` and `ledger.log.tlog_proof`. Keys are given by the caller; where none is, the node is
asked, and the verdict says that it rests on the node's word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from api.answers import ApiError
from api.cli.context import Session, command, table
from api.cli.errors import Exit, UsageError
from api.cli.options import NO_TEXTS
from api.cli.proofs import is_index, read_bounded, when_published
from api.client import Client
from api.files import reading
from ledger.crypto.digests import kid as kid_of
from ledger.crypto.suites import suite_by_name
from ledger.errors import MalformedError
from ledger.evidence.report import Verdict
from ledger.identifiers.did_key import did_key_public
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import MAX_NOTE, Note, NoteSignatureError, Vkey
from ledger.log.policy import MAX_POLICY, TlogPolicy
from ledger.log.receipts import (
    ConsistencyPath,
    ReceiptError,
    ReceiptKeyError,
    UnknownStructureError,
    decode_receipt,
    verify_inclusion_receipt,
)
from ledger.log.tlog_proof import HEADER, ProofError, QuorumError, TlogProof, verify_tlog_proof
from ledger.log.tree import leaf_hash
from ledger.statements import MAX_STATEMENT_SIZE, decode_statement
from ledger.statements.transparent import MAX_TRANSPARENT, RECEIPTS, split_transparent, take_apart

app = typer.Typer(help="Receipts: fetch what shows that an entry is in the log, and verify it.", no_args_is_help=True)

CoseKey = tuple[int, bytes]

_MAX_FILE: Final = MAX_NOTE + MAX_TRANSPARENT
_CODES: Final = {Verdict.VALID: Exit.OK, Verdict.INVALID: Exit.REFUSED, Verdict.CANNOT_TELL: Exit.UNAVAILABLE}
_COLOURS: Final = {Verdict.VALID: "green", Verdict.INVALID: "red", Verdict.CANNOT_TELL: "yellow"}
_NODES_WORD: Final = "the node's word for the log's key"


class Format(StrEnum):
    """Kinds of files that show an inclusion."""

    COSE = "cose"
    TLOG_PROOF = "tlog-proof"
    TRANSPARENT = "transparent"


@dataclass(frozen=True, slots=True)
class Judged:
    """What a file shows: the verdict, why, and what it says. `stated` holds words that nobody signed."""

    verdict: Verdict
    reason: str
    facts: dict[str, Any] = field(default_factory=dict)
    stated: dict[str, Any] = field(default_factory=dict)
    rests_on: tuple[str, ...] = ()


@command(app, "get")
def receipt_get(
    session: Session,
    what: Annotated[
        str, typer.Argument(metavar="INDEX|SUBJECT", help="An entry's index, or a subject: the newest entry about it")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write it")],
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="cose: a COSE receipt (RFC 9942); transparent: the statement with its receipt (RFC 9943); "
            "tlog-proof: a C2SP proof file with the checkpoint and its cosignatures",
        ),
    ] = Format.COSE,
) -> None:
    """Fetch an entry's receipt; it is verified before it is written."""
    with session.client() as client:
        index = int(what) if is_index(what) else _newest(client, what)
        ask = {Format.COSE: client.receipt, Format.TRANSPARENT: client.transparent}.get(form, client.proof_file)
        data = when_published(client, index, lambda: ask(index))
        judged = judge(data, client.entry(index), _Keys.of_node(client, data))
    if judged.verdict is not Verdict.VALID:
        raise MalformedError(f"The node's receipt proves nothing: {judged.reason}", where=f"entry {index}")
    session.write(out, data)
    told = {"file": str(out), "format": form.value, "index": index} | judged.facts | judged.stated
    session.out(told, f"{out}: {form.value} for entry {index}, in the tree of size {_size(judged)}")


@command(app, "verify")
def receipt_verify(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A receipt, a transparent statement or a proof file")],
    *,
    statement: Annotated[
        Path | None, typer.Option(help="The statement's bytes; a transparent statement brings its own")
    ] = None,
    vkey: Annotated[str, typer.Option(help="The log's verifier key, for proof files; its name is the origin")] = "",
    key: Annotated[
        list[str], typer.Option(metavar="DID", help="The log's cose key as did:key, for receipts; repeatable")
    ] = NO_TEXTS,
    origin: Annotated[str, typer.Option(help="The origin that the log must have (default: the verifier key's)")] = "",
    witness: Annotated[
        list[str], typer.Option(metavar="VKEY", help="Verifier key of a witness, for proof files; repeatable")
    ] = NO_TEXTS,
    quorum: Annotated[int, typer.Option(min=0, help="How many of the witnesses must have cosigned")] = 0,
    policy: Annotated[
        Path | None, typer.Option(help="Logs, witnesses and quorum as a C2SP tlog-policy file, for proof files")
    ] = None,
) -> None:
    """Verify that a statement is in the log, offline where the keys are given; else the node is asked for them.

    Ends with 0 for valid, 1 for invalid, 4 where it cannot be told. It says nothing about what the statement is worth
    now: `tial verify` does.
    """
    if quorum > len(witness):
        raise UsageError(f"{quorum} cosignatures of {len(witness)} witnesses are asked for", where="--quorum")
    if policy is not None and (vkey or witness):
        raise UsageError("A policy names the log's keys and the witnesses itself", where="--policy")
    data = read_bounded(file, _MAX_FILE)
    raw = None if statement is None else read_bounded(statement, MAX_STATEMENT_SIZE)
    given = tuple(_cose_key(text) for text in key)
    witnesses = tuple(Vkey.parse(text) for text in witness)
    if policy is not None:
        with reading(policy, "tlog-policy"):
            trusted = TlogPolicy.parse(read_bounded(policy, MAX_POLICY))
        logs = tuple(log.vkey for log in trusted.logs)
        keys = _Keys(logs, given, origin, trusted.vkeys, policy=trusted)
    elif vkey or given:
        log = (Vkey.parse(vkey),) if vkey else ()
        keys = _Keys(log, given, origin or "".join(one.name for one in log), witnesses, quorum)
    else:
        with session.client() as client:
            keys = _Keys.of_node(client, data, origin, witnesses, quorum)
    if raw is not None and statement is not None:
        with reading(statement, "statement", "Give the bytes that were logged, as GET /v1/entries/INDEX has them"):
            decode_statement(raw)
    with reading(file, "receipt, transparent statement or proof file", "Give a file of tial receipt get"):
        judged = judge(data, raw, keys)
    _show(session, judged)


def _show(session: Session, judged: Judged) -> None:
    told: dict[str, Any] = {"verdict": judged.verdict.value, "reason": judged.reason} | judged.facts
    told |= {"stated": judged.stated, "rests_on": list(judged.rests_on)}
    rows = [(name, str(value)) for name, value in judged.facts.items()]
    rows += [(f"{name} (as stated, not signed)", str(value)) for name, value in judged.stated.items()]
    rows += [("rests on", thing) for thing in judged.rests_on]
    line = Text(f"{judged.verdict.value.upper()}: {judged.reason}", style=_COLOURS[judged.verdict])
    session.out(told, *([table(("", ""), rows)] if rows else []), line)
    code = _CODES[judged.verdict]
    if code:
        raise typer.Exit(code)


# -- judging -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Keys:
    """Whom to believe: the log's keys, its origin or the empty text, witnesses, and how many or which of them."""

    vkeys: tuple[Vkey, ...]
    cose: tuple[CoseKey, ...]
    origin: str
    witnesses: tuple[Vkey, ...] = ()
    quorum: int = 0
    policy: TlogPolicy | None = None
    rests_on: tuple[str, ...] = ()

    @classmethod
    def of_node(
        cls, client: Client, data: bytes, origin: str = "", witnesses: tuple[Vkey, ...] = (), quorum: int = 0
    ) -> _Keys:
        """The keys as the node names them, those that it retired included."""
        info = client.log()
        vkeys: tuple[Vkey, ...] = ()
        cose: tuple[CoseKey, ...] = ()
        if data.startswith(HEADER):
            proof = TlogProof.parse(data)
            size = Checkpoint.parse(Note.parse(proof.checkpoint).text).size
            vkeys = (Vkey.parse(info.vkey_for(size)),)
        else:
            cose = client.cose_keys()
        return cls(vkeys, cose, origin or info.origin, witnesses, quorum, rests_on=(_NODES_WORD,))


def judge(data: bytes, statement: bytes | None, keys: _Keys) -> Judged:
    """Say what a file of any of the three kinds shows about `statement`.

    Raises MalformedError for a file that is none of them, or a statement that is not in its form.
    """
    if data.startswith(HEADER):
        return _judge_proof_file(TlogProof.parse(data), statement, keys)
    receipts: Sequence[bytes] = (data,)
    if _is_transparent(data):
        inside, receipts = split_transparent(data)
        if statement is not None and statement != inside:
            return Judged(Verdict.INVALID, "the file is about another statement than the one given")
        statement = inside
    answers = [_judge_receipt(receipt, statement, keys) for receipt in receipts]
    for verdict in (Verdict.INVALID, Verdict.VALID):
        for answer in answers:
            if answer.verdict is verdict:
                return answer
    return answers[0]


def _is_transparent(data: bytes) -> bool:
    """Whether this is a statement with receipts; a receipt itself has no payload and cannot be read as one."""
    try:
        _, unprotected = take_apart(data)
    except MalformedError:
        return False
    return RECEIPTS in unprotected


def _judge_receipt(raw: bytes, statement: bytes | None, keys: _Keys) -> Judged:
    try:
        receipt = decode_receipt(raw)
    except UnknownStructureError as error:
        return Judged(Verdict.CANNOT_TELL, error.detail)
    facts: dict[str, Any] = {"origin": receipt.origin, "subject": receipt.sub, "kid": receipt.kid.hex()}
    if isinstance(receipt.proof, ConsistencyPath):
        stated = {"old size": receipt.proof.old, "new size": receipt.proof.new}
        return Judged(Verdict.CANNOT_TELL, "a receipt of consistency proves no statement", facts, stated)
    stated = {"index": receipt.proof.index, "size": receipt.proof.size}
    if statement is None:
        reason = "a receipt proves a statement, and none is given: use --statement"
        return Judged(Verdict.CANNOT_TELL, reason, facts, stated)
    known = next(((alg, key) for alg, key in keys.cose if kid_of(key) == receipt.kid), None)
    if known is None:
        reason = "it is by a key that was not given" if keys.cose else "no cose key is given: use --key"
        return Judged(Verdict.CANNOT_TELL, reason, facts, stated)
    st = decode_statement(statement)
    origin = keys.origin or receipt.origin or ""
    try:
        root = verify_inclusion_receipt(receipt, st.leaf, *known, origin=origin, sub=st.sub)
    except ReceiptKeyError as error:
        return Judged(Verdict.CANNOT_TELL, error.detail, facts, stated)
    except ReceiptError as error:
        return Judged(Verdict.INVALID, error.detail, facts, stated)
    reason = "the log signed a tree that holds this statement"
    return Judged(
        Verdict.VALID, reason, facts | {"leaf": st.leaf.hex(), "root": root.hex()}, stated, keys.rests_on
    )  # fmt: skip


def _judge_proof_file(proof: TlogProof, statement: bytes | None, keys: _Keys) -> Judged:
    note = Note.parse(proof.checkpoint)
    checkpoint = Checkpoint.parse(note.text)
    facts: dict[str, Any] = {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}
    stated = {"index": proof.index}
    if statement is None:
        reason = "a proof file proves a statement, and none is given: use --statement"
        return Judged(Verdict.CANNOT_TELL, reason, facts, stated)
    signers = {(line.name, line.key_id) for line in note.signatures}
    known = next((vkey for vkey in keys.vkeys if (vkey.name, vkey.key_id) in signers), None)
    if known is None:
        reason = "it is by a key that was not given" if keys.vkeys else "no verifier key is given: use --vkey"
        return Judged(Verdict.CANNOT_TELL, reason, facts, stated)
    leaf, origin = leaf_hash(statement), keys.origin or known.name
    try:
        _, cosigned = verify_tlog_proof(proof, leaf, known, keys.witnesses, keys.quorum, origin=origin)
    except QuorumError as error:
        return Judged(Verdict.CANNOT_TELL, error.detail, facts, stated)
    except (NoteSignatureError, ProofError, MalformedError) as error:
        return Judged(Verdict.INVALID, error.detail, facts, stated)
    facts |= {"leaf": leaf.hex(), "cosigned by": [one.vkey.name for one in cosigned]}
    if keys.policy is not None and not keys.policy.satisfied([one.vkey for one in cosigned]):
        return Judged(Verdict.CANNOT_TELL, "the witnesses that cosigned make no quorum of the policy", facts, stated)
    reason = "the log's checkpoint holds this statement"
    return Judged(Verdict.VALID, reason, facts | {"index": proof.index}, {}, keys.rests_on)


def _size(judged: Judged) -> int:
    """The tree size that a valid file speaks of."""
    size: int = (judged.facts | judged.stated)["size"]
    return size


def _newest(client: Client, subject: str) -> int:
    view = client.lookup(subject)
    if view is None:
        raise ApiError("not-found", 404, f"The log knows nothing of {subject[:200]}", where="subject")
    return int(view.record["last"])


def _cose_key(text: str) -> CoseKey:
    suite, key = did_key_public(text)
    alg = suite_by_name(suite).alg
    assert alg is not None  # every suite of did:key signs statements
    return alg, key
