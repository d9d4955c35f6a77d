"""Backup of a log while its node runs: `tial backup`.

Takes one point in time: the published checkpoint, the tiles and entry bundles of its size, the journal from there up to
what is durable, the documents, the instance, the configuration, and the key files only where asked. The lock is never
part of it: restored together with the data it would hide that entries are missing (DESIGN rule 6).

Order makes it consistent without stopping anything: the checkpoint first, then the journal, which holds every entry
that is durable beyond it, then the tiles, which never change. Every entry acknowledged before the journal was read is
in the backup. The journal's files are synced before they are read, so nothing is copied that the disk could still lose.

In a folder each point is a folder of its own; files that cannot change are hard links to the point before. Trusts the
node's files only as far as they agree with each other; `node.restore` checks a backup without trusting anything.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from ledger.errors import CorruptError, RefusedStartError
from ledger.log.checkpoint import Checkpoint
from ledger.log.notes import Note
from ledger.log.tiles import TILE_WIDTH, TileRef, bundles_between, encode_entry_bundle, tiles_between
from ledger.log.tree import EMPTY_ROOT, leaf_hash
from ledger.statements import decode_statement
from ledger.store.durable import (
    StorageError,
    hold,
    make_directories,
    read_bounded,
    replace_files,
    reporting,
    sync_directory,
)
from ledger.store.journal import JournalCopy, encode_records, look_at, segment_name
from ledger.store.tiles import TileReader
from node import backup_format as form
from node.config import Config
from node.recovery import DataFolder

ATTEMPTS: Final = 5
HOLD: Final = ".writing"
"""The advisory lock in a folder of backups: a second backup would take the first one's unfinished point away."""
_CHUNK: Final = 4096
"""Entries in one journal segment of a backup."""
_HELD: Final = 8 << 20
"""Bytes held before they are written together."""
_USERINFO = re.compile(r"(?<=://)[^/@\s\"']*@")
Progress = Callable[[str, int, int], None]
"""Hears (what is being copied, how many, in all)."""


@dataclass(slots=True)
class BackupReport:
    """What was backed up, and where. `copied` and `linked` count files; `notes` are no faults of the backup."""

    where: Path
    point: form.Point
    copied: int = 0
    linked: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The report as a JSON object."""
        point = self.point
        return {
            "where": str(self.where), "log": point.log, "size": point.size, "root": point.root,
            "entries": point.entries, "with_keys": point.with_keys, "copied": self.copied, "linked": self.linked,
            "seconds": round(self.seconds, 3), "notes": self.notes,
        }  # fmt: skip


class Sink(Protocol):
    """Where a backup goes."""

    def keep(self, name: str, like: os.stat_result | None, size: int) -> bool:
        """Take the file over from the point before, where it is surely the same."""

    def add(self, name: str, data: bytes, mode: int, like: os.stat_result | None = None) -> None:
        """Write a file."""

    def finish(self, name: str, data: bytes) -> None:
        """Write the last file, after all others are durable, and give the backup its name."""

    def drop(self) -> None:
        """Remove what was written: the backup failed."""


def backup(
    config: Config, to: Path, *, archive: bool = False, with_keys: bool = False, progress: Progress | None = None
) -> BackupReport:
    """Back a log up into the folder `to`, or into the new tar file `to` as an `archive`.

    Raises:
        RefusedStartError: there is no log here, the folder holds another log's backups, or the file exists.
        CorruptError: the node's own files contradict each other: look at it with `tial log fsck`.
        StorageError: the operating system refused.

    """
    folder = DataFolder(config.data_path)
    if not folder.instance.is_file():
        raise RefusedStartError("There is no log here", where=str(folder.path), remedy="Run `tial init` first")
    if to.resolve().is_relative_to(folder.path.resolve()):
        raise RefusedStartError("A backup does not go into the data directory", where=str(to), remedy="Name another")
    begun = time.perf_counter()
    run = _Backup(config, folder, with_keys, progress or (lambda *_told: None))
    report = run.into(to, archive=archive)
    report.seconds = time.perf_counter() - begun
    return report


class _Backup:
    """One run."""

    def __init__(self, config: Config, folder: DataFolder, with_keys: bool, progress: Progress) -> None:
        self._config = config
        self._folder = folder
        self._with_keys = with_keys
        self._progress = progress
        self._digests: dict[str, bytes] = {}
        self._copied = self._linked = 0
        self._notes: list[str] = []

    def into(self, to: Path, *, archive: bool) -> BackupReport:
        checkpoint, journal = self._begin()
        reader = TileReader(self._folder.served)
        signed = Checkpoint("", 0, EMPTY_ROOT) if checkpoint is None else Checkpoint.parse(Note.parse(checkpoint).text)
        genesis = reader.entry(0) if signed.size else next(journal.entries(0))[1]
        made = int(time.time())
        log_id = leaf_hash(genesis)
        point = form.Point(
            log_id.hex(), decode_statement(genesis).body["origin"], signed.size, signed.root.hex(),
            journal.next_index, made, self._with_keys,
        )  # fmt: skip
        sink: Sink = _TarSink(to) if archive else _FolderSink(to, point)
        self._sink = sink
        with ExitStack() as stack:
            stack.callback(sink.drop)
            self._journal(journal, signed.size)
            self._tiles(reader, signed.size, signed.root)
            if checkpoint is not None:
                self._add("data/log/checkpoint", checkpoint)
            self._documents()
            self._small_files()
            self._add(form.ABOUT, point.encode())
            sink.finish(form.SUMS, form.write_sums(self._digests))
            stack.pop_all()
        where = sink.final if isinstance(sink, _FolderSink) else to
        return BackupReport(where, point, self._copied, self._linked, notes=self._notes)

    # -- what is copied -------------------------------------------------------------------------------------------

    def _begin(self) -> tuple[bytes | None, JournalCopy]:
        """The checkpoint, then a journal that holds what is durable beyond it: again where the node went on between."""
        for attempt in range(1, ATTEMPTS + 1):
            checkpoint = TileReader(self._folder.served).checkpoint()
            size = 0 if checkpoint is None else Checkpoint.parse(Note.parse(checkpoint).text).size
            try:
                journal = look_at(self._folder.journal)
                for segment in journal.segments:
                    _sync(segment.path)
            except StorageError:  # the node dropped a segment that is all in tiles by now
                if attempt == ATTEMPTS:
                    raise
                continue
            if journal.first_index <= size <= journal.next_index:
                return checkpoint, journal
        raise CorruptError(
            f"the journal holds entries {journal.first_index} to {journal.next_index}, published are {size}",
            where=str(self._folder.journal),
            remedy="Stop the node and run tial log fsck",
        )

    def _journal(self, journal: JournalCopy, size: int) -> None:
        chunk: list[bytes] = []
        first = size
        for _, entry in journal.entries(size):
            chunk.append(entry)
            if len(chunk) == _CHUNK:
                self._add(f"data/journal/{segment_name(first)}", encode_records(chunk))
                first += len(chunk)
                chunk.clear()
        # Also an empty one: a journal without segments would begin at entry 0.
        self._add(f"data/journal/{segment_name(first)}", encode_records(chunk))

    def _tiles(self, reader: TileReader, size: int, root: bytes) -> None:
        if size and reader.root(size) != root:
            raise CorruptError(
                f"the tiles of size {size} do not give the root of the checkpoint",
                where=str(self._folder.served),
                remedy="Stop the node and run tial log fsck",
            )
        for ref in tiles_between(0, size):
            name = f"data/log/{ref.path}"
            if not self._keep(name, ref, ref.width * 32):
                self._add(name, reader.tile(ref.level or 0, ref.index, ref.width))
        done = 0
        for ref in bundles_between(0, size):
            name = f"data/log/{ref.path}"
            if not self._keep(name, ref, 0):
                entries = reader.entries(ref.index, ref.width)
                if b"".join(map(leaf_hash, entries)) != reader.tile(0, ref.index, ref.width):
                    raise CorruptError(
                        "an entry bundle does not hash to the leaves of its tile",
                        where=str(self._folder.served / ref.path),
                        remedy="Stop the node and run tial log fsck",
                    )
                self._add(name, encode_entry_bundle(entries))
            done += ref.width
            self._progress("entries", done, size)

    def _documents(self) -> None:
        """Documents as they are, erased ones as their tombstones: an erased one never stays in a newer point."""
        for number, path in enumerate(_listed(self._folder.documents), 1):
            name = f"data/documents/{path.parent.name}/{path.name}"
            try:
                found = path.stat()
                if not self._sink_keeps(name, found, found.st_size):
                    self._add(name, path.read_bytes(), 0o600, found)
            except FileNotFoundError:
                self._notes.append(f"a document went away meanwhile: {path.name}")
            if number % 1024 == 0:
                self._progress("documents", number, number)

    def _small_files(self) -> None:
        instance = read_bounded(self._folder.instance, 64)
        self._add("data/instance", instance or b"", 0o600)
        base = self._config.base
        config, card = read_bounded(base / form.CONFIG, 1 << 20), read_bounded(base / form.CARD, 1 << 16)
        if config is not None:
            text = config.decode()
            if _USERINFO.search(text):
                self._notes.append("tial.toml holds an address with a name or password in it: left out of the backup")
            self._add(form.CONFIG, _USERINFO.sub("", text).encode(), 0o600)
        if card is not None:
            self._add(form.CARD, card)
        for path in sorted((base / form.KEYS).glob("*.key")) if self._with_keys else ():
            self._add(f"{form.KEYS}/{path.name}", read_bounded(path, 1 << 16) or b"", 0o600)

    # -- how ------------------------------------------------------------------------------------------------------

    def _keep(self, name: str, ref: TileRef, size: int) -> bool:
        """Full tiles and bundles never change: whatever point has one has the same."""
        return ref.width == TILE_WIDTH and self._sink_keeps(name, None, size)

    def _sink_keeps(self, name: str, like: os.stat_result | None, size: int) -> bool:
        if not self._sink.keep(name, like, size):
            return False
        known = self._sink.previous[name] if isinstance(self._sink, _FolderSink) else b""
        self._digests[name] = known
        self._linked += 1
        return True

    def _add(self, name: str, data: bytes, mode: int = 0o644, like: os.stat_result | None = None) -> None:
        self._sink.add(form.safe_name(name), data, mode, like)
        self._digests[name] = form.digest_of(data)
        self._copied += 1


class _FolderSink:
    """A point in a folder of points: written under a hidden name, renamed when it is whole and durable."""

    def __init__(self, target: Path, point: form.Point) -> None:
        make_directories(target, 0o700)
        self._holding = hold(target / HOLD, "another backup writes into this folder")
        try:
            self._begin(target, point)
        except BaseException:
            os.close(self._holding)
            raise

    def _begin(self, target: Path, point: form.Point) -> None:
        before = newest_point(target)
        self.previous: dict[str, bytes] = {}
        self._before = before
        if before is not None:
            other = form.Point.parse(_read(before / form.ABOUT))
            if other.log != point.log:
                raise RefusedStartError(
                    "This folder holds backups of another log", where=str(target), remedy="Name another folder"
                )
            self.previous = form.read_sums(_read(before / form.SUMS))
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(point.made))
        names = (f"{stamp}-{number:03d}" for number in range(1000))
        self.final = next(target / name for name in names if not (target / name).exists())
        self._work = target / ".making"
        with reporting("remove what an earlier backup left", self._work):
            if self._work.exists():
                shutil.rmtree(self._work)
            self._work.mkdir(0o700)
        self._made = {self._work}
        self._waiting: dict[int, list[tuple[Path, bytes]]] = {}
        self._stamps: list[tuple[Path, os.stat_result]] = []
        self._bytes = 0

    def keep(self, name: str, like: os.stat_result | None, size: int) -> bool:
        if self._before is None or name not in self.previous:
            return False
        old = self._before / name
        try:
            found = old.stat()
        except OSError:
            return False
        if (size and found.st_size != size) or (like is not None and found.st_mtime_ns != like.st_mtime_ns):
            return False
        new = self._work / name
        self._folder_of(new)
        with reporting("link into the backup", new):
            os.link(old, new)
        return True

    def add(self, name: str, data: bytes, mode: int, like: os.stat_result | None = None) -> None:
        path = self._work / name
        self._folder_of(path)
        self._waiting.setdefault(mode, []).append((path, data))
        if like is not None:
            self._stamps.append((path, like))
        self._bytes += len(data)
        if self._bytes >= _HELD:
            self._flush()

    def finish(self, name: str, data: bytes) -> None:
        self._flush()
        for folder in self._made:
            sync_directory(folder)
        replace_files([(self._work / name, data)])
        with reporting("name the backup", self.final):
            self._work.rename(self.final)
        sync_directory(self.final.parent)
        os.close(self._holding)

    def drop(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        os.close(self._holding)

    def _folder_of(self, path: Path) -> None:
        for folder in reversed([p for p in path.parents if p.is_relative_to(self._work) and p not in self._made]):
            with reporting("create the directory", folder):
                folder.mkdir(0o700, exist_ok=True)
            self._made.add(folder)

    def _flush(self) -> None:
        for mode, files in self._waiting.items():
            replace_files(files, mode)
        for path, like in self._stamps:
            with reporting("keep the time of", path):
                os.utime(path, ns=(like.st_mtime_ns, like.st_mtime_ns))
        self._waiting.clear()
        self._stamps.clear()
        self._bytes = 0


class _TarSink:
    """A new tar file, written under a temporary name."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise RefusedStartError("There is a file of this name", where=str(path), remedy="Name a new one")
        make_directories(path.absolute().parent)
        self._path = path
        self._work = path.with_name(f".{path.name}.making")
        with reporting("write", self._work):
            descriptor = os.open(self._work, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._stream = os.fdopen(descriptor, "wb")
        self._tar = tarfile.open(fileobj=self._stream, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - kept open

    def keep(self, name: str, like: os.stat_result | None, size: int) -> bool:
        del name, like, size
        return False

    def add(self, name: str, data: bytes, mode: int, like: os.stat_result | None = None) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), mode
        info.mtime = 0 if like is None else int(like.st_mtime)
        with reporting("write", self._path):
            self._tar.addfile(info, io.BytesIO(data))

    def finish(self, name: str, data: bytes) -> None:
        self.add(name, data, 0o644)
        with reporting("write", self._path):
            self._tar.close()
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._work.rename(self._path)
        sync_directory(self._path.absolute().parent)

    def drop(self) -> None:
        self._stream.close()
        self._work.unlink(missing_ok=True)


def newest_point(target: Path) -> Path | None:
    """The newest whole point in a folder of backups, None where there is none."""
    with reporting("list the backups", target):
        whole = [path.parent for path in target.glob(f"*/{form.SUMS}") if not path.parent.name.startswith(".")]
    return max(whole, key=lambda path: path.name, default=None)


def _listed(documents: Path) -> Iterator[Path]:
    with reporting("list the documents", documents):
        yield from sorted(path for path in documents.glob("[0-9a-f][0-9a-f]/*") if not path.name.startswith("."))


def _read(path: Path) -> bytes:
    with reporting("read the backup", path):
        return path.read_bytes()


def _sync(path: Path) -> None:
    with reporting("sync the journal", path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
