"""Answers of the bulk route, encoded by hand: deterministic CBOR, one map a statement, one a run (RFC 8949, 4.2.1).

The route's share of a statement is a few microseconds, so the common answer is put together from constant bytes. Tests
hold every form equal to the general encoder.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors import LedgerError
from ledger.statements.cbor import encode
from ledger.statements.text import text_problem
from node.submission import Outcome, Refused, Run

_ADMITTED = b"\xa2\x64leaf\x58\x20"
_DUPLICATE = b"\xa3\x64leaf\x58\x20"
_INDEX = b"\x65index"
_INDEX_U32 = b"\x65index\x1a"
_IS_DUPLICATE = b"\x69duplicate\xf5"
MAX_DETAIL = 500


def encode_outcomes(outcomes: Sequence[Outcome]) -> bytes:
    """One map a statement, in order: {"leaf", "index"} (+ "duplicate": true), or {"refused", "detail", ...}."""
    parts: list[bytes] = []
    for outcome in outcomes:
        if isinstance(outcome, Refused):
            parts.append(encode_refused(outcome))
        elif outcome.duplicate:
            parts += (_DUPLICATE, outcome.leaf, _index(outcome.index), _IS_DUPLICATE)
        else:
            index = outcome.index
            if 0xFFFF < index <= 0xFFFFFFFF:
                parts += (_ADMITTED, outcome.leaf, _INDEX_U32, index.to_bytes(4, "big"))
            else:
                parts += (_ADMITTED, outcome.leaf, _index(index))
    return b"".join(parts)


def _index(index: int) -> bytes:
    return _INDEX + encode(index)


def encode_refused(refused: Refused) -> bytes:
    """{"refused": reason, "detail", "where", "remedy"}."""
    return encode({"refused": refused.reason, **_words(refused.error)})


def encode_run(run: Run) -> bytes:
    """{"acknowledgement", "first", "count", "proof"}."""
    return encode(
        {
            "acknowledgement": run.acknowledgement,
            "first": run.first,
            "count": run.count,
            "proof": run.proof,
        }
    )


def encode_end(error: LedgerError) -> bytes:
    """{"error": code, "detail", "where", "remedy"}: the last item of a stream that cannot go on."""
    return encode({"error": error.code, **_words(error)})


def _words(error: LedgerError) -> dict[str, str]:
    return {"detail": fit_text(error.detail), "where": fit_text(error.where), "remedy": fit_text(error.remedy)}


def fit_text(text: str) -> str:
    """Text fit for the CBOR profile: errors quote what strangers sent."""
    text = text[:MAX_DETAIL]
    if not text_problem(text):
        return text
    return "".join(character if " " <= character <= "~" else "?" for character in text)
