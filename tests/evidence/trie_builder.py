"""An independent, naive builder of Merkle-Patricia tries: from a whole dictionary, by recursion, with `rlp`."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_utils.crypto import keccak


def _path(key: bytes) -> tuple[int, ...]:
    return tuple(int(digit, 16) for digit in key.hex())


def _compact(path: tuple[int, ...], *, leaf: bool) -> bytes:
    flag = (2 if leaf else 0) + len(path) % 2
    digits = ([flag] if len(path) % 2 else [flag, 0]) + list(path)
    return bytes(16 * high + low for high, low in zip(digits[::2], digits[1::2], strict=True))


class Trie:
    """The trie of a dictionary: its root, and the proof of any key as EIP-1186 gives it."""

    def __init__(self, entries: dict[bytes, bytes]) -> None:
        self.stored: dict[bytes, bytes] = {}
        node = self._build({_path(key): value for key, value in entries.items()})
        raw = rlp.encode(node)
        self.root = keccak(raw)
        if entries:
            self.stored[self.root] = raw

    @property
    def nodes(self) -> list[bytes]:
        return list(self.stored.values())

    def _build(self, entries: dict[tuple[int, ...], bytes]) -> Any:
        if not entries:
            return b""
        if len(entries) == 1:
            ((path, value),) = entries.items()
            return [_compact(path, leaf=True), value]
        shared = tuple(digits[0] for digits in takewhile(lambda d: len(set(d)) == 1, zip(*entries, strict=False)))
        if shared:
            below = {path[len(shared) :]: value for path, value in entries.items()}
            return [_compact(shared, leaf=False), self._refer(self._build(below))]
        node = []
        for digit in range(16):
            below = {path[1:]: value for path, value in entries.items() if path and path[0] == digit}
            node.append(self._refer(self._build(below)))
        return [*node, entries.get((), b"")]

    def _refer(self, node: Any) -> Any:
        raw = rlp.encode(node)
        if node == b"" or len(raw) < 32:
            return node
        self.stored[keccak(raw)] = raw
        return keccak(raw)
