"""The auditor's run over a mirror: verify processes, the clock, and the signed report around `ledger.audit`.

Owns what the library must not have: processes and time. Reads a folder that is laid out as a log is served, a mirror or
a node's own; writes to its work folder alone, and never to the log.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ledger import __version__
from ledger.audit.ahead import Answers, Check
from ledger.audit.engine import Audit, audit_log
from ledger.audit.progress import Anchor
from ledger.audit.sample import audit_sample
from ledger.errors import MalformedError, RefusedStartError, UnavailableError
from ledger.evidence import audit_report
from ledger.evidence.audit_report import Anchored, AuditReport, Sample
from ledger.log.checkpoint import open_cosigned
from ledger.log.notes import NoteSignatureError, Vkey
from ledger.log.policy import TlogPolicy
from ledger.store.durable import make_directories
from node.follower import UnverifiedError
from node.mirror import MirrorFolder, open_by_any, require_anchored
from node.rebuild import rarely_collecting
from node.verifiers import check_batch, start_worker

PROCESSES: Final = 2
"""Verify processes: each check costs more than all else that happens to an entry, so two keep one replay busy."""
_PART: Final = 128


class VerifyProcesses:
    """Signature checks in processes of their own. A context manager."""

    def __init__(self, processes: int = 0) -> None:
        """`processes` 0 takes as many as there are cores, at most `PROCESSES`."""
        count = processes or min(PROCESSES, os.cpu_count() or 1)
        context = multiprocessing.get_context("forkserver")
        self._pool = ProcessPoolExecutor(count, mp_context=context, initializer=start_worker)

    def begin(self, checks: Sequence[Check]) -> Answers:
        """Send the checks away; see `ledger.audit.ahead.Verifier`."""
        try:
            parts = [self._pool.submit(check_batch, checks[at : at + _PART]) for at in range(0, len(checks), _PART)]
        except BrokenProcessPool as error:
            raise _died() from error
        return lambda: _collect(parts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _collect(parts: Sequence[Future[bytes]]) -> list[bool]:
    try:
        return [bool(answer) for part in parts for answer in part.result()]
    except BrokenProcessPool as error:
        raise _died() from error


def _died() -> UnavailableError:
    return UnavailableError(
        "a process that checks signatures died", remedy="Run the audit again: it goes on from where it stopped"
    )


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """What to audit a mirror by. `sample` and `seed` go together; `log_id` is the log that is expected, if any."""

    log_id: bytes | None = None
    vkeys: tuple[Vkey, ...] = ()
    policy: TlogPolicy | None = None
    chain_anchors: Callable[[bytes], Sequence[Anchor]] | None = None
    """Reads the anchors of a log id from the chain itself."""
    sample: int | None = None
    seed: bytes = b""
    work: Path | None = None
    processes: int = 0


def audit(
    path: Path, options: AuditOptions, now: Callable[[], int], progress: Callable[[int, int], None] | None = None
) -> AuditReport:
    """Audit the log in a folder.

    Raises:
        RefusedStartError: there is no log in the folder, or it is not the one expected, or another audit runs.
        NoteSignatureError, UnverifiedError: the checkpoint is not signed by the given keys or witnesses.
        CorruptError: files are missing or damaged, so that nothing can be said: complete the mirror first.
        UnavailableError: the chain does not answer, or the verify processes died.

    """
    folder = MirrorFolder(path)
    note = folder.note()
    if note is None:
        raise RefusedStartError("There is no log here", where=str(path), remedy="Run tial mirror first")
    checks = set(audit_report.REPLAYED)
    _check_given(note, options, checks)
    reader = folder.reader
    with rarely_collecting():
        if options.sample is None:
            work = options.work or folder.work
            make_directories(work)
            log_id = folder.log_id()
            anchors, source = _anchors(folder, log_id, options)
            with VerifyProcesses(options.processes) as verifier:
                found = audit_log(reader, note, work, anchors=anchors, verifier=verifier, progress=progress)
        else:
            found = audit_sample(reader, note, options.seed, options.sample, progress)
            anchors, source = _anchors(folder, found.log_id, options)
            _compare_anchors(folder, found, anchors)
            checks = {"checkpoint", "entries", "signatures"} | (checks - audit_report.REPLAYED)
    if options.log_id is not None and found.log_id != options.log_id:
        raise RefusedStartError(
            f"this is the log {found.log_id.hex()}, not the one expected", where=str(path), remedy="Check the folder"
        )
    if found.anchors:
        checks.add("chain" if source == "chain" else "anchors")
    return _report(found, options, frozenset(checks), now())


def _check_given(note: bytes, options: AuditOptions, checks: set[str]) -> None:
    """Check the checkpoint by what the auditor brought along, before anything is read."""
    policy = options.policy
    vkeys = options.vkeys or (() if policy is None else tuple(entry.vkey for entry in policy.logs))
    if vkeys:
        open_by_any(note, vkeys)
    if policy is None:
        return
    if not vkeys:
        raise MalformedError("the policy names no log", where="policy", remedy="Add a log line, or give --vkey")
    for vkey in vkeys:
        try:
            _, cosignatures = open_cosigned(note, vkey, policy.vkeys)
        except NoteSignatureError:
            continue  # by another key of the log
        if not policy.satisfied([found.vkey for found in cosignatures]):
            raise UnverifiedError("the checkpoint lacks the quorum of witnesses", where="checkpoint")
        checks.add("cosignatures")
        return
    raise NoteSignatureError("a known witness's signature on the checkpoint does not verify", where="checkpoint")


def _anchors(folder: MirrorFolder, log_id: bytes, options: AuditOptions) -> tuple[list[Anchor], str]:
    if options.chain_anchors is None:
        return folder.anchors()
    return list(options.chain_anchors(log_id)), "chain"


def _compare_anchors(folder: MirrorFolder, found: Audit, anchors: Sequence[Anchor]) -> None:
    """Compare anchors with the roots that the tiles give: for a sample, which streams no entries."""
    reader = folder.reader
    for anchor in sorted(anchors, key=lambda anchor: anchor.size):
        if anchor.size > found.size:
            found.beyond += 1
            continue
        found.anchors += 1
        found.newest = anchor
        try:
            require_anchored(reader, anchor)
        except UnverifiedError as error:
            found.fail("anchor", error.detail)


def _report(found: Audit, options: AuditOptions, checks: frozenset[str], now: int) -> AuditReport:
    newest = found.newest
    notes = []
    if found.beyond:
        notes.append(f"{found.beyond} anchors lie beyond this checkpoint and were not compared")
    if found.lag is not None:
        notes.append(f"log time was at most {found.lag} seconds behind the block of an anchor")
    if options.sample is not None:
        notes.append("a sample: who was entitled, the state and the sums over the log were not checked")
    if found.checked < found.size and options.sample is None:
        notes.append("the replay stopped at the first entry that the rules refuse; nothing after it was checked")
    return AuditReport(
        log_id=found.log_id,
        size=found.size,
        root=found.root,
        state=found.state,
        mode=audit_report.FULL if options.sample is None else audit_report.SAMPLE,
        checked=found.checked,
        counts=dict(sorted(found.counts.items())),
        checks=checks,
        time=now,
        software=f"tial {__version__}",
        failed=len(found.failures),
        failures=tuple(found.failures[: audit_report.MAX_FAILURES]),
        anchors=None if newest is None else Anchored(found.anchors, newest.size, newest.root),
        sample=None if options.sample is None else Sample(options.seed, options.sample),
        notes=tuple(notes),
    )
