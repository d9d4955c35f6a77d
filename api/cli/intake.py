"""The bulk job: rows in; statements signed, sent and answered; what was rejected written beside the input.

Owns three files beside the input. `<input>.tial-state` lists the rows that the log accepted, under the input's SHA-256,
so that a job which was cut off goes on with --resume and repeats nothing. `<input>.rejected.csv` holds rejected rows
with their reasons; mended, it is an input itself. `<input>.tial-acks` keeps the log's signed acknowledgements and the
leaves that they are for, for `tial promise check`: some 50 bytes a row, only ever added to. Memory is bounded: three
chunks, one bit a row to resume.

A row whose answer was lost is refused as known when it is sent again; it counts as accepted if the log holds exactly
what the row says (`Job.is_ours`).
"""

from __future__ import annotations

import csv
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from time import monotonic, time
from typing import Any, Final, NamedTuple, Protocol, TextIO

import orjson

from api.answers import ItemResult, LogInfo, Receipt, Refused, Run, check_acknowledgement
from api.cli.errors import UsageError
from api.cli.rows import ADDED, BadRow, Row, Source
from api.client import BULK, Client
from api.promises import PromiseFile
from ledger.errors import MalformedError
from ledger.evidence.promise import Kept, Promised
from ledger.log.tree import leaf_hash

STATE_FORMAT: Final = "tial-intake-v1"
AHEAD: Final = 2
"""Chunks made while one is under way. They are sent one by one: which of two equal rows wins is the file's order."""
MAX_ROWS: Final = 1 << 32
SHOWN: Final = 20
"""Rejections that a summary lists; the file has them all."""


class Prepared(NamedTuple):
    """A row made into a statement about `subject` and its document (canonical JSON)."""

    row: Row
    subject: str
    statement: bytes
    document: bytes


class Job(Protocol):
    """What is made of rows."""

    name: str

    def prepare(self, row: Row) -> Prepared:
        """Make a statement of a row; LedgerError says what is wrong with it."""

    def is_ours(self, prepared: Prepared) -> int | None:
        """The entry that holds exactly this row already, None where there is none."""


@dataclass(slots=True)
class Summary:
    """What became of a file."""

    rows: int = 0
    accepted: int = 0
    earlier: int = 0
    rejected: int = 0
    first: int | None = None
    last: int | None = None
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    rejections: list[dict[str, Any]] = field(default_factory=list)

    def accept(self, index: int) -> None:
        """Count an accepted row."""
        self.accepted += 1
        self.first = index if self.first is None else min(self.first, index)
        self.last = index if self.last is None else max(self.last, index)

    def as_json(self) -> dict[str, Any]:
        """The summary for a program."""
        return {
            "rows": self.rows,
            "accepted": self.accepted,
            "accepted_earlier": self.earlier,
            "rejected": self.rejected,
            "first_entry": self.first,
            "last_entry": self.last,
            "seconds": round(self.seconds, 3),
            "reasons": dict(self.reasons),
            "rejections": self.rejections,
        }


class State:
    """The rows accepted so far, in a file beside the input; a bit a row in memory."""

    def __init__(self, path: Path, header: dict[str, Any], accepted: bytearray, stream: TextIO) -> None:
        self.path = path
        self.started: int = header["started"]
        self._accepted = accepted
        self._stream = stream
        self._holds_rows = bool(accepted)

    @classmethod
    def open(cls, source: Path, identity: dict[str, Any], *, resume: bool) -> State:
        """Begin a state file, or go on with the one that is there; UsageError where it is of another job."""
        path = Path(f"{source}.tial-state")
        header = {"format": STATE_FORMAT, **identity, "started": int(time())}
        accepted = bytearray()
        if path.exists():
            if not resume:
                raise UsageError(
                    "This file was sent before, at least in part",
                    where=str(path),
                    remedy="Give --resume to go on, or remove the state file to send all rows anew",
                )
            header, accepted = _read_state(path, identity)
        stream = path.open("a", encoding="ascii")
        if not accepted and stream.tell() == 0:
            stream.write(orjson.dumps(header).decode() + "\n")
            stream.flush()
        return cls(path, header, accepted, stream)

    def has(self, number: int) -> bool:
        """Whether a row was accepted before."""
        return number >> 3 < len(self._accepted) and bool(self._accepted[number >> 3] & 1 << (number & 7))

    def add(self, accepted: list[tuple[int, int]]) -> None:
        """Note accepted rows with their entries."""
        self._holds_rows = self._holds_rows or bool(accepted)
        self._stream.write("".join(f"{number}\t{index}\n" for number, index in accepted))
        self._stream.flush()

    def close(self) -> None:
        """Close the file; one that notes no row is removed, so that nothing stands against another try."""
        self._stream.close()
        if not self._holds_rows:
            self.path.unlink(missing_ok=True)


def _read_state(path: Path, identity: dict[str, Any]) -> tuple[dict[str, Any], bytearray]:
    accepted = bytearray()
    with path.open("r+", encoding="ascii", errors="replace") as stream:
        try:
            header = orjson.loads(stream.readline())
            same = {name: header[name] for name in identity} == identity and header["format"] == STATE_FORMAT
            header["started"] = int(header["started"])
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError("This is no state file", where=str(path), remedy="Remove it to send all rows") from error
        if not same:
            changed = [name for name in identity if header.get(name) != identity[name]]
            raise UsageError(
                f"The state file belongs to another job: {', '.join(changed)} changed",
                where=str(path),
                remedy="Resume with the same file and options, or remove the state file",
            )
        end = stream.tell()
        while line := stream.readline():
            number, tab, _ = line.partition("\t")
            if not line.endswith("\n") or not tab or not number.isdigit() or int(number) >= MAX_ROWS:
                break  # a line that was cut off: its row is sent again
            place = int(number)
            if place >> 3 >= len(accepted):
                accepted.extend(bytes((place >> 3) + 1024 - len(accepted)))
            accepted[place >> 3] |= 1 << (place & 7)
            end = stream.tell()
        stream.truncate(end)
    return header, accepted


class Rejects:
    """The file of rejected rows, made when the first one comes."""

    def __init__(self, source: Source) -> None:
        self.path = Path(f"{source.path}.rejected.csv")
        self._header = [name for name in source.header if name not in ADDED] if source.is_csv else ["json"]
        self._keep = [place for place, name in enumerate(source.header) if name not in ADDED]
        self._reading = source.reading
        self._is_csv = source.is_csv
        self._stream: TextIO | None = None
        self._writer: Any = None
        self.path.unlink(missing_ok=True)

    def add(self, number: int, cells: list[str], refused: Refused) -> None:
        """Write one row with its reason."""
        if self._stream is None:
            encoding = self._reading.encoding if self._is_csv else "utf-8"
            self._stream = self.path.open("w", encoding=encoding, newline="")
            self._writer = csv.writer(self._stream, delimiter=self._reading.delimiter)
            self._writer.writerow([*self._header, *ADDED])
        width = max(self._keep, default=0) + 1
        whole = self._is_csv and len(cells) >= width
        kept = [cells[place] for place in self._keep] if whole else cells
        kept += [""] * (len(self._header) - len(kept))
        self._writer.writerow([*kept, number, refused.reason, " ".join(refused.explain().split())])

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()


class Intake:
    """Runs a job over a source. `advance` is told how many rows are done."""

    def __init__(
        self,
        client: Client,
        info: LogInfo,
        job: Job,
        source: Source,
        *,
        grade: str | None,
        advance: Callable[[int], None],
    ) -> None:
        """`grade` is the access grade of the documents, None to keep them here."""
        self._client = client
        self._info = info
        self._job = job
        self._source = source
        self._grade = grade
        self._advance = advance
        self.summary = Summary()
        self._promises = PromiseFile(Path(f"{source.path}.tial-acks"))

    def dry_run(self) -> Summary:
        """Make every statement, send none, write nothing."""
        began = monotonic()
        for row in self._source.rows():
            self.summary.rows += 1
            made = self._prepared(row)
            if isinstance(made, Refused):
                self._rejected(row.number, row.cells, made, None)
            else:
                self.summary.accepted += 1
            self._advance(1)
        self.summary.seconds = monotonic() - began
        return self.summary

    def run(self, state: State) -> Summary:
        """Send all rows that `state` does not have yet."""
        began = monotonic()
        rejects = Rejects(self._source)
        waiting: deque[tuple[list[Prepared], Future[list[ItemResult]]]] = deque()
        with ThreadPoolExecutor(1, "intake") as pool:
            try:
                for chunk in self._chunks(state, rejects):
                    waiting.append((chunk, pool.submit(self._send, chunk)))
                    while len(waiting) > AHEAD:
                        self._settle(*waiting.popleft(), state, rejects)
                while waiting:
                    self._settle(*waiting.popleft(), state, rejects)
            finally:
                self._rescue(waiting, state, rejects)
                rejects.close()
                state.close()
                self._promises.close()
        self.summary.seconds = monotonic() - began
        return self.summary

    def _rescue(self, waiting: deque[Any], state: State, rejects: Rejects) -> None:
        """On the way out of an error: keep the answers that came, and start nothing more."""
        for _, future in waiting:
            future.cancel()
        for chunk, future in waiting:
            if not future.cancelled() and future.exception() is None:
                self._settle(chunk, future, state, rejects)

    def _chunks(self, state: State, rejects: Rejects) -> Iterator[list[Prepared]]:
        chunk: list[Prepared] = []
        for row in self._source.rows():
            self.summary.rows += 1
            if state.has(row.number):
                self.summary.earlier += 1
                self._advance(1)
                continue
            made = self._prepared(row)
            if isinstance(made, Refused):
                self._rejected(row.number, row.cells, made, rejects)
                self._advance(1)
                continue
            chunk.append(made)
            if len(chunk) >= BULK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def _prepared(self, row: Row | BadRow) -> Prepared | Refused:
        if isinstance(row, BadRow):
            return Refused("malformed", row.detail)
        try:
            return self._job.prepare(row)
        except MalformedError as error:
            return Refused(error.code, error.detail, error.where, error.remedy)

    # -- sending (in the pool's threads) --------------------------------------------------------------------------

    def _send(self, chunk: list[Prepared]) -> list[ItemResult]:
        """Documents first: a certification is admitted only when its document is there."""
        stored: list[bytes | Refused] = [b""] * len(chunk)
        if self._grade is not None:
            stored = list(self._client.put_documents((made.document for made in chunk), self._grade))
            for place, (made, digest) in enumerate(zip(chunk, stored, strict=True)):
                if isinstance(digest, bytes) and digest != sha256(made.document).digest():
                    stored[place] = Refused("document-altered", "The node stored another document than was sent")
        sent = [made.statement for made, digest in zip(chunk, stored, strict=True) if not isinstance(digest, Refused)]
        answers = iter(list(self._client.submit_many(sent)))
        results = [digest if isinstance(digest, Refused) else next(answers) for digest in stored]
        promised = _check(self._info, results, [leaf_hash(made.statement) for made in chunk])
        if promised:
            self._promises.add(*(Kept(self._info.log_id, promised=one) for one in promised))
        return results

    def _settle(self, chunk: list[Prepared], future: Future[list[ItemResult]], state: State, rejects: Rejects) -> None:
        accepted: list[tuple[int, int]] = []
        for made, result in zip(chunk, future.result(), strict=True):
            index = result.index if isinstance(result, Receipt) else self._known(made, result)
            if index is None:
                assert isinstance(result, Refused)
                self._rejected(made.row.number, made.row.cells, result, rejects)
            else:
                accepted.append((made.row.number, index))
                self.summary.accept(index)
        state.add(accepted)
        self._advance(len(chunk))

    def _known(self, made: Prepared, refused: Refused) -> int | None:
        """The entry of a row that an earlier run sent without living to hear the answer."""
        return self._job.is_ours(made) if refused.reason in {"already_registered", "credential_exists"} else None

    def _rejected(self, number: int, cells: list[str], refused: Refused, rejects: Rejects | None) -> None:
        self.summary.rejected += 1
        self.summary.reasons[refused.reason] += 1
        if len(self.summary.rejections) < SHOWN:
            self.summary.rejections.append({"row": number, "reason": refused.reason, "detail": refused.explain()})
        if rejects is not None:
            rejects.add(number, cells, refused)


def _check(info: LogInfo, results: list[ItemResult], sent: list[bytes]) -> list[Promised]:
    """Check the log's signed acknowledgement of everything that it says it took; `sent` are our leaf hashes."""
    leaves: dict[int, bytes] = {}
    runs: dict[int, Run] = {}
    for result, leaf in zip(results, sent, strict=True):
        if isinstance(result, Receipt):
            if result.leaf != leaf and not result.duplicate:
                raise MalformedError("The node took another statement than was sent", where=f"entry {result.index}")
            if result.run is None:
                raise MalformedError("The node acknowledged an entry without its signature", where=str(result.index))
            leaves[result.index] = result.leaf
            runs[result.run.first] = result.run
    promised = []
    for run in runs.values():
        covered = tuple(leaves[index] for index in range(run.first, run.first + run.count))
        check_acknowledgement(info, run, covered)
        promised.append(Promised(run.first, covered, run.acknowledgement, run.proof))
    return promised


def file_digest(path: Path) -> tuple[str, int]:
    """SHA-256 (hex) of a file, and how many lines it has."""
    digest, lines = sha256(), 0
    try:
        with path.open("rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
                lines += piece.count(b"\n")
    except OSError as error:
        raise UsageError(f"The file cannot be read: {error.strerror}", where=str(path)) from error
    return digest.hexdigest(), lines
