"""A typed client of a node's HTTP interface: submit, look up, prove, in plain Python values.

Owns the requests, how often they are sent, and how long an answer may be; what is in one is `api.answers`' matter.
Every failure is a `LedgerError`: `ApiError` when the node answered with a problem document (RFC 9457),
`UnavailableError` when it did not answer. Submitting is idempotent, so a request that was cut off, or that the node was
too busy for, is sent again. Follows the node's OpenAPI document; statements travel as
`application/cose`, many of them as `application/cbor-seq` (RFC 8742).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx
import orjson

from api.answers import (
    ApiError,
    Inclusion,
    ItemResult,
    LogInfo,
    Receipt,
    RecordView,
    Refused,
    read_bulk,
    read_cose_keys,
    read_digest,
    read_inclusion,
    read_item,
    read_list,
    read_log_info,
    read_problem,
    read_receipt,
    read_record,
    read_state,
    with_runs,
)
from api.state import StateAnswer
from ledger.errors import MalformedError, UnavailableError
from ledger.statements.cbor import encode_bytes

BULK: Final = 1024
"""Statements or documents in one request: enough to make a round trip cheap, few enough to send again."""
BULK_BYTES: Final = 8 << 20
ANSWER_LIMIT: Final = 64 << 20
ATTEMPTS: Final = 6
ANCHOR_SECONDS: Final = 60.0
"""How long an anchor is waited for: the node itself gives up after half of it."""
LONGEST_WAIT: Final = 5.0
"""Seconds between two attempts, whatever the node asks for."""
_SEQUENCE: Final = "application/cbor-seq"
_T = TypeVar("_T")


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
        return read_receipt(self._json("POST", "/v1/statements", content=raw, headers=headers))

    def submit_many(self, statements: Iterable[bytes], *, in_flight: int = 1) -> Iterator[ItemResult]:
        """Submit statements; yields one result each, in their order, as the answers come.

        They are taken from the iterable a request ahead, so memory stays bounded. With `in_flight` over 1 several
        requests are under way at once: results still come in order, but the log may order the requests otherwise, so
        that is for statements that do not build upon each other.
        """
        yield from self._pipeline("/v1/statements/bulk", statements, _identity, read_item, in_flight)

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
        yield from self._pipeline(path, documents, encode_bytes, read_digest, in_flight)

    def document(self, digest: bytes) -> bytes:
        """Get a document, checked against its digest."""
        content = self._send("GET", f"/v1/documents/{digest.hex()}").content
        if sha256(content).digest() != digest:
            raise MalformedError("the node sent another document than was asked for", where=digest.hex())
        return content

    # -- records and entries --------------------------------------------------------------------------------------

    def log(self) -> LogInfo:
        """Describe the log."""
        return read_log_info(self._json("GET", "/v1/log"))

    def lookup(self, subject: str) -> RecordView | None:
        """Look a record up by its typed subject, or an identifier in any spelling; None where there is none."""
        try:
            return read_record(self._json("POST", "/v1/lookup", json={"subject": subject}))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def actor(self, did: str) -> RecordView | None:
        """Look an enrolled actor up by its DID; None where there is none."""
        try:
            return read_record(self._json("GET", f"/v1/actors/{quote(did, safe=':%')}"))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def touches(self, subject: str, start: int = 1, limit: int = 100) -> list[dict[str, Any]]:
        """List the entries that touch a record, oldest first: at most `limit` from the `start`-th touch on.

        The node's word: that none is missing is shown by `history`.
        """
        params = {"subject": subject, "start": start, "limit": limit}
        return read_list(self._json("GET", "/v1/touches", params=params), "entries")

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
        return read_inclusion(self._json("GET", "/v1/proofs/inclusion", params=params))

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
        return read_state(self._json("GET", "/v1/proofs/state", params=params))

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
        return read_cose_keys(self._send("GET", "/.well-known/scitt-keys").content)

    def checkpoint(self) -> bytes:
        """Get the newest published checkpoint, a signed note."""
        return self._send("GET", "/checkpoint").content

    def verify(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Have the node verify an entry, a subject or a bundle, step by step; returns its report.

        Members of the request: `node.verification_request`. The answer rests on the node, unless its `policy` is yours.
        """
        return self._json("POST", "/v1/verify", json=dict(request))

    def evidence(self, *, subject: str | None = None, index: int | None = None) -> bytes:
        """Get the evidence bundle about a subject, present or absent, or about an entry.

        Check it with ledger.evidence.verifier.verify and a policy of your own.
        """
        asked = {"subject": subject, "index": index}
        params = {name: value for name, value in asked.items() if value is not None}
        return self._send("GET", "/v1/evidence", params=params).content

    def history(self, subject: str) -> bytes:
        """Get the evidence bundle that holds every statement about a subject, and shows that none is missing.

        Check it with ledger.evidence.verifier.verify_history and a policy of your own, and that it is about `subject`.
        """
        return self._send("GET", "/v1/history", params={"subject": subject}).content

    # -- batches, anchors, operator -------------------------------------------------------------------------------

    def batches(self, before: int | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """List batches, newest first."""
        return read_list(self._json("GET", "/v1/batches", params=_page(before, limit)), "batches")

    def batch(self, number: int) -> dict[str, Any]:
        """Describe one batch: its manifest, and the anchor that covers it."""
        return self._json("GET", f"/v1/batches/{number}")

    def anchors(self, before: int | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """List anchors, newest first."""
        return read_list(self._json("GET", "/v1/anchors", params=_page(before, limit)), "anchors")

    def anchor_evidence(self, size: int, block: int | None = None, requested: Sequence[bytes] = ()) -> bytes:
        """Get the chain evidence of the anchor at a size: the newest kept, or under `block`, which you trust.

        With `requested` it also tells whether the admission of these leaves was requested on the chain.
        Check it with ledger.evidence.chain.check_chain_evidence: the node's word is worth nothing here.
        """
        params: dict[str, Any] = {} if block is None else {"block": block}
        params |= {"requested": [leaf.hex() for leaf in requested]} if requested else {}
        return self._send("GET", f"/v1/anchors/{size}/evidence", params=params, timeout=ANCHOR_SECONDS).content

    def anchor_now(self) -> dict[str, Any]:
        """Anchor the newest published checkpoint now and wait for it (operator)."""
        return self._json("POST", "/v1/anchors", attempts=1, timeout=ANCHOR_SECONDS)

    def resolve_dispute(self) -> dict[str, Any]:
        """Take up anchoring again after a dispute that a person has judged (operator)."""
        return self._json("POST", "/v1/anchors/resolve")

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
            problem = read_problem(answer.status_code, answer.content)
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
                results, runs = read_bulk(answer.content, read, answer.status_code)
                break
            except ApiError as error:
                # What the stream took before it ended stands; sent again it answers with its place.
                if not error.passing or attempt == self._attempts:
                    raise
                time.sleep(min(0.1 * 2**attempt, LONGEST_WAIT))
        if len(results) != len(framed):
            raise _stranger(path, f"it gave {len(results)} answers to {len(framed)} items")
        return with_runs(results, runs)


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


def _page(before: int | None, limit: int) -> dict[str, int]:
    return {"limit": limit} | ({} if before is None else {"before": before})


def _plain(headers: httpx.Headers) -> dict[str, str]:
    """Headers of an answer whose body was decoded already."""
    return {name: value for name, value in headers.items() if name not in {"content-encoding", "content-length"}}


def _retry_after(answer: httpx.Response) -> float:
    text = answer.headers.get("retry-after", "")
    return min(float(text), LONGEST_WAIT) if text.isascii() and text.isdigit() else 0.0


def _stranger(path: str, what: str) -> MalformedError:
    return MalformedError(
        f"This is no node of ours: {what}", where=path, remedy="Check the address that was given with --url"
    )
