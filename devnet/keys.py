"""Development keys of a chain on this machine: random, one file each, readable by their owner only.

These keys hold play money on a chain that listens on loopback, so the files are not encrypted; they are made fresh for
each chain, because the well-known keys of development tools get scraped. Keys of the node itself are key files of
ledger.crypto and never come from here.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from ledger.crypto import secp256k1
from ledger.errors import KeyFileError, MalformedError
from ledger.store.durable import replace_file

FORMAT = "tial-development-key-v1"
_MAX_SIZE = 4096
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class DevelopmentKey:
    """A secp256k1 key of an account on a development chain. `address` is the checksummed text, `secret` 32 bytes."""

    name: str
    address: str
    secret: bytes

    @property
    def signer(self) -> secp256k1.Secp256k1Signer:
        """The key as transactions are signed with it."""
        return secp256k1.SUITE.from_secret(self.secret)

    def __repr__(self) -> str:
        """Leave the secret out of logs."""
        return f"DevelopmentKey({self.name!r}, {self.address!r})"


def development_key(folder: Path, name: str) -> DevelopmentKey:
    """Return the key `name` of this chain, made on first use; KeyFileError where its file cannot be used."""
    if not _NAME.fullmatch(name):
        raise KeyFileError(f"{name!r} is no name for a key", remedy="Use lower-case letters, digits and hyphens")
    path = folder / f"{name}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        secret = secp256k1.SUITE.generate().secret
        document = {"format": FORMAT, "name": name, "address": _address(secret), "secret": secret.hex()}
        replace_file(path, json.dumps(document, indent=1).encode(), mode=0o600)
    key = read_development_key(path)
    if key.name != name:
        raise KeyFileError("the key file is of another name", where=str(path))
    return key


def is_development_key(path: Path) -> bool:
    """Tell a development key from a key file that a passphrase protects."""
    with suppress(OSError, ValueError, KeyError, TypeError), path.open("rb") as stream:
        return bool(orjson.loads(stream.read(_MAX_SIZE))["format"] == FORMAT)
    return False


def read_development_key(path: Path) -> DevelopmentKey:
    """Read a key from its file; KeyFileError where it cannot be used, or where others may read it."""
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFileError("others can read this key file", where=str(path), remedy="chmod 600 it, or remove it")
        with path.open("rb") as stream:
            document = orjson.loads(stream.read(_MAX_SIZE))
        secret = bytes.fromhex(document["secret"])
        address = _address(secret)
        if document["format"] != FORMAT or document["address"] != address:
            raise KeyFileError("the key file contradicts itself", where=str(path), remedy="Remove it to make a new key")
        return DevelopmentKey(str(document["name"]), address, secret)
    except (OSError, ValueError, KeyError, TypeError, MalformedError) as error:
        raise KeyFileError("this is no development key", where=str(path), remedy="Remove it, to make one") from error


def _address(secret: bytes) -> str:
    return secp256k1.SUITE.from_secret(secret).address
