"""Public keys from signatures on secp256k1 (SEC 1 version 2.0, section 4.1.6).

Owns the curve arithmetic that recovery takes and that nothing in the base install offers, in plain Python. It handles
public values only: nothing here is safe for secrets, whose use shows in the time that it takes. Trusts nothing.
"""

from __future__ import annotations

from typing import Final, TypeAlias

_P: Final = 2**256 - 2**32 - 977
_N: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_G: Final = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)

_Affine: TypeAlias = "tuple[int, int] | None"
_Jacobian: TypeAlias = tuple[int, int, int]  # z = 0: the point at infinity

_INFINITY: Final[_Jacobian] = (0, 1, 0)


def _double(point: _Jacobian) -> _Jacobian:
    x, y, z = point
    if not z:
        return _INFINITY
    square = y * y % _P
    s = 4 * x * square % _P
    m = 3 * x * x % _P
    out = (m * m - 2 * s) % _P
    return out, (m * (s - out) - 8 * square * square) % _P, 2 * y * z % _P


def _add(point: _Jacobian, other: tuple[int, int]) -> _Jacobian:
    """Add an affine point."""
    x, y, z = point
    if not z:
        return other[0], other[1], 1
    squared = z * z % _P
    h = (other[0] * squared - x) % _P
    r = (other[1] * squared * z - y) % _P
    if not h:
        return _INFINITY if r else _double(point)
    hh = h * h % _P
    hhh = h * hh % _P
    v = x * hh % _P
    out = (r * r - hhh - 2 * v) % _P
    return out, (r * (v - out) - y * hhh) % _P, h * z % _P


def _affine(point: _Jacobian) -> _Affine:
    x, y, z = point
    if not z:
        return None
    inverse = pow(z, -1, _P)
    square = inverse * inverse % _P
    return x * square % _P, y * square * inverse % _P


def _combine(a: int, point: tuple[int, int], b: int, other: tuple[int, int]) -> _Affine:
    """Return a * point + b * other, both at once, from the highest bit down."""
    both = _affine(_add((*point, 1), other))
    total = _INFINITY
    for i in range(max(a.bit_length(), b.bit_length()) - 1, -1, -1):
        total = _double(total)
        bits = (a >> i & 1) + 2 * (b >> i & 1)
        if bits == 3:
            total = _add(total, both) if both else total
        elif bits:
            total = _add(total, point if bits == 1 else other)
    return _affine(total)


def recover_point(digest: bytes, r: int, s: int, parity: int) -> tuple[int, int] | None:
    """Coordinates of the public key that signed a 32-byte digest with (r, s); None where there is no such key.

    `parity`, 0 or 1, is that of y of the point whose x is r. An x at or above the order, one in 2^128, is not looked
    for. Whoever holds the key of the result made the signature: verification would only repeat the sum.
    """
    if parity not in {0, 1} or not 0 < r < _N or not 0 < s < _N:
        return None
    square = (r * r * r + 7) % _P
    y = pow(square, (_P + 1) // 4, _P)
    if y * y % _P != square:
        return None
    if y & 1 != parity:
        y = _P - y
    inverse = pow(r, -1, _N)
    z = int.from_bytes(digest, "big") % _N
    return _combine(-z * inverse % _N, _G, s * inverse % _N, (r, y))
