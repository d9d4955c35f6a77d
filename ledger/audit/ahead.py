"""Decoding and signature checks ahead of the replay, so that other processes verify while this one applies the rules.

Owns no rule. A signature check depends on its four arguments alone, and a kid is its key's hash: so a check may be
asked before the entry's turn with any key of that kid seen so far, and the answer counts only where the transition
function then asks for exactly these arguments. Whatever was not asked ahead is checked on the spot.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeAlias

from ledger.crypto.digests import kid as kid_of
from ledger.errors import LedgerError, MalformedError
from ledger.state.transition import verify_signature
from ledger.statements import Statement, decode_statement

Check: TypeAlias = tuple[int, bytes, bytes, bytes]
"""(COSE algorithm, public key, message, signature)."""
Answers: TypeAlias = Callable[[], Sequence[bool]]

DEPTH: Final = 6
"""Bundles decoded ahead: enough to keep two verify processes busy, and at most 6 * 16 MiB of entries."""
KEYS: Final = 65_536
"""Keys remembered by kid; the rest are met again at their next use."""


class Verifier(Protocol):
    """Where signatures are checked: here, or in other processes."""

    def begin(self, checks: Sequence[Check]) -> Answers:
        """Start to check; what it returns waits for the answers, in order, and is called once."""
        ...


class VerifyHere:
    """Checks on the spot, in this process."""

    def begin(self, checks: Sequence[Check]) -> Answers:
        """Answer when asked."""
        return lambda: [verify_signature(*check) for check in checks]


class Ahead:
    """The statements of some bundles in order, and the `verify` that knows their signatures. For one replay."""

    def __init__(self, bundles: Iterable[Sequence[bytes]], first: int, verifier: Verifier) -> None:
        """`first` is the index of the first entry that `bundles` give."""
        self.index = first - 1
        """Index of the entry handed out last."""
        self.counts: Counter[str] = Counter()
        """Types of the entries handed out."""
        self.statement: Statement | None = None
        """The statement handed out last; None where that entry is no statement."""
        self.broken: LedgerError | None = None
        """What the source of the bundles raised."""
        self._bundles = iter(bundles)
        self._verifier = verifier
        self._keys: dict[bytes, tuple[int, bytes]] = {}
        self._answered: list[tuple[Check, bool]] = []

    def statements(self) -> Iterator[Statement | bytes]:
        """Yield every entry decoded, or as its bytes where it is no statement: the replay says what is wrong."""
        waiting: deque[tuple[list[Statement | bytes], list[int], list[Check], Answers]] = deque()
        more = True
        while True:
            while more and len(waiting) < DEPTH:
                bundle = self._next_bundle()
                more = bundle is not None
                if bundle is not None:
                    waiting.append(self._look(bundle))
            if not waiting:
                return
            items, owners, checks, answers = waiting.popleft()
            answered: dict[int, list[tuple[Check, bool]]] = {}
            for owner, check, good in zip(owners, checks, answers(), strict=True):
                answered.setdefault(owner, []).append((check, good))
            for place, item in enumerate(items):
                self._answered = answered.get(place, [])
                self.index += 1
                self.statement = item if isinstance(item, Statement) else None
                self.counts["" if self.statement is None else self.statement.type] += 1
                yield item

    def verify(self, alg: int, key: bytes, message: bytes, signature: bytes) -> bool:
        """Answer the transition function about the entry handed out last."""
        for (known_alg, known_key, known_message, known_signature), good in self._answered:
            if known_signature is signature and known_message is message and known_key == key and known_alg == alg:
                return good
        self._learn(alg, key)
        return verify_signature(alg, key, message, signature)

    def _next_bundle(self) -> Sequence[bytes] | None:
        try:
            return next(self._bundles, None)
        except LedgerError as error:
            self.broken = error
            raise

    def _look(self, bundle: Sequence[bytes]) -> tuple[list[Statement | bytes], list[int], list[Check], Answers]:
        """Decode a bundle and begin to check what can be checked: items, the item that each check is of, answers."""
        items: list[Statement | bytes] = []
        owners: list[int] = []
        checks: list[Check] = []
        keys = self._keys
        for place, raw in enumerate(bundle):
            try:
                st = decode_statement(raw)
            except MalformedError:
                items.append(raw)
                continue
            items.append(st)
            if st.type in _INTRODUCING:
                for alg, key in keys_in(st):
                    self._learn(alg, key)
            known = keys.get(st.kid)
            if known is not None and known[0] == st.alg:
                owners.append(place)
                checks.append((st.alg, known[1], st.signed, st.signature))
            for consent in st.consents:
                known = keys.get(consent.kid)
                if known is not None and known[0] == consent.alg:
                    owners.append(place)
                    checks.append((consent.alg, known[1], consent.signed, consent.signature))
        return items, owners, checks, self._verifier.begin(checks)

    def _learn(self, alg: int, key: bytes) -> None:
        if len(self._keys) >= KEYS:
            self._keys.clear()
        self._keys[kid_of(key)] = (alg, key)


_INTRODUCING: Final = frozenset({"genesis", "log", "actor", "rotation"})


def keys_in(st: Statement) -> Iterator[tuple[int, bytes]]:
    """The public keys, with their algorithms, that a statement's body introduces, admitted or not."""
    found: list[dict[str, Any]] = []
    body = st.body
    if st.type in {"genesis", "log"}:
        found += [] if "keys" not in body else [body["keys"]["cose"]]
        found += [] if "root" not in body else body["root"]["members"]
    elif st.type == "actor":
        found += body["keys"]
    elif st.type == "rotation":
        found += body.get("add", ())
    for key in found:
        yield key["alg"], key["key"]
