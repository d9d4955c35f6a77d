"""The application: all routes, one gate in front of them.

The gate limits rates and answers the hot paths itself: FastAPI's way to a route costs more than such a request does.
FastAPI serves the rest and describes everything. Errors leave both ways as the same problem documents.
"""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.http import (
    batches,
    documents,
    entries,
    evidence,
    health,
    history,
    log_info,
    lookups,
    proofs,
    receipts,
    scrapi,
    static,
    submit,
    verify,
)
from api.http.bulk import Streams
from api.http.concise import concise_problem
from api.http.limits import Operator, RateLimiter
from api.http.problems import MethodError, internal_problem, problem_of
from ledger import __version__
from ledger.errors import LedgerError
from node.node import Node
from node.queries import NotFoundError, Queries
from node.receipts import Receipts
from node.verification import OnlineVerifier

_HOT = {
    ("POST", "/v1/statements"): submit.submit,
    ("POST", "/v1/statements/bulk"): submit.submit_many,
    ("GET", "/v1/proofs/inclusion"): proofs.inclusion,
    ("GET", "/v1/proofs/consistency"): proofs.consistency,
    ("GET", "/checkpoint"): static.checkpoint,
    ("POST", "/v1/lookup"): lookups.lookup,
}
_ROUTERS = (
    submit.router, documents.router, lookups.router, entries.router, proofs.router, log_info.router, batches.router,
    static.router, health.router, verify.router, evidence.router, history.router, receipts.router, scrapi.router,
)  # fmt: skip


class Gate:
    """The ASGI application that the server runs: rate limit, hot paths, then FastAPI."""

    def __init__(self, app: FastAPI, limiter: RateLimiter) -> None:
        self.app = app
        self._limiter = limiter

    @property
    def streams(self) -> Streams:
        """The bulk streams, to be ended when the node stops."""
        streams: Streams = self.app.state.streams
        return streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # as GET (RFC 9110 section 9.3.2); the server leaves the body away
            scope = {**scope, "method": "GET"}
        path = scope["path"]
        try:
            if path not in health.PATHS:
                client = scope.get("client")
                self._limiter.take(client[0] if client else "")
            endpoint = _HOT.get((scope["method"], path))
            if endpoint is None:
                await self.app(scope, receive, send)
                return
            scope["app"] = self.app
            response = await endpoint(Request(scope, receive))
        except LedgerError as error:
            response = _problem(path, error)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - the last barrier: logged, answered, the node goes on
            response = internal_problem(error, path)
        await response(scope, receive, send)


def create_app(node: Node) -> Gate:
    """Build the application for a started node."""
    app = FastAPI(
        title="Trusted industrial asset ledger",
        version=__version__,
        description="Signed statements about industrial identifiers and certificates in one append-only log. Every "
        "refusal is an RFC 9457 problem with a stable `code`, the place and the remedy.",
        default_response_class=Response,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.node = node
    app.state.queries = Queries(node)
    app.state.receipts = Receipts(node, app.state.queries)
    app.state.verifier = OnlineVerifier(node)
    app.state.streams = Streams(node.config.http.streams, node.config.http.streams_per_client)
    app.state.operator = Operator.from_config(node.config)
    for router in _ROUTERS:
        app.include_router(router)
    app.add_exception_handler(LedgerError, _ledger_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    return Gate(app, RateLimiter(node.config.http.rate, node.config.http.burst))


def _problem(path: str, error: LedgerError) -> Response:
    """A refusal in the form that the path speaks."""
    return concise_problem(error) if scrapi.owns(path) else problem_of(error)


async def _ledger_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, LedgerError)
    return _problem(request.scope["path"], error)


async def _http_error(request: Request, error: Exception) -> Response:
    """What the router itself refuses."""
    assert isinstance(error, HTTPException)
    where = request.scope["path"]
    if error.status_code == 405:
        response = _problem(where, MethodError(f"{request.method} is not a method of this path", where=where))
        response.headers.update(error.headers or {})
        return response
    return _problem(where, NotFoundError("There is no such path", where=where, remedy="See /openapi.json"))


async def _gone(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    return Response(status_code=499)
