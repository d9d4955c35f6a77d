"""The kinds of files that are altered: honest samples, how each is verified, and what an altered one may still say.

A kind's `check` gives what a file proves, None where it proves nothing (refused, invalid, cannot tell), and raises
nothing but `LedgerError`. What an altered file proves must be what the honest file proved. Where something outside of
all signatures may differ, the kind has an `agrees` of its own, which says precisely what, and why it tells no lie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from ledger.errors import LedgerError, MalformedError
from ledger.statements.cbor import decode, encode
from tests.mutations.mutators import BIG, Path, Tree, alter_bytes, alter_lines, exchanged

Check = Callable[[bytes], Any]
Agrees = Callable[[Any, Any], bool]


class Sample(NamedTuple):
    """An honest file and what it proves; None where it is honest and yet not valid."""

    name: str
    raw: bytes
    claim: Any


@dataclass
class Kind:
    """One kind. `share`: how often it is drawn, of all shares. `tag`: of its CBOR; `cbor` is false for lines of text.

    `fields`: where the map lies whose members may be exchanged with those of another honest file.
    """

    name: str
    share: int
    samples: Sequence[Sample]
    check: Check
    agrees: Agrees = lambda claim, honest: bool(claim == honest)
    cbor: bool = True
    tag: int | None = None
    fields: Path | None = None
    known: frozenset[bytes] = frozenset()
    trees: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.known = frozenset(sample.raw for sample in self.samples)
        if self.cbor:
            self.trees = [Tree(decode(sample.raw, tag=self.tag, max_size=BIG)) for sample in self.samples]

    def altered(self, draw: Random) -> tuple[Sample, Sample, bytes]:
        """A sample, the honest file that parts were taken from, and the altered file."""
        at, other = draw.randrange(len(self.samples)), draw.randrange(len(self.samples))
        sample, donor = self.samples[at], self.samples[other]
        way = draw.random()
        if way < 0.3:
            return sample, donor, alter_bytes(sample.raw, draw, donor.raw)
        if not self.cbor:
            return sample, donor, alter_lines(sample.raw, draw, donor.raw)
        try:
            if way < 0.45 and self.fields is not None:
                value = exchanged(self.trees[at].value, self.trees[other].value, draw, self.fields)
            else:
                value = self.trees[at].altered(draw, self.trees[other].value)
            return sample, donor, encode(value, tag=self.tag)
        except MalformedError:  # no such bytes can be written: text that is not NFC, a number of more than 64 bits
            return sample, donor, alter_bytes(sample.raw, draw, donor.raw)

    def false(self, sample: Sample, donor: Sample, claim: Any) -> bool:
        """Whether what an altered file proves is something that neither of the files proved that it was made from."""
        return not any(honest is not None and self.agrees(claim, honest) for honest in (sample.claim, donor.claim))


def made(
    name: str,
    share: int,
    raws: dict[str, bytes],
    check: Check,
    *,
    valid: Callable[[str], bool] = lambda _: True,
    **more: Any,
) -> Kind:
    """A kind of these files. `valid` says by name which of them are; the others prove nothing as they stand."""
    samples = []
    for label, raw in raws.items():
        claim = proven(check, raw)
        assert (claim is not None) is valid(label), f"{name}, {label}: {claim}"
        samples.append(Sample(label, raw, claim))
    return Kind(name, share, samples, check, **more)


def proven(check: Check, raw: bytes) -> Any:
    """What a file proves, None where it is refused; any other exception goes through."""
    try:
        return check(raw)
    except LedgerError:
        return None
