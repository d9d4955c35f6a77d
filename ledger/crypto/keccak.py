"""Keccak-256, the digest of the EVM: the sponge of FIPS 202 with the padding from before the standard.

Owns a plain Python form, because nothing in the base install has this digest, and takes the C one of PyCryptodome
instead where that is importable: the same bytes, some fifty times faster. Trusts nothing; holds no secrets. Follows the
Keccak reference, version 3.0: rate 1088, capacity 512, domain bits 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

SIZE: Final = 32
_RATE: Final = 136
_MASK: Final = (1 << 64) - 1


def _constants() -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Make the round constants, by their shift register, and the walk of rho and pi: (lane, distance) each."""
    rounds, state = [], 1
    for _ in range(24):
        constant = 0
        for j in range(7):
            if state & 1:
                constant |= 1 << ((1 << j) - 1)
            state = (state << 1) ^ (0x171 if state & 0x80 else 0)
        rounds.append(constant)
    walk, x, y = [], 1, 0
    for t in range(24):
        x, y = y, (2 * x + 3 * y) % 5
        walk.append((x + 5 * y, (t + 1) * (t + 2) // 2 % 64))
    return tuple(rounds), tuple(walk)


_ROUNDS, _WALK = _constants()


def _permute(lanes: list[int]) -> None:
    """Keccak-f[1600] on 25 lanes of 64 bits, lane x + 5y."""
    for constant in _ROUNDS:
        # theta
        c0, c1, c2, c3, c4 = (lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5))
        column = (
            c4 ^ ((c1 << 1 | c1 >> 63) & _MASK),
            c0 ^ ((c2 << 1 | c2 >> 63) & _MASK),
            c1 ^ ((c3 << 1 | c3 >> 63) & _MASK),
            c2 ^ ((c4 << 1 | c4 >> 63) & _MASK),
            c3 ^ ((c0 << 1 | c0 >> 63) & _MASK),
        )
        # rho and pi: each lane goes to the place of the next one of the walk
        lanes[0] ^= column[0]
        carried, source = lanes[1], 1
        for place, distance in _WALK:
            word = carried ^ column[source % 5]
            carried, source = lanes[place], place
            lanes[place] = (word << distance | word >> (64 - distance)) & _MASK
        # chi
        for y in (0, 5, 10, 15, 20):
            a, b, c, d, e = lanes[y : y + 5]
            lanes[y] = a ^ (~b & c)
            lanes[y + 1] = b ^ (~c & d)
            lanes[y + 2] = c ^ (~d & e)
            lanes[y + 3] = d ^ (~e & a)
            lanes[y + 4] = e ^ (~a & b)
        # iota
        lanes[0] ^= constant


def plain_keccak256(data: bytes) -> bytes:
    """Keccak-256 of `data` in plain Python: 32 bytes."""
    padding = bytearray(_RATE - len(data) % _RATE)
    padding[0] = 0x01
    padding[-1] |= 0x80
    padded = data + padding
    lanes = [0] * 25
    for start in range(0, len(padded), _RATE):
        for i in range(_RATE // 8):
            lanes[i] ^= int.from_bytes(padded[start + 8 * i : start + 8 * i + 8], "little")
        _permute(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[: SIZE // 8])


@cache
def _fastest() -> Callable[[bytes], bytes]:
    try:
        from Crypto.Hash import keccak  # noqa: PLC0415 - optional, and only chain evidence needs it
    except ImportError:
        return plain_keccak256
    return lambda data: keccak.new(digest_bits=256, data=data).digest()


def keccak256(data: bytes) -> bytes:
    """Keccak-256 of `data`: 32 bytes."""
    return _fastest()(data)
