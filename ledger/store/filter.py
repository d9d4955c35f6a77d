"""A filter in memory that answers "never seen" for most keys that are not in the index.

Every registration asks for a record that is not there yet. LevelDB would answer from its tables' filters, but only
while the tables are open, and open tables are memory. This filter is of constant size (32 MiB): at 10 million keys one
absent key in a thousand still goes to LevelDB, at 40 million one in twenty; beyond that it is not used. It is saved
when the index is closed and made anew by one pass over the keys after a crash, so it never claims to be newer than it
is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from ledger.store.durable import read_bounded, remove_file, replace_file

BITS = 1 << 28
MAX_KEYS = 40_000_000
_SIZE = BITS >> 3
_MASK = BITS - 1
_THREE = struct.Struct("<III")
_HEAD = struct.Struct(">8sQ")
_MAGIC = b"tialflt1"


class KeyFilter:
    """A Bloom filter with three probes, taken straight from keys that are SHA-256 digests already."""

    __slots__ = ("_bits",)

    def __init__(self, bits: bytearray | None = None) -> None:
        self._bits = bytearray(_SIZE) if bits is None else bits

    def add(self, keys: Iterable[bytes]) -> None:
        """Remember keys of 32 bytes."""
        bits, split = self._bits, _THREE.unpack_from
        for key in keys:
            one, two, three = split(key)
            one, two, three = one & _MASK, two & _MASK, three & _MASK
            bits[one >> 3] |= 1 << (one & 7)
            bits[two >> 3] |= 1 << (two & 7)
            bits[three >> 3] |= 1 << (three & 7)

    def may_hold(self, key: bytes) -> bool:
        """False only for a key that was never added."""
        bits = self._bits
        one, two, three = _THREE.unpack_from(key)
        one, two, three = one & _MASK, two & _MASK, three & _MASK
        return bool(
            bits[one >> 3] >> (one & 7) & 1 and bits[two >> 3] >> (two & 7) & 1 and bits[three >> 3] >> (three & 7) & 1
        )

    def save(self, path: Path, covers: int) -> None:
        """Write the filter beside the index that covers `covers` entries."""
        replace_file(path, _HEAD.pack(_MAGIC, covers) + self._bits)

    @classmethod
    def take(cls, path: Path, covers: int) -> KeyFilter | None:
        """Read a saved filter and remove the file, so that a crash leaves none behind; None unless it fits `covers`."""
        data = read_bounded(path, _HEAD.size + _SIZE)
        if data is None:
            return None
        remove_file(path)
        if len(data) != _HEAD.size + _SIZE or _HEAD.unpack_from(data) != (_MAGIC, covers):
            return None
        return cls(bytearray(data[_HEAD.size :]))
