"""What an identifier scheme is: the seam between the registry and one module for each family.

Owns the types only. A scheme trusts nothing but its own argument: every function here is pure, and refuses with
`IdentifierError` (functions that return a bool or prefixes excepted: those take texts that were parsed before).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier in its normal form. Two are equal when scheme and normal form are.

    `notes` say what a person should know though it is no error, such as a VIN without a valid check digit.
    """

    scheme: str
    normal: str
    notes: tuple[str, ...] = field(default=(), compare=False)


class Scheme(Protocol):
    """One identifier scheme."""

    @property
    def tag(self) -> str:
        """The word before the colon of a subject."""

    @property
    def title(self) -> str:
        """The name of the scheme for a person."""

    @property
    def escaped(self) -> bool:
        """Whether the normal form is already a URI path, so that a subject takes it as it is."""

    @property
    def reusable(self) -> bool:
        """Whether an identifier may be registered again after it was retired."""

    def parse(self, text: str) -> Identifier:
        """Read any accepted spelling of an identifier."""

    def read_normal(self, text: str) -> Identifier:
        """Read a normal form; refuse every other spelling."""

    def prefixes(self, normal: str) -> tuple[str, ...]:
        """Return every delegation prefix that could cover the normal form, longest first, at component boundaries."""

    def is_prefix(self, text: str) -> bool:
        """Whether `text` can be delegated in this scheme. Takes any text, never raises."""

    def parent_prefixes(self, prefix: str) -> tuple[str, ...]:
        """Return the prefixes that cover `prefix`, longest first, itself excluded."""
