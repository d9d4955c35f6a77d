"""Tiles: their paths, their contents, and reading any node of the tree out of them (C2SP tlog-tiles).

Owns the path mathematics of the read path (`tile/<level>/<index>[.p/<width>]`, `tile/entries/<index>[.p/<width>]`), the
entry bundle's bytes, which tiles a size needs, the writer's right edge, and the resolution of tree nodes from tiles.
Pure: whoever stores or fetches tiles hands in a `read_tile` callback. What the callback returns is trusted to belong
to the log; a reader of someone else's tiles checks the result against a signed root, as any proof is checked.

Level here is the tile level: the hashes of a tile at level t are tree nodes of level 8 * t. A full tile is 256 hashes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ledger.errors import CorruptError, MalformedError
from ledger.log.tree import HASH_SIZE, MAX_SIZE, TILE_HEIGHT, CompactRange, pair_row

TILE_WIDTH = 1 << TILE_HEIGHT
TILE_BYTES = TILE_WIDTH * HASH_SIZE
MAX_TILE_LEVEL = 63
MAX_TILE_INDEX = MAX_SIZE >> TILE_HEIGHT
MAX_ENTRY = 0xFFFF
"""An entry's length stands before it as a uint16."""

MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + MAX_ENTRY)

ReadTile = Callable[[int, int, int], bytes]
"""`read_tile(tile_level, tile_index, width)` returns exactly `width` hashes, concatenated."""

_MAX_PATH = 64
_PATH = re.compile(
    r"tile/(?P<level>entries|[0-9]{1,2})/(?P<index>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class TileRef:
    """Names one tile, or one entry bundle where `level` is None. A width below 256 names the partial one."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Path below the log's prefix, without a leading slash."""
        if self.level is None:
            return entries_path(self.index, self.width)
        return tile_path(self.level, self.index, self.width)


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Path of a tile below the log's prefix: `tile/0/x001/x234/067`, with `.p/<width>` where it is partial.

    Raises:
        MalformedError: level outside 0..63, index outside 0..2**56 - 1, width outside 1..256.

    """
    if not 0 <= level <= MAX_TILE_LEVEL:
        raise MalformedError(f"tile levels run from 0 to {MAX_TILE_LEVEL}, not {level}", where="level")
    return f"tile/{level}/{_index_path(index, width)}"


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """Path of an entry bundle below the log's prefix: `tile/entries/x001/x234/067`, `.p/<width>` where partial.

    Raises:
        MalformedError: index outside 0..2**56 - 1, width outside 1..256.

    """
    return f"tile/entries/{_index_path(index, width)}"


def parse_path(path: str) -> TileRef:
    """Read a tile or entry bundle path back; accepts exactly what `tile_path` and `entries_path` write.

    Raises:
        MalformedError: any other text, a longer spelling of the same number included.

    """
    match = _PATH.fullmatch(path) if len(path) <= _MAX_PATH else None
    if match is not None:
        index = int(match["index"].replace("x", "").replace("/", ""))
        width = int(match["width"] or TILE_WIDTH)
        level = None if match["level"] == "entries" else int(match["level"])
        in_range = index <= MAX_TILE_INDEX and width <= TILE_WIDTH and (level is None or level <= MAX_TILE_LEVEL)
        # Writing it again catches what the pattern lets through: leading zeros, `.p/256`.
        if in_range and (ref := TileRef(level, index, width)).path == path:
            return ref
    raise MalformedError(
        "not the path of a tile or an entry bundle",
        where=path[:_MAX_PATH],
        remedy="Use tile/<level>/<index>[.p/<width>] or tile/entries/<index>[.p/<width>], index as x001/x234/067",
    )


def encode_entry_bundle(entries: Sequence[bytes]) -> bytes:
    """Join 1 to 256 entries into a bundle: each with its length in front as big-endian uint16.

    Raises:
        MalformedError: no entry, more than 256, or one longer than 65,535 bytes.

    """
    _check_width(len(entries))
    parts = []
    for position, entry in enumerate(entries):
        if len(entry) > MAX_ENTRY:
            raise MalformedError(f"an entry has at most {MAX_ENTRY} bytes, not {len(entry)}", where=f"entry {position}")
        parts.append(len(entry).to_bytes(2, "big"))
        parts.append(entry)
    return b"".join(parts)


def decode_entry_bundle(bundle: bytes, width: int) -> list[bytes]:
    """Split a bundle into its `width` entries.

    Raises:
        MalformedError: the bytes end early, or some are left over.

    """
    _check_width(width)
    entries = []
    offset, end = 0, len(bundle)
    for position in range(width):
        start = offset + 2
        offset = start + int.from_bytes(bundle[offset:start], "big")
        if offset > end:
            raise MalformedError("the entry bundle ends inside an entry", where=f"entry {position}")
        entries.append(bundle[start:offset])
    if offset != end:
        raise MalformedError(
            f"the entry bundle has {end - offset} bytes after its last entry", where=f"offset {offset}"
        )
    return entries


def tile_width(level: int, index: int, size: int) -> int:
    """Width of a tile (or, at level 0, of an entry bundle) in a tree of `size` leaves: 0 (absent) to 256."""
    width = (size >> (TILE_HEIGHT * level)) - (index << TILE_HEIGHT)
    return min(max(width, 0), TILE_WIDTH)


def tiles_between(old: int, new: int) -> Iterator[TileRef]:
    """Hash tiles that a tree of size `new` needs and one of size `old` lacked, full and partial, level by level.

    From 0 these are all tiles of `new`. The entry bundles are those of level 0, see `bundles_between`.

    Raises:
        MalformedError: `new` is below `old`, or a size is not a uint64.

    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise MalformedError(f"a log does not go from size {old} to size {new}", where="old, new")
    level = 0
    while new and new != old:
        full = new >> TILE_HEIGHT
        for index in range(old >> TILE_HEIGHT, full):
            yield TileRef(level, index)
        if new % TILE_WIDTH:
            yield TileRef(level, full, new % TILE_WIDTH)
        old, new, level = old >> TILE_HEIGHT, full, level + 1


def bundles_between(old: int, new: int) -> Iterator[TileRef]:
    """Entry bundles that a log of size `new` needs and one of size `old` lacked; errors as `tiles_between`."""
    for ref in tiles_between(old, new):
        if ref.level != 0:
            return
        yield TileRef(None, ref.index, ref.width)


def partial_tiles(size: int) -> list[TileRef]:
    """Partial tiles of a tree of `size` leaves, lowest level first: the right edge that a writer resumes from."""
    refs = []
    level = 0
    while size:
        if size % TILE_WIDTH:
            refs.append(TileRef(level, size >> TILE_HEIGHT, size % TILE_WIDTH))
        size >>= TILE_HEIGHT
        level += 1
    return refs


class TileEdge:
    """The writer's right edge: takes leaf hashes, gives back finished tiles, knows the root.

    Each node is hashed once, for root and tiles together. Holds at most 255 hashes per tile level.
    """

    __slots__ = ("_edges", "_range")

    def __init__(self) -> None:
        self._range = CompactRange()
        self._edges: list[bytearray] = []

    @classmethod
    def resume(cls, size: int, read_tile: ReadTile) -> TileEdge:
        """Read the partial tiles of a tree of `size` leaves and go on from there.

        Raises:
            CorruptError: a tile has another length than its width demands.

        """
        resumed = cls()
        nodes = TileNodes(size, read_tile, TileCache(MAX_TILE_LEVEL))
        resumed._range = CompactRange.from_hashes(size, nodes.perfect_subtrees())
        for ref in partial_tiles(size):
            level = ref.level or 0
            resumed._grow_to(level)
            resumed._edges[level] += checked_tile(read_tile(level, ref.index, ref.width), level, ref.index, ref.width)
        return resumed

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._range.size

    def root(self) -> bytes:
        """Root of the tree at the present size."""
        return self._range.root()

    def extend(self, leaf_hashes: Sequence[bytes]) -> list[tuple[TileRef, bytes]]:
        """Add leaf hashes; return the tiles that became full with their 8,192 bytes, lowest level first."""
        old = self._range.size
        finished = []
        for level, row in enumerate(self._range.extend(leaf_hashes)):
            self._grow_to(level)
            edge = self._edges[level]
            index = old >> (TILE_HEIGHT * (level + 1))
            edge += b"".join(row)
            while len(edge) >= TILE_BYTES:
                finished.append((TileRef(level, index), bytes(edge[:TILE_BYTES])))
                del edge[:TILE_BYTES]
                index += 1
        return finished

    def partials(self) -> list[tuple[TileRef, bytes]]:
        """Partial tiles at the present size with their bytes, lowest level first."""
        return [(ref, bytes(self._edges[ref.level or 0])) for ref in partial_tiles(self._range.size)]

    def _grow_to(self, level: int) -> None:
        while len(self._edges) <= level:
            self._edges.append(bytearray())


class TileCache:
    """The rows inside recently read tiles, at most `capacity` tiles (16 KB each), least recently used out first.

    Fit to share between readers of one log at any sizes: a tile of a given width never changes. Not for several
    threads at once.
    """

    __slots__ = ("_capacity", "_tiles")

    def __init__(self, capacity: int = 512) -> None:
        if capacity < 1:
            raise ValueError("a tile cache holds at least one tile")
        self._capacity = capacity
        self._tiles: dict[tuple[int, int, int], list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._tiles)

    def rows(self, level: int, index: int, width: int, read_tile: ReadTile) -> list[bytes]:
        """Rows of a tile: row r joins the hashes of its perfect subtrees of 2**r hashes, left to right."""
        key = (level, index, width)
        rows = self._tiles.pop(key, None)  # taken out and put back, so that the oldest in the dict is the least used
        if rows is None:
            rows = _tile_rows(checked_tile(read_tile(level, index, width), level, index, width))
            if len(self._tiles) >= self._capacity:
                self._tiles.pop(next(iter(self._tiles)), None)
        self._tiles[key] = rows
        return rows


class TileNodes:
    """Answers any perfect subtree's hash of the tree of `size` leaves by reading one tile and hashing within it."""

    __slots__ = ("_cache", "_read_tile", "size")

    def __init__(self, size: int, read_tile: ReadTile, cache: TileCache | None = None) -> None:
        if not 0 <= size <= MAX_SIZE:
            raise MalformedError("a tree size is an unsigned 64-bit integer", where="size")
        self.size = size
        self._read_tile = read_tile
        self._cache = TileCache() if cache is None else cache

    def get_node(self, level: int, index: int) -> bytes:
        """Hash of tree node (level, index): what `ledger.log.proofs` asks for.

        Raises:
            MalformedError: the node is not wholly inside the tree.
            CorruptError: the tile read has another length than its width demands.

        """
        if level < 0 or index < 0 or (index + 1) << level > self.size:
            raise MalformedError(f"no perfect subtree ({level}, {index}) in a tree of size {self.size}", where="index")
        tile_level, row = divmod(level, TILE_HEIGHT)
        tile_index = index >> (TILE_HEIGHT - row)
        width = tile_width(tile_level, tile_index, self.size)
        rows = self._cache.rows(tile_level, tile_index, width, self._read_tile)
        start = (index - (tile_index << (TILE_HEIGHT - row))) * HASH_SIZE
        return rows[row][start : start + HASH_SIZE]

    def perfect_subtrees(self) -> list[bytes]:
        """Roots of the tree's perfect subtrees, largest first: what `CompactRange.from_hashes` takes."""
        hashes = []
        start = 0
        while start < self.size:
            level = (self.size - start).bit_length() - 1
            hashes.append(self.get_node(level, start >> level))
            start += 1 << level
        return hashes


def checked_tile(data: bytes, level: int, index: int, width: int) -> bytes:
    """Return `data` when it has the length of a tile of `width` hashes.

    Raises:
        CorruptError: it has not.

    """
    if len(data) != width * HASH_SIZE:
        raise CorruptError(
            f"a tile of width {width} has {width * HASH_SIZE} bytes, this one {len(data)}",
            where=tile_path(level, index, width),
            remedy="Check the log directory; restore the tile from a mirror",
        )
    return data


def _tile_rows(tile: bytes) -> list[bytes]:
    """Hash a tile's interior: perfect subtrees only, so that a partial tile's ragged end is left out of each row."""
    row = [tile[start : start + HASH_SIZE] for start in range(0, len(tile), HASH_SIZE)]
    rows = [tile]
    for _ in range(TILE_HEIGHT - 1):
        row = pair_row(row[: len(row) & ~1])
        rows.append(b"".join(row))
    return rows


def _index_path(index: int, width: int) -> str:
    if not 0 <= index <= MAX_TILE_INDEX:
        raise MalformedError(f"tile indexes run from 0 to {MAX_TILE_INDEX}, not {index}", where="index")
    _check_width(width)
    path = f"{index % 1000:03d}"
    index //= 1000
    while index:
        path = f"x{index % 1000:03d}/{path}"
        index //= 1000
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def _check_width(width: int) -> None:
    if not 1 <= width <= TILE_WIDTH:
        raise MalformedError(f"a tile or bundle holds 1 to {TILE_WIDTH} items, not {width}", where="width")
