"""What a node answers, as values: read strictly, and checked where a check needs nobody's word.

Owns the shapes of answers, for the client and for whoever uses it. What an answer claims is believed only where a
function here says that it checks (`check_acknowledgement`, `check_inclusion`). An answer that cannot be read is a
MalformedError; a problem document (RFC 9457) is an `ApiError`. Knows no network.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from hashlib import sha256
from io import BytesIO
from typing import Any, Final, Generic, TypeVar

import cbor2
import orjson

from api.state import StateAnswer
from ledger.crypto.cose_key import from_cose_key
from ledger.errors import LedgerError, MalformedError
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.notes import Vkey
from ledger.log.proofs import root_from_range, verify_inclusion
from ledger.log.tree import leaf_hash
from ledger.state.proofs import StateProof
from ledger.statements.acknowledgement import Acknowledgement, open_acknowledgement, require_bounded, signed_by
from ledger.statements.cbor import decode

_BUSY: Final = frozenset({429, 502, 503, 504})
_PASSING: Final = frozenset({"overloaded", "stopped", "unavailable", "answers-not-read"})
_T = TypeVar("_T")


class ApiError(LedgerError):
    """The node refused a request. `code` is the problem's code or, for a rejected statement, the reason's name."""

    code = "api-error"

    def __init__(self, code: str, status: int, detail: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(detail, where=where, remedy=remedy)
        self.code = code  # type: ignore[misc]  # the one error whose code comes from outside
        self.status = status

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later: the node is busy or stopping."""
        return self.status in _BUSY


_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class Period(Generic[_Key]):
    """A key of the log and its period, from `first` up to but not including `end`; None while it is in force."""

    first: int
    end: int | None
    key: _Key


@dataclass(frozen=True, slots=True)
class LogInfo:
    """What a log says about itself. Sizes count entries; times are Unix seconds; `raw` is the whole answer.

    `note_keys` are verifier keys with the checkpoint sizes of their period, `cose_keys` (alg, key) with indexes.
    """

    log_id: bytes
    origin: str
    vkey: str
    cose_alg: int
    cose_key: bytes
    rules: int
    log_time: int
    size: int
    published: int
    note_keys: tuple[Period[str], ...]
    cose_keys: tuple[Period[tuple[int, bytes]], ...]
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def policy(self) -> Mapping[str, int]:
        """The log's constants: skew, max_age, rotation_delay, in seconds."""
        policy: Mapping[str, int] = self.raw.get("policy", {})
        return policy

    def vkey_for(self, size: int) -> str:
        """The verifier key for a checkpoint of `size`: a log that changed keys signed older sizes with former ones."""
        return next(str(period.key) for period in reversed(self.note_keys) if period.first <= size)

    def trusting(self, vkey: str) -> LogInfo:
        """The same with a verifier key that was known beforehand: what the node says of its keys counts for nothing."""
        return replace(self, vkey=vkey, note_keys=(Period(0, None, vkey),))

    def acknowledging(self, kid: bytes, first: int) -> tuple[int, bytes]:
        """The cose key `kid` (alg, key), which may acknowledge entries from `first` on unless its period ended before.

        Raises MalformedError where the log had no such key then.
        """
        for period in self.cose_keys:
            alg, key = period.key
            if sha256(key).digest() == kid and (period.end is None or period.end > first):
                return alg, key
        raise MalformedError("The acknowledgement is by no key that the log had then", where="protected.4")


@dataclass(frozen=True, slots=True)
class Run:
    """An acknowledgement for `count` consecutive entries from `first`; `proof` leads into its group."""

    first: int
    count: int
    acknowledgement: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where a statement stands: durable as entry `index`. `duplicate` when it had been there before."""

    index: int
    leaf: bytes
    duplicate: bool
    run: Run | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A statement or document that was not taken, with the stable name of the reason."""

    reason: str
    detail: str
    where: str = ""
    remedy: str = ""

    def explain(self) -> str:
        """One line for a person."""
        return LedgerError(self.detail, where=self.where, remedy=self.remedy).explain()


ItemResult = Receipt | Refused


@dataclass(frozen=True, slots=True)
class RecordView:
    """A record as the node's durable index has it. `state` is computed at `log_time`; bytes in `record` are hex."""

    subject: str
    kind: str
    state: str
    record: Mapping[str, Any]
    touches: int
    covers: int
    log_time: int


@dataclass(frozen=True, slots=True)
class Inclusion:
    """An inclusion proof at `size`; `checkpoint` is the signed note where `size` is the published one, else empty."""

    index: int
    size: int
    leaf: bytes
    proof: tuple[bytes, ...]
    root: bytes
    checkpoint: bytes


# -- checks that need nobody's word ------------------------------------------------------------------------------------


def check_acknowledgement(info: LogInfo, run: Run, leaves: Sequence[bytes]) -> Acknowledgement:
    """Check that the log's cose key acknowledged exactly these leaf hashes as entries from `run.first` on.

    Raises MalformedError where the signature, the log, or the proof into the group is wrong, or where publication is
    promised for later than a day after log time.
    """
    ack = open_acknowledgement(run.acknowledgement, *info.acknowledging(signed_by(run.acknowledgement), run.first))
    if ack.log_id != info.log_id:
        raise MalformedError("The acknowledgement is of another log", where="acknowledgement")
    require_bounded(ack)
    if root_from_range(run.first - ack.first, leaves, ack.size, run.proof) != ack.root:
        raise MalformedError("The acknowledgement does not cover these entries", where=f"entry {run.first}")
    return ack


def check_inclusion(info: LogInfo, raw: bytes, inclusion: Inclusion) -> Checkpoint:
    """Check that statement `raw` is in the tree of a checkpoint that the log's note key signed; returns that."""
    checkpoint = open_checkpoint(inclusion.checkpoint, Vkey.parse(info.vkey_for(inclusion.size)))
    if (checkpoint.size, checkpoint.root) != (inclusion.size, inclusion.root):
        raise MalformedError("The proof is for another tree than the checkpoint's", where="checkpoint")
    if not verify_inclusion(leaf_hash(raw), inclusion.index, inclusion.size, inclusion.proof, inclusion.root):
        raise MalformedError("The proof does not lead from the entry to the root", where=f"entry {inclusion.index}")
    return checkpoint


# -- reading answers ---------------------------------------------------------------------------------------------------


def _answer(what: str) -> Callable[[Callable[..., _T]], Callable[..., _T]]:
    """Let a reader of a foreign answer fail in one way: MalformedError naming what could not be read."""

    def decorate(reader: Callable[..., _T]) -> Callable[..., _T]:
        @wraps(reader)
        def checked(*arguments: Any) -> _T:
            try:
                return reader(*arguments)
            except (KeyError, TypeError, ValueError, AttributeError, cbor2.CBORDecodeError) as error:
                raise MalformedError(
                    f"The node's answer cannot be read as {what}: {type(error).__name__} {error}",
                    remedy="Do client and node have the same version?",
                ) from error

        return checked

    return decorate


@_answer("a receipt")
def read_receipt(answer: Mapping[str, Any]) -> Receipt:
    """A receipt."""
    run = None
    if answer.get("acknowledgement"):
        group = answer["group"]
        signed = b64decode(answer["acknowledgement"])
        run = Run(int(group["first"]), int(group["count"]), signed, _hashes(group["proof"]))
    return Receipt(int(answer["index"]), bytes.fromhex(answer["leaf"]), bool(answer.get("duplicate")), run)


@_answer("a description of the log")
def read_log_info(answer: Mapping[str, Any]) -> LogInfo:
    """What the log says of itself."""
    return LogInfo(
        bytes.fromhex(answer["log_id"]), str(answer["origin"]), str(answer["vkey"]),
        int(answer["cose"]["alg"]), bytes.fromhex(answer["cose"]["key"]), int(answer["rules"]),
        int(answer["log_time"]), int(answer["size"]), int(answer["published"]["size"]),
        _periods(answer["keys"]["note"], lambda one: str(one["vkey"])),
        _periods(answer["keys"]["cose"], lambda one: (int(one["alg"]), bytes.fromhex(one["key"]))), answer,
    )  # fmt: skip


@_answer("a record")
def read_record(answer: Mapping[str, Any]) -> RecordView:
    """A record."""
    return RecordView(
        answer["subject"], answer["kind"], answer.get("state") or "", answer["record"],
        int(answer["touches"]), int(answer["covers"]), int(answer["log_time"]),
    )  # fmt: skip


@_answer("an inclusion proof")
def read_inclusion(answer: Mapping[str, Any]) -> Inclusion:
    """An inclusion proof."""
    return Inclusion(
        int(answer["index"]), int(answer["size"]), bytes.fromhex(answer["leaf"]), _hashes(answer["proof"]),
        bytes.fromhex(answer["root"]), (answer.get("checkpoint") or "").encode(),
    )  # fmt: skip


@_answer("a state proof")
def read_state(answer: Mapping[str, Any]) -> StateAnswer:
    """A state proof."""
    proof = answer["proof"]
    others = tuple(
        None if other is None else (bytes.fromhex(other["key"]), bytes.fromhex(other["record_hash"]))
        for other in proof["others"]
    )
    claims = {
        bytes.fromhex(claim["key"]): None if claim["record"] is None else bytes.fromhex(claim["record"])
        for claim in answer["claims"]
    }
    return StateAnswer(
        int(answer["batch"]), int(answer["manifest"]), bytes.fromhex(answer["root"]), claims,
        StateProof(tuple(proof["depths"]), others, _hashes(proof["siblings"])), int(answer["size"]),
        _hashes(answer["inclusion"]), answer["checkpoint"].encode(),
    )  # fmt: skip


@_answer("a COSE key set")
def read_cose_keys(content: bytes) -> tuple[tuple[int, bytes], ...]:
    """Keys (alg, key) of a COSE key set."""
    return tuple(from_cose_key(key) for key in decode(content))


@_answer("a list")
def read_list(answer: Mapping[str, Any], member: str) -> list[dict[str, Any]]:
    """The objects in a member of an answer."""
    return [dict(item) for item in answer[member]]


@_answer("a sequence of answers")
def read_bulk(content: bytes, read: Callable[[dict[str, Any]], _T], status: int) -> tuple[list[_T], list[Run]]:
    """The answers in a sequence, each by `read`, and the runs between them; ApiError where it ends with an error."""
    results: list[_T] = []
    runs: list[Run] = []
    decoder = cbor2.CBORDecoder(BytesIO(content))
    while True:
        try:
            item = decoder.decode()
        except cbor2.CBORDecodeEOF:
            return results, runs  # one that was cut off leaves fewer answers than items, which the caller counts
        if "error" in item:
            busy = item["error"] in _PASSING
            told = [str(item.get(name, "")) for name in ("detail", "where", "remedy")]
            raise ApiError(str(item["error"]), 503 if busy else status, told[0], where=told[1], remedy=told[2])
        if "acknowledgement" in item:
            proof = tuple(bytes(value) for value in item["proof"])
            runs.append(Run(int(item["first"]), int(item["count"]), bytes(item["acknowledgement"]), proof))
        else:
            results.append(read(item))


def read_item(item: dict[str, Any]) -> ItemResult:
    """What became of a statement."""
    if "refused" in item:
        return _refused(item)
    return Receipt(int(item["index"]), bytes(item["leaf"]), bool(item.get("duplicate")))


def read_digest(item: dict[str, Any]) -> bytes | Refused:
    """What became of a document."""
    return _refused(item) if "refused" in item else bytes(item["digest"])


def _refused(item: Mapping[str, Any]) -> Refused:
    return Refused(str(item["refused"]), item.get("detail", ""), item.get("where", ""), item.get("remedy", ""))


def with_runs(results: list[_T], runs: Sequence[Run]) -> list[_T]:
    """Put each run to the receipts that it covers."""
    by_index: dict[int, Run] = {}
    for run in runs:
        if run.count > len(results):
            raise MalformedError("The node acknowledged more entries than were sent", where=f"entry {run.first}")
        by_index.update(dict.fromkeys(range(run.first, run.first + run.count), run))
    return [
        replace(result, run=by_index.get(result.index)) if isinstance(result, Receipt) else result for result in results
    ]


def read_problem(status: int, content: bytes) -> ApiError:
    """Read problem details (RFC 9457); any other bad answer becomes one too."""
    try:
        told = orjson.loads(content)
        code = told.get("reason") or told["code"]
        texts = [str(told.get(name) or "") for name in ("detail", "where", "remedy")]
        return ApiError(str(code), status, texts[0], where=texts[1], remedy=texts[2])
    except (ValueError, KeyError, TypeError, AttributeError):
        return ApiError(f"http-{status}", status, f"The node answered {status}")


def _periods(keys: Sequence[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], _Key]) -> tuple[Period[_Key], ...]:
    """Periods of keys, which must begin at 0 and join without a gap."""
    ends = [None if one["end"] is None else int(one["end"]) for one in keys]
    found = tuple(Period(int(one["first"]), end, read(one)) for one, end in zip(keys, ends, strict=True))
    if [period.first for period in found] != [0, *ends[:-1]] or ends[-1] is not None:
        raise ValueError("the periods of the log's keys do not join")
    return found


def _hashes(texts: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(text) for text in texts)
