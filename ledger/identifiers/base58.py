"""Base58 in two alphabets: Bitcoin's, which multibase calls `z`, and that of the Starfire chain's identifiers.

A text of the one alphabet is mostly legal in the other and decodes to something else of the same length: the caller
must know which it holds. Leading zero bytes are leading first characters of the alphabet.
"""

from __future__ import annotations

BITCOIN = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
STARFIRE = "123456789AbCDEFGHJKLMNPQRSTuVWXYZaBcdefghijkmnopqrstUvwxyz"  # B, b and U, u change places

_VALUES = {name: {char: value for value, char in enumerate(name)} for name in (BITCOIN, STARFIRE)}


def encode(raw: bytes, alphabet: str) -> str:
    """Write bytes in base58."""
    number = int.from_bytes(raw)
    chars = []
    while number:
        number, digit = divmod(number, 58)
        chars.append(alphabet[digit])
    zeros = len(raw) - len(raw.lstrip(b"\x00"))
    return alphabet[0] * zeros + "".join(reversed(chars))


def decode(text: str, alphabet: str) -> bytes:
    """Read base58; ValueError with the index of the first wrong character. Callers bound the length."""
    values = _VALUES[alphabet]
    number = 0
    for index, char in enumerate(text):
        value = values.get(char)
        if value is None:
            raise ValueError(index)
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip(alphabet[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)
