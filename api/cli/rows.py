"""Rows of a CSV or JSON-lines file as statements need them: read one at a time, every cell bounded.

Owns how a file's columns become the members of a document and the few values that a statement itself has (`Columns`).
A bad row is a value (`BadRow`), not an error: the others go on. A bad file (encoding, header, quoting) is an error that
names file and line, since nothing after it can be trusted to be what it seems.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from api.cli.errors import UsageError
from ledger.crypto.canonical import parse_json
from ledger.errors import LedgerError, MalformedError

MAX_CELL: Final = 1 << 16
MAX_LINE: Final = 1 << 20
MAX_COLUMNS: Final = 1024
ADDED: Final = ("rejected_row", "rejected_reason", "rejected_detail")
"""Columns that a file of rejected rows has beside the input's; left out when such a file is read again."""
_FIELD: Final = re.compile(r"\{([^{}]+)\}")


class Row(NamedTuple):
    """One row: its number from 1 on, and its values by column. `cells` is the row as it was read."""

    number: int
    values: dict[str, Any]
    cells: list[str]


class BadRow(NamedTuple):
    """A row that cannot be read as one."""

    number: int
    detail: str
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is written: encoding, delimiter; whether cells are trimmed and brought to NFC."""

    encoding: str = "utf-8-sig"
    delimiter: str = ","
    trim: bool = False
    nfc: bool = False

    def cell(self, text: str) -> str:
        """A cell as it is used."""
        text = text.strip() if self.trim else text
        return unicodedata.normalize("NFC", text) if self.nfc else text


class Source:
    """An input file. `header` are the columns of a CSV file that count, () for JSON lines."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self.path = path
        self.reading = reading
        self.is_csv = path.suffix.lower() != ".jsonl"
        try:
            "".encode(reading.encoding)
        except LookupError as error:
            raise UsageError(f"{reading.encoding[:40]!r} is no encoding", where="--encoding") from error
        if len(reading.delimiter) != 1:
            raise UsageError("A delimiter is one character", where="--delimiter")
        self.header: tuple[str, ...] = self._header() if self.is_csv else ()

    def rows(self) -> Iterator[Row | BadRow]:
        """All rows in order."""
        return self._csv_rows() if self.is_csv else self._json_rows()

    # -- CSV ------------------------------------------------------------------------------------------------------

    def _header(self) -> tuple[str, ...]:
        first = next(self._lines(), None)
        if first is None:
            raise MalformedError("The file is empty", where=str(self.path), remedy="Its first line names the columns")
        names = [self.reading.cell(name) for name in first]
        empty = next((place for place, name in enumerate(names, 1) if not name), None)
        double = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if empty is not None or double is not None or len(names) > MAX_COLUMNS:
            fault = f"column {empty} has no name" if empty is not None else f"column {double!r} is there twice"
            if len(names) > MAX_COLUMNS:
                fault = f"{len(names)} columns"
            raise MalformedError(f"The header cannot be used: {fault}", where=f"{self.path} line 1")
        return tuple(names)

    def _csv_rows(self) -> Iterator[Row | BadRow]:
        cell = self.reading.cell
        plain = not (self.reading.trim or self.reading.nfc)
        header, width = self.header, len(self.header)
        lines = self._lines()
        next(lines, None)
        number = 0
        for cells in lines:
            if not cells:
                continue  # a blank line
            number += 1
            if len(cells) != width:
                yield BadRow(number, f"{len(cells)} cells where the header names {width} columns", cells)
                continue
            values = cells if plain else [cell(text) for text in cells]
            yield Row(number, dict(zip(header, values, strict=True)), cells)

    def _lines(self) -> Iterator[list[str]]:
        csv.field_size_limit(MAX_CELL)
        line = 0
        try:
            with self.path.open(encoding=self.reading.encoding, newline="") as stream:
                reader = csv.reader(stream, delimiter=self.reading.delimiter, strict=True)
                for cells in reader:
                    line = reader.line_num
                    yield cells
        except OSError as error:
            raise UsageError(f"The file cannot be read: {error.strerror}", where=str(self.path)) from error
        except UnicodeDecodeError as error:
            raise MalformedError(
                f"The file is not {self.reading.encoding}",
                where=f"{self.path} after line {line}",
                remedy="Name its encoding with --encoding, such as gb18030",
            ) from error
        except csv.Error as error:
            raise MalformedError(
                f"The file is not CSV: {error}", where=f"{self.path} after line {line}", remedy="Mend that line"
            ) from error

    # -- JSON lines -----------------------------------------------------------------------------------------------

    def _json_rows(self) -> Iterator[Row | BadRow]:
        number = 0
        try:
            with self.path.open("rb") as stream:
                while line := stream.readline(MAX_LINE + 1):
                    if len(line) > MAX_LINE:
                        place = f"{self.path} row {number + 1}"
                        raise MalformedError(f"A line of more than {MAX_LINE} bytes", where=place)
                    if line.strip():
                        number += 1
                        yield self._json_row(number, line)
        except OSError as error:
            raise UsageError(f"The file cannot be read: {error.strerror}", where=str(self.path)) from error

    def _json_row(self, number: int, line: bytes) -> Row | BadRow:
        cells = [line.decode("utf-8", "replace").rstrip("\r\n")]
        try:
            values = parse_json(line)
        except LedgerError as error:
            return BadRow(number, error.explain(), cells)
        if not isinstance(values, dict):
            return BadRow(number, "The line is not a JSON object", cells)
        return Row(number, values, cells)


@dataclass(frozen=True, slots=True)
class Columns:
    """What becomes of each column.

    `members` maps a column to a place in the document ("" leaves it out), `known` are names that a statement itself
    takes (from columns of that name or mapped to it), `templates` are texts with {column} that make the identifier: the
    first whose columns all hold something is used.
    """

    members: Mapping[str, str] = field(default_factory=dict)
    templates: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    only_mapped: bool = False

    def check(self, header: tuple[str, ...], path: Path) -> None:
        """Compare with a CSV header: MalformedError names a column that is not there, or cannot be a member."""
        place = f"{path} line 1"
        used = [name for template in self.templates for name in _FIELD.findall(template)]
        for name in [*self.members, *used]:
            if name not in header:
                raise MalformedError(
                    f"There is no column {name!r}", where=place, remedy=f"Columns are {', '.join(header)}"[:400]
                )
        if not self.templates and "identifier" not in {self.place(name) for name in header}:
            raise MalformedError(
                "No column holds the identifier",
                where=place,
                remedy="Name one with --map COLUMN=identifier, or put it together with --identifier",
            )
        for name in header:
            if not self.place(name).isascii():
                raise MalformedError(
                    f"Column {name!r} needs a member name in ASCII",
                    where=place,
                    remedy=f"Give --map {name}=NAME, leave it out with --map {name}= or use --only-mapped",
                )

    def place(self, column: str) -> str:
        """The member that a column becomes, "" for none."""
        if column in self.members:
            return self.members[column]
        if column in ADDED or (self.only_mapped and column not in self.known):
            return ""
        return column

    def split(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Part a row's values: those that the statement takes, and the document's members. Empty cells are left out."""
        taken: dict[str, Any] = {}
        document: dict[str, Any] = {}
        for column, value in values.items():
            member = self.place(column)
            if not member or value in ("", None):
                continue
            if member in self.known:
                taken[member] = value
            elif "/" in member:
                put(document, "/" + member, value)
            else:
                document[member] = value
        if self.templates:
            taken["identifier"] = self.identifier(values)
        return taken, document

    def identifier(self, values: Mapping[str, Any]) -> str:
        """The identifier's text from the first template that the row fills."""
        for template in self.templates:
            names = _FIELD.findall(template)
            if all(values.get(name) not in (None, "") for name in names):
                return _FIELD.sub(lambda found: str(values[found[1]]), template)
        raise MalformedError("The row fills none of the --identifier templates", where="identifier")


def put(document: dict[str, Any], pointer: str, value: Any) -> None:
    """Put `value` where a JSON pointer (RFC 6901) leads, making objects on the way."""
    *steps, last = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    for step in steps:
        inner = document.setdefault(step, {})
        if not isinstance(inner, dict):
            raise MalformedError("Two columns want this place in the document", where=pointer)
        document = inner
    if last in document and document[last] != value:
        raise MalformedError("Two values want this place in the document", where=pointer)
    document[last] = value


def parse_map(texts: list[str]) -> dict[str, str]:
    """Read --map COLUMN=MEMBER options."""
    pairs = {}
    for text in texts:
        column, equals, member = text.rpartition("=")
        if not equals or not column:
            raise UsageError(f"{text[:80]!r} maps nothing", where="--map", remedy="Write COLUMN=MEMBER")
        if column in pairs:
            raise UsageError(f"Column {column!r} is mapped twice", where="--map")
        pairs[column] = member
    return pairs
