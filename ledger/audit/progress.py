"""How far an audit has come: the tree so far, the anchors compared on the way, and the file from which it goes on.

Owns `progress.json` in the auditor's work folder. The index beside it says by itself how many entries it covers; this
file may lag behind it, never the reverse, and what lies between is read again. A file that does not fit, or that was
written against other anchors, is no harm: the audit begins anew. Trusts the auditor's own folder.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from ledger.errors import LedgerError
from ledger.log.tree import CompactRange
from ledger.store.durable import read_bounded, replace_file

_FORMAT: Final = 1
_LIMIT: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Anchor:
    """What an anchor says: the log had `root` at `size`, in a block of `time` (Unix seconds; 0: not told)."""

    size: int
    root: bytes
    time: int = 0


class AnchoredRange(CompactRange):
    """The log's growing tree, compared with every anchor as it passes the anchored size."""

    __slots__ = ("_anchors", "_at", "_digest", "wrong")

    def __init__(self, anchors: Iterable[Anchor] = ()) -> None:
        super().__init__()
        self._anchors = sorted(anchors, key=lambda anchor: (anchor.size, anchor.root))
        self._at = 0
        self._digest = hashlib.sha256()
        self.wrong: list[tuple[Anchor, bytes]] = []
        """Anchors of another root, with the root that the entries give."""
        self._compare()

    @property
    def compared(self) -> int:
        """How many anchors were passed."""
        return self._at

    @property
    def newest(self) -> Anchor | None:
        """The largest anchor passed."""
        return self._anchors[self._at - 1] if self._at else None

    def anchors_passed(self) -> list[Anchor]:
        """The anchors passed, by size."""
        return self._anchors[: self._at]

    @property
    def ahead(self) -> int:
        """How many anchors lie beyond the tree."""
        return len(self._anchors) - self._at

    def extend(self, leaf_hashes: Sequence[bytes]) -> list[list[bytes]]:
        """Add leaf hashes, stopping at each anchored size; returns what `CompactRange.extend` does."""
        completed: list[list[bytes]] = []
        done = 0
        while done < len(leaf_hashes):
            following = self._anchors[self._at].size - self.size if self.ahead else len(leaf_hashes)
            part = leaf_hashes[done : done + following]
            for level, row in enumerate(super().extend(part)):
                if level == len(completed):
                    completed.append([])
                completed[level] += row
            done += len(part)
            self._compare()
        return completed

    def _compare(self) -> None:
        while self.ahead and self._anchors[self._at].size <= self.size:
            anchor = self._anchors[self._at]
            root = self.root()
            if anchor.size != self.size or anchor.root != root:
                self.wrong.append((anchor, root))
            self._digest.update(anchor.size.to_bytes(8, "big") + anchor.root)
            self._at += 1

    def passed(self) -> list[object]:
        """What identifies the anchors passed: their number and a digest over sizes and roots."""
        return [self._at, self._digest.hexdigest()]

    def resume(self, size: int, hashes: Sequence[bytes], passed: list[object], wrong: Iterable[list[object]]) -> bool:
        """Take up an earlier run at `size`; False where it had passed other anchors than these."""
        earlier = CompactRange.from_hashes(size, hashes)
        self._size, self._hashes = earlier.size, list(earlier.hashes)
        while self.ahead and self._anchors[self._at].size <= size:
            anchor = self._anchors[self._at]
            self._digest.update(anchor.size.to_bytes(8, "big") + anchor.root)
            self._at += 1
        for index, root in wrong:
            if type(index) is not int or type(root) is not str:
                return False
            self.wrong.append((self._anchors[index], bytes.fromhex(root)))
        return passed == self.passed()

    def wrong_places(self) -> list[list[object]]:
        """The wrong anchors as `resume` takes them."""
        return [[self._anchors.index(anchor), root.hex()] for anchor, root in self.wrong]


def save(path: Path, log_id: bytes, tree: AnchoredRange, counts: Counter[str]) -> None:
    """Write how far the audit of a log has come: `counts` are the types of the first `tree.size` entries."""
    told = {
        "format": _FORMAT,
        "log": log_id.hex(),
        "size": tree.size,
        "hashes": [value.hex() for value in tree.hashes],
        "counts": dict(counts),
        "anchors": tree.passed(),
        "wrong": tree.wrong_places(),
    }
    replace_file(path, orjson.dumps(told))


def load(path: Path, log_id: bytes, anchors: Sequence[Anchor]) -> tuple[AnchoredRange, Counter[str]] | None:
    """Read it back; None where there is nothing that fits this log and these anchors."""
    raw = read_bounded(path, _LIMIT)
    if raw is None:
        return None
    tree = AnchoredRange(anchors)
    try:
        told = orjson.loads(raw)
        if told["format"] != _FORMAT or told["log"] != log_id.hex():
            return None
        hashes = [bytes.fromhex(value) for value in told["hashes"]]
        if not tree.resume(told["size"], hashes, told["anchors"], told["wrong"]):
            return None
        counts = Counter({str(name): int(count) for name, count in told["counts"].items()})
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, LedgerError):
        return None
    return (tree, counts) if counts.total() == tree.size else None
