"""An independent, slow state tree: the oracle for the real one. Straight from DESIGN section 5, by bit strings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

EMPTY = bytes(32)


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def bits(key: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in key)


class NaiveTree:
    """The tree over {key: record}; every question is answered from the whole of it."""

    def __init__(self, records: Mapping[bytes, bytes]) -> None:
        self.items = sorted((bits(key), key, sha(record)) for key, record in records.items())

    def under(self, prefix: str) -> list[tuple[str, bytes, bytes]]:
        return [item for item in self.items if item[0].startswith(prefix)]

    def hash(self, prefix: str = "") -> bytes:
        items = self.under(prefix)
        if not items:
            return EMPTY
        if len(items) == 1:
            return sha(b"\x10" + items[0][1] + items[0][2])
        return sha(b"\x11" + self.hash(prefix + "0") + self.hash(prefix + "1"))

    def end(self, key: bytes) -> int:
        path = bits(key)
        return next(depth for depth in range(257) if len(self.under(path[:depth])) < 2)

    def proof(self, key: bytes) -> tuple[int, tuple[bytes, bytes] | None, list[bytes]]:
        """(depth, foreign leaf, siblings root first) for one key."""
        path, depth = bits(key), self.end(key)
        found = self.under(path[:depth])
        other = found[0][1:] if found and found[0][1] != key else None
        flip = {"0": "1", "1": "0"}
        return depth, other, [self.hash(path[:at] + flip[path[at]]) for at in range(depth)]

    def multiproof(self, keys: list[bytes]) -> tuple[list[int], list[tuple[bytes, bytes] | None], list[bytes]]:
        """The proof for several keys: siblings by level, then by path."""
        keys = sorted(keys)
        paths = [bits(key)[: self.end(key)] for key in keys]
        inner = {path[:at] for path in paths for at in range(len(path))}
        beside = {node + side for node in inner for side in "01"} - inner - set(paths)
        order = sorted(beside, key=lambda prefix: (len(prefix), prefix))
        return [len(p) for p in paths], [self.proof(k)[1] for k in keys], [self.hash(p) for p in order]
