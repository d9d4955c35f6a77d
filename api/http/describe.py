"""Pieces of the OpenAPI description: routes read raw requests, so each says here what it takes and gives."""

from __future__ import annotations

from typing import Any

from api.http.problems import MEDIA_TYPE, TITLES

Responses = dict[int | str, dict[str, Any]]

_PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457 problem details; `code` is stable",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "where": {"type": "string"},
        "remedy": {"type": "string"},
        "refusal": {"type": "string", "description": "A signed refusal, base64, where one was asked for"},
    },
    "required": ["type", "title", "status", "code", "detail", "where", "remedy"],
}
_EXAMPLES: dict[int, tuple[str, str]] = {
    400: ("malformed", "the input ends inside an item"),
    403: ("forbidden", "Only the operator may do this"),
    404: ("not-found", "No identifier is registered under this subject"),
    409: ("document-grade", "the document is stored as private"),
    410: ("document-erased", "the document was erased at 1780000000: asked by its subject"),
    413: ("too-large", "The body is longer than 65535 bytes"),
    415: ("media-type", "This route takes application/cose, not text/plain"),
    422: ("stale_sequence", "seq 1, expected 2."),
    429: ("rate", "Too many requests from this address"),
    503: ("overloaded", "Too much is waiting for admission"),
    507: ("documents-full", "no room for documents: the rest of the disk is kept for the log"),
}


def sample(description: str, example: Any, status: int = 200) -> Responses:
    """A JSON response with an example."""
    return {
        status: {
            "description": description,
            "content": {"application/json": {"schema": {"type": "object"}, "example": example}},
        }
    }


def binary_answer(description: str, media_type: str, example: str | None = None) -> Responses:
    """A 200 response of bytes or text."""
    body: dict[str, Any] = {"schema": {"type": "string", **({} if example else {"format": "binary"})}}
    if example is not None:
        body["example"] = example
    return {200: {"description": description, "content": {media_type: body}}}


def problems(*statuses: int) -> Responses:
    """Problem responses with an example each."""
    responses: Responses = {}
    for status in statuses:
        code, detail = _EXAMPLES[status]
        example = {
            "type": f"urn:tial:problem:{code}",
            "title": TITLES[status],
            "status": status,
            "code": code,
            "detail": detail,
            "where": "",
            "remedy": "",
        }
        content = {MEDIA_TYPE: {"schema": _PROBLEM_SCHEMA, "example": example}}
        responses[status] = {"description": TITLES[status], "content": content}
    return responses


def binary_body(media_type: str, description: str) -> dict[str, Any]:
    """A request body of bytes."""
    schema = {"type": "string", "format": "binary"}
    return {"requestBody": {"required": True, "description": description, "content": {media_type: {"schema": schema}}}}


def json_body(description: str, example: Any) -> dict[str, Any]:
    """A JSON request body with an example."""
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {"requestBody": {"required": True, "description": description, "content": content}}


def parameter(name: str, place: str, description: str, example: str | int, *, required: bool = True) -> dict[str, Any]:
    """A parameter of the path, the query or the header."""
    kind = "integer" if isinstance(example, int) else "string"
    return {
        "name": name,
        "in": place,
        "required": required,
        "description": description,
        "schema": {"type": kind},
        "example": example,
    }


def parameters(*listed: dict[str, Any]) -> dict[str, Any]:
    """Parameters of an operation."""
    return {"parameters": list(listed)}
