"""A witness's folder: its settings and key, the logs that it knows, and what it cosigned last for each.

| path | holds |
|---|---|
| `witness.toml` | name, kind, address to listen on |
| `keys/` | the cosigning key and its passphrase; a plain and a replaying witness never share one |
| `logs.policy` | the logs, as `log <vkey> [<url>]` lines of a C2SP tlog-policy with `quorum none` |
| `state/<origin hash>.lock` | the checkpoint cosigned last, with the cosignature: a `CheckpointLock` |
| `logs/<origin hash>/` | the instance, and of a replaying witness index and evidence |

A log's state is written when the log is added. One that is gone, copied or unreadable later stops the witness: it might
cosign a tree that contradicts one it cosigned before. Only `recover`, the operator's explicit word, goes on from there.
"""

from __future__ import annotations

import json
import os
import secrets
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from ledger.crypto import keyfile
from ledger.crypto.suites import Signer, suite_by_name
from ledger.errors import MalformedError, RefusedStartError
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import COSIGNATURE, Note, Vkey, check_name, verify_note
from ledger.log.policy import MAX_POLICY, PolicyLog, TlogPolicy
from ledger.log.tree import EMPTY_ROOT
from ledger.store.durable import make_directories, read_bounded, replace_file, reporting
from ledger.store.lock import CheckpointLock, LockState, LockStatus
from node.config import ConfigError
from node.follower import checked_url

SETTINGS: Final = "witness.toml"
LOGS: Final = "logs.policy"
_MAX_SETTINGS: Final = 1 << 16
_INSTANCE: Final = 16
_HEADER: Final = "# The logs that this witness knows. Add one with: tial witness add-log\n"


@dataclass(frozen=True, slots=True)
class Settings:
    """What `witness.toml` says."""

    name: str
    replaying: bool = False
    host: str = "127.0.0.1"
    port: int = 8090
    key: str = "keys/witness.key"
    passphrase_file: str = "keys/passphrase"  # noqa: S105 - the name of a file


@dataclass(slots=True)
class KnownLog:
    """A log that the witness cosigns, with its state: `state.checkpoint` is empty before the first cosignature."""

    vkeys: tuple[Vkey, ...]
    url: str
    folder: Path
    lock: CheckpointLock
    state: LockState


@dataclass(frozen=True, slots=True)
class WitnessFolder:
    """The paths, and what is done to a folder from outside the running witness."""

    path: Path

    def create(self, settings: Settings, passphrase: str = "") -> Vkey:
        """Lay out a new folder with a fresh key; returns the witness's verifier key.

        Raises:
            RefusedStartError: there is a witness here already.
            MalformedError: the name is not a key name.

        """
        check_name(settings.name)
        if (self.path / SETTINGS).exists():
            raise RefusedStartError("There is a witness here already", where=str(self.path))
        make_directories(self.path / "keys", 0o700)
        secret = self.path / settings.passphrase_file
        with reporting("write the passphrase", secret):
            descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(passphrase or secrets.token_urlsafe(32))
        signer = suite_by_name("ed25519").generate()
        keyfile.save(self.path / settings.key, signer, self._passphrase(settings))
        replace_file(self.path / LOGS, f"{_HEADER}quorum none\n".encode())
        replace_file(self.path / SETTINGS, _written(settings))
        return Vkey(settings.name, COSIGNATURE, signer.public_key)

    def settings(self) -> Settings:
        """Read `witness.toml`; ConfigError names what is wrong."""
        path = self.path / SETTINGS
        data = read_bounded(path, _MAX_SETTINGS)
        if data is None:
            raise ConfigError("There is no witness here", where=str(path), remedy="Run `tial witness init`")
        try:
            table = tomllib.loads(data.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"Not TOML: {error}", where=str(path)) from error
        kinds: dict[str, type[Any]] = {"replaying": bool, "port": int}
        for name, value in table.items():
            if name not in {item.name for item in fields(Settings)}:
                raise ConfigError("Unknown key", where=name)
            if type(value) is not kinds.get(name, str):
                raise ConfigError(f"Not a value for this key: {value!r}", where=name)
        if "name" not in table or not 0 <= table.get("port", 0) <= 65_535:
            raise ConfigError("A witness has a name, and a port up to 65535", where=str(path))
        return Settings(**table)

    def signer(self, settings: Settings) -> Signer:
        """Unlock the cosigning key; KeyFileError, or ConfigError where the passphrase cannot be read."""
        return keyfile.load(self.path / settings.key, self._passphrase(settings))

    def logs(self) -> tuple[PolicyLog, ...]:
        """The configured logs; MalformedError for a file that is not in form."""
        data = read_bounded(self.path / LOGS, MAX_POLICY)
        return () if data is None else TlogPolicy.parse(data).logs

    def add_log(self, vkey: Vkey, url: str = "") -> None:
        """Add a log, with a state that says: nothing cosigned yet. For a known origin only the key is added.

        Raises:
            RefusedStartError: the key is known, or the log was known once: its state must not be lost.
            MalformedError: the key or URL cannot serve.

        """
        where = checked_url(url) if url else ""
        known = self.logs()
        of_origin = [log for log in known if log.vkey.name == vkey.name]
        if any(log.vkey.key == vkey.key for log in known):
            raise RefusedStartError("This key is known already", where=vkey.name)
        if self.settings().replaying and not where and not of_origin:
            raise MalformedError(
                "a replaying witness reads the log", where=vkey.name, remedy="Give the URL of its checkpoint and tiles"
            )
        lines = [f"log {log.vkey.format()} {log.url}".rstrip() for log in (*known, PolicyLog(vkey, where))]
        text = (_HEADER + "\n".join(lines) + "\nquorum none\n").encode()
        TlogPolicy.parse(text)
        if not of_origin:
            self._first_state(vkey.name)
        replace_file(self.path / LOGS, text)

    def _first_state(self, origin: str) -> None:
        with CheckpointLock.open(self._lock(origin), self._folder(origin)) as lock:
            instance = self._instance(origin)
            present = lock.read().state
            if present is None or present.size or present.checkpoint:  # else a crash came before the log was listed
                lock.create(LockState(_log_id(origin), instance, 0, EMPTY_ROOT, b""))

    def recover(self, origin: str, note: bytes) -> int:
        """Go on from `note`, the newest checkpoint that the operator knows to be cosigned here; returns its size.

        Raises:
            RefusedStartError: no such log, its state is intact, or what can still be read of it is beyond the note.
            MalformedError, NoteSignatureError: this witness did not cosign the note, or the log did not sign it.

        """
        settings = self.settings()
        own = Vkey(settings.name, COSIGNATURE, self.signer(settings).public_key)
        vkeys = tuple(log.vkey for log in self.logs() if log.vkey.name == origin)
        if not vkeys:
            raise RefusedStartError("No such log is known here", where=origin)
        parsed = Note.parse(note)
        signers = {signature.vkey for signature in verify_note(parsed, (*vkeys, own))}
        checkpoint = Checkpoint.parse(parsed.text)
        if own not in signers or len(signers) < 2 or checkpoint.origin != origin:
            raise MalformedError(
                "this is not a checkpoint of that log with this witness's cosignature",
                where="checkpoint",
                remedy="Take the newest checkpoint with this witness's cosignature that anybody holds",
            )
        with CheckpointLock.open(self._lock(origin), self._folder(origin)) as lock:
            state = LockState(_log_id(origin), self._instance(origin), checkpoint.size, checkpoint.root, note)
            lock.recover(state)
        return checkpoint.size

    @contextmanager
    def open_logs(self) -> Iterator[dict[str, KnownLog]]:
        """Open the state of every log, by origin, as the only writer.

        Raises:
            RefusedStartError: a state is gone, copied or unreadable, or another process has it.

        """
        by_origin: dict[str, list[PolicyLog]] = {}
        for log in self.logs():
            by_origin.setdefault(log.vkey.name, []).append(log)
        with ExitStack() as stack:
            opened: dict[str, KnownLog] = {}
            for origin, listed in by_origin.items():
                folder = self._folder(origin)
                lock = stack.enter_context(CheckpointLock.open(self._lock(origin), folder))
                reading = lock.read()
                state = reading.state
                if reading.status is not LockStatus.INTACT or state is None or state.log != _log_id(origin):
                    raise RefusedStartError(
                        f"What this witness cosigned last for {origin} is in doubt: {reading.detail}",
                        where=str(self._lock(origin)),
                        remedy="Restore nothing. Take the newest checkpoint that carries this witness's cosignature, "
                        "and run `tial witness recover`",
                    )
                url = next((log.url for log in listed if log.url), "")
                opened[origin] = KnownLog(tuple(log.vkey for log in listed), url, folder, lock, state)
            yield opened

    def _instance(self, origin: str) -> bytes:
        """The 16 random bytes that tie a log's folder to its state; made when there are none."""
        path = self._folder(origin) / "instance"
        present = read_bounded(path, _INSTANCE)
        if present is None:
            make_directories(path.parent)
            present = secrets.token_bytes(_INSTANCE)
            replace_file(path, present)
        return present

    def _passphrase(self, settings: Settings) -> str:
        path = self.path / settings.passphrase_file
        try:
            if path.stat().st_mode & 0o077:
                raise ConfigError("The passphrase file can be read by others", where=str(path), remedy="chmod 600")
            return path.read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The passphrase cannot be read: {error}", where=str(path)) from error

    def _folder(self, origin: str) -> Path:
        return self.path / "logs" / origin_hash(origin)

    def _lock(self, origin: str) -> Path:
        return self.path / "state" / f"{origin_hash(origin)}.lock"


def origin_hash(origin: str) -> str:
    """SHA-256 of an origin in hex: how a witness names a log in paths (C2SP tlog-witness)."""
    return sha256(origin.encode()).hexdigest()


def _log_id(origin: str) -> bytes:
    return sha256(origin.encode()).digest()


def _written(settings: Settings) -> bytes:
    lines = [
        f"name = {json.dumps(settings.name)}",
        f"replaying = {str(settings.replaying).lower()}",
        f"host = {json.dumps(settings.host)}",
        f"port = {settings.port}",
    ]
    return ("\n".join(lines) + "\n").encode()
