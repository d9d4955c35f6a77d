"""Industrial identifiers: a registry of schemes, each with its grammar, normal form, check digits and prefixes."""

from ledger.identifiers.registry import SCHEMES, identify, parse, parse_subject, register, scheme_of, subject
from ledger.identifiers.scheme import Identifier, Scheme
from ledger.identifiers.text import IdentifierError

__all__ = [
    "SCHEMES",
    "Identifier",
    "IdentifierError",
    "Scheme",
    "identify",
    "parse",
    "parse_subject",
    "register",
    "scheme_of",
    "subject",
]
