"""The monitor: `tial monitor URL...` watches one log as nodes, witnesses and chain show it.

Where two of them contradict each other, it keeps the proof.
Owns a folder: `monitor.json` (the newest checkpoint that everything agreed with, and checkpoints that nobody could yet
show the tree of) and `evidence/`. A scan reads every view, compares each with the largest tree that is served, and only
then writes down how far it came: what a scan did not get to is compared again by the next. Trusts the log's verifier
keys, and of everybody else only that they answer; what nobody serves is "cannot tell", never agreement.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from ledger.errors import CorruptError, LedgerError, MalformedError, UnavailableError
from ledger.evidence.split_view import split_from_chain
from ledger.log.checkpoint import open_cosigned
from ledger.log.notes import MAX_NOTE, Vkey
from ledger.log.policy import TlogPolicy
from ledger.log.tree import leaf_hash
from ledger.store.durable import make_directories, read_bounded, replace_file
from node.chain.protocol import Chain
from node.follower import Followed, HttpLog, UnverifiedError
from node.mirror import MirrorFolder, open_by_any
from node.views import View, contradiction

MAX_PENDING: Final = 64
"""Checkpoints kept until somebody serves a tree as large."""
_MAX_STATE: Final = MAX_PENDING * 2 * MAX_NOTE

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MonitorOptions:
    """The log's verifier keys; `notes`: files or URLs of single checkpoints; witnesses; and the chain."""

    vkeys: tuple[Vkey, ...]
    notes: tuple[str, ...] = ()
    policy: TlogPolicy | None = None
    chain: Chain | None = None


@dataclass(slots=True)
class Scan:
    """What one scan saw. `contradictions`: (what, file of the proof or ""); `troubles` and `waiting`: (who, what)."""

    views: list[View] = field(default_factory=list)
    agreed: View | None = None
    contradictions: list[tuple[str, str]] = field(default_factory=list)
    troubles: list[tuple[str, str]] = field(default_factory=list)
    waiting: list[tuple[str, str]] = field(default_factory=list)
    anchored: int = 0

    def as_json(self) -> dict[str, Any]:
        """The scan as a JSON object."""
        agreed = self.agreed
        return {
            "views": [{"name": v.name, "size": v.size, "root": v.checkpoint.root.hex()} for v in self.views],
            "agreed": None if agreed is None else {"size": agreed.size, "root": agreed.checkpoint.root.hex()},
            "anchored": self.anchored,
            "contradictions": [{"detail": detail, "proof": proof} for detail, proof in self.contradictions],
            "troubles": [{"name": name, "detail": detail} for name, detail in self.troubles],
            "waiting": [{"name": name, "detail": detail} for name, detail in self.waiting],
        }


class Monitor:
    """Watches one log. One process at a time for a folder."""

    def __init__(self, urls: Sequence[str], path: Path, options: MonitorOptions) -> None:
        make_directories(path)
        self._urls = tuple(urls)
        self._folder = MirrorFolder(path)
        self._file = path / "monitor.json"
        self._options = options
        self._log_id = b""
        self._agreed: bytes | None = None
        self._pending: list[bytes] = []
        self._load()

    def scan(self) -> Scan:
        """Look at every view once, and write down how far that came.

        Raises:
            StorageError: the operating system refused; the next scan does the same again.

        """
        found = Scan()
        with ExitStack() as stack:
            trees = self._trees(found, stack)
            self._single_notes(found)
            remembered = [note for note in (self._agreed, *self._pending) if note is not None]
            known = [View("remembered", note, open_by_any(note, self._options.vkeys)) for note in remembered]
            largest, compared = self._compare(found, trees, [*found.views, *known])
            if largest is not None:
                self._learn_log_id(found, largest)
                self._compare_chain(found, largest)
        self._conclude(found, largest, [view for view in [*found.views, *known] if view.note not in compared])
        return found

    # -- what is shown ---------------------------------------------------------------------------------------------

    def _trees(self, found: Scan, stack: ExitStack) -> list[View]:
        trees = []
        for url in self._urls:
            try:
                source = stack.enter_context(HttpLog(url))
                view = self._view(found, url, source.checkpoint())
            except LedgerError as error:
                found.troubles.append((url, error.explain()))
                continue
            followed = Followed(source.fetch, view.size, view.checkpoint.root)
            view = View(url, view.note, view.checkpoint, lambda tree=followed: tree.nodes().get_node)  # type: ignore[misc]
            trees.append(view)
            found.views.append(view)
        return trees

    def _single_notes(self, found: Scan) -> None:
        for place in self._options.notes:
            try:
                found.views.append(self._view(found, place, _read_note(place)))
            except LedgerError as error:
                found.troubles.append((place, error.explain()))

    def _view(self, found: Scan, name: str, note: bytes) -> View:
        """Verify a note by the log's keys, and the known witnesses on it."""
        checkpoint = open_by_any(note, self._options.vkeys)
        policy = self._options.policy
        if policy is not None:
            vkey = next(vkey for vkey in self._options.vkeys if _signs(vkey, note))
            _, cosignatures = open_cosigned(note, vkey, policy.vkeys)
            if not policy.satisfied([cosignature.vkey for cosignature in cosignatures]):
                found.troubles.append((name, f"size {checkpoint.size} lacks the quorum of witnesses"))
        return View(name, note, checkpoint)

    # -- comparing -------------------------------------------------------------------------------------------------

    def _compare(self, found: Scan, trees: list[View], views: list[View]) -> tuple[View | None, set[bytes]]:
        """Compare every view with the largest tree that is served as signed; returns it, and the notes compared."""
        for largest in sorted(trees, key=lambda view: -view.size):
            compared = {largest.note}
            try:
                for view in views:
                    if view.note in compared or view.size > largest.size:
                        continue
                    proof = contradiction(view, largest)
                    if proof is not None:
                        self._keep(found, f"{view.name} (size {view.size}) and {largest.name}", proof)
                    compared.add(view.note)
            except (UnavailableError, UnverifiedError) as error:
                found.troubles.append((largest.name, error.explain()))
                continue
            return largest, compared
        return None, set()

    def _learn_log_id(self, found: Scan, largest: View) -> None:
        if self._log_id or not largest.size:
            return
        try:
            with HttpLog(largest.name) as source:
                genesis = Followed(source.fetch, largest.size, largest.checkpoint.root).entry(0)
        except LedgerError as error:
            found.troubles.append((largest.name, error.explain()))
            return
        self._log_id = leaf_hash(genesis)

    def _compare_chain(self, found: Scan, largest: View) -> None:
        chain = self._options.chain
        if chain is None or not self._log_id:
            return
        try:
            chain.check()
            head = chain.head(self._log_id)
            found.anchored = head.size
            if head.size > largest.size:
                found.waiting.append(
                    ("chain", f"size {head.size} is anchored, no node serves more than {largest.size}")
                )
            elif head.size and largest.prefix(head.size).root != head.root:
                self._against_chain(found, chain, largest, head.size)
        except LedgerError as error:
            found.troubles.append(("chain", error.explain()))

    def _against_chain(self, found: Scan, chain: Chain, largest: View, size: int) -> None:
        what = f"{largest.name} (size {largest.size}) and the chain at size {size}"
        prefix = None if size == largest.size else largest.prefix(size)
        try:
            evidence = chain.prove(self._log_id, size).evidence
        except LedgerError as error:
            found.contradictions.append((f"{what}; the chain's node gives no evidence: {error.explain()}", ""))
            log.exception("split view", extra={"views": what, "proof": ""})
            return
        self._keep(found, what, split_from_chain(largest.note, evidence, prefix))

    def _keep(self, found: Scan, what: str, proof: bytes) -> None:
        path = str(self._folder.keep_proof(proof))
        found.contradictions.append((what, path))
        log.error("split view", extra={"views": what, "proof": path})

    # -- what is remembered ----------------------------------------------------------------------------------------

    def _conclude(self, found: Scan, largest: View | None, left: list[View]) -> None:
        """Write down what was agreed upon, and what could not be compared yet. Last of all: a scan skips nothing."""
        pending = list(dict.fromkeys(view.note for view in left if view.note != self._agreed))
        found.waiting += [(view.name, f"nobody serves the tree of size {view.size}") for view in left]
        if len(pending) > MAX_PENDING:
            found.troubles.append(("monitor", f"{len(pending) - MAX_PENDING} checkpoints more than can be remembered"))
        self._pending = pending[:MAX_PENDING]
        if largest is not None and not found.contradictions:
            found.agreed = largest
            self._agreed = largest.note
        told = {
            "log_id": self._log_id.hex(),
            "agreed": None if self._agreed is None else base64.b64encode(self._agreed).decode(),
            "pending": [base64.b64encode(note).decode() for note in self._pending],
        }
        replace_file(self._file, orjson.dumps(told))

    def _load(self) -> None:
        raw = read_bounded(self._file, _MAX_STATE)
        if raw is None:
            return
        try:
            told = orjson.loads(raw)
            self._log_id = bytes.fromhex(told["log_id"])
            self._agreed = None if told["agreed"] is None else base64.b64decode(told["agreed"], validate=True)
            self._pending = [base64.b64decode(text, validate=True) for text in told["pending"]]
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptError(
                f"the monitor's memory is not in form: {error}",
                where=str(self._file),
                remedy="Restore it, or move it away: what it remembered is then not compared any more",
            ) from error


def _signs(vkey: Vkey, note: bytes) -> bool:
    try:
        open_by_any(note, (vkey,))
    except LedgerError:
        return False
    return True


def _read_note(place: str) -> bytes:
    """A checkpoint from a URL or a file."""
    if place.startswith(("http://", "https://")):
        prefix, _, name = place.rpartition("/")
        with HttpLog(prefix) as source:
            note = source.fetch(name, MAX_NOTE)
    else:
        note = read_bounded(Path(place), MAX_NOTE)
    if note is None:
        raise MalformedError("there is no checkpoint here", where=place)
    return note
