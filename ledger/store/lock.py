"""The signed-checkpoint lock: the newest checkpoint this node signed, kept outside its data directory (DESIGN rule 6).

Owns the lock file, its guard beside it, and the two advisory locks that make a node the only writer. The lock is
written before a checkpoint is published, by compare-and-swap on the last one, so that no restart and no second process
can sign two checkpoints that contradict each other. Nothing here decides to go on in doubt: a lock that is absent,
copied or unreadable is reported, and replaced only by `recover`, which the operator asks for and the node grants after
a witness quorum or the final chain head answered.

How a restored copy shows: the guard remembers the lock file's inode number, its change time and the digest of its
bytes. The change time (st_ctime) is set by the kernel at every rename or write and cannot be set by a program, unlike
the modification time; the inode number alone would not do, because file systems hand a freed number out again, and
copying onto a file keeps it. Device numbers are left out, because they change between boots. A block-level snapshot of
the whole file system is not recognised here: witnesses and chain recognise that.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, Self

from ledger.errors import CorruptError, MalformedError, RefusedStartError
from ledger.store.durable import (
    StagedFile,
    hold,
    make_directories,
    remove_leftovers,
    reporting,
    sync_directory,
    write_all,
)

WRITER_FILE: Final = "writer.lock"
"""Name of the advisory lock inside the data directory."""

MAX_CHECKPOINT: Final = 1 << 20
_MAX_FILE: Final = 2 * MAX_CHECKPOINT
_MAX_GUARD: Final = 1024
_MAX_UINT64: Final = 2**64 - 1
_FORMAT: Final = 1
_HASH: Final = 32
_INSTANCE: Final = 16
_NONE: Final = bytes(_HASH)
"""Stands for the digest of the lock before the first one."""
_RECOVERED: Final = hashlib.sha256(b"recovered").digest()
"""Stands for the digest of the lock before one made by recovery."""


class LockStatus(Enum):
    """What reading the lock found."""

    ABSENT = "absent"
    INTACT = "intact"
    COPIED = "copied"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class LockState:
    """What the lock says.

    `log`: log id, 32 bytes. `instance`: 16 random bytes chosen when the data directory was made and kept in it too,
    by which lock and data know that they belong together. `size`, `root`: of the newest signed checkpoint.
    `checkpoint`: its signed bytes.
    """

    log: bytes
    instance: bytes
    size: int
    root: bytes
    checkpoint: bytes

    def __post_init__(self) -> None:
        """Refuse what could not be a lock (MalformedError)."""
        shapes = (len(self.log), len(self.instance), len(self.root))
        if shapes != (_HASH, _INSTANCE, _HASH):
            raise MalformedError(f"log id, instance and root have 32, 16 and 32 bytes, not {shapes}", where="lock")
        if not 0 <= self.size <= _MAX_UINT64 or len(self.checkpoint) > MAX_CHECKPOINT:
            raise MalformedError("the size is no uint64, or the checkpoint is over 1 MiB", where="lock")


@dataclass(frozen=True, slots=True)
class LockReading:
    """Status, what the lock says (None when absent or unreadable), and a sentence for the operator."""

    status: LockStatus
    state: LockState | None
    detail: str


@dataclass(frozen=True, slots=True)
class _Identity:
    """What the guard remembers of the lock file."""

    inode: int
    changed: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class _Found:
    """The lock file as it is now: identity, content, inode it was written as, digest of the one before it."""

    identity: _Identity
    state: LockState
    inode: int
    previous: bytes


class CheckpointLock:
    """The lock, held for as long as this object is open. One object a node; calls from one thread."""

    __slots__ = ("_guard", "_path", "_writer")

    def __init__(self, path: Path, guard: int, writer: int) -> None:
        self._path = path
        self._guard = guard
        self._writer = writer

    @classmethod
    def open(cls, path: Path, data_folder: Path) -> CheckpointLock:
        """Become the only writer: take the advisory locks of the data directory and of the guard beside `path`.

        Raises:
            RefusedStartError: another process has either, or the lock would lie inside the data directory.
            StorageError: the operating system refused.

        """
        if path.resolve().is_relative_to(data_folder.resolve()):
            raise RefusedStartError(
                "the signed-checkpoint lock lies inside the data directory, so a backup would take it along",
                where=str(path),
                remedy="Configure a place outside the data directory and outside its backup",
            )
        make_directories(data_folder)
        make_directories(path.parent, 0o700)
        writer = hold(data_folder / WRITER_FILE, "the data directory is in use by another process")
        try:
            guard = hold(_guard_path(path), "the signed-checkpoint lock is held by another process")
        except BaseException:
            os.close(writer)
            raise
        try:
            with reporting("note the process id", data_folder / WRITER_FILE):
                os.ftruncate(writer, 0)
                os.pwrite(writer, b"%d\n" % os.getpid(), 0)
            remove_leftovers(path.parent, path.name)
        except BaseException:
            os.close(guard)
            os.close(writer)
            raise
        return cls(path, guard, writer)

    def read(self) -> LockReading:
        """Read the lock and tell absent, intact, copied and unreadable apart. Changes nothing.

        Raises:
            StorageError: the operating system refused.

        """
        try:
            return _judge(_find(self._path), self._known())
        except CorruptError as error:
            return LockReading(LockStatus.UNREADABLE, None, error.explain())

    def create(self, state: LockState) -> None:
        """Write the first lock of a log.

        Raises:
            RefusedStartError: there is one, or there was one.
            StorageError: the operating system refused.

        """
        reading = self.read()
        if reading.status is not LockStatus.ABSENT:
            raise _refuse(self._path, f"a new lock was asked for, but {reading.detail}")
        known = self._known()
        if known is not None and known.digest != _NONE:
            raise _refuse(self._path, "a new lock was asked for, but the guard knows of one that was here before")
        self._remember(_Identity(0, 0, _NONE))
        self._write(state, _NONE)

    def compare_and_swap(self, expected: tuple[int, bytes], new: LockState) -> None:
        """Replace the lock if it is intact and at the expected (size, root). Durable on return.

        Raises:
            RefusedStartError: not intact, another size or root, another log, not growing: nothing was written.
            StorageError: the operating system refused; the lock is the old or the new one, `read` tells which.

        """
        try:
            found, known = _find(self._path), self._known()
        except CorruptError as error:
            raise _refuse(self._path, error.detail) from error
        reading = _judge(found, known)
        if reading.status is not LockStatus.INTACT or found is None:
            raise _refuse(self._path, reading.detail)
        old = found.state
        if (old.size, old.root) != expected:
            there = f"size {old.size}, root {old.root.hex()}"
            raise _refuse(self._path, f"the lock is at {there}, not at size {expected[0]}, root {expected[1].hex()}")
        _refuse_step_back(self._path, old, new)
        if old.instance != new.instance:
            raise _refuse(self._path, "the lock belongs to another data directory")
        if found.identity != known:
            self._remember(found.identity)  # a crash came between the last lock and its guard
        self._write(new, found.identity.digest)

    def recover(self, state: LockState) -> None:
        """Replace a lock that is absent, copied or unreadable: on the operator's explicit word, after others answered.

        The bytes that were there are kept as `<name>.before-recovery`.

        Raises:
            RefusedStartError: the lock is intact, or what it says is beyond `state` or of another log.
            StorageError: the operating system refused.

        """
        reading = self.read()
        if reading.status is LockStatus.INTACT:
            raise _refuse(self._path, "the lock is intact: there is nothing to recover")
        if reading.state is not None:
            _refuse_step_back(self._path, reading.state, state)
        if self._path.exists():
            with reporting("keep the old lock", self._path):
                self._path.replace(self._path.with_name(f"{self._path.name}.before-recovery"))
        self._remember(_Identity(0, 0, _RECOVERED))
        self._write(state, _RECOVERED)

    def close(self) -> None:
        """Let another process become the writer."""
        for descriptor in (self._guard, self._writer):
            with suppress(OSError):
                os.close(descriptor)
        self._guard = self._writer = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _write(self, state: LockState, previous: bytes) -> None:
        with reporting("write the signed-checkpoint lock", self._path):
            staged = StagedFile(self._path, 0o600)
            try:
                data = _encode(state, os.fstat(staged.descriptor).st_ino, previous)
                staged.write(data)
                staged.sync()
                staged.rename()
            finally:
                staged.discard()
        sync_directory(self._path.parent)
        found = _find(self._path)
        if found is None or found.identity.digest != hashlib.sha256(data).digest():
            raise _refuse(self._path, "the lock is not what was just written: something else writes there")
        self._remember(found.identity)

    def _known(self) -> _Identity | None:
        """Read what the guard remembers; None when it is empty."""
        with reporting("read the lock's guard", _guard_path(self._path)):
            data = os.pread(self._guard, _MAX_GUARD, 0)
        if not data:
            return None
        with suppress(ValueError, TypeError, LookupError, OverflowError, RecursionError):
            value = json.loads(data)
            known = _Identity(int(value["inode"]), int(value["changed"]), bytes.fromhex(value["digest"]))
            if _encode_guard(known) == data:
                return known
        raise CorruptError("the lock's guard is unreadable", where=str(_guard_path(self._path)))

    def _remember(self, identity: _Identity) -> None:
        # In place, because the advisory lock is on this inode; always the same length, so a single sector changes.
        with reporting("write the lock's guard", _guard_path(self._path)):
            os.lseek(self._guard, 0, os.SEEK_SET)
            write_all(self._guard, _encode_guard(identity))
            os.fsync(self._guard)


def _guard_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.guard")


def _find(path: Path) -> _Found | None:
    """Read the lock file and its identity through one descriptor; None when there is none."""
    with reporting("read the signed-checkpoint lock", path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(_MAX_FILE + 1)
            status = os.fstat(descriptor)
    identity = _Identity(status.st_ino, status.st_ctime_ns, hashlib.sha256(data).digest())
    state, inode, previous = _decode(data, path)
    return _Found(identity, state, inode, previous)


def _judge(found: _Found | None, known: _Identity | None) -> LockReading:
    if found is None:
        gone = known is not None and known.digest != _NONE
        return LockReading(LockStatus.ABSENT, None, "the lock was here and is gone" if gone else "there is no lock")
    if known is None:
        return LockReading(LockStatus.COPIED, found.state, "the guard beside the lock does not know it")
    if found.identity == known or _is_successor(found, known):
        return LockReading(LockStatus.INTACT, found.state, "the lock is the one this node wrote")
    return LockReading(LockStatus.COPIED, found.state, "the lock file was copied, restored or changed")


def _is_successor(found: _Found, known: _Identity) -> bool:
    """Whether a crash between writing the lock and its guard explains what is there."""
    return found.previous == known.digest and found.inode == found.identity.inode


def _encode(state: LockState, inode: int, previous: bytes) -> bytes:
    value = {
        "checkpoint": base64.b64encode(state.checkpoint).decode("ascii"),
        "format": _FORMAT,
        "inode": inode,
        "instance": state.instance.hex(),
        "log": state.log.hex(),
        "previous": previous.hex(),
        "root": state.root.hex(),
        "size": state.size,
    }
    body = json.dumps(value, sort_keys=True, indent=1)
    check = hashlib.sha256(body.encode("ascii")).hexdigest()
    return f"{body}\n{check}\n".encode("ascii")


def _decode(data: bytes, path: Path) -> tuple[LockState, int, bytes]:
    """Accept only the very bytes that `_encode` writes."""
    with suppress(ValueError, TypeError, LookupError, OverflowError, RecursionError, MalformedError):
        value = json.loads(data[: data.rindex(b"}") + 1])
        state = LockState(
            log=bytes.fromhex(value["log"]),
            instance=bytes.fromhex(value["instance"]),
            size=int(value["size"]),
            root=bytes.fromhex(value["root"]),
            checkpoint=base64.b64decode(value["checkpoint"], validate=True),
        )
        inode, previous = int(value["inode"]), bytes.fromhex(value["previous"])
        if _encode(state, inode, previous) == data:
            return state, inode, previous
    raise CorruptError(
        "the signed-checkpoint lock is unreadable",
        where=str(path),
        remedy="Do not delete it; recover explicitly, with witnesses or the chain answering",
    )


def _encode_guard(identity: _Identity) -> bytes:
    inode, changed = f"{identity.inode:020d}", f"{identity.changed:020d}"
    value = {"changed": changed, "digest": identity.digest.hex(), "inode": inode}
    return f"{json.dumps(value)}\n".encode("ascii")


def _refuse_step_back(path: Path, old: LockState, new: LockState) -> None:
    if old.log != new.log:
        raise _refuse(path, "the lock belongs to another log")
    if new.size < old.size or (new.size == old.size and new.root != old.root):
        raise _refuse(
            path, f"the new checkpoint (size {new.size}) does not extend the one of size {old.size} in the lock"
        )


def _refuse(path: Path, detail: str) -> RefusedStartError:
    return RefusedStartError(
        detail,
        where=str(path),
        remedy="Find out what happened to the lock and the data directory; then recover explicitly, with witnesses or"
        " the chain answering",
    )
