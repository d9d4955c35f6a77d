"""What all commands share: configuration, node, keys and output. A `Session` is made for every run of a command.

Owns the options that every command has (`command` adds them), where keys find their passphrase, and the rule that with
--json stdout carries machine output and nothing else. Results for a person go to stdout, progress to stderr.
What takes long to import (the client, tables) is imported by the methods that need it: `tial verify` needs neither.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import orjson
import typer

from api.cli.errors import UsageError, printable
from ledger.errors import KeyFileError, MalformedError
from ledger.evidence.messages import moment

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from api.acts import Act, Desk
    from api.answers import Receipt
    from api.client import Client
    from ledger.crypto.suites import Signer
    from ledger.statements import Draft
    from node.config import Config

DEFAULT_CONFIG = Path("tial.toml")
DEFAULT_URL = "http://127.0.0.1:8080"
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared with, not bound to
_COMMON = "Options of every command"
_MAX_SECRET = 4096
_WIDE = 240
_TIMES = frozenset(
    {"nbf", "exp", "iat", "since", "effective", "logged", "time", "log_time", "off", "bad", "publish_by"}
)
"""Members of records and answers that are Unix seconds, however they are nested."""
_F = TypeVar("_F", bound=Callable[..., Any])

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", envvar="TIAL_CONFIG", help="The node's tial.toml (default: the one here)", rich_help_panel=_COMMON
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="TIAL_URL", help="The node's address (default: from the configuration)", rich_help_panel=_COMMON
    ),
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="File with the passphrase of the keys (default: TIAL_PASSPHRASE, else the configured one, else a prompt)",
        rich_help_panel=_COMMON,
    ),
]
ReceiptOption = Annotated[
    Path | None,
    typer.Option(
        "--receipt",
        metavar="FILE",
        help="Add the statement and what the log promised to this file, for `tial promise check`",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine output on stdout", rich_help_panel=_COMMON)]


class Session:
    """One run of a command."""

    def __init__(
        self,
        config: Path | None = None,
        url: str | None = None,
        passphrase_file: Path | None = None,
        *,
        as_json: bool = False,
        receipt: Path | None = None,
    ) -> None:
        self._config_path = config
        self._url = url
        self._passphrase_file = passphrase_file
        self.as_json = as_json
        self._receipt = receipt

    # -- configuration and node -----------------------------------------------------------------------------------

    @property
    def config_path(self) -> Path:
        """Where the configuration is expected."""
        return self._config_path or DEFAULT_CONFIG

    @cached_property
    def config(self) -> Config:
        """The configuration; ConfigError where there is none."""
        from node.config import load_config  # noqa: PLC0415 - for commands that need it only

        return load_config(self.config_path)

    @property
    def has_config(self) -> bool:
        """Whether a configuration was named or stands here."""
        return self._config_path is not None or self.config_path.exists()

    @property
    def url(self) -> str:
        """The node's address: --url, else the configuration's, else the default."""
        if self._url:
            return self._url
        if not self.has_config:
            return DEFAULT_URL
        http = self.config.http
        return f"http://{_ANY_ADDRESS.get(http.host, http.host)}:{http.port}"

    def client(self, *, operator: bool = False) -> Client:
        """A client of the node; as `operator` with the token of TIAL_TOKEN or of the configuration."""
        from api.client import Client  # noqa: PLC0415 - for commands that need it only

        return Client(self.url, token=self._token() if operator else None)

    def _token(self) -> str | None:
        token = os.environ.get("TIAL_TOKEN")
        if token or not self.has_config or not self.config.http.operator_token_file:
            return token or None
        return read_secret(self.config.path(self.config.http.operator_token_file), "operator token")

    # -- keys -----------------------------------------------------------------------------------------------------

    def key(self, path: Path) -> Signer:
        """Unlock a key file; KeyFileError says what is wrong with it."""
        from ledger.crypto import keyfile  # noqa: PLC0415 - for commands that need it only

        described = keyfile.describe(path)
        return described.unlock(self.passphrase(path))

    def passphrase(self, path: Path, *, confirm: bool = False) -> str:
        """The passphrase for the key file `path`: given, configured for keys in the node's folder, or asked for."""
        if self._passphrase_file is not None:
            return read_secret(self._passphrase_file, "passphrase")
        given = os.environ.get("TIAL_PASSPHRASE")
        if given:
            return given
        if self.has_config and self.config.base in path.absolute().parents:
            return self.config.passphrase()
        if not sys.stdin.isatty():
            raise KeyFileError(
                "There is no passphrase for this key",
                where=str(path),
                remedy="Set TIAL_PASSPHRASE, or give --passphrase-file",
            )
        answer: str = typer.prompt(f"Passphrase of {path}", hide_input=True, confirmation_prompt=confirm, err=True)
        return answer

    def desk(self, client: Client, signer: Signer, party: str = "") -> Desk:
        """A desk for the party that owns `signer`: its did:key, or the DID given."""
        from api.acts import Desk, party_of  # noqa: PLC0415 - for commands that need it only

        return Desk(client, party or party_of(signer))

    # -- acts -----------------------------------------------------------------------------------------------------

    def conclude(
        self,
        desk: Desk,
        draft: Draft,
        signer: Signer,
        consenting: Sequence[tuple[Signer, str]] = (),
        *,
        out: Path | None = None,
        days: int = 30,
    ) -> None:
        """Sign and submit an act with the consents at hand; or, with `out`, write it for others to consent to."""
        from api.acts import Act, party_of  # noqa: PLC0415 - for commands that need it only

        act = Act.of(draft, signer)
        for other, did in consenting:
            act = act.consented(other, did or party_of(other), desk.now() + days * 86_400)
        if out is not None:
            self.write(out, act.encode())
            self.show_act(act, f"Written to {out}; next: tial consent sign {out} --key KEY", file=str(out))
            return
        self.submit(desk.client, act.signed(signer))

    def submit(self, client: Client, raw: bytes) -> None:
        """Submit a statement and say where it stands; with --receipt keep it first, then what the log promised."""
        from ledger.statements import decode_statement  # noqa: PLC0415 - for commands that need it only

        statement = decode_statement(raw)
        receipt = client.submit(raw) if self._receipt is None else self._submit_and_keep(client, raw, self._receipt)
        self._submitted(receipt, statement.type, statement.sub)

    def _submit_and_keep(self, client: Client, raw: bytes, path: Path) -> Receipt:
        """A statement that is not answered, or refused, stays in the file: a `request` on the chain needs it."""
        from api.answers import check_acknowledgement  # noqa: PLC0415 - for this option only
        from api.promises import PromiseFile  # noqa: PLC0415
        from ledger.evidence.promise import Kept, Promised  # noqa: PLC0415
        from ledger.log.tree import leaf_hash  # noqa: PLC0415

        info = client.log()
        file = PromiseFile(path)
        try:
            place = file.add(Kept(info.log_id, raw))
            receipt = client.submit(raw)
            run, where = receipt.run, f"entry {receipt.index}"
            if run is None:
                raise MalformedError("The node acknowledged an entry without its signature", where=where)
            if receipt.leaf != leaf_hash(raw) and not receipt.duplicate:
                raise MalformedError("The node took another statement than was sent", where=where)
            check_acknowledgement(info, run, [receipt.leaf])
            promised = Promised(run.first, (receipt.leaf,), run.acknowledgement, run.proof)
            file.add(Kept(info.log_id, raw, promised), instead=place)
        finally:
            file.close()
        return receipt

    def _submitted(self, receipt: Receipt, kind: str, sub: str) -> None:
        """Say where a statement stands."""
        self.out(
            {
                "index": receipt.index,
                "leaf": receipt.leaf.hex(),
                "duplicate": receipt.duplicate,
                "type": kind,
                "subject": sub,
            },
            f"entry {receipt.index}: {kind} of {sub}" + (" (it was there before)" if receipt.duplicate else ""),
        )

    def show_act(self, act: Act, line: str, **more: Any) -> None:
        """Show an act that is on its way between parties."""
        told = plain(act.describe()) | more
        rows = [(name, dated(name, told[name])) for name in ("type", "claims", "body", "consents", "digest")]
        self.out(told, table(("act", ""), rows), line)

    # -- output ---------------------------------------------------------------------------------------------------

    @cached_property
    def console(self) -> Console:
        """Where results for a person go."""
        from rich.console import Console  # noqa: PLC0415 - for commands that need it only

        piped = None if sys.stdout.isatty() else _WIDE  # a table that nobody sees on a terminal is not folded for one
        return Console(soft_wrap=True, highlight=False, emoji=False, width=piped)

    @cached_property
    def progress(self) -> Console:
        """Where a person is told what goes on."""
        from rich.console import Console  # noqa: PLC0415 - for commands that need it only

        return Console(stderr=True, highlight=False, emoji=False)

    def out(self, data: Any, *human: object) -> None:
        """Print a result: `data` as one JSON line for a program, or `human` for a person."""
        if self.as_json:
            sys.stdout.write(orjson.dumps(plain(data)).decode() + "\n")
            sys.stdout.flush()
            return
        for item in human:
            if isinstance(item, str):
                sys.stdout.write("\n".join(printable(line) for line in item.split("\n")) + "\n")
            else:
                sys.stdout.flush()
                self.console.print(item, markup=False)
        sys.stdout.flush()

    def note(self, line: str) -> None:
        """Tell a person something on stderr."""
        if not self.as_json:
            self.progress.print(line, markup=False)

    def write(self, path: Path, content: bytes, mode: int = 0o644) -> None:
        """Write a new file, or an older one anew; OSError becomes a usage error."""
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "wb") as stream:
                stream.write(content)
        except OSError as error:
            raise UsageError(f"Cannot write: {error.strerror}", where=str(path)) from error


def command(app: typer.Typer, name: str, *, submits: bool = False, **settings: Any) -> Callable[[_F], _F]:
    """Make a function a command of `app`: it takes a Session first; the options of every command are added.

    One that `submits` a statement by `Session.submit` has --receipt, too.
    """

    def decorate(function: _F) -> _F:
        signature = inspect.signature(function, eval_str=True)
        own = [parameter for parameter in signature.parameters.values() if parameter.name != "session"]
        keyword = inspect.Parameter.KEYWORD_ONLY
        common = [
            inspect.Parameter("config", keyword, default=None, annotation=ConfigOption),
            inspect.Parameter("url", keyword, default=None, annotation=UrlOption),
            inspect.Parameter("passphrase_file", keyword, default=None, annotation=PassphraseOption),
            inspect.Parameter("as_json", keyword, default=False, annotation=JsonOption),
        ]
        if submits:
            common.insert(0, inspect.Parameter("receipt", keyword, default=None, annotation=ReceiptOption))

        @wraps(function)
        def run(**values: Any) -> None:
            given = {parameter.name: values.pop(parameter.name) for parameter in common}
            function(Session(**given), **values)

        parameters = [parameter.replace(kind=keyword) for parameter in own] + common
        run.__signature__ = inspect.Signature(parameters, return_annotation=None)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        del run.__wrapped__
        app.command(name, **settings)(run)
        return function

    return decorate


def read_secret(path: Path, what: str) -> str:
    """Read a passphrase or token from a file that only its owner may read."""
    try:
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"Others may read this {what} file", where=str(path), remedy=f"Run chmod 600 {path}")
        with path.open("rb") as stream:
            return stream.read(_MAX_SECRET).decode().rstrip("\n")
    except OSError as error:
        raise KeyFileError(f"The {what} cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise KeyFileError(f"The {what} is not UTF-8", where=str(path)) from error


def plain(value: Any) -> Any:
    """Make a value fit for JSON: bytes as hex, tuples as lists."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def dated(name: str, value: Any) -> Any:
    """What a person reads under `name`: Unix seconds as a date in UTC, everything else as it is, also further in."""
    if isinstance(value, Mapping):
        return {key: dated(key, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [dated("", item) for item in value]
    if name in _TIMES and type(value) is int:
        return moment(value)
    return value


def table(head: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> Table:
    """A table for a person; structured cells are shown as JSON."""
    from rich.table import Table  # noqa: PLC0415 - for commands that need it only

    shown = Table(title=title, show_header=any(head), title_justify="left")
    for name in head:
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(*[_cell(value) for value in row])
    return shown


def _cell(value: object) -> Text:
    from rich.text import Text  # noqa: PLC0415 - for commands that need it only

    if isinstance(value, (dict, list)):
        return Text(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
    return Text("" if value is None else printable(str(value)))
