"""Restoring a backup: `tial restore`. Checks everything, overwrites nothing, and never helps a log to fork.

Unpacks beside the place where the data is to be, and checks there: every file against `SHA256SUMS`, every leaf, tile
and root against the entries, the checkpoint against the log's note key of its size, and every entry through the rules,
the signatures of those that no checkpoint covers included. Only then the data gets its name.

A backup never holds the signed-checkpoint lock. Where the lock is still there and knows of a larger size than the
backup, entries that were signed for are missing: they are taken from the backup's own journal and from a mirror's log
directory, and must give the very root in the lock; else the restore is refused (DESIGN rule 6, section 9). Where the
lock is gone, the node's next start decides: it asks for `--recover-lock`, and for the chain's word.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from ledger.errors import CorruptError, LedgerError, MalformedError, RefusedStartError
from ledger.log.tree import CompactRange, leaf_hash
from ledger.state.transition import verify_signature
from ledger.store.durable import make_directories, read_bounded, reporting, sync_directory
from ledger.store.index import Index
from ledger.store.journal import JournalCopy, encode_records, look_at, segment_name
from ledger.store.lock import WRITER_FILE, CheckpointLock, LockState, LockStatus
from ledger.store.replay import replay
from ledger.store.tiles import TileReader, TileWriter, write_checkpoint
from node import backup_format as form
from node.backup import newest_point
from node.config import load_config
from node.fsck import LogPaths, check
from node.recovery import DataFolder

WORK: Final = ".restoring"
_BLOCK: Final = 1 << 20
_MAX_SUMS: Final = 1 << 30
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class RestoreReport:
    """What was restored: entries up to `entries`, signed up to `size`; where the data is; what is left to do."""

    point: form.Point
    size: int
    entries: int
    data: Path
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The report as a JSON object."""
        return {
            "log": self.point.log, "made": self.point.made, "size": self.size, "entries": self.entries,
            "data": str(self.data), "notes": self.notes,
        }  # fmt: skip


def restore(
    source: Path, folder: Path, *, log_id: str = "", mirror: Path | None = None, progress: Progress | None = None
) -> RestoreReport:
    """Restore the backup `source` (a point, a folder of points: the newest, or a tar file) as the node in `folder`.

    `log_id` (hex) is the log that is expected; `mirror` a log directory with entries newer than the backup.

    Raises:
        RefusedStartError: data is there already, the node runs, or the backup is older than what was signed.
        MalformedError, CorruptError: this is no backup, or not what a log of this id made.
        StorageError: the operating system refused.

    """
    make_directories(folder)
    work = folder / WORK
    with ExitStack() as stack:
        if work.exists():
            raise RefusedStartError(
                "A restore was begun here and not finished", where=str(work), remedy="Remove that folder, then again"
            )
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        digests = _unpack(source, work)
        point = form.Point.parse((work / form.ABOUT).read_bytes() if form.ABOUT in digests else b"")
        if log_id and log_id != point.log:
            raise RefusedStartError(f"The backup is of log {point.log}", where=str(source), remedy="Name another one")
        return _restore(work, folder, _paths(work, folder), point, mirror, progress)


def _paths(work: Path, folder: Path) -> LogPaths:
    """Where data and lock go: by the configuration that is here, else by the backup's, which may not lead elsewhere."""
    own = (folder / form.CONFIG).exists()
    config = load_config((folder if own else work) / form.CONFIG, {})
    paths = LogPaths(folder / config.data, folder / config.lock)
    for path in () if own else (paths.data, paths.lock):
        if not path.resolve().is_relative_to(folder.resolve()):
            raise RefusedStartError(
                "The configuration in the backup puts the log outside this folder",
                where=str(path),
                remedy=f"Look at its {form.CONFIG}; if that is meant, put the file into the folder, then again",
            )
    return paths


def _restore(
    work: Path, folder: Path, paths: LogPaths, point: form.Point, mirror: Path | None, progress: Progress | None
) -> RestoreReport:
    data = DataFolder(work / form.DATA)
    if paths.data.exists() and any(path.name != WRITER_FILE for path in paths.data.iterdir()):
        raise RefusedStartError(
            "There is data here already: a restore overwrites nothing",
            where=str(paths.data),
            remedy="Move it away and keep it: it may hold entries that the backup lacks",
        )
    _verify(data, point, work, progress)
    report = RestoreReport(point, point.size, point.entries, paths.data)
    with CheckpointLock.open(paths.lock, data.path) as lock:  # no node runs meanwhile
        _agree_with_lock(lock, data, point, mirror, report)
        _index(data, report, progress)
        (data.path / WRITER_FILE).unlink(missing_ok=True)
        with reporting("put the data in place", paths.data):
            os.sync()  # before anything has its final name; one call for all files
            if paths.data.exists():
                (paths.data / WRITER_FILE).unlink(missing_ok=True)
                paths.data.rmdir()
            make_directories(paths.data.parent)
            data.path.rename(paths.data)
    _small_files(work, folder, report)
    sync_directory(paths.data.parent)
    sync_directory(folder)
    return report


# -- unpacking ---------------------------------------------------------------------------------------------------------


def _unpack(source: Path, work: Path) -> dict[str, bytes]:
    """Copy the files of a backup, each compared with SHA256SUMS; returns their digests by name."""
    with reporting("make room for", work):
        work.mkdir(0o700)
    if source.is_dir():
        point = source if (source / form.SUMS).is_file() else newest_point(source)
        if point is None:
            raise MalformedError("This is no backup", where=str(source), remedy=f"Name a folder with {form.SUMS} in it")
        sums = read_bounded(point / form.SUMS, _MAX_SUMS) or b""
        wanted = form.read_sums(sums)
        copied = {name: _copy_file(point / name, work / name, name) for name in wanted}
        found = {name: digest for name, digest in copied.items() if digest is not None}
    else:
        found, sums = _unpack_tar(source, work)
        wanted = form.read_sums(sums)
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise CorruptError(
                "a file of the backup is not the one that was backed up",
                where=f"{source}: {name}",
                remedy="The backup was altered or its disk is failing: use another one",
            )
    return found


def _mode(name: str, told: int) -> int:
    """The mode of a restored file: keys are for their owner alone, whatever a copy of the backup made of them."""
    return 0o600 if told & 0o077 == 0 or name.startswith(f"{form.KEYS}/") else 0o644


def _copy_file(source: Path, target: Path, name: str) -> bytes | None:
    with reporting("read the backup", source):
        if not source.is_file() or source.is_symlink():
            return None
        with source.open("rb") as stream:
            return _write(stream, target, _mode(name, source.stat().st_mode))


def _unpack_tar(source: Path, work: Path) -> tuple[dict[str, bytes], bytes]:
    found: dict[str, bytes] = {}
    sums = b""
    try:
        with reporting("read the backup", source), tarfile.open(source, "r:") as tar:
            for member in tar:
                name = form.safe_name(member.name)
                plain = member.isreg() and not member.issparse()  # a sparse one would grow without bound
                stream = tar.extractfile(member) if plain else None
                if stream is None or name in found:
                    raise MalformedError("no plain file, or one that is there twice", where=f"{source}: {name}")
                if name == form.SUMS:
                    sums = stream.read(_MAX_SUMS)
                else:
                    found[name] = _write(stream, work / name, _mode(name, member.mode))
    except (tarfile.TarError, EOFError) as error:
        raise MalformedError(f"This is no backup: {error}", where=str(source), remedy="Name a backup") from error
    return found, sums


def _write(stream: IO[bytes], target: Path, mode: int) -> bytes:
    with reporting("write", target):
        target.parent.mkdir(0o700, parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as out:
            while block := stream.read(_BLOCK):
                digest.update(block)
                out.write(block)
    return digest.digest()


# -- checking ----------------------------------------------------------------------------------------------------------


def _verify(data: DataFolder, point: form.Point, work: Path, progress: Progress | None) -> None:
    """Entries, tiles, roots, signature, journal and duplicates, as `tial log fsck` sees them."""
    if not data.path.is_dir():
        raise MalformedError("The backup holds no data", where=str(work), remedy="Name another backup")
    report = check(LogPaths(data.path, work / "none" / "lock"), progress=progress)
    findings = [finding for finding in report.findings if finding.code != "lock"]  # a backup has none
    if findings:
        raise CorruptError(
            f"the backup contradicts itself: {findings[0]}",
            where=str(work),
            remedy="It was altered: keep it as evidence, use another one",
        )
    genesis = _genesis(data, report.size)
    told = (bytes.fromhex(point.log), point.size, point.entries)
    if (leaf_hash(genesis), report.size, report.entries) != told:
        raise CorruptError("the backup does not hold what it says", where=form.ABOUT, remedy="Use another one")


def _genesis(data: DataFolder, size: int) -> bytes:
    if size:
        return TileReader(data.served).entry(0)
    return next(entry for _, entry in look_at(data.journal).entries(0))


def _index(data: DataFolder, report: RestoreReport, progress: Progress | None) -> None:
    """Build the index; what no checkpoint covers is believed only by its own signatures."""
    step = None if progress is None else (lambda done: progress("rules", done, report.entries))
    tree = CompactRange()
    try:
        with Index.open(data.index) as index:
            replay(index, TileReader(data.served).iter_entries(0, report.size), tree=tree, progress=step)
            tail = (entry for _, entry in look_at(data.journal).entries(report.size))
            replay(index, tail, verify=verify_signature, tree=tree, progress=step)
    except CorruptError as error:
        raise CorruptError(
            f"the backup holds an entry that no honest log has: {error.detail}", where=error.where, remedy=error.remedy
        ) from error


# -- the lock ----------------------------------------------------------------------------------------------------------


def _agree_with_lock(
    lock: CheckpointLock, data: DataFolder, point: form.Point, mirror: Path | None, report: RestoreReport
) -> None:
    """Refuse what contradicts the lock; catch up with it where the entries can be had."""
    reading = lock.read()
    state = reading.state
    if reading.status is not LockStatus.INTACT:
        report.notes.append(
            f"the signed-checkpoint lock is {reading.status.value}: start once with tial serve --recover-lock, while"
            " the chain answers"
        )
    if state is None:
        return
    if state.log.hex() != point.log or state.instance != data.instance.read_bytes():
        raise RefusedStartError(
            "The lock here belongs to another log or another data directory", where="lock", remedy="Name another folder"
        )
    if state.size > point.size:
        _catch_up(data, point, state, mirror, report)
        if reading.status is not LockStatus.INTACT:  # to recover the lock is to go on from what is served
            write_checkpoint(data.served, state.checkpoint)
    elif state.size and TileReader(data.served).root(state.size) != state.root:
        raise RefusedStartError(
            f"The backup forks from what was signed: another root at size {state.size}",
            where="lock",
            remedy="Keep both as evidence; restore from a mirror that agrees with the chain",
        )
    elif state.size < point.size:
        report.notes.append("the lock is older than the backup: the node will ask for --recover-lock")


def _catch_up(
    data: DataFolder, point: form.Point, state: LockState, mirror: Path | None, report: RestoreReport
) -> None:
    """Bring the data to the size in the lock: by the backup's journal, then by the mirror; the root decides.

    The checkpoint that is served stays: the node publishes the lock's when it starts, after its witnesses.
    """
    journal = look_at(data.journal)
    try:
        entries = list(itertools.islice(_newer(journal, point, state.size, mirror), state.size - point.size))
    except LedgerError as error:
        raise _older(point, state, f"; the mirror does not help: {error.detail}") from error
    if point.size + len(entries) < state.size:
        raise _older(point, state, "")
    writer = TileWriter.open(data.served, point.size, bytes.fromhex(point.root))
    writer.extend(entries, [leaf_hash(entry) for entry in entries])
    if writer.root() != state.root:
        raise RefusedStartError(
            f"The entries found do not give the root that was signed at size {state.size}",
            where="lock" if mirror is None else str(mirror),
            remedy="Name another mirror, or a newer backup",
        )
    writer.flush()
    left = [entry for _, entry in journal.entries(state.size)] if journal.next_index > state.size else []
    for segment in journal.segments:
        segment.path.unlink()
    (data.journal / segment_name(state.size)).write_bytes(encode_records(left))
    report.size, report.entries = state.size, state.size + len(left)
    report.notes.append(f"caught up from size {point.size} to {state.size}, which the lock says was signed last")


def _newer(journal: JournalCopy, point: form.Point, size: int, mirror: Path | None) -> Iterator[bytes]:
    for _, entry in journal.entries(point.size):
        yield entry
    if mirror is not None and journal.next_index < size:
        yield from TileReader(mirror).iter_entries(journal.next_index, size)


def _older(point: form.Point, state: LockState, more: str) -> RefusedStartError:
    return RefusedStartError(
        f"The backup (size {point.size}, {point.entries} entries) is older than what was signed (size {state.size})"
        f"{more}",
        where="lock",
        remedy="Restore a newer backup, or name the log directory of a mirror with --mirror; to sign from here would"
        " fork the log",
    )


def _small_files(work: Path, folder: Path, report: RestoreReport) -> None:
    """Configuration, card and keys, each only where there is none yet."""
    names = [form.CONFIG, form.CARD, *(f"{form.KEYS}/{path.name}" for path in sorted((work / form.KEYS).glob("*")))]
    for name in names:
        source, target = work / name, folder / name
        if not source.exists():
            continue
        if target.exists():
            report.notes.append(f"{name} was there and stays")
            continue
        make_directories(target.parent, 0o700)
        with reporting("put in place", target):
            source.rename(target)
    if not report.point.with_keys and not (folder / form.KEYS).exists():
        report.notes.append("the backup has no keys: bring the key files and their passphrase")
