"""Tiles and entry bundles as files, written for a growing log and read by anyone (C2SP tlog-tiles, DESIGN section 6).

Owns the folder that is served as it is: `tile/<level>/<index>`, `tile/entries/<index>`, partial ones under `.p/`, and
`checkpoint`. Path mathematics and the bundle's bytes are those of `ledger.log.tiles`. Trusts that one process writes.
A tile or bundle that is there is never given other bytes: an attempt is a fork, and stops with CorruptError.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from ledger.errors import CorruptError, MalformedError
from ledger.log.tiles import (
    MAX_BUNDLE_BYTES,
    MAX_ENTRY,
    TILE_BYTES,
    TILE_WIDTH,
    TileCache,
    TileEdge,
    TileNodes,
    TileRef,
    checked_tile,
    decode_entry_bundle,
    encode_entry_bundle,
    partial_tiles,
)
from ledger.log.tree import EMPTY_ROOT, HASH_SIZE, fold_right, leaf_hash
from ledger.store.durable import read_bounded, remove_leftovers, replace_file, replace_files, reporting

MAX_CHECKPOINT: Final = 1 << 20
_CACHED_BUNDLES: Final = 32
_REMEDY: Final = "Restore the log directory from a mirror, then run tial log fsck"


class TileWriter:
    """Writes the tiles and bundles of one log; in memory only the right edge and what came since the last flush."""

    __slots__ = ("_durable_size", "_edge", "_finished", "_folder", "_open_entries")

    def __init__(self, folder: Path, edge: TileEdge, open_entries: list[bytes]) -> None:
        self._folder = folder
        self._edge = edge
        self._open_entries = open_entries
        self._durable_size = edge.size
        self._finished: list[tuple[TileRef, bytes]] = []

    @classmethod
    def open(cls, folder: Path, size: int, root: bytes) -> TileWriter:
        """Resume at a size whose tiles are durable: read the right edge and compare it with the expected root.

        Also checks that the open bundle's entries hash to the leaves beside it. Tiles left of the edge are not read;
        that is the work of `tial log fsck`.

        Raises:
            CorruptError: a file is missing or altered, or gives another root.
            StorageError: the operating system refused.

        """
        reader = TileReader(folder)
        edge = TileEdge.resume(size, reader.tile)
        if edge.root() != root:
            raise CorruptError(
                f"the tiles of size {size} give root {edge.root().hex()}, expected {root.hex()}",
                where=str(folder),
                remedy=_REMEDY,
            )
        index, width = divmod(size, TILE_WIDTH)
        entries = reader.entries(index, width) if width else []
        leaves = reader.tile(0, index, width) if width else b""
        if b"".join(map(leaf_hash, entries)) != leaves:
            raise CorruptError(
                "the open entry bundle does not hash to the leaves of its tile",
                where=str(folder / TileRef(None, index, width).path),
                remedy=_REMEDY,
            )
        _sweep(folder, size)
        return cls(folder, edge, entries)

    @property
    def size(self) -> int:
        """Entries taken, durable or not."""
        return self._edge.size

    @property
    def durable_size(self) -> int:
        """Size at the last flush, or at opening."""
        return self._durable_size

    def root(self) -> bytes:
        """Root of the tree over all entries taken."""
        return self._edge.root()

    def extend(self, entries: Sequence[bytes], leaf_hashes: Sequence[bytes]) -> None:
        """Take entries and their leaf hashes (trusted to belong together) into memory.

        Raises:
            MalformedError: the two differ in number, an entry is over 65,535 bytes; nothing was taken.

        """
        if len(entries) != len(leaf_hashes):
            raise MalformedError(f"{len(entries)} entries with {len(leaf_hashes)} leaf hashes", where="leaf_hashes")
        if max(map(len, entries), default=0) > MAX_ENTRY:
            raise MalformedError(f"an entry has at most {MAX_ENTRY} bytes", where="entries")
        index = self._edge.size // TILE_WIDTH
        self._finished += self._edge.extend(leaf_hashes)
        held = self._open_entries
        held += entries
        full = len(held) - len(held) % TILE_WIDTH
        for start in range(0, full, TILE_WIDTH):
            self._finished.append((TileRef(None, index), encode_entry_bundle(held[start : start + TILE_WIDTH])))
            index += 1
        del held[:full]

    def flush(self) -> int:
        """Make durable every tile and bundle, full and partial, of exactly the present size; return how many files.

        Then removes the partial files of those that became full, as tlog-tiles allows. May be called again after a
        StorageError: everything since the last success is written again.

        Raises:
            CorruptError: a file is there with other bytes, so that this log would fork from an earlier one.
            StorageError: the operating system refused.

        """
        if self._edge.size == self._durable_size:
            return 0
        refs = [*self._finished, *self._edge.partials()]
        if self._open_entries:
            ref = TileRef(None, self._edge.size // TILE_WIDTH, len(self._open_entries))
            refs.append((ref, encode_entry_bundle(self._open_entries)))
        files = [(self._folder / ref.path, data) for ref, data in refs]
        for path, data in files:
            self._refuse_fork(path, data)
        replace_files(files)
        self._durable_size = self._edge.size
        for ref, _ in self._finished:
            _remove_partials(self._folder, ref)
        self._finished = []
        return len(files)

    @staticmethod
    def _refuse_fork(path: Path, data: bytes) -> None:
        present = read_bounded(path, MAX_BUNDLE_BYTES)
        if present is not None and present != data:
            raise CorruptError(
                "the file is there with other bytes: writing it would fork the log",
                where=str(path),
                remedy="The journal was rolled back or the log directory belongs to another log. " + _REMEDY,
            )


class TileReader:
    """Reads tiles, bundles, entries and the checkpoint from a log directory, the node's own or a mirror's.

    A partial tile that is gone is cut from the full one, or from a wider partial one. Small caches; files are
    immutable, so a reader may be shared with the writer's process at any time.
    """

    __slots__ = ("_bundles", "_cache", "_folder")

    def __init__(self, folder: Path, cache: TileCache | None = None) -> None:
        self._folder = folder
        self._cache = TileCache() if cache is None else cache
        self._bundles: dict[int, list[bytes]] = {}

    def tile(self, level: int, index: int, width: int = TILE_WIDTH) -> bytes:
        """Return `width` hashes of a tile, concatenated. Serves as `read_tile` of `ledger.log.tiles`.

        Raises:
            CorruptError: there is no such tile, nor one it could be cut from, or it has the wrong length.
            MalformedError: level, index or width out of bounds.

        """
        ref, data = self._load(TileRef(level, index, width), TILE_BYTES)
        return checked_tile(data, level, index, ref.width)[: width * HASH_SIZE]

    def entries(self, index: int, width: int = TILE_WIDTH) -> list[bytes]:
        """Return the first `width` entries of a bundle; errors as `tile`."""
        cached = self._bundles.get(index)
        return (self._read_bundle(index, width) if cached is None else cached)[:width]

    def entry(self, index: int) -> bytes:
        """Return one entry; errors as `tile`."""
        bundle, within = divmod(index, TILE_WIDTH)
        cached = self._bundles.get(bundle)
        return (self._read_bundle(bundle, within + 1) if cached is None else cached)[within]

    def iter_bundles(self, start: int, stop: int) -> Iterator[list[bytes]]:
        """Yield the entries from `start` up to but not including `stop`, in lists of at most 256; errors as `tile`."""
        while start < stop:
            bundle, within = divmod(start, TILE_WIDTH)
            width = min(stop - bundle * TILE_WIDTH, TILE_WIDTH)
            ref, data = self._load(TileRef(None, bundle, width), MAX_BUNDLE_BYTES)
            yield _decoded(ref, data)[within:width]
            start = bundle * TILE_WIDTH + width

    def iter_entries(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield entries one by one, a bundle in memory at a time; errors as `tile`."""
        for entries in self.iter_bundles(start, stop):
            yield from entries

    def leaf_hashes(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield leaf hashes from the tiles of level 0, not from the entries; errors as `tile`."""
        while start < stop:
            index, within = divmod(start, TILE_WIDTH)
            width = min(stop - index * TILE_WIDTH, TILE_WIDTH)
            tile = self.tile(0, index, width)
            for at in range(within * HASH_SIZE, width * HASH_SIZE, HASH_SIZE):
                yield tile[at : at + HASH_SIZE]
            start = index * TILE_WIDTH + width

    def nodes(self, size: int) -> TileNodes:
        """Resolve tree nodes of the log at a size: `nodes(size).get_node` is what `ledger.log.proofs` asks for."""
        return TileNodes(size, self.tile, self._cache)

    def root(self, size: int) -> bytes:
        """Return the root of the tree at a size, from its tiles; errors as `tile`."""
        return fold_right(self.nodes(size).perfect_subtrees()) if size else EMPTY_ROOT

    def checkpoint(self) -> bytes | None:
        """Return the published checkpoint, None before the first.

        Raises:
            CorruptError: larger than any checkpoint.
            StorageError: the operating system refused.

        """
        return read_bounded(self._folder / "checkpoint", MAX_CHECKPOINT)

    def _read_bundle(self, index: int, width: int) -> list[bytes]:
        ref, data = self._load(TileRef(None, index, width), MAX_BUNDLE_BYTES)
        entries = _decoded(ref, data)
        if ref.width == TILE_WIDTH:
            if len(self._bundles) >= _CACHED_BUNDLES:
                self._bundles.pop(next(iter(self._bundles)), None)
            self._bundles[index] = entries
        return entries

    def _load(self, wanted: TileRef, limit: int) -> tuple[TileRef, bytes]:
        """Read the tile, or one that begins with it."""
        for width in _widths(self._folder, wanted):
            ref = TileRef(wanted.level, wanted.index, width)
            data = read_bounded(self._folder / ref.path, limit)
            if data is not None:
                return ref, data
        raise CorruptError("the log directory lacks this file", where=str(self._folder / wanted.path), remedy=_REMEDY)


def write_checkpoint(folder: Path, checkpoint: bytes) -> None:
    """Replace the published checkpoint atomically and durably.

    Raises:
        MalformedError: empty or over 1 MiB.
        StorageError: the operating system refused.

    """
    if not 0 < len(checkpoint) <= MAX_CHECKPOINT:
        raise MalformedError(f"a checkpoint has 1 to {MAX_CHECKPOINT} bytes", where="checkpoint")
    replace_file(folder / "checkpoint", checkpoint)


def _decoded(ref: TileRef, data: bytes) -> list[bytes]:
    try:
        return decode_entry_bundle(data, ref.width)
    except MalformedError as error:
        raise CorruptError(error.detail, where=ref.path, remedy=_REMEDY) from error


def _widths(folder: Path, wanted: TileRef) -> Iterator[int]:
    """Widths under which a tile may be found: its own, the full one, wider partial ones, and the full one again.

    For the writer may finish it, and remove the partial files, after we looked for it and before we look for them.
    """
    yield wanted.width
    yield TILE_WIDTH
    yield from (width for width in _partial_widths(folder, wanted) if width > wanted.width)
    yield TILE_WIDTH


def _partial_widths(folder: Path, ref: TileRef) -> list[int]:
    """Widths of the partial files of a tile, widest first."""
    partials = (folder / TileRef(ref.level, ref.index, 1).path).parent
    with reporting("list the partial tiles", partials):
        try:
            names = [path.name for path in partials.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
    widths = {int(name) for name in names if name.isascii() and name.isdigit() and len(name) <= len(str(TILE_WIDTH))}
    return sorted((width for width in widths if 0 < width < TILE_WIDTH), reverse=True)


def _sweep(folder: Path, size: int) -> None:
    """Remove temporary files that a crash left where the last flush wrote."""
    remove_leftovers(folder)
    for ref in [TileRef(None, size // TILE_WIDTH, 1), TileRef(0, size // TILE_WIDTH, 1), *partial_tiles(size)]:
        partials = (folder / ref.path).parent
        remove_leftovers(partials)
        remove_leftovers(partials.parent)


def _remove_partials(folder: Path, ref: TileRef) -> None:
    """Remove the partial files of a full tile. Best effort: one left over wastes space and harms nobody."""
    partials = (folder / TileRef(ref.level, ref.index, 1).path).parent
    with suppress(OSError):
        for partial in list(partials.iterdir()):
            partial.unlink()
        partials.rmdir()
