"""A node's folder as `tial init` lays it out: tial.toml, log.json, keys/, data/, lock/.

Owns the text of tial.toml and the two changes that the command line ever makes to it (`set_chain`, `set_keys`), and
log.json, the public card of the log that others may have.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from api.cli.errors import UsageError
from ledger.errors import MalformedError

CONFIG = "tial.toml"
CARD = "log.json"
DEPLOYMENT = "deployment.json"
"""Where the anchor contract of a chain stands, in the folder of the chain, or beside tial.toml for another's."""
_CARD_FORMAT = "tial-log-v1"
_CHAIN_KEYS = (
    *("kind", "url", "comet", "chain_id", "contract", "consortium", "trust", "gas_price", "finality", "first_block"),
)
_KEY_FILES = ("cose", "note", "next_cose", "next_note")
_MAX_CARD = 1 << 16


@dataclass(frozen=True, slots=True)
class LogCard:
    """What identifies a log to others: its id (hex), origin, verifier key, and the DID of its cose key."""

    log_id: str
    origin: str
    vkey: str
    cose_did: str

    def save(self, folder: Path) -> None:
        """Write log.json."""
        content = orjson.dumps({"format": _CARD_FORMAT, **asdict(self)}, option=orjson.OPT_INDENT_2)
        (folder / CARD).write_bytes(content + b"\n")

    @classmethod
    def load(cls, folder: Path) -> LogCard:
        """Read log.json; MalformedError where it is not one."""
        path = folder / CARD
        try:
            with path.open("rb") as stream:
                return cls._parse(orjson.loads(stream.read(_MAX_CARD)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise MalformedError(
                f"This is no log card: {error}", where=str(path), remedy="Run `tial init` in this folder first"
            ) from error

    @classmethod
    def _parse(cls, told: dict[str, str]) -> LogCard:
        if told.pop("format") != _CARD_FORMAT or len(bytes.fromhex(told["log_id"])) != 32:
            raise ValueError("another format")
        return cls(**{name: str(value) for name, value in told.items()})


def config_text(*, port: int, chain: Mapping[str, object]) -> str:
    """The text of a new tial.toml."""
    return f"""\
# Configuration of a node. Paths are relative to this file; TIAL_<SECTION>_<KEY> in the environment goes over it.
data = "data"
lock = "lock/checkpoint.lock"

[http]
host = "127.0.0.1"
port = {port}
operator_token_file = "keys/operator.token"

[log]
interval = 1.0

[keys]
cose = "keys/cose.key"
note = "keys/note.key"
passphrase_file = "keys/passphrase"

[chain]
{_chain_lines(chain)}sender = "keys/anchor-sender.key"
authoriser = "keys/anchor-authoriser.key"
"""


def set_chain(path: Path, chain: Mapping[str, object]) -> None:
    """Put the address of a chain into the section [chain] of a tial.toml; all else stays as it is."""
    _set_section(path, "chain", _CHAIN_KEYS, _chain_lines(chain))


def set_keys(path: Path, keys: Mapping[str, str]) -> None:
    """Put the names of the log's key files into the section [keys] of a tial.toml: all four, an empty one left out."""
    lines = "".join(f"{name} = {orjson.dumps(keys[name]).decode()}\n" for name in _KEY_FILES if keys.get(name))
    _set_section(path, "keys", _KEY_FILES, lines)


def _set_section(path: Path, name: str, owned: Sequence[str], lines: str) -> None:
    """Write `lines` in place of the `owned` keys of a section."""
    text = path.read_text(encoding="utf-8")
    head, mark, tail = text.partition(f"\n[{name}]\n")
    if not mark:
        head, tail = text.rstrip("\n") + "\n", ""
    section, following = _until_next_section(tail)
    kept = [line for line in section.splitlines() if not re.match(rf"\s*({'|'.join(owned)})\s*=", line)]
    rest = "\n".join(kept)
    changed = f"{head}\n[{name}]\n{lines}{rest}\n{following}"
    tomllib.loads(changed)
    temporary = path.with_suffix(".toml.new")
    temporary.write_text(changed, encoding="utf-8")
    temporary.replace(path)


def _until_next_section(text: str) -> tuple[str, str]:
    found = re.search(r"^\[", text, re.MULTILINE)
    return (text, "") if found is None else (text[: found.start()].rstrip("\n") + "\n", "\n" + text[found.start() :])


def _chain_lines(chain: Mapping[str, object]) -> str:
    values = {name: chain[name] for name in _CHAIN_KEYS if name in chain}
    # A JSON text or number is a TOML one too.
    return "".join(f"{name} = {orjson.dumps(value).decode()}\n" for name, value in values.items())


def private_file(path: Path, text: str) -> None:
    """Write a new file that only its owner may read."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as stream:
            stream.write(text + "\n")
    except OSError as error:
        raise UsageError(f"Cannot write: {error.strerror}", where=str(path)) from error
