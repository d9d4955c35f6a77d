"""GS1 identifiers: every accepted spelling leads to one Digital Link path; wrong ones are explained."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.identifiers import SCHEMES, IdentifierError, identify, parse, parse_subject, subject
from ledger.identifiers.check_digits import CSET82, gs1_check_digit, gs1_check_pair
from ledger.identifiers.gs1 import parse_key
from ledger.identifiers.gs1_digital_link import build_uri, parse_uri
from ledger.identifiers.gs1_elements import format_bracketed, format_scanned, parse_bracketed, parse_scanned
from ledger.identifiers.gs1_values import Element, check_element

GS1 = SCHEMES["gs1"]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("(01)06901234567892(21)A1", "01/06901234567892/21/A1"),
        ("(21)A1(01)06901234567892", "01/06901234567892/21/A1"),
        ("(01)51022222233336(17)150707(10)A213B1(21)1234", "01/51022222233336/10/A213B1/21/1234"),
        ("(01)51022222233336(11)141231(17)150707(10)A213B1(21)1234", "01/51022222233336/10/A213B1/21/1234"),
        ("(01)06901234567892(17)150700", "01/06901234567892"),  # day 00: the end of the month
        ("(8004)6901234PUMP-0007(7230)EMCERT01", "8004/6901234PUMP-0007"),
        ("(8003)06901234500011SN0001", "8003/06901234500011SN0001"),
        ("(8013)1987654Ad4X4bL5ttr2310c2K", "8013/1987654Ad4X4bL5ttr2310c2K"),
        ("(414)0614141000012(254)32a/b", "414/0614141000012/254/32a%2Fb"),
        ("(01)06901234567892(21)A\\(1)", "01/06901234567892/21/A%281%29"),
        ("^010690123456789221A1", "01/06901234567892/21/A1"),
        ("^0106901234567892\x1d10L1\x1d21A1", "01/06901234567892/10/L1/21/A1"),
        ("]C100106141411234567897", "00/106141411234567897"),
        ("https://id.gs1.org/01/09521234543213", "01/09521234543213"),
        ("https://id.gs1.org/01/09521234543213/10/ABC123/21/12345", "01/09521234543213/10/ABC123/21/12345"),
        ("https://a.example/x/01/06901234567892/21/A%31?17=281200&utm=x#f", "01/06901234567892/21/A1"),
        ("https://id.gs1.org/00/106141411234567897", "00/106141411234567897"),
        ("01/06901234567892/21/A%31", "01/06901234567892/21/A1"),
        ("(415)0614141000012(8020)REF1", "415/0614141000012/8020/REF1"),
        ("(8006)069012345678920102", "8006/069012345678920102"),
        ("(8017)795260646688514634", "8017/795260646688514634"),
    ],
)
def test_every_spelling_leads_to_the_digital_link_path(text, normal):
    identifier = parse("gs1", text)
    assert identifier.normal == normal
    assert subject(identifier) == f"gs1:{normal}"
    assert parse_subject(f"gs1:{normal}") == identifier


@pytest.mark.parametrize(
    ("kind", "text", "normal"),
    [
        ("gtin", "6901234567892", "01/06901234567892"),
        ("gtin", "9521234543213", "01/09521234543213"),
        ("gtin", "06901234567892", "01/06901234567892"),
        ("gtin", "02345673", "01/00000002345673"),
        ("gtin", "416000336108", "01/00416000336108"),
        ("sscc", "106141411234567897", "00/106141411234567897"),
        ("sscc", "006901234500000013", "00/006901234500000013"),
        ("sscc", "369012345000000012", "00/369012345000000012"),
        ("gln", "0614141000012", "414/0614141000012"),
        ("gln", "6901234500004", "414/6901234500004"),
        ("party", "6901234500011", "417/6901234500011"),
        ("grai", "06901234500011SN0001", "8003/06901234500011SN0001"),
        ("grai", "06901234500011", "8003/06901234500011"),
        ("grai", "00614141000012A1", "8003/00614141000012A1"),
        ("giai", "6901234PUMP-0007", "8004/6901234PUMP-0007"),
        ("gmn", "1987654Ad4X4bL5ttr2310c2K", "8013/1987654Ad4X4bL5ttr2310c2K"),
    ],
)
def test_a_bare_key_is_read_when_its_kind_is_named(kind, text, normal):
    assert parse_key(kind, text).normal == normal
    assert parse_subject("gs1:" + normal).normal == normal


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("gtin", "6901234567890", "expected the check digit '2'"),
        ("gtin", "69012345678", "14 digits"),
        ("gtin", "690123456789x", "'x'"),
        ("sscc", "106141411234567890", "expected the check digit '7'"),
        ("sscc", "10614141123456789", "18 digits"),
        ("sscc", "10614141123456789O", "'O'"),
        ("gln", "6901234500009", "expected the check digit '4'"),
        ("gln", "690123450000", "13 digits"),
        ("gln", "690123450000O", "'O'"),
        ("grai", "16901234500011", "expected one of 0"),
        ("grai", "06901234500012", "expected the check digit '1'"),
        ("grai", "06901234500011" + "S" * 17, "at most 30"),
        ("giai", "ABC-1", "company prefix"),
        ("giai", "6901" + "x" * 27, "at most 30"),
        ("gmn", "1987654Ad4X4bL5ttr2310c2L", "'2K'"),
        ("isbn", "9", "gtin, sscc"),
        ("gtin", "\uff16901234567892", "Type the ordinary '6'"),
    ],
)
def test_a_wrong_key_is_explained(kind, text, words):
    with pytest.raises(IdentifierError) as caught:
        parse_key(kind, text)
    assert words in caught.value.explain()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(10)A1", "needs (01)"),
        ("(11)141231(17)150707", "needs (01)"),
        ("(01)06901234567892(17)281301", "month"),
        ("(01)06901234567892(17)280230", "day up to 29"),
        ("(01)06901234567892(01)09521234543213", "occurs with"),
        ("(01)06901234567890", "check digit '2'"),
        ("(01)06901234567892(21)A1(235)X", "must not stand with"),
        ("(01)06901234567892(253)9526064000028000001", "exactly one primary key"),
        ("(414)0614141000012(254)X(7040)1ABC", "other qualifiers"),
        ("(415)0614141000012", "(8020)"),
        ("(99)X", "exactly one primary key"),
        ("6901234567892", "does not say which key"),
        ("01/9521234543213", "14 digits"),
        ("https://id.gs1.org/01/9521234543213", "14 digits"),
        ("https://id.gs1.org/01/09521234543213/21/1/10/2", "out of order"),
        ("https://id.gs1.org/8004", "primary key"),
        ("https://id.gs1.org/01/09521234543213?10=A", "into the path"),
        ("https://id.gs1.org/01/09521234543213?17=281301", "month"),
        ("414/0614141000012/01/06901234567892", "exactly one primary key"),
        ("^01", "at least one character"),
        ("(01)0690123456789", "14 digits"),
    ],
)
def test_a_wrong_spelling_is_explained(text, words):
    with pytest.raises(IdentifierError) as caught:
        parse("gs1", text)
    assert words in caught.value.explain()


@pytest.mark.parametrize(
    "normal",
    [
        "01/6901234567892", "01/06901234567890", "01/06901234567892/", "/01/06901234567892", "01/06901234567892/21",
        "01/06901234567892/21/A1/10/B", "01/06901234567892/21/A%31", "01/06901234567892/21/A%2f",
        "01/06901234567892/21/A(", "01/06901234567892?17=281200", "(01)06901234567892", "01/06901234567892/21/A~",
        "01/06901234567892/21/" + "A" * 21, "8004/ABC-1", "8013/1987654Ad4X4bL5ttr2310c2L", "415/0614141000012",
        "414/0614141000012/7040/1AB%7E", "8011/1", "8010/6901234/8011/012", "8006/069012345678920302", "x/1", "",
        "01/06901234567892/99/A", "8003/16901234500011",
    ],
)  # fmt: skip
def test_anything_but_the_normal_form_is_no_subject(normal):
    with pytest.raises(IdentifierError):
        parse_subject("gs1:" + normal)


@pytest.mark.parametrize(
    ("normal", "longest"),
    [
        ("01/06901234567892/21/A1", "690123456789"),
        ("00/106141411234567897", "061414112345"),
        ("414/0614141000012", "061414100001"),
        ("8003/06901234500011SN0001", "690123450001"),
        ("8004/6901234PUMP-0007", "6901234"),
        ("8013/1987654Ad4X4bL5ttr2310c2K", "1987654"),
        ("01/00000002345673", "000000234567"),
    ],
)
def test_prefixes_are_the_digits_of_the_company_prefix(normal, longest):
    expected = tuple(longest[:n] for n in range(len(longest), 2, -1))
    assert parse_subject("gs1:" + normal).normal == normal
    assert GS1.prefixes(normal) == expected
    assert GS1.parent_prefixes(longest) == expected[1:]
    assert all(map(GS1.is_prefix, expected))


def test_bare_digits_that_could_be_two_keys_are_listed():
    found = [identifier.normal for identifier in identify("06901234500011")]
    assert found == ["01/06901234500011", "8003/06901234500011"]
    assert [identifier.normal for identifier in identify("6901234PUMP-0007")] == ["8004/6901234PUMP-0007"]


@given(st.text("0123456789", min_size=13, max_size=13), st.text(CSET82, max_size=20))
def test_any_item_reads_back_in_every_spelling(digits, serial):
    gtin = digits + gs1_check_digit(digits)
    elements = (Element("01", gtin), *([Element("21", serial)] if serial else []))
    assert parse_bracketed(format_bracketed(elements)) == elements
    assert parse_scanned(format_scanned(elements)) == elements
    assert parse_uri(build_uri(elements)).elements == elements
    identifier = parse("gs1", format_bracketed(elements))
    assert parse_subject(subject(identifier)) == identifier
    assert parse("gs1", build_uri(elements)) == identifier


@given(st.text("0123456789", min_size=13, max_size=13), st.integers(0, 13), st.integers(1, 9))
def test_the_check_digit_finds_every_single_wrong_digit(digits, index, shift):
    gtin = digits + gs1_check_digit(digits)
    wrong = gtin[:index] + str((int(gtin[index]) + shift) % 10) + gtin[index + 1 :]
    with pytest.raises(IdentifierError):
        parse_subject(f"gs1:01/{wrong}")


@given(st.text(CSET82, min_size=0, max_size=18))
def test_the_check_pair_of_a_model_number_is_accepted_and_its_neighbour_refused(tail):
    model = "1987" + tail
    pair = gs1_check_pair(model)
    assert check_element("8013", model + pair).value == model + pair
    with pytest.raises(IdentifierError):
        check_element("8013", model + pair[::-1] if pair != pair[::-1] else model + "!!")


@pytest.mark.parametrize(
    ("ai", "good", "bad"),
    [
        ("8007", "DE89370400440532013000", "DE88370400440532013000"),
        ("8007", "GB82WEST12345698765432", "GB"),
        ("8007", "GB82WEST12345698765432", "8282WEST"),
        ("4309", "02790858483015297971", "99999999993015297971"),
        ("7250", "20000229", "19000229"),
        ("7251", "200002292359", "200002292400"),
        ("7258", "1/2", "2/1"),
        ("4300", "A%20B", "A%2"),
        ("4330", "000100-", "000100+"),
        ("8008", "281231235959", "281231236000"),
        ("8008", "2812310000", "28123124"),
        ("7003", "2812312359", "2812002359"),
        ("4324", "2812002360"[:8] + "59", "2812002360"),
        ("8014", "1987A" + gs1_check_pair("1987A"), "19876559999" + gs1_check_pair("19876559999")),
        ("8001", "100012345123" + "91", "000012345123" + "91"),
        ("8001", "100012345123" + "91", "100012345123" + "51"),
        ("7241", "80", "11"),
        ("7040", "1AB-", "1AB."),
        ("4321", "1", "2"),
        ("8013", "1987AA" + gs1_check_pair("1987AA"), "19"),
        ("8026", "069012345678920102", "069012345678920002"),
    ],
)
def test_content_checks_accept_and_refuse(ai, good, bad):
    assert check_element(ai, good)
    with pytest.raises(IdentifierError) as caught:
        check_element(ai, bad)
    assert f"({ai})" in caught.value.explain()
