"""The file that an evidence bundle travels in: the format's name, and the bundle's content made small.

Owns the outer form, the deterministic CBOR array ["tial-evidence-v1", size, deflated]: `deflated` is the content in the
zlib format (RFC 1950), `size` its bytes before. Statements of one log repeat names and identifiers, so that a bundle
shrinks to half; hashes do not. Nothing is signed over these bytes: what counts is the content, and it comes out whole
or not at all, never larger than it says.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

from ledger.errors import MalformedError
from ledger.statements.cbor import check_count, decode, encode

FORMAT: Final = "tial-evidence-v1"
MAX_CONTENT: Final = 16 << 20
"""Bytes of content, documents included."""
MAX_BUNDLE: Final = MAX_CONTENT + (64 << 10)
"""Bytes of a file: what cannot be made smaller grows by its frame."""
FREE: Final = 1 << 20
RATIO: Final = 64
"""Content beyond FREE bytes may be so many times as large as the file: a small file must not make much work."""
_ITEMS: Final = 4  # the array and what is in it
BEGINNING: Final = b"\x83" + encode(FORMAT)
"""The bytes that every such file begins with."""


def pack(content: bytes) -> bytes:
    """Make the file; MalformedError where the content is larger than a bundle may be."""
    if len(content) > MAX_CONTENT:
        raise MalformedError(f"a bundle holds at most {MAX_CONTENT} bytes, not {len(content)}", where="bundle")
    deflated = zlib.compress(content, 9)
    if len(content) > max(FREE, RATIO * len(deflated)):
        deflated = zlib.compress(content, 0)
    return encode([FORMAT, len(content), deflated])


def unpack(raw: bytes) -> bytes:
    """Return the content of a file; MalformedError where it is no such file, or not whole."""
    check_count(raw[:MAX_BUNDLE], _ITEMS)
    value: Any = decode(raw, max_size=MAX_BUNDLE)
    match value:
        case [str(name), int(size), bytes(deflated)] if name == FORMAT:
            pass
        case _:
            raise MalformedError(f"not a bundle of the format {FORMAT}", remedy="Give a file made as evidence")
    if type(size) is bool or not 0 < size <= MAX_CONTENT:
        raise MalformedError(f"a bundle holds 1 to {MAX_CONTENT} bytes", where="size")
    if size > max(FREE, RATIO * len(deflated)):
        raise MalformedError(
            f"no bundle shrinks to {len(deflated)} of {size} bytes", where="size", remedy="Give documents apart from it"
        )
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(deflated, size)
        whole = len(content) == size and not stream.decompress(stream.unconsumed_tail, 1) and stream.eof
    except zlib.error as error:
        raise MalformedError(f"the content is damaged: {error}", where="content") from error
    if not whole or stream.unused_data:
        raise MalformedError("the content has another size than it says", where="content")
    return content
