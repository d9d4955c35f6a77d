"""The bulk stream: statements in, answers out, over one request and in both directions at once.

Three parts share one stream. The reader splits the body into chunks and starts their submission, at most `IN_FLIGHT`
at a time: that alone holds a fast client back. Each submission encodes its answers as it ends; the writer sends them in
order. The reader never waits for the writer, so a client that writes everything before it reads anything does not
deadlock: its answers, a seventh of what it sent, are held here. What may be held is bounded for all streams together;
beyond it a stream ends with an error, and what it answered before stands.

Admission keeps the order of the stream (`after` and `queued` of the sequencer), though signatures of later chunks may
be checked first. A stream ends early, with {"error": ...} as its last item, when the sequence cannot be split any
further, when the node stops, or when the client does not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.http.answers import encode_end, encode_outcomes, encode_run
from api.http.problems import SlowError
from api.http.splitter import Splitter
from ledger.errors import LedgerError, UnavailableError
from node.node import Node
from node.sequencer import OverloadedError, StoppedError
from node.submission import Answer, Refused

MEDIA_TYPE = "application/cbor-seq"
CHUNK = 256
CHUNK_BYTES = 1 << 20
"""A chunk is submitted at this size whatever its count, so that large statements cannot fill the memory."""
IN_FLIGHT = 8
MAX_HELD = 64 << 20
"""Bytes of answers, of all streams together, that wait for their clients to read them."""
IDLE_SECONDS = 60.0
"""A stream on which too little comes in, or whose client takes nothing, for so long is ended: its place is wanted."""
MIN_PROGRESS = 1024
"""Bytes that must come in within IDLE_SECONDS: a few statements."""
PATIENCE = 0.02
"""Seconds until a chunk that found no room in the sequencer is offered again."""


class UnreadError(UnavailableError):
    """Answers wait for a client that does not read, and no more can be held."""

    code: ClassVar[str] = "answers-not-read"


class Streams:
    """The bulk streams of one node: how many there are, what they hold, and how to end them.

    At most `limit` at once, so that together they never have more under way than the sequencer lets wait and the first
    in order finds room; at most `per_client` from one address, so that no single client can hold them all.
    """

    def __init__(self, limit: int, per_client: int) -> None:
        self.held = 0
        self._limit = limit
        self._per_client = per_client
        self._readers: dict[asyncio.Task[None], str] = {}
        self._stopping = False

    def admit(self, client: str) -> None:
        """Refuse one stream too many (OverloadedError), and any once the node is stopping (StoppedError)."""
        if self._stopping:
            raise StoppedError("The node is shutting down", remedy="Send again when it is back")
        if len(self._readers) >= self._limit:
            raise OverloadedError(f"{self._limit} bulk streams are open", remedy="Send again when one has ended")
        if sum(1 for other in self._readers.values() if other == client) >= self._per_client:
            raise OverloadedError(
                f"{self._per_client} bulk streams of this address are open", remedy="Send again when one has ended"
            )

    def enter(self, reader: asyncio.Task[None], client: str) -> None:
        """Count a stream by its reader."""
        self._readers[reader] = client
        reader.add_done_callback(self._readers.pop)
        if self._stopping:
            _cancel(reader)

    def stop(self) -> None:
        """Let every stream read no further, answer what it took, and end."""
        self._stopping = True
        for reader in list(self._readers):
            _cancel(reader)


def _cancel(reader: asyncio.Task[None]) -> None:
    """Cancel after the task's first step: one cancelled before it would never run, nor say that it has ended."""
    asyncio.get_running_loop().call_soon(reader.cancel)


class BulkResponse(Response):
    """Runs one bulk stream; the response begins before the request's body has ended."""

    def __init__(self, node: Node, streams: Streams, client: str) -> None:
        super().__init__(media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})
        del self.headers["content-length"]
        self._node = node
        self._streams = streams
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the stream."""
        del scope
        stream = _Stream(self._node, self._streams, self._client, receive)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with aclosing(stream.answers()) as answers:
            async for answer in answers:
                try:
                    async with asyncio.timeout(IDLE_SECONDS):
                        await send({"type": "http.response.body", "body": answer, "more_body": True})
                except TimeoutError:
                    return  # the connection is closed with the response unfinished
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def bulk_response(request: Request) -> BulkResponse:
    """Answer a bulk request; OverloadedError where too many are open."""
    streams: Streams = request.app.state.streams
    client = request.client.host if request.client else ""
    streams.admit(client)
    return BulkResponse(request.app.state.node, streams, client)


class _Stream:
    """One stream. All methods belong to the event loop."""

    def __init__(self, node: Node, streams: Streams, client: str, receive: Receive) -> None:
        self._client = client
        self._sequencer = node.sequencer
        self._metrics = node.metrics
        self._streams = streams
        self._receive = receive
        self._splitter = Splitter()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._running = 0
        self._free = asyncio.Event()
        self._queued: asyncio.Event | None = None
        self._chunks: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue()
        self._end: LedgerError | None = None
        self._gone = False

    async def answers(self) -> AsyncGenerator[bytes, None]:
        """Encoded answers in order, one chunk at a time."""
        reader = asyncio.create_task(self._read())
        self._streams.enter(reader, self._client)
        try:
            while (chunk := await self._chunks.get()) is not None:
                try:
                    answer = await chunk
                except LedgerError as error:
                    self._end = error
                    break
                self._streams.held -= len(answer)
                if not self._gone:
                    yield answer
            if self._end is not None and not self._gone:
                yield encode_end(self._end)
        finally:
            await self._settle(reader)

    async def _settle(self, reader: asyncio.Task[None]) -> None:
        """Wait for what is under way: it may be admitted already, and its answers are nobody's any more."""
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader
        while not self._chunks.empty():
            chunk = self._chunks.get_nowait()
            if chunk is not None:
                with suppress(LedgerError):
                    self._streams.held -= len(await chunk)

    # -- reading --------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            await self._read_body()
        except asyncio.CancelledError:
            self._end = self._end or StoppedError(
                "The node is shutting down", remedy="Send what is not answered again when it is back"
            )
        except LedgerError as error:
            self._end = error
        finally:
            while self._waiting and not self._gone:
                self._start_chunk()
            self._waiting.clear()
            self._chunks.put_nowait(None)

    async def _read_body(self) -> None:
        loop = asyncio.get_running_loop()
        more, got, until = True, 0, loop.time() + IDLE_SECONDS
        while more:
            try:
                async with asyncio.timeout_at(until):
                    message = await self._receive()
            except TimeoutError:
                raise SlowError(
                    f"{got} bytes came in {IDLE_SECONDS:.0f} s, {MIN_PROGRESS} are wanted",
                    remedy="Send the rest in a new request",
                ) from None
            got += len(message.get("body", b""))
            if message["type"] == "http.disconnect":
                self._gone = True
                return
            more = message.get("more_body", False)
            items, error = self._splitter.feed(message.get("body", b""))
            self._waiting += items
            self._waiting_bytes += sum(map(len, items))
            while len(self._waiting) >= CHUNK or self._waiting_bytes >= CHUNK_BYTES:
                await self._room()
                self._start_chunk()
            self._start_idle()
            if error is not None:
                raise error
            if got >= MIN_PROGRESS:  # counted after the work on it: waiting for room is not the client's slowness
                got, until = 0, loop.time() + IDLE_SECONDS
        cut_off = self._splitter.finish()
        if cut_off is not None:
            raise cut_off

    async def _room(self) -> None:
        """Wait until another chunk may be under way; the only thing that the reader ever waits for but the body."""
        while self._running >= IN_FLIGHT:
            self._free.clear()
            await self._free.wait()
        if self._streams.held > MAX_HELD:
            raise UnreadError("Too many answers wait to be read", remedy="Read the answers while sending")

    def _start_idle(self) -> None:
        """Submit less than a chunk when nothing is under way: the client may wait for it before it sends more."""
        if self._waiting and not self._running:
            self._start_chunk()

    # -- submitting -----------------------------------------------------------------------------------------------

    def _start_chunk(self) -> None:
        raws, self._waiting = self._waiting[:CHUNK], self._waiting[CHUNK:]
        self._waiting_bytes = sum(map(len, self._waiting))
        after, self._queued = self._queued, asyncio.Event()
        self._running += 1
        self._chunks.put_nowait(asyncio.create_task(self._submit(raws, after, self._queued)))

    async def _submit(self, raws: list[bytes], after: asyncio.Event | None, queued: asyncio.Event) -> bytes:
        try:
            answer = self._encode(await self._offer(raws, after, queued))
            self._streams.held += len(answer)
            return answer
        finally:
            queued.set()  # also where nothing was queued: the next one must not wait for ever
            self._running -= 1
            self._free.set()
            self._start_idle()

    async def _offer(self, raws: list[bytes], after: asyncio.Event | None, queued: asyncio.Event) -> Answer:
        while True:
            try:
                return await self._sequencer.submit(raws, after=after, queued=queued)
            except OverloadedError:
                await asyncio.sleep(PATIENCE)

    def _encode(self, answer: Answer) -> bytes:
        outcomes = answer.outcomes
        for outcome in outcomes:
            if isinstance(outcome, Refused):
                self._metrics.refused(outcome.reason)
        return b"".join((encode_outcomes(outcomes), *map(encode_run, answer.runs)))
