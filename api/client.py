"""A typed client of a node's HTTP interface: submit, look up, prove, in plain Python values.

Owns how answers are read and how long they may be; what they claim is believed only where a method says that it checks
(`check_acknowledgement`, `check_inclusion`). Every failure is a `LedgerError`: `ApiError` when the node answered with a
problem document (RFC 9457), `UnavailableError` when it did not answer. Submitting is idempotent, so a request that was
cut off, or that the node was too busy for, is sent again. Follows the node's OpenAPI document; statements travel as
`application/cose`, many of them as `application/cbor-seq` (RFC 8742).
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import wraps
from hashlib import sha256
from io import BytesIO
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar
from urllib.parse import quote

import cbor2
import httpx
import orjson

from api.state import StateAnswer
from ledger.crypto.cose_key import from_cose_key
from ledger.errors import LedgerError, MalformedError, UnavailableError
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.notes import Vkey
from ledger.log.proofs import root_from_range, verify_inclusion
from ledger.log.tree import leaf_hash
from ledger.state.proofs import StateProof
from ledger.statements.acknowledgement import Acknowledgement, open_acknowledgement, signed_by
from ledger.statements.cbor import decode, encode_bytes

BULK: Final = 1024
"""Statements or documents in one request: enough to make a round trip cheap, few enough to send again."""
BULK_BYTES: Final = 8 << 20
ANSWER_LIMIT: Final = 64 << 20
ATTEMPTS: Final = 6
ANCHOR_SECONDS: Final = 60.0
"""How long an anchor is waited for: the node itself gives up after half of it."""
LONGEST_WAIT: Final = 5.0
"""Seconds between two attempts, whatever the node asks for."""
_BUSY: Final = frozenset({429, 502, 503, 504})
_PASSING: Final = frozenset({"overloaded", "stopped", "unavailable", "answers-not-read"})
_SEQUENCE: Final = "application/cbor-seq"
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


class Client:
    """A connection to one node; methods may be called from several threads.

    `token` is the operator's, for the routes that need it. `timeout` is in seconds and bounds each wait for the
    network, not a whole stream. `attempts` is how often a request is sent while the node is busy or unreachable.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout: float = 30.0, attempts: int = ATTEMPTS) -> None:
        if not url.startswith(("http://", "https://")):
            raise MalformedError(f"{url[:80]!r} is no address of a node", where="url", remedy="Write http://host:port")
        self.url = url.rstrip("/")
        self._attempts = attempts
        headers = {"authorization": f"Bearer {token}"} if token else {}
        try:
            # Proxies named in the environment are for the web, not for a node on loopback.
            self._http = httpx.Client(base_url=self.url, timeout=timeout, headers=headers, trust_env=False)
        except (httpx.InvalidURL, ValueError) as error:
            raise MalformedError(f"{url[:80]!r} is no address of a node: {error}", where="url") from error

    def close(self) -> None:
        """Drop the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- statements -----------------------------------------------------------------------------------------------

    def submit(self, raw: bytes) -> Receipt:
        """Submit one statement; returns once it is durable. ApiError names the reason where it is refused."""
        headers = {"content-type": "application/cose"}
        return _receipt(self._json("POST", "/v1/statements", content=raw, headers=headers))

    def submit_many(self, statements: Iterable[bytes], *, in_flight: int = 1) -> Iterator[ItemResult]:
        """Submit statements; yields one result each, in their order, as the answers come.

        They are taken from the iterable a request ahead, so memory stays bounded. With `in_flight` over 1 several
        requests are under way at once: results still come in order, but the log may order the requests otherwise, so
        that is for statements that do not build upon each other.
        """
        yield from self._pipeline("/v1/statements/bulk", statements, _identity, _item, in_flight)

    # -- documents ------------------------------------------------------------------------------------------------

    def put_document(self, document: bytes, grade: str = "public") -> bytes:
        """Store a document (canonical bytes); returns its SHA-256."""
        digest = sha256(document).digest()
        headers = {"content-type": "application/json"}
        self._send("PUT", f"/v1/documents/{digest.hex()}", params={"grade": grade}, content=document, headers=headers)
        return digest

    def put_documents(
        self, documents: Iterable[bytes], grade: str = "public", *, in_flight: int = 1
    ) -> Iterator[bytes | Refused]:
        """Store documents; yields for each, in order, the digest that the node computed, or why it was refused."""
        path = f"/v1/documents/bulk?grade={quote(grade, safe='')}"
        yield from self._pipeline(path, documents, encode_bytes, _digest, in_flight)

    def document(self, digest: bytes) -> bytes:
        """Get a document, checked against its digest."""
        content = self._send("GET", f"/v1/documents/{digest.hex()}").content
        if sha256(content).digest() != digest:
            raise MalformedError("the node sent another document than was asked for", where=digest.hex())
        return content

    # -- records and entries --------------------------------------------------------------------------------------

    def log(self) -> LogInfo:
        """Describe the log."""
        return _log_info(self._json("GET", "/v1/log"))

    def lookup(self, subject: str) -> RecordView | None:
        """Look a record up by its typed subject, or an identifier in any spelling; None where there is none."""
        try:
            return _record(self._json("POST", "/v1/lookup", json={"subject": subject}))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def actor(self, did: str) -> RecordView | None:
        """Look an enrolled actor up by its DID; None where there is none."""
        try:
            return _record(self._json("GET", f"/v1/actors/{quote(did, safe=':%')}"))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def history(self, subject: str, start: int = 1, limit: int = 100) -> list[dict[str, Any]]:
        """List the entries that touch a record, oldest first: at most `limit` from the `start`-th touch on."""
        params = {"subject": subject, "start": start, "limit": limit}
        return _listed(self._json("GET", "/v1/history", params=params), "entries")

    def entry(self, index: int) -> bytes:
        """Get an entry: the statement's bytes."""
        return self._send("GET", f"/v1/entries/{index}", headers={"accept": "application/cose"}).content

    def entry_view(self, index: int) -> dict[str, Any]:
        """Get an entry decoded, with its batch and whether it is published."""
        return self._json("GET", f"/v1/entries/{index}")

    # -- proofs ---------------------------------------------------------------------------------------------------

    def inclusion(self, index: int, size: int | None = None) -> Inclusion:
        """Prove that entry `index` is in the tree at `size`, the published one where none is given."""
        params = {"index": index} | ({} if size is None else {"size": size})
        return _inclusion(self._json("GET", "/v1/proofs/inclusion", params=params))

    def consistency(self, old: int, new: int) -> dict[str, Any]:
        """Prove that the tree at `new` begins with the tree at `old`."""
        return self._json("GET", "/v1/proofs/consistency", params={"old": old, "new": new})

    def state_proof(
        self, subjects: Sequence[str] = (), keys: Sequence[bytes] = (), batch: int | None = None, kind: str = ""
    ) -> StateAnswer:
        """Ask for a proof of what the state held under these at the end of a batch (default: of the published one).

        Check it with `api.state.check_state`, which takes the manifest too: `entry(answer.manifest)`.
        """
        params: dict[str, Any] = {"subject": list(subjects), "key": [key.hex() for key in keys]}
        params |= ({} if batch is None else {"batch": batch}) | ({"kind": kind} if kind else {})
        return _state(self._json("GET", "/v1/proofs/state", params=params))

    def receipt(self, index: int, size: int | None = None) -> bytes:
        """Get an entry's COSE receipt (RFC 9942) in the tree of `size`, the published one where none is given."""
        return self._send("GET", f"/v1/receipts/{index}", params={} if size is None else {"size": size}).content

    def consistency_receipt(self, old: int, new: int | None = None) -> bytes:
        """Get a COSE receipt that the tree of `new` (default: the published one) begins with that of `old`."""
        params = {"old": old} | ({} if new is None else {"new": new})
        return self._send("GET", "/v1/receipts/consistency", params=params).content

    def transparent(self, index: int) -> bytes:
        """Get an entry as a transparent statement (RFC 9943): its bytes with a receipt in the unprotected header."""
        return self._send("GET", f"/v1/entries/{index}/transparent").content

    def proof_file(self, index: int) -> bytes:
        """Get an entry's proof file (C2SP tlog-proof)."""
        return self._send("GET", f"/v1/proofs/tlog/{index}").content

    def cose_keys(self) -> tuple[tuple[int, bytes], ...]:
        """Get the keys that sign or signed receipts: algorithm and public key of each, newest first."""
        return _cose_keys(self._send("GET", "/.well-known/scitt-keys").content)

    def checkpoint(self) -> bytes:
        """Get the newest published checkpoint, a signed note."""
        return self._send("GET", "/checkpoint").content

    def verify(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Have the node verify something, step by step, asking the chain; returns its report."""
        return self._json("POST", "/v1/verify", json=dict(request))

    def evidence(self, *, subject: str | None = None, index: int | None = None) -> bytes:
        """Get the evidence bundle about a subject, present or absent, or about an entry.

        Check it with ledger.evidence.verifier.verify and a policy of your own.
        """
        asked = {"subject": subject, "index": index}
        params = {name: value for name, value in asked.items() if value is not None}
        return self._send("GET", "/v1/evidence", params=params).content

    # -- batches, anchors, operator -------------------------------------------------------------------------------

    def batches(self, before: int | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """List batches, newest first."""
        return _listed(self._json("GET", "/v1/batches", params=_page(before, limit)), "batches")

    def batch(self, number: int) -> dict[str, Any]:
        """Describe one batch: its manifest, and the anchor that covers it."""
        return self._json("GET", f"/v1/batches/{number}")

    def anchors(self, before: int | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """List anchors, newest first."""
        return _listed(self._json("GET", "/v1/anchors", params=_page(before, limit)), "anchors")

    def anchor_evidence(self, size: int, block: int | None = None) -> bytes:
        """Get the chain evidence of the anchor at a size: the newest kept, or under `block`, which you trust.

        Check it with ledger.evidence.chain.check_chain_evidence: the node's word is worth nothing here.
        """
        params = {} if block is None else {"block": block}
        return self._send("GET", f"/v1/anchors/{size}/evidence", params=params, timeout=ANCHOR_SECONDS).content

    def anchor_now(self) -> dict[str, Any]:
        """Anchor the newest published checkpoint now and wait for it (operator)."""
        return self._json("POST", "/v1/anchors", attempts=1, timeout=ANCHOR_SECONDS)

    def publish(self) -> dict[str, Any]:
        """Publish what is durable now (operator)."""
        return self._json("POST", "/v1/publish")

    # -- the wire -------------------------------------------------------------------------------------------------

    def _json(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        if "json" in rest:
            rest["content"] = orjson.dumps(rest.pop("json"))
            rest["headers"] = {"content-type": "application/json"}
        answer = self._send(method, path, **rest)
        try:
            value = orjson.loads(answer.content)
        except ValueError as error:
            raise _stranger(path, "its answer is not JSON") from error
        if not isinstance(value, dict):
            raise _stranger(path, "its answer is not a JSON object")
        return value

    def _send(self, method: str, path: str, *, attempts: int = 0, **rest: Any) -> httpx.Response:
        """Send a request, again while the node is busy or away; returns a good answer, read to its end."""
        attempts = attempts or self._attempts
        for attempt in range(1, attempts + 1):
            wait = min(0.1 * 2**attempt, LONGEST_WAIT)
            try:
                answer = self._exchange(method, path, **rest)
            except httpx.TransportError as error:
                if attempt < attempts and not isinstance(error, httpx.ConnectError):
                    time.sleep(wait)
                    continue
                raise UnavailableError(
                    f"The node does not answer: {error}", where=self.url, remedy="Is it running? Start it: tial serve"
                ) from error
            except (httpx.InvalidURL, UnicodeError) as error:
                raise MalformedError(f"This cannot be asked for: {error}", where=path[:200]) from error
            if answer.status_code < 300:
                return answer
            problem = _problem(answer)
            if not problem.passing or attempt == attempts:
                raise problem
            time.sleep(max(wait, _retry_after(answer)))
        raise AssertionError  # pragma: no cover - the last attempt returns or raises

    def _exchange(self, method: str, path: str, **rest: Any) -> httpx.Response:
        """One request. An answer longer than anything a node sends is cut off."""
        with self._http.stream(method, path, **rest) as answer:
            content = bytearray()
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > ANSWER_LIMIT:
                    raise _stranger(path, f"its answer is longer than {ANSWER_LIMIT} bytes")
            return httpx.Response(answer.status_code, headers=_plain(answer.headers), content=bytes(content))

    def _pipeline(
        self,
        path: str,
        items: Iterable[bytes],
        frame: Callable[[bytes], bytes],
        read: Callable[[dict[str, Any]], _T],
        in_flight: int,
    ) -> Iterator[_T]:
        """Send items in requests of bounded size, the next being prepared while the last is under way."""
        waiting: deque[Future[list[_T]]] = deque()
        with ThreadPoolExecutor(in_flight, "submit") as pool:
            try:
                for framed in _requests(items, frame):
                    waiting.append(pool.submit(self._bulk, path, framed, read))
                    while len(waiting) > in_flight:
                        yield from waiting.popleft().result()
                while waiting:
                    yield from waiting.popleft().result()
            finally:
                for left in waiting:
                    left.cancel()

    def _bulk(self, path: str, framed: list[bytes], read: Callable[[dict[str, Any]], _T]) -> list[_T]:
        headers = {"content-type": _SEQUENCE, "accept": _SEQUENCE}
        for attempt in range(1, self._attempts + 1):
            answer = self._send("POST", path, content=b"".join(framed), headers=headers)
            try:
                results, runs = _bulk_answer(answer.content, read, answer.status_code)
                break
            except ApiError as error:
                # What the stream took before it ended stands; sent again it answers with its place.
                if not error.passing or attempt == self._attempts:
                    raise
                time.sleep(min(0.1 * 2**attempt, LONGEST_WAIT))
        if len(results) != len(framed):
            raise _stranger(path, f"it gave {len(results)} answers to {len(framed)} items")
        return _with_runs(results, runs)


# -- checks that need nobody's word ------------------------------------------------------------------------------------


def check_acknowledgement(info: LogInfo, run: Run, leaves: Sequence[bytes]) -> Acknowledgement:
    """Check that the log's cose key acknowledged exactly these leaf hashes as entries from `run.first` on.

    Raises MalformedError where the signature, the log, or the proof into the group is wrong.
    """
    ack = open_acknowledgement(run.acknowledgement, *info.acknowledging(signed_by(run.acknowledgement), run.first))
    if ack.log_id != info.log_id:
        raise MalformedError("The acknowledgement is of another log", where="acknowledgement")
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
def _receipt(answer: Mapping[str, Any]) -> Receipt:
    run = None
    if answer.get("acknowledgement"):
        group = answer["group"]
        signed = b64decode(answer["acknowledgement"])
        run = Run(int(group["first"]), int(group["count"]), signed, _hashes(group["proof"]))
    return Receipt(int(answer["index"]), bytes.fromhex(answer["leaf"]), bool(answer.get("duplicate")), run)


@_answer("a description of the log")
def _log_info(answer: Mapping[str, Any]) -> LogInfo:
    return LogInfo(
        bytes.fromhex(answer["log_id"]), str(answer["origin"]), str(answer["vkey"]),
        int(answer["cose"]["alg"]), bytes.fromhex(answer["cose"]["key"]), int(answer["rules"]),
        int(answer["log_time"]), int(answer["size"]), int(answer["published"]["size"]),
        _periods(answer["keys"]["note"], lambda one: str(one["vkey"])),
        _periods(answer["keys"]["cose"], lambda one: (int(one["alg"]), bytes.fromhex(one["key"]))), answer,
    )  # fmt: skip


@_answer("a record")
def _record(answer: Mapping[str, Any]) -> RecordView:
    return RecordView(
        answer["subject"], answer["kind"], answer.get("state") or "", answer["record"],
        int(answer["touches"]), int(answer["covers"]), int(answer["log_time"]),
    )  # fmt: skip


@_answer("an inclusion proof")
def _inclusion(answer: Mapping[str, Any]) -> Inclusion:
    return Inclusion(
        int(answer["index"]), int(answer["size"]), bytes.fromhex(answer["leaf"]), _hashes(answer["proof"]),
        bytes.fromhex(answer["root"]), (answer.get("checkpoint") or "").encode(),
    )  # fmt: skip


@_answer("a state proof")
def _state(answer: Mapping[str, Any]) -> StateAnswer:
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
def _cose_keys(content: bytes) -> tuple[tuple[int, bytes], ...]:
    return tuple(from_cose_key(key) for key in decode(content))


@_answer("a list")
def _listed(answer: Mapping[str, Any], member: str) -> list[dict[str, Any]]:
    return [dict(item) for item in answer[member]]


@_answer("a sequence of answers")
def _bulk_answer(content: bytes, read: Callable[[dict[str, Any]], _T], status: int) -> tuple[list[_T], list[Run]]:
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


def _item(item: dict[str, Any]) -> ItemResult:
    if "refused" in item:
        return _refused(item)
    return Receipt(int(item["index"]), bytes(item["leaf"]), bool(item.get("duplicate")))


def _digest(item: dict[str, Any]) -> bytes | Refused:
    return _refused(item) if "refused" in item else bytes(item["digest"])


def _refused(item: Mapping[str, Any]) -> Refused:
    return Refused(str(item["refused"]), item.get("detail", ""), item.get("where", ""), item.get("remedy", ""))


def _with_runs(results: list[_T], runs: Sequence[Run]) -> list[_T]:
    """Put each run to the receipts that it covers."""
    by_index: dict[int, Run] = {}
    for run in runs:
        if run.count > len(results):
            raise MalformedError("The node acknowledged more entries than were sent", where=f"entry {run.first}")
        by_index.update(dict.fromkeys(range(run.first, run.first + run.count), run))
    return [
        replace(result, run=by_index.get(result.index)) if isinstance(result, Receipt) else result for result in results
    ]


def _identity(raw: bytes) -> bytes:
    return raw


def _requests(items: Iterable[bytes], frame: Callable[[bytes], bytes]) -> Iterator[list[bytes]]:
    """Collect framed items into requests of at most BULK items and about BULK_BYTES."""
    framed: list[bytes] = []
    size = 0
    for item in items:
        piece = frame(item)
        framed.append(piece)
        size += len(piece)
        if len(framed) >= BULK or size >= BULK_BYTES:
            yield framed
            framed, size = [], 0
    if framed:
        yield framed


def _periods(keys: Sequence[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], _Key]) -> tuple[Period[_Key], ...]:
    """Periods of keys, which must begin at 0 and join without a gap."""
    ends = [None if one["end"] is None else int(one["end"]) for one in keys]
    found = tuple(Period(int(one["first"]), end, read(one)) for one, end in zip(keys, ends, strict=True))
    if [period.first for period in found] != [0, *ends[:-1]] or ends[-1] is not None:
        raise ValueError("the periods of the log's keys do not join")
    return found


def _hashes(texts: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(text) for text in texts)


def _page(before: int | None, limit: int) -> dict[str, int]:
    return {"limit": limit} | ({} if before is None else {"before": before})


def _plain(headers: httpx.Headers) -> dict[str, str]:
    """Headers of an answer whose body was decoded already."""
    return {name: value for name, value in headers.items() if name not in {"content-encoding", "content-length"}}


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("retry-after", "")
    return min(float(text), LONGEST_WAIT) if text.isascii() and text.isdigit() else 0.0


def _problem(answer: httpx.Response) -> ApiError:
    """Read problem details (RFC 9457); any other bad answer becomes one too."""
    try:
        told = orjson.loads(answer.content)
        code = told.get("reason") or told["code"]
        texts = [str(told.get(name) or "") for name in ("detail", "where", "remedy")]
        return ApiError(str(code), answer.status_code, texts[0], where=texts[1], remedy=texts[2])
    except (ValueError, KeyError, TypeError, AttributeError):
        return ApiError(f"http-{answer.status_code}", answer.status_code, f"The node answered {answer.status_code}")


def _stranger(path: str, what: str) -> MalformedError:
    return MalformedError(
        f"This is no node of ours: {what}", where=path, remedy="Check the address that was given with --url"
    )
