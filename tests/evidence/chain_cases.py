"""What must hold of chain evidence of every kind: cases and checks that the tests of each kind share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import pytest
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.evidence.chain import (
    ChainFacts,
    ChainInvalidError,
    ChainPolicy,
    ChainUntrustedError,
    check_chain_evidence,
)
from tests.evidence.chain_builder import LEAF, LOG, OTHER_LOG, ROOT, SENDER, head, meta, slot, word

REFUSALS = (MalformedError, ChainInvalidError, ChainUntrustedError)


class Made(Protocol):
    """A made chain: LOG is anchored at 9 in block 40 at time 1900. `words`: the contract's storage by slot."""

    words: dict[bytes, bytes]


M = TypeVar("M", bound=Made)


def assert_anchored(facts: ChainFacts) -> None:
    """The anchor of a made chain, and nothing beside it."""
    assert (facts.size, facts.root) == (9, ROOT)
    assert (facts.anchored_block, facts.anchored_time, facts.anchored_by) == (40, 1_900, SENDER)
    assert (facts.head_size, facts.head_time, facts.newest) == (9, 1_900, True)
    assert (facts.seal, facts.sealed, facts.disputed, facts.requested) == (None, False, False, ())


def strangers(policy: ChainPolicy) -> list[tuple[ChainPolicy, bytes, str]]:
    """Policies and logs that evidence of LOG is not about, and a word of the refusal."""
    return [
        (replace(policy, chain_id=8), LOG, "chain"),
        (replace(policy, contract=bytes(20)), LOG, "contract"),
        (policy, OTHER_LOG, "log"),
        (replace(policy, code_hash=bytes(32)), LOG, "code"),
    ]


def with_words(made: M, **words: bytes) -> M:
    """The chain, with these words in its storage instead."""
    places = {
        "root": slot(0, LOG, word(9)), "genesis": slot(0, LOG, word(1)), "meta": slot(1, LOG, word(9)),
        "head": slot(2, LOG), "request": slot(5, LOG, LEAF),
    }  # fmt: skip
    made.words |= {places[name]: value for name, value in words.items()}
    return made


def contradictions(make: Callable[[], M], after: int) -> list[tuple[M, int, str]]:
    """Chains whose storage no such contract can have, the size asked for, and a word of the refusal.

    `make` makes a new chain, `after` is the first block of which its header at time 2000 cannot tell.
    """
    return [
        (with_words(make(), head=bytes(32)), 9, "not registered"),
        (with_words(make(), root=bytes(32)), 9, "nothing is anchored"),
        (make(), 8, "nothing is anchored"),
        (with_words(make(), head=head(8, 1_900)), 9, "contradict"),
        (with_words(make(), genesis=ROOT), 1, "contradict"),
        (with_words(make(), meta=bytes(32)), 9, "later than"),
        (with_words(make(), meta=meta(after, 1_900)), 9, "later than"),
        (with_words(make(), meta=meta(40, 2_001)), 9, "later than"),
        (with_words(make(), head=head(9, 2_001)), 9, "later than"),
        (with_words(make(), request=meta(after, 1_960)), 9, "request"),
        (with_words(make(), request=meta(41, 2_001)), 9, "request"),
        (with_words(make(), head=head(9, 1_900, 0, 1)), 9, "sealed"),
        (with_words(make(), head=head(9, 1_900, 10, 1)), 9, "sealed"),
    ]


def assert_bytes_count(evidence: bytes, policy: ChainPolicy, places: Iterable[int]) -> None:
    """Alter one bit of each of these bytes in turn: always refused."""
    assert check_chain_evidence(evidence, policy, LOG)
    for place in places:
        altered = bytearray(evidence)
        altered[place] ^= 1 << place % 8
        with pytest.raises(REFUSALS):
            check_chain_evidence(bytes(altered), policy, LOG)


@st.composite
def spliced(draw: Any, evidence: bytes) -> bytes:
    """The evidence with some of it cut out and some bytes put there; now and then it is the same."""
    start = draw(st.integers(0, len(evidence)))
    stop = draw(st.integers(start, len(evidence)))
    return bytes(evidence[:start] + draw(st.binary(max_size=40)) + evidence[stop:])


def assert_refused_soon(evidence: bytes, policy: ChainPolicy) -> None:
    """Refused within two seconds."""
    start = time.perf_counter()
    with pytest.raises(REFUSALS):
        check_chain_evidence(evidence, policy, LOG)
    assert time.perf_counter() - start < 2
