"""Trust policies for logs and witnesses as text files (C2SP tlog-policy).

Owns the parser (log, witness, group and quorum lines), the evaluation of a quorum over the witnesses that cosigned, and
the question whether two quorums can do without a common witness. Trusts nothing: the file is bounded and strict. Keys
alone identify logs and witnesses; the names in a file are for its groups. Text is taken as opaque octets, as the
specification asks: bytes that are not UTF-8 survive as surrogate escapes.

We keep two such files for a log: one lists plain witnesses (consistency), the other replaying ones (they ran the rules
over every entry). Each has a quorum of its own, and any tool that knows the format reads either.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from ledger.errors import MalformedError
from ledger.log.notes import COSIGNATURE, ED25519, Vkey

MAX_POLICY: Final = 1 << 18
"""Bytes in a policy file."""
MAX_LINES_OF_A_KIND: Final = 128
"""Logs, witnesses and groups each; the specification asks for at least 32."""
NONE: Final = "none"

_FORBIDDEN = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_SPACE = re.compile(r"[ \t]+")
_DECIMAL = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """A log: its key, whose name is the origin, and a URL or the empty text."""

    vkey: Vkey
    url: str = ""


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A witness: its name in the file, its key, and the URL that takes `add-checkpoint` or the empty text."""

    name: str
    vkey: Vkey
    url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses a checkpoint when at least `threshold` of its members (witnesses or earlier groups) do."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TlogPolicy:
    """A parsed policy file. `quorum` names a witness or group, or is "none"."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[Group, ...]
    quorum: str

    @classmethod
    def parse(cls, data: bytes) -> TlogPolicy:
        """Read a policy file.

        Raises:
            MalformedError: too large, a control character, an unknown or incomplete line, a key of a type that cannot
                serve, a duplicate key or name, a name used before it is defined or in two groups, a threshold outside
                1 to the number of members, or not exactly one quorum line. `where` names the line.

        """
        if len(data) > MAX_POLICY:
            raise MalformedError(f"a policy has at most {MAX_POLICY} bytes, not {len(data)}", where="policy")
        found = _FORBIDDEN.search(data)
        if found is not None:
            line = data.count(b"\n", 0, found.start()) + 1
            raise MalformedError("a policy holds no control character but tab and newline", where=f"line {line}")
        if data and not data.endswith(b"\n"):
            raise MalformedError("every line of a policy ends in a newline", where="last line")
        reader = _Reader()
        for number, row in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
            words = [word for word in _SPACE.split(row) if word]
            if words and not words[0].startswith("#"):
                reader.line(words, f"line {number}")
        return reader.done()

    @property
    def vkeys(self) -> tuple[Vkey, ...]:
        """Keys of all witnesses: what `open_cosigned` takes."""
        return tuple(witness.vkey for witness in self.witnesses)

    def satisfied(self, cosigned: Collection[Vkey]) -> bool:
        """Tell whether the witnesses with these keys, whose cosignatures the caller verified, make the quorum."""
        if self.quorum == NONE:
            return True
        keys = {vkey.key for vkey in cosigned if vkey.type == COSIGNATURE}
        met = {witness.name for witness in self.witnesses if witness.vkey.key in keys}
        for group in self.groups:
            if sum(member in met for member in group.members) >= group.threshold:
                met.add(group.name)
        return self.quorum in met

    def quorum_time(self, times: Mapping[Vkey, int]) -> int | None:
        """Return the newest time that a quorum reaches: each of its witnesses cosigned then or later.

        `times` are the witnesses' verified cosignature times, Unix seconds. None where they make no quorum, and for
        the quorum "none", which reaches no time.
        """
        if self.quorum == NONE:
            return None
        counted: list[Vkey] = []
        for vkey, time in sorted(times.items(), key=lambda item: item[1], reverse=True):
            counted.append(vkey)
            if self.satisfied(counted):
                return time
        return None

    @property
    def splittable(self) -> bool:
        """Whether two quorums exist without a common witness, each of which could be shown another log.

        For one group of n witnesses this is a threshold of half of them or less. With nested groups, a member that can
        itself be split counts for both sides.
        """
        if self.quorum == NONE:
            return True
        split: dict[str, bool] = {witness.name: False for witness in self.witnesses}
        for group in self.groups:
            both = sum(split[member] for member in group.members)
            split[group.name] = 2 * group.threshold <= len(group.members) + both
        return split[self.quorum]

    def require_strong(self, where: str = "quorum") -> None:
        """Refuse a quorum that says nothing against a split view.

        Raises:
            MalformedError: the quorum is "none", or `splittable`.

        """
        if self.splittable:
            raise MalformedError(
                f"two sets of witnesses without a common one could each make the quorum {_shown(self.quorum)}",
                where=where,
                remedy="Ask for more than half of the witnesses",
            )


class _Reader:
    """Collects the lines of one file."""

    def __init__(self) -> None:
        self.logs: dict[bytes, PolicyLog] = {}
        self.witnesses: dict[bytes, PolicyWitness] = {}
        self.groups: list[Group] = []
        self.quorum: str | None = None
        self._names: set[str] = set()
        self._members: set[str] = set()

    def line(self, words: list[str], where: str) -> None:
        kind, *rest = words
        if kind == "log" and len(rest) in (1, 2):
            self._log(rest, where)
        elif kind == "witness" and len(rest) in (2, 3):
            self._witness(rest, where)
        elif kind == "group" and len(rest) >= 3:
            self._group(rest, where)
        elif kind == "quorum" and len(rest) == 1:
            if self.quorum is not None:
                raise MalformedError("a policy has one quorum line", where=where)
            self.quorum = rest[0] if rest[0] == NONE else self._defined(rest[0], where)
        else:
            _refuse_line(kind, where)

    def done(self) -> TlogPolicy:
        if self.quorum is None:
            raise MalformedError(
                "the policy has no quorum line", where="policy", remedy="Write `quorum <name>`, or `quorum none`"
            )
        return TlogPolicy(
            tuple(self.logs.values()), tuple(self.witnesses.values()), tuple(self.groups), self.quorum
        )  # fmt: skip

    def _log(self, words: list[str], where: str) -> None:
        vkey = _vkey(words[0], ED25519, where)
        if vkey.key in self.logs:
            raise MalformedError("this log's key is there twice", where=where)
        self.logs[vkey.key] = PolicyLog(vkey, *words[1:])
        _bound(self.logs, "logs", where)

    def _witness(self, words: list[str], where: str) -> None:
        vkey = _vkey(words[1], COSIGNATURE, where)
        if vkey.key in self.witnesses:
            raise MalformedError("this witness's key is there twice", where=where)
        self.witnesses[vkey.key] = PolicyWitness(self._new(words[0], where), vkey, *words[2:])
        _bound(self.witnesses, "witnesses", where)

    def _group(self, words: list[str], where: str) -> None:
        name, threshold, *members = words
        for member in members:
            if self._defined(member, where) in self._members:
                raise MalformedError(f"{_shown(member)} is a member of two groups, or twice of one", where=where)
            self._members.add(member)
        worded = {"any": 1, "all": len(members)}
        needed = worded.get(threshold) or (int(threshold) if _DECIMAL.fullmatch(threshold) else 0)
        if not 1 <= needed <= len(members):
            raise MalformedError(
                f"a threshold is `any`, `all` or a number from 1 to {len(members)}, not {_shown(threshold)}",
                where=where,
            )
        self.groups.append(Group(self._new(name, where), needed, tuple(members)))
        _bound(self.groups, "groups", where)

    def _new(self, name: str, where: str) -> str:
        if name == NONE or name in self._names:
            raise MalformedError(f"the name {_shown(name)} is taken", where=where)
        self._names.add(name)
        return name

    def _defined(self, name: str, where: str) -> str:
        if name not in self._names:
            raise MalformedError(
                f"no line above defines {_shown(name)}", where=where, remedy="Define witnesses and groups before use"
            )
        return name


def _vkey(text: str, kind: int, where: str) -> Vkey:
    try:
        vkey = Vkey.parse(text)
    except MalformedError as error:
        raise MalformedError(error.detail, where=where, remedy=error.remedy) from error
    if vkey.type != kind:
        raise MalformedError(f"a key of type 0x{vkey.type:02x} cannot serve here, 0x{kind:02x} is meant", where=where)
    return vkey


def _bound(held: Collection[object], what: str, where: str) -> None:
    if len(held) > MAX_LINES_OF_A_KIND:
        raise MalformedError(f"a policy has at most {MAX_LINES_OF_A_KIND} {what}", where=where)


def _refuse_line(kind: str, where: str) -> NoReturn:
    raise MalformedError(
        f"not a line of a policy: {_shown(kind)}",
        where=where,
        remedy="log <vkey> [<url>], witness <name> <vkey> [<url>], group <name> <k>|any|all <name>..., quorum <name>",
    )


def _shown(text: str) -> str:
    return repr(text[:80])
