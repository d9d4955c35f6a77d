"""Mirroring a log: `tial mirror URL DIR`. Every byte is checked before it is kept.

Owns the folder: the served files of the log as the log serves them (so a mirror can be served, followed and audited
like the log itself), `mirror.json` (where it comes from, whose key signed), `anchors.json`, `evidence/` for split-view
proofs and `audit/`, which is the auditor's. Trusts the log's verifier key that was given; without one it takes the key
that the node names, and says so. Tiles and bundles are checked under the signed root (`node.follower`), a new
checkpoint against the mirror's own last one, anchors against the mirror's roots. Interrupted, it goes on with what is
there: the checkpoint is replaced last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.audit.progress import Anchor
from ledger.errors import CorruptError, LedgerError, MalformedError, UnavailableError
from ledger.log.checkpoint import Checkpoint, open_checkpoint, open_cosigned
from ledger.log.notes import Note, NoteSignatureError, Vkey
from ledger.log.policy import TlogPolicy
from ledger.log.tiles import TILE_WIDTH, TileRef, encode_entry_bundle, tiles_between
from ledger.log.tree import EMPTY_ROOT, MAX_SIZE, leaf_hash
from ledger.statements import decode_statement
from ledger.store.durable import make_directories, read_bounded, remove_file, replace_file, replace_files
from ledger.store.tiles import TileReader, write_checkpoint
from node.follower import Fetch, Followed, HttpLog, UnverifiedError
from node.views import SplitViewError, View, contradiction

WRITE_TOGETHER: Final = 64
"""Files made durable at once."""
MAX_ANCHORS: Final = 1 << 28
MOST_ANCHORS: Final = 1 << 21
"""As many as the file of them holds."""
MAX_ANSWER: Final = 1 << 22
MAX_DOCUMENT: Final = 1 << 24
PAGE: Final = 100
Progress = Callable[[str, int, int], None]
"""Hears (what, done, in all)."""


@dataclass(frozen=True, slots=True)
class MirrorFolder:
    """Where things are in a mirror."""

    path: Path

    @property
    def reader(self) -> TileReader:
        """Reads the log's files."""
        return TileReader(self.path)

    @property
    def work(self) -> Path:
        """The auditor's work folder."""
        return self.path / "audit"

    @property
    def evidence(self) -> Path:
        """Split-view proofs, named after their digest."""
        return self.path / "evidence"

    def note(self) -> bytes | None:
        """The checkpoint up to which the mirror is whole."""
        return self.reader.checkpoint()

    def log_id(self) -> bytes:
        """The leaf hash of the genesis; CorruptError where the entry is missing."""
        return leaf_hash(self.reader.entry(0))

    def about(self) -> dict[str, Any]:
        """`mirror.json`: url and vkeys; empty where there is none. CorruptError where it is not in form."""
        raw = read_bounded(self.path / "mirror.json", MAX_ANSWER)
        found = {} if raw is None else _json(raw, self.path / "mirror.json")
        if type(found) is not dict:
            raise CorruptError("not an object", where=str(self.path / "mirror.json"))
        return found

    def anchors(self) -> tuple[list[Anchor], str]:
        """The anchors kept, by size, and who told of them: "node", "chain", or "" where there are none.

        Raises:
            CorruptError: the file is not in form.

        """
        where = self.path / "anchors.json"
        raw = read_bounded(where, MAX_ANCHORS)
        if raw is None:
            return [], ""
        told = _json(raw, where)
        try:
            return [_anchor(item) for item in told["anchors"]], str(told["source"])
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptError(f"anchors are not in form: {error}", where=str(where)) from error

    def keep_anchors(self, anchors: Iterable[Anchor], source: str) -> None:
        """Replace the anchors kept."""
        items = [{"size": a.size, "root": a.root.hex(), "time": a.time} for a in sorted(anchors, key=_by_size)]
        replace_file(self.path / "anchors.json", orjson.dumps({"source": source, "anchors": items}))

    def keep_proof(self, proof: bytes) -> Path:
        """Write a split-view proof; the same proof has the same name."""
        make_directories(self.evidence)
        path = self.evidence / f"split-view-{hashlib.sha256(proof).hexdigest()[:16]}.cbor"
        replace_file(path, proof)
        return path


@dataclass(slots=True)
class MirrorReport:
    """What a run fetched and checked. `trusted`: where the log's key came from; `notes`: what was not checked."""

    url: str
    log_id: bytes
    origin: str
    old: int
    size: int
    root: bytes
    trusted: str
    cosignatures: int = 0
    quorum: bool | None = None
    anchors: int = 0
    documents: int = 0
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "url": self.url,
            "log_id": self.log_id.hex(),
            "origin": self.origin,
            "from": self.old,
            "size": self.size,
            "root": self.root.hex(),
            "key": self.trusted,
            "cosignatures": self.cosignatures,
            "quorum": self.quorum,
            "anchors": self.anchors,
            "documents": self.documents,
            "notes": self.notes,
        }


@dataclass(frozen=True, slots=True)
class MirrorOptions:
    """What to check a mirror by: verifier keys, a policy of witnesses, anchors from the chain instead of the node."""

    vkeys: tuple[Vkey, ...] = ()
    policy: TlogPolicy | None = None
    chain_anchors: Callable[[bytes], Iterable[Anchor]] | None = None
    """Reads the anchors of a log id from the chain itself."""
    documents: bool = False


def mirror(url: str, path: Path, options: MirrorOptions, progress: Progress | None = None) -> MirrorReport:
    """Bring the mirror in `path` up to the checkpoint that `url` publishes.

    Raises:
        SplitViewError: the log contradicts the mirror, and the proof was written to `evidence/`.
        UnverifiedError: what is served is not what was signed or anchored.
        NoteSignatureError, MalformedError: the checkpoint is not by the log's key, or not in form.
        UnavailableError: the log does not answer.
        CorruptError, StorageError: the folder is damaged, or the operating system refused.

    """
    folder = MirrorFolder(path)
    make_directories(path)
    with HttpLog(url) as log:
        about = folder.about()
        vkeys, trusted = _vkeys(log, about, options)
        note = log.checkpoint()
        checkpoint = open_by_any(note, vkeys)
        old_note = folder.note()
        old = None if old_note is None else Checkpoint.parse(Note.parse(old_note).text)
        if old_note is not None and old is not None:
            own = View(str(path), old_note, old, lambda: folder.reader.nodes(old.size).get_node)
            stale = _require_agreement(folder, own, View(log.url, note, checkpoint, _nodes_of(log.fetch, checkpoint)))
            if stale:
                note, checkpoint = old_note, old
        report = MirrorReport(
            log.url, b"", checkpoint.origin, 0 if old is None else old.size, checkpoint.size, checkpoint.root, trusted
        )
        _check_witnesses(report, note, vkeys, options.policy)
        _fetch_all(
            folder, Followed(_local_first(folder, log.fetch), checkpoint.size, checkpoint.root), report, progress
        )
        report.log_id = folder.log_id() if checkpoint.size else b""
        replace_file(
            path / "mirror.json",
            orjson.dumps({"url": log.url, "log_id": report.log_id.hex(), "vkeys": [v.format() for v in vkeys]}),
        )
        write_checkpoint(path, note)
        _take_anchors(folder, log, report, options)
        if options.documents:
            _take_documents(folder, log, report, progress)
    return report


def open_by_any(note: bytes, vkeys: Iterable[Vkey]) -> Checkpoint:
    """Verify a checkpoint by one of the keys that the log has had; errors as `open_checkpoint`."""
    refused: LedgerError = NoteSignatureError("no verifier key of the log is known", remedy="Give its vkey")
    for vkey in vkeys:
        try:
            return open_checkpoint(note, vkey)
        except LedgerError as error:
            refused = error
    raise refused


def _vkeys(log: HttpLog, about: dict[str, Any], options: MirrorOptions) -> tuple[tuple[Vkey, ...], str]:
    """The keys to verify by, and where they come from."""
    given = options.vkeys or (() if options.policy is None else tuple(entry.vkey for entry in options.policy.logs))
    if given:
        return given, "given"
    known = about.get("vkeys", [])
    if known:
        return tuple(Vkey.parse(str(text)) for text in known), "this mirror's first run"
    told = _ask(log.fetch, "v1/log")
    if type(told) is not dict or type(told.get("vkey")) is not str:
        raise MalformedError("the node names no verifier key", where=log.url, remedy="Give --vkey")
    return (Vkey.parse(told["vkey"]),), "the node's own word"


def _nodes_of(fetch: Fetch, checkpoint: Checkpoint) -> Callable[[], Any]:
    return lambda: Followed(fetch, checkpoint.size, checkpoint.root).nodes().get_node


def _require_agreement(folder: MirrorFolder, own: View, shown: View) -> bool:
    """Refuse a log that contradicts the mirror; tells whether what it shows is older than the mirror."""
    proof = contradiction(own, shown)
    if proof is not None:
        raise SplitViewError(
            f"the log contradicts this mirror: sizes {own.size} and {shown.size} do not belong to one log",
            proof,
            where=str(folder.keep_proof(proof)),
            remedy="Hand the proof to the consortium: anybody can check it with the log's key",
        )
    return shown.size < own.size


def _check_witnesses(report: MirrorReport, note: bytes, vkeys: Iterable[Vkey], policy: TlogPolicy | None) -> None:
    if policy is None:
        report.notes.append("no policy was given: cosignatures were not checked")
        return
    for vkey in vkeys:
        with suppress(NoteSignatureError):
            _, cosignatures = open_cosigned(note, vkey, policy.vkeys)
            report.cosignatures = len(cosignatures)
            report.quorum = policy.satisfied([found.vkey for found in cosignatures])
            if not report.quorum:
                raise UnverifiedError("the checkpoint lacks the quorum of witnesses", where="checkpoint")
            return
    raise NoteSignatureError("the note holds a bad signature of a known witness", where="checkpoint")


def _local_first(folder: MirrorFolder, fetch: Fetch) -> Fetch:
    """Read full tiles and bundles that an earlier run left, fetch everything else; the follower checks both alike."""

    def read(path: str, limit: int) -> bytes | None:
        kept = None if ".p/" in path else read_bounded(folder.path / path, limit)
        return fetch(path, limit) if kept is None else kept

    return read


def _fetch_all(folder: MirrorFolder, followed: Followed, report: MirrorReport, progress: Progress | None) -> None:
    """Keep every tile and bundle that the mirror lacks at the new size, checked."""
    if report.size == report.old:
        return
    total = report.size

    def files() -> Iterator[tuple[TileRef, bytes]]:
        for ref in tiles_between(report.old, report.size):
            yield ref, followed.tile(ref.level or 0, ref.index, ref.width)
        for ref, entries in followed.bundles(report.old, report.size):
            yield ref, encode_entry_bundle(entries)
            if progress is not None and (ref.index % 32 == 0 or ref.width < TILE_WIDTH):
                progress("entries", ref.index * TILE_WIDTH + ref.width, total)

    waiting: list[tuple[Path, bytes]] = []
    full: list[TileRef] = []
    for ref, data in files():
        waiting.append((folder.path / ref.path, data))
        if ref.width == TILE_WIDTH:
            full.append(ref)
        if len(waiting) >= WRITE_TOGETHER:
            replace_files(waiting)
            waiting.clear()
    replace_files(waiting)
    for ref in full:
        _remove_partials(folder.path / TileRef(ref.level, ref.index, 1).path)


def _remove_partials(partial: Path) -> None:
    """Remove the partial files of a tile that became full."""
    if partial.parent.is_dir():
        for path in list(partial.parent.iterdir()):
            remove_file(path)
        with suppress(OSError):
            partial.parent.rmdir()


# -- anchors -----------------------------------------------------------------------------------------------------------


def _take_anchors(folder: MirrorFolder, log: HttpLog, report: MirrorReport, options: MirrorOptions) -> None:
    """Keep all anchors, and compare those at sizes that the mirror has with its own roots."""
    if options.chain_anchors is not None:
        anchors, source = list(options.chain_anchors(report.log_id)), "chain"
    else:
        source = "node"
        try:
            anchors = list(_anchors_of_node(log))
        except UnavailableError as error:
            report.notes.append(f"the node tells of no anchors: {error.detail}")
            return
        report.notes.append("anchors are as the node tells of them; --chain asks the chain itself")
    folder.keep_anchors(anchors, source)
    for anchor in anchors:
        if anchor.size <= report.size:
            require_anchored(folder.reader, anchor)
            report.anchors += 1


def require_anchored(reader: TileReader, anchor: Anchor) -> None:
    """Refuse an anchor of another root than the mirror's at that size."""
    root = reader.root(anchor.size) if anchor.size else EMPTY_ROOT
    if root != anchor.root:
        raise UnverifiedError(
            f"anchored at size {anchor.size} is root {anchor.root.hex()}, the log has {root.hex()}",
            where=f"size {anchor.size}",
            remedy="Ask for chain evidence of that anchor: with the checkpoint it makes a split-view proof",
        )


def _anchors_of_node(log: HttpLog) -> Iterator[Anchor]:
    """All anchors that the node tells of, newest first. Their sizes must fall, so that no list is without an end."""
    below, asked, count = MAX_SIZE + 1, "", 0
    while True:
        told = _ask(log.fetch, f"v1/anchors?limit={PAGE}{asked}")
        try:
            shown = [(_anchor(item), item["state"] == "done") for item in told["anchors"]]
            following = told["next"]
        except (KeyError, TypeError, ValueError) as error:
            raise UnverifiedError(f"the node's list of anchors is not in form: {error}", where=log.url) from error
        for anchor, done in shown:
            if anchor.size >= below or count >= MOST_ANCHORS:
                raise UnverifiedError("the node's list of anchors is not in order, or too long", where=log.url)
            below, count = anchor.size, count + 1
            if done:
                yield anchor
        if type(following) is not int or not shown:
            return
        asked = f"&before={following}"


def _anchor(item: Any) -> Anchor:
    size, root, time = item["size"], bytes.fromhex(item["root"]), item["time"]
    if type(size) is not int or size < 0 or len(root) != 32 or type(time) is not int:
        raise ValueError("size, root or time")
    return Anchor(size, root, time)


def _by_size(anchor: Anchor) -> tuple[int, bytes]:
    return anchor.size, anchor.root


# -- documents ---------------------------------------------------------------------------------------------------------


def _take_documents(folder: MirrorFolder, log: HttpLog, report: MirrorReport, progress: Progress | None) -> None:
    """Fetch the public documents of new entries, each checked against its digest in the log."""
    missing = 0
    for index, raw in enumerate(folder.reader.iter_entries(report.old, report.size), report.old):
        digest = decode_statement(raw).digest
        if digest is None:
            continue
        path = folder.path / "documents" / digest.hex()[:2] / digest.hex()
        if path.exists():
            continue
        try:
            data = log.fetch(f"v1/documents/{digest.hex()}", MAX_DOCUMENT)
        except UnavailableError:
            data = None  # private or erased: the log does not need it
        if data is None:
            missing += 1
            continue
        if hashlib.sha256(data).digest() != digest:
            raise UnverifiedError("the document is not the one in the log", where=f"entry {index}, {digest.hex()}")
        make_directories(path.parent)
        replace_file(path, data)
        report.documents += 1
        if progress is not None:
            progress("documents", index, report.size)
    if missing:
        report.notes.append(f"{missing} documents are private, erased or not served")


def _ask(fetch: Fetch, path: str) -> Any:
    raw = fetch(path, MAX_ANSWER)
    if raw is None:
        raise UnavailableError("the node has no such route", where=path)
    return _json(raw, path)


def _json(raw: bytes, where: object) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise CorruptError(f"not JSON: {error}", where=str(where)) from error
