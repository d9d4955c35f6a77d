"""What the log is: identity, keys, parameters, sizes, and where everything else is found."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.describe import problems, sample
from api.http.limits import require_operator
from api.http.render import json_response
from ledger.crypto.digests import kid
from ledger.state.log_keys import LogKeys
from ledger.state.rendering import jsonable
from ledger.state.rules1.log import log_did
from node.node import Node
from node.queries import Queries

router = APIRouter(tags=["log"])

_PATHS = {
    "submit": "/v1/statements",
    "bulk": "/v1/statements/bulk",
    "checkpoint": "/checkpoint",
    "tiles": "/tile/{level}/{index}",
    "entries": "/tile/entries/{index}",
    "lookup": "/v1/lookup",
    "inclusion": "/v1/proofs/inclusion",
    "consistency": "/v1/proofs/consistency",
    "receipt": "/v1/receipts/{index}",
    "proof_file": "/v1/proofs/tlog/{index}",
    "transparent": "/v1/entries/{index}/transparent",
    "scrapi": "/entries",
    "scitt_keys": "/.well-known/scitt-keys",
    "verify": "/v1/verify",
    "openapi": "/openapi.json",
}


def describe_log(node: Node, queries: Queries) -> dict[str, Any]:
    """Everything public about the log."""
    record, batch, published = queries.log(), queries.open_batch(), node.publisher.published
    return {
        "log_id": node.log_id.hex(),
        "origin": record.origin,
        "vkey": node.vkey.format(),
        "cose": {
            "did": log_did(record),
            "alg": record.cose.alg,
            "key": record.cose.key.hex(),
            "kid": kid(record.cose.key).hex(),
        },
        "keys": _keys(node.keys),
        "root": {"members": jsonable(record.members), "threshold": record.threshold},
        "suites": list(record.suites),
        "policy": {"skew": record.skew, "max_age": record.max_age, "rotation_delay": record.rotation_delay},
        "rules": record.rules,
        "witnesses": list(record.witnesses),
        "successor": None if record.successor is None else record.successor.hex(),
        "predecessor": jsonable(node.genesis.body.get("predecessor")),
        "log_time": batch.time,
        "batches": batch.number,
        "size": node.publisher.size,
        "published": {"size": published.size, "root": published.root.hex()},
        "chain": _chain(node),
        "paths": _PATHS,
    }


def _chain(node: Node) -> dict[str, Any] | None:
    """The chain that the log is anchored on; of a CometBFT chain also the validators whom the node trusts now."""
    if node.anchors is None:
        return None
    trusted = node.anchors.trusted()[0]
    told: dict[str, Any] = {
        "kind": trusted.kind,
        "chain_id": trusted.chain_id,
        "contract": node.anchors.identity.contract,
        "code_hash": trusted.code_hash.hex(),
        "finality": node.config.chain.finality,
    }
    if trusted.comet is not None:
        told |= {
            "chain_name": trusted.comet.chain_name,
            "height": trusted.comet.height,
            "time": trusted.comet.time,
            "validators": [{"key": key.hex(), "power": power} for key, power in trusted.comet.validators.members],
        }
    return told


def _keys(keys: LogKeys) -> dict[str, list[dict[str, Any]]]:
    """All keys the log had, oldest first, each with its period: indexes for cose, checkpoint sizes for note."""
    return {
        "cose": [
            {"alg": p.key.alg, "key": p.key.key.hex(), "kid": kid(p.key.key).hex(), "first": p.first, "end": p.end}
            for p in keys.cose
        ],
        "note": [
            {
                "alg": p.key.alg, "key": p.key.key.hex(), "vkey": keys.vkey_for(p.first).format(),
                "first": p.first, "end": p.end,
            }
            for p in keys.note
        ],
    }  # fmt: skip


@router.get(
    "/v1/log",
    summary="Describe the log",
    responses=sample(
        "Identity, keys, parameters and sizes",
        {
            "log_id": "3f…", "origin": "example.org/log", "vkey": "example.org/log+1a2b3c4d+AX…",
            "cose": {"did": "did:key:z6Mk…", "alg": -8},
            "keys": {"cose": [{"alg": -8, "key": "5c…", "kid": "09…", "first": 0, "end": None}], "note": []},
            "rules": 1, "size": 4805,
            "published": {"size": 4800, "root": "77…"}, "log_time": 1780000000,
        },
    )
    | problems(429),
)  # fmt: skip
async def log(request: Request) -> Response:
    """The log's description."""
    return json_response(describe_log(request.app.state.node, request.app.state.queries))


@router.post(
    "/v1/publish",
    summary="Publish now (operator)",
    description="Closes the open batch and publishes a checkpoint without waiting for the interval.",
    responses=sample("The newest checkpoint", {"size": 4800, "root": "77…", "checkpoint": "…"}) | problems(403, 503),
)
async def publish(request: Request) -> Response:
    """Publish what is durable."""
    require_operator(request)
    node: Node = request.app.state.node
    published = await node.publisher.publish_now(node.sequencer)
    return json_response(
        {"size": published.size, "root": published.root.hex(), "checkpoint": published.checkpoint.decode()}
    )
