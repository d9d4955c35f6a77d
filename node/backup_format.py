"""What a backup is made of: a point in time of one log, in a folder or a tar file, every file with its SHA-256.

Owns the names inside a point, the file `backup.json` that says what it holds, and `SHA256SUMS` (the form of
`sha256sum`), which is written last and lists every other file. Neither is trusted on its own: who restores recomputes
the tree from the entries and checks the signature of the log (`node.restore`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from ledger.errors import MalformedError

FORMAT: Final = "tial-backup-v1"
ABOUT: Final = "backup.json"
SUMS: Final = "SHA256SUMS"
CONFIG: Final = "tial.toml"
CARD: Final = "log.json"
DATA: Final = "data"
KEYS: Final = "keys"
MAX_ABOUT: Final = 1 << 16
_LINE = re.compile(r"([0-9a-f]{64})  (\S+)", re.ASCII)
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}"
_NAME = re.compile(rf"(?:{_PART}/){{0,12}}{_PART}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Point:
    """What a backup holds: `size` and `root` of its checkpoint, entries up to `entries`, when it was made (Unix s).

    `root` and `log` are hex. `with_keys`: the log's key files, still encrypted, are in it.
    """

    log: str
    origin: str
    size: int
    root: str
    entries: int
    made: int
    with_keys: bool

    def encode(self) -> bytes:
        """Write `backup.json`."""
        return orjson.dumps({"format": FORMAT, **asdict(self)}, option=orjson.OPT_INDENT_2) + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> Point:
        """Read `backup.json`; MalformedError for anything else."""
        try:
            told: dict[str, Any] = orjson.loads(data[: MAX_ABOUT + 1])
            if told.pop("format") != FORMAT or len(bytes.fromhex(told["log"] + told["root"])) != 64:
                raise ValueError("another format")
            point = cls(**told)
            if point.encode() != data or not 0 <= point.size <= point.entries:
                raise ValueError("not as it is written")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MalformedError(f"this is no backup: {error}", where=ABOUT, remedy="Name a backup's folder") from error
        return point


def write_sums(digests: Mapping[str, bytes]) -> bytes:
    """Write `SHA256SUMS`: name to 32-byte digest."""
    return b"".join(b"%s  %s\n" % (digest.hex().encode(), name.encode()) for name, digest in sorted(digests.items()))


def read_sums(data: bytes) -> dict[str, bytes]:
    """Read `SHA256SUMS`; MalformedError for a line of another form, an unsafe or repeated name."""
    found: dict[str, bytes] = {}
    try:
        lines = data.decode("ascii").splitlines()
    except UnicodeDecodeError:
        lines = [""]
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] in found:
            raise MalformedError(
                "not a line of SHA256SUMS", where=f"{SUMS} line {number}", remedy="Name another backup"
            )
        found[safe_name(match[2])] = bytes.fromhex(match[1])
    return found


def safe_name(name: str) -> str:
    """The name of a file in a backup, unless it could lead elsewhere: MalformedError."""
    if _NAME.fullmatch(name) is None or len(name) > 512:
        raise MalformedError("not a name in a backup", where=repr(name[:200]), remedy="Name another backup")
    return name


def digest_of(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()
