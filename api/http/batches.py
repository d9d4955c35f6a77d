"""Batches and the anchors that cover them."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.describe import binary_answer, parameter, parameters, problems, sample
from api.http.limits import plain_number, query_number, require_operator
from api.http.problems import NoChainError
from api.http.render import json_response
from ledger.errors import MalformedError
from node.anchor.records import AnchorRecord
from node.anchor.worker import AnchorWorker
from node.node import Node
from node.queries import BatchView, Queries

router = APIRouter(tags=["batches and anchors"])

MAX_PAGE = 100
MAX_REQUESTED = 16
_LEAF_DIGITS = 64
_HEX = frozenset("0123456789abcdef")
CBOR = "application/cbor"
_ANCHOR = {
    "size": 4800, "root": "77…", "state": "done", "tx": "c0…", "block": 42, "time": 1780000010, "chain_id": 31337,
}  # fmt: skip
_BATCH = {
    "number": 12, "first": 4500, "count": 300, "counts": {"registration": 300}, "manifest": 4800, "size": 4801,
    "time": 1780000000, "published": True, "anchored": True, "anchor": _ANCHOR,
}  # fmt: skip


def anchor_json(anchor: AnchorRecord) -> dict[str, Any]:
    """An anchor as the API shows it: what the chain says, without the transactions as they were sent."""
    shown = anchor.to_json()
    del shown["attempts"], shown["format"]
    return shown


def batch_json(batch: BatchView) -> dict[str, Any]:
    """A batch with the smallest anchor that covers it."""
    return {
        "number": batch.number,
        "first": batch.first,
        "count": batch.count,
        "counts": batch.counts,
        "manifest": batch.manifest,
        "size": batch.size,
        "time": batch.time,
        "rules": batch.rules,
        "published": batch.published,
        "anchored": batch.anchor is not None,
        "anchor": None if batch.anchor is None else anchor_json(batch.anchor),
    }


_PAGE = parameters(
    parameter("before", "query", "Below this number or size", 100, required=False),
    parameter("limit", "query", f"At most so many, up to {MAX_PAGE}", 20, required=False),
)


def _page(request: Request) -> tuple[int | None, int]:
    return query_number(request, "before", None), query_number(request, "limit", 20, MAX_PAGE) or 0


@router.get(
    "/v1/batches",
    summary="List batches, newest first",
    responses=sample("Batches; `next` is the `before` of the next page", {"batches": [_BATCH], "next": 12})
    | problems(400, 429),
    openapi_extra=_PAGE,
)
async def batches(request: Request) -> Response:
    """A page of batches."""
    queries: Queries = request.app.state.queries
    found = queries.batches(*_page(request))
    following = found[-1].number if found and found[-1].number > 1 else None
    return json_response({"batches": [batch_json(batch) for batch in found], "next": following})


@router.get(
    "/v1/batches/{number}",
    summary="Show a batch",
    responses=sample("The batch", _BATCH) | problems(400, 404, 429),
    openapi_extra=parameters(parameter("number", "path", "Batch number", 12)),
)
async def batch(request: Request) -> Response:
    """One batch."""
    queries: Queries = request.app.state.queries
    return json_response(batch_json(queries.batch(plain_number(request.path_params["number"], "number"))))


@router.get(
    "/v1/anchors",
    summary="List anchors, newest first",
    responses=sample(
        "Anchors; `next` is the `before` of the next page; `status` is what the anchor worker is doing, null without "
        "a chain",
        {"anchors": [_ANCHOR], "next": None, "status": {"state": "idle", "published_size": 4800, "backlog": 0}},
    )
    | problems(400, 429),
    openapi_extra=_PAGE,
)
async def anchors(request: Request) -> Response:
    """A page of anchors."""
    before, limit = _page(request)
    queries: Queries = request.app.state.queries
    found = queries.anchors(before, limit)
    following = found[-1].size if len(found) == limit and found else None
    return json_response(
        {"anchors": [anchor_json(a) for a in found], "next": following, "status": _status(request.app.state.node)}
    )


def _status(node: Node) -> dict[str, Any] | None:
    if node.anchors is None:
        return None
    status = node.anchors.status()
    return {
        "state": status.state.value,
        "since": status.since,
        "published_size": status.published_size,
        "anchored_size": status.anchored_size,
        "backlog": status.backlog,
        "pending_size": status.pending_size,
        "chain_id": status.chain_id,
        "contract": status.contract,
        "chain_block": status.chain_block,
        "chain_time": status.chain_time,
        "chain_halted": status.chain_halted,
        "last_answer": status.last_answer,
        "last_error": status.last_error,
        "nodes": [asdict(each) for each in status.nodes],
        "evidence": asdict(node.anchors.evidence_status()),
    }


@router.get(
    "/v1/anchors/{size}",
    summary="Show the anchor of a log size",
    responses=sample("The anchor", _ANCHOR) | problems(400, 404, 429),
    openapi_extra=parameters(parameter("size", "path", "Log size", 4800)),
)
async def anchor(request: Request) -> Response:
    """One anchor."""
    queries: Queries = request.app.state.queries
    return json_response(anchor_json(queries.anchor(plain_number(request.path_params["size"], "size", 2**63))))


@router.get(
    "/v1/anchors/{size}/evidence",
    summary="Get the chain evidence of an anchor",
    description=(
        "Deterministic CBOR: root, time and head of the anchor, proven under one block header. Without `block` the "
        "newest that the node keeps, also while its chain is down; with it the proof under the block that you trust, "
        "asked from the chain now. With `requested` the evidence also tells whether, when and by whom the admission of "
        "these leaves was requested in the contract; asked now, under the newest final block where none is named."
    ),
    responses=binary_answer("The evidence", CBOR) | problems(400, 404, 429, 503),
    openapi_extra=parameters(
        parameter("size", "path", "Log size", 4800),
        parameter("block", "query", "Number of a block", 42, required=False),
        parameter("requested", "query", f"Leaf hash, hex; at most {MAX_REQUESTED}, repeated", "3f…", required=False),
    ),
)
async def anchor_evidence(request: Request) -> Response:
    """Chain evidence of one anchor."""
    queries: Queries = request.app.state.queries
    size = plain_number(request.path_params["size"], "size", 2**63)
    block = query_number(request, "block", None, 2**63)
    requested = [_leaf(text) for text in _requested(request)]
    if block is None and not requested:
        evidence = queries.anchor_evidence(size)
    else:
        evidence = await asyncio.to_thread(queries.prove_anchor, size, block, requested)
    return Response(evidence, media_type=CBOR, headers={"Cache-Control": "no-store"})


def _requested(request: Request) -> list[str]:
    found = request.query_params.getlist("requested")
    if len(found) > MAX_REQUESTED:
        raise MalformedError(f"At most {MAX_REQUESTED} leaves are asked for at once", where="requested")
    return found


def _leaf(text: str) -> bytes:
    if len(text) != _LEAF_DIGITS or not set(text) <= _HEX:
        raise MalformedError(f"A leaf hash is {_LEAF_DIGITS} lower-case hex digits", where="requested")
    return bytes.fromhex(text)


@router.post(
    "/v1/anchors",
    summary="Anchor now (operator)",
    description="Publishes what is durable, anchors it, and waits until the anchor is final.",
    responses=sample("The anchor", _ANCHOR) | problems(403, 404, 503),
)
async def anchor_now(request: Request) -> Response:
    """Anchor without waiting for the interval."""
    require_operator(request)
    node: Node = request.app.state.node
    worker = _worker(node)
    await node.publisher.publish_now(node.sequencer)
    return json_response(anchor_json(await asyncio.to_thread(worker.anchor_now)))


@router.post(
    "/v1/anchors/resolve",
    summary="Resolve a dispute with the chain (operator)",
    description="After a person has judged the evidence, which stays with the node: anchoring is taken up again, and "
    "ends in a dispute again where the chain still contradicts the log.",
    responses=sample("How many contradictions were open", {"resolved": 1}) | problems(403, 404),
)
async def resolve_dispute(request: Request) -> Response:
    """Take up anchoring again after a dispute."""
    require_operator(request)
    return json_response({"resolved": await asyncio.to_thread(_worker(request.app.state.node).resolve_dispute)})


def _worker(node: Node) -> AnchorWorker:
    if node.anchors is None:
        raise NoChainError("This node anchors on no chain", remedy="Configure [chain] and start the node again")
    return node.anchors
