"""Following another log over HTTP: tiles and entry bundles, every byte checked against a signed root.

Owns the fetching (bounded bodies, time limits, no redirects, no proxies of the environment) and the check of what came.
Trusts the (size, root) that the caller took from a verified checkpoint, and nothing that the server says. The partial
tiles of a size together give its root, so they are checked first and at once; a full tile is checked against its hash
in the tile above it, an entry bundle against the hashes of its leaves (C2SP tlog-tiles, RFC 9162 section 2.1.1).
Whether that checkpoint may follow an earlier one is `Followed.require_extends`' question.

What a server answers wrongly is an `UnverifiedError`: it proves nothing about the log's signer, only that these bytes
are not the ones signed. One that does not answer is an `UnavailableError`.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ClassVar, Final, Self

import httpx

from ledger.errors import LedgerError, MalformedError, UnavailableError
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.notes import MAX_NOTE, Vkey
from ledger.log.proofs import inclusion_proof
from ledger.log.tiles import (
    MAX_BUNDLE_BYTES,
    TILE_BYTES,
    TILE_WIDTH,
    TileNodes,
    TileRef,
    decode_entry_bundle,
    partial_tiles,
    tile_width,
)
from ledger.log.tree import EMPTY_ROOT, HASH_SIZE, MAX_SIZE, fold_right, leaf_hash, root_of
from node.cookies import no_cookies

Fetch = Callable[[str, int], bytes | None]
"""`fetch(path, limit)`: the file at a path below the log's prefix, at most `limit` bytes; None where there is none."""

TIMEOUT: Final = 10.0
"""Seconds for each step of a request; a whole file has `PATIENCE` times as long."""
PATIENCE: Final = 6
AHEAD: Final = 4
"""Bundles asked for at a time, and so held in memory: at most 16 MiB each."""
_TILES: Final = 512
_OK: Final = 200
_ABSENT: Final = (404, 410)
_HOST: Final = re.compile(rb"[0-9A-Za-z._-]+|[0-9a-fA-F:.]+")


class UnverifiedError(LedgerError):
    """Served bytes that are not under the signed root."""

    code: ClassVar[str] = "unverified"


class HttpLog:
    """A log's files below a URL. `fetch` may be called from several threads."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT) -> None:
        """`url` is the log's prefix, `http` or `https`; MalformedError for another one."""
        self.url = checked_url(url)
        self._timeout = timeout
        self._client = httpx.Client(
            timeout=timeout, follow_redirects=False, trust_env=False, headers={"Accept-Encoding": "identity"},
            cookies=no_cookies(),
        )  # fmt: skip

    def fetch(self, path: str, limit: int) -> bytes | None:
        """Return a file below the prefix, None where the server has none.

        Raises:
            UnavailableError: no answer in time, or another status than 200, 404 and 410, redirects included.
            UnverifiedError: the answer is longer than `limit`, or in a content encoding that was not asked for.

        """
        where = f"{self.url}/{path}"
        deadline = time.monotonic() + PATIENCE * self._timeout
        data = bytearray()
        try:
            with self._client.stream("GET", where) as answer:
                if answer.status_code in _ABSENT:
                    return None
                if answer.status_code != _OK:
                    raise UnavailableError(f"the log answers with status {answer.status_code}", where=where)
                if answer.headers.get("Content-Encoding", "identity") != "identity":
                    raise UnverifiedError("the answer is in a content encoding that was not asked for", where=where)
                for part in answer.iter_raw():
                    data += part
                    if len(data) > limit:
                        raise UnverifiedError(f"the answer is longer than {limit} bytes", where=where)
                    if time.monotonic() > deadline:
                        raise UnavailableError("the answer comes too slowly", where=where)
        except httpx.HTTPError as error:
            raise UnavailableError(f"the log does not answer: {type(error).__name__} {error}", where=where) from error
        return bytes(data)

    def checkpoint(self) -> bytes:
        """Return the published checkpoint, unverified; errors as `fetch`, UnavailableError where there is none."""
        note = self.fetch("checkpoint", MAX_NOTE)
        if note is None:
            raise UnavailableError("the log has published no checkpoint", where=self.url)
        return note

    def head(self, vkey: Vkey) -> tuple[Checkpoint, bytes]:
        """Return the published checkpoint as the log's key signed it, and its note.

        Raises:
            MalformedError, NoteSignatureError: as `open_checkpoint`.
            UnavailableError, UnverifiedError: as `checkpoint`.

        """
        note = self.checkpoint()
        return open_checkpoint(note, vkey), note

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


class Followed:
    """A log at one signed (size, root), read through `fetch`; every answer is under that root. For one thread."""

    def __init__(self, fetch: Fetch, size: int, root: bytes) -> None:
        """Nothing is fetched yet; MalformedError for an impossible size or root."""
        if not 0 <= size <= MAX_SIZE or len(root) != HASH_SIZE or (size == 0) != (root == EMPTY_ROOT):
            raise MalformedError("no tree has this size and root", where="size, root")
        self.size = size
        self.root_hash = root
        self._fetch = fetch
        self._edge: dict[int, bytes] | None = None
        self._tiles: dict[tuple[int, int], bytes] = {}

    def tile(self, level: int, index: int, width: int = TILE_WIDTH) -> bytes:
        """Return the first `width` hashes of a tile, joined. Serves as `read_tile` of `ledger.log.tiles`.

        Raises:
            MalformedError: the tree has no such hashes.
            UnverifiedError: the server lacks the tile, or serves other bytes.
            UnavailableError: it does not answer.

        """
        there = tile_width(level, index, self.size)
        if not 1 <= width <= there:
            raise MalformedError(f"the tree of {self.size} leaves has {there} of these hashes", where="width")
        if there < TILE_WIDTH:
            return self._right_edge()[level][: width * HASH_SIZE]
        key = (level, index)
        tile = self._tiles.pop(key, None)
        if tile is None:
            ref = TileRef(level, index)
            tile = self._file(ref, TILE_BYTES)[:TILE_BYTES]
            _require(ref, _tile_root(tile), self._above(level, index))
            if len(self._tiles) >= _TILES:
                self._tiles.pop(next(iter(self._tiles)), None)
        self._tiles[key] = tile
        return tile[: width * HASH_SIZE]

    def nodes(self, size: int | None = None) -> TileNodes:
        """Tree nodes at a size up to this one: `nodes().get_node` is what `ledger.log.proofs` asks for."""
        return TileNodes(self._within(self.size if size is None else size), self.tile)

    def root(self, size: int) -> bytes:
        """Return the root at an earlier size; errors as `tile`."""
        return fold_right(self.nodes(size).perfect_subtrees()) if size else EMPTY_ROOT

    def inclusion(self, index: int) -> list[bytes]:
        """Return the inclusion proof of a leaf at this size; errors as `tile`."""
        return inclusion_proof(index, self.size, self.nodes().get_node)

    def require_extends(self, size: int, root: bytes) -> None:
        """Refuse a log that is not an extension of the tree (`size`, `root`).

        Raises:
            UnverifiedError: this log is smaller, or has another root there: it forked, if both were signed.
            UnavailableError: as `tile`.

        """
        if size > self.size or self.root(size) != root:
            raise UnverifiedError(
                f"the log of size {self.size} does not extend the tree of size {size} with root {root.hex()}",
                where="checkpoint",
                remedy="If the log signed both, keep both: together they prove that it forked",
            )

    def bundles(self, start: int, stop: int) -> Iterator[tuple[TileRef, list[bytes]]]:
        """Yield the whole entry bundles that hold the entries from `start` to `stop`, in order, fetched ahead.

        `TileRef` has the width at this size, the list as many entries; errors as `tile`.
        """
        self._within(stop)
        indexes = iter(range(start // TILE_WIDTH, -(-stop // TILE_WIDTH) if start < stop else start // TILE_WIDTH))
        waiting: deque[tuple[TileRef, Future[bytes]]] = deque()
        with ThreadPoolExecutor(AHEAD, "follower") as pool:
            try:
                while True:
                    while len(waiting) < AHEAD and (index := next(indexes, None)) is not None:
                        ref = TileRef(None, index, tile_width(0, index, self.size))
                        waiting.append((ref, pool.submit(self._file, ref, MAX_BUNDLE_BYTES)))
                    if not waiting:
                        return
                    ref, coming = waiting.popleft()
                    yield ref, self._checked_bundle(ref, coming.result())
            finally:
                for _, coming in waiting:
                    coming.cancel()

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the entries from `start` up to but not including `stop`, in order; errors as `tile`."""
        for ref, entries in self.bundles(start, stop):
            first = ref.index * TILE_WIDTH
            yield from entries[max(start - first, 0) : stop - first]

    def entry(self, index: int) -> bytes:
        """Return one entry; errors as `tile`."""
        return next(self.entries(index, index + 1))

    def _within(self, size: int) -> int:
        if not 0 <= size <= self.size:
            raise MalformedError(f"this log was followed up to size {self.size}, not {size}", where="size")
        return size

    def _right_edge(self) -> dict[int, bytes]:
        """The partial tiles by level, checked together: each of their hashes is under exactly one perfect subtree."""
        if self._edge is None:
            refs = partial_tiles(self.size)
            edge = {ref.level or 0: self._file(ref, TILE_BYTES)[: ref.width * HASH_SIZE] for ref in refs}
            nodes = TileNodes(self.size, lambda level, _index, _width: edge[level])
            found = fold_right(nodes.perfect_subtrees())
            if found != self.root_hash:
                raise UnverifiedError(
                    f"the partial tiles of size {self.size} give root {found.hex()}, signed was {self.root_hash.hex()}",
                    where="tile",
                    remedy="Ask again or another server; if it persists, the log does not serve what it signed",
                )
            self._edge = edge
        return self._edge

    def _above(self, level: int, index: int) -> bytes:
        """The hash that the tile above has for a full tile."""
        parent, within = divmod(index, TILE_WIDTH)
        return self.tile(level + 1, parent, within + 1)[within * HASH_SIZE :]

    def _file(self, ref: TileRef, limit: int) -> bytes:
        """Fetch a tile or bundle, the full one where a partial one is gone; its length is at least the tile's."""
        data = self._fetch(ref.path, limit)
        if data is None and ref.width < TILE_WIDTH:
            data = self._fetch(TileRef(ref.level, ref.index).path, limit)
        if data is None:
            raise UnverifiedError("the server lacks a file that its log must have", where=ref.path)
        if ref.level is not None and (len(data) < ref.width * HASH_SIZE or len(data) % HASH_SIZE):
            raise UnverifiedError(f"a tile of width {ref.width} does not have {len(data)} bytes", where=ref.path)
        return data

    def _checked_bundle(self, ref: TileRef, data: bytes) -> list[bytes]:
        entries = _decoded(ref, data)
        leaves = [leaf_hash(entry) for entry in entries]
        if ref.width == TILE_WIDTH:
            _require(ref, root_of(leaves), self._above(0, ref.index))
        else:
            _require(ref, b"".join(leaves), self.tile(0, ref.index, ref.width))
        return entries


def checked_url(url: str) -> str:
    """Return the prefix without a slash at its end.

    Raises:
        MalformedError: not an absolute http or https URL, or one with a query, a fragment or a password.

    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        parsed = httpx.URL("")
    known = parsed.scheme in {"http", "https"} and _HOST.fullmatch(parsed.raw_host)
    if not known or parsed.query or parsed.fragment or parsed.userinfo:
        raise MalformedError(
            "not the prefix of a log: http or https, a host and a path", where=url[:200], remedy="https://log.example/a"
        )
    return str(parsed).rstrip("/")


def _decoded(ref: TileRef, data: bytes) -> list[bytes]:
    """A bundle's first `ref.width` entries: those of its own width, or cut from the full one."""
    for width in dict.fromkeys((ref.width, TILE_WIDTH)):
        try:
            return decode_entry_bundle(data, width)[: ref.width]
        except MalformedError as error:
            wrong = error
    raise UnverifiedError(wrong.detail, where=ref.path) from wrong


def _tile_root(tile: bytes) -> bytes:
    return root_of([tile[start : start + HASH_SIZE] for start in range(0, len(tile), HASH_SIZE)])


def _require(ref: TileRef, found: bytes, signed: bytes) -> None:
    if found != signed:
        raise UnverifiedError(
            "the file is not the one under the signed root",
            where=ref.path,
            remedy="Ask again or another server; if it persists, the log does not serve what it signed",
        )
