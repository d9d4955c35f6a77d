"""The state tree in the index's LevelDB: versioned pages, written copy on write with the records (DESIGN section 5).

Owns the keyspaces below. The version of a page is the number of the batch that was open when it was written: manifest b
closes version b and belongs to version b + 1 itself. A page of an older version is never written again; its successor
gets a key of its own, and every page names the versions of its children, so each read is one exact look-up and new keys
are appended behind the old ones. Everything that one update changes goes into the caller's atomic write batch.

| key | value |
|---|---|
| `00` "tree" | open version, version of the root page (8 each), root (32), oldest batch kept, bytes superseded (8) |
| `73` version (8), place | page (`ledger.store.state_pages`); inner pages near the root when the version closes |
| `74` batch (8) | version of the root page (8), root hash (32): the tree that the batch's manifest commits to |
| `78` version (8), entries covered (8) | bytes of the pages superseded in it (8), then their versions and places |
| `79` pinned batch (8), version (8), entries covered (8) | the same, of pages that a pinned batch still needs |

A batch can be proven against while its `74` row is there. The last `batches` are kept, fewer where the superseded pages
outgrow `size`; of older ones those that are pinned. Pruning goes along with updates, in steps that their size bounds.

Inner pages near the root change with nearly every update and are in memory anyway, so those of the open version are
written once, when it closes. After a crash they are made anew from the pages of that version below them.
One thread updates; any may read and prove, because what it reads is never changed, only pruned.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from ledger.errors import CorruptError, LedgerError, MalformedError
from ledger.state.proofs import StateProof, make_state_proof
from ledger.state.tree import EMPTY, record_hash
from ledger.store.state_nodes import PageNode
from ledger.store.state_pages import (
    FULL,
    INNER_SIZE,
    InnerPage,
    Leaf,
    LeafPage,
    Page,
    Sum,
    above,
    nibble,
    place,
    place_size,
    unpack_page,
)

META: Final = b"\x00tree"
PAGES: Final = b"s"
ROOTS: Final = b"t"
STALE: Final = b"x"
PINNED: Final = b"y"
CACHED_DEPTH: Final = 3
"""Inner pages to which at most so many nibbles lead stay in memory: 4,369 at the most, some 15 MB."""
CACHED_LEAVES: Final = 65_536
"""Leaf pages written last that stay in memory, as bytes: those of a million records, 90 MB, 130 MB at the most. A read
that is spared costs 5 to 30 us, and is a turn not to be waited for beside the busy main thread."""
LEAST: Final = 16
"""Batches that are kept however large their superseded pages are."""
MAX_PINS: Final = 64
_STEP: Final = 256
"""Pages pruned with an update in any case; beyond, three times as many as the update wrote."""
_FLOOR_STEP: Final = 64
_META: Final = struct.Struct(">QQ32sQQ")
_ROOT: Final = struct.Struct(">Q32s")
_U64: Final = struct.Struct(">Q")
_MAX_UINT64: Final = 2**64 - 1
_REMEDY: Final = "Run tial index rebuild: the tree holds nothing that the log does not"

Get = Callable[[bytes], bytes | None]


class NotRetainedError(LedgerError):
    """The tree of that batch is not kept any more, or there is no such closed batch yet."""

    code: ClassVar[str] = "not-retained"


class Writes(Protocol):
    """An atomic batch of writes."""

    def put(self, key: bytes, value: bytes, /) -> None:
        """Set a value."""
        ...

    def delete(self, key: bytes, /) -> None:
        """Remove a key."""
        ...


def no_pins() -> Collection[int]:
    """Pin nothing."""
    return ()


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept: the last `batches`, while superseded pages fill at most `size` bytes."""

    batches: int = 2_048
    size: int = 4 << 30


@dataclass(slots=True)
class _State:
    """What the `00` "tree" row says."""

    version: int = 1
    root_version: int = 0
    root: bytes = EMPTY
    floor: int = 1
    superseded: int = 0

    def pack(self) -> bytes:
        return _META.pack(self.version, self.root_version, self.root, self.floor, self.superseded)


class StateTree:
    """The tree of one index. `stage` and `settle` belong to the thread that updates."""

    def __init__(self, database: Any, get: Get, path: Path, retention: Retention) -> None:
        """`get` reads one key and explains the store's errors; CorruptError where the tree's own row is none."""
        self._database = database
        self._get = get
        self._path = path
        self._retention = retention
        self.pins: Callable[[], Collection[int]] = no_pins
        """Names further batches to keep. Asked at each close of a batch, in the thread that updates; of its numbers
        the `MAX_PINS` largest count."""
        raw = get(META)
        if raw is not None and len(raw) != _META.size:
            raise CorruptError("the state tree's own row cannot be read", where=str(path), remedy=_REMEDY)
        self._state = _State() if raw is None else _State(*_META.unpack(raw))
        self._next = self._state
        self._cache: dict[bytes, InnerPage] = {}
        self._recent: dict[bytes, bytes] = {}
        self._held: dict[bytes, InnerPage] = {}  # pages of the open version that are written when it closes
        self._held_lost = True  # or there are none: the first update looks
        self._writes: Writes | None = None
        self._stale: list[bytes] = []
        self._stale_bytes = 0
        self._written = 0
        self._pruned_to = STALE
        self._kept = self._pins_kept()
        self._pins_lost = True  # or not: the first update looks
        self._handed: dict[bytes, list[bytes]] = {}

    # -- questions ------------------------------------------------------------------------------------------------

    @property
    def current(self) -> bytes:
        """Root (32 bytes) of the tree over all records, those of the open batch included."""
        return self._state.root

    @property
    def newest(self) -> int:
        """Number of the newest closed batch; 0 before there is one."""
        return self._state.version - 1

    @property
    def oldest(self) -> int:
        """The oldest batch that is kept without being pinned."""
        return self._state.floor

    def root(self, batch: int | None = None) -> bytes:
        """Root (32 bytes) that the manifest of `batch` commits to, by default of the newest closed one.

        NotRetainedError where it was pruned, or there is no such closed batch.
        """
        return self._root_of(self.newest if batch is None else batch)[1]

    def prove(self, keys: Iterable[bytes], batch: int | None = None) -> tuple[StateProof, bytes]:
        """Prove what the state held under these keys at the close of `batch`; returns the proof and the root.

        Raises:
            NotRetainedError: as `root`.
            MalformedError: no key, too many, or one that has not 32 bytes.
            CorruptError: a page is missing or damaged.

        """
        number = self.newest if batch is None else batch
        version, root = self._root_of(number)
        try:
            top = PageNode.top(self._page, version)
            proof = make_state_proof(top, keys)
        except CorruptError:
            self._root_of(number)  # pruned meanwhile: then that is the reason
            raise
        if top.hash != root:
            raise CorruptError(f"the pages of batch {number} give another root", where=str(self._path), remedy=_REMEDY)
        return proof, root

    def _root_of(self, batch: int) -> tuple[int, bytes]:
        raw = self._get(ROOTS + _U64.pack(batch)) if 0 <= batch <= _MAX_UINT64 else None
        if raw is None:
            oldest, newest = self._state.floor, self.newest
            raise NotRetainedError(
                f"No tree is kept of batch {batch}",
                where="batch",
                remedy=f"Ask for one of the batches {oldest} to {newest}; `state.retain` sets how many are kept",
            )
        version, root = _ROOT.unpack(raw)
        return version, root

    def _page(self, version: int, where: bytes) -> Page:
        raw = self._get(PAGES + _U64.pack(version) + where)
        if raw is None:
            raise CorruptError(
                f"page {where.hex()} of version {version} of the state tree is missing",
                where=str(self._path),
                remedy=_REMEDY,
            )
        return unpack_page(raw, where[0])

    # -- updates --------------------------------------------------------------------------------------------------

    def stage(self, writes: Writes, covers: int, records: Sequence[tuple[bytes, bytes]], closed: Sequence[int]) -> None:
        """Add to `writes` what these records (key, encoded record) change once these batches are closed.

        Of several records with one key the last counts. Nothing is so before `settle`; after a write that failed, call
        `forget`.

        Raises:
            MalformedError: a batch is closed out of order.
            CorruptError: a page is missing or damaged.

        """
        now = self._state
        if self._held_lost:
            self._hold_again()
        self._next = state = _State(now.version, now.root_version, now.root, now.floor, now.superseded)
        self._writes, self._written = writes, 0
        self._stale, self._stale_bytes = [], 0
        for batch in closed:
            if not state.version <= batch + 1 <= _MAX_UINT64:
                raise MalformedError(f"batch {batch} closes after batch {state.version - 1}", where="index update")
            prefix = PAGES + _U64.pack(state.version)
            for where, page in self._held.items():
                writes.put(prefix + where, page.pack())
            self._held.clear()
            writes.put(ROOTS + _U64.pack(batch), _ROOT.pack(state.root_version, state.root))
            state.version = batch + 1
        if records:
            hashes = {key: record_hash(record) for key, record in records}
            leaves = [(key, hashes[key]) for key in sorted(hashes)]
            root = self._build(leaves, 0) if not state.root_version else self._update(leaves, 0, state.root_version)
            state.root, state.root_version = root[0], state.version
        if self._stale:
            row = STALE + _U64.pack(state.version) + _U64.pack(covers)
            writes.put(row, b"".join((_U64.pack(self._stale_bytes), *self._stale)))
            state.superseded += self._stale_bytes
        if closed:
            self._raise_floor()
        self._prune()
        writes.put(META, state.pack())

    def settle(self) -> None:
        """What was staged is written."""
        self._state = self._next
        self._writes = None

    def forget(self) -> None:
        """What was staged is not written, or nobody knows."""
        self._next = self._state
        self._writes = None
        self._cache.clear()
        self._recent.clear()
        self._held.clear()
        self._held_lost = True
        self._pruned_to = STALE
        self._kept = self._pins_kept()
        self._pins_lost = True

    def _hold_again(self) -> None:
        """Make the upper inner pages of the open version, which nobody wrote yet, from those before and those below."""
        state = self._state
        if state.root_version == state.version:
            raw = self._get(ROOTS + _U64.pack(state.version - 1))
            before = 0 if raw is None else _ROOT.unpack(raw)[0]
            sums = self._sums_below()
            for depth in range(CACHED_DEPTH + 1, 0, -1):
                changed: set[bytes] = set()
                for where, found in sums[depth].items():
                    parent, child = above(where)
                    page = self._held.get(parent) or self._inner_before(parent, before)
                    page.put(child, found, state.version)
                    self._held[parent] = page
                    changed.add(parent)
                for parent in changed:
                    page = self._held[parent]
                    page.settle(range(16))
                    sums[depth - 1][parent] = page.sum()
            if sums[0].get(place(b"", 0), (EMPTY, 0))[0] != state.root:
                raise CorruptError(
                    "the open pages of the state tree give another root", where=str(self._path), remedy=_REMEDY
                )
            self._cache.update(self._held)
        self._held_lost = False

    def _sums_below(self) -> list[dict[bytes, Sum]]:
        """By depth and place, what the pages hold that were written in the open version, down to where all are."""
        sums: list[dict[bytes, Sum]] = [{} for _ in range(CACHED_DEPTH + 2)]
        prefix = PAGES + _U64.pack(self._state.version)
        with self._database.iterator(prefix=prefix, verify_checksums=True) as rows:
            for key, raw in rows:
                where = key[len(prefix) :]
                if where[0] > CACHED_DEPTH + 1:
                    break
                sums[where[0]][where] = unpack_page(raw, where[0]).sum()
        return sums

    def _inner_before(self, where: bytes, version: int) -> InnerPage:
        """The inner page at a place in the tree whose root page has this version, or a new one where there is none."""
        for depth in range(where[0] + 1):
            page = self._page(version, place(where[1:], depth)) if version else None
            if not isinstance(page, InnerPage):
                break
            if depth == where[0]:
                return page
            version = page.versions[nibble(where[1:], depth)]
        return InnerPage.empty()

    def _update(self, leaves: list[Leaf], depth: int, version: int) -> Sum:
        """Take leaves into the page of `version` on their common way."""
        key = leaves[0][0]
        where = place(key, depth)
        page: Page | None = self._cache.get(where) if depth <= CACHED_DEPTH else None
        if page is None:
            raw = self._recent.pop(where, None)
            page = self._page(version, where) if raw is None else unpack_page(raw, depth)
        now = self._next.version
        if isinstance(page, LeafPage):
            if version != now:
                self._supersede(version, where, page.size)
            if len(leaves) > FULL:  # more than any page holds, whatever it held before
                merged = dict(page.leaves())
                merged.update(leaves)
                return self._part(sorted(merged.items()), depth, where)
            page.put(leaves)
            if page.count > FULL:
                return self._part(page.leaves(), depth, where)
            self._write(where, page)
            return page.sum()
        if version != now:
            self._supersede(version, where, INNER_SIZE)
        changed = []
        for child, some in _by_nibble(leaves, depth):
            held = page.versions[child]
            found = self._update(some, depth + 1, held) if held else self._build(some, depth + 1)
            page.put(child, found, now)
            changed.append(child)
        page.settle(changed)
        self._write(where, page)
        return page.sum()

    def _build(self, leaves: list[Leaf], depth: int) -> Sum:
        """Make the pages of a subtree that had none."""
        where = place(leaves[0][0], depth)
        if len(leaves) > FULL:
            return self._part(leaves, depth, where)
        page = LeafPage.empty(depth)
        page.put(leaves)
        self._write(where, page)
        return page.sum()

    def _part(self, leaves: list[Leaf], depth: int, where: bytes) -> Sum:
        """Make an inner page over leaves that are too many for one page."""
        page = InnerPage.empty()
        for child, some in _by_nibble(leaves, depth):
            page.put(child, self._build(some, depth + 1), self._next.version)
        page.settle(range(16))
        self._write(where, page)
        return page.sum()

    def _write(self, where: bytes, page: Page) -> None:
        if isinstance(page, InnerPage) and where[0] <= CACHED_DEPTH:
            self._cache[where] = self._held[where] = page
            return
        packed = page.pack()
        if isinstance(page, LeafPage):
            recent = self._recent
            if len(recent) >= CACHED_LEAVES:
                del recent[next(iter(recent))]
            recent[where] = packed
        assert self._writes is not None
        self._writes.put(PAGES + _U64.pack(self._next.version) + where, packed)
        self._written += 1

    def _supersede(self, version: int, where: bytes, size: int) -> None:
        self._stale.append(_U64.pack(version) + where)
        self._stale_bytes += size

    # -- pruning --------------------------------------------------------------------------------------------------

    def _pins_kept(self) -> set[int]:
        """Batches below the floor whose trees are still there: they were pinned when the floor rose above them."""
        rows = self._database.iterator(
            start=ROOTS, stop=ROOTS + _U64.pack(self._state.floor), include_value=False, verify_checksums=True
        )
        with rows:
            return {int.from_bytes(key[1:], "big") for key in rows}

    def _raise_floor(self) -> None:
        """Let go of batches that are too old, or too large together, and of pins that are none any more."""
        writes, state, retention = self._writes, self._next, self._retention
        assert writes is not None
        wanted = set(sorted(self.pins())[-MAX_PINS:])
        floor = max(state.floor, state.version - retention.batches)
        if state.superseded > retention.size:
            floor = max(floor, min(state.floor + 8, state.version - LEAST))
        floor = min(floor, state.floor + _FLOOR_STEP)
        for batch in range(state.floor, floor):
            if batch in wanted:
                self._kept.add(batch)
            else:
                writes.delete(ROOTS + _U64.pack(batch))
        state.floor = floor
        for batch in self._kept - wanted:
            writes.delete(ROOTS + _U64.pack(batch))
            self._kept.discard(batch)
            self._pins_lost = True

    def _prune(self) -> None:
        """Remove superseded pages that no kept tree needs, or hand them to a pin that does."""
        writes = self._writes
        assert writes is not None
        self._handed = {}
        left = max(_STEP, 3 * self._written)
        if self._pins_lost:
            left = self._prune_lost_pins(left)
            self._pins_lost = left <= 0
        if left > 0:
            self._prune_below_floor(left)
        for key, names in self._handed.items():
            held = self._get(key) or bytes(_U64.size)  # pins share the pages of a row, and inherit from one another
            writes.put(key, b"".join((held, *names)))

    def _prune_below_floor(self, left: int) -> None:
        last = STALE + _U64.pack(self._next.floor + 1)
        if self._pruned_to >= last:
            return
        rows = self._database.iterator(start=self._pruned_to, stop=last, verify_checksums=True)
        with rows:
            for key, row in rows:
                if left <= 0:
                    self._pruned_to = key
                    return
                left -= self._drop(key, row, key[1:])
                self._next.superseded -= int.from_bytes(row[: _U64.size], "big")
        self._pruned_to = last

    def _prune_lost_pins(self, left: int) -> int:
        """Go on with rows of pages that were kept for pins which are none any more; returns what is left to do."""
        low = 0
        for pin in [*sorted(self._kept), _MAX_UINT64]:
            start, stop = PINNED + _U64.pack(low), PINNED + _U64.pack(pin)
            with self._database.iterator(start=start, stop=stop, verify_checksums=True) as rows:
                for key, row in rows:
                    if left <= 0:
                        return 0
                    left -= self._drop(key, row, key[9:])
            low = pin + 1
        return left

    def _drop(self, key: bytes, row: bytes, when: bytes) -> int:
        """Remove the pages that a row names, except what a pin needs; returns how many there are.

        `when` (16 bytes): the version that they were superseded in, and the entries covered then.
        """
        writes = self._writes
        assert writes is not None
        superseded = int.from_bytes(when[: _U64.size], "big")
        count = 0
        for name in _names(row):
            version = int.from_bytes(name[: _U64.size], "big")
            holder = max((pin for pin in self._kept if version <= pin < superseded), default=None)
            if holder is None:
                writes.delete(PAGES + name)
            else:
                self._handed.setdefault(PINNED + _U64.pack(holder) + when, []).append(name)
            count += 1
        writes.delete(key)
        return count


def _by_nibble(leaves: list[Leaf], depth: int) -> list[tuple[int, list[Leaf]]]:
    """Part leaves, which are in order of their keys, by the nibble that chooses the child."""
    if len(leaves) == 1:
        return [(nibble(leaves[0][0], depth), leaves)]
    byte, shift = depth >> 1, 0 if depth & 1 else 4
    parted: list[tuple[int, list[Leaf]]] = []
    chosen, some = -1, leaves
    for leaf in leaves:
        child = leaf[0][byte] >> shift & 15
        if child == chosen:
            some.append(leaf)
        else:
            chosen, some = child, [leaf]
            parted.append((child, some))
    return parted


def _names(row: bytes) -> Iterator[bytes]:
    """The pages that a row of superseded pages names: version and place of each."""
    at = _U64.size
    while at < len(row):
        end = at + 8 + place_size(row[at + 8])
        yield row[at:end]
        at = end
