"""The log's own signing keys that a node holds: those in force, and those that are to follow them.

Owns the choice of the signer for a key that the state names. A change of keys is admitted only while the ring holds the
new ones, so the node signs with the key in force on either side of the change, and after a crash there, without a
word from anybody. `keys.next_cose` and `keys.next_note` stay configured until the operator moves the files.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.crypto.keyfile import load as load_key
from ledger.crypto.suites import Signer
from ledger.errors import RefusedStartError
from ledger.state.log_keys import LogKeys
from ledger.state.records import KIND_OF, KeyRef, LogRecord, record_key
from ledger.statements import decode_statement
from ledger.store.index import Index
from node.config import Config

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Signers by purpose: the configured key first, then the next one where one is configured."""

    cose: tuple[Signer, ...]
    note: tuple[Signer, ...]

    @classmethod
    def load(cls, config: Config, passphrase: str) -> KeyRing:
        """Unlock the configured key files; KeyFileError says what is wrong with one."""

        def load(*names: str) -> tuple[Signer, ...]:
            return tuple(load_key(config.path(name), passphrase) for name in names if name)

        keys = config.keys
        return cls(load(keys.cose, keys.next_cose), load(keys.note, keys.next_note))

    def cose_signer(self, key: KeyRef) -> Signer:
        """The signer that holds the cose key; RefusedStartError where none does."""
        return _require(self.cose, key, "cose")

    def note_signer(self, key: KeyRef) -> Signer:
        """The signer that holds the note key; RefusedStartError where none does."""
        return _require(self.note, key, "note")

    def holds(self, cose: KeyRef, note: KeyRef) -> bool:
        """Whether the node could go on under these keys."""
        return _find(self.cose, cose) is not None and _find(self.note, note) is not None

    def check(self, record: LogRecord) -> None:
        """Refuse to start without the keys in force; remind of files that wait to be moved."""
        for name, held, key in (("cose", self.cose, record.cose), ("note", self.note, record.note)):
            if _require(held, key, name) is not held[0]:
                log.warning("the next key is in force: make it the configured one", extra={"key": f"keys.{name}"})


def read_log_keys(index: Index, entry_at: Callable[[int], bytes]) -> LogKeys:
    """The keys that the log had, read from the statements that the index lists for the log's own record."""
    changes = []
    record, touch = record_key(KIND_OF[LogRecord]), 1
    while places := index.history(record, touch, 256):
        changes += [(place, decode_statement(entry_at(place))) for place in places]
        touch += len(places)
    return LogKeys.of(changes)


def _find(held: Sequence[Signer], key: KeyRef) -> Signer | None:
    return next((one for one in held if one.public_key == key.key and one.suite.alg == key.alg), None)


def _require(held: Sequence[Signer], key: KeyRef, name: str) -> Signer:
    found = _find(held, key)
    if found is None:
        raise RefusedStartError(
            f"The {name} key file holds another key than the log's",
            where=f"keys.{name}",
            remedy=f"Configure the key that the log record names as keys.{name} or keys.next_{name}",
        )
    return found
