"""From a log's name to its node's address: what discovery needs between the chain and the node.

An origin is a URL without its scheme (C2SP tlog-checkpoint), so it is an address by itself: https in front, or http
where its host is this machine. A directory says otherwise where a node is reached in another way. Addresses are
convenience and prove nothing: whoever answers there has to prove that it speaks for the log.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from api.files import reading
from ledger.errors import MalformedError, UnavailableError

MAX_DIRECTORY: Final = 1 << 20
MAX_NODES: Final = 4_096
_MAX_URL: Final = 2_048
_MEMBERS: Final = {"origin", "url"}
_REMEDY: Final = "Write [[node]] with origin = and url = for each"


def read_directory(path: Path) -> dict[str, str]:
    """Addresses by origin from a directory file: TOML with `[[node]]` tables of `origin` and `url`.

    Raises:
        UnavailableError: the file cannot be read.
        MalformedError: another form, an unknown member, an origin twice, or no address of a node.

    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_DIRECTORY + 1)
    except OSError as error:
        raise UnavailableError(f"The directory cannot be read: {error.strerror}", where=str(path)) from error
    with reading(path, "directory of nodes", _REMEDY):
        return _parse(raw)


def _parse(raw: bytes) -> dict[str, str]:
    if len(raw) > MAX_DIRECTORY:
        raise MalformedError(f"it has more than {MAX_DIRECTORY} bytes")
    try:
        members = tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as error:  # both of TOML and of UTF-8
        raise MalformedError(f"not TOML: {error}") from error
    nodes = members.pop("node", [])
    if members:
        raise MalformedError("a member is unknown", where=next(iter(members))[:80])
    if not isinstance(nodes, list) or len(nodes) > MAX_NODES:
        raise MalformedError(f"a directory lists at most {MAX_NODES} nodes", where="node")
    found: dict[str, str] = {}
    for place, node in enumerate(nodes):
        where = f"node[{place}]"
        if not isinstance(node, dict) or set(node) != _MEMBERS or not all(isinstance(v, str) for v in node.values()):
            raise MalformedError("a node has an origin and a url, both texts", where=where)
        if node["origin"] in found:
            raise MalformedError("an origin stands here twice", where=where)
        found[node["origin"]] = check_address(node["url"], where)
    return found


def read_nodes(given: Iterable[str]) -> dict[str, str]:
    """Addresses by origin from options, each `ORIGIN=URL`; MalformedError for another form."""
    found: dict[str, str] = {}
    for text in given:
        origin, equals, url = text.partition("=")
        if not origin or not equals:
            raise MalformedError(f"{text[:80]!r} names no node", where="--node", remedy="Write ORIGIN=URL")
        found[origin] = check_address(url, "--node")
    return found


def check_address(url: str, where: str) -> str:
    """Return `url` if it is the address of a node; MalformedError otherwise."""
    if not url.startswith(("http://", "https://")) or _host(url) is None:
        raise MalformedError(f"{url[:80]!r} is no address of a node", where=where, remedy="Write https://host/path")
    return url


def address_of(origin: str, known: Mapping[str, str]) -> str:
    """Address of the node that keeps the log: as known, else the origin itself.

    Raises MalformedError for an origin that is no URL without its scheme: then only a directory helps.
    """
    if origin in known:
        return known[origin]
    host = _host(f"https://{origin}")
    if host is None:
        raise MalformedError(
            f"the log's origin {origin[:80]!r} is no address",
            where="origin",
            remedy="Name its node with --node ORIGIN=URL, or in a directory",
        )
    return f"{'http' if _is_loopback(host) else 'https'}://{origin}"


def _host(url: str) -> str | None:
    """Host of a plain URL; None where there is none, or more than host, port and path in it."""
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or set(url) & set(' \\@?#"<>^`{|}'):
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return host if port != 0 else None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
