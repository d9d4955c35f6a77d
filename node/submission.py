"""What a submitter gets back: one outcome a statement, and acknowledgements for the runs of admitted ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.errors import LedgerError, Rejection


@dataclass(frozen=True, slots=True)
class Admitted:
    """The statement is durable as entry `index`; `duplicate` when it was there before."""

    index: int
    leaf: bytes
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The statement was not admitted. `receipt` is the signed refusal, where one was asked for."""

    error: LedgerError
    receipt: bytes | None = None

    @property
    def reason(self) -> str:
        """The stable name: a rejection's reason, or the code of any other error."""
        return self.error.reason if isinstance(self.error, Rejection) else self.error.code


Outcome = Admitted | Refused


@dataclass(frozen=True, slots=True)
class Run:
    """An acknowledgement for `count` consecutive entries from `first`, with the range proof into its group."""

    first: int
    count: int
    acknowledgement: bytes
    proof: list[bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcomes of one submission in its order, and the acknowledgements that cover its admitted entries."""

    outcomes: list[Outcome]
    runs: list[Run] = field(default_factory=list)
