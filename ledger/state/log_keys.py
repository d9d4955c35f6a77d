"""The keys a log had, and over which entries each was in force (DESIGN sections 4 and 6).

Owns one rule: a `log` statement at index c is in force from the next index, so a new key signs from c + 1 on. A cose
key signs the manifests at the indexes of its period; a note key signs the checkpoints whose size lies in its period,
because such a checkpoint covers the statement that brought the key. What a former key signed in its own period stays
good for ever; outside of it the key counts for nothing. Trusts the statements it is given: the genesis and every later
`log` statement that changed keys, in order, each admitted by the rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ledger.errors import LedgerError, MalformedError
from ledger.log.checkpoint import Checkpoint, open_checkpoint
from ledger.log.notes import ED25519, Note, NoteSignatureError, Vkey
from ledger.state.records import KeyRef
from ledger.statements import Statement


@dataclass(frozen=True, slots=True)
class KeyPeriod:
    """A key and its period: from `first` up to but not including `end`, None while it is in force.

    For a cose key these are indexes of entries, for a note key sizes of checkpoints.
    """

    key: KeyRef
    first: int
    end: int | None = None


@dataclass(frozen=True, slots=True)
class LogKeys:
    """Origin of a log and its keys, oldest first; periods of each purpose join without a gap."""

    origin: str
    cose: tuple[KeyPeriod, ...]
    note: tuple[KeyPeriod, ...]

    @classmethod
    def of(cls, changes: Iterable[tuple[int, Statement]]) -> LogKeys:
        """Put together from (index, statement): the genesis first, then `log` statements in order.

        Raises:
            MalformedError: the first is no genesis.

        """
        found: LogKeys | None = None
        for index, st in changes:
            if found is not None:
                found = found.after(index, st)
            elif st.type == "genesis":
                cose, note = _stated(st)
                found = cls(st.body["origin"], (KeyPeriod(cose, 0),), (KeyPeriod(note, 0),))
            else:
                break
        if found is None:
            raise MalformedError("the keys of a log begin with its genesis", where="entry 0")
        return found

    def after(self, index: int, st: Statement) -> LogKeys:
        """The keys after the statement at `index`; the same where it changes none."""
        if st.type != "log" or "keys" not in st.body:
            return self
        cose, note = _stated(st)
        return replace(self, cose=_follow(self.cose, cose, index + 1), note=_follow(self.note, note, index + 1))

    def cose_at(self, index: int) -> KeyRef:
        """The cose key in force for entry `index`, which signs it where it is the log's own."""
        return _at(self.cose, index)

    def note_for(self, size: int) -> KeyRef:
        """The note key that signs a checkpoint of `size`."""
        return _at(self.note, size)

    def vkey_for(self, size: int) -> Vkey:
        """The verifier key for a checkpoint of `size`."""
        return Vkey(self.origin, ED25519, self.note_for(size).key)

    def open_checkpoint(self, note: bytes) -> Checkpoint:
        """Verify a checkpoint by the key of its size, and read it.

        Raises:
            MalformedError: not a checkpoint of this log in form.
            NoteSignatureError: that key did not sign it.

        """
        size = Checkpoint.parse(Note.parse(note).text).size
        try:
            return open_checkpoint(note, self.vkey_for(size))
        except NoteSignatureError as error:
            for period in self.note:
                if _signed_by(note, Vkey(self.origin, ED25519, period.key.key)):
                    span = f"sizes {period.first} to {'now' if period.end is None else period.end - 1}"
                    raise NoteSignatureError(
                        f"a note key of this log signed size {size}, but the key is good for {span} only",
                        where="checkpoint",
                        remedy="Whoever holds that key signs outside its time: treat the checkpoint as forged",
                    ) from error
            raise

    def may_acknowledge(self, first: int) -> tuple[KeyRef, ...]:
        """The cose keys that may have signed an acknowledgement of entries from `first` on.

        The node signs with the key in force when it answers, which for an act submitted again may be long after; never
        with one whose period ended before the entry.
        """
        return tuple(period.key for period in self.cose if period.end is None or period.end > first)


def _stated(st: Statement) -> tuple[KeyRef, KeyRef]:
    keys = st.body["keys"]
    return KeyRef(keys["cose"]["alg"], keys["cose"]["key"]), KeyRef(keys["note"]["alg"], keys["note"]["key"])


def _follow(periods: tuple[KeyPeriod, ...], key: KeyRef, first: int) -> tuple[KeyPeriod, ...]:
    if periods[-1].key == key:
        return periods
    return (*periods[:-1], replace(periods[-1], end=first), KeyPeriod(key, first))


def _at(periods: tuple[KeyPeriod, ...], place: int) -> KeyRef:
    return next(period.key for period in reversed(periods) if period.first <= place)


def _signed_by(note: bytes, vkey: Vkey) -> bool:
    try:
        open_checkpoint(note, vkey)
    except LedgerError:
        return False
    return True
