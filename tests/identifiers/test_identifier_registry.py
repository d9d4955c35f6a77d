"""The subject: one text for one identifier, and nothing else passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.identifiers import SCHEMES, Identifier, IdentifierError, parse_subject, register, subject
from ledger.identifiers.text import check_text, escape, unescape
from ledger.identifiers.vaa import VAA


@pytest.mark.parametrize(
    "text",
    [
        "", "vaa", "vaa:", ":88.118.8/x", "VAA:88.118.8/x", "nope:1", "88.118.8/x", "vaa:" + "9" * 5000,
        "vaa:88.118.8/%41",  # encodes what stands for itself
        "vaa:88.118.8/a%2Fb",  # the slash stands for itself
        "vaa:88.118.8/%e7%94%b5",  # lower-case escapes
        "vaa:88.118.8/%E7%94",  # half a character
        "vaa:88.118.8/a b", "vaa:88.118.8/a%", "vaa:88.118.8/a%2", "vaa:88.118.8/a%zz", "vaa:88.118.8/电",
        "vaa:88.118.8/a%0A", "vaa:88.118.8/e%CC%81", "vaa:88.118.8/%EF%BC%98", "vaa:88.118.8/a?b", "vaa:88.118.8/a#b",
        "handle:10.ABC/x", "oid:urn:oid:1.2", "battery:001cb010000000e5a0000001", "uscc:91350100m000100y43",
        "lei:529900t8bm49aursdo55", "vin:lsvaa4189e2181847", "did:did:key:z6Mk", "vin:LSVAA4189E218184%37",
    ],
)  # fmt: skip
def test_a_text_that_is_no_subject_is_refused(text):
    with pytest.raises(IdentifierError):
        parse_subject(text)


def test_the_position_of_a_bad_escape_is_named():
    with pytest.raises(IdentifierError) as caught:
        parse_subject("vaa:88.118.8/a%zz")
    assert caught.value.position == 11


@given(st.text(max_size=40))
def test_reading_a_subject_never_fails_in_another_way(text):
    for tag in SCHEMES:
        try:
            identifier = parse_subject(f"{tag}:{text}")
        except IdentifierError:
            continue
        assert subject(identifier) == f"{tag}:{text}"


@given(st.text(max_size=40))
def test_parsing_any_text_gives_an_identifier_or_our_error(text):
    for scheme in SCHEMES.values():
        assert scheme.is_prefix(text) in {True, False}
        try:
            identifier = scheme.parse(text)
        except IdentifierError:
            continue
        assert parse_subject(subject(identifier)) == identifier
        assert all(scheme.is_prefix(prefix) for prefix in scheme.prefixes(identifier.normal))


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60))
def test_escapes_read_back(text):
    assert unescape(escape(text)) == text


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_a_suffix_that_passes_reads_back_from_its_subject(suffix):
    try:
        check_text("suffix", "x" + suffix)
    except IdentifierError:
        return
    identifier = VAA.parse("88.118.8/x" + suffix)
    assert parse_subject(subject(identifier)) == identifier


def test_identifiers_of_two_schemes_with_one_text_differ():
    assert Identifier("vaa", "88.118.8/X") != Identifier("handle", "88.118.8/X")
    assert Identifier("vin", "a", ("note",)) == Identifier("vin", "a")


def test_a_taken_tag_is_not_registered_again():
    with pytest.raises(ValueError, match="taken"):
        register(VAA)
