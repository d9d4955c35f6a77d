from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from api.http.answers import encode_end, encode_outcomes, encode_run
from ledger.errors import MalformedError, Rejection
from ledger.statements.cbor import decode, encode
from node.submission import Admitted, Refused, Run

INDEXES = st.one_of(st.integers(0, 300), st.integers(0xFFF0, 0x1_0010), st.integers(0, 2**64 - 1))
HASHES = st.binary(min_size=32, max_size=32)
TEXTS = st.text(max_size=60)


@given(INDEXES, HASHES, st.booleans())
def test_the_hand_made_answer_is_what_the_encoder_makes(index: int, leaf: bytes, duplicate: bool) -> None:
    expected = {"leaf": leaf, "index": index} | ({"duplicate": True} if duplicate else {})
    assert encode_outcomes([Admitted(index, leaf, duplicate)]) == encode(expected)


@given(st.lists(st.tuples(INDEXES, HASHES), max_size=5))
def test_answers_stand_in_order(places: list[tuple[int, bytes]]) -> None:
    joined = b"".join(encode({"index": index, "leaf": leaf}) for index, leaf in places)
    assert encode_outcomes([Admitted(index, leaf) for index, leaf in places]) == joined


@given(TEXTS, TEXTS, TEXTS)
def test_a_refusal_can_quote_whatever_it_was_sent(detail: str, where: str, remedy: str) -> None:
    rejection = Rejection("stale_sequence", detail, where=where, remedy=remedy)
    answer = decode(encode_outcomes([Refused(rejection)]))
    assert answer.keys() == {"refused", "detail", "where", "remedy"}
    assert answer["refused"] == "stale_sequence"
    assert decode(encode_end(MalformedError(detail, where=where)))["error"] == "malformed"


@given(INDEXES, st.integers(1, 256), st.lists(HASHES, max_size=4))
def test_a_run_names_its_acknowledgement(first: int, count: int, proof: list[bytes]) -> None:
    assert decode(encode_run(Run(first, count, b"ack", proof))) == {
        "first": first, "count": count, "proof": proof, "acknowledgement": b"ack",
    }  # fmt: skip
