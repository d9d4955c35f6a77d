"""Shapes: small checks from which the table of statement types is put together.

Owns what a time, a text, a key, a list of roles may look like; no rule of who may do what. A shape is a function that
takes a decoded value and returns nothing or raises `MalformedError` whose `where` is the path below that value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, TypeAlias

from ledger.crypto.suites import suite_by_alg
from ledger.errors import MalformedError
from ledger.statements import subjects

Shape: TypeAlias = Callable[[Any], None]

END_OF_TIME: Final = 1 << 53  # seconds; every time is below, so that it is exact in any JSON reader
MAX_UINT: Final = (1 << 64) - 1
MAX_ITEMS: Final = 256  # members of a list whose own limit is not smaller
_UNHASHABLE: Final = (dict, list)


def wrong(expected: str, value: object) -> MalformedError:
    """Build the error for a value that is not what the table asks for."""
    return MalformedError(f"expected {expected}, found {_describe(value)}")


def _describe(value: object) -> str:
    if isinstance(value, (bytes, list, dict)):
        names = {bytes: "byte string", list: "array", dict: "map"}
        return f"a {names[type(value)]} of {len(value)}"
    return repr(value)[:80]


def below(error: MalformedError, step: object) -> MalformedError:
    """Build the same error, its path one step longer at the front."""
    where = f"{step}.{error.where}" if error.where else str(step)
    return MalformedError(error.detail, where=where, remedy=error.remedy)


def _shown(key: object) -> str:
    """Show a key, which may be hostile, as a step of a path."""
    return str(key)[:80] if isinstance(key, (int, str)) else repr(key)[:80]


def uint(value: Any) -> None:
    """Check an integer from 0 to 2^64 - 1."""
    if type(value) is not int or not 0 <= value <= MAX_UINT:
        raise wrong("an unsigned integer of 64 bits", value)


def time(value: Any) -> None:
    """Check a time: Unix seconds from 0 to 2^53 - 1."""
    if type(value) is not int or not 0 <= value < END_OF_TIME:
        raise wrong("a time in whole Unix seconds", value)


def did(value: Any) -> None:
    """Check a DID."""
    if type(value) is not str:
        raise wrong("a DID", value)
    subjects.check_did(value)


def any_text(value: Any) -> None:
    """Check a text that a parser of its own reads afterwards."""
    if type(value) is not str:
        raise wrong("a text", value)


def generation(value: Any) -> None:
    """Check a generation of an identifier, stated from the second on."""
    if type(value) is not int or not 2 <= value <= MAX_UINT:
        raise wrong("a generation of 2 or more (the first is not written)", value)


def true(value: Any) -> None:
    """Check the value true: a member that says no is left out."""
    if value is not True:
        raise wrong("true", value)


def alg(value: Any) -> None:
    """Check a COSE algorithm number of a registered suite."""
    if type(value) is not int:
        raise wrong("a COSE algorithm number", value)
    try:
        suite_by_alg(value)
    except MalformedError as error:
        raise MalformedError(error.detail, remedy=error.remedy) from None


def text(limit: int) -> Shape:
    """Make the shape of a text of 1 to `limit` characters, not beginning or ending in white space."""

    def check(value: Any) -> None:
        if type(value) is not str or not 1 <= len(value) <= limit or value.strip() != value:
            raise wrong(f"a text of 1 to {limit} characters without white space around it", value)

    return check


def pattern(expression: str, description: str) -> Shape:
    """Make the shape of a text that matches a regular expression as a whole."""
    fullmatch = re.compile(expression).fullmatch

    def check(value: Any) -> None:
        if type(value) is not str or not fullmatch(value):
            raise wrong(description, value)

    return check


def one_of(choices: Iterable[str]) -> Shape:
    """Make the shape of one of the given words."""
    known = frozenset(choices)

    def check(value: Any) -> None:
        if type(value) is not str or value not in known:
            raise wrong("one of " + ", ".join(sorted(known)), value)

    return check


def octets(size: int) -> Shape:
    """Make the shape of a byte string of exactly `size` bytes."""

    def check(value: Any) -> None:
        if type(value) is not bytes or len(value) != size:
            raise wrong(f"a byte string of {size} bytes", value)

    return check


def octets_up_to(limit: int) -> Shape:
    """Make the shape of a byte string of 1 to `limit` bytes."""

    def check(value: Any) -> None:
        if type(value) is not bytes or not 1 <= len(value) <= limit:
            raise wrong(f"a byte string of 1 to {limit} bytes", value)

    return check


def parsed(parse: Callable[[str], object], description: str) -> Shape:
    """Make the shape of a text that a parser accepts; the parser raises MalformedError otherwise."""

    def check(value: Any) -> None:
        if type(value) is not str:
            raise wrong(description, value)
        parse(value)

    return check


def subject_of(kinds: Collection[str]) -> Shape:
    """Make the shape of a typed subject of one of these kinds."""

    def check(value: Any) -> None:
        if type(value) is not str:
            raise wrong("a typed subject", value)
        kind = subjects.parse(value)[0]
        if kind not in kinds:
            raise MalformedError(f"{value[:80]!r} names a {kind}; expected {' or '.join(kinds)}")

    return check


def array_of(shape: Shape, least: int = 0, most: int = MAX_ITEMS) -> Shape:
    """Make the shape of an array of `least` to `most` distinct items of one shape."""

    def check(value: Any) -> None:
        if type(value) is not list or not least <= len(value) <= most:
            raise wrong(f"an array of {least} to {most} items", value)
        before: set[Any] = set()
        for place, item in enumerate(value):
            try:
                shape(item)
            except MalformedError as error:
                raise below(error, place) from None
            if item in (value[:place] if type(item) in _UNHASHABLE else before):
                raise MalformedError("the item stands twice in the array", where=str(place))
            if type(item) not in _UNHASHABLE:
                before.add(item)

    return check


def map_of(key_shape: Shape, shape: Shape, least: int = 0, most: int = MAX_ITEMS) -> Shape:
    """Make the shape of a map of `least` to `most` members whose keys have one shape and whose values have another."""

    def check(value: Any) -> None:
        if type(value) is not dict or not least <= len(value) <= most:
            raise wrong(f"a map of {least} to {most} members", value)
        for key, item in value.items():
            try:
                key_shape(key)
                shape(item)
            except MalformedError as error:
                raise below(error, _shown(key)) from None

    return check


class Members:
    """Shape of a map with named members: all required ones, no unknown ones, each of its own shape.

    Written as the table is: `Members({"holder!": did, "seq": uint})`, where the exclamation mark means required.
    `any_of` names members of which at least one must be present. Which sets of keys are good is remembered, so that the
    check of a value costs one look-up and one call a member.
    """

    __slots__ = ("_any_of", "_plans", "_required", "_shapes")

    def __init__(self, members: dict[str, Shape], *, any_of: Iterable[str] = ()) -> None:
        self._shapes: dict[str | int, Shape] = {}
        required: set[str | int] = set()
        for name, shape in members.items():
            plain = name.removesuffix("!")
            key = int(plain) if plain.isdecimal() else plain
            self._shapes[key] = shape
            if name != plain:
                required.add(key)
        self._required = frozenset(required)
        self._any_of = frozenset(any_of)
        self._plans: dict[tuple[str | int, ...], tuple[tuple[str | int, Shape], ...]] = {}

    @property
    def names(self) -> frozenset[str | int]:
        """All members that may be present."""
        return frozenset(self._shapes)

    @property
    def required(self) -> frozenset[str | int]:
        """All members that must be present."""
        return self._required

    def _plan(self, keys: tuple[str | int, ...]) -> tuple[tuple[str | int, Shape], ...]:
        for key in keys:
            if key not in self._shapes:
                raise MalformedError("the member is unknown here", where=_shown(key), remedy="Leave it out")
        for key in sorted(self._required, key=str):
            if key not in keys:
                raise MalformedError("the member is missing", where=str(key))
        if self._any_of and self._any_of.isdisjoint(keys):
            raise MalformedError(f"at least one of {', '.join(sorted(self._any_of))} must be present")
        plan = tuple((key, self._shapes[key]) for key in keys)
        if list(keys) == sorted(keys, key=_encoded_order):  # as decoded; other orders would only fill the memory
            self._plans[keys] = plan
        return plan

    def __call__(self, value: Any) -> None:
        if type(value) is not dict:
            raise wrong("a map", value)
        keys = tuple(value)
        plan = self._plans.get(keys)
        if plan is None:
            plan = self._plan(keys)
        for (name, shape), item in zip(plan, value.values(), strict=True):
            try:
                shape(item)
            except MalformedError as error:
                raise below(error, name) from None


def _encoded_order(key: str | int) -> tuple[bool, int, str | int]:
    """Order of small integer and ASCII keys in deterministic CBOR."""
    return (False, 0, key) if isinstance(key, int) else (True, len(key), key)


delegation_ref: Final = parsed(subjects.parse_delegation_ref, "a delegation: <scheme>/<prefix>")
template_ref: Final = parsed(subjects.parse_template_ref, "a template: <id>/<version>")
log_id: Final = parsed(subjects.check_log_id, "a log id: 64 lower-case hexadecimal digits")
code: Final = pattern("[a-z][a-z0-9_-]{0,63}", "a code: 1 to 64 lower-case letters, digits, hyphens, underscores")
scope: Final = text(128)  # a product class, a standard, a site; "*" for any where a list of them bounds a right
digest: Final = octets(32)
key_id: Final = octets(32)


def keyed(extra: dict[str, Shape]) -> Shape:
    """Make the shape of a map with `alg` and `key`, a sound public key of that suite, and further members."""
    members = Members({"alg!": alg, "key!": octets_up_to(256), **extra})

    def check(value: Any) -> None:
        members(value)
        try:
            suite_by_alg(value["alg"]).check_public_key(value["key"])
        except MalformedError as error:
            raise MalformedError(error.detail, where="key", remedy=error.remedy) from None

    return check
