"""Key files: one private key, encrypted with a passphrase, in a file that only its owner may read.

Owns the format `tial-key-v1`, a small JSON object: the 32 secret bytes in a libsodium secretbox (XSalsa20-Poly1305)
under a key from Argon2id (RFC 9106) of the passphrase, beside the public key and kid in clear. The clear part is not
authenticated by the box; it is checked against the key that comes out of it. Trusts PyNaCl, and the operating system's
file modes.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox
from nacl.utils import random

from ledger.crypto import digests
from ledger.crypto.canonical import parse_json
from ledger.crypto.suites import SUITES, Signer, SuiteRegistry
from ledger.errors import KeyFileError, MalformedError

FORMAT = "tial-key-v1"
MAX_FILE_SIZE = 4_096
MAX_PASSPHRASE_SIZE = 1_024
OPERATIONS = 3  # passes over the memory; with 64 MiB the second choice of RFC 9106 section 4
MEMORY = 64 << 20  # bytes
OPERATIONS_RANGE = range(1, 17)
MEMORY_RANGE = range(8 << 20, (512 << 20) + 1)
_HEX = re.compile(r"(?:[0-9a-f]{2})+")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What a key file says, still locked. Of the clear part only the kid is checked, until `unlock`."""

    path: Path
    suite: str
    public_key: bytes
    kid: bytes
    operations: int
    memory: int
    salt: bytes
    nonce: bytes
    box: bytes

    def unlock(self, passphrase: str, suites: SuiteRegistry = SUITES) -> Signer:
        """Decrypt the key. Raises KeyFileError for a wrong passphrase and for a file that was altered."""
        key = _derive(passphrase, self.salt, self.operations, self.memory)
        try:
            signer = suites.by_name(self.suite).from_secret(SecretBox(key).decrypt(self.box, self.nonce))
        except CryptoError as fault:
            raise KeyFileError(
                "the passphrase is wrong, or the file was altered",
                where=str(self.path),
                remedy="Try the passphrase again; if it is certain, restore the file from its backup",
            ) from fault
        except MalformedError as fault:
            raise KeyFileError(fault.explain(), where=str(self.path)) from fault
        if signer.public_key != self.public_key:
            raise _altered(self.path, "the public key or the suite is not that of the secret inside")
        return signer


def save(path: Path, signer: Signer, passphrase: str) -> None:
    """Write a new key file, mode 0600, durably. Raises KeyFileError if `path` exists or cannot be written."""
    salt, nonce = random(argon2id.SALTBYTES), random(SecretBox.NONCE_SIZE)
    box = SecretBox(_derive(passphrase, salt, OPERATIONS, MEMORY)).encrypt(signer.secret, nonce).ciphertext
    content = {
        "format": FORMAT,
        "suite": signer.suite.name,
        "public_key": signer.public_key.hex(),
        "kid": signer.kid.hex(),
        "kdf": {"name": "argon2id", "operations": OPERATIONS, "memory": MEMORY, "salt": salt.hex()},
        "nonce": nonce.hex(),
        "box": box.hex(),
    }
    try:
        _write_new(path, orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    except FileExistsError as fault:
        raise KeyFileError(
            "a file is already there, and a key is never overwritten",
            where=str(path),
            remedy="Choose another name, or move the old file away",
        ) from fault
    except OSError as fault:
        raise KeyFileError(f"cannot write: {fault.strerror}", where=str(path)) from fault


def load(path: Path, passphrase: str, suites: SuiteRegistry = SUITES) -> Signer:
    """Read and decrypt a key file. Raises KeyFileError for whatever is wrong with it."""
    return describe(path).unlock(passphrase, suites)


def describe(path: Path) -> KeyFile:
    """Read a key file without its passphrase, to show whose key it is. Raises KeyFileError."""
    try:
        return _parse(path, parse_json(_read_private(path)))
    except OSError as fault:
        raise KeyFileError(
            f"cannot read: {fault.strerror}", where=str(path), remedy="Give the path of a key file that you own"
        ) from fault
    except MalformedError as fault:
        raise _altered(path, fault.explain()) from fault


def _parse(path: Path, content: Any) -> KeyFile:
    top = _members(content, "format", "suite", "public_key", "kid", "kdf", "nonce", "box")
    kdf = _members(top["kdf"], "name", "operations", "memory", "salt")
    if (top["format"], kdf["name"]) != (FORMAT, "argon2id"):
        raise MalformedError(f"not in the format {FORMAT} with argon2id")
    operations, memory = kdf["operations"], kdf["memory"]
    # A hostile file must not make us fill the memory or compute for an hour. bool is no int here.
    if type(operations) is not int or operations not in OPERATIONS_RANGE:
        raise MalformedError(f"operations outside 1 to {OPERATIONS_RANGE[-1]}", where="kdf/operations")
    if type(memory) is not int or memory not in MEMORY_RANGE:
        raise MalformedError(f"memory outside {MEMORY_RANGE[0]} to {MEMORY_RANGE[-1]} bytes", where="kdf/memory")
    public_key, kid = _bytes(top, "public_key"), _bytes(top, "kid", 32)
    if not isinstance(top["suite"], str) or kid != digests.kid(public_key):
        raise MalformedError("the kid is not that of the public key", where="kid")
    salt, nonce = _bytes(kdf, "salt", argon2id.SALTBYTES), _bytes(top, "nonce", SecretBox.NONCE_SIZE)
    return KeyFile(path, top["suite"], public_key, kid, operations, memory, salt, nonce, _bytes(top, "box"))


def _members(value: Any, *names: str) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(names):
        raise MalformedError(f"not an object of exactly {', '.join(names)}")
    return value


def _bytes(members: dict[str, Any], name: str, size: int | None = None) -> bytes:
    text = members[name]
    if not isinstance(text, str) or not _HEX.fullmatch(text) or size not in {None, len(text) // 2}:
        raise MalformedError("not lower-case hexadecimal of the right length", where=name)
    return bytes.fromhex(text)


def _altered(path: Path, fault: str) -> KeyFileError:
    return KeyFileError(
        f"not an intact key file: {fault}", where=str(path), remedy="Restore it from its backup, or make a new key"
    )


def _derive(passphrase: str, salt: bytes, operations: int, memory: int) -> bytes:
    """Stretch a passphrase to a 32-byte key. NFC first (RFC 8265 section 4.2): keyboards differ in how they compose."""
    try:
        secret = unicodedata.normalize("NFC", passphrase).encode("utf-8")
    except UnicodeEncodeError as fault:
        raise KeyFileError("the passphrase is not valid text", where="passphrase", remedy="Give it as UTF-8") from fault
    if not 0 < len(secret) <= MAX_PASSPHRASE_SIZE:
        raise KeyFileError(
            f"a passphrase has 1 to {MAX_PASSPHRASE_SIZE} bytes, not {len(secret)}",
            where="passphrase",
            remedy="Choose one that is long enough to keep others out",
        )
    try:
        return argon2id.kdf(SecretBox.KEY_SIZE, secret, salt, opslimit=operations, memlimit=memory)
    except CryptoError as fault:
        raise KeyFileError(
            f"Argon2id could not get {memory >> 20} MiB", where="kdf", remedy="Free some memory and try again"
        ) from fault


def _read_private(path: Path) -> bytes:
    """Read a small regular file that nobody but its owner may touch. Asks the open descriptor, not the path again."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not make us wait
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_SIZE:
            raise MalformedError(f"not a regular file of at most {MAX_FILE_SIZE} bytes")
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyFileError(
                f"others may use this file (mode {stat.S_IMODE(status.st_mode):04o})",
                where=str(path),
                remedy=f"Run chmod 600 {path}, and make a new key if someone may have read it",
            )
        return file.read(MAX_FILE_SIZE)


def _write_new(path: Path, content: bytes) -> None:
    """Create, never replace; on the disk, with its name, when this returns; gone again if it could not be finished."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask took away
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError:
        path.unlink(missing_ok=True)
        raise
