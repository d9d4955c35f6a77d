"""Every scheme: its valid and invalid examples, normal forms, prefixes, and what its errors say."""

from __future__ import annotations

import pytest

from ledger.errors import MalformedError
from ledger.identifiers import SCHEMES, IdentifierError, identify, parse, parse_subject, scheme_of, subject

VALID = [
    ("vaa", "88.118.8/JXDY2106023", "vaa:88.118.8/JXDY2106023"),
    ("vaa", "88.100.1/ABC.001", "vaa:88.100.1/ABC.001"),
    ("vaa", "86.100.1234/abcdfe.123", "vaa:86.100.1234/abcdfe.123"),
    ("vaa", "88.118.08/电机 1", "vaa:88.118.08/%E7%94%B5%E6%9C%BA%201"),
    ("handle", "10.1000/182", "handle:10.1000/182"),
    ("handle", "20.500.12357/BID_2022", "handle:20.500.12357/BID_2022"),
    ("handle", "88.118.8/JXDY2106023", "handle:88.118.8/JXDY2106023"),
    ("handle", "10.ABC/X/y?#z", "handle:10.abc/X/y%3F%23z"),
    ("handle", "hdl:10.1000/A", "handle:10.1000/A"),
    ("oid", "1.2.156.10197.1.301", "oid:1.2.156.10197.1.301"),
    ("oid", "2.25.329800735698586629295641978511506172918", "oid:2.25.329800735698586629295641978511506172918"),
    ("oid", "0.9.2342", "oid:0.9.2342"),
    ("oid", "urn:oid:2.999", "oid:2.999"),
    ("battery", "001CB010000000E5A0000001", "battery:001CB010000000E5A0000001"),
    ("battery", "001PB01AB12345E5A0000001", "battery:001PB01AB12345E5A0000001"),
    ("battery", "001me02ab12345e5a0000002", "battery:001ME02AB12345E5A0000002"),
    ("uscc", "91350100M000100Y43", "uscc:91350100M000100Y43"),
    ("uscc", "91110108ma01abcd0b", "uscc:91110108MA01ABCD0B"),
    ("lei", "529900T8BM49AURSDO55", "lei:529900T8BM49AURSDO55"),
    ("lei", "529900t8bm49aursdo55", "lei:529900T8BM49AURSDO55"),
    ("vin", "1M8GDM9AXKP042788", "vin:1M8GDM9AXKP042788"),
    ("vin", "LSVAA4189E2181847", "vin:LSVAA4189E2181847"),
    ("vin", "lfvaa12b5n3000001", "vin:LFVAA12B5N3000001"),
]

INVALID = [  # scheme, text, position of the fault, words that the error must hold
    ("vaa", "88.118/JXDY1", 7, "enterprise"),
    ("vaa", "88.118.8/", 10, "suffix"),
    ("vaa", "88.118.8", 9, "'/'"),
    ("vaa", "88..8/X1", 4, "industry code"),
    ("vaa", "8x.118.8/X1", 2, "'x'"),
    ("vaa", "88.118.8.9/X1", 9, "'.'"),
    ("vaa", "888.118.8/X1", 3, "country code"),
    ("vaa", "88.118.\uff18/X1", 8, "Type the ordinary '8'"),
    ("vaa", "88.118.8/X\u200b1", 11, "ZERO WIDTH SPACE"),
    ("vaa", "88.118.8/X\u202e1", 11, "RIGHT-TO-LEFT OVERRIDE"),
    ("vaa", "88.118.8/X\x851", 11, "control"),
    ("vaa", "88.118.8/X\n", 11, "control"),
    ("vaa", "88.118.8/e\u0301", 10, "normal form C"),
    ("vaa", "88.118.8/X ", 11, "space"),
    ("vaa", "88.118.8/X\u3000Y", 11, "ordinary space"),
    ("vaa", "88.118.8/\ud800", 10, "surrogate"),
    ("vaa", "88.118.8/\ue000", 10, "private"),
    ("vaa", "88.118.8/\U000323b0", 10, "repertoire"),
    ("vaa", "88.118.8/" + "x" * 600, 0, "512"),
    ("vaa", "", 0, "empty"),
    ("handle", "/182", 1, "segment"),
    ("handle", "10..1000/182", 4, "segment"),
    ("handle", "10.1000", 8, "'/'"),
    ("handle", "10.1000/", 9, "local name"),
    ("handle", "10.10 00/1", 6, "space"),
    ("handle", ".".join("1" * 17) + "/x", 32, "at most 16"),
    ("oid", "3.1.2", 1, "0, 1 or 2"),
    ("oid", "1.40.5", 3, "39"),
    ("oid", "1.02.156", 3, "leading zeros"),
    ("oid", "1", 2, "second arc"),
    ("oid", "1.2.", 5, "arc 3"),
    ("oid", "1.2.x", 5, "'x'"),
    ("oid", "1.2" + ".1" * 31, 64, "at most 32"),
    ("battery", "001XB010000000E5A0000001", 4, "P (pack), M (module) or C (cell)"),
    ("battery", "001CB010000000E5A000001", 24, "23 characters; expected 24"),
    ("battery", "001CB01000000OE5A0000001", 14, "'O'"),
    ("uscc", "91350100M000100Y44", 18, "'3'"),
    ("uscc", "9135O100M000100Y43", 5, "'O'"),
    ("uscc", "91350100M000100Y4", 18, "17 characters"),
    ("uscc", "9135A100M000100Y43", 5, "region"),
    ("lei", "529900T8BM49AURSDO56", 20, "'55'"),
    ("lei", "529900T8BM49AURSDO5X", 20, "check digit"),
    ("lei", "529900T8BM49AURS-O55", 17, "'-'"),
    ("vin", "LSVAA4189E218184O", 17, "'O'"),
    ("vin", "LSVAA4189E218184", 17, "16 characters"),
]


@pytest.mark.parametrize(("tag", "text", "expected"), VALID)
def test_a_valid_spelling_has_one_subject_that_reads_back(tag, text, expected):
    identifier = parse(tag, text)
    assert subject(identifier) == expected
    assert parse_subject(expected) == identifier
    assert parse(tag, identifier.normal) == identifier
    assert identifier in identify(text)


@pytest.mark.parametrize(("tag", "text", "position", "words"), INVALID)
def test_an_error_names_the_position_and_the_remedy(tag, text, position, words):
    with pytest.raises(IdentifierError) as caught:
        parse(tag, text)
    assert caught.value.position == position
    assert words in caught.value.explain()
    assert isinstance(caught.value, MalformedError)
    assert all(found.scheme != tag for found in identify(text))


@pytest.mark.parametrize(
    ("tag", "normal", "prefixes"),
    [
        ("vaa", "88.118.8/JXDY2106023", ("88.118.8", "88.118", "88")),
        ("handle", "20.500.12357/a.b/c", ("20.500.12357", "20.500", "20")),
        ("oid", "1.2.156", ("1.2.156", "1.2", "1")),
        ("battery", "001CB010000000E5A0000001", ("001",)),
        ("uscc", "91350100M000100Y43", ("91350100", "913501", "9135", "91")),
        ("lei", "529900T8BM49AURSDO55", ("5299",)),
        ("vin", "LSVAA4189E2181847", ("LSV",)),
        ("vin", "LA9AA4189E2181847", ("LA9/181", "LA9")),
    ],
)
def test_prefixes_stand_at_component_boundaries_longest_first(tag, normal, prefixes):
    scheme = SCHEMES[tag]
    assert scheme.prefixes(normal) == prefixes
    for number, prefix in enumerate(prefixes):
        assert scheme.is_prefix(prefix)
        assert scheme.parent_prefixes(prefix) == prefixes[number + 1 :]


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("vaa", "88.1"), ("vaa", "8"), ("vaa", "88."), ("vaa", "88.118.8/"), ("vaa", ""), ("vaa", "88.118.8.1"),
        ("handle", "20."), ("handle", "A"), ("handle", "20/x"), ("handle", ""), ("handle", "x" * 600),
        ("oid", "3"), ("oid", "1.2."), ("oid", ""), ("oid", "1.40"), ("oid", "01"),
        ("battery", "0O1"), ("battery", "01"), ("uscc", "913"), ("uscc", "91350100M"), ("uscc", "9135O1"),
        ("lei", "529"), ("lei", "52990"), ("vin", "LS"), ("vin", "LSV/123"), ("vin", "LA9/12"), ("vin", "IOQ"),
        ("gs1", "69"), ("gs1", "6901234567890"), ("gs1", "690a"), ("gs1", "690\n"), ("gs1", "\uff16\uff19\uff10"),
        ("did", "ethr"), ("did", "web:"), ("did", "bid:efnVUgqQFfYeu97ABf6sGm3WFtVXHZB2"), ("did", "key:z"),
    ],
)  # fmt: skip
def test_a_text_that_ends_inside_a_component_is_no_prefix(tag, text):
    assert not SCHEMES[tag].is_prefix(text)


def test_a_vin_without_a_valid_check_character_is_noted_not_refused():
    identifier = parse("vin", "LSVAA4188E2181847")
    assert "position 9 is '8', its check character is '9'" in identifier.notes[0]
    assert parse("vin", "LSVAA4189E2181847").notes == ()


def test_the_letter_i_in_a_battery_code_is_noted():
    assert parse("battery", "001CB010000000E5A000000I").notes
    assert parse("battery", "001CB010000000E5A0000001").notes == ()


def test_keys_that_are_allotted_once_are_never_registered_again():
    assert {tag for tag, scheme in SCHEMES.items() if scheme.reusable} == {"vaa", "handle"}


def test_identify_returns_every_scheme_that_fits():
    assert [found.scheme for found in identify("88.118.8/JXDY2106023")] == ["vaa", "handle"]
    assert identify("\u200b") == []


def test_an_unknown_scheme_is_refused_with_the_known_ones():
    with pytest.raises(IdentifierError, match="vaa, handle"):
        scheme_of("ecode")
