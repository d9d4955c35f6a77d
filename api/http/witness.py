"""The witness's HTTP interface, a process of its own (C2SP tlog-witness): `add-checkpoint`, and what was cosigned.

Owns the transport only: bounds on bodies, time and rate, and the threads in which requests are judged. Every decision
is `node.witness.Witness`'s. Answers are plain text, as the protocol has them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from api.http.limits import RateLimiter, read_body
from api.http.problems import RateError, SlowError, TooLargeError
from api.http.protocol import BoundedProtocol
from ledger.errors import LedgerError, MalformedError, RefusedStartError
from node.clock import Clock, SystemClock
from node.logs import configure
from node.witness.folder import WitnessFolder
from node.witness.replaying import Replayer
from node.witness.request import MAX_BODY
from node.witness.witness import Witness

log = logging.getLogger("api.http.witness")

THREADS = 8
RATE = 50.0
BURST = 200
MAX_CONNECTIONS = 500
_STATUS = {TooLargeError: 413, SlowError: 408, RateError: 429}


def create_witness_app(witness: Witness, *, rate: float = RATE, burst: int = BURST) -> Starlette:
    """The ASGI application of one witness; `rate` requests a second and client address, 0 for no limit."""
    threads = ThreadPoolExecutor(THREADS, "witness")
    limiter = RateLimiter(rate, burst)

    async def add_checkpoint(request: Request) -> Response:
        try:
            limiter.take(request.client.host if request.client else "")
            body = await read_body(request, MAX_BODY)
        except LedgerError as error:
            status = _STATUS.get(type(error), 400 if isinstance(error, MalformedError) else 500)
            return PlainTextResponse(error.detail + "\n", status)
        except ClientDisconnect:
            return Response(status_code=499)
        answer = await asyncio.get_running_loop().run_in_executor(threads, witness.add_checkpoint, body)
        return Response(answer.body, answer.status, {"Content-Type": answer.type})

    async def checkpoint(request: Request) -> Response:
        note = witness.checkpoint_of(request.path_params["log"])
        if note is None:
            return PlainTextResponse("nothing is cosigned for a log of that hash\n", 404)
        return Response(note, 200, {"Cache-Control": "no-cache", "Content-Type": "text/plain; charset=utf-8"})

    async def health(_request: Request) -> Response:
        wrong = witness.not_well()
        return PlainTextResponse((wrong or witness.vkey.format()) + "\n", 200 if wrong is None else 503)

    async def refuse(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/healthz", health, methods=["GET"]),
            Route("/{log}/checkpoint", checkpoint, methods=["GET"]),
        ],
        exception_handlers={HTTPException: refuse},
    )


@contextlib.contextmanager
def open_witness(folder: Path, clock: Clock | None = None) -> Iterator[Witness]:
    """Open a witness's folder for serving; LedgerError says why it must not start."""
    home = WitnessFolder(folder)
    settings = home.settings()
    signer = home.signer(settings)
    with home.open_logs() as logs:
        examiner = Replayer() if settings.replaying else None
        witness = Witness(signer, settings.name, logs, clock or SystemClock(), examiner)
        try:
            yield witness
        finally:
            witness.close()


class _Server(uvicorn.Server):
    """uvicorn's server; signals are `run`'s."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def run_witness(folder: Path, *, log_level: str = "INFO") -> None:
    """Serve until SIGTERM or SIGINT; LedgerError where the witness must not start."""
    configure(log_level)
    settings = WitnessFolder(folder).settings()
    with open_witness(folder) as witness:
        witness.compare_with_logs()
        try:
            listener = socket.create_server((settings.host, settings.port), backlog=128)
        except OSError as error:
            raise RefusedStartError(f"Cannot listen: {error.strerror}", where="port") from error
        with listener:
            asyncio.run(_serve(witness, listener))


async def _serve(witness: Witness, listener: socket.socket) -> None:
    server = _Server(
        uvicorn.Config(
            create_witness_app(witness), http=BoundedProtocol, ws="none", lifespan="off", log_config=None,
            access_log=False, server_header=False, timeout_graceful_shutdown=20, limit_concurrency=MAX_CONNECTIONS,
        )
    )  # fmt: skip

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    host, port = listener.getsockname()[:2]
    log.info("listening", extra={"url": f"http://{host}:{port}", "vkey": witness.vkey.format()})
    await server.serve(sockets=[listener])
