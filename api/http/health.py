"""Health for people and machines: alive, ready, and the metrics."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from api.http.describe import binary_answer, problems, sample
from api.http.problems import problem
from api.http.render import json_response
from node.node import Node

router = APIRouter(tags=["health"])

PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
"""Never limited by rate: whoever watches the node must be able to."""


@router.get(
    "/healthz",
    summary="The process is alive",
    description="With witnesses configured, `witnesses` says whether checkpoints are published with their quorum.",
    responses=sample("Alive", {"alive": True}),
)
async def alive(request: Request) -> Response:
    """Answers as long as the event loop runs."""
    node: Node = request.app.state.node
    witnesses = {} if node.witnesses is None else {"witnesses": node.witnesses.health()}
    return json_response({"alive": True} | witnesses)


@router.get(
    "/readyz",
    summary="The node takes statements",
    responses=sample("Ready", {"ready": True, "size": 4805, "published": 4800}) | problems(503),
)
async def ready(request: Request) -> Response:
    """Whether statements are taken, and if not why."""
    node: Node = request.app.state.node
    reason = node.not_ready()
    if reason is not None:
        return problem(503, "not-ready", reason, remedy="The node's log says more")
    return json_response({"ready": True, "size": node.publisher.size, "published": node.publisher.published.size})


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    responses=binary_answer("Exposition text", "text/plain", "tial_entries 4805.0\n"),
)
async def metrics(request: Request) -> Response:
    """The exposition text."""
    node: Node = request.app.state.node
    return Response(node.metrics.render(), 200, {"Content-Type": CONTENT_TYPE_LATEST})
