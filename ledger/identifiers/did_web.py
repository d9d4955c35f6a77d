"""did:web identifiers: a domain, an optional port (`%3A8443`), and path segments separated by colons.

Follows the W3C CCG did:web method. Domains are lower-case and no IP addresses; segments hold unreserved characters
of RFC 3986 or the escapes of others, in one form only, and never `.` or `..`, which would lead elsewhere.
"""

from __future__ import annotations

import re

from ledger.identifiers.text import IdentifierError, check_text, decode_percent, show, wrong_character

TITLE = "did:web"
_REMEDY = "Write did:web:example.com:path:segments, a port as %3A8443"
_MAX_SEGMENTS = 16  # bounds the prefixes that a statement can make us look up

_label = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?").fullmatch
_domain_run = re.compile(r"[a-z0-9.-]*").match
_port = re.compile(r"[1-9][0-9]{0,4}").fullmatch
_segment_run = re.compile(r"(?:[A-Za-z0-9\-._~]|%[0-9A-F]{2})*").match


def read(specific: str) -> None:
    """Check a method-specific identifier in normal form."""
    host, *segments = specific.split(":")
    if len(segments) > _MAX_SEGMENTS:
        raise IdentifierError(f"{TITLE}: more than {_MAX_SEGMENTS} path segments", where="path", remedy=_REMEDY)
    _check_host(specific, host)
    start = len(host) + 1
    for segment in segments:
        _check_segment(specific, segment, start)
        start += len(segment) + 1


def _check_host(specific: str, host: str) -> None:
    domain, escape, port = host.partition("%3A")
    run = _domain_run(domain)
    end = run.end() if run else 0
    if end < len(domain):
        raise wrong_character(TITLE, specific, end, "a lower-case letter, a digit, '-' or '.' of the domain", _REMEDY)
    start = 0
    labels = domain.split(".")
    for label in labels:
        if not _label(label):
            raise wrong_character(TITLE, specific, start, "a label of the domain (1 to 63, no '-' at an end)", _REMEDY)
        start += len(label) + 1
    if labels[-1].isdigit() or len(domain) > 253:
        raise IdentifierError(
            f"{TITLE}: {show(domain)} is an IP address, or longer than a domain", position=1, remedy=_REMEDY
        )
    if escape and not (_port(port) and int(port) < 65536):
        raise wrong_character(TITLE, specific, len(domain) + 3, "a port from 1 to 65535", _REMEDY)


def _check_segment(specific: str, segment: str, start: int) -> None:
    run = _segment_run(segment)
    end = run.end() if run else 0
    if end < len(segment) or not segment or segment in {".", ".."}:
        raise wrong_character(TITLE, specific, start + end % (len(segment) or 1), "a path segment", _REMEDY)
    if "%" not in segment:
        return
    plain = decode_percent(segment)
    check_text(TITLE, plain)
    if "/" in plain or any(map(_for_nothing, re.findall("%[0-9A-F]{2}", segment))):
        raise IdentifierError(
            f"{TITLE}: segment {show(segment)} escapes '/' or a character that stands for itself",
            position=start + 1,
            remedy="Escape only what is not a letter, a digit, '-', '.', '_' or '~'",
        )


def _for_nothing(escape: str) -> bool:
    """Whether an escape such as `%41` stands for an unreserved character."""
    char = chr(int(escape[1:], 16))
    return char.isascii() and (char.isalnum() or char in "-._~")
