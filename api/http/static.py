"""The C2SP read path: checkpoint, tiles and entry bundles, served as the files that they are (tlog-tiles).

Tiles and bundles never change: caches may keep them for ever. The checkpoint is replaced: caches must ask.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.describe import binary_answer, parameter, parameters, problems
from api.http.paths import raw_tail
from ledger.log.tiles import MAX_BUNDLE_BYTES, parse_path
from ledger.store.durable import read_bounded
from ledger.store.tiles import MAX_CHECKPOINT
from node.node import Node
from node.queries import NotFoundError

router = APIRouter(tags=["log files"])

_IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable", "Access-Control-Allow-Origin": "*"}
_FRESH = {"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}
_OCTETS = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"


@router.get(
    "/checkpoint",
    summary="The newest published checkpoint (C2SP signed note)",
    responses=binary_answer("Signed note", _TEXT, "example.org/log\n4800\nd3…=\n\n— example.org/log Gi…=\n")
    | problems(404),
)
@router.head("/checkpoint", include_in_schema=False)
async def checkpoint(request: Request) -> Response:
    """The checkpoint file."""
    node: Node = request.app.state.node
    note = read_bounded(node.served / "checkpoint", MAX_CHECKPOINT)
    if note is None:
        raise NotFoundError("No checkpoint is published yet", where="checkpoint", remedy="Ask again in a second")
    return Response(note, 200, _FRESH, _TEXT)


@router.get(
    "/tile/{path:path}",
    summary="A tile or an entry bundle (C2SP tlog-tiles)",
    responses=binary_answer("Immutable bytes", _OCTETS) | problems(400, 404),
    openapi_extra=parameters(
        parameter("path", "path", "`<level>/<index>[.p/<width>]` or `entries/<index>[.p/<width>]`", "0/x001/234.p/8")
    ),
)
@router.head("/tile/{path:path}", include_in_schema=False)
async def tile(request: Request) -> Response:
    """A file of the tree; only names that the log itself writes are looked for."""
    node: Node = request.app.state.node
    ref = parse_path("tile/" + raw_tail(request, "/tile/"))
    data = read_bounded(node.served / ref.path, MAX_BUNDLE_BYTES)
    if data is None:
        raise NotFoundError(
            "The log has no such tile", where=ref.path, remedy="A partial tile goes when the full one is there: take it"
        )
    return Response(data, 200, _IMMUTABLE, _OCTETS)
