"""did:key identifiers: the key itself as an identifier (W3C CCG did:key, multicodec, multibase base58btc).

Owns the two codecs that the suites use. Whether the bytes are a point of the curve is the suite's business: it checks
the key before any use.
"""

from __future__ import annotations

from ledger.identifiers import base58
from ledger.identifiers.text import IdentifierError, show, wrong_character

TITLE = "did:key"
_CODECS = {"ed25519": (b"\xed\x01", 32), "es256": (b"\x80\x24", 33)}
_MAX = 64  # characters of a method-specific identifier; a P-256 key has 49


def did_key(public_key: bytes, suite_name: str) -> str:
    """Return the DID of a public key: 32 bytes for ed25519, the 33-byte compressed point for es256."""
    codec = _CODECS.get(suite_name)
    if codec is None:
        raise IdentifierError(f"{TITLE}: no codec for suite {show(suite_name)}", remedy=f"Use {' or '.join(_CODECS)}")
    prefix, size = codec
    if len(public_key) != size or (size == 33 and public_key[0] not in {2, 3}):
        raise IdentifierError(
            f"{TITLE}: {len(public_key)} bytes are no {suite_name} public key; expected {size} bytes in canonical form",
            where="public key",
        )
    return "did:key:z" + base58.encode(prefix + public_key, base58.BITCOIN)


def did_key_public(did: str) -> tuple[str, bytes]:
    """Return suite name and public key that a did:key holds."""
    if not did.startswith("did:key:"):
        raise IdentifierError(f"{TITLE}: {show(did)} does not begin with did:key:", remedy="Give a did:key")
    return read(did[8:])


def read(specific: str) -> tuple[str, bytes]:
    """Return suite name and public key of a method-specific identifier such as `z6Mk...`."""
    if specific[:1] != "z":
        raise wrong_character(TITLE, specific, 0, "'z', the mark of base58btc", "Encode the key in base58btc")
    if len(specific) > _MAX:
        raise IdentifierError(f"{TITLE}: {show(specific)} is longer than any key", position=_MAX + 1)
    try:
        raw = base58.decode(specific[1:], base58.BITCOIN)
    except ValueError as error:
        raise wrong_character(
            TITLE, specific, error.args[0] + 1, "a character of base58 (no 0, O, I, l)", "Copy the identifier again"
        ) from error
    for suite_name, (prefix, size) in _CODECS.items():
        key = raw[len(prefix) :]
        if raw.startswith(prefix) and len(key) == size and (size == 32 or key[0] in {2, 3}):
            return suite_name, key
    raise IdentifierError(
        f"{TITLE}: {show(specific)} holds no Ed25519 or compressed P-256 public key ({len(raw)} bytes)",
        remedy=f"Use a key of {' or '.join(_CODECS)}",
    )
