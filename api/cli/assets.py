"""`tial register` and `tial certify`: one asset, or a file of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from api.acts import DAY, VALID_SLACK, Desk, Period, credential_subject, read_identifier
from api.cli.context import Session, command, table
from api.cli.documents import certificate_document, checked, registration_document
from api.cli.errors import Exit, UsageError
from api.cli.intake import Intake, Prepared, State, Summary, file_digest
from api.cli.options import NO_TEXTS, Days, KeyFile, PartyDid, Start, Until, period, seconds
from api.cli.rows import Columns, Reading, Row, Source, parse_map
from api.client import Client
from ledger.crypto.canonical import MAX_SIZE, canonical_json, parse_json
from ledger.crypto.suites import Signer
from ledger.errors import MalformedError
from ledger.identifiers import subject
from ledger.statements import decode_statement, sign, subjects
from ledger.store.documents import GRADES

_FILES = "Files"
_REGISTER: Final = frozenset({"identifier", "holder"})
_CERTIFY: Final = frozenset(
    {
        "identifier",
        "template",
        "class",
        "site",
        "standard",
        "accreditation",
        "credential",
        "nbf",
        "exp",
        "days",
        "months",
    }
)
_MAX_MONTHS: Final = 1200
_MAX_DAYS: Final = 36_500

FromFile = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Take rows from a .csv or .jsonl file", rich_help_panel=_FILES),
]
Mapped = Annotated[
    list[str],
    typer.Option(
        "--map", metavar="COLUMN=MEMBER", rich_help_panel=_FILES,
        help="What a column becomes: a member of the document (a/b nests, nothing leaves it out), or a name that "
        "the statement takes; repeatable",
    ),
]  # fmt: skip
Template = Annotated[
    list[str],
    typer.Option(
        "--identifier", metavar="TEXT", rich_help_panel=_FILES,
        help="Put the identifier together, such as 'gs1:(01){GTIN}(21){Serial}'; repeatable: the first one filled",
    ),
]  # fmt: skip
OnlyMapped = Annotated[
    bool, typer.Option("--only-mapped", help="Leave out columns that are not mapped", rich_help_panel=_FILES)
]
Encoding = Annotated[str, typer.Option(help="Encoding of a CSV file, such as gb18030", rich_help_panel=_FILES)]
Delimiter = Annotated[str, typer.Option(help="Delimiter of a CSV file", rich_help_panel=_FILES)]
Trim = Annotated[bool, typer.Option("--trim", help="Cut blanks around cells", rich_help_panel=_FILES)]
Nfc = Annotated[bool, typer.Option("--nfc", help="Bring cells to Unicode form NFC", rich_help_panel=_FILES)]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Make every statement, send and write nothing", rich_help_panel=_FILES)
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an earlier run ended", rich_help_panel=_FILES)]
Grade = Annotated[str, typer.Option(help="Access to the documents: public, private, or none to keep them here")]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "register", submits=True, rich_help_panel="Assets")(register)
    command(app, "certify", submits=True, rich_help_panel="Assets")(certify)


def register(
    session: Session,
    *,
    key: KeyFile,
    identifier: Annotated[str, typer.Argument(metavar="IDENTIFIER", help="What to register")] = "",
    scheme: Annotated[str, typer.Option(help="Its scheme (default: recognised)")] = "",
    holder: Annotated[str, typer.Option(metavar="DID", help="First holder (default: the signer)")] = "",
    delegation: Annotated[
        str, typer.Option(metavar="SCHEME/PREFIX", help="The delegation relied on (default: the longest that covers)")
    ] = "",
    document: Annotated[Path | None, typer.Option(help="JSON document about it (default: made)")] = None,
    grade: Grade = "public",
    party: PartyDid = "",
    source: FromFile = None,
    mapping: Mapped = NO_TEXTS,
    template: Template = NO_TEXTS,
    only_mapped: OnlyMapped = False,
    encoding: Encoding = "utf-8-sig",
    delimiter: Delimiter = ",",
    trim: Trim = False,
    nfc: Nfc = False,
    dry_run: DryRun = False,
    resume: Resume = False,
) -> None:
    """Register identifiers: one, or --from a file.

    From a file: each row is registered with a document of its other columns. What the log accepts is noted in
    FILE.tial-state, so --resume goes on after any interruption; what it rejects stands with the reason in
    FILE.rejected.csv, which can be mended and sent itself. Columns named identifier and holder are taken as such.
    """
    _one_of(identifier, source)
    signer = session.key(key)
    with session.client() as client:
        desk = session.desk(client, signer, party)
        if source is None:
            found = read_identifier(identifier, scheme)
            sub = subject(found)
            content = _read_document(document) or registration_document(sub, holder or desk.iss, {})
            raw = sign(desk.register(found, sha256(content).digest(), holder, delegation), signer)
            if dry_run:
                session.out({"subject": sub, "statement": raw.hex()}, f"{sub}: a statement of {len(raw)} bytes")
                return
            _store(client, content, grade)
            session.submit(client, raw)
            return
        columns = Columns(parse_map(mapping), tuple(template), _REGISTER, only_mapped)
        job = Registrations(desk, signer, columns, scheme=scheme, holder=holder, delegation=delegation)
        reading = Reading(encoding, delimiter, trim, nfc)
        _bulk(session, client, job, Source(source, reading), grade=grade, dry_run=dry_run, resume=resume)


def certify(
    session: Session,
    *,
    key: KeyFile,
    identifier: Annotated[str, typer.Argument(metavar="IDENTIFIER", help="What is certified")] = "",
    scheme: Annotated[str, typer.Option(help="Its scheme (default: recognised)")] = "",
    template_ref: Annotated[str, typer.Option("--template", metavar="ID/VERSION", help="Kind of certificate")] = "",
    product_class: Annotated[str, typer.Option("--class", help="Product class")] = "",
    site: Annotated[str, typer.Option(help="Site")] = "",
    standard: Annotated[str, typer.Option(help="Standard that is met")] = "",
    accreditation: Annotated[int, typer.Option(min=0, help="Number of the certifier's accreditation")] = 1,
    credential: Annotated[str, typer.Option(metavar="UUID", help="The credential's UUID (default: made)")] = "",
    document: Annotated[
        Path | None, typer.Option(help="JSON with the certificate's further members, such as test results")
    ] = None,
    days: Days = 365,
    start: Start = "",
    until: Until = "",
    grade: Grade = "public",
    party: PartyDid = "",
    source: FromFile = None,
    mapping: Mapped = NO_TEXTS,
    template: Template = NO_TEXTS,
    only_mapped: OnlyMapped = False,
    encoding: Encoding = "utf-8-sig",
    delimiter: Delimiter = ",",
    trim: Trim = False,
    nfc: Nfc = False,
    dry_run: DryRun = False,
    resume: Resume = False,
) -> None:
    """Certify assets: one, or --from a file.

    The certificate is made by its template from the options and the row, stored, and its digest certified. From a file
    the columns identifier, template, class, site, standard, accreditation, credential, nbf, exp, days and months are
    taken as such, and options stand for those that are not there; other columns become members of the certificate.
    Files work as with register.
    """
    _one_of(identifier, source)
    signer = session.key(key)
    fixed: dict[str, Any] = {
        "template": template_ref, "class": product_class, "site": site, "standard": standard,
        "accreditation": accreditation,
    }  # fmt: skip
    with session.client() as client:
        desk = session.desk(client, signer, party)
        validity = period(desk.begin(), days, start, until)
        columns = Columns(parse_map(mapping), tuple(template), _CERTIFY, only_mapped)
        floating = not start and not until
        job = Certifications(desk, signer, columns, scheme=scheme, fixed=fixed, validity=validity, floating=floating)
        if source is None:
            content = _read_document(document)
            values = {"identifier": identifier, **({"credential": credential} if credential else {})}
            made = job.make(values, {} if content is None else parse_json(content), None, [])
            if dry_run:
                told = {"subject": made.subject, "document": orjson.loads(made.document)}
                session.out(told, table(("certificate", ""), list(told.items())))
                return
            _store(client, made.document, "public" if grade == "none" else grade)
            session.submit(client, made.statement)
            return
        if grade == "none":
            raise UsageError("A certification needs its document on the node", where="--grade")
        reading = Reading(encoding, delimiter, trim, nfc)
        _bulk(session, client, job, Source(source, reading), grade=grade, dry_run=dry_run, resume=resume)


class Registrations:
    """Rows to registrations."""

    name = "register"

    def __init__(
        self, desk: Desk, signer: Signer, columns: Columns, *, scheme: str, holder: str, delegation: str
    ) -> None:
        self._desk = desk
        self._signer = signer
        self.columns = columns
        self._scheme = scheme
        self._holder = holder
        self._delegation = delegation

    def begin(self, started: int, input_digest: str) -> None:
        """Nothing of a registration depends on when the job began."""

    def options(self) -> Mapping[str, Any]:
        """What a resumed job must have in common with the first."""
        return {"iss": self._desk.iss, "scheme": self._scheme, "holder": self._holder, "delegation": self._delegation}

    def prepare(self, row: Row) -> Prepared:
        """Make the registration of a row."""
        taken, members = self.columns.split(row.values)
        found = read_identifier(_text(taken, "identifier"), self._scheme)
        sub = subject(found)
        holder = _text(taken, "holder", self._holder or self._desk.iss)
        document = registration_document(sub, holder, members)
        draft = self._desk.first_registration(found, sha256(document).digest(), holder, self._delegation)
        return Prepared(row, sub, sign(draft, self._signer), document)

    def is_ours(self, prepared: Prepared) -> int | None:
        """The entry that registered exactly this row."""
        return _entry_of(self._desk.client, prepared)


class Certifications:
    """Rows to certificates and their certifications."""

    name = "certify"

    def __init__(
        self,
        desk: Desk,
        signer: Signer,
        columns: Columns,
        *,
        scheme: str,
        fixed: Mapping[str, Any],
        validity: Period,
        floating: bool,
    ) -> None:
        """`validity` stands for rows without dates; a `floating` one begins with the job, the other is fixed."""
        self._desk = desk
        self._signer = signer
        self.columns = columns
        self._scheme = scheme
        self._fixed = fixed
        self._validity = validity
        self._floating = floating
        self._input = ""
        self._mappings: dict[str, dict[str, str]] = {}

    def begin(self, started: int, input_digest: str) -> None:
        """Fix what a resumed job must repeat: credentials' UUIDs, and a validity that begins when the job began."""
        self._input = input_digest
        if self._floating:
            start = started - VALID_SLACK
            self._validity = Period(start, self._validity.exp - self._validity.nbf + start)

    def options(self) -> Mapping[str, Any]:
        """What a resumed job must have in common with the first."""
        length = self._validity.exp - self._validity.nbf
        validity = length if self._floating else [self._validity.nbf, self._validity.exp]
        return {"iss": self._desk.iss, "scheme": self._scheme, "validity": validity, **self._fixed}

    def prepare(self, row: Row) -> Prepared:
        """Make the certification of a row."""
        taken, members = self.columns.split(row.values)
        identity = [self._desk.info.log_id.hex(), self._desk.iss, self._input, str(row.number)]
        return self.make(taken, members, row, identity)

    def make(
        self, taken: Mapping[str, Any], members: Mapping[str, Any], row: Row | None, identity: list[str]
    ) -> Prepared:
        """Make one certification; `identity` names it so that a repetition has the same credential."""
        identifier = read_identifier(_text(taken, "identifier"), self._scheme)
        given = _text(taken, "credential") if "credential" in taken else ""
        sub = subjects.credential(given) if given else credential_subject(*identity)
        claims: dict[str, Any] = {"identifier": subject(identifier)}
        for name in ("template", "class", "site", "standard"):
            claims[name] = _text(taken, name, str(self._fixed[name]))
        claims["accreditation"] = _number(taken.get("accreditation", self._fixed["accreditation"]), "accreditation")
        validity = self._period(taken)
        mapping = self._mapping(claims["template"])
        named = {**claims, "iss": self._desk.iss, "sub": sub}
        document = certificate_document(mapping, named, validity, members)
        raw = sign(self._desk.certify(sub, claims, sha256(document).digest(), validity), self._signer)
        checked(raw, mapping, orjson.loads(document))
        return Prepared(row or Row(1, {}, []), sub, raw, document)

    def is_ours(self, prepared: Prepared) -> int | None:
        """The entry that certified exactly this row."""
        return _entry_of(self._desk.client, prepared)

    def _period(self, taken: Mapping[str, Any]) -> Period:
        begin = seconds(_text(taken, "nbf"), "nbf") if "nbf" in taken else self._validity.nbf
        end = begin + self._validity.exp - self._validity.nbf
        if "days" in taken:
            end = begin + _bounded(taken["days"], "days", _MAX_DAYS) * DAY
        if "months" in taken:
            months = _bounded(taken["months"], "months", _MAX_MONTHS)
            end = begin + math.ceil(months * 365.25 / 12) * DAY
        if "exp" in taken:
            end = seconds(_text(taken, "exp"), "exp")
        return Period(begin, end)

    def _mapping(self, ref: str) -> dict[str, str]:
        """The mapping of a template, looked up once."""
        if ref not in self._mappings:
            if not ref:
                raise MalformedError("No template is named", where="template", remedy="Give --template ID/VERSION")
            view = self._desk.record(subjects.template(*subjects.parse_template_ref(ref)), "template")
            self._mappings[ref] = dict(view.record["mapping"])
        return self._mappings[ref]


def _bulk(
    session: Session,
    client: Client,
    job: Registrations | Certifications,
    source: Source,
    *,
    grade: str,
    dry_run: bool,
    resume: bool,
) -> None:
    """Run a job over a file, with a progress bar for people."""
    if grade not in (*GRADES, "none"):
        raise UsageError(f"{grade[:40]!r} is no grade", where="--grade", remedy=f"Use {', '.join(GRADES)} or none")
    if source.is_csv:
        job.columns.check(source.header, source.path)
    digest, lines = file_digest(source.path)
    kept = None if grade == "none" else grade
    with _progress(session, job.name, max(0, lines - int(source.is_csv))) as advance:
        info = client.log()
        intake = Intake(client, info, job, source, grade=kept, advance=advance)
        if dry_run:
            summary = intake.dry_run()
        else:
            told = orjson.dumps(
                [job.options(), dict(job.columns.members), job.columns.templates, job.columns.only_mapped, grade],
                option=orjson.OPT_SORT_KEYS,
            )
            identity = {
                "job": job.name, "log": info.log_id.hex(), "input": digest, "options": sha256(told).hexdigest(),
            }  # fmt: skip
            state = State.open(source.path, identity, resume=resume)
            job.begin(state.started, digest)
            try:
                summary = intake.run(state)
            except KeyboardInterrupt:
                session.note(f"{intake.summary.accepted} rows are accepted; the same command with --resume goes on")
                raise
    _conclude(session, job.name, source.path, summary, dry_run=dry_run)


def _conclude(session: Session, name: str, path: Path, summary: Summary, *, dry_run: bool) -> None:
    told = {"job": name, "input": str(path), "dry_run": dry_run, **summary.as_json()}
    told["rejected_file"] = f"{path}.rejected.csv" if summary.rejected and not dry_run else None
    told["state_file"] = None if dry_run else f"{path}.tial-state"
    speed = summary.accepted / summary.seconds if summary.seconds else 0
    told["rows_per_second"] = round(speed)
    verb = "would be sent" if dry_run else "accepted"
    lines = [f"{summary.rows} rows: {summary.accepted} {verb}, {summary.rejected} rejected"]
    if summary.earlier:
        lines[0] += f", {summary.earlier} accepted earlier"
    lines[0] += f"; {summary.seconds:.1f} s, {speed:.0f} a second"
    lines += [f"  row {one['row']}: [{one['reason']}] {one['detail']}" for one in summary.rejections]
    if told["rejected_file"]:
        lines.append(f"Rejected rows with their reasons: {told['rejected_file']}")
    session.out(told, "\n".join(lines))
    if summary.rejected:
        raise typer.Exit(Exit.PARTLY if summary.accepted or summary.earlier else Exit.REFUSED)


class _progress:  # noqa: N801 - used as a function
    """A progress bar on a terminal's stderr, nothing elsewhere; gives the function that advances it."""

    def __init__(self, session: Session, name: str, total: int) -> None:
        self._bar = Progress(
            TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=session.progress, transient=True, disable=session.as_json or not session.progress.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task(name, total=total)

    def __enter__(self) -> Any:
        self._bar.start()
        return lambda rows: self._bar.advance(self._task, rows)

    def __exit__(self, *_exc: object) -> None:
        self._bar.stop()


def _entry_of(client: Client, prepared: Prepared) -> int | None:
    """The entry behind the subject's record, if the same party says the same about the same document there."""
    view = client.lookup(prepared.subject)
    if view is None:
        return None
    index = int(view.record["entry"])
    logged, ours = decode_statement(client.entry(index)), decode_statement(prepared.statement)
    same = (logged.type, logged.iss, logged.sub, logged.digest) == (ours.type, ours.iss, ours.sub, ours.digest)
    return index if same else None


def _bounded(value: Any, name: str, most: int) -> int:
    number = _number(value, name)
    if not 1 <= number <= most:
        raise MalformedError(f"{name} is {number}", where=name, remedy=f"Give 1 to {most}")
    return number


def _one_of(identifier: str, source: Path | None) -> None:
    if bool(identifier) == (source is not None):
        raise UsageError("Give one IDENTIFIER, or --from a file", where="IDENTIFIER")


def _store(client: Client, content: bytes, grade: str) -> None:
    if grade not in (*GRADES, "none"):
        raise UsageError(f"{grade[:40]!r} is no grade", where="--grade", remedy=f"Use {', '.join(GRADES)} or none")
    if grade != "none":
        client.put_document(content, grade)


def _read_document(path: Path | None) -> bytes | None:
    """A JSON file in its canonical form."""
    if path is None:
        return None
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_SIZE + 1)
    except OSError as error:
        raise UsageError(f"The document cannot be read: {error.strerror}", where=str(path)) from error
    document = parse_json(raw)
    if not isinstance(document, dict):
        raise MalformedError("The document is not a JSON object", where=str(path))
    return canonical_json(document)


def _text(taken: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = taken.get(name, default)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise MalformedError(f"The row has no {name}", where=name)
    return value


def _number(value: Any, name: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    if type(value) is int and value >= 0:
        return value
    raise MalformedError(f"{str(value)[:40]!r} is no number", where=name)
