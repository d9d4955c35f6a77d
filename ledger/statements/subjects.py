"""Typed subjects: the URI that says what a statement is about, and the references built like one.

Owns the grammar of nine kinds. What may follow an identifier's scheme, and how it is encoded, is the business of
`ledger.identifiers`; here it only has to be a path of RFC 3986, and comes back as written. Everywhere else text is
written as it is where a path may hold it literally, every other byte of its UTF-8 form as %XX with upper-case digits.
So one thing has one subject, and subjects compare as strings.

| kind | form | parse gives |
|---|---|---|
| identifier | `<scheme>:<path>` | ("identifier", scheme, path) |
| actor | `did:...` | ("actor", did) |
| origin | `log:<origin>` | ("origin", origin) |
| log | `log:<64 hex digits>` | ("log", hex) |
| batch | `batch:<n>` | ("batch", n) |
| delegation | `delegation:<scheme>/<prefix>` | ("delegation", scheme, prefix) |
| template | `template:<id>/<version>` | ("template", id, version) |
| accreditation | `accreditation:<did>/<n>` | ("accreditation", did, n) |
| credential | `urn:uuid:<uuid>` | ("credential", uuid) |
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

from ledger.errors import MalformedError
from ledger.statements.text import text_problem

MAX_LENGTH: Final = 2048  # characters of a subject or reference
MAX_NUMBER: Final = (1 << 64) - 1
_REMEMBERED: Final = 4096  # actors, delegations and templates recur in statement after statement

_LITERAL: Final = "!$&'()*+,;=:@/"  # of a path, beside letters, digits and -._~ (RFC 3986 section 3.3)
_CHARS: Final = "A-Za-z0-9._~!$&'()*+,;=:@/-"

_literal = re.compile(f"[{_CHARS}]*").fullmatch
_encoded = re.compile(f"(?:[{_CHARS}]|%[0-9A-F]{{2}})*").fullmatch
_identifier = re.compile(f"[a-z][a-z0-9+.-]{{0,31}}:(?!$)[{_CHARS}]*+(?:%[0-9A-F]{{2}}[{_CHARS}]*+)*+").fullmatch
_scheme = re.compile("[a-z][a-z0-9+.-]{0,31}").fullmatch
_did = re.compile("did:[a-z0-9]++:[A-Za-z0-9._:-]*+(?:%[0-9A-F]{2}[A-Za-z0-9._:-]*+)*+(?<!:)").fullmatch
_token = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,127}").fullmatch
_hex64 = re.compile("[0-9a-f]{64}").fullmatch
_decimal = re.compile("0|[1-9][0-9]{0,19}").fullmatch
_uuid = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_origin = re.compile(r"[^\s+]+").fullmatch


def pct_encode(text: str) -> str:
    """Write `text` as a path of RFC 3986, encoding only what must be."""
    if _literal(text):
        return text
    problem = text_problem(text)
    if problem:
        raise MalformedError(problem)
    return quote(text, safe=_LITERAL)


def pct_decode(encoded: str) -> str:
    """Invert `pct_encode`. Raises MalformedError for everything that it would not have written."""
    if _literal(encoded):
        return encoded
    if not _encoded(encoded):
        raise MalformedError(
            f"{encoded[:80]!r} is not percent-encoded as RFC 3986 asks",
            remedy="Encode every byte outside a path's literal characters as % and two upper-case hexadecimal digits",
        )
    try:
        text = unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise MalformedError(f"{encoded[:80]!r} does not decode to UTF-8") from None
    if pct_encode(text) != encoded:
        raise MalformedError(f"{encoded[:80]!r} encodes characters that stand for themselves")
    return text


@lru_cache(maxsize=_REMEMBERED)
def check_did(did: str) -> str:
    """Return `did` if it has the syntax of a DID without path, query and fragment (DID Core section 3.1)."""
    if not _did(did) or len(did) > MAX_LENGTH // 2:
        raise MalformedError(f"{did[:80]!r} is not a DID", remedy="A DID reads did:<method>:<identifier>")
    return did


def _number(text: str) -> int:
    if not _decimal(text) or int(text) > MAX_NUMBER:
        raise MalformedError(f"{text[:40]!r} is not a plain decimal number below 2^64")
    return int(text)


def _bounded(subject: str) -> str:
    if len(subject) > MAX_LENGTH:
        raise MalformedError(f"the subject has {len(subject)} characters; at most {MAX_LENGTH} are accepted")
    return subject


def _check_scheme(scheme: str) -> str:
    if not _scheme(scheme) or scheme in _PARSERS:
        raise MalformedError(f"{scheme[:40]!r} is not the tag of an identifier scheme")
    return scheme


def _check_token(token: str, what: str) -> str:
    if not _token(token):
        raise MalformedError(f"{token[:40]!r} is no {what}: 1 to 128 letters, digits, dots, hyphens, underscores")
    return token


def delegation_ref(scheme: str, prefix: str) -> str:
    """Name a delegation inside a claim: `<scheme>/<prefix>`. An empty prefix is the whole scheme."""
    if scheme != "did":
        _check_scheme(scheme)
    return _bounded(f"{scheme}/{pct_encode(prefix)}")


@lru_cache(maxsize=_REMEMBERED)
def parse_delegation_ref(text: str) -> tuple[str, str]:
    """Split `<scheme>/<prefix>` into scheme and decoded prefix."""
    scheme, slash, prefix = _bounded(text).partition("/")
    if not slash:
        raise MalformedError(f"{text[:80]!r} does not read <scheme>/<prefix>")
    return (scheme if scheme == "did" else _check_scheme(scheme)), pct_decode(prefix)


def template_ref(template_id: str, version: str) -> str:
    """Name a version of a template inside a claim: `<id>/<version>`."""
    return f"{_check_token(template_id, 'template id')}/{_check_token(version, 'template version')}"


@lru_cache(maxsize=_REMEMBERED)
def parse_template_ref(text: str) -> tuple[str, str]:
    """Split `<id>/<version>`."""
    template_id, slash, version = text.partition("/")
    if not slash:
        raise MalformedError(f"{text[:80]!r} does not read <template id>/<version>")
    return _check_token(template_id, "template id"), _check_token(version, "template version")


def identifier(scheme: str, path: str) -> str:
    """Subject of an identifier; `path` as `ledger.identifiers` writes it. For DIDs, which are subjects, use `actor`."""
    subject = f"{_check_scheme(scheme)}:{path}"
    parse(subject)
    return subject


def actor(did: str) -> str:
    """Subject of an actor: its DID."""
    return check_did(did)


def origin(log_origin: str) -> str:
    """Subject of a genesis: the log's origin as in its checkpoints."""
    if not _origin(log_origin) or _hex64(log_origin):
        raise MalformedError(f"{log_origin[:80]!r} cannot be a log's origin: no spaces, no plus signs, not a log id")
    return _bounded(f"log:{pct_encode(log_origin)}")


@lru_cache(maxsize=_REMEMBERED)
def check_log_id(log_id: str) -> str:
    """Return `log_id` if it is one: 64 lower-case hexadecimal digits."""
    if not _hex64(log_id):
        raise MalformedError(f"{log_id[:80]!r} is not a log id: 64 lower-case hexadecimal digits")
    return log_id


def log(log_id: str) -> str:
    """Subject of a log: its id."""
    return f"log:{check_log_id(log_id)}"


def batch(number: int) -> str:
    """Subject of the manifest that closes batch `number`."""
    return f"batch:{_number(str(number))}"


def delegation(scheme: str, prefix: str) -> str:
    """Subject of a delegation."""
    return _bounded(f"delegation:{delegation_ref(scheme, prefix)}")


def template(template_id: str, version: str) -> str:
    """Subject of one version of a template."""
    return f"template:{template_ref(template_id, version)}"


def accreditation(certifier: str, number: int) -> str:
    """Subject of accreditation `number` of a certifier, named by its DID."""
    return _bounded(f"accreditation:{pct_encode(check_did(certifier))}/{_number(str(number))}")


def credential(uuid: str) -> str:
    """Subject of a credential: its UUID in lower-case hexadecimal digits and hyphens."""
    if not _uuid(uuid):
        raise MalformedError(f"{uuid[:80]!r} is not a lower-case UUID")
    return f"urn:uuid:{uuid}"


def _parse_actor(subject: str) -> tuple[Any, ...]:
    return "actor", check_did(subject)


def _parse_log(subject: str) -> tuple[Any, ...]:
    rest = subject[4:]
    if _hex64(rest):
        return "log", rest
    decoded = pct_decode(rest)
    origin(decoded)
    return "origin", decoded


def _parse_batch(subject: str) -> tuple[Any, ...]:
    return "batch", _number(subject[6:])


def _parse_delegation(subject: str) -> tuple[Any, ...]:
    return "delegation", *parse_delegation_ref(subject[11:])


def _parse_template(subject: str) -> tuple[Any, ...]:
    return "template", *parse_template_ref(subject[9:])


def _parse_accreditation(subject: str) -> tuple[Any, ...]:
    did, _, number = subject[14:].rpartition("/")
    return "accreditation", check_did(pct_decode(did)), _number(number)


def _parse_urn(subject: str) -> tuple[Any, ...]:
    uuid = subject[9:]
    credential(uuid)
    if not subject.startswith("urn:uuid:"):
        raise MalformedError(f"{subject[:80]!r} is not a credential's subject: urn:uuid:<uuid>")
    return "credential", uuid


# The tags of these kinds; every other tag is that of an identifier scheme.
_PARSERS: Final[dict[str, Callable[[str], tuple[Any, ...]]]] = {
    "did": _parse_actor,
    "log": _parse_log,
    "batch": _parse_batch,
    "delegation": _parse_delegation,
    "template": _parse_template,
    "accreditation": _parse_accreditation,
    "urn": _parse_urn,
}


def parse(subject: str) -> tuple[Any, ...]:
    """Parse a typed subject: its kind, then its parts, decoded. See the table at the head of this module.

    `build(*parse(subject)[1:]) == subject` for the builder of the same name. Raises MalformedError for any other text.
    """
    if len(subject) > MAX_LENGTH:
        _bounded(subject)
    tag, _, rest = subject.partition(":")
    parser = _PARSERS.get(tag)
    if parser is not None:
        return parser(subject)
    if not _identifier(subject):
        raise MalformedError(
            f"{subject[:80]!r} is not a typed subject", remedy="Write <scheme>:<identifier>, percent-encoded as a path"
        )
    return "identifier", tag, rest
