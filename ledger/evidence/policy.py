"""The verifier's policy: whom it trusts, for what, and how old evidence may be (DESIGN section 8).

Owns the values, and the TOML file that they are read from, strictly: an unknown or missing member is refused with its
place. Every trust that a report names comes from here. Nothing in a bundle can add to it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ledger.crypto.bls12381 import KEY_SIZE, SIGNATURE_SIZE
from ledger.crypto.suites import SUITES, suite_by_alg, suite_by_name
from ledger.errors import MalformedError
from ledger.evidence.seal import Roster, SealMember
from ledger.log.notes import COSIGNATURE, ED25519, Vkey

if TYPE_CHECKING:
    from ledger.evidence.chain import ChainPolicy, CometTrust  # heavy with checkers: loaded where a chain is named

FORMAT: Final = "tial-policy-v1"
MAX_POLICY: Final = 1 << 20
MAX_PARTIES: Final = 256
MAX_SECONDS: Final = 1 << 40
PLAIN: Final = "plain"
REPLAYING: Final = "replaying"
SKEW: Final = 300
MAX_LAG: Final = 3_600
TRUSTING_PERIOD: Final = 14 * 86_400


@dataclass(frozen=True, slots=True)
class LogTrust:
    """A log that evidence may be about: its id (32 bytes), its origin where it is pinned, and the suites taken.

    `note_keys` pins the keys of checkpoints; empty: those that the log itself names, from its genesis on.
    """

    log_id: bytes
    origin: str | None
    suites: frozenset[int]
    note_keys: tuple[Vkey, ...] = ()


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Witnesses of one kind and how many of them must have cosigned. No witnesses: quorum 0.

    Raises MalformedError for a key twice, a key that is no cosignature key, and a quorum of half of them or less.
    """

    kind: str
    vkeys: tuple[Vkey, ...] = ()
    quorum: int = 0

    def __post_init__(self) -> None:
        count = len(self.vkeys)
        if any(vkey.type != COSIGNATURE for vkey in self.vkeys):
            raise MalformedError("a witness signs with a cosignature key (type 0x04)", where=f"witnesses.{self.kind}")
        if len({vkey.key for vkey in self.vkeys}) != count or len({vkey.name for vkey in self.vkeys}) != count:
            raise MalformedError("a witness is named twice", where=f"witnesses.{self.kind}")
        if (count or self.quorum) and not count < 2 * self.quorum <= 2 * count:
            raise MalformedError(
                f"a quorum of {self.quorum} of {count} witnesses proves nothing: two such quorums need not share one",
                where=f"witnesses.{self.kind}_quorum",
                remedy="Ask for more than half of the witnesses, and at most all",
            )


@dataclass(frozen=True, slots=True)
class Auditor:
    """An auditor whose signed report counts: its name, COSE algorithm and public key."""

    name: str
    alg: int
    key: bytes


@dataclass(frozen=True, slots=True)
class Policy:
    """What a verifier demands. All times are seconds.

    `skew`: how far clocks may differ. `max_lag`: how far the state's log time may lie behind the witnesses' time.
    `max_age`: how old evidence may be; None where that is not asked. `trusting_period`: how long after its header chain
    evidence is believed. `trust_operator_state`: take the operator's word for the state; reports print it.
    `roster`: the consortium whose seal is demanded; None: no seal is asked for.
    """

    logs: tuple[LogTrust, ...]
    plain: Witnesses = Witnesses(PLAIN)
    replaying: Witnesses = Witnesses(REPLAYING)
    auditors: tuple[Auditor, ...] = ()
    chains: tuple[ChainPolicy, ...] = ()
    skew: int = SKEW
    max_lag: int = MAX_LAG
    max_age: int | None = None
    trusting_period: int = TRUSTING_PERIOD
    trust_operator_state: bool = False
    roster: Roster | None = None

    def __post_init__(self) -> None:
        """Refuse what would count one party twice (MalformedError)."""
        both = {vkey.key for vkey in self.plain.vkeys} & {vkey.key for vkey in self.replaying.vkeys}
        if both:
            raise MalformedError(
                "a witness is named both as plain and as replaying",
                where="witnesses",
                remedy="A replaying witness has a key of its own for that",
            )
        if len({log.log_id for log in self.logs}) != len(self.logs) or not self.logs:
            raise MalformedError("a policy names logs, each once", where="log")

    def log(self, log_id: bytes) -> LogTrust | None:
        """What is said of a log, None where it is not named."""
        return next((log for log in self.logs if log.log_id == log_id), None)


def parse_policy(text: str) -> Policy:
    """Read a policy file.

    Raises:
        MalformedError: not TOML, a member unknown, missing or out of its form (`where` is its place).

    """
    if len(text) > MAX_POLICY:
        raise MalformedError(f"a policy has at most {MAX_POLICY} characters", where="policy")
    try:
        table = _Table(tomllib.loads(text), "policy")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise MalformedError(f"not TOML: {error}", where="policy") from error
    if table.take("format", _text) != FORMAT:
        raise MalformedError(f"a policy begins with format = {FORMAT!r}", where="format")
    witnesses = table.table("witnesses")
    plain, replaying = (_witnesses(witnesses, kind) for kind in (PLAIN, REPLAYING))
    witnesses.done()
    verifier = table.table("verifier")
    seal = table.table("seal")
    policy = Policy(
        logs=tuple(_log(item) for item in table.tables("log")),
        plain=plain,
        replaying=replaying,
        auditors=tuple(_auditor(item) for item in table.tables("auditor")),
        chains=tuple(_chain(item) for item in table.tables("chain")),
        skew=verifier.take("skew", _seconds, SKEW),
        max_lag=verifier.take("max_lag", _seconds, MAX_LAG),
        max_age=verifier.take("max_age", _seconds, None),
        trusting_period=verifier.take("trusting_period", _seconds, TRUSTING_PERIOD),
        trust_operator_state=verifier.take("trust_operator_state", _flag, default=False),
        roster=None if seal.empty else _roster(seal),
    )
    verifier.done()
    table.done()
    return policy


_NEEDED: Final[Any] = object()


class _Table:
    """A TOML table whose members are taken one by one; what is left at the end is unknown."""

    def __init__(self, members: Mapping[str, Any], where: str) -> None:
        self._members = dict(members)
        self._where = where

    @property
    def empty(self) -> bool:
        """Whether it has no members."""
        return not self._members

    def take(self, name: str, read: Callable[[Any, str], Any], default: Any = _NEEDED) -> Any:
        """The member, read; `default` where it is absent."""
        where = f"{self._where}.{name}"
        if name not in self._members:
            if default is _NEEDED:
                raise MalformedError("the member is missing", where=where)
            return default
        return read(self._members.pop(name), where)

    def table(self, name: str) -> _Table:
        """A table inside, empty where it is absent."""
        value = self._members.pop(name, {})
        if not isinstance(value, dict):
            raise MalformedError("expected a table", where=name, remedy=f"Write [{name}]")
        return _Table(value, name)

    def tables(self, name: str) -> list[_Table]:
        """An array of tables, empty where it is absent."""
        value = self._members.pop(name, [])
        name = name if self._where == "policy" else f"{self._where}.{name}"
        if not isinstance(value, list) or len(value) > MAX_PARTIES or not all(isinstance(i, dict) for i in value):
            raise MalformedError(f"expected at most {MAX_PARTIES} tables", where=name, remedy=f"Write [[{name}]]")
        return [_Table(item, f"{name}[{place}]") for place, item in enumerate(value)]

    def done(self) -> None:
        """Refuse what nobody took."""
        for name in self._members:
            raise MalformedError("the member is unknown", where=f"{self._where}.{name}", remedy="Correct or remove it")


def _log(table: _Table) -> LogTrust:
    every = [suite.name for suite in SUITES.values() if suite.alg is not None]
    log = LogTrust(
        log_id=table.take("id", _hex(32)),
        origin=table.take("origin", _text, None),
        suites=frozenset(table.take("suites", _list(_suite), [_suite(name, "suites") for name in every])),
        note_keys=tuple(table.take("note_keys", _list(_vkey(ED25519)), ())),
    )
    table.done()
    return log


def _witnesses(table: _Table, kind: str) -> Witnesses:
    vkeys = tuple(table.take(kind, _list(_vkey(COSIGNATURE)), ()))
    return Witnesses(kind, vkeys, table.take(f"{kind}_quorum", _count, 0))


def _auditor(table: _Table) -> Auditor:
    auditor = Auditor(table.take("name", _text), table.take("suite", _suite), table.take("key", _hex(None)))
    table.done()
    suite_by_alg(auditor.alg).check_public_key(auditor.key)
    return auditor


def _chain(table: _Table) -> ChainPolicy:
    from ledger.evidence.chain import ChainPolicy, require_kind  # noqa: PLC0415 - see above
    from ledger.evidence.chain.facts import COMETBFT  # noqa: PLC0415

    kind = table.take("kind", require_kind)
    comet = kind == COMETBFT
    chain = ChainPolicy(
        kind=kind,
        chain_id=table.take("chain_id", _count),
        contract=table.take("contract", _hex(20)),
        code_hash=table.take("code_hash", _hex(32)),
        headers=tuple(table.take("headers", _list(_hex(32)), ())),
        validators=() if comet else tuple(table.take("validators", _list(_hex(20)), ())),
        quorum=None if comet else table.take("quorum", _count, None),
        comet=_comet(table) if comet else None,
    )
    table.done()
    return chain


def _comet(table: _Table) -> CometTrust | None:
    """The pin of a CometBFT chain; None where the policy trusts pinned headers alone."""
    from ledger.evidence.chain import CometTrust  # noqa: PLC0415 - see above
    from ledger.evidence.chain.comet.validators import Validator, ValidatorSet  # noqa: PLC0415

    name = table.take("chain_name", _text, None)
    if name is None:
        return None
    height, time = table.take("height", _count), table.take("time", _seconds, 0)
    validators = []
    for item in table.tables("validator"):
        validators.append(Validator(item.take("key", _hex(32)), item.take("power", _count)))
        item.done()
    return CometTrust(name, height, time, ValidatorSet.of(validators))


def _roster(table: _Table) -> Roster:
    members = []
    for item in table.tables("member"):
        key, proof = item.take("key", _hex(KEY_SIZE)), item.take("proof", _hex(SIGNATURE_SIZE))
        members.append(SealMember(item.take("did", _text), key, proof))
        item.done()
    roster = Roster(tuple(members), table.take("threshold", _count))
    table.done()
    return roster


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 1_024:
        raise MalformedError("expected a text", where=where)
    return value


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise MalformedError("expected true or false", where=where)
    return value


def _count(value: Any, where: str) -> int:
    if type(value) is not int or value < 0:
        raise MalformedError("expected a whole number", where=where)
    return value


def _seconds(value: Any, where: str) -> int:
    if _count(value, where) > MAX_SECONDS:
        raise MalformedError(f"expected at most {MAX_SECONDS} seconds", where=where)
    return int(value)


def _suite(value: Any, where: str) -> int:
    alg = suite_by_name(_text(value, where)).alg
    if alg is None:
        raise MalformedError(f"{value} does not sign statements", where=where)
    return alg


def _hex(size: int | None) -> Callable[[Any, str], bytes]:
    def read(value: Any, where: str) -> bytes:
        text = _text(value, where).removeprefix("0x")
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            raw = b""
        if len(text) != 2 * len(raw) or not raw or (size is not None and len(raw) != size):
            wanted = "bytes" if size is None else f"{size} bytes"
            raise MalformedError(f"expected {wanted} in hexadecimal digits", where=where)
        return raw

    return read


def _vkey(kind: int) -> Callable[[Any, str], Vkey]:
    def read(value: Any, where: str) -> Vkey:
        vkey = Vkey.parse(_text(value, where))
        if vkey.type != kind:
            raise MalformedError(f"expected a verifier key of type 0x{kind:02x}", where=where)
        return vkey

    return read


def _list(read: Callable[[Any, str], Any]) -> Callable[[Any, str], list[Any]]:
    def read_all(value: Any, where: str) -> list[Any]:
        if not isinstance(value, list) or len(value) > MAX_PARTIES * 16:
            raise MalformedError("expected a list", where=where)
        return [read(item, f"{where}[{place}]") for place, item in enumerate(value)]

    return read_all
