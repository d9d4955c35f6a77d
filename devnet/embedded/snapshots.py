"""Saved states of the embedded chain, each in a file whose name holds its own SHA-256.

anvil rewrites its own state file in place, so a kill in the middle leaves a file that cannot be loaded. Here a state is
written whole beside the others, made durable, and only then given its name `state-<generation>-<sha256>.json`; the one
before it is kept. A file that does not hash to its name is never loaded.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from pathlib import Path

from devnet.locks import held
from devnet.rpc import call
from ledger.errors import CorruptError, UnavailableError
from ledger.store.durable import remove_leftovers, replace_file, sync_directory

KEPT = 2
_NAME = re.compile(r"state-(\d{10})-([0-9a-f]{64})\.json")


class SnapshotStore:
    """The generations of one chain's state in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def generations(self) -> list[tuple[int, str, Path]]:
        """All named files, newest first, as (generation, SHA-256 in hex, path); contents not checked."""
        matches = ((_NAME.fullmatch(path.name), path) for path in self.folder.glob("state-*.json"))
        return sorted(((int(m[1]), m[2], path) for m, path in matches if m), reverse=True)

    def newest(self) -> Path | None:
        """Return the newest whole state, None where none was ever saved; CorruptError where all are damaged."""
        known = self.generations()
        for _, digest, path in known:
            with path.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() == digest:
                    return path
        if known:
            raise CorruptError(
                "every saved state of the embedded chain is damaged",
                where=str(self.folder),
                remedy="Remove the state-*.json files to start an empty chain; the node then needs to deploy again",
            )
        return None

    def write(self, state: bytes) -> Path:
        """Save `state` (anvil's JSON) as the next generation, durably, and drop all but the newest two."""
        remove_leftovers(self.folder, "state-*")  # of a process that was killed while it wrote
        known = self.generations()
        generation = known[0][0] + 1 if known else 1
        path = self.folder / f"state-{generation:010d}-{hashlib.sha256(state).hexdigest()}.json"
        replace_file(path, state)
        for _, _, old in known[KEPT - 1 :]:
            old.unlink(missing_ok=True)
        sync_directory(self.folder)
        return path

    def save_from(self, url: str, *, timeout: float = 60.0) -> Path:
        """Ask the anvil at `url` for its state and save it. One writer at a time, so a later state is a later file."""
        with held(self.folder / "snapshot.lock", seconds=timeout):
            dump = call(url, "anvil_dumpState", timeout=timeout)
            try:
                state = gzip.decompress(bytes.fromhex(dump[2:]))
            except (ValueError, TypeError, OSError, EOFError, zlib.error) as error:
                raise UnavailableError("the embedded chain gave a state that is not gzip in hex", where=url) from error
            return self.write(state)
