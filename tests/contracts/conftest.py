"""A chain on loopback, and a log of any size whose tree costs nothing to compute."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from web3 import HTTPProvider, Web3

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"


def committed(name: str) -> dict[str, Any]:
    """Return the committed artifact of a contract."""
    document: dict[str, Any] = orjson.loads((CONTRACTS / "artifacts" / f"{name}.json").read_bytes())
    return document


@pytest.fixture(scope="session")
def artifact() -> dict[str, Any]:
    """Return the committed artifact of the anchor contract."""
    return committed("LedgerAnchor")


@pytest.fixture(scope="session")
def consortium() -> dict[str, Any]:
    """Return the committed artifact of the consortium contract."""
    return committed("Consortium")


@pytest.fixture(params=["LedgerAnchor", "Consortium"])
def each_artifact(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the committed artifacts of all contracts, one after the other."""
    return committed(request.param)


@pytest.fixture(scope="session")
def chain() -> Iterator[Web3]:
    """Run an empty development chain on an ephemeral port for the session."""
    found = sorted((CONTRACTS / "node_modules" / "@foundry-rs").glob("anvil-*/bin/anvil*"))
    if not found:
        pytest.skip("anvil is not installed: run `npm ci` in contracts/")
    command = [str(found[0]), "--host", "127.0.0.1", "--port", "0", "--no-cors", "--hardfork", "prague"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            port = next(m[1] for line in process.stdout if (m := re.search(r"Listening on 127\.0\.0\.1:(\d+)", line)))
            yield Web3(HTTPProvider(f"http://127.0.0.1:{port}"))
        finally:
            process.kill()


@dataclass(slots=True)
class GrowingLog:
    """A log in which all entries after the genesis entry are alike, so that equal subtrees are hashed once."""

    genesis: bytes
    filler: bytes = sha256(b"\x00filler").digest()
    known: dict[tuple[bool, int], bytes] = field(default_factory=dict)

    def subtree(self, first: int, end: int) -> bytes:
        """Return the hash of entries `first` to `end` (exclusive), RFC 9162 2.1.1."""
        key = (first == 0, end - first)
        if key not in self.known:
            if end - first == 1:
                self.known[key] = self.genesis if first == 0 else self.filler
            else:
                middle = first + split(end - first)
                children = self.subtree(first, middle) + self.subtree(middle, end)
                self.known[key] = sha256(b"\x01" + children).digest()
        return self.known[key]

    def root(self, size: int) -> bytes:
        """Return the root at a size."""
        return self.subtree(0, size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the consistency path as RFC 9162 2.1.4.1 defines it."""
        return self._consistency(old, 0, new, whole=True)

    def _consistency(self, old: int, first: int, end: int, *, whole: bool) -> list[bytes]:
        size = end - first
        if old == size:
            return [] if whole else [self.subtree(first, end)]
        k = split(size)
        if old <= k:
            return [*self._consistency(old, first, first + k, whole=whole), self.subtree(first + k, end)]
        return [*self._consistency(old - k, first + k, end, whole=False), self.subtree(first, first + k)]


def split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


@pytest.fixture
def growing_log() -> GrowingLog:
    """Return a log whose genesis leaf hash is a fixed value."""
    return GrowingLog(sha256(b"\x00genesis").digest())
