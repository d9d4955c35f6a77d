"""The table of statement types as data: subject, claims and payload of each (DESIGN section 4).

Owns which members a statement of each type must and may have, and their shapes. Who may sign it, and when, is decided
by `ledger.state` alone. A new type is one entry in `_ALL`. Names with an exclamation mark are required. In claims,
numbers are those of RFC 8392: 1 iss, 2 sub, 3 aud, 4 exp, 5 nbf, 6 iat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from ledger.statements import shapes
from ledger.statements.shapes import (
    Members,
    Shape,
    array_of,
    code,
    did,
    keyed,
    map_of,
    octets,
    one_of,
    scope,
    text,
    uint,
)

MAX_CONSENTS: Final = 32
CONSENT: Final = "consent"
ROLES: Final = (
    "enroller",
    "accreditor",
    "template-authority",
    "regulator",
    "registrar",
    "certifier",
    "owner",
    "auditor",
)
PURPOSES: Final = ("statement", "consent")
RIGHTS: Final = ("delegate", "register")
TEMPLATE_STATES: Final = ("approved", "withdrawn")
STATES: Final = ("active", "suspended", "revoked", "live", "blocked", "retired")

# A DID is an identifier too, and may be registered as one.
IDENTIFIERS: Final = ("identifier", "actor")

Table: TypeAlias = dict[str, Shape]


@dataclass(frozen=True, slots=True)
class StatementType:
    """One type: kinds of its subject, shape of its claims, shape of its payload map (None: a document's digest)."""

    name: str
    subjects: tuple[str, ...]
    claims: Members
    body: Members | None

    @property
    def typ(self) -> str:
        """Media type in protected header 16 (RFC 9596)."""
        return media_type(self.name)


def media_type(name: str) -> str:
    """Media type of a statement type, or of a consent."""
    return f"application/vnd.tial.{name}+cose"


def _claims(text_claims: Table, *, audience: bool = True) -> Members:
    common: Table = {"1!": did, "2!": shapes.any_text, "6!": shapes.time}
    if audience:
        common["3!"] = shapes.log_id
    return Members(common | text_claims)


def _body(members: Table, *, any_of: tuple[str, ...] = ()) -> Members:
    return Members(members, any_of=any_of)


_VALIDITY: Final[Table] = {"4!": shapes.time, "5!": shapes.time}
_CONSENTS: Final = array_of(shapes.octets_up_to(65_535), 1, MAX_CONSENTS)
_KEY: Final = keyed(
    {"purposes!": array_of(one_of(PURPOSES), 1), "nbf": shapes.time, "exp": shapes.time},
)
_LOG_KEYS: Final = Members({"cose!": keyed({}), "note!": keyed({"proof": octets(64)})})
_ROOT: Final = Members({"members!": array_of(keyed({"did!": did}), 1, MAX_CONSENTS), "threshold!": uint})
_POLICY: Final = Members({"skew!": shapes.time, "max_age!": shapes.time, "rotation_delay!": shapes.time})
_WITNESS: Final = shapes.pattern(
    r"[^\s+]{1,256}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{40,256}={0,2}", "a verifier key: <name>+<key id>+<key>"
)
_SCOPES: Final = array_of(scope, 1)
_POINTER: Final = shapes.pattern("(?:/(?:[^~/]|~[01])*){1,32}", "a JSON pointer")

_ALL: Final = (
    StatementType(
        "genesis",
        ("origin",),
        _claims({}, audience=False),
        _body(
            {
                "origin!": text(512),
                "keys!": _LOG_KEYS,
                "root!": _ROOT,
                "suites!": array_of(shapes.alg, 1),
                "policy!": _POLICY,
                "rules!": uint,
                "witnesses": array_of(_WITNESS),
                "predecessor": Members({"log!": shapes.log_id, "size!": uint, "root!": octets(32)}),
                "consents!": _CONSENTS,
            }
        ),
    ),
    StatementType(
        "log",
        ("log",),
        _claims({"seq!": uint}),
        _body(
            {
                "keys": _LOG_KEYS,
                "root": _ROOT,
                "suites": array_of(shapes.alg, 1),
                "policy": _POLICY,
                "rules": uint,
                "witnesses": array_of(_WITNESS),
                "roles": map_of(did, array_of(one_of(ROLES)), 1),
                "seal": Members({"successor!": shapes.log_id}),
                "consents!": _CONSENTS,
            },
            any_of=("keys", "root", "suites", "policy", "rules", "witnesses", "roles", "seal"),
        ),
    ),
    StatementType(
        "actor",
        ("actor",),
        _claims({}),
        _body(
            {
                "keys!": array_of(_KEY, 1, MAX_CONSENTS),
                "roles!": array_of(one_of(ROLES)),
                "name!": text(256),
                "uscc": shapes.pattern("[0-9A-HJ-NP-RTUW-Y]{18}", "a USCC: 18 digits and capitals"),
                "lei": shapes.pattern("[0-9A-Z]{18}[0-9]{2}", "an LEI: 20 digits and capitals"),
                "consents!": _CONSENTS,
            }
        ),
    ),
    StatementType(
        "rotation",
        ("actor",),
        _claims({"seq!": uint}),
        _body(
            {
                "add": array_of(_KEY, 1, MAX_CONSENTS),
                "remove": array_of(shapes.key_id, 1),
                "cancel": uint,
                "consents": _CONSENTS,
            },
            any_of=("add", "remove", "cancel"),
        ),
    ),
    StatementType(
        "compromise",
        ("actor",),
        _claims({"seq!": uint}),
        _body(
            {
                "bad!": array_of(Members({"kid!": shapes.key_id, "from!": shapes.time}), 1),
                "confirmed!": array_of(shapes.key_id),
                "reconfirmed": array_of(shapes.digest, 1, 1024),
                "consents": _CONSENTS,
            }
        ),
    ),
    StatementType(
        "delegation",
        ("delegation",),
        _claims(
            {
                "holder!": did,
                "rights!": array_of(one_of(RIGHTS), 1),
                "delegation": shapes.delegation_ref,
                "reclaim": shapes.true,
                "seq": uint,
            }
            | _VALIDITY
        ),
        _body({"consents": _CONSENTS}),
    ),
    StatementType(
        "template",
        ("template",),
        _claims({"industry!": code, "schema!": octets(32), "state!": one_of(TEMPLATE_STATES), "seq": uint}),
        _body(
            {
                "name!": text(256),
                "mapping!": map_of(code, _POINTER),
                "standards!": _SCOPES,
                "classes!": _SCOPES,
                "consents": _CONSENTS,
            }
        ),
    ),
    StatementType(
        "accreditation",
        ("accreditation",),
        _claims({"certifier!": did, "seq": uint} | _VALIDITY),
        _body(
            {
                "templates!": _SCOPES,
                "standards!": _SCOPES,
                "classes!": _SCOPES,
                "sites!": _SCOPES,
                "consents": _CONSENTS,
            }
        ),
    ),
    StatementType(
        "registration",
        IDENTIFIERS,
        _claims({"holder!": did, "delegation!": shapes.delegation_ref, "generation": shapes.generation, "seq": uint}),
        None,
    ),
    StatementType(
        "transfer",
        IDENTIFIERS,
        _claims({"holder!": did, "generation": shapes.generation, "seq!": uint}),
        _body({"consents!": _CONSENTS}),
    ),
    StatementType(
        "certification",
        ("credential",),
        _claims(
            {
                "identifier!": shapes.subject_of(IDENTIFIERS),
                "generation": shapes.generation,
                "template!": shapes.template_ref,
                "class!": scope,
                "site!": scope,
                "standard!": scope,
                "accreditation!": uint,
            }
            | _VALIDITY
        ),
        None,
    ),
    StatementType(
        "status",
        ("credential", "accreditation", "delegation", *IDENTIFIERS),
        _claims({"state!": one_of(STATES), "reason!": code, "role!": code, "effective!": shapes.time, "seq!": uint}),
        _body({"note": text(1024), "consents": _CONSENTS}),
    ),
    StatementType(
        "manifest",
        ("batch",),
        _claims({}),
        _body(
            {
                "first!": uint,
                "count!": uint,
                "counts!": map_of(code, uint),
                "rules!": uint,
                "state!": octets(32),
                "began!": shapes.time,
            }
        ),
    ),
)

TYPES: Final = {entry.name: entry for entry in _ALL}
CONSENT_CLAIMS: Final = Members({"1!": did, "4!": shapes.time})
